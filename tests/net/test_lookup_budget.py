"""
Tests of :mod:`momentum_tx.net.lookup_budget`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import (
    AddressAnswer,
    AliasAnswer,
    IResolver,
    MXAnswer,
    MXKind,
    TLSAAnswer,
    TXTAnswer,
)
from momentum_tx.net.lookup_budget import BudgetedResolver
from momentum_tx.settings import GlobalSettings
from momentum_tx.timers import Agenda

ANSWER = MXAnswer(MXKind.NONE, (), 60)


@implementer(IResolver)
class _Asked:
    """
    Answers at once and remembers what it was asked.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = False

    def lookup_mx(self, domain: str) -> Deferred[MXAnswer]:
        self.asked.append(domain)
        if domain == "broken":
            raise RuntimeError("a fault of the resolver")
        return succeed(ANSWER)

    def lookup_addresses(self, host: str, ipv6: bool) -> Deferred[AddressAnswer]:
        self.asked.append(host)
        return succeed(AddressAnswer((), 60))

    def lookup_tlsa(self, name: str) -> Deferred[TLSAAnswer]:
        self.asked.append(f"TLSA {name}")
        return succeed(TLSAAnswer((), 60))

    def lookup_txt(self, name: str) -> Deferred[TXTAnswer]:
        self.asked.append(f"TXT {name}")
        return succeed(TXTAnswer((), 60))

    def lookup_alias(self, name: str) -> Deferred[AliasAnswer]:
        self.asked.append(f"CNAME {name}")
        return succeed(AliasAnswer("", 60))

    def close(self) -> None:
        self.closed = True


class BudgetTests(SynchronousTestCase):
    """
    Questions about exchangers that have a budget.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.inner = _Asked()
        self.settings = GlobalSettings(
            dns_rate_limit_enabled=True, dns_rate_limit_mx_queries=2, dns_rate_limit_max_queue=1000
        )
        self.resolver = BudgetedResolver(self.inner, lambda: self.settings, Agenda(self.clock))

    def ask(self, *domains: str) -> list[Any]:
        """
        The questions under way.
        """
        return [self.resolver.lookup_mx(domain) for domain in domains]

    def test_contract(self) -> None:
        """
        It is a resolver, and closes the one it asks.
        """
        verifyObject(IResolver, self.resolver)
        self.resolver.close()
        self.assertTrue(self.inner.closed)

    def test_others(self) -> None:
        """
        Questions that are not about exchangers have no budget and never wait.
        """
        self.ask("a", "b", "c")
        self.successResultOf(self.resolver.lookup_tlsa("t"))
        self.successResultOf(self.resolver.lookup_txt("t"))
        self.successResultOf(self.resolver.lookup_alias("t"))
        self.assertEqual(self.inner.asked, ["a", "b", "TLSA t", "TXT t", "CNAME t"])
        self.resolver.close()
        self.flushLoggedErrors()

    def test_inTurn(self) -> None:
        """
        Two in a second, the others in the order in which they came, on both sides
        of the second.
        """
        asked = self.ask("a", "b", "c", "d", "e")
        self.assertEqual(self.inner.asked, ["a", "b"])
        self.clock.advance(0.99)
        self.assertEqual(self.inner.asked, ["a", "b"])
        self.clock.advance(0.01)
        self.assertEqual(self.inner.asked, ["a", "b", "c", "d"])
        self.assertNoResult(asked[4])
        self.clock.advance(1)
        self.assertEqual([self.successResultOf(each) for each in asked], [ANSWER] * 5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_off(self) -> None:
        """
        Without the option everything is asked at once; switched off by a reload,
        so is what waits.
        """
        asked = self.ask("a", "b", "c")
        self.settings = replace(self.settings, dns_rate_limit_enabled=False)
        self.clock.advance(1)
        self.assertEqual(self.inner.asked, ["a", "b", "c"])
        self.ask("d", "e", "f", "g")
        self.assertEqual(self.inner.asked, ["a", "b", "c", "d", "e", "f", "g"])
        self.assertEqual(self.successResultOf(asked[2]), ANSWER)

    def test_addresses(self) -> None:
        """
        Addresses have no budget.
        """
        self.ask("a", "b", "c")
        self.successResultOf(self.resolver.lookup_addresses("mx", False))
        self.assertEqual(self.inner.asked, ["a", "b", "mx"])

    def test_overflow(self) -> None:
        """
        What does not fit into the line is asked at once.
        """
        self.ask(*[f"d{number}" for number in range(1002)])
        self.assertEqual(len(self.inner.asked), 2)
        self.ask("late")
        self.assertEqual(self.inner.asked[2:], ["late"])

    def test_cancelled(self) -> None:
        """
        Who does not want the answer any more is not asked for, and holds nobody up.
        """
        asked = self.ask("a", "b", "c", "d")
        asked[2].cancel()
        self.failureResultOf(asked[2], LookupFailed)
        self.clock.advance(1)
        self.assertEqual(self.inner.asked, ["a", "b", "d"])

    def test_closed(self) -> None:
        """
        Who waits when it is closed hears of it.
        """
        asked = self.ask("a", "b", "c")
        self.resolver.close()
        self.failureResultOf(asked[2], LookupFailed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fault(self) -> None:
        """
        A resolver that raises fails the question, and the next one is asked.
        """
        asked = self.ask("a", "b", "broken", "c")
        self.clock.advance(1)
        self.failureResultOf(asked[2], RuntimeError)
        self.assertEqual(self.successResultOf(asked[3]), ANSWER)
