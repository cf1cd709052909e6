"""
Which addresses learnt from DNS are never connected to.

A stranger chooses what his domain's records say; without this list he could
make us talk to our own machine, our network, or a cloud's metadata service.

Source: Momentum, page of ``prohibited_hosts``; the default list is ours
(:data:`momentum_tx.settings.DEFAULT_PROHIBITED_HOSTS`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

#: Answers kept.  Delivery asks again and again for the same exchangers; one
#: entry is about 150 octets, and at the bound all are forgotten at once.
MAX_KNOWN: Final = 8192

#: RFC 6052 section 2.1: the well-known prefix of translated IPv4 addresses.
_NAT64: Final = IPv6Network("64:ff9b::/96")
#: RFC 4291 section 2.5.5.1: "IPv4-compatible", deprecated; the first 65536 of
#: them are the unspecified and the loopback address and their neighbours.
_COMPATIBLE: Final = IPv6Network("::/96")


def embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """
    The IPv4 address that packets to *address* would end at, or ``None``.

    Known forms: mapped (RFC 4291 2.5.5.2), the well-known prefix of NAT64
    (RFC 6052), 6to4 (RFC 3056), and the deprecated compatible form.
    """
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _COMPATIBLE and int(address) > 0xFFFF:
        return IPv4Address(int(address))
    return None


class ProhibitedHosts:
    """
    A set of networks with one question.  Immutable: a new configuration makes
    a new one.
    """

    __slots__ = ("_ends4", "_ends6", "_known", "_starts4", "_starts6")

    def __init__(self, networks: Iterable[str], own_addresses: Iterable[str] = ()) -> None:
        """
        :param networks: IPv4 and IPv6 networks or single addresses; an IPv6
            network that lies within the mapped range ``::ffff:0:0/96`` is
            taken as the IPv4 network it stands for.
        :param own_addresses: addresses of this machine.
        :raises ValueError: one of them is not a network; the text names it.
        """
        ranges4: list[tuple[int, int]] = []
        ranges6: list[tuple[int, int]] = []
        for text in (*networks, *own_addresses):
            network = _parse(text)
            if isinstance(network, IPv6Network):
                mapped = network.network_address.ipv4_mapped
                if mapped is None or network.prefixlen < 96:
                    ranges6.append((int(network.network_address), int(network.broadcast_address)))
                    continue
                network = IPv4Network((mapped, network.prefixlen - 96))
            ranges4.append((int(network.network_address), int(network.broadcast_address)))
        self._starts4, self._ends4 = _merge(ranges4)
        self._starts6, self._ends6 = _merge(ranges6)
        self._known: dict[str, bool] = {}

    def prohibits(self, address: str) -> bool:
        """
        Whether *address* must not be connected to.

        An IPv6 address that carries an IPv4 address is prohibited if either
        of the two is.  Text that is no address is prohibited as well: whoever
        asks is about to connect to it.

        :param address: numeric, in any spelling; a scope (``%eth0``) is ignored.
        """
        answer = self._known.get(address)
        if answer is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            answer = self._known[address] = self._decide(address)
        return answer

    def _decide(self, text: str) -> bool:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return True
        if isinstance(address, IPv4Address):
            return _within(int(address), self._starts4, self._ends4)
        inner = embedded_ipv4(address)
        if inner is not None and _within(int(inner), self._starts4, self._ends4):
            return True
        return _within(int(address), self._starts6, self._ends6)


def _parse(text: str) -> IPv4Network | IPv6Network:
    try:
        # Not strict: 10.1.2.3/8 can only mean one thing, and refusing it
        # would leave a network open that somebody wanted closed.
        return ip_network(text.strip().partition("%")[0], strict=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network: {error}") from None


def _merge(ranges: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """
    Starts and ends of *ranges*, ascending, overlaps and neighbours joined.
    """
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(ranges):
        if ends and start <= ends[-1] + 1:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends


def _within(number: int, starts: list[int], ends: list[int]) -> bool:
    index = bisect_right(starts, number) - 1
    return index >= 0 and number <= ends[index]
