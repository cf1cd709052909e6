"""
What a server session is given, and what it tells its owner.
"""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from ..envelope import NO_TERMS, Terms


class Phase(enum.IntEnum):
    """
    Where a client was refused, numbered as Momentum's ``MC_STATE_*``.
    """

    START = 0
    EHLO = 2
    MAILFROM = 4
    RCPTTO = 6
    DATA = 8
    BODY = 9
    BODY_RESPONSE = 10
    RELAYING_DENIED = 13
    CONCURRENCY_LIMIT = 18


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """
    What one listener's sessions have in common.

    :ivar hostname: our name in greetings.
    :ivar max_message_size: octets of the largest message taken.
    :ivar max_recipients: recipients of one transaction.
    """

    hostname: str
    max_message_size: int
    max_recipients: int


# A tuple, since that is made for every message in a third of the time.
class MessageReceived(NamedTuple):
    """
    A whole message was received and waits for
    :meth:`SMTPServerMachine.answer`; until then nothing more is read.

    :ivar sender: reverse path without brackets, empty for the null sender.
    :ivar recipients: forward paths without brackets.
    :ivar content: CRLF line ends only, dots not doubled.
    :ivar eight_bit: declared as ``BODY=8BITMIME``, or found to hold octets above 127.
    :ivar smtputf8: the client asked for SMTPUTF8.
    :ivar terms: what else the envelope says.
    """

    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes
    eight_bit: bool
    smtputf8: bool
    terms: Terms = NO_TERMS


@dataclass(frozen=True, slots=True)
class Rejected:
    """
    Something the client asked for was refused.

    :ivar phase: a number of :class:`Phase`.
    :ivar command: the command line as received; empty if there is none.
    :ivar code: the reply code.
    :ivar text: the reply text, enhanced status code first.
    """

    phase: int
    command: bytes
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Closing:
    """
    Write what is to be written, then close the connection.
    """


ServerEvent = MessageReceived | Rejected | Closing
