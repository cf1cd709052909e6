"""
How the demo's injector treats the service.
"""

from collections.abc import Sequence
from random import Random

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.demo import mail
from momentum_tx.demo.injector import Injector

GREETING = b"220 mx ESMTP\r\n"
HELLO = b"250-mx\r\n250 PIPELINING\r\n"
ENVELOPE = b"250 ok\r\n250 ok\r\n354 go\r\n"
TAKEN = b"250 2.0.0 taken\r\n"


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


class InjectorTests(SynchronousTestCase):
    """
    One connection, two messages.
    """

    #: Octets of one chunk; zero leaves the input whole.
    step = 0

    def setUp(self) -> None:
        self.messages = list(mail.messages(2, Random(1), ()))
        self.progress = 0
        self.injector = Injector(iter(self.messages), self.advance)
        self.reactor = MemoryReactorClock()
        self.connect(1)
        self.results: list[None] = []
        self.injector.done.addCallback(self.results.append)

    def connect(self, connections: int) -> None:
        """
        Start, and have the first connection made.
        """
        self.injector.start(self.reactor, 2525, connections)
        self.protocol = self.injector.buildProtocol(None)
        self.transport = _Transport()
        self.protocol.makeConnection(self.transport)

    def advance(self) -> None:
        self.progress += 1

    def said(self, replies: bytes) -> bytes:
        """
        What the injector says to *replies*.
        """
        self.transport.clear()
        step = self.step or len(replies)
        for at in range(0, len(replies), step):
            self.protocol.dataReceived(replies[at : at + step])
        return self.transport.value()

    def ended_with(self, problems: Sequence[str]) -> None:
        """
        Be sure that the injection is over, for these reasons.
        """
        self.assertEqual(self.injector.problems, list(problems))
        self.assertEqual(self.results, [None])
        self.assertTrue(self.transport.disconnecting)

    def test_two_messages(self) -> None:
        """
        Messages go one after the other, count when their 250 is read, and QUIT ends it.
        """
        self.assertEqual(self.said(GREETING), b"EHLO injector.demo.example\r\n")
        recipient = self.messages[0].recipient
        self.assertIn(b"RCPT TO:<%b>\r\nDATA\r\n" % recipient, self.said(HELLO))
        body = self.said(ENVELOPE)
        self.assertTrue(body.endswith(b"\r\n.\r\n"))
        self.assertIn(b"\r\n..\r\n...two dots\r\n", body)
        self.assertEqual(self.injector.injected, {})
        self.assertIn(b"RCPT TO:<%b>" % self.messages[1].recipient, self.said(TAKEN))
        self.assertEqual(self.injector.injected, {recipient: self.messages[0].entry})
        self.said(ENVELOPE)
        self.assertEqual(self.said(TAKEN), b"QUIT\r\n")
        self.assertEqual((self.progress, self.results), (2, []))
        self.said(b"221 bye\r\n")
        self.ended_with([])

    def test_refused(self) -> None:
        """
        A message that is refused is not injected, and the reason is kept.
        """
        self.said(GREETING)
        self.said(HELLO)
        self.said(b"452 4.3.1 full\r\n503 no\r\n503 no\r\n")
        self.ended_with(["the service refused a message: 452 4.3.1 full"])
        self.assertEqual(self.injector.injected, {})

    def test_no_service(self) -> None:
        """
        A greeting that offers nothing ends it.
        """
        self.said(b"421 4.3.2 stopping\r\n")
        self.ended_with(["the service refused the injector: 421 4.3.2 stopping"])

    def test_violation(self) -> None:
        """
        So does what is no reply.
        """
        self.said(GREETING)
        self.said(b"hello yourself\r\n")
        self.assertIn("the service broke the protocol", self.injector.problems[0])
        self.ended_with(self.injector.problems[:1])

    def test_reply_behind_hello(self) -> None:
        """
        A reply that nobody asked for ends it before a message is begun.
        """
        self.step = 0
        self.said(GREETING)
        self.assertEqual(self.said(HELLO + b"250 more\r\n"), b"")
        self.assertIn("the service broke the protocol", self.injector.problems[0])
        self.assertEqual(self.injector.next_message(), self.messages[0])

    def test_lost(self) -> None:
        """
        A connection that is lost early is a problem, told once.
        """
        self.protocol.connectionLost()
        self.assertEqual(self.injector.problems, ["the service closed an injecting connection before it was done"])
        self.assertEqual(self.results, [None])
        self.protocol.connectionLost()
        self.assertEqual(self.results, [None])

    def test_all_connections(self) -> None:
        """
        It is done when the last connection is.
        """
        injector = self.injector = Injector(iter(()), self.advance)
        self.reactor = MemoryReactorClock()
        self.connect(2)
        injector.session_ended("")
        self.assertNoResult(injector.done)
        injector.session_ended("")
        self.successResultOf(injector.done)

    def test_stop(self) -> None:
        """
        Stopping drops the connections, hands out nothing more, and is no problem.
        """
        self.injector.stop()
        self.assertTrue(self.transport.aborting)
        self.assertIsNone(self.injector.next_message())
        self.protocol.connectionLost()
        self.assertEqual(self.injector.problems, [])


class OctetsTests(InjectorTests):
    """
    The same, one octet at a time.
    """

    step = 1
