"""
What the demo sends: four kinds of receivers, and messages for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final
from zlib import crc32

from .accounting import Fate, Injected

SENDER: Final = b"sender@demo.example"
#: Local parts that the picky receiver does not know begin with this.
UNKNOWN: Final = b"unknown"
#: Of the picky receiver's messages, the share that goes to such mailboxes.
UNKNOWN_SHARE: Final = 0.3


@dataclass(frozen=True, slots=True)
class ReceiverKind:
    """
    A receiver of the demo.

    :ivar domain: the domain it receives for.
    :ivar behaviour: what it does, in a few words.
    :ivar share: of the messages, in percent.
    :ivar address: where it listens, if the host has that address.
    """

    domain: str
    behaviour: str
    share: int
    address: str


# Each has an address of its own, as in life: a failure to connect is counted against
# the address, whatever the port.
GOOD: Final = ReceiverKind("good.demo", "takes everything", 45, "127.0.0.11")
GREY: Final = ReceiverKind("grey.demo", "first try: 451", 25, "127.0.0.12")
PICKY: Final = ReceiverKind("picky.demo", "some: 550", 20, "127.0.0.13")
DOWN: Final = ReceiverKind("down.demo", "nobody listens", 10, "127.0.0.14")
KINDS: Final = (GOOD, GREY, PICKY, DOWN)


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """
    A message to inject.

    :ivar recipient: its only recipient, and its name in every book.
    :ivar content: header and body as given to the service, CRLF line ends.
    :ivar entry: what the books must say of it.
    """

    recipient: bytes
    content: bytes
    entry: Injected


def body_of(content: bytes) -> bytes:
    """
    What follows the header; the only part that travels unaltered.
    """
    return content.partition(b"\r\n\r\n")[2]


def digest(body: bytes) -> int:
    """
    What a body is compared by.
    """
    return crc32(body)


def messages(count: int, rng: Random, bindings: Sequence[str]) -> Iterator[DemoMessage]:
    """
    *count* messages, the kinds of receivers mixed by their shares.

    :param bindings: names of bindings, used in turn; none for the default.
    """
    kinds = rng.choices(KINDS, [kind.share for kind in KINDS], k=count)
    for number, kind in enumerate(kinds):
        yield _message(number, kind, rng, bindings[number % len(bindings)] if bindings else "")


def _message(number: int, kind: ReceiverKind, rng: Random, binding: str) -> DemoMessage:
    local, expected = b"mailbox", Fate.DELIVERED
    if kind is DOWN:
        expected = Fate.FAILED
    elif kind is PICKY and rng.random() < UNKNOWN_SHARE:
        local, expected = UNKNOWN, Fate.FAILED
    recipient = b"%b-%d@%b" % (local, number, kind.domain.encode("ascii"))
    # Lines that begin with dots are what a careless sender spoils.
    body = b"Message %d of the demo.\r\n.\r\n..two dots\r\n" % number + b"All work and no play.\r\n" * rng.randrange(
        1, 40
    )
    header = b"From: <%b>\r\nTo: <%b>\r\nSubject: Demo %d\r\nMessage-ID: <%d@demo.example>\r\n" % (
        SENDER,
        recipient,
        number,
        number,
    )
    if binding:
        header = b"X-Binding: %b\r\n" % binding.encode("ascii") + header
    return DemoMessage(recipient, header + b"\r\n" + body, Injected(kind.domain, digest(body), expected))
