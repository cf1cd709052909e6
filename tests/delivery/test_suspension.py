"""
Tests of :mod:`momentum_tx.delivery.suspension`.
"""

from math import inf
from types import SimpleNamespace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx import OutboundHooks
from momentum_tx.config.load import parse
from momentum_tx.delivery.suspension import MOST_CURFEWS, Suspension
from momentum_tx.policy.retry import End
from momentum_tx.settings import DEFAULT_SLOT, UNBOUND
from momentum_tx.testing.peers import Answer

from ..worlds import BOB, WorldCase

#: Tuesday 2023-11-14, 22:13:20 UTC, when virtual worlds begin too.
NOW = 1_700_000_000.0


class SuspensionTests(SynchronousTestCase):
    """
    Where mail waits without an attempt.
    """

    def setUp(self) -> None:
        #: Slots whose address this machine has not.
        self.unplumbed: set[int] = set()

    def suspension(self, text: str) -> tuple[Suspension, Any]:
        """
        A suspension under a configuration, and what it is asked through.
        """
        facilities = SimpleNamespace(
            config=parse(text),
            plumbing=SimpleNamespace(absent=self.unplumbed.__contains__),
            egress=SimpleNamespace(unusable=lambda slot, domain: ""),
            hooks=OutboundHooks(),
        )
        return Suspension(cast(Any, facilities)), facilities

    def test_nothingIsSuspended(self) -> None:
        """
        Without a reason mail goes out.
        """
        suspension, _ = self.suspension("")
        self.assertEqual(suspension.until(0, "example.com", NOW), 0.0)
        self.assertEqual(suspension.reason(0, "example.com", NOW), "")

    def test_suspendDelivery(self) -> None:
        """
        ``suspend_delivery`` holds one domain until somebody takes it away, and
        says so.
        """
        suspension, _ = self.suspension('[domain."example.com"]\nsuspend_delivery = true\n')
        self.assertEqual(suspension.until(0, "example.com", NOW), inf)
        self.assertIn("suspend_delivery", suspension.reason(0, "example.com", NOW))
        self.assertEqual(suspension.until(0, "example.net", NOW), 0.0)

    def test_defaultBinding(self) -> None:
        """
        ``default_binding`` holds what has no binding of its own, and says so.
        """
        suspension, _ = self.suspension('[global]\ndefault_binding = "suspended"\n[binding.b1]\n')
        for slot in (UNBOUND, DEFAULT_SLOT):
            self.assertEqual(suspension.until(slot, "example.com", NOW), inf)
            self.assertIn("default_binding", suspension.reason(slot, "example.com", NOW))
        self.assertEqual(suspension.until(1, "example.com", NOW), 0.0)
        self.assertEqual(suspension.reason(1, "example.com", NOW), "")

    def test_unplumbed(self) -> None:
        """
        A binding whose address the machine has not waits, and says for what.
        """
        suspension, _ = self.suspension('[binding.b1]\nbind_address = "192.0.2.1"\n')
        self.unplumbed.add(1)
        self.assertEqual(suspension.until(1, "example.com", NOW), inf)
        self.assertEqual(suspension.reason(1, "example.com", NOW), "192.0.2.1 is not configured on this host")
        self.assertEqual(suspension.until(0, "example.com", NOW), 0.0)

    def test_configurationInForce(self) -> None:
        """
        A reload counts at once.
        """
        suspension, facilities = self.suspension("[global]\nsuspend_delivery = true\n")
        facilities.config = parse("")
        self.assertEqual(suspension.until(0, "example.com", NOW), 0.0)

    def test_curfew(self) -> None:
        """
        A curfew holds as long as its hours last, and says so; the clock may also go back.
        """
        suspension, _ = self.suspension('[domain."example.com"]\ncurfew = ["22:00-23:00", "23:00-24:00"]\n')
        midnight = NOW + 6400
        for now in (NOW, midnight - 1, NOW - 800, NOW):
            self.assertEqual(suspension.until(0, "example.com", now), midnight)
        self.assertEqual(suspension.reason(0, "example.com", NOW), "curfew until 2023-11-15 00:00:00 UTC")
        self.assertEqual(suspension.until(0, "example.net", NOW), 0.0)
        for now in (midnight, NOW - 801, midnight + 79199):
            self.assertEqual(suspension.until(0, "example.com", now), 0.0)
            self.assertEqual(suspension.reason(0, "example.com", now), "")
        self.assertEqual(suspension.until(0, "example.com", midnight + 79200), midnight + 86400)

    def test_curfewWithoutEnd(self) -> None:
        """
        A curfew of all hours is a suspension that only an operator ends.
        """
        suspension, _ = self.suspension('[global]\ncurfew = ["00:00-24:00"]\n')
        self.assertEqual(suspension.until(0, "example.com", NOW), inf)
        self.assertEqual(suspension.reason(0, "example.com", NOW), "curfew without end")

    def test_suspensionBeforeCurfew(self) -> None:
        """
        Where both hold it is ``suspend_delivery`` that counts, for it ends later.
        """
        suspension, _ = self.suspension('[global]\ncurfew = ["22:00-24:00"]\nsuspend_delivery = true\n')
        self.assertEqual(suspension.until(0, "example.com", NOW), inf)
        self.assertIn("suspend_delivery", suspension.reason(0, "example.com", NOW))

    def test_manyCurfews(self) -> None:
        """
        However many different curfews there have been over the reloads, only so many are remembered.
        """
        suspension, facilities = self.suspension("")
        for number in range(MOST_CURFEWS + 50):
            facilities.config = parse(f'[global]\ncurfew = ["22:00-{number // 60:02}:{number % 60:02}"]\n')
            self.assertEqual(suspension.until(0, "example.com", NOW), NOW + 6400 + 60 * number)
        self.assertLessEqual(len(suspension._curfews), MOST_CURFEWS)


