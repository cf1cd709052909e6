"""
What one end of a virtual connection knows of it.
"""

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.end import End


class EndTests(SynchronousTestCase):
    """
    Addresses and options.
    """

    def test_addresses(self) -> None:
        """
        Both addresses are Twisted's, of either family, each time the same.
        """
        end = End(("192.0.2.1", 40000), ("198.51.100.7", 25), ("198.51.100.7", 25))
        self.assertEqual(end.getHost(), IPv4Address("TCP", "192.0.2.1", 40000))
        self.assertEqual(end.getPeer(), IPv4Address("TCP", "198.51.100.7", 25))
        end = End(("2001:db8::1", 25), ("2001:db8::2", 40000), ("2001:db8::1", 25))
        for _ in range(2):
            self.assertEqual(end.getHost(), IPv6Address("TCP", "2001:db8::1", 25))
            self.assertEqual(end.getPeer(), IPv6Address("TCP", "2001:db8::2", 40000))

    def test_options(self) -> None:
        """
        Options are off until they are set, and can be told.
        """
        end = End(("192.0.2.1", 1), ("192.0.2.2", 2), ("192.0.2.2", 2))
        self.assertEqual((end.getTcpNoDelay(), end.getTcpKeepAlive()), (False, False))
        end.setTcpNoDelay(True)
        self.assertEqual((end.getTcpNoDelay(), end.no_delay, end.getTcpKeepAlive()), (True, True, False))
        end.setTcpKeepAlive(True)
        self.assertTrue(end.getTcpKeepAlive())
