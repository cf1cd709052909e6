"""
What became of a recipient in one attempt.  A verdict is a value; an exception
means that there is none.
"""

import enum
from dataclasses import dataclass

from .stages import Stage


class Verdict(enum.Enum):
    """
    What an attempt decided about one recipient.
    """

    #: The peer took responsibility for the message.
    DELIVERED = "delivered"
    #: Not now; the message stays ours.
    TRANSIENT = "transient"
    #: Never; the message is finished without delivery.
    PERMANENT = "permanent"


class Scope(enum.IntEnum):
    """
    What a refusal concerns, from the least to the most.
    """

    RECIPIENT = 1
    MESSAGE = 2
    CONNECTION = 3
    HOST = 4
    DOMAIN = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    The end of an attempt for one recipient; where ``service.send`` reports
    it, the end of the message.

    :ivar recipient: the envelope address, without angle brackets.
    :ivar verdict: what was decided.
    :ivar scope: how far a refusal reaches.
    :ivar note: reply or ``[internal]`` text, code first, one line.
    :ivar stage: where the attempt stood.
    :ivar ambiguous: the final dot was sent and no complete reply to it was
        read: the peer may have taken the message.
    """

    recipient: bytes
    verdict: Verdict
    scope: Scope
    note: bytes
    stage: Stage = Stage.UNKNOWN
    ambiguous: bool = False
