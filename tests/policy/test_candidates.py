"""
Tests of :mod:`momentum_tx.policy.candidates`.
"""

import random
from collections import Counter
from collections.abc import Collection

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.flags import ConnFlag
from momentum_tx.policy.candidates import Candidate, eligible, order, source_for
from momentum_tx.queues.domain import HostRecord, MXRecord


def host(name: str, *addresses: str) -> HostRecord:
    """
    A host record with addresses.
    """
    record = HostRecord(name)
    record.addresses = addresses
    return record


ONE = host("one", "192.0.2.1", "192.0.2.2", "2001:db8::1")
TWO = host("two", "192.0.2.3")
BACKUP = host("backup", "192.0.2.9", "2001:db8::9")
MXLIST = (MXRecord(10, ONE), MXRecord(10, TWO, 2525), MXRecord(20, BACKUP))


class EligibleTests(SynchronousTestCase):
    """
    The addresses that may be tried now.
    """

    def found(
        self,
        source: str = "",
        down: Collection[str] = (),
        full: Collection[HostRecord] = (),
        mxlist: tuple[MXRecord, ...] = MXLIST,
    ) -> tuple[list[str], ConnFlag]:
        candidates, flag = eligible(
            mxlist,
            usable=lambda address: source_for(address, source) is not None,
            default_port=25,
            down=lambda address, port: address in down,
            full=full.__contains__,
        )
        return [candidate.address for candidate in candidates], flag

    def test_all(self) -> None:
        """
        Where nothing speaks against it every address of every exchanger may be tried, best preference first.
        """
        candidates, flag = eligible(
            MXLIST,
            usable=lambda address: True,
            default_port=25,
            down=lambda address, port: False,
            full=lambda host: False,
        )
        self.assertEqual(
            candidates,
            [
                Candidate(10, ONE, "192.0.2.1", 25),
                Candidate(10, ONE, "192.0.2.2", 25),
                Candidate(10, ONE, "2001:db8::1", 25),
                Candidate(10, TWO, "192.0.2.3", 2525),
                Candidate(20, BACKUP, "192.0.2.9", 25),
                Candidate(20, BACKUP, "2001:db8::9", 25),
            ],
        )
        self.assertEqual(flag, ConnFlag(0))

    def test_table(self) -> None:
        """
        Which addresses are left, and the word that tells why none is.
        """
        every = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3", "192.0.2.9", "2001:db8::9"]
        four, six = [a for a in every if ":" not in a], [a for a in every if ":" in a]
        full, down = ConnFlag.ERROR_HOST_MAX_REACHED, ConnFlag.ERROR_NO_MXS_REACHABLE
        none = ConnFlag(0)
        for source, lately_failed, occupied, left, flag in (
            ("192.0.2.77", (), (), four, none),
            ("2001:db8::77", (), (), six, none),
            ("", ("192.0.2.2", "192.0.2.9"), (), ["192.0.2.1", "2001:db8::1", "192.0.2.3", "2001:db8::9"], none),
            ("", (), (ONE,), ["192.0.2.3", "192.0.2.9", "2001:db8::9"], none),
            ("", (), (ONE, TWO), ["192.0.2.9", "2001:db8::9"], none),
            ("", (), (ONE, TWO, BACKUP), [], full),
            ("", every, (), [], down),
            # An address that is down is no reason to wait for its host to have room.
            ("", every, (ONE, TWO, BACKUP), [], down),
            ("", every[1:], (ONE, TWO, BACKUP), [], full),
            ("", every[:5], (BACKUP,), [], full),
            ("", every[:5], (ONE,), ["2001:db8::9"], none),
            # Neither is one the binding cannot reach.
            ("2001:db8::77", six, (ONE, TWO, BACKUP), [], down),
            ("2001:db8::77", ("2001:db8::9",), (ONE, TWO), [], full),
        ):
            found = self.found(source, lately_failed, occupied)
            self.assertEqual(found, (left, flag), (source, lately_failed, [h.name for h in occupied]))

    def test_nobody(self) -> None:
        """
        No exchanger, or exchangers without an address, cannot be reached.
        """
        unreachable: tuple[list[str], ConnFlag] = ([], ConnFlag.ERROR_NO_MXS_REACHABLE)
        self.assertEqual(self.found(mxlist=()), unreachable)
        self.assertEqual(self.found(mxlist=(MXRecord(10, host("bare")),)), unreachable)
        self.assertEqual(self.found(source="2001:db8::77", mxlist=(MXRecord(10, TWO),)), unreachable)

    def test_family(self) -> None:
        """
        A source address reaches its own family; without one every address can
        be reached, and with one of each family each from its own.
        """
        four, six = "192.0.2.2", "2001:db8::2"
        for sources, to_four, to_six in (
            (("", ""), "", ""),
            ((four, ""), four, None),
            ((six, ""), None, six),
            ((four, six), four, six),
            ((six, four), four, six),
            (("", six), "", six),
            (("", four), four, ""),
        ):
            self.assertEqual(source_for("192.0.2.1", *sources), to_four, sources)
            self.assertEqual(source_for("2001:db8::1", *sources), to_six, sources)


