"""
Tests for :mod:`momentum_tx.policy.networks`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.networks import MAX_KNOWN, Networks


class NetworksTests(SynchronousTestCase):
    """
    Who may relay.
    """

    def test_members(self) -> None:
        """
        Addresses of the networks are in, others are not, of both families.
        """
        networks = Networks(["127.0.0.0/8", "2001:db8::/32", "192.0.2.7"])
        for address in ("127.0.0.1", "127.255.0.1", "2001:db8::1", "192.0.2.7", "::ffff:127.0.0.9"):
            self.assertIn(address, networks)
        for address in ("128.0.0.1", "2001:db9::1", "192.0.2.8", "::1", "::ffff:192.0.2.8"):
            self.assertNotIn(address, networks)

    def test_no_smuggled_membership(self) -> None:
        """
        An IPv6 client does not become a trusted one because its address could
        be read as carrying one of 127.0.0.1 (6to4, NAT64, compatible form).
        """
        networks = Networks(["127.0.0.0/8"])
        for address in ("2002:7f00:1::1", "64:ff9b::7f00:1", "::7f00:1", "", "localhost", "127.0.0.1.example"):
            self.assertNotIn(address, networks)

    def test_bounded_memory(self) -> None:
        """
        Any number of clients may ask.
        """
        networks = Networks(["10.0.0.0/8"])
        for number in range(MAX_KNOWN + 10):
            self.assertIn(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", networks)
        self.assertLessEqual(len(networks._known), MAX_KNOWN)

    def test_nonsense(self) -> None:
        """
        Text that is no network is refused.
        """
        self.assertRaises(ValueError, Networks, ["10.0.0.0/40"])
