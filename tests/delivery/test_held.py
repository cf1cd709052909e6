"""
What a lost reply to the final dot leads to: mail that is tried again, taken for
delivered, or held until an operator lets it go on.
"""

from __future__ import annotations

import errno
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from momentum_tx.delivery.held import HeldMessage
from momentum_tx.interfaces.hooks import IMessageHeld
from momentum_tx.outcomes import Outcome, Verdict
from momentum_tx.policy.lost_reply import GIVEN_UP, INTERRUPTED, SETTLED, assumed
from momentum_tx.policy.session_notes import CLOSED
from momentum_tx.testing.peers import CLOSE, SILENCE, TAKE_AND_BE_SILENT, TAKE_AND_CLOSE, Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

CAROL = "carol@example.com"
COMMON = "[global]\nretry_interval = 60\nbody_timeout = 20\nhost_failure_retry = 1\n"
RETRY = COMMON
ASSUME = COMMON + 'lost_final_reply = "assume_delivered"\n'
HOLD = COMMON + 'lost_final_reply = "hold"\n'


@implementer(IMessageHeld)
class Watch:
    """
    Remembers what was held.
    """

    def __init__(self) -> None:
        self.held: list[tuple[bytes, str, bytes]] = []

    def message_held(self, msg: Any, dr: Any, now: float | None, note: bytes) -> None:
        self.held.append((msg.recipient, dr.domain, note))


class LostCase(WorldCase):
    """
    An exchanger that takes mail and does not say so.
    """

    def lost(self, config: str, providers: tuple[object, ...] = ()) -> tuple[World, Receiver]:
        """
        A world in which one message was in doubt.
        """
        world = self.world(config, providers=providers)
        mx = world.exchanger("example.com")
        mx.on("dot", TAKE_AND_CLOSE, times=1)
        self.accept(world)
        world.until(lambda: len(mx.ledger) == 1 and not mx.open)
        world.advance(1)
        return world, mx

    def ids(self, world: World) -> list[str]:
        """
        Ids of the held messages.
        """
        return [held.id for held in world.service.held()]


