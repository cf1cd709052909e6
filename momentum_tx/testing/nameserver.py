"""
Modelled name servers on the virtual network, and the resolver of production that
asks them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.SOA import SOA
from dns.rdtypes.ANY.TLSA import TLSA
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol

from ..interfaces.services import MXKind
from ..net.resolver import DNS_PORT, DNSResolver
from ..policy.next_hop import parse_next_hop
from .datagrams import DatagramPort, Datagrams
from .dns import Fault, Zone

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

    from ..settings import GlobalSettings
    from .host import VirtualPort
    from .reactor import VirtualReactor

#: Where the name servers of a world are.
NAMESERVERS: Final = ("192.0.2.53", "192.0.2.54")
#: Octets of a datagram that whoever does not say otherwise takes (RFC 1035 section 2.3.4).
PLAIN_PAYLOAD: Final = 512
#: Octets of a datagram that we say we take.
EDNS_PAYLOAD: Final = 1232
#: Encoded answers that are kept; beyond that all are forgotten.
MOST_ENCODED: Final = 10_000
#: Behind a well repeated question: a name that points beyond the message.
GARBAGE: Final = b"\xff\xff"

_HEADER: Final = 12
#: Where the flags are that announce a response, recursion desired and available.
_RESPONSE: Final = b"\x81\x80"
_TRUNCATED: Final = b"\x83\x80"
_CODES: Final = {
    Fault.SERVFAIL: dns.rcode.SERVFAIL,
    Fault.REFUSED: dns.rcode.REFUSED,
    Fault.FORMERR: dns.rcode.FORMERR,
}
_MX: Final = dns.rdatatype.MX
_ADDRESSES: Final = (dns.rdatatype.A, dns.rdatatype.AAAA)
#: Most octets of one string of a TXT record.
_MOST_TEXT: Final = 255


class Asked(NamedTuple):
    """
    One question that reached a server.

    :ivar kind: the type, as ``MX``.
    :ivar stream: whether it came over TCP.
    """

    name: str
    kind: str
    stream: bool


class _Question(NamedTuple):
    """
    What a query asks; *end* is where its question ends, *payload* what EDNS
    announces, 0 without EDNS.
    """

    name: str
    rdtype: RdataType
    end: int
    payload: int


class _Said(NamedTuple):
    """
    What an answer says; equal ones are encoded once.
    """

    name: str
    rdtype: RdataType
    edns: bool
    code: int
    links: tuple[tuple[str, str], ...] = ()
    #: Exchangers with their preferences, or addresses.
    found: tuple[Any, ...] = ()
    ttl: int = 0
    #: Of a negative answer; ``None`` if nobody answers for it.
    negative_ttl: int | None = None
    referral: bool = False
    #: Whether the AD bit is set.
    secure: bool = False


class NameServer:
    """
    A server that has all names of a :class:`~momentum_tx.testing.dns.Zone`, over
    UDP and TCP.

    :ivar zone: what it answers from.
    :ivar address: where it is.
    :ivar fault: what is wrong with it, whatever the zone says.
    :ivar asked: what it was asked, in the order of arrival.
    """

    def __init__(self, datagrams: Datagrams, zone: Zone, address: str, port: int = DNS_PORT) -> None:
        self.zone = zone
        self.address = address
        self.port = port
        self.fault: Fault | None = None
        self.asked: list[Asked] = []
        self._datagrams = datagrams
        self._network = datagrams.network
        self._network.plumb(address)
        self._udp: DatagramPort | None = None
        self._tcp: VirtualPort | None = None
        self._read: dict[bytes, _Question] = {}
        self._encoded: dict[_Said, bytes] = {}
        self.start()

    def start(self, stream: bool = True) -> None:
        """
        Listen; harmless if it does.

        :param stream: whether TCP is served too; else its port is closed.
        """
        if self._udp is None:
            self._udp = self._datagrams.listen(self.address, self.port, _OverUDP(self))
        if stream and self._tcp is None:
            factory: Any = _OverTCP(self)
            self._tcp = self._network.listen(self.address, self.port, factory)
        elif not stream and self._tcp is not None:
            self._tcp.stopListening()
            self._tcp = None

    def stop(self) -> None:
        """
        Listen no more: whoever asks is refused.
        """
        if self._udp is not None:
            self._udp.stopListening()
        if self._tcp is not None:
            self._tcp.stopListening()
        self._udp = self._tcp = None

    def ask(self, query: bytes, stream: bool, reply: Callable[[bytes], object]) -> None:
        """
        A query has arrived.

        :param stream: whether over TCP.
        :param reply: gets the answer, if there is one; empty to hang up.
        """
        try:
            question = self._question(query)
        except Exception:
            # Whatever the codec stumbles over; a server drops what it cannot read.
            return
        self._note(question, stream)
        fault = self.fault or self.zone.fault_of(question.name)
        if fault is Fault.SILENT:
            return
        answer = self._answer(query, question, fault, stream)
        delay = self.zone.delay_of(question.name)
        if delay:
            self._network.clock.callLater(delay, reply, answer)
        else:
            reply(answer)

    def _question(self, query: bytes) -> _Question:
        known = self._read.get(query[2:])
        if known is None:
            name, size = dns.name.from_wire(query, _HEADER)
            end = _HEADER + size + 4
            rdtype = RdataType.make(int.from_bytes(query[end - 4 : end - 2]))
            payload = int.from_bytes(query[end + 3 : end + 5]) if query[10:12] != b"\x00\x00" else 0
            known = _Question(name.to_text(omit_final_dot=True).lower(), rdtype, end, payload)
            if len(self._read) >= MOST_ENCODED:
                self._read.clear()
            self._read[query[2:]] = known
        return known

    def _note(self, question: _Question, stream: bool) -> None:
        self.asked.append(Asked(question.name, question.rdtype.name, stream))
        if question.rdtype == _MX:
            self.zone.mx_asked.append(question.name)
        elif question.rdtype in _ADDRESSES:
            self.zone.addresses_asked.append(question.name)
        else:
            self.zone.others_asked.append(f"{question.rdtype.name} {question.name}")

    def _answer(self, query: bytes, question: _Question, fault: Fault | None, stream: bool) -> bytes:
        """
        The answer as it is sent.
        """
        start, end = query[:2], question.end
        if fault is Fault.TRUNCATED_ONLY and stream:
            return b""
        if fault in (Fault.TRUNCATED, Fault.TRUNCATED_ONLY) and not stream:
            return _bare(query, end, _TRUNCATED)
        if fault is Fault.NO_EDNS and question.payload:
            return _bare(query, end, _RESPONSE[:1] + bytes((_RESPONSE[1] | dns.rcode.FORMERR,)))
        if fault is Fault.GARBAGE:
            rubbish = _bare(query, end, _RESPONSE) + GARBAGE + self._datagrams.rng.randbytes(24)
            return rubbish[:7] + b"\x01" + rubbish[8:]
        said = self._say(question, fault)
        answer = self._encoded.get(said)
        if answer is None:
            answer = _encode(said)
            if len(self._encoded) >= MOST_ENCODED:
                self._encoded.clear()
            self._encoded[said] = answer
        if not stream and len(answer) > max(PLAIN_PAYLOAD, min(question.payload, EDNS_PAYLOAD)):
            return _bare(query, end, _TRUNCATED)
        if fault is Fault.WRONG_ID:
            start = bytes((start[0] ^ 1, start[1]))
        repeated = query[_HEADER:end]
        if fault is Fault.WRONG_QUESTION:
            # The first octet of the first label, if there is one.
            repeated = repeated[:1] + bytes((repeated[1] ^ 3,)) + repeated[2:]
        return start + answer[2:_HEADER] + repeated + answer[end:]

    def _say(self, question: _Question, fault: Fault | None) -> _Said:
        """
        What there is to say.
        """
        zone, (name, rdtype) = self.zone, question[:2]
        edns = question.payload > 0
        if fault in _CODES:
            return _Said(name, rdtype, edns, _CODES[fault])
        if fault in (Fault.LAME, Fault.REFERRAL):
            return _Said(name, rdtype, edns, dns.rcode.NOERROR, referral=fault is Fault.REFERRAL)
        if rdtype == dns.rdatatype.CNAME:
            return self._say_alias(name, edns)
        links = zone.links(name)
        if fault is Fault.LOOP:
            links = [(name, f"loop.{name}"), (f"loop.{name}", name)]
        end = links[-1][1] if links else name
        if links and (fault is Fault.ONE_LINK or fault is Fault.LOOP or end in zone.aliases):
            kept = links[:1] if fault is Fault.ONE_LINK else links
            secure = zone.secure(*(link for link, _ in kept))
            return _Said(name, rdtype, edns, dns.rcode.NOERROR, tuple(kept), ttl=zone.ttl, secure=secure)
        code, found = self._find(end, rdtype)
        negative = None if found or code == dns.rcode.SERVFAIL else zone.lasting
        secure = zone.secure(*(link for link, _ in links), end)
        return _Said(name, rdtype, edns, code, tuple(links), found, zone.ttl, negative, secure=secure)

    def _say_alias(self, name: str, edns: bool) -> _Said:
        zone = self.zone
        target = zone.aliases.get(name)
        found, negative = ((), zone.lasting) if target is None else ((target,), None)
        code = dns.rcode.NOERROR if found or zone.exists(name) else dns.rcode.NXDOMAIN
        secure = zone.secure(name)
        return _Said(name, dns.rdatatype.CNAME, edns, code, (), found, zone.ttl, negative, secure=secure)

    def _find(self, name: str, rdtype: RdataType) -> tuple[int, tuple[Any, ...]]:
        """
        The code, and what the tables have under *name*.
        """
        zone = self.zone
        known: object = ()
        if rdtype == _MX:
            known = zone.mx.get(name, ())
        elif rdtype in _ADDRESSES:
            known = zone.addresses.get(name, ())
        elif rdtype == dns.rdatatype.TLSA:
            known = zone.tlsa.get(name, ())
        elif rdtype == dns.rdatatype.TXT:
            known = zone.texts.get(name, ())
        if isinstance(known, Exception):
            return dns.rcode.SERVFAIL, ()
        if known is MXKind.NULL:
            return dns.rcode.NOERROR, ((0, ""),)
        if known is MXKind.NXDOMAIN or not zone.exists(name):
            return dns.rcode.NXDOMAIN, ()
        if not isinstance(known, Sequence):
            return dns.rcode.NOERROR, ()
        if rdtype == _MX:
            return dns.rcode.NOERROR, tuple(map(tuple, known))
        if rdtype not in _ADDRESSES:
            return dns.rcode.NOERROR, tuple(known)
        return dns.rcode.NOERROR, tuple(each for each in known if (":" in each) == (rdtype == _ADDRESSES[1]))


def _bare(query: bytes, end: int, flags: bytes) -> bytes:
    """
    An answer of nothing but header and question.
    """
    return query[:2] + flags + b"\x00\x01" + bytes(6) + query[_HEADER:end]


def _encode(said: _Said) -> bytes:
    """
    The answer with id 0.
    """
    message = dns.message.Message(0)
    message.flags = dns.flags.QR | dns.flags.RD | dns.flags.RA
    if said.secure:
        message.flags |= dns.flags.AD
    if said.edns:
        message.use_edns(0, payload=EDNS_PAYLOAD)
    message.set_rcode(dns.rcode.Rcode(said.code))
    name = dns.name.from_text(said.name)
    message.question.append(dns.rrset.RRset(name, IN, said.rdtype))
    for owner, target in said.links:
        record = CNAME(IN, dns.rdatatype.CNAME, dns.name.from_text(target))
        message.answer.append(dns.rrset.from_rdata(dns.name.from_text(owner), said.ttl, record))
    end = dns.name.from_text(said.links[-1][1]) if said.links else name
    # Answers of the negative kind and referrals speak for a top level domain.
    top = dns.name.Name(end.labels[-2:])
    if said.found:
        records = [_record(said.rdtype, each) for each in said.found]
        message.answer.append(dns.rrset.from_rdata_list(end, said.ttl, records))
    if said.negative_ttl is not None:
        root = dns.name.root
        soa = SOA(IN, dns.rdatatype.SOA, root, root, 1, 7200, 3600, 86400, said.negative_ttl)
        message.authority.append(dns.rrset.from_rdata(top, said.negative_ttl, soa))
    if said.referral:
        ns = NS(IN, dns.rdatatype.NS, dns.name.from_text("a.root-servers.net"))
        message.authority.append(dns.rrset.from_rdata(top, 3600, ns))
    # Left alone, the codec shuffles the records of a set.
    return message.to_wire(max_size=65535, want_shuffle=False)


def _record(rdtype: RdataType, found: Any) -> Any:
    if rdtype == _MX:
        preference, exchange = found
        return MX(IN, _MX, preference, dns.name.from_text(exchange))
    if rdtype == dns.rdatatype.TLSA:
        return TLSA(IN, rdtype, *found)
    if rdtype == dns.rdatatype.TXT:
        return TXT(IN, rdtype, [found[at : at + _MOST_TEXT] for at in range(0, len(found) or 1, _MOST_TEXT)])
    if rdtype == dns.rdatatype.CNAME:
        return CNAME(IN, rdtype, dns.name.from_text(found))
    return (A if rdtype == dns.rdatatype.A else AAAA)(IN, rdtype, found)


class _OverUDP(DatagramProtocol):
    """
    The datagrams of a server.
    """

    noisy = False

    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self._server.ask(datagram, False, lambda answer: self._reply(answer, addr))

    def _reply(self, answer: bytes, addr: tuple[str, int]) -> None:
        transport: Any = self.transport
        # It may have been stopped while the answer took its time.
        if transport is not None:
            with suppress(OSError):
                transport.write(answer, addr)


class _OverTCP(Factory):
    """
    The connections of a server.
    """

    noisy = False

    def __init__(self, server: NameServer) -> None:
        self.server = server

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return _Connection(self.server)


class _Connection(Protocol):
    """
    One connection: a query after the other, each with its length before it.
    """

    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._received = b""

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= 2:
            end = 2 + int.from_bytes(self._received[:2])
            if len(self._received) < end:
                return
            query, self._received = self._received[2:end], self._received[end:]
            self._server.ask(query, True, self._reply)

    def _reply(self, answer: bytes) -> None:
        transport: Any = self.transport
        if answer:
            transport.write(len(answer).to_bytes(2) + answer)
        else:
            transport.loseConnection()


def wire_resolver(
    reactor: VirtualReactor, servers: Iterable[NameServer], settings: GlobalSettings, rng: Random
) -> DNSResolver:
    """
    The resolver of production, as the service makes it for *settings*; where
    they name no servers it asks *servers*.

    :param rng: makes the ids of queries.
    """
    places = [parse_next_hop(text) for text in settings.nameservers] or [(each.address, each.port) for each in servers]
    return DNSResolver(
        reactor,
        [(host, port or DNS_PORT) for host, port in places],
        rng,
        5.0 if settings.dns_timeout is None else settings.dns_timeout,
        settings.dns_cache_size,
        settings.min_dns_ttl,
        settings.max_dns_ttl,
        trust_ad=settings.trust_ad,
    )