class CurfewTests(WorldCase):
    """
    Quiet hours in a running service, which begins at 22:13:20.
    """

    def test_mailWaits(self) -> None:
        """
        Mail waits without an attempt and leaves at the moment the curfew ends; other domains are not held up.
        """
        world = self.world('[domain."example.com"]\ncurfew = ["tue 22:00-07:00"]\n')
        mx, other = world.exchanger("example.com"), world.exchanger("example.net")
        self.accept(world, [BOB, "eve@example.net"])
        seven = 6400 + 7 * 3600
        world.advance(seven - 0.01 - world.clock.seconds())
        self.assertEqual((mx.connections, len(other.ledger)), (0, 1))
        self.assertEqual(world.mainlog("TP"), [])
        world.advance(0.5)
        self.assertEqual(len(mx.ledger), 1)
        self.assertLess(mx.ledger[0].at - seven, 0.2)

    def test_beginsMeanwhile(self) -> None:
        """
        A curfew that begins while a session is open lets it take no further mail: it leaves, and another one goes on
        when it is over.
        """
        world = self.world('[global]\nidle_timeout = 600\ncurfew = ["22:14-22:16"]\n')
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(39 - world.clock.seconds())
        self.assertEqual(len(mx.ledger), 1)
        world.advance(2)
        self.accept(world)
        world.advance(159 - world.clock.seconds())
        self.assertEqual(len(mx.ledger), 1)
        world.advance(2)
        self.assertEqual((len(mx.ledger), mx.connections, self.verbs(mx, 1)[-1]), (2, 2, b"QUIT"))

    def test_dueMeanwhile(self) -> None:
        """
        Mail whose next attempt comes due in a curfew is attempted when it is over, and was due no attempt more.
        """
        world = self.world('[global]\nretry_interval = 60\ncurfew = ["22:14-22:24"]\n')
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now", times=1)
        self.accept(world)
        world.advance(639 - world.clock.seconds())
        self.assertEqual(self.kinds(world), "RT")
        world.advance(2)
        self.assertEqual(self.kinds(world), "RTD")

    def test_expiryRuns(self) -> None:
        """
        Mail grows old in a curfew; when it is over, mail past its life is attempted, or given up with
        ``never_attempt_expired_messages``.
        """
        for never, kinds in (("false", "RD"), ("true", "RP")):
            world = self.world(
                f"[global]\nmessage_expiration = 600\nnever_attempt_expired_messages = {never}\n"
                'curfew = ["22:00-23:00"]\n'
            )
            world.exchanger("example.com")
            self.accept(world)
            world.advance(2799 - world.clock.seconds())
            self.assertEqual(self.kinds(world), "R")
            world.advance(10)
            self.assertEqual(self.kinds(world), kinds)
        self.assertEqual(self.last(world, "P")["note"], End.EXPIRED.value.decode())

    def test_binding(self) -> None:
        """
        A curfew of one binding lets the mail of the others go, and a group gives no mail to a member that has one.
        """
        world = self.world(
            '[binding_group.g.binding.b1]\ncurfew = ["22:00-23:00"]\n[binding_group.g.binding.b2]\n'
            'bind_address = "192.0.2.2"\n'
        )
        mx = world.exchanger("example.com")
        self.accept(world, X_Binding="b1")
        for _ in range(20):
            self.accept(world, X_Binding_Group="g")
        world.advance(60)
        self.assertEqual(len(mx.ledger), 20)
        world.advance(3600)
        self.assertEqual(len(mx.ledger), 21)

    def test_reload(self) -> None:
        """
        A reload that takes the curfew away ends it.
        """
        world = self.world('[global]\ncurfew = ["22:00-07:00"]\n')
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(5)
        world.reload("")
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)


