"""
What it means that the reply to a final dot was lost: nobody knows whether the peer
has the message, and each answer is wrong for somebody.
"""

from __future__ import annotations

import enum
from typing import Final


class LostReply(enum.IntEnum):
    """
    What becomes of such a message (``lost_final_reply``).  The numbers are on record in
    the journal and must not change.
    """

    #: It is tried again: it may arrive twice.
    RETRY = 0
    #: It counts as delivered: it may never have arrived.
    ASSUME_DELIVERED = 1
    #: It waits until an operator has found out.
    HOLD = 2


#: The policies by the words of the configuration.
POLICIES: Final = {policy.name.lower(): policy for policy in LostReply}
#: Why a message is held, or taken for delivered, that was under way when the process died.
INTERRUPTED: Final = b"451 4.4.2 [internal] interrupted before the reply to the final dot"
#: The end of a message of which an operator has found out that it arrived, or that it need not.
SETTLED: Final = b"250 2.0.0 [internal] taken for delivered by an operator"
GIVEN_UP: Final = b"554 5.4.0 [internal] given up by an operator, no reply to the final dot"


def assumed(note: bytes) -> bytes:
    """
    The status text of a message that is taken for delivered.

    :param note: what happened in place of the reply.
    """
    return b"250 2.0.0 [internal] assumed delivered, no reply to the final dot: " + note
