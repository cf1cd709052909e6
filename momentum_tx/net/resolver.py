"""
The resolver: a stub that asks the configured servers, on the reactor.

Cache, coalescing and the bounds are here; one question's way from server to
server is :mod:`~momentum_tx.net.dns_question`, the octets are
:mod:`~momentum_tx.net.dns_wire` and :mod:`~momentum_tx.net.dns_transport`, and
what records mean for mail is :mod:`~momentum_tx.net.dns_answers`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import dns.rdatatype
from dns.name import Name
from dns.rdatatype import RdataType
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from ..errors import LookupFailed, LookupHindered
from ..interfaces.services import AddressAnswer, AliasAnswer, IResolver, MXAnswer, TLSAAnswer, TXTAnswer
from ..timers import Agenda
from .dns_answers import address_answer, alias_answer, is_address_text, mx_answer, tlsa_answer, txt_answer
from .dns_cache import DNSCache
from .dns_question import ROUNDS, Question, Upstream
from .dns_transport import Nameserver
from .dns_wire import DEFAULT_NEGATIVE_TTL, MAX_TTL, MIN_TTL, Records, dns_name

if TYPE_CHECKING:
    from random import Random

#: Port of a name server.
DNS_PORT: Final = 53
#: Where Unix keeps the addresses of name servers.
RESOLV_CONF: Final = "/etc/resolv.conf"
#: What is asked when nothing is configured, as resolv.conf(5) has it.
LOCAL_SERVER: Final = ("127.0.0.1", DNS_PORT)
#: Questions on their way at once; each has a socket.
MAX_IN_FLIGHT: Final = 500
#: Questions that wait for their turn; each costs about 2 KB.
MAX_WAITING: Final = 100_000
#: Seconds a failure is repeated to whoever asks the same again.  RFC 2308
#: section 7 allows five minutes; mail has its own retry, this only stops storms.
FAILURE_LIFETIME: Final = 5.0

_MX: Final = dns.rdatatype.MX
_A: Final = dns.rdatatype.A
_AAAA: Final = dns.rdatatype.AAAA

_Answer = MXAnswer | AddressAnswer | TLSAAnswer | TXTAnswer | AliasAnswer
# A name, and what is wanted of it: a plain number, since the hash of an enum
# member would be the dearest part of a cached lookup.
_Key = tuple[str, int]

_EXCHANGERS: Final = 0
_IPV4: Final = 1
_BOTH: Final = 2
_TLSA: Final = 3
_TXT: Final = 4
_ALIAS: Final = 5
#: The questions that each of those takes.
_KINDS: Final[tuple[tuple[RdataType, ...], ...]] = (
    (_MX,),
    (_A,),
    (_A, _AAAA),
    (dns.rdatatype.TLSA,),
    (dns.rdatatype.TXT,),
    (dns.rdatatype.CNAME,),
)
#: What is made of the answer, where there is one question.
_READ: Final[dict[int, Callable[[Records], _Answer]]] = {
    _EXCHANGERS: mx_answer,
    _TLSA: tlsa_answer,
    _TXT: txt_answer,
    _ALIAS: alias_answer,
}


@dataclass(slots=True)
class ResolvConf:
    """
    What is used of a file that is written as resolv.conf(5) says.

    :ivar servers: address and port of each server, in its order; the local one if it names none.
    :ivar timeout: seconds each server has, each time it is asked.
    :ivar attempts: how often a server that is silent is asked.
    :ivar trust_ad: whether its servers are believed that they have validated an answer.
    """

    servers: list[tuple[str, int]] = field(default_factory=lambda: [LOCAL_SERVER])
    timeout: float = 5.0
    attempts: int = ROUNDS
    trust_ad: bool = False


def read_resolv_conf(path: str) -> ResolvConf:
    """
    Read the file at *path*.

    :raises OSError: it cannot be read.
    """
    found = ResolvConf()
    servers: list[tuple[str, int]] = []
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split()
            if len(words) < 2:
                continue
            if words[0] == "nameserver":
                try:
                    Nameserver(words[1])
                except ValueError:
                    # As the C library does: a line it cannot read is not there.
                    continue
                servers.append((words[1], DNS_PORT))
            elif words[0] == "options":
                for word in words[1:]:
                    _take_option(found, word)
    found.servers = servers or found.servers
    return found


def _take_option(found: ResolvConf, word: str) -> None:
    if word == "trust-ad":
        found.trust_ad = True
    name, _, value = word.partition(":")
    if not (value.isascii() and value.isdigit() and len(value) < 5):
        return
    # The bounds are those of the C library; the other names are Momentum's.
    if name in ("timeout", "retrans"):
        found.timeout = float(min(max(int(value), 1), 30))
    elif name in ("attempts", "retry"):
        found.attempts = min(max(int(value), 1), 5)


def system_resolv_conf() -> ResolvConf:
    """
    What the system says; the local server if it says nothing.
    """
    try:
        return read_resolv_conf(RESOLV_CONF)
    except OSError:
        return ResolvConf()


class _Lookup:
    """
    What one or more callers wait for: the questions it takes, and what is known.
    """

    __slots__ = ("found", "key", "questions", "waiters")

    def __init__(self, key: _Key) -> None:
        self.key = key
        #: Questions not yet answered.
        self.questions: list[Question] = []
        self.found: dict[RdataType, Records | LookupFailed] = {}
        # A dict for its order and for taking one out at constant cost.
        self.waiters: dict[Deferred[Any], None] = {}


@implementer(IResolver)
class DNSResolver:
    """
    Asks DNS servers over UDP and TCP.

    Whether an answer was validated is left to the server: the AD bit is asked
    for, and believed if the server is on this host or declared trustworthy.
    ``search`` lists and ``/etc/hosts`` do not exist here: mail domains are
    absolute names.

    Only the address lookup of a name that is spelled like an IP address is
    answered without asking, with no addresses: an MX record must not smuggle
    one in, and what an operator wrote as an address needs no lookup.
    """

    def __init__(
        self,
        reactor: Any,
        nameservers: Iterable[tuple[str, int]],
        rng: Random,
        timeout: float = 5.0,
        cache_size: int = 100_000,
        min_ttl: int = 0,
        max_ttl: int = MAX_TTL,
        max_in_flight: int = MAX_IN_FLIGHT,
        max_waiting: int = MAX_WAITING,
        rounds: int = ROUNDS,
        trust_ad: bool = False,
    ) -> None:
        """
        :param reactor: provides ``IReactorUDP``, ``IReactorTCP`` and
            ``IReactorTime``; its clock is that of the cache.
        :param nameservers: address and port of each server, in the order in
            which they are asked (see :func:`read_resolv_conf`).
        :param rng: makes the ids of queries; in production a
            ``random.SystemRandom``, since a guessed id lets a forged answer in.
        :param timeout: seconds each server has, each time it is asked; a whole
            question takes no more than *rounds* times that for each of three servers.
        :param cache_size: answers kept; the oldest go first.
        :param min_ttl: seconds; a positive answer is kept at least so long.
        :param max_ttl: seconds; no answer is kept longer, nor longer than a week.
        :param max_in_flight: questions asked at once.
        :param max_waiting: questions that wait for one of those to end; at the
            bound a lookup fails.
        :param rounds: how often a server that is silent is asked.
        :param trust_ad: whether servers on other hosts are believed that they have validated an answer.
        :raises ValueError: no server, or one that is not an address.
        """
        servers = tuple(Nameserver(address, port, trust_ad) for address, port in nameservers)
        if not servers:
            raise ValueError("a resolver needs a name server")
        self._agenda = Agenda(reactor)
        self._clock = reactor
        self._upstream = Upstream(reactor, self._agenda, servers, rng, timeout, rounds)
        self._cache: DNSCache[_Answer | LookupFailed] = DNSCache(cache_size)
        self._max_ttl = max(MIN_TTL, min(max_ttl, MAX_TTL))
        self._min_ttl = max(MIN_TTL, min(min_ttl, self._max_ttl))
        self._max_in_flight = max_in_flight
        self._max_waiting = max_waiting
        self._in_flight: set[Question] = set()
        self._waiting: OrderedDict[Question, None] = OrderedDict()
        self._lookups: dict[_Key, _Lookup] = {}
        self._of_question: dict[Question, _Lookup] = {}
        self._closed = False

    def heed_dnssec(self, wanted: Callable[[], bool]) -> None:
        """
        Ask only servers whose word counts that they have validated an answer, where there are
        any, as long as *wanted* says so: else what such a one declines or is kept from
        answering would be taken from another one as not signed at all.
        """
        self._upstream.dnssec = wanted

    def lookup_mx(self, domain: str) -> Deferred[MXAnswer]:
        return self._lookup((domain, _EXCHANGERS))

    def lookup_addresses(self, host: str, ipv6: bool) -> Deferred[AddressAnswer]:
        return self._lookup((host, _BOTH if ipv6 else _IPV4))

    def lookup_tlsa(self, name: str) -> Deferred[TLSAAnswer]:
        return self._lookup((name, _TLSA))

    def lookup_txt(self, name: str) -> Deferred[TXTAnswer]:
        return self._lookup((name, _TXT))

    def lookup_alias(self, name: str) -> Deferred[AliasAnswer]:
        return self._lookup((name, _ALIAS))

    def close(self) -> None:
        """
        Everything under way fails with :class:`~momentum_tx.errors.LookupFailed`,
        and so does every later lookup.
        """
        if self._closed:
            return
        self._closed = True
        lookups = list(self._lookups.values())
        self._lookups.clear()
        for lookup in lookups:
            self._drop(lookup)
        self._cache.clear()
        self._agenda.stop()
        for lookup in lookups:
            _tell(lookup, LookupHindered("the resolver is closed"))

    def _lookup(self, key: _Key) -> Deferred[Any]:
        now = self._clock.seconds()
        kept = self._cache.get(key, now)
        if kept is not None:
            return _again(*kept)
        if self._closed:
            return fail(LookupHindered("the resolver is closed"))
        lookup = self._lookups.get(key)
        if lookup is None:
            try:
                name = dns_name(key[0])
                if name is None or (key[1] in (_IPV4, _BOTH) and is_address_text(key[0])):
                    return succeed(_nothing(key[1]))
                lookup = self._open(key, name)
            except LookupFailed as refused:
                return fail(refused)
        known = lookup
        waiter: Deferred[Any] = Deferred(lambda cancelled: self._leave(known, cancelled))
        lookup.waiters[waiter] = None
        return waiter

    def _open(self, key: _Key, name: Name) -> _Lookup:
        """
        Ask, or line up to ask.

        :raises LookupFailed: too many wait already.
        """
        kinds = _KINDS[key[1]]
        if len(self._waiting) + len(kinds) > self._max_waiting and len(self._in_flight) >= self._max_in_flight:
            raise LookupHindered(f"{key[0]}: {len(self._waiting)} DNS questions wait already")
        lookup = _Lookup(key)
        self._lookups[key] = lookup
        for kind in kinds:
            question = Question(self._upstream, name, kind, self._question_done)
            lookup.questions.append(question)
            self._of_question[question] = lookup
            self._waiting[question] = None
        self._start_waiting()
        return lookup

    def _start_waiting(self) -> None:
        """
        Start what there is room for.  Starting calls nobody back.
        """
        while self._waiting and len(self._in_flight) < self._max_in_flight:
            question, _ = self._waiting.popitem(last=False)
            self._in_flight.add(question)
            question.start()
        if not self._in_flight:
            # Alarms that were disarmed leave the clock's timer behind.
            self._agenda.stop()

    def _drop(self, lookup: _Lookup) -> None:
        """
        Give up the questions of *lookup* that are still open.
        """
        for question in lookup.questions:
            self._of_question.pop(question, None)
            self._waiting.pop(question, None)
            self._in_flight.discard(question)
            question.cancel()
        lookup.questions.clear()

    def _leave(self, lookup: _Lookup, waiter: Deferred[Any]) -> None:
        """
        A caller has cancelled; the last one takes the questions with him.
        """
        lookup.waiters.pop(waiter, None)
        if not lookup.waiters and self._lookups.get(lookup.key) is lookup:
            del self._lookups[lookup.key]
            self._drop(lookup)
            self._start_waiting()

    def _question_done(self, question: Question, found: Records | LookupFailed) -> None:
        self._in_flight.discard(question)
        lookup = self._of_question.pop(question)
        lookup.questions.remove(question)
        lookup.found[question.rdtype] = found
        self._start_waiting()
        if not lookup.questions:
            self._settle(lookup)

    def _settle(self, lookup: _Lookup) -> None:
        """
        All questions of *lookup* have ended: conclude, keep, tell.
        """
        now = self._clock.seconds()
        del self._lookups[lookup.key]
        answer: _Answer | LookupFailed
        try:
            answer = self._conclude(lookup)
        except LookupFailed as failed:
            answer = failed
            self._cache.put(lookup.key, failed, FAILURE_LIFETIME, now)
        else:
            self._cache.put(lookup.key, answer, self._lifetime(answer), now)
        # Last: they may look up more, cancel each other, or close us.
        _tell(lookup, answer)

    def _conclude(self, lookup: _Lookup) -> _Answer:
        families: Sequence[Records | LookupFailed] = [lookup.found[kind] for kind in _KINDS[lookup.key[1]]]
        if lookup.key[1] in (_IPV4, _BOTH):
            return address_answer(families)
        (records,) = families
        if isinstance(records, LookupFailed):
            raise records
        return _READ[lookup.key[1]](records)

    def _lifetime(self, answer: _Answer) -> float:
        """
        Seconds *answer* is kept: a positive one within both bounds, a negative
        one under the upper alone.
        """
        ttl = min(answer.ttl, self._max_ttl)
        if isinstance(answer, AddressAnswer):
            positive = bool(answer.addresses)
        elif isinstance(answer, AliasAnswer):
            positive = bool(answer.target)
        else:
            positive = bool(answer.records)
        return max(ttl, self._min_ttl) if positive else ttl


def _nothing(wanted: int) -> _Answer:
    """
    What is known of a name by its spelling alone: what cannot be written in
    DNS cannot be there.
    """
    if wanted in (_IPV4, _BOTH):
        return AddressAnswer((), DEFAULT_NEGATIVE_TTL)
    return _READ[wanted](Records(False, (), DEFAULT_NEGATIVE_TTL))


def _again(left: float, answer: _Answer | LookupFailed) -> Deferred[Any]:
    """
    A kept answer with *left* seconds to live, told once more.
    """
    if isinstance(answer, LookupFailed):
        # A new one each time: a raised exception collects its tracebacks.
        return fail(type(answer)(*answer.args))
    if left >= answer.ttl:
        return succeed(answer)
    # Whoever keeps it in turn must not keep it twice as long as DNS allows.
    ttl = max(MIN_TTL, int(left))
    if isinstance(answer, MXAnswer):
        # As "replace" does, in a third of the time.
        return succeed(MXAnswer(answer.kind, answer.records, ttl, answer.secure))
    return succeed(replace(answer, ttl=ttl))


def _tell(lookup: _Lookup, answer: _Answer | LookupFailed) -> None:
    """
    Fire everyone who waits; one that cancels another on the way is heard.
    """
    for waiter in list(lookup.waiters):
        if waiter not in lookup.waiters:
            continue
        del lookup.waiters[waiter]
        if isinstance(answer, LookupFailed):
            waiter.errback(type(answer)(*answer.args))
        else:
            waiter.callback(answer)