class IdleSessionTests(WorldCase):
    """
    Sessions that wait for mail of a domain that becomes suspended.
    """

    IDLE = "[global]\nidle_timeout = 600\n"
    SUSPENDED = '[domain."example.com"]\nsuspend_delivery = true\n'

    def test_idle(self) -> None:
        """
        An idle session leaves as soon as delivery is suspended, with mail in the queue
        or without, and those of other domains stay.
        """
        for waiting in (False, True):
            world = self.world(self.IDLE)
            mx, other = world.exchanger("example.com"), world.exchanger("example.net")
            self.accept(world, [BOB, "bob@example.net"])
            world.advance(1)
            self.assertEqual((len(mx.open), len(other.open)), (1, 1))
            if waiting:
                mx.on("RCPT", b"451 4.2.1 Later")
                self.accept(world)
                world.advance(1)
            world.reload(self.IDLE + self.SUSPENDED)
            world.advance(1)
            self.assertEqual((len(mx.open), len(other.open)), (0, 1))
            self.assertEqual(self.verbs(mx)[-1], b"QUIT")

    def test_one_binding(self) -> None:
        """
        Where one binding of the domain is suspended those of the other stay.
        """
        bindings = self.IDLE + "[binding.b1]\n[binding.b2]\n"
        world = self.world(bindings)
        mx = world.exchanger("example.com")
        for binding in ("b1", "b2"):
            self.accept(world, X_Binding=binding)
        world.advance(1)
        self.assertEqual(len(mx.open), 2)
        world.reload(bindings + '[binding.b1.domain."example.com"]\nsuspend_delivery = true\n')
        world.advance(1)
        self.assertEqual(len(mx.open), 1)

    def test_at_work(self) -> None:
        """
        A session that is at work finishes its message, and does not wait for another.
        """
        world = self.world(self.IDLE)
        mx = world.exchanger("example.com")
        mx.on("dot", Answer(b"250 2.0.0 Taken", after=10.0))
        self.accept(world)
        world.advance(1)
        world.reload(self.IDLE + self.SUSPENDED)
        world.advance(8)
        self.assertEqual(len(mx.open), 1)
        world.advance(3)
        self.assertEqual((self.kinds(world), mx.open, self.verbs(mx)[-1]), ("RD", [], b"QUIT"))
