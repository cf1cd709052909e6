"""
One end of a virtual connection as far as it stands still: its addresses and its
options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..net.endpoint import address_of

if TYPE_CHECKING:
    from twisted.internet.address import IPv4Address, IPv6Address


class End:
    """
    What a transport knows of its connection.

    :ivar local: address and port of this end.
    :ivar peer: address and port of the other end.
    :ivar place: address and port of the end that listened.
    :ivar no_delay: what ``setTcpNoDelay`` said last.
    """

    __slots__ = ("_host_address", "_keep_alive", "_peer_address", "local", "no_delay", "peer", "place")

    def __init__(self, local: tuple[str, int], peer: tuple[str, int], place: tuple[str, int]) -> None:
        self.local = local
        self.peer = peer
        self.place = place
        self.no_delay = False
        self._keep_alive = False
        self._host_address: IPv4Address | IPv6Address | None = None
        self._peer_address: IPv4Address | IPv6Address | None = None

    def getPeer(self) -> IPv4Address | IPv6Address:
        """
        See ``ITransport``.
        """
        # Asked for with every message.
        if self._peer_address is None:
            self._peer_address = address_of(*self.peer)
        return self._peer_address

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        See ``ITransport``.
        """
        if self._host_address is None:
            self._host_address = address_of(*self.local)
        return self._host_address

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        See ``ITCPTransport``.
        """
        self.no_delay = bool(enabled)

    def getTcpNoDelay(self) -> bool:
        """
        See ``ITCPTransport``.
        """
        return self.no_delay

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        See ``ITCPTransport``.
        """
        self._keep_alive = bool(enabled)

    def getTcpKeepAlive(self) -> bool:
        """
        See ``ITCPTransport``.
        """
        return self._keep_alive
