"""
One message after the other on a connection: the next behind the final dot of the one
before, where an operator wants that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ISmtpClientMailfromArgs
from momentum_tx.queues.message import Message
from momentum_tx.testing.peers import CLOSE, SILENCE, Answer, Receiver
from momentum_tx.testing.world import World

from ..worlds import WorldCase

COMMON = "[global]\nmax_outbound_connections = 1\nretry_interval = 60\nhost_failure_retry = 1\nidle_timeout = 60\n"
OVERLAP = COMMON + "overlap_transactions = true\n"
#: Nothing is said to a dot, whether the message was taken or not.
FORGET = Answer(b"", take=True)
FORBIDDEN = "451 4.4.2 [internal] MAIL FROM argument hook failed"
LOSE = Answer(b"", take=False)


@implementer(ISmtpClientMailfromArgs)
class Forbidding:
    """
    Will have nothing said of mail for somebody.
    """

    def __init__(self, recipient: bytes) -> None:
        self.recipient = recipient

    def smtp_client_mailfrom_args(self, session: Any, args: Any) -> Any:
        return session.message.recipient == self.recipient


class OverlapCase(WorldCase):
    """
    An exchanger far away, and some mail for it at once.
    """

    def several(
        self, config: str = OVERLAP, count: int = 4, providers: Sequence[object] = ()
    ) -> tuple[World, Receiver]:
        """
        A world with so many messages, to a recipient each, that are not attempted yet.
        """
        world = self.world(config + "suspend_delivery = true\n", providers=providers)
        mx = world.exchanger("example.com")
        world.network.line(mx.address).latency = 1.0
        for number in range(count):
            self.accept(world, [f"user{number}@example.com"], subject=f"message {number}")
        self.config = config
        return world, mx

    def go(self, world: World, seconds: float) -> None:
        """
        Let delivery begin, and time pass.
        """
        world.reload(self.config)
        world.advance(seconds)

    def waiting(self, world: World) -> list[Message]:
        """
        What is in the queue.
        """
        return list(world.domain("example.com").mail_queue.messages())


class OverlapTests(OverlapCase):
    """
    A peer that answers everything in its order.
    """

    def test_a_round_trip_less(self) -> None:
        """
        Each message but the first takes one round trip instead of two; all arrive once, over one connection.
        """
        for config, seconds in ((COMMON, 4.0), (OVERLAP, 2.0)):
            world, mx = self.several(config)
            self.go(world, 60)
            times = [taken.at for taken in mx.ledger]
            apart = [round(after - before, 1) for before, after in pairwise(times)]
            self.assertEqual(apart, [seconds] * 3)
            self.assertEqual((mx.connections, self.kinds(world)), (1, "RRRRDDDD"))
            self.assertEqual(len(set(self.taken(mx))), 4)

    def test_not_offered(self) -> None:
        """
        Without PIPELINING nothing overlaps.
        """
        world, mx = self.several()
        mx.pipelining = False
        self.go(world, 120)
        self.assertEqual((len(mx.ledger), self.kinds(world)), (4, "RRRRDDDD"))
        heard: list[float] = [taken.at for taken in mx.ledger]
        self.assertGreater(heard[1] - heard[0], 4.0)

    def test_refusals(self) -> None:
        """
        Who is refused is refused, and nobody else.
        """
        for point, recipients, kinds in (("RCPT", "user1", "DPDD"), ("MAIL", "", "DPDD"), ("dot", "", "DPDD")):
            world, mx = self.several()
            if recipients:
                mx.refuse[f"{recipients}@example.com"] = b"550 5.1.1 Nobody"
            else:
                mx.on(point, b"550 5.7.1 No", times=1, skip=1)
            self.go(world, 120)
            self.assertEqual("".join(record.kind for record in world.mainlog("DTP")), kinds, point)
            self.assertEqual((len(mx.ledger), mx.connections), (3, 1))

    def test_limits(self) -> None:
        """
        What a connection may carry counts the message whose reply is awaited.
        """
        for option in ("max_deliveries_per_connection", "max_recipients_per_connection"):
            world, mx = self.several(OVERLAP + f"{option} = 2\n")
            self.go(world, 200)
            self.assertEqual((len(mx.ledger), mx.connections, mx.most_messages), (4, 2, 2))
            self.assertEqual(self.kinds(world), "RRRRDDDD")

    def test_batches_stay(self) -> None:
        """
        Recipients of one message go together, and not behind a dot.
        """
        world, mx = self.several(count=1)
        self.accept(world, ["one@example.com", "two@example.com"])
        self.go(world, 60)
        self.assertEqual([len(taken.recipients) for taken in mx.ledger], [1, 2])

    def test_hook_that_forbids(self) -> None:
        """
        Where a hook will have nothing said of a message, that one waits, and the others
        go on.
        """
        forbidden = Forbidding(b"user1@example.com")
        world, mx = self.several(providers=[forbidden])
        self.go(world, 50)
        self.assertEqual(self.kinds(world).count("D"), 3)
        self.assertEqual([record["note"] for record in world.mainlog("T")][:1], [FORBIDDEN])
        forbidden.recipient = b""
        world.advance(100)
        self.assertEqual(len(set(self.taken(mx))), 4)
        self.assertEqual(self.waiting(world), [])

    def test_stop(self) -> None:
        """
        A stop lets both end that were begun, and begins no further one.
        """
        world, mx = self.several()
        self.go(world, 0)
        world.until(lambda: len(mx.ledger) == 1)
        world.stop()
        taken = len(mx.ledger)
        self.assertLess(taken, 4)
        self.assertEqual(self.kinds(world), "RRRR" + "D" * taken)
        world.build()
        world.start()
        world.advance(100)
        self.assertEqual((len(mx.ledger), self.kinds(world)), (4, "RRRRDDDD"))


class DoubtTests(OverlapCase):
    """
    A peer that does not.
    """

    def test_reply_forgotten(self) -> None:
        """
        A peer that says nothing to a dot: whether it has the message or not, it is tried again and known to
        be in doubt.  What was begun behind it is not: it counts no attempt.  For an hour nothing overlaps there.
        """
        for step, copies in ((FORGET, 2), (LOSE, 1)):
            with self.subTest(copies=copies):
                world, mx = self.several()
                mx.on("dot", step, times=1)
                self.go(world, 0)
                world.until(lambda world=world: "T" in self.kinds(world))  # type: ignore[misc]
                self.assertTrue(self.last(world, "T")["note"].startswith("451 4.5.0 [internal] protocol error"))
                doubts = {
                    message.recipient: (message.ambiguous, message.num_retries) for message in self.waiting(world)
                }
                self.assertEqual(doubts[b"user0@example.com"], (1, 1))
                self.assertEqual(set(doubts.values()), {(1, 1), (0, 0)})
                world.advance(400)
                self.assertEqual(world.queued(), 0)
                self.assertEqual(self.taken(mx).count(b"user0@example.com"), copies)
                for number in (1, 2, 3):
                    self.assertEqual(self.taken(mx).count(b"user%d@example.com" % number), 1)
                times = [taken.at for taken in mx.ledger[-3:]]
                self.assertGreaterEqual(times[1] - times[0], 3.9)

    def test_ends(self) -> None:
        """
        421, an end or silence behind the dot leave the first in doubt, though it may have been
        accepted before; the second is tried by another connection at once.
        """
        for step in (b"421 4.3.2 Enough", CLOSE, SILENCE):
            with self.subTest(step=step):
                world, mx = self.several(OVERLAP + "body_timeout = 20\nmailfrom_timeout = 20\n", 2)
                mx.on("MAIL", step, times=1, skip=1)
                self.go(world, 300)
                kinds = "".join(record.kind for record in world.mainlog("DTP"))
                # A host that was silent is left alone for a moment, and the second waits for that.
                self.assertEqual(kinds, "TTDD" if step is SILENCE else "TDD")
                self.assertEqual(
                    sorted(self.taken(mx)), [b"user0@example.com", b"user0@example.com", b"user1@example.com"]
                )

    def test_crash(self) -> None:
        """
        Of what was begun behind a dot no intent is on record: after a crash only the first is in doubt.
        """
        world, mx = self.several(count=2)
        mx.on("dot", SILENCE, times=1)
        self.go(world, 20)
        self.assertEqual(mx.ledger, [])
        world.crash()
        world.until(lambda: world.queued() == 2)
        counts = {message.recipient: message.ambiguous for message in self.waiting(world)}
        self.assertEqual(counts, {b"user0@example.com": 1, b"user1@example.com": 0})
        world.advance(300)
        self.assertEqual(len(mx.ledger), 2)

    def test_held(self) -> None:
        """
        Where mail in doubt is held, the first is, and the second goes its way.
        """
        world, mx = self.several(OVERLAP + 'lost_final_reply = "hold"\n', 2)
        mx.on("dot", FORGET, times=1)
        self.go(world, 300)
        self.assertEqual([held.recipient for held in world.service.held()], [b"user0@example.com"])
        self.assertEqual(sorted(self.taken(mx)), [b"user0@example.com", b"user1@example.com"])

    def test_assumed(self) -> None:
        """
        Where mail in doubt counts as delivered, that is not so if what stood in the place of the dot's reply was no
        acceptance: it is tried again.
        """
        for dot, behind, taken in (
            (b"421 4.3.2 Enough", None, True),
            (b"451 4.3.0 Later", CLOSE, True),
            (b"554 5.7.1 Not you", b"421 4.3.2 Enough", True),
            (None, CLOSE, False),
        ):
            with self.subTest(dot=dot):
                world, mx = self.several(OVERLAP + 'lost_final_reply = "assume_delivered"\n', 2)
                if dot is not None:
                    mx.on("dot", dot, times=1)
                if behind is not None:
                    mx.on("MAIL", behind, times=1, skip=1)
                self.go(world, 300)
                self.assertEqual((world.queued(), self.kinds(world)), (0, "RRTDD" if taken else "RRDD"))
                self.assertEqual(sorted(self.taken(mx)), [b"user0@example.com", b"user1@example.com"])

    def test_lost_as_ever(self) -> None:
        """
        Where nothing overlaps an end behind the dot's reply harms nobody.
        """
        world, mx = self.several(COMMON, 2)
        mx.on("MAIL", CLOSE, times=1, skip=1)
        self.go(world, 300)
        self.assertEqual(self.kinds(world), "RRDD")
