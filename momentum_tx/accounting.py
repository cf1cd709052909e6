"""
Who was let in, and who may do what: one record of either.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class AccountingKind(enum.StrEnum):
    """
    What a record is about; the letter of acctlog.
    """

    #: Somebody says who they are.
    AUTHENTICATION = "N"
    #: Somebody was to say who they are, and has not in time.
    TIMEOUT = "T"
    #: Somebody wants something done.
    AUTHORIZATION = "Z"


@dataclass(frozen=True, slots=True)
class AccountingRecord:
    """
    One event (Momentum: ``ec_aaa_acct_record``).

    :ivar kind: what it is about.
    :ivar time: wall time, seconds since 1970.
    :ivar listener: where the client came in: ``control`` or ``smtp``.
    :ivar peer: the client's address, ``IP:port``; empty for a local socket.
    :ivar user: who the client is, as far as that is known; may be empty.
    :ivar result: 1 is yes and 0 is no; of an authorisation -1 is that it could not be told.
    :ivar command: of an authorisation: what was wanted.
    :ivar role: of an authorisation: by what right.
    """

    kind: AccountingKind
    time: float
    listener: str
    peer: str
    user: str
    result: int
    command: str = ""
    role: str = ""