class PolicyTests(LostCase):
    """
    What becomes of the message.
    """

    def test_retry(self) -> None:
        """
        By default it is tried again, may arrive twice, and is known to be ambiguous.
        """
        world, mx = self.lost(RETRY)
        (message,) = world.domain("example.com").mail_queue.messages()
        self.assertEqual(message.ambiguous, 1)
        world.advance(200)
        self.assertEqual((self.kinds(world), len(mx.ledger), self.ids(world)), ("RTD", 2, []))

    def test_assumed(self) -> None:
        """
        It counts as delivered, by a note that says so: it does not arrive twice.
        """
        world, mx = self.lost(ASSUME)
        world.advance(2000)
        self.assertEqual((self.kinds(world), len(mx.ledger), world.queued()), ("RD", 1, 0))
        world.crash()
        world.advance(2000)
        self.assertEqual((self.kinds(world), len(mx.ledger), world.queued()), ("RD", 1, 0))

    def test_assumed_outcome(self) -> None:
        """
        Who waits for the end is told that it is ambiguous, and why.
        """
        world = self.world(ASSUME)
        mx = world.exchanger("example.com")
        mx.on("dot", TAKE_AND_CLOSE)
        ended: list[list[Outcome]] = []
        world.send(SENDER, [BOB], world.message()).addCallback(ended.append)
        world.advance(30)
        ((outcome,),) = ended
        self.assertEqual((outcome.verdict, outcome.ambiguous), (Verdict.DELIVERED, True))
        self.assertEqual(outcome.note, assumed(CLOSED))

    def test_held(self) -> None:
        """
        It stays where it is, however long, visible and told of; the attempt is on the log as a failure for now.
        """
        watch = Watch()
        world, mx = self.lost(HOLD, (watch,))
        world.advance(10 * 86400)
        self.assertEqual((self.kinds(world), len(mx.ledger), world.queued()), ("RT", 1, 0))
        (held,) = world.service.held()
        self.assertEqual(
            held,
            HeldMessage(held.id, "example.com", SENDER.encode(), BOB.encode(), held.size, held.received, CLOSED, 1),
        )
        self.assertEqual(held.id, world.mainlog("R")[0]["id"])
        self.assertEqual(watch.held, [(BOB.encode(), "example.com", CLOSED)])
        summary = world.summary()
        self.assertEqual((summary.received, summary.held, summary.waiting), (1, 1, 1))
        self.assertIn("0 in delivery, 1 held", str(summary))

    def test_only_in_doubt(self) -> None:
        """
        What was refused, or lost before the dot, is nobody's doubt, whatever the policy.
        """
        for config in (ASSUME, HOLD):
            for point, step in (("dot", b"451 4.3.0 later"), ("DATA", CLOSE), ("dot", b"421 4.3.2 enough")):
                with self.subTest(config=config, step=step):
                    world = self.world(config)
                    mx = world.exchanger("example.com")
                    mx.on(point, step, times=1)
                    self.accept(world)
                    world.advance(300)
                    self.assertEqual((self.kinds(world), len(mx.ledger), self.ids(world)), ("RTD", 1, []))

    def test_by_recipient(self) -> None:
        """
        Of a transaction those who were refused before the dot keep their answer, and only the others are held.
        """
        world = self.world(HOLD)
        mx = world.exchanger("example.com")
        mx.refuse[CAROL] = b"550 5.1.1 Nobody"
        mx.on("dot", TAKE_AND_CLOSE)
        self.accept(world, [BOB, CAROL])
        world.advance(300)
        self.assertEqual([held.recipient for held in world.service.held()], [BOB.encode()])
        self.assertEqual(sorted(self.kinds(world)), ["P", "R", "R", "T"])

    def test_by_scope(self) -> None:
        """
        One domain's mail is held, while another's is tried again.
        """
        world = self.world(COMMON + '[domain."example.com"]\nlost_final_reply = "hold"\n')
        for domain in ("example.com", "example.net"):
            world.exchanger(domain).on("dot", TAKE_AND_BE_SILENT, times=1)
        self.accept(world, [BOB, "dave@example.net"])
        world.advance(300)
        self.assertEqual([held.domain for held in world.service.held()], ["example.com"])
        self.assertEqual(sorted(self.kinds(world)), ["D", "R", "R", "T", "T"])

    def test_interrupted_stop(self) -> None:
        """
        A service that cannot wait any longer for a reply goes by the policy as well.
        """
        for config, kinds, held in ((HOLD, "RT", 1), (ASSUME, "RD", 0)):
            world = self.world(config + "shutdown_grace = 1\nbody_timeout = 600\n".replace("body_timeout = 600\n", ""))
            mx = world.exchanger("example.com")
            mx.on("dot", TAKE_AND_BE_SILENT)
            self.accept(world)
            world.until(lambda mx=mx: bool(mx.ledger))  # type: ignore[misc]
            world.stop()
            mx.behave()
            self.assertEqual(self.kinds(world), kinds)
            world.build()
            world.start()
            world.advance(300)
            self.assertEqual((len(self.ids(world)), len(mx.ledger), world.queued()), (held, 1, 0))


