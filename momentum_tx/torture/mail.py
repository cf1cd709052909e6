"""
The mail of a story, and how each receiver treats it.  The same seed gives the
same mail.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final
from zlib import crc32

from .judge import Fate

#: Takes mail.
GOOD: Final = "good.test"
#: Takes it at the second try.
GREY: Final = "grey.test"
#: Refuses it for ever.
PICKY: Final = "picky.test"
#: Takes it and says nothing; what nobody knows of is held.
MUTE: Final = "mute.test"
#: Takes it; what nobody knows of counts as delivered.
TRUSTED: Final = "trusted.test"
#: What becomes of the mail of each.
FATES: Final = {
    GOOD: Fate.DELIVERED,
    GREY: Fate.DELIVERED,
    PICKY: Fate.FAILED,
    MUTE: Fate.HELD,
    TRUSTED: Fate.ASSUMED,
}
#: Domains of one batch, which are mixed, and the one that comes last: what waits for an operator
#: keeps the segment it is in.
_BATCH: Final = (*(GOOD,) * 15, *(GREY,) * 4, *(PICKY,) * 2, *(TRUSTED,) * 3)
#: Recipients of one message of a batch.
_SEVERAL: Final = 3
#: The sender.  What is refused has none, so that nobody reports on it.
SENDER: Final = b"sender@torture.test"


@dataclass(frozen=True, slots=True)
class Mail:
    """
    A message to inject.

    :ivar content: header and body, CRLF line ends.
    """

    sender: bytes
    recipients: tuple[str, ...]
    content: bytes
    fate: Fate


def digest(content: bytes) -> int:
    """
    What a copy is compared by: its body, which travels unaltered.
    """
    return crc32(content.partition(b"\r\n\r\n")[2])


def batch(name: str, rng: Random) -> list[Mail]:
    """
    Some messages of every kind, mixed.

    :param name: makes the recipients unique.
    """
    domains = list(_BATCH)
    rng.shuffle(domains)
    several = domains.index(GOOD)
    return [
        _mail(f"{name}{number}", domain, rng, _SEVERAL if number == several else 1)
        for number, domain in enumerate((*domains, MUTE))
    ]


def _mail(name: str, domain: str, rng: Random, count: int) -> Mail:
    recipients = tuple(f"{name}.{index}@{domain}" for index in range(count))
    lines = [b"All work and no play.", b".", b"..", b"", b"\xc3\xa9t\xc3\xa9", bytes(rng.choices(range(33, 127), k=70))]
    body = b"".join(line + b"\r\n" for line in rng.choices(lines, k=rng.randrange(1, 40)))
    sender = b"" if domain == PICKY else SENDER
    header = b"From: <%b>\r\nTo: <%b>\r\nMessage-ID: <%b@torture.test>\r\n\r\n" % (
        SENDER,
        recipients[0].encode(),
        name.encode(),
    )
    return Mail(sender, recipients, header + body, FATES[domain])
