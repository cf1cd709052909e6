"""
DNS messages: how a question is written, which datagram answers it, and where
the chain of aliases in an answer ends.

Bytes in, values out; no socket and no clock.  dnspython is the codec, and
what it raises is translated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from ..errors import LookupFailed

#: Payload announced with EDNS: what passes every path unfragmented (DNS flag day 2020).
EDNS_PAYLOAD: Final = 1232
#: Aliases followed for one question.  Real chains have one to four; resolvers stop at 8 to 16.
MAX_LINKS: Final = 8
#: RFC 2181 section 8 asks for a cap; a week is what other resolvers use.
MAX_TTL: Final = 7 * 86400
#: Even a TTL of 0 may serve everyone who asked within a second, or a queue of a
#: thousand messages would be a thousand questions.
MIN_TTL: Final = 1
#: RFC 2308 section 5 allows hours for "there is none"; a domain being set up should not wait so long.
MAX_NEGATIVE_TTL: Final = 900
#: For a negative answer without SOA (NXDOMAIN, or of a server that speaks for the zone), which RFC 2308 would not keep.
DEFAULT_NEGATIVE_TTL: Final = 60

_HEADER_SIZE = 12
#: A query behind its id: recursion desired, AD; one question, no record, or one (OPT).
_HEADER = b"\x01\x20\x00\x01\x00\x00\x00\x00\x00\x00"
_HEADER_EDNS = _HEADER[:-1] + b"\x01"
_CLASS_IN = b"\x00\x01"
#: RFC 6891 section 6.1: root, type 41, payload, extended code and version 0, no flags, no options.
_OPT = b"\x00\x00\x29" + EDNS_PAYLOAD.to_bytes(2) + bytes(6)
#: QR bit, and the opcode that must be zero, in the third octet.
_RESPONSE_BITS = 0xF8
_RESPONSE = 0x80
_TC = 0x02
_RCODE = 0x0F
#: Codes a server may send without repeating the question.
_BARE_RCODES = frozenset({dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED})


def dns_name(text: str) -> dns.name.Name | None:
    """
    *text* as an absolute name; ``None`` when no name in DNS can be so called
    (a label above 63 octets, more than 255 in all, an empty label).

    :raises LookupFailed: *text* is not ASCII; turning U-labels into A-labels
        is done long before.
    """
    if not text.isascii():
        raise LookupFailed(f"{text!r} is not in ASCII form")
    if not text or text == ".":
        return None
    try:
        return dns.name.from_text(text)
    except dns.exception.DNSException:
        return None


def text_of(name: dns.name.Name) -> str:
    """
    *name* in lower case without final dot; unusual octets are escaped.
    """
    return name.to_text(omit_final_dot=True).lower()


class Query:
    """
    One question as it is sent to one server: fresh id, recursion and the AD bit
    desired (RFC 6840 section 5.7).
    """

    __slots__ = ("_question", "edns", "name", "rdtype", "wire")

    def __init__(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, query_id: int, edns: bool) -> None:
        self.name = name
        self.rdtype = rdtype
        self.edns = edns
        question = (name.to_wire() or b"") + rdtype.to_bytes(2) + _CLASS_IN
        header = query_id.to_bytes(2) + (_HEADER_EDNS if edns else _HEADER)
        # Written by hand: it is always the same dozen octets around a name, and
        # the codec takes as long for it as for reading the answer.
        #: The message without the length prefix of TCP.
        self.wire = header + question + (_OPT if edns else b"")
        # Name, type and class, compared without regard to case: some servers
        # answer in their own spelling.
        self._question = question.lower()

    def answered_by(self, data: bytes) -> bool:
        """
        Whether *data* answers this query: same id, a response, same question.

        Only refusals may come without the question; anything else that does
        not fit is somebody's else, or forged, and must be ignored.
        """
        if len(data) < _HEADER_SIZE or data[:2] != self.wire[:2] or data[2] & _RESPONSE_BITS != _RESPONSE:
            return False
        questions = int.from_bytes(data[4:6])
        if questions == 1:
            return data[_HEADER_SIZE : _HEADER_SIZE + len(self._question)].lower() == self._question
        return questions == 0 and data[3] & _RCODE in _BARE_RCODES


def truncated(data: bytes) -> bool:
    """
    Whether the answer did not fit and must be asked for over TCP.
    """
    return bool(data[2] & _TC)


def refusal(data: bytes) -> str:
    """
    Name of the code by which a server declined to answer; empty if it did answer.
    """
    code = data[3] & _RCODE
    if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return ""
    return dns.rcode.to_text(dns.rcode.Rcode(code))


def read_message(data: bytes) -> dns.message.Message:
    """
    The whole message.

    :raises LookupFailed: it is malformed anywhere, in one record even (an MX
        record of two octets must not pass for a null MX), or is no answer: an
        extended error code, a referral, or nothing at all (a *lame* one).
    """
    try:
        message = dns.message.from_wire(data)
    except Exception as error:
        # Whatever a codec stumbles over in hostile bytes; it has no parent
        # class of its own that is sure to cover it.
        raise LookupFailed(f"unreadable answer ({type(error).__name__})") from None
    code = message.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise LookupFailed(dns.rcode.to_text(code))
    if not message.answer and code == dns.rcode.NOERROR:
        fault = _says_nothing(message)
        if fault:
            raise LookupFailed(fault)
    return message


def _says_nothing(message: dns.message.Message) -> str:
    """
    Why an empty answer does not mean "there is none" (RFC 2308 2.2); empty if it does.

    Who knows that there is none names the zone that says so, or speaks for it.
    Servers that merely do not know any better have been seen to send nothing at
    all, and to take that for a verdict would cost a domain its mail.
    """
    kinds = {rrset.rdtype for rrset in message.authority}
    if dns.rdatatype.SOA in kinds or message.flags & dns.flags.AA:
        return ""
    if dns.rdatatype.NS in kinds:
        return "a referral: the server does not recurse"
    return "a lame answer: nothing, and no zone that says so"


@dataclass(frozen=True, slots=True)
class Records:
    """
    What DNS has under a name, aliases resolved.

    :ivar exists: false when the name (or the end of its chain) does not exist.
    :ivar rdatas: the records, as received; empty when there are none.
    :ivar ttl: seconds this may be kept, between :data:`MIN_TTL` and
        :data:`MAX_TTL`; for an empty answer at most :data:`MAX_NEGATIVE_TTL`.
    :ivar secure: whether a server whose word counts has validated it, aliases included.
    :ivar links: how many aliases led there.
    :ivar end: where they led to, as :func:`text_of` has it.
    """

    exists: bool
    rdatas: Sequence[Any]
    ttl: int
    secure: bool = False
    links: int = field(default=0, compare=False)
    end: str = field(default="", compare=False)


class Trail:
    """
    The chain of aliases from the name asked for, over one or more messages.
    """

    __slots__ = ("_names", "_secure", "_ttl", "name")

    def __init__(self, name: dns.name.Name) -> None:
        #: Where the chain has led so far: the name to ask for next.
        self.name = name
        self._names = {name}
        self._ttl = MAX_TTL
        self._secure = True

    def follow(
        self, message: dns.message.Message, rdtype: dns.rdatatype.RdataType, trusted: bool = False
    ) -> Records | None:
        """
        Follow the aliases in *message* to their end.

        One message that was not validated spoils the whole chain (RFC 7672
        section 2.1.3); a question for aliases themselves follows none.

        :param trusted: whether the AD bit of whoever sent it counts.
        :returns: what is there; ``None`` if the chain leaves the message, and
            :attr:`name` must be asked for.
        :raises LookupFailed: the chain is a loop, is longer than
            :data:`MAX_LINKS`, or ends in records that are said not to exist.
        """
        asked = self.name
        self._secure = self._secure and trusted and bool(message.flags & dns.flags.AD)
        # Only the answer section is read, and in it only what the chain owns:
        # whatever else a server volunteers is not evidence.
        owned = {
            (rrset.name, rrset.rdtype): rrset
            for rrset in message.answer
            if rrset.rdclass == dns.rdataclass.IN and rrset.rdtype in (rdtype, dns.rdatatype.CNAME)
        }
        while rdtype != dns.rdatatype.CNAME and (alias := owned.get((self.name, dns.rdatatype.CNAME))) is not None:
            self._step(alias[0].target, alias.ttl)
        found = owned.get((self.name, rdtype))
        missing = message.rcode() == dns.rcode.NXDOMAIN
        if found is not None:
            if missing:
                raise LookupFailed(f"contradiction: {text_of(self.name)} has records and does not exist")
            return self._records(True, tuple(found), found.ttl)
        negative = _negative_ttl(message)
        # RFC 6604: the code is about the end of the chain.  Without SOA an
        # alias that ends outside the message was merely not followed.
        if missing or self.name == asked or negative is not None:
            if negative is None:
                negative = DEFAULT_NEGATIVE_TTL
            return self._records(not missing, (), min(negative, MAX_NEGATIVE_TTL))
        return None

    def _records(self, exists: bool, rdatas: tuple[Any, ...], ttl: int) -> Records:
        ttl = max(MIN_TTL, min(self._ttl, ttl))
        return Records(exists, rdatas, ttl, self._secure, len(self._names) - 1, text_of(self.name))

    def _step(self, target: dns.name.Name, ttl: int) -> None:
        if target in self._names:
            raise LookupFailed(f"alias loop at {text_of(target)}")
        if len(self._names) > MAX_LINKS:
            raise LookupFailed(f"more than {MAX_LINKS} aliases in a row")
        self._names.add(target)
        self._ttl = min(self._ttl, ttl)
        self.name = target


def _negative_ttl(message: dns.message.Message) -> int | None:
    """
    RFC 2308 section 5: the smaller of the SOA's own TTL and its last field.
    """
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA:
            return min(rrset.ttl, rrset[0].minimum)
    return None
