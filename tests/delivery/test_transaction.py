"""
One transaction: what it says to the peer, and what of it is remembered.
"""

from typing import Any

from momentum_tx.delivery.transaction import Transaction
from momentum_tx.testing.peers import CLOSE, RESET, SILENCE, Step

from ..worlds import BOB, SENDER, WorldCase

CAROL = "carol@example.com"
NO_UTF8 = "553 5.6.7 [internal] SMTPUTF8 required but not advertised"


class ParameterTests(WorldCase):
    """
    What follows the path in MAIL.
    """

    def mail_line(self, sender: str, recipients: list[str], content: bytes, extensions: list[bytes]) -> bytes:
        """
        The MAIL command of a message at a peer with *extensions*.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.extensions = extensions
        world.send(sender, recipients, content)
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)
        return next(line for _, line in mx.commands if line.startswith(b"MAIL"))

    def test_plain(self) -> None:
        """
        Nothing for a plain message, whatever is offered.
        """
        content = b"Subject: x\r\n\r\nx\r\n"
        for extensions in ([], [b"8BITMIME", b"SMTPUTF8", b"CHUNKING", b"DSN"]):
            self.assertEqual(self.mail_line(SENDER, [BOB], content, extensions), b"MAIL FROM:<a@sender.example>")

    def test_size(self) -> None:
        """
        The size where SIZE is offered, that of what is sent.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.size = 100_000
        world.send(SENDER, [BOB], world.message())
        world.advance(1)
        line = next(line for _, line in mx.commands if line.startswith(b"MAIL"))
        self.assertEqual(line, b"MAIL FROM:<a@sender.example> SIZE=%d" % len(mx.ledger[0].content))

    def test_eight_bit(self) -> None:
        """
        BODY=8BITMIME for octets above 127 where it is offered; where it is not
        the message is sent as it is.
        """
        content = "Subject: x\r\n\r\ngrüß\r\n".encode()
        line = self.mail_line(SENDER, [BOB], content, [b"8BITMIME"])
        self.assertEqual(line, b"MAIL FROM:<a@sender.example> BODY=8BITMIME")
        self.assertEqual(self.mail_line(SENDER, [BOB], content, []), b"MAIL FROM:<a@sender.example>")

    def test_smtputf8(self) -> None:
        """
        SMTPUTF8 for addresses that need it.
        """
        line = self.mail_line(SENDER, ["jürgen@example.com"], b"\r\nx\r\n", [b"SMTPUTF8", b"8BITMIME"])
        self.assertEqual(line, b"MAIL FROM:<a@sender.example> SMTPUTF8")

    def test_smtputf8_not_offered(self) -> None:
        """
        Without the offer a message that needs it is given up, unsent, and the
        session goes on.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.extensions = []
        for number in range(3):
            world.send(SENDER, [f"jürgen{number}@example.com"], world.message())
        world.send(SENDER, [BOB], world.message())
        world.advance(2)
        self.assertEqual([record["note"] for record in world.mainlog("P")], [NO_UTF8] * 3)
        self.assertEqual(self.taken(mx), [BOB.encode()])


class CountTests(WorldCase):
    """
    What is counted.
    """

    def test_attempts(self) -> None:
        """
        Attempts, transients, deliveries and failures of a domain are messages.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.refuse[CAROL] = b"550 5.1.1 No"
        mx.refuse["dave@example.com"] = b"451 4.2.1 Later"
        self.accept(world, [BOB, CAROL, "dave@example.com"])
        world.advance(1)
        dr = world.domain("example.com")
        self.assertEqual((dr.attempts, dr.deliveries, dr.failures, dr.transients, dr.in_flight), (3, 1, 1, 1, 0))

    def test_given_back(self) -> None:
        """
        A transaction that ends before anything was answered, on a connection
        that served before, was no attempt.
        """
        world = self.world("[global]\nidle_timeout = 60\n")
        mx = world.exchanger("example.com")
        self.accept(world, subject="one")
        world.advance(1)
        mx.on("MAIL", CLOSE, times=1)
        self.accept(world, subject="two")
        world.advance(1)
        dr = world.domain("example.com")
        self.assertEqual((dr.attempts, dr.deliveries, dr.transients), (2, 2, 0))


