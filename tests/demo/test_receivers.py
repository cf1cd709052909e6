"""
How the demo's receivers treat a client.
"""

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.demo import mail
from momentum_tx.demo.receivers import Receiver


class _Transport(StringTransport):
    """
    Knows that it was aborted.
    """

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        As a socket.
        """

    def abortConnection(self) -> None:
        self.aborting = True


class ReceiverTests(SynchronousTestCase):
    """
    One receiver, one session.
    """

    #: Octets of one chunk; zero leaves the input whole.
    step = 0

    def session(self, kind: mail.ReceiverKind, drop_every: int = 0) -> None:
        """
        Connect to a receiver.
        """
        self.receiver = Receiver(kind, lambda: 42.0, drop_every)
        self.transport = _Transport()
        self.protocol = self.receiver.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.codes(b"EHLO me\r\n")

    def codes(self, data: bytes) -> list[int]:
        """
        The reply codes to *data*.
        """
        self.transport.clear()
        step = self.step or len(data)
        for at in range(0, len(data), step):
            self.protocol.dataReceived(data[at : at + step])
        lines = self.transport.value().split(b"\r\n")
        return [int(line[:3]) for line in lines if line[3:4] == b" "]

    def send(self, *recipients: bytes) -> list[int]:
        """
        The reply codes to a whole transaction.
        """
        text = b"MAIL FROM:<a@x>\r\n" + b"".join(b"RCPT TO:<%b>\r\n" % each for each in recipients)
        codes = self.codes(text + b"DATA\r\n")
        return codes + self.codes(b"A: b\r\n\r\n..\r\n.\r\n") if codes[-1] == 354 else codes + self.codes(b"RSET\r\n")

    def test_good(self) -> None:
        """
        It takes everything, and its ledger says when, for whom, and what.
        """
        self.session(mail.GOOD)
        self.assertEqual(self.send(b"b@good.demo", b"c@good.demo"), [250, 250, 250, 354, 250])
        ledger = self.receiver.ledger
        digest = mail.digest(b".\r\n")
        self.assertEqual(ledger.taken, {b"b@good.demo": [digest], b"c@good.demo": [digest]})
        self.assertEqual((ledger.first, ledger.last), (42.0, 42.0))

    def test_greylisting(self) -> None:
        """
        The first try of each recipient is refused for now, the second is taken.
        """
        self.session(mail.GREY)
        self.assertEqual(self.send(b"b@grey.demo")[:2], [250, 451])
        self.assertEqual(self.receiver.ledger.taken, {})
        self.assertEqual(self.send(b"b@grey.demo"), [250, 250, 354, 250])
        self.assertEqual(self.send(b"c@grey.demo")[:2], [250, 451])

    def test_picky(self) -> None:
        """
        Unknown mailboxes are refused for ever.
        """
        self.session(mail.PICKY)
        self.assertEqual(self.send(b"unknown-1@picky.demo", b"b@picky.demo"), [250, 550, 250, 354, 250])
        self.assertEqual(list(self.receiver.ledger.taken), [b"b@picky.demo"])

    def test_dropping(self) -> None:
        """
        The dishonest receiver says 250 to everything, and forgets every second message.
        """
        self.session(mail.GOOD, 2)
        for number in range(4):
            self.assertEqual(self.send(b"%d@good.demo" % number)[-1], 250)
        self.assertEqual(list(self.receiver.ledger.taken), [b"0@good.demo", b"2@good.demo"])

    def test_quit(self) -> None:
        """
        QUIT is answered and ends the session.
        """
        self.session(mail.GOOD)
        self.assertEqual(self.codes(b"QUIT\r\n"), [221])
        self.assertTrue(self.transport.disconnecting)

    def test_close(self) -> None:
        """
        Closing the receiver drops the sessions that are open, and no others.
        """
        self.session(mail.GOOD)
        self.receiver.close()
        self.assertTrue(self.transport.aborting)
        self.protocol.connectionLost()
        self.assertEqual(self.receiver.sessions, set())


class OctetsTests(ReceiverTests):
    """
    The same, one octet at a time.
    """

    step = 1
