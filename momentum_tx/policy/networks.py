"""
Which clients an operator means: networks as they are written.

Not to be confused with :mod:`~momentum_tx.policy.prohibited`: there a doubt
forbids, here a doubt does not admit.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

#: Answers kept; clients are few, and at the bound all are forgotten.
MAX_KNOWN = 10_000


class Networks:
    """
    A set of networks with one question.

    :param networks: IPv4 and IPv6 networks or single addresses.
    :raises ValueError: one of them is none.
    """

    __slots__ = ("_known", "_networks")

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ip_network(text, strict=False) for text in networks)
        self._known: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        """
        Whether *address* lies in one of the networks.  An IPv4 client of an
        IPv6 socket (``::ffff:192.0.2.1``) counts as what it is; no other IPv6
        address is taken for an IPv4 one, and text that is no address is in none.
        """
        answer = self._known.get(address)
        if answer is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            answer = self._known[address] = self._decide(address)
        return answer

    def _decide(self, text: str) -> bool:
        try:
            address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