class CrashTests(LostCase):
    """
    The process, or the power, ends between the dot and its reply.
    """

    def under_way(self, config: str, providers: tuple[object, ...] = ()) -> tuple[World, Receiver]:
        """
        A world where the exchanger has the message and has not said so.
        """
        world = self.world(config, providers=providers)
        mx = world.exchanger("example.com")
        mx.on("dot", TAKE_AND_BE_SILENT, times=1)
        self.accept(world)
        world.until(lambda: bool(mx.ledger))
        return world, mx

    def test_after_a_crash(self) -> None:
        """
        What the intent said becomes of the message, also where the power failed: nothing arrives twice.
        """
        for power in (False, True):
            for config, kinds, held in ((ASSUME, "RD", 0), (HOLD, "R", 1)):
                with self.subTest(power=power, held=held):
                    watch = Watch()
                    world, mx = self.under_way(config, (watch,))
                    if power:
                        world.power_cut()
                    else:
                        world.crash()
                    world.advance(2000)
                    self.assertEqual((len(mx.ledger), self.kinds(world), world.queued()), (1, kinds, 0))
                    shown = world.service.held()
                    self.assertEqual([(each.code, each.ambiguous) for each in shown], [(INTERRUPTED, 1)] * held)
                    self.assertEqual(len(watch.held), held)
                    # And so it stays.
                    world.power_cut()
                    world.advance(2000)
                    self.assertEqual((len(self.ids(world)), len(mx.ledger)), (held, 1))

    def test_policy_of_the_intent(self) -> None:
        """
        The policy that was in force when the dot left counts, not that of the configuration at the start.
        """
        world, mx = self.under_way(HOLD)
        world.config_text = RETRY
        world.crash()
        world.advance(2000)
        self.assertEqual((len(self.ids(world)), len(mx.ledger)), (1, 1))

    def test_dot_waits_for_the_disk(self) -> None:
        """
        No content leaves before the intent is synced; meanwhile no timer of the peer's runs.
        """
        world = self.world(HOLD + "data_timeout = 5\n")
        mx = world.exchanger("example.com")
        self.accept(world)
        world.threads.delay = 40.0
        world.until(lambda: self.verbs(mx)[-1:] == [b"DATA"])
        world.advance(39)
        self.assertEqual((mx.ledger, self.kinds(world)), ([], "R"))
        world.advance(2)
        self.assertEqual((len(mx.ledger), self.kinds(world)), (1, "RD"))

    def test_disk_refuses(self) -> None:
        """
        Where the intent cannot be synced no dot leaves, and the message is as if it had not been taken.
        """
        world = self.world(HOLD)
        mx = world.exchanger("example.com")
        self.accept(world)
        world.files.fail("sync", errno.EIO, -1)
        world.files.fail("create", errno.EIO, -1)
        world.advance(30)
        self.assertEqual((mx.ledger, self.kinds(world), self.ids(world)), ([], "R", []))
        world.files.heal()
        world.advance(300)
        self.assertEqual((len(mx.ledger), self.kinds(world)), (1, "RD"))


