"""
A resolver that answers from a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from ..errors import LookupFailed
from ..interfaces.services import AddressAnswer, IResolver, MXAnswer, MXKind

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime


@implementer(IResolver)
class ScriptedResolver:
    """
    Fulfils :class:`~momentum_tx.interfaces.services.IResolver` without a network::

        resolver = ScriptedResolver(clock)
        resolver.mx["example.com"] = [(10, "mx.example.com")]
        resolver.mx["nomail.example"] = MXKind.NULL
        resolver.mx["broken.example"] = LookupFailed("SERVFAIL")
        resolver.addresses["mx.example.com"] = ["198.51.100.7"]

    A domain that is in neither table does not exist; one that is only in
    :attr:`addresses` has no MX.  Tables may change at any time; there is no
    cache and no coalescing, so that every question is counted.
    """

    def __init__(self, clock: IReactorTime | None = None) -> None:
        """
        :param clock: needed for :attr:`delay` alone.
        """
        self._clock = clock
        #: Exchangers of a domain: (preference, name) pairs in any order, a
        #: kind without records, or the exception the lookup fails with.
        self.mx: dict[str, Sequence[tuple[int, str]] | MXKind | Exception] = {}
        #: Addresses of a host, or the exception the lookup fails with.
        self.addresses: dict[str, Sequence[str] | Exception] = {}
        #: Seconds the answers may be kept.
        self.ttl = 300
        #: Seconds an answer takes; 0 answers at once.
        self.delay = 0.0
        #: While true no answer comes at all; cancel or :meth:`close` ends the wait.
        self.silent = False
        #: Domains whose exchangers were asked for, one entry per lookup.
        self.mx_asked: list[str] = []
        #: Hosts whose addresses were asked for, one entry per lookup.
        self.addresses_asked: list[str] = []
        #: Whether :meth:`close` was called.
        self.closed = False
        self._pending: dict[Deferred[Any], IDelayedCall | None] = {}

    @property
    def pending(self) -> int:
        """
        Lookups not yet answered.
        """
        return len(self._pending)

    def lookup_mx(self, domain: str) -> Deferred[MXAnswer]:
        self.mx_asked.append(domain)
        return self._answer(self._mx_of(domain))

    def lookup_addresses(self, host: str, ipv6: bool) -> Deferred[AddressAnswer]:
        self.addresses_asked.append(host)
        return self._answer(self._addresses_of(host, ipv6))

    def close(self) -> None:
        """
        Everything under way fails with :class:`~momentum_tx.errors.LookupFailed`.
        """
        self.closed = True
        pending, self._pending = self._pending, {}
        for call in pending.values():
            if call is not None:
                call.cancel()
        for waiting in pending:
            if not waiting.called:
                waiting.errback(LookupFailed("the resolver is closed"))

    def _mx_of(self, domain: str) -> MXAnswer | Exception:
        known = self.mx.get(domain)
        if isinstance(known, Exception):
            return known
        if isinstance(known, MXKind):
            return MXAnswer(known, (), self.ttl)
        if known:
            return MXAnswer(MXKind.RECORDS, tuple(sorted(known, key=lambda record: record[0])), self.ttl)
        exists = known is not None or domain in self.addresses
        return MXAnswer(MXKind.NONE if exists else MXKind.NXDOMAIN, (), self.ttl)

    def _addresses_of(self, host: str, ipv6: bool) -> AddressAnswer | Exception:
        known = self.addresses.get(host, ())
        if isinstance(known, Exception):
            return known
        found = [address for address in known if ":" not in address]
        if ipv6:
            found += [address for address in known if ":" in address]
        return AddressAnswer(tuple(found), self.ttl)

    def _answer(self, answer: Any) -> Deferred[Any]:
        if self.closed:
            answer = LookupFailed("the resolver is closed")
        elif self.silent or self.delay:
            return self._later(answer)
        # A new failure each time, as a raised one collects its tracebacks.
        return fail(_fresh(answer)) if isinstance(answer, Exception) else succeed(answer)

    def _later(self, answer: Any) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred(self._forget)
        self._pending[waiting] = None
        if not self.silent:
            if self._clock is None:
                raise ValueError("a delayed answer needs a clock")
            self._pending[waiting] = self._clock.callLater(self.delay, self._tell, waiting, answer)
        return waiting

    def _tell(self, waiting: Deferred[Any], answer: Any) -> None:
        del self._pending[waiting]
        if isinstance(answer, Exception):
            waiting.errback(_fresh(answer))
        else:
            waiting.callback(answer)

    def _forget(self, waiting: Deferred[Any]) -> None:
        call = self._pending.pop(waiting, None)
        if call is not None:
            call.cancel()


def _fresh(error: Exception) -> Exception:
    return type(error)(*error.args)
