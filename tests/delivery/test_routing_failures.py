"""
DNS that fails for one domain, and for all: when mail is sent to the domain's own
address instead, and when it is given up.
"""

from __future__ import annotations

from momentum_tx.errors import LookupFailed, LookupHindered
from momentum_tx.interfaces.services import MXKind
from momentum_tx.queues.domain import MXType
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase

NO_DOMAIN = "554 5.4.4 [internal] Domain Lookup Failed"
#: Mail is tried every minute, and what is failing is looked at every five.
OFTEN = """
[global]
retry_interval = 60
max_retry_interval = 60
max_retries = "none"
message_expiration = 100000
dns_failure_interval = 300
"""
SERVFAIL = LookupFailed("SERVFAIL")


class FailingCase(WorldCase):
    """
    A domain whose look-ups fail.
    """

    def failing(self, config: str = "", start: str = OFTEN) -> World:
        """
        A world in which they fail, while mail for it waits.
        """
        world = self.world(start + config)
        world.resolver.ttl = 60
        world.resolver.mx["example.com"] = SERVFAIL
        self.accept(world)
        return world

    def pass_time(self, world: World, seconds: float, others: bool = True) -> None:
        """
        Let time pass, in which DNS is asked for other domains too.
        """
        if others and "mx1.other.example" not in world.resolver.addresses:
            world.exchanger("other.example")
        end = world.clock.seconds() + seconds
        while world.clock.seconds() < end:
            if others:
                self.accept(world, ["eve@other.example"])
            world.advance(min(100.0, end - world.clock.seconds()))

    def outcome(self, world: World) -> str:
        """
        What became of the mail for the domain: the last of its records.
        """
        return [record.kind for record in world.mainlog() if record["domain"] != "other.example"][-1]


class PurgeTests(FailingCase):
    """
    ``dns_failures_to_purge``.
    """

    def test_purged(self) -> None:
        """
        When the look-ups of one domain have failed often enough, all its mail
        fails: on every binding, and also what waits for its time.
        """
        world = self.failing("dns_failures_to_purge = 3\n[binding.b1]\n")
        self.accept(world, X_Binding="b1", X_Not_Before=str(int(world.wall()) + 50_000))
        self.pass_time(world, 890)
        self.assertEqual(self.outcome(world), "T")
        self.pass_time(world, 200)
        failed = world.mainlog("P")
        self.assertEqual([record["note"] for record in failed], [NO_DOMAIN] * 2)
        self.assertEqual({record["binding"] for record in failed}, {"default", "b1"})
        self.assertEqual(world.queued(), 0)

    def test_default(self) -> None:
        """
        Without a word of the operator it takes ten failures, ten minutes apart.
        """
        world = self.failing(start=OFTEN.replace("dns_failure_interval = 300\n", ""))
        self.pass_time(world, 5990)
        self.assertEqual(self.outcome(world), "T")
        self.pass_time(world, 300)
        self.assertEqual(self.outcome(world), "P")

    def test_never(self) -> None:
        """
        With 0 the mail waits until its tries or its time are over.
        """
        world = self.failing("dns_failures_to_purge = 0\n")
        self.pass_time(world, 7200)
        self.assertEqual(self.outcome(world), "T")

    def test_own_domain(self) -> None:
        """
        A domain may have its own number.
        """
        world = self.failing('[domain."example.com"]\ndns_failures_to_purge = 1\n')
        world.resolver.mx["example.net"] = SERVFAIL
        self.accept(world, ["eve@example.net"])
        self.pass_time(world, 500)
        self.assertEqual([record["domain"] for record in world.mainlog("P")], ["example.com"])

    def test_resolver_down_for_all(self) -> None:
        """
        A resolver that answers nobody costs no mail, however long that lasts; it
        still grows old.
        """
        world = self.failing("dns_failures_to_purge = 2\n[binding.b1]\nmessage_expiration = 5000\n")
        world.exchanger("other.example")
        self.pass_time(world, 250)
        world.resolver.mx["other.example"] = SERVFAIL
        for number in range(5):
            world.resolver.mx[f"d{number}.example"] = SERVFAIL
            self.accept(world, [f"eve@d{number}.example"])
        self.accept(world, X_Binding="b1")
        self.pass_time(world, 20_000, others=False)
        self.assertEqual(
            [(record["note"], record["binding"]) for record in world.mainlog("P")],
            [("554 5.4.7 [internal] exceeded max time without delivery", "b1")],
        )
        self.assertEqual(world.domain("example.com").mail_queue.size(), 1)

    def test_answered_at_last(self) -> None:
        """
        One answer, and the failures before it are forgotten.
        """
        world = self.failing("dns_failures_to_purge = 3\n")
        self.pass_time(world, 700)
        mx = world.receiver()
        mx.on("RCPT", b"451 4.2.1 Not now")
        world.resolver.mx["example.com"] = [(10, "mx.example.com")]
        world.resolver.addresses["mx.example.com"] = [mx.address]
        self.pass_time(world, 100)
        world.resolver.mx["example.com"] = SERVFAIL
        world.resolver.addresses["mx.example.com"] = SERVFAIL
        self.pass_time(world, 5000)
        # The addresses that are known serve on.
        self.assertEqual(self.outcome(world), "T")
        self.assertIn("451", self.last(world, "T")["note"])

    def test_next_mail(self) -> None:
        """
        Mail that comes after the purge has its own chances.
        """
        world = self.failing("dns_failures_to_purge = 1\n")
        self.pass_time(world, 500)
        self.assertEqual(self.outcome(world), "P")
        self.accept(world)
        self.pass_time(world, 200)
        self.assertEqual(self.outcome(world), "T")
        mx = world.receiver()
        world.resolver.mx["example.com"] = [(10, "mx.example.com")]
        world.resolver.addresses["mx.example.com"] = [mx.address]
        self.pass_time(world, 200)
        self.assertEqual(self.taken(mx), [BOB.encode()])

    def test_ours(self) -> None:
        """
        What is our own fault counts for nothing: a resolver that has no sockets
        left, or IPv6 that we do not use.
        """
        troubles: tuple[LookupFailed | MXKind, ...] = (LookupHindered("cannot send"), MXKind.NONE)
        for trouble in troubles:
            world = self.failing("dns_failures_to_purge = 1\n")
            world.resolver.mx["example.com"] = trouble
            if trouble is MXKind.NONE:
                world.resolver.addresses["example.com"] = ["2001:db8::25"]
            self.pass_time(world, 3000)
            self.assertEqual(self.outcome(world), "T", trouble)

    def test_internal_error(self) -> None:
        """
        An error in our own code costs no mail either.
        """
        world = self.failing("dns_failures_to_purge = 1\n")
        world.resolver.mx["example.com"] = ZeroDivisionError("planted")
        self.pass_time(world, 3000)
        self.assertEqual(self.outcome(world), "T")
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))

    def test_sent_by_an_operator(self) -> None:
        """
        Mail with routes or a gateway waits, whatever DNS says of the host that is
        meant: that it fails, or even that there is none.
        """
        for option in (
            'routes = ["hub.internal"]',
            'routes = ["smtp://hub.internal?type=mx"]',
            'gateway = "hub.internal"',
        ):
            for say in ("SERVFAIL", "nothing"):
                world = self.failing(f'dns_failures_to_purge = 1\n[domain."example.com"]\n{option}\n')
                if say == "SERVFAIL":
                    world.resolver.mx["hub.internal"] = world.resolver.addresses["hub.internal"] = SERVFAIL
                self.pass_time(world, 3000)
                self.assertEqual(self.outcome(world), "T", (option, say))
                world.resolver.mx["hub.internal"] = []
                hub = world.receiver("10.0.0.9")
                world.resolver.addresses["hub.internal"] = [hub.address]
                self.pass_time(world, 200)
                self.assertEqual(self.taken(hub), [BOB.encode()])


