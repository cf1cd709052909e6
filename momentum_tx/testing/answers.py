"""
What a receiver of the virtual network may do at one point of its script.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a receiver does at one point of its script.

    :ivar reply: what it says, without the final CRLF; empty for nothing.
    :ivar then: ``go on``, ``close`` or ``reset`` the connection, or ``deaf``:
        never say anything again.
    :ivar take: whether the message is taken all the same; at ``dot`` only.
    :ivar after: seconds it thinks first.
    """

    reply: bytes = b""
    then: str = "go on"
    take: bool = False
    after: float = 0.0


#: Say nothing more, for ever.
SILENCE: Final = Answer(then="deaf")
#: Close the connection without a word.
CLOSE: Final = Answer(then="close")
#: Reset the connection.
RESET: Final = Answer(then="reset")
#: At the final dot: take the message, and close or keep silent.
TAKE_AND_CLOSE: Final = Answer(then="close", take=True)
TAKE_AND_BE_SILENT: Final = Answer(then="deaf", take=True)

#: What a well-behaved receiver says while all goes well.
SENDER_OK: Final = Answer(b"250 2.1.0 Sender ok")
RECIPIENT_OK: Final = Answer(b"250 2.1.5 Recipient ok")
GO_ON: Final = Answer(b"354 Go on")
TAKEN: Final = Answer(b"250 2.0.0 Taken")