class OrderTests(SynchronousTestCase):
    """
    The order of one attempt.
    """

    def setUp(self) -> None:
        self.random = random.Random(2)
        self.candidates, _ = eligible(
            MXLIST,
            usable=lambda address: True,
            default_port=25,
            down=lambda address, port: False,
            full=lambda host: False,
        )

    def ordered(self, prefer_ipv6: bool = False, limit: int = 99) -> list[Candidate[HostRecord]]:
        given = list(self.candidates)
        self.random.shuffle(given)
        return order(given, self.random, prefer_ipv6, limit)

    def test_nothing(self) -> None:
        """
        Of nothing nothing is tried.
        """
        self.assertEqual(order([], self.random, True, 5), [])

    def test_preference(self) -> None:
        """
        Every address is tried once, no worse preference before a better one.
        """
        for prefer_ipv6 in (False, True):
            for _ in range(100):
                ordered = self.ordered(prefer_ipv6)
                self.assertEqual(set(ordered), set(self.candidates))
                self.assertEqual([candidate.preference for candidate in ordered], [10] * 4 + [20] * 2)

    def test_addresses_of_a_host_stay_together(self) -> None:
        """
        Within a preference one host is tried at all its addresses before the next host is.
        """
        for _ in range(100):
            names = [candidate.host.name for candidate in self.ordered()[:4]]
            self.assertIn(names, (["one", "one", "one", "two"], ["two", "one", "one", "one"]))

    def test_fair_to_hosts(self) -> None:
        """
        Each host is as likely to be first as the other, however many addresses it has.
        """
        many = [Candidate(10, ONE, f"192.0.2.{number}", 25) for number in range(10, 110)]
        hosts = [host(name, "192.0.2.200") for name in ("two", "three")]
        self.candidates = [*many, *(Candidate(10, each, "192.0.2.200", 25) for each in hosts)]
        firsts = Counter(self.ordered()[0].host.name for _ in range(3000))
        self.assertEqual(set(firsts), {"one", "two", "three"})
        for count in firsts.values():
            self.assertApproximates(count, 1000, 100)

    def test_fair_to_addresses(self) -> None:
        """
        Each address of a host is as likely to be tried first as the other.
        """
        self.candidates = [Candidate(10, ONE, address, 25) for address in ONE.addresses]
        firsts = Counter(order(self.candidates, self.random, False, 5)[0].address for _ in range(3000))
        self.assertEqual(set(firsts), set(ONE.addresses))
        for count in firsts.values():
            self.assertApproximates(count, 1000, 100)

    def test_prefer_ipv6(self) -> None:
        """
        IPv6 goes first within a preference, but a better preference goes before it.
        """
        for _ in range(100):
            ordered = self.ordered(prefer_ipv6=True)
            self.assertEqual(
                [":" in candidate.address for candidate in ordered], [True, False, False, False, True, False]
            )

    def test_one_host_two_preferences(self) -> None:
        """
        A host that is listed twice is tried at either preference.
        """
        self.candidates = [Candidate(preference, TWO, "192.0.2.3", 25) for preference in (10, 20)]
        self.assertEqual([candidate.preference for candidate in self.ordered()], [10, 20])

    def test_limit(self) -> None:
        """
        At most so many addresses are tried; the order stays that of preference.
        """
        for limit in range(8):
            ordered = self.ordered(limit=limit)
            self.assertEqual(len(ordered), min(limit, 6))
            self.assertEqual(ordered, sorted(ordered, key=lambda candidate: candidate.preference))

    def test_limit_spares_hosts(self) -> None:
        """
        Where not all addresses can be tried, every host gets one before any gets two.
        """
        crowd = host("crowd", *(f"198.51.100.{number}" for number in range(1, 21)))
        self.candidates = [Candidate(10, crowd, address, 25) for address in crowd.addresses]
        self.candidates += [Candidate(10, TWO, "192.0.2.3", 25), Candidate(20, BACKUP, "192.0.2.9", 25)]
        for limit, counts in (
            (3, {"crowd": 1, "two": 1, "backup": 1}),
            (5, {"crowd": 3, "two": 1, "backup": 1}),
        ):
            for _ in range(50):
                ordered = self.ordered(limit=limit)
                self.assertEqual(Counter(candidate.host.name for candidate in ordered), counts)
                self.assertEqual(ordered[-1].host.name, "backup")

    def test_limit_prefers_the_better(self) -> None:
        """
        Where not even every host can be tried, the better preferences are.
        """
        for _ in range(50):
            self.assertEqual({candidate.host.name for candidate in self.ordered(limit=2)}, {"one", "two"})
            self.assertEqual(self.ordered(limit=1)[0].preference, 10)

    def test_repeatable(self) -> None:
        """
        The same random source gives the same order: a run can be told again.
        """
        runs = [order(self.candidates, random.Random(4), False, 3) for _ in range(2)]
        self.assertEqual(*runs)