class RefusedBodyTests(WorldCase):
    """
    Bodies that are refused while they are sent.
    """

    def refused(self, step: Step) -> None:
        """
        The peer does *step* at the first octets of a large body: the message
        has one end, and the peer never sees its dot.
        """
        world = self.world("[global]\nretry_interval = 600\n")
        mx = world.exchanger("example.com")
        world.network.line(mx.address).window = 10_000
        mx.on("body", step, times=1)
        sending = world.send(SENDER, [BOB], world.message(body="0123456789\r\n" * 50_000))
        world.advance(30)
        self.assertEqual(mx.ledger, [])
        self.assertEqual(mx.open, [])
        final = isinstance(step, bytes) and step[:1] == b"5"
        self.assertEqual(self.last(world, "P" if final else "T")["stage"], "8")
        world.advance(1300)
        (outcome,) = self.successResultOf(sending)
        self.assertFalse(outcome.ambiguous)
        self.assertEqual(len(mx.ledger), 0 if final else 1)

    def test_permanent(self) -> None:
        """
        552 in the middle.
        """
        self.refused(b"552 5.2.3 Too long")

    def test_transient(self) -> None:
        """
        452 in the middle.
        """
        self.refused(b"452 4.3.1 Full")

    def test_dismissed(self) -> None:
        """
        421 in the middle.
        """
        self.refused(b"421 4.3.2 Going down")

    def test_reset(self) -> None:
        """
        A reset in the middle.
        """
        self.refused(RESET)


class KeepingTests(WorldCase):
    """
    What goes wrong in between.
    """

    def test_fault_while_settling(self) -> None:
        """
        An unforeseen fault while one recipient is settled keeps that message,
        and the others of the transaction are settled all the same.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        settlement = world.service.delivery.settlement
        delivered = settlement.delivered
        faults: list[Any] = []

        def broken(message: Any, note: bytes, now: float) -> None:
            if message.recipient == BOB.encode() and not faults:
                faults.append(message)
                raise RuntimeError("a fault nobody foresaw")
            delivered(message, note, now)

        self.patch(settlement, "delivered", broken)
        self.accept(world, [BOB, CAROL])
        world.advance(5)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.kinds(world), "RRD")
        world.advance(1300)
        self.assertEqual(self.kinds(world), "RRDD")
        self.assertEqual(sorted(self.taken(mx)), [BOB.encode(), BOB.encode(), CAROL.encode()])

    def test_no_dot_is_not_ambiguous(self) -> None:
        """
        A message given back after its intent was recorded, because no dot was
        sent, is not ambiguous after a crash.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        transactions = []
        begin = Transaction.begin

        def watched(transaction: Transaction) -> None:
            transactions.append(transaction)
            begin(transaction)

        self.patch(Transaction, "begin", watched)
        mx.on("DATA", SILENCE)
        self.accept(world)
        world.advance(1)
        (transaction,) = transactions
        transaction.intended = True
        world.service.spool.intent(transaction.messages, lambda error: None)
        world.advance(0.01)
        transaction.give_back()
        world.advance(1)
        world.crash()
        world.advance(1)
        (message,) = transactions[-1].messages
        self.assertIsNot(message, transaction.messages[0])
        self.assertEqual(message.ambiguous, 0)

    def test_many_recipients_in_many_domains(self) -> None:
        """
        Recipients share transactions by domain, as many as one may hold, and
        nobody gets a copy too many.
        """
        world = self.world("[global]\nmax_recipients_per_batch = 7\n")
        receivers = [world.exchanger(f"d{number}.example") for number in range(5)]
        recipients = [f"u{number}@d{number % 5}.example" for number in range(100)]
        self.accept(world, recipients)
        world.advance(5)
        self.assertEqual(self.kinds(world).count("D"), 100)
        for number, mx in enumerate(receivers):
            self.assertLessEqual(max(len(taken.recipients) for taken in mx.ledger), 7)
            expected = sorted(each.encode() for each in recipients if each.endswith(f"@d{number}.example"))
            self.assertEqual(sorted(self.taken(mx)), expected)
