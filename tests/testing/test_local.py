"""
Tests of :mod:`momentum_tx.testing.local`.
"""

from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.testing.local import LocalClient, LocalPort


class Echo(LineReceiver):
    """
    Says every line again.
    """

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(line)


class LocalPortTests(SynchronousTestCase):
    """
    A socket and a client.
    """

    def test_life(self) -> None:
        """
        It is there from the start to the stop, and does not take another one's place away.
        """
        ports: dict[str, LocalPort] = {}
        factory = Factory.forProtocol(Echo)
        port = LocalPort("/run/echo", factory, ports)
        verifyObject(IListeningPort, port)
        port.startListening()
        later = LocalPort("/run/echo", factory, ports)
        later.startListening()
        port.stopListening()
        self.assertEqual(ports, {"/run/echo": later})
        later.stopListening()
        self.assertEqual(ports, {})
        self.assertEqual(port.getHost().name, b"/run/echo")

    def test_client(self) -> None:
        """
        What is said is heard, and what is answered is read once.
        """
        client = LocalClient(LocalPort("/run/echo", Factory.forProtocol(Echo), {}))
        client.write(b"one\r\ntwo\r\n")
        self.assertEqual((client.read(), client.read()), (b"one\r\ntwo\r\n", b""))
