"""
One transaction: what it says to the peer, and what of it is remembered.
"""

from momentum_tx.testing.peers import CLOSE, RESET, Step

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
