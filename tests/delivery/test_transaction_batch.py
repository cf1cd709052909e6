"""
Transactions of many recipients, with peers that take fewer at once.
"""

from momentum_tx.testing.behaviours import RecipientCap
from momentum_tx.testing.peers import CLOSE, TAKE_AND_CLOSE, Receiver, ReceiverSession
from momentum_tx.testing.world import World

from ..worlds import WorldCase

#: One connection, so that whoever takes what is seen; nobody is tried twice within a test.
ONE = "[global]\nmax_outbound_connections = 1\nretry_interval = 6000\nidle_timeout = 60\n"
SEVEN = [f"user{number}@example.com" for number in range(7)]


class BatchCase(WorldCase):
    """
    What is counted at the receiver.
    """

    def asked(self, mx: Receiver, connection: int = 0) -> list[int]:
        """
        RCPT commands of each transaction, on one connection or on all.
        """
        counts: list[int] = []
        for verb in self.verbs(mx, connection):
            if verb == b"MAIL":
                counts.append(0)
            elif verb == b"RCPT":
                counts[-1] += 1
        return counts


class LimitTests(BatchCase):
    """
    Limits of a transaction and of a connection, to the message.
    """

    def test_batch(self) -> None:
        """
        ``max_recipients_per_batch`` recipients go in one transaction, one more in a second.
        """
        for count, asked in ((3, [3]), (4, [3, 1])):
            world = self.world(ONE + "max_recipients_per_batch = 3\n")
            mx = world.exchanger("example.com")
            self.accept(world, SEVEN[:count])
            world.advance(1)
            self.assertEqual((self.asked(mx), mx.connections), (asked, 1))

    def test_recipients_of_connection(self) -> None:
        """
        ``max_recipients_per_connection`` counts RCPT commands, refused ones included;
        at the limit the session leaves, below it the session waits for more.
        """
        world = self.world(ONE + "max_recipients_per_connection = 3\n")
        mx = world.exchanger("example.com")
        mx.refuse[SEVEN[0]] = b"550 5.1.1 No such user"
        for recipients, connections, open_ones in (
            (SEVEN[:1], 1, 1),
            (SEVEN[:1], 1, 1),
            (SEVEN[1:2], 1, 0),
            (SEVEN[2:3], 2, 1),
        ):
            self.accept(world, recipients)
            world.advance(1)
            self.assertEqual((mx.connections, len(mx.open)), (connections, open_ones))
        self.assertEqual(self.verbs(mx, 1)[-1], b"QUIT")

    def test_no_room_for_a_batch(self) -> None:
        """
        A transaction is cut to what ``max_recipients_per_connection`` has left.
        """
        world = self.world(ONE + "max_recipients_per_connection = 3\n")
        mx = world.exchanger("example.com")
        self.accept(world, SEVEN[:2])
        world.advance(1)
        self.accept(world, SEVEN[:3])
        world.advance(1)
        self.assertEqual((self.asked(mx, 1), self.asked(mx, 2)), ([2, 1], [2]))

    def test_deliveries_of_connection(self) -> None:
        """
        ``max_deliveries_per_connection`` counts deliveries and no failures; each
        recipient is one.
        """
        world = self.world(ONE + "max_deliveries_per_connection = 3\n")
        mx = world.exchanger("example.com")
        mx.refuse[SEVEN[0]] = b"550 5.1.1 No such user"
        mx.refuse[SEVEN[1]] = b"451 4.2.1 Later"
        for recipients, connections, open_ones in (
            (SEVEN[:1], 1, 1),
            (SEVEN[1:2], 1, 1),
            (SEVEN[:3], 1, 1),
            (SEVEN[:2], 1, 1),
            (SEVEN[3:4], 1, 1),
            (SEVEN[4:5], 1, 0),
            (SEVEN[5:6], 2, 1),
        ):
            self.accept(world, recipients)
            world.advance(1)
            self.assertEqual((mx.connections, len(mx.open)), (connections, open_ones))


