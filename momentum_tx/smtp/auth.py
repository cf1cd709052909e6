"""
The AUTH command (RFC 4954), whatever the mechanism.
"""

from __future__ import annotations

import binascii
from collections.abc import Generator
from typing import Any, Final

from ..errors import ExchangeFailed
from .dialogue import MAX_ASKED
from .mechanisms import Mechanism
from .replies import Reply, ReplyClass
from .transaction import MAX_COMMAND

#: Challenges of one exchange; the longest mechanism has three.
MOST_CHALLENGES: Final = 8


class AuthenticationRefused(ExchangeFailed):
    """
    The server does not want us, for now or for ever.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.note.decode("utf-8", "replace"))
        self.reply = reply


def authenticate(name: str, mechanism: Mechanism) -> Generator[Any, Any, None]:
    """
    The words of one authentication: yields lines and is sent replies.  Where an answer
    takes time to be made it yields a function without arguments, and is sent what that
    returns.

    What goes wrong on our side, or makes no sense, is cancelled by ``*``, so that the
    server does not take what comes next for an answer.

    :param name: of the mechanism.
    :param mechanism: made for this exchange.
    :raises AuthenticationRefused: the server has answered with a refusal.
    :raises ExchangeFailed: it is not to be trusted, or to be understood.
    """
    line = b"AUTH " + name.encode()
    first = mechanism.initial()
    if first is not None:
        # "=" stands for nothing, where nothing would stand for no response (RFC 4954 4).
        word = _encoded(first) or b"="
        if len(line) + len(word) + 3 <= MAX_COMMAND:
            line, first = line + b" " + word, None
    reply = yield line
    for _ in range(MOST_CHALLENGES):
        if reply.reply_class is not ReplyClass.GO_ON:
            break
        try:
            if first is not None:
                # Whatever the challenge says: it is the client that begins.
                if reply.code != 334:
                    raise ExchangeFailed(f"{name}: a challenge that is none: {reply.code}")
                answer: Any = first
                first = None
            else:
                answer = mechanism.respond(_challenge(name, reply))
                if callable(answer):
                    answer = yield answer
            word = _encoded(answer)
            if len(word) + 2 > MAX_ASKED:
                raise ExchangeFailed(f"{name}: an answer of {len(word)} octets, more than a line may have")
        except ExchangeFailed:
            yield b"*"
            raise
        reply = yield word
    if reply.reply_class is ReplyClass.GO_ON:
        yield b"*"
        raise ExchangeFailed(f"{name}: challenges without end")
    if reply.reply_class is not ReplyClass.OK:
        raise AuthenticationRefused(reply)
    mechanism.accepted()


def _challenge(name: str, reply: Reply) -> bytes:
    if reply.code != 334 or len(reply.lines) > 1 or reply.overlong:
        raise ExchangeFailed(f"{name}: a challenge that is none: {reply.code}")
    try:
        return binascii.a2b_base64(reply.lines[0].strip(), strict_mode=True)
    except (binascii.Error, ValueError):
        raise ExchangeFailed(f"{name}: a challenge that is not base64") from None


def _encoded(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False)
