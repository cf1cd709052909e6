"""
Tests for :mod:`momentum_tx.policy.prohibited`.
"""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.prohibited import MAX_KNOWN, ProhibitedHosts
from momentum_tx.settings import DEFAULT_PROHIBITED_HOSTS


class DefaultTests(SynchronousTestCase):
    """
    The list that holds when nobody wrote one.
    """

    def setUp(self) -> None:
        self.hosts = ProhibitedHosts(DEFAULT_PROHIBITED_HOSTS)

    def test_places_no_mail_may_lead_to(self) -> None:
        """
        Loopback, unspecified, broadcast, multicast, metadata and private
        addresses are refused, as are their neighbours in the same ranges.
        """
        for address in (
            "127.0.0.1",
            "127.0.0.9",
            "127.255.255.255",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "169.254.169.254",
            "10.1.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "::",
            "::1",
            "0:0:0:0:0:0:0:1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fe80::1%eth0",
            "ff02::1",
        ):
            self.assertTrue(self.hosts.prohibits(address), address)

    def test_the_internet(self) -> None:
        """
        Public addresses pass, those just outside the ranges included.
        """
        for address in (
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "223.255.255.255",
            "198.51.100.7",
            "2001:db8::25",
            "2a00:1450::1b",
            "::2",
            "fbff::1",
            "fec0::1",
        ):
            self.assertFalse(self.hosts.prohibits(address), address)

    def test_ipv4_in_disguise(self) -> None:
        """
        An IPv4 address does not become harmless by being written as mapped,
        NAT64, 6to4 or compatible IPv6; a public one passes in each form.
        """
        for address in (
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "0:0:0:0:0:ffff:a9fe:a9fe",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:a01:101:0:0:0:0:1",
            "::127.0.0.1",
        ):
            self.assertTrue(self.hosts.prohibits(address), address)
        for address in ("::ffff:198.51.100.7", "64:ff9b::198.51.100.7", "2002:c633:6407::1", "::198.51.100.7"):
            self.assertFalse(self.hosts.prohibits(address), address)

    def test_not_an_address(self) -> None:
        """
        What cannot be read cannot be checked, and is refused.
        """
        for text in ("", "localhost", "127.1", "0x7f000001", "1.2.3.4.5", "::ffff:1.2.3"):
            self.assertTrue(self.hosts.prohibits(text), text)


class WrittenListTests(SynchronousTestCase):
    """
    A list of the operator's own.
    """

    def test_replaces_the_default(self) -> None:
        """
        Only what is written is refused; an empty list refuses nothing.
        """
        hosts = ProhibitedHosts(["192.0.2.0/24", "2001:db8:1::/48"])
        self.assertTrue(hosts.prohibits("192.0.2.200"))
        self.assertTrue(hosts.prohibits("2001:db8:1:ffff::1"))
        self.assertFalse(hosts.prohibits("127.0.0.1"))
        self.assertFalse(hosts.prohibits("2001:db8:2::1"))
        self.assertFalse(ProhibitedHosts([]).prohibits("127.0.0.1"))

    def test_own_addresses(self) -> None:
        """
        The machine's own addresses are refused too, with or without a scope.
        """
        hosts = ProhibitedHosts([], ["198.51.100.1", "fe80::7%eth0"])
        self.assertTrue(hosts.prohibits("198.51.100.1"))
        self.assertTrue(hosts.prohibits("::ffff:198.51.100.1"))
        self.assertTrue(hosts.prohibits("fe80::7"))
        self.assertFalse(hosts.prohibits("198.51.100.2"))

    def test_mapped_network(self) -> None:
        """
        A network written in mapped form means the IPv4 network.
        """
        hosts = ProhibitedHosts(["::ffff:192.0.2.0/120"])
        self.assertTrue(hosts.prohibits("192.0.2.9"))
        self.assertTrue(hosts.prohibits("::ffff:192.0.2.9"))
        self.assertFalse(hosts.prohibits("192.0.3.9"))

    def test_host_bits(self) -> None:
        """
        Host bits behind the prefix do not matter.
        """
        self.assertTrue(ProhibitedHosts(["192.0.2.77/24"]).prohibits("192.0.2.1"))

    def test_mistake(self) -> None:
        """
        A word that is not a network is refused by name.
        """
        for text in ("192.0.2.0/33", "example.com", "", "10.0.0.0/8/8"):
            error = self.assertRaises(ValueError, ProhibitedHosts, ["127.0.0.0/8", text])
            self.assertIn(repr(text), str(error))

    def test_memory_is_bounded(self) -> None:
        """
        Asking about very many addresses keeps a bounded number of answers,
        and the answers stay right.
        """
        hosts = ProhibitedHosts(["192.0.2.0/24"])
        for number in range(MAX_KNOWN + 100):
            hosts.prohibits(str(ip_address(0x0B000000 + number)))
        self.assertLessEqual(len(hosts._known), MAX_KNOWN)
        self.assertTrue(hosts.prohibits("192.0.2.1"))


class RangesTests(SynchronousTestCase):
    """
    The search over ranges against the plain definition.
    """

    @given(
        st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=12),
        st.integers(0, 2**32 - 1),
        st.booleans(),
    )
    def test_same_as_one_by_one(self, written: list[tuple[int, int]], asked: int, near: bool) -> None:
        """
        Overlapping and touching networks refuse exactly what each of them
        alone would.
        """
        networks = [ip_network((number, prefix), strict=False) for number, prefix in written]
        if near and networks:
            # Aim at an edge: a random address hardly ever hits one.
            asked = (int(networks[0].broadcast_address) + asked % 3 - 1) % 2**32
        address = ip_address(asked)
        expected = any(address in network for network in networks)
        self.assertEqual(ProhibitedHosts(map(str, networks)).prohibits(str(address)), expected)