class FallbackTests(FailingCase):
    """
    ``mx_failures_fallback_to_a``.
    """

    def own_address(self, world: World) -> Receiver:
        """
        A server at the domain's own address.
        """
        host = world.receiver()
        world.resolver.addresses["example.com"] = [host.address]
        return host

    def test_after_three(self) -> None:
        """
        When the look-up of MX records has failed three times, the domain's own
        address gets the mail; an MX record that appears again counts at once.
        """
        world = self.failing()
        host = self.own_address(world)
        self.pass_time(world, 890)
        self.assertEqual(self.outcome(world), "T")
        self.pass_time(world, 200)
        self.assertEqual(self.taken(host), [BOB.encode()])
        self.assertIs(world.domain("example.com").mx_type, MXType.ADDRESS)
        # It is still asked for, and until it is known the address serves.
        asked = world.resolver.mx_asked.count("example.com")
        self.accept(world)
        self.pass_time(world, 400)
        self.assertEqual(len(host.ledger), 2)
        self.assertGreater(world.resolver.mx_asked.count("example.com"), asked)
        mx = world.receiver()
        world.resolver.mx["example.com"] = [(10, "mx.example.com")]
        world.resolver.addresses["mx.example.com"] = [mx.address]
        self.pass_time(world, 100)
        self.accept(world)
        self.pass_time(world, 10)
        self.assertEqual((len(host.ledger), len(mx.ledger)), (2, 1))

    def test_not_for_all_at_once(self) -> None:
        """
        A resolver that is down for all makes nobody's own address a mail server.
        """
        world = self.failing()
        host = self.own_address(world)
        self.pass_time(world, 20_000, others=False)
        self.assertEqual((self.outcome(world), host.connections), ("T", 0))

    def test_once(self) -> None:
        """
        -1: MX records are asked for until that has failed, and never again.
        """
        world = self.failing("mx_failures_fallback_to_a = -1\n")
        host = self.own_address(world)
        self.pass_time(world, 500)
        self.assertEqual(self.taken(host), [BOB.encode()])
        asked = world.resolver.mx_asked.count("example.com")
        for _ in range(5):
            self.accept(world)
            self.pass_time(world, 100)
        self.assertEqual(world.resolver.mx_asked.count("example.com"), asked)
        self.assertEqual(len(host.ledger), 6)

    def test_never(self) -> None:
        """
        0: the mail waits for the MX records.
        """
        world = self.failing("mx_failures_fallback_to_a = 0\n")
        host = self.own_address(world)
        self.pass_time(world, 2500)
        self.assertEqual((self.outcome(world), host.connections), ("T", 0))

    def test_no_address(self) -> None:
        """
        That there is no own address is no verdict as long as the MX records are
        not known; the failures go on counting.
        """
        world = self.failing("dns_failures_to_purge = 5\n")
        world.resolver.addresses["example.com"] = []
        self.pass_time(world, 1400)
        self.assertEqual(self.outcome(world), "T")
        self.pass_time(world, 400)
        self.assertEqual(self.last(world, "P")["note"], NO_DOMAIN)

    def test_private_address(self) -> None:
        """
        An own address that is prohibited is not used, and is no verdict either.
        """
        world = self.failing("dns_failures_to_purge = 0\n")
        world.resolver.addresses["example.com"] = ["10.0.0.1"]
        self.pass_time(world, 2500)
        self.assertEqual(self.outcome(world), "T")
