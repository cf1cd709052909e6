"""
What DNS says in a test: a table, and a resolver that answers from it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from ..errors import LookupFailed, LookupHindered
from ..interfaces.services import (
    AddressAnswer,
    AliasAnswer,
    IResolver,
    MXAnswer,
    MXKind,
    TLSAAnswer,
    TLSARecord,
    TXTAnswer,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T")


class Fault(enum.Enum):
    """
    What is wrong with the answers about a name, or with a whole name server.
    """

    #: None comes.
    SILENT = "silent"
    #: The code of a server in trouble.
    SERVFAIL = "SERVFAIL"
    #: The code of a server that does not want us.
    REFUSED = "REFUSED"
    #: The code of a server that does not understand us, however we ask.
    FORMERR = "FORMERR"
    #: FORMERR to questions with EDNS, as servers of the last century; else well.
    NO_EDNS = "no EDNS"
    #: Over UDP none fits; TCP has them.
    TRUNCATED = "truncated"
    #: Over UDP none fits, and TCP hangs up.
    TRUNCATED_ONLY = "truncated, and TCP hangs up"
    #: They go no further than the first alias; its target must be asked for.
    ONE_LINK = "one alias at a time"
    #: The question is repeated well, what follows is rubbish.
    GARBAGE = "garbage"
    #: They bear another id, as a guesser's would.
    WRONG_ID = "wrong id"
    #: They are about another name.
    WRONG_QUESTION = "wrong question"
    #: They are empty, without a word on who says so.
    LAME = "lame"
    #: They name others to ask: the server does not recurse.
    REFERRAL = "referral"
    #: They say that the name is an alias of one that is an alias of it.
    LOOP = "alias loop"


#: Faults that a resolver copes with: they cost time, not the answer.
HARMLESS: Final = (Fault.NO_EDNS, Fault.TRUNCATED, Fault.ONE_LINK)


class Zone:
    """
    What DNS says; who answers from it is another matter, so that it may outlive
    them::

        zone = Zone()
        zone.mx["example.com"] = [(10, "mx.example.com")]
        zone.mx["nomail.example"] = MXKind.NULL
        zone.mx["broken.example"] = LookupFailed("SERVFAIL")
        zone.addresses["mx.example.com"] = ["198.51.100.7", "2001:db8::7"]
        zone.aliases["www.example.com"] = "mx.example.com"
        zone.texts["_mta-sts.example.com"] = [b"v=STSv1; id=1;"]
        zone.tlsa["_25._tcp.mx.example.com"] = [(3, 1, 1, digest)]
        zone.signed.add("example.com")
        zone.faults["slow.example"] = Fault.SILENT

    Names are in lower case, without final dot.  A name that is in no table
    does not exist; one that is only in :attr:`addresses` has no MX.  Tables may
    change at any time.
    """

    def __init__(self) -> None:
        #: Exchangers of a domain: (preference, name) pairs in any order, a
        #: kind without records, or the exception the lookup fails with.
        self.mx: dict[str, Sequence[tuple[int, str]] | MXKind | Exception] = {}
        #: Addresses of a host, or the exception the lookup fails with.
        self.addresses: dict[str, Sequence[str] | Exception] = {}
        #: TLSA records of a name, or the exception the lookup fails with.
        self.tlsa: dict[str, Sequence[tuple[int, int, int, bytes]] | Exception] = {}
        #: Texts of a name, or the exception the lookup fails with.
        self.texts: dict[str, Sequence[bytes] | Exception] = {}
        #: Names at and below which everything is signed, and validated by whoever answers.
        self.signed: set[str] = set()
        #: Names at and below which signatures are bad, so that a validating server fails.
        self.bogus: set[str] = set()
        #: Names that stand for other names (CNAME); what else is said of them does not count.
        self.aliases: dict[str, str] = {}
        #: Seconds the answers may be kept.
        self.ttl = 300
        #: Seconds a negative answer may be kept; ``None`` for :attr:`ttl`.
        self.negative_ttl: int | None = None
        #: Seconds an answer takes; 0 answers at once.
        self.delay = 0.0
        #: The same for single names, instead of :attr:`delay`.
        self.delays: dict[str, float] = {}
        #: While true no answer comes at all; cancelling or closing ends the wait.
        self.silent = False
        #: What is wrong with all answers.
        self.fault: Fault | None = None
        #: What is wrong with the answers about single names.
        self.faults: dict[str, Fault] = {}
        #: Domains whose exchangers were asked for, one entry per question asked.
        self.mx_asked: list[str] = []
        #: Hosts whose addresses were asked for, one entry per question asked.
        self.addresses_asked: list[str] = []
        #: Names asked for anything else, as ``TLSA _25._tcp.mx.example.com``.
        self.others_asked: list[str] = []

    def fault_of(self, name: str) -> Fault | None:
        """
        What is wrong with answers about *name*.
        """
        if self.silent:
            return Fault.SILENT
        found = self.fault or self.faults.get(name)
        return Fault.SERVFAIL if found is None and _under(name, self.bogus) else found

    def secure(self, *names: str) -> bool:
        """
        Whether answers about *names*, the links of a chain, are validated.
        """
        return all(_under(name, self.signed) and not _under(name, self.bogus) for name in names)

    def delay_of(self, name: str) -> float:
        """
        Seconds an answer about *name* takes.
        """
        return self.delays.get(name, self.delay)

    def exists(self, name: str) -> bool:
        """
        Whether *name*, which is no alias, is in any table.
        """
        if any(name in table for table in (self.addresses, self.tlsa, self.texts)):
            return True
        return self.mx.get(name, MXKind.NXDOMAIN) is not MXKind.NXDOMAIN

    def links(self, name: str) -> list[tuple[str, str]]:
        """
        The aliases from *name* on, each with what it stands for.  The last leads
        to an alias again if they are a loop.
        """
        found: dict[str, str] = {}
        while name in self.aliases and name not in found:
            found[name] = self.aliases[name]
            name = found[name]
        return list(found.items())

    @property
    def lasting(self) -> int:
        """
        Seconds a negative answer may be kept.
        """
        return self.ttl if self.negative_ttl is None else self.negative_ttl


def _under(name: str, tops: set[str]) -> bool:
    """
    Whether *name* is one of *tops*, or below one.
    """
    if not tops:
        return False
    labels = name.split(".")
    return any(".".join(labels[index:]) in tops for index in range(len(labels)))


class _OfZone(Generic[T]):
    """
    An attribute of a resolver that is one of its zone.
    """

    def __set_name__(self, owner: object, name: str) -> None:
        self._name = name

    def __get__(self, resolver: Any, owner: object) -> T:
        found: T = getattr(resolver.zone, self._name)
        return found

    def __set__(self, resolver: Any, value: T) -> None:
        setattr(resolver.zone, self._name, value)


@implementer(IResolver)
class ScriptedResolver:
    """
    Fulfils :class:`~momentum_tx.interfaces.services.IResolver` without a network::

        resolver = ScriptedResolver(clock)
        resolver.mx["example.com"] = [(10, "mx.example.com")]

    Its tables are those of its :class:`Zone`.  There is no cache and no
    coalescing, so that every lookup is counted.  A fault of which a real
    resolver would make a failure is one here, at once.
    """

    #: See :class:`Zone`, as for all that follow.
    mx = _OfZone[dict[str, Sequence[tuple[int, str]] | MXKind | Exception]]()
    addresses = _OfZone[dict[str, Sequence[str] | Exception]]()
    tlsa = _OfZone[dict[str, Sequence[tuple[int, int, int, bytes]] | Exception]]()
    texts = _OfZone[dict[str, Sequence[bytes] | Exception]]()
    signed = _OfZone[set[str]]()
    bogus = _OfZone[set[str]]()
    aliases = _OfZone[dict[str, str]]()
    ttl = _OfZone[int]()
    negative_ttl = _OfZone["int | None"]()
    delay = _OfZone[float]()
    delays = _OfZone[dict[str, float]]()
    silent = _OfZone[bool]()
    fault = _OfZone["Fault | None"]()
    faults = _OfZone[dict[str, Fault]]()
    mx_asked = _OfZone[list[str]]()
    addresses_asked = _OfZone[list[str]]()
    others_asked = _OfZone[list[str]]()

    def __init__(self, clock: IReactorTime | None = None, zone: Zone | None = None) -> None:
        """
        :param clock: needed for delays alone.
        :param zone: what it answers from; its own if there is none.
        """
        self._clock = clock
        #: What it answers from.
        self.zone = Zone() if zone is None else zone
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
        return self._answer(domain, self._mx_of(domain))

    def lookup_addresses(self, host: str, ipv6: bool) -> Deferred[AddressAnswer]:
        self.addresses_asked.append(host)
        return self._answer(host, self._addresses_of(host, ipv6))

    def lookup_tlsa(self, name: str) -> Deferred[TLSAAnswer]:
        self.others_asked.append(f"TLSA {name}")
        found, names = self._found_at(name, self.zone.tlsa)
        if isinstance(found, Exception):
            return self._answer(name, found)
        records = tuple(TLSARecord(*record) for record in found)
        return self._answer(name, TLSAAnswer(records, self._ttl(records), self.zone.secure(*names)))

    def lookup_txt(self, name: str) -> Deferred[TXTAnswer]:
        self.others_asked.append(f"TXT {name}")
        found, names = self._found_at(name, self.zone.texts)
        if isinstance(found, Exception):
            return self._answer(name, found)
        return self._answer(name, TXTAnswer(tuple(found), self._ttl(found), len(names) - 1))

    def lookup_alias(self, name: str) -> Deferred[AliasAnswer]:
        self.others_asked.append(f"CNAME {name}")
        target = self.zone.aliases.get(name, "")
        return self._answer(name, AliasAnswer(target, self._ttl(target), self.zone.secure(name)))

    def _ttl(self, found: Any) -> int:
        return self.zone.ttl if found else self.zone.lasting

    def _found_at(self, name: str, table: dict[str, Any]) -> tuple[Any, list[str]]:
        """
        What *table* has at the end of the aliases of *name*, and the links of that chain.
        """
        end = self._end_of(name)
        if end is None:
            return LookupFailed(f"alias loop at {name}"), []
        return table.get(end, ()), [*(link for link, _ in self.zone.links(name)), end]

    def _secure(self, name: str, end: str) -> bool:
        return self.zone.secure(*(link for link, _ in self.zone.links(name)), end)

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
                waiting.errback(LookupHindered("the resolver is closed"))

    def _end_of(self, name: str) -> str | None:
        """
        Where the aliases from *name* lead; ``None`` if nowhere.
        """
        links = self.zone.links(name)
        end = links[-1][1] if links else name
        return None if end in self.zone.aliases else end

    def _mx_of(self, domain: str) -> MXAnswer | Exception:
        zone = self.zone
        end = self._end_of(domain)
        if end is None:
            return LookupFailed(f"alias loop at {domain}")
        known = zone.mx.get(end)
        if isinstance(known, Exception):
            return known
        secure = self._secure(domain, end)
        if isinstance(known, MXKind):
            return MXAnswer(known, (), zone.ttl if known is MXKind.NULL else zone.lasting, secure)
        if known:
            return MXAnswer(MXKind.RECORDS, tuple(sorted(known, key=lambda record: record[0])), zone.ttl, secure)
        return MXAnswer(MXKind.NONE if zone.exists(end) else MXKind.NXDOMAIN, (), zone.lasting, secure)

    def _addresses_of(self, host: str, ipv6: bool) -> AddressAnswer | Exception:
        zone = self.zone
        end = self._end_of(host)
        if end is None:
            return LookupFailed(f"alias loop at {host}")
        known = zone.addresses.get(end, ())
        if isinstance(known, Exception):
            return known
        found = [address for address in known if ":" not in address]
        if ipv6:
            found += [address for address in known if ":" in address]
        canonical = end if found and end != host else ""
        return AddressAnswer(tuple(found), self._ttl(found), self._secure(host, end), canonical)

    def _answer(self, name: str, answer: Any) -> Deferred[Any]:
        fault, delay = self.zone.fault_of(name), self.zone.delay_of(name)
        if fault not in (None, Fault.SILENT, *HARMLESS):
            answer = LookupFailed(f"{name}: {fault.value}")
        if self.closed:
            answer = LookupHindered("the resolver is closed")
        elif fault is Fault.SILENT or delay:
            return self._later(answer, None if fault is Fault.SILENT else delay)
        # A new failure each time, as a raised one collects its tracebacks.
        return fail(_fresh(answer)) if isinstance(answer, Exception) else succeed(answer)

    def _later(self, answer: Any, delay: float | None) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred(self._forget)
        self._pending[waiting] = None
        if delay is not None:
            if self._clock is None:
                raise ValueError("a delayed answer needs a clock")
            self._pending[waiting] = self._clock.callLater(delay, self._tell, waiting, answer)
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