class ReleaseTests(LostCase):
    """
    What an operator can do.
    """

    def released(self, releasing: Deferred[int]) -> int:
        """
        How many were released.
        """
        return self.successResultOf(releasing)

    def test_retry(self) -> None:
        """
        A released message is tried at once, whatever its age, as one that waited.
        """
        world, mx = self.lost(HOLD)
        world.advance(10 * 86400)
        self.assertEqual(self.released(world.service.release_held()), 1)
        world.advance(5)
        self.assertEqual((self.kinds(world), len(mx.ledger), self.ids(world)), ("RTD", 2, []))

    def test_released_and_lost_again(self) -> None:
        """
        One whose reply is lost again is held again, and counts both attempts.
        """
        world, mx = self.lost(HOLD)
        mx.on("dot", SILENCE, times=1)
        world.service.release_held()
        world.advance(60)
        self.assertEqual([held.ambiguous for held in world.service.held()], [2])

    def test_ended(self) -> None:
        """
        Of a message that turned out to have arrived, or to be wanted no more, the operator says so.
        """
        for outcome, kind, verdict, note in (
            ("delivered", "D", Verdict.DELIVERED, SETTLED),
            ("failed", "P", Verdict.PERMANENT, GIVEN_UP),
        ):
            world = self.world(HOLD)
            mx = world.exchanger("example.com")
            mx.on("dot", TAKE_AND_CLOSE, times=1)
            ended: list[list[Outcome]] = []
            world.send(SENDER, [BOB], world.message()).addCallback(ended.append)
            world.advance(30)
            self.assertEqual(ended, [])
            self.assertEqual(self.released(world.service.release_held(outcome=outcome)), 1)
            world.advance(5)
            ((told,),) = ended
            self.assertEqual((told.verdict, told.note, told.ambiguous), (verdict, note, True))
            self.assertEqual((self.kinds(world), len(mx.ledger), world.queued()), ("RT" + kind, 1, 0))
            world.crash()
            world.advance(100)
            self.assertEqual((len(mx.ledger), self.ids(world)), (1, []))

    def test_some(self) -> None:
        """
        Single messages, or those of one domain, are let go; of what nobody holds nothing happens.
        """
        world = self.world(HOLD)
        for domain in ("example.com", "example.net"):
            world.exchanger(domain).on("dot", TAKE_AND_CLOSE, times=2)
        for recipient in (BOB, CAROL, "dave@example.net"):
            self.accept(world, [recipient])
        world.advance(60)
        self.assertEqual(len(self.ids(world)), 3)
        self.assertEqual([held.recipient for held in world.service.held("example.net")], [b"dave@example.net"])
        self.assertEqual(len(world.service.held(limit=2)), 2)
        self.assertEqual(self.released(world.service.release_held(["no such id"])), 0)
        self.assertEqual(self.released(world.service.release_held(domain="example.net", outcome="delivered")), 1)
        first, second = self.ids(world)
        self.assertEqual(self.released(world.service.release_held([first])), 1)
        self.assertEqual(self.ids(world), [second])
        self.assertRaises(ValueError, world.service.release_held, None, None, "banana")
        world.advance(10)

    def test_many(self) -> None:
        """
        Thousands are let go in slices; a stop ends that, and who waits is told how many there were.
        """
        world = self.world(HOLD + "max_recipients_per_batch = 1000\n")
        mx = world.exchanger("example.com")
        mx.on("dot", TAKE_AND_CLOSE, times=1)
        self.accept(world, [f"user{number}@example.com" for number in range(500)])
        world.advance(60)
        self.assertEqual(len(world.service.delivery.held), 500)
        releasing = world.service.release_held(outcome="delivered")
        self.assertNoResult(releasing)
        self.assertEqual(len(world.service.delivery.held), 300)
        world.stop()
        count = self.released(releasing)
        self.assertLess(count, 500)
        world.build()
        world.start()
        world.advance(10)
        self.assertEqual(len(world.service.delivery.held), 500 - count)

    def test_not_reached(self) -> None:
        """
        No flush, no reload, no step of the clock, no blackhole and no forgotten record touches
        what is held; it goes the way that there is when it is released.
        """
        world, mx = self.lost(HOLD)
        other = world.receiver()
        world.service.flush()
        world.advance(100_000)
        world.wall_offset = 10_000.0
        world.advance(100)
        world.reload(HOLD + "blackhole = true\n")
        world.advance(100)
        self.assertEqual(len(self.ids(world)), 1)
        world.reload(HOLD + f'[domain."example.com"]\nroutes = ["{other.address}"]\n')
        world.advance(100)
        self.assertEqual(self.kinds(world), "RT")
        world.service.release_held()
        world.advance(10)
        self.assertEqual((len(mx.ledger), len(other.ledger), self.kinds(world)), (1, 1, "RTD"))

    def test_memory(self) -> None:
        """
        Nothing of a held message stays in memory that need not; looking at it changes nothing of that.
        """
        world, _ = self.lost(HOLD)
        (message,) = world.service.delivery.held
        for _ in range(2):
            self.assertEqual(type(message).__name__, "Packed")
            world.service.held()

    def test_random_story(self) -> None:
        """
        Whatever crashes come, a message in doubt is held once and never arrives twice.
        """
        chance = Random(5)
        for _ in range(10):
            world = self.world(HOLD)
            mx = world.exchanger("example.com")
            mx.on("dot", TAKE_AND_BE_SILENT)
            self.accept(world)
            for _ in range(4):
                world.advance(chance.choice((0.001, 0.004, 0.01, 1.0)))
                if chance.random() < 0.5:
                    world.power_cut()
                else:
                    world.crash()
            world.advance(100)
            self.assertLessEqual(len(mx.ledger), 1)
            self.assertEqual(len(self.ids(world)), 1)