class TooManyTests(BatchCase):
    """
    "Too many recipients", said by a peer that has accepted some.
    """

    def capped(
        self, most: int, reply: bytes = b"452 4.5.3 Too many recipients", config: str = ONE
    ) -> tuple[World, Receiver]:
        """
        A world with a receiver that takes *most* recipients at once.
        """
        world = self.world(config)
        mx = world.exchanger("example.com")
        mx.add(RecipientCap(most, reply))
        return world, mx

    def test_next_transaction(self) -> None:
        """
        Those beyond what the peer takes go in the next transactions at once, on the
        same connection; nothing has failed, and no retry is counted.
        """
        for reply in (b"452 4.5.3 Too many recipients", b"452 Enough", b"552 Too many recipients"):
            world, mx = self.capped(3, reply)
            self.accept(world, SEVEN)
            world.advance(1)
            self.assertEqual(self.kinds(world), "RRRRRRRDDDDDDD")
            self.assertEqual(
                [(taken.connection, len(taken.recipients)) for taken in mx.ledger], [(1, 3), (1, 3), (1, 1)]
            )
            self.assertEqual(sorted(self.taken(mx)), [each.encode() for each in SEVEN])
            dr = world.domain("example.com")
            self.assertEqual((dr.attempts, dr.deliveries, dr.transients, dr.in_flight), (7, 7, 0, 0))

    def test_remembered(self) -> None:
        """
        The session asks for no more at once than the peer was seen to take, and a new
        one finds out for itself.
        """
        world, mx = self.capped(3)
        self.accept(world, SEVEN)
        world.advance(1)
        self.accept(world, SEVEN[:5])
        world.advance(1)
        self.assertEqual(self.asked(mx), [7, 3, 1, 3, 2])
        world.advance(100)
        self.accept(world, SEVEN[:5])
        world.advance(1)
        self.assertEqual((self.asked(mx)[5:], mx.connections), ([5, 2], 2))

    def test_refused_ones_do_not_count(self) -> None:
        """
        What is remembered is how many were accepted, whoever was refused between them.
        """
        world, mx = self.capped(3)
        mx.refuse[SEVEN[1]] = b"550 5.1.1 No such user"
        self.accept(world, SEVEN)
        world.advance(1)
        self.assertEqual(self.asked(mx), [7, 3])
        self.assertEqual((self.kinds(world).count("P"), self.kinds(world).count("D")), (1, 6))

    def test_none_accepted(self) -> None:
        """
        A peer that accepts nobody has failed for now, whatever it says.
        """
        world, mx = self.capped(0)
        self.accept(world, SEVEN)
        world.advance(1)
        self.assertEqual(self.kinds(world), "RRRRRRRTTTTTTT")
        self.assertEqual(self.asked(mx), [7])

    def test_mailbox_full(self) -> None:
        """
        452 with the status of a full mailbox is about that recipient.
        """
        world = self.world(ONE)
        mx = world.exchanger("example.com")
        mx.refuse[SEVEN[6]] = b"452 4.2.2 Mailbox full"
        self.accept(world, SEVEN)
        world.advance(1)
        self.assertEqual((self.asked(mx), self.kinds(world).count("T")), ([7], 1))

    def test_message_refused(self) -> None:
        """
        What becomes of those that were accepted is not the business of the others:
        they are asked for even if the message was refused.
        """
        world, mx = self.capped(3)
        mx.on("dot", b"554 5.7.1 Spam", times=1)
        self.accept(world, SEVEN)
        world.advance(1)
        self.assertEqual((self.kinds(world).count("P"), self.kinds(world).count("D")), (3, 4))
        self.assertEqual(self.verbs(mx).count(b"RSET"), 1)

    def test_connection_lost(self) -> None:
        """
        When the connection is lost behind the dot, it is not known whether those have
        it who were accepted; the others go on another connection at once.
        """
        for step in (CLOSE, TAKE_AND_CLOSE):
            world, mx = self.capped(3)
            mx.on("dot", step, times=1)
            self.accept(world, SEVEN)
            world.advance(1)
            self.assertEqual((self.kinds(world).count("T"), self.kinds(world).count("D")), (3, 4))
            doubtful = [m.recipient.decode() for m in world.domain("example.com").mail_queue.messages() if m.ambiguous]
            self.assertEqual(sorted(doubtful), SEVEN[:3])

    def test_one_at_a_time(self) -> None:
        """
        A peer without PIPELINING that takes one recipient gets one transaction for
        each, and a hundred of them come to an end.
        """
        world, mx = self.capped(1, b"452 One is enough")
        mx.pipelining = False
        self.accept(world, [f"user{number}@example.com" for number in range(100)])
        world.advance(60)
        self.assertEqual((len(mx.ledger), mx.connections, self.kinds(world)), (100, 1, "R" * 100 + "D" * 100))
        self.assertEqual(self.asked(mx), [100, *[1] * 99])

    def test_limits_of_a_connection(self) -> None:
        """
        Every RCPT command counts for ``max_recipients_per_connection``, also one that
        was too many.
        """
        world, mx = self.capped(3, config=ONE + "max_recipients_per_connection = 7\n")
        self.accept(world, SEVEN)
        world.advance(1)
        self.assertEqual([(taken.connection, len(taken.recipients)) for taken in mx.ledger], [(1, 3), (2, 3), (2, 1)])

    def test_stopping(self) -> None:
        """
        A service that is stopping asks for nobody else; they wait for the next one.
        """
        world, mx = self.capped(3)

        def stop(session: ReceiverSession, line: bytes) -> None:
            world.service.stopService()

        mx.on("dot", stop, times=1)
        self.accept(world, SEVEN)
        world.advance(60)
        self.assertEqual(self.asked(mx), [7])
        world.build()
        world.start()
        world.advance(1)
        self.assertEqual(sorted(self.taken(mx)), [each.encode() for each in SEVEN])
