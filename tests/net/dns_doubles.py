"""
A reactor whose UDP ports and TCP connections end in a scripted DNS server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUDP, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from zope.interface import implementer

#: The server that tests configure.
SERVER = ("192.0.2.53", 53)
SECOND = ("192.0.2.54", 53)


def rrset(text: str, *rdatas: str, ttl: int = 300) -> dns.rrset.RRset:
    """
    Records of one name and type: ``rrset("example.com. MX", "10 mx.example.com.")``.
    """
    name, kind = text.split()
    return dns.rrset.from_text_list(name, ttl, "IN", kind, rdatas)


def soa(zone: str, minimum: int = 30, ttl: int = 3600) -> dns.rrset.RRset:
    """
    The SOA record of *zone*.
    """
    return rrset(f"{zone} SOA", f"ns.{zone} root.{zone} 1 2 3 4 {minimum}", ttl=ttl)


def reply(
    wire: bytes,
    *answer: dns.rrset.RRset,
    rcode: int = 0,
    authority: tuple[dns.rrset.RRset, ...] = (),
    additional: tuple[dns.rrset.RRset, ...] = (),
    flags: int = dns.flags.RA,
) -> bytes:
    """
    The answer of a resolver to the query *wire*.
    """
    response = dns.message.make_response(dns.message.from_wire(wire))
    response.flags |= flags
    response.set_rcode(dns.rcode.Rcode(rcode))
    # One set for each record, since dnspython shuffles what is in one.
    response.answer.extend(
        dns.rrset.from_rdata(records.name, records.ttl, rdata) for records in answer for rdata in records
    )
    response.authority.extend(authority)
    response.additional.extend(additional)
    return response.to_wire(max_size=65535)


def raw_record(wire: bytes, kind: int, rdata: bytes) -> bytes:
    """
    An answer with one record whose data no encoder would make.
    """
    response = reply(wire)
    # Behind the question, by pointer to its name; the OPT record follows.
    end = 12 + len(dns.message.from_wire(wire).question[0].name.to_wire() or b"") + 4
    record = b"\xc0\x0c" + kind.to_bytes(2) + b"\x00\x01" + (60).to_bytes(4) + len(rdata).to_bytes(2) + rdata
    return response[:6] + b"\x00\x01" + response[8:end] + record + response[end:]


@implementer(IUDPTransport, IListeningPort)
class FakePort:
    """
    A UDP port that keeps what was sent.
    """

    def __init__(self, reactor: DNSReactor, protocol: DatagramProtocol, interface: str) -> None:
        self.reactor = reactor
        self.protocol = protocol
        self.interface = interface
        self.peer: tuple[str, int] | None = None
        self.sent: list[bytes] = []
        self.open = True

    def connect(self, host: str, port: int) -> None:
        self.peer = (host, port)

    def write(self, packet: bytes, addr: tuple[str, int] | None = None) -> None:
        assert addr in (None, self.peer)
        if self.reactor.unreachable:
            raise OSError(101, "Network is unreachable")
        self.sent.append(packet)

    def receive(self, datagram: bytes, peer: tuple[str, int] | None = None) -> None:
        """
        Let *datagram* arrive, from where the query went unless told otherwise.
        """
        self.protocol.datagramReceived(datagram, peer or self.peer)  # type: ignore[arg-type]

    def startListening(self) -> None:
        raise NotImplementedError

    def stopListening(self) -> Deferred[None]:
        self.open = False
        return succeed(None)

    def getHost(self) -> Any:
        raise NotImplementedError

    def setBroadcastAllowed(self, enabled: Any) -> None:
        raise NotImplementedError

    def getBroadcastAllowed(self) -> bool:
        return False


#: Answers a query; an empty answer is none.
Answering = Callable[[bytes], bytes]


@implementer(IReactorUDP)
class DNSReactor(MemoryReactorClock):
    """
    Clock, UDP and TCP in memory, and a table of answers.
    """

    def __init__(self) -> None:
        super().__init__()
        #: Every UDP port ever opened.
        self.ports: list[FakePort] = []
        #: Whether the kernel has no port left.
        self.exhausted = False
        #: Whether no packet can leave.
        self.unreachable = False
        #: What :meth:`serve` answers, by name without final dot and type.
        self.zone: dict[tuple[str, str], Answering] = {}
        #: Queries that :meth:`serve` has answered or dropped: name and type.
        self.asked: list[tuple[str, str]] = []

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> IListeningPort:
        assert port == 0
        if self.exhausted:
            raise CannotListenError(interface, port, OSError(24, "Too many open files"))
        opened = FakePort(self, protocol, interface)
        self.ports.append(opened)
        protocol.makeConnection(opened)
        return opened

    @property
    def open_ports(self) -> list[FakePort]:
        """
        The ports that wait for an answer.
        """
        return [port for port in self.ports if port.open]

    def serve(self) -> None:
        """
        Answer what was asked from :attr:`zone`, and what is asked because of
        that, until all is quiet.  A name that is not there does not exist.
        """
        progress = True
        while progress:
            progress = False
            for port in self.open_ports:
                while port.sent and port.open:
                    progress = True
                    wire = port.sent.pop()
                    answer = self.answer(wire)
                    if answer:
                        port.receive(answer)
            self.advance(0)

    def answer(self, wire: bytes) -> bytes:
        """
        What the table says to *wire*.
        """
        question = dns.message.from_wire(wire).question[0]
        key = (question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype))
        self.asked.append(key)
        answering = self.zone.get(key)
        if answering is not None:
            return answering(wire)
        exists = any(name == key[0] for name, _ in self.zone)
        return reply(wire, rcode=0 if exists else 3, authority=(soa("example."),))

    def add(self, *records: dns.rrset.RRset) -> None:
        """
        Answer *records* where their first name and last type are asked for.
        """
        key = (records[0].name.to_text(omit_final_dot=True), dns.rdatatype.to_text(records[-1].rdtype))
        self.zone[key] = lambda wire: reply(wire, *records)

    def stream(self, index: int = -1) -> tuple[Any, StringTransport]:
        """
        Let a TCP connect succeed: the client's protocol and its transport.
        """
        factory = self.tcpClients[index][2]
        protocol: Any = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport
