"""
How a session introduces itself, and the clients its mail came from.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from ..message.trace import helo_of
from ..queues.message import Reception
from ..settings import PathSettings
from ..smtp.addresses import split_address
from ..smtp.xclient import arguments


def ehlo_name(settings: PathSettings, hostname: str, reception: Reception | None, source: str = "") -> bytes:
    """
    The name in EHLO (Momentum: ``ehlo_hostname``); the address, where there is but a
    name that means nothing elsewhere, such as ``localhost`` (RFC 5321 4.1.4).

    :param hostname: our own.
    :param reception: what is to be sent first, if anything is.
    :param source: numeric address the connection leaves from; empty if that is not known.
    """
    name = settings.ehlo_hostname
    if name == "__message__":
        domain = split_address(reception.sender)[1] if reception is not None else b""
        if domain and domain.isascii():
            return domain
        name = hostname
    elif name == "__hostname__":
        name = hostname
    if source and "." not in name and not name.startswith("["):
        name = f"[IPv6:{source}]" if ":" in source else f"[{source}]"
    return name.encode("ascii")


class Due(enum.Enum):
    """
    What has to happen before a message is sent.
    """

    #: Nothing: send it.
    NOTHING = enum.auto()
    #: The peer is told of its client (:attr:`Introduction.words`).
    TELL = enum.auto()
    #: It fails for now.
    FAIL = enum.auto()
    #: It goes on another connection: here it would pass for somebody else's.
    MOVE = enum.auto()


class Introduction:
    """
    What the peer of one session was told by XCLIENT (Momentum: ``xclient``).

    :param mode: ``no``, ``ifavailable`` or ``required``.
    :ivar needed: whether there is anything to tell, so that :meth:`due` has to be asked.
    :ivar words: what is to be told next.
    """

    __slots__ = ("_known", "_required", "_telling", "needed", "words")

    def __init__(self, mode: str) -> None:
        self._required = mode == "required"
        #: The client it takes us for: address, protocol, name.
        self._known: tuple[str, str, str] | None = None
        self._telling: tuple[str, str, str] | None = None
        self.needed = mode != "no"
        self.words = b""

    def due(self, reception: Reception, content: bytes, offered: Iterable[bytes]) -> Due:
        """
        What comes before a message.

        :param content: with our trace field in front.
        :param offered: attributes the peer wants to know.
        """
        client = reception.recv_from, reception.recv_method, helo_of(content)
        if client == self._known:
            return Due.NOTHING
        self.words = arguments(offered, *client)
        if self.words:
            self._telling = client
            return Due.TELL
        return Due.FAIL if self._required else Due.NOTHING if self._known is None else Due.MOVE

    def taken(self) -> None:
        """
        The peer was told and believes it.
        """
        self._known = self._telling

    def refused(self) -> Due:
        """
        It does not want to be told of that client.
        """
        known, self._known = self._known, None
        self.needed = self._required
        return Due.FAIL if self._required else Due.NOTHING if known is None else Due.MOVE
