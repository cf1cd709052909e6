"""
What records mean for mail: exchangers and addresses.  Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from ..errors import LookupFailed
from ..interfaces.services import AddressAnswer, AliasAnswer, MXAnswer, MXKind, TLSAAnswer, TLSARecord, TXTAnswer
from .dns_wire import Records, text_of

#: Exchangers used of one domain, the most preferred first.  The largest real
#: sets have some twenty; what is beyond is an attack on our resolver.
MAX_EXCHANGERS: Final = 100
#: Addresses used of one host, both families together.
MAX_ADDRESSES: Final = 20
#: TLSA records of one name; real sets have one to four.
MAX_TLSA: Final = 500


def is_address_text(host: str) -> bool:
    """
    Whether *host* is spelled like an IP address, which no host name is
    (RFC 1123 section 2.1).
    """
    # Every IPv4 address ends in a digit and every IPv6 address has a colon.
    if not host or not (host[-1].isdigit() or ":" in host):
        return False
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def mx_answer(records: Records) -> MXAnswer:
    """
    The exchangers of a domain.

    A null MX (RFC 7505) counts only if it is alone: beside others it is a
    mistake of theirs, and mail can be delivered in spite of it.
    """
    if not records.exists:
        return MXAnswer(MXKind.NXDOMAIN, (), records.ttl, records.secure)
    if not records.rdatas:
        return MXAnswer(MXKind.NONE, (), records.ttl, records.secure)
    found = [(rdata.preference, text_of(rdata.exchange)) for rdata in records.rdatas if len(rdata.exchange) > 1]
    if not found:
        return MXAnswer(MXKind.NULL, (), records.ttl, records.secure)
    # The sort is stable: within one preference the order is the server's.
    found.sort(key=_preference)
    return MXAnswer(MXKind.RECORDS, tuple(found[:MAX_EXCHANGERS]), records.ttl, records.secure)


def _preference(record: tuple[int, str]) -> int:
    return record[0]


def address_answer(families: Sequence[Records | LookupFailed]) -> AddressAnswer:
    """
    The addresses of a host.

    :param families: what became of the question for A, then, if it was asked,
        of that for AAAA.
    :raises LookupFailed: there is no address, and one family is not known.
    """
    known = [records for records in families if isinstance(records, Records)]
    having = [records for records in known if records.rdatas]
    if not having:
        for records in families:
            if isinstance(records, LookupFailed):
                raise records
        return AddressAnswer((), min(records.ttl for records in known), all(records.secure for records in known))
    first, second = having[0].rdatas, having[1].rdatas if len(having) > 1 else ()
    # Neither family crowds out the other: each has half of the room for sure.
    second = second[: max(MAX_ADDRESSES // 2, MAX_ADDRESSES - len(first))]
    first = first[: MAX_ADDRESSES - len(second)]
    addresses = tuple(rdata.address for rdata in (*first, *second))
    # A family that has none does not shorten the life of the other.
    secure = all(records.secure for records in having)
    canonical = having[0].end if having[0].links else ""
    return AddressAnswer(addresses, min(records.ttl for records in having), secure, canonical)


def tlsa_answer(records: Records) -> TLSAAnswer:
    """
    The TLSA records of a name, as they are; none is judged.

    :raises LookupFailed: there are more than :data:`MAX_TLSA`.  To use some of
        them could mean to demand less than all of them do.
    """
    if len(records.rdatas) > MAX_TLSA:
        raise LookupFailed(f"{len(records.rdatas)} TLSA records, more than {MAX_TLSA}")
    found = tuple(TLSARecord(each.usage, each.selector, each.mtype, each.cert) for each in records.rdatas)
    return TLSAAnswer(found, records.ttl, records.secure)


def txt_answer(records: Records) -> TXTAnswer:
    """
    The texts of a name, the strings of each joined without anything between (RFC 7208
    section 3.3, to which RFC 8461 refers).
    """
    return TXTAnswer(tuple(b"".join(each.strings) for each in records.rdatas), records.ttl, records.links)


def alias_answer(records: Records) -> AliasAnswer:
    """
    What a name stands for, one link far.
    """
    target = text_of(records.rdatas[0].target) if records.rdatas else ""
    return AliasAnswer(target, records.ttl, records.secure)
