"""
The judgement: what was injected, against what the receiving side has.

Functions of their arguments.  A message is known by its recipient, which is
unique.  No time span comes into it: a second copy is excused by what was on
record when the process that delivered the first one was killed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .evidence import Life


class Fate(enum.Enum):
    """
    What is to become of a message, by what its receiver does.
    """

    #: Taken, at once or at the second try.
    DELIVERED = "delivered"
    #: Refused for ever.
    FAILED = "failed"
    #: Taken, and the connection ends before the reply; a policy has it wait then.
    HELD = "held"
    #: Taken; a policy has it count as delivered where nobody knows.
    ASSUMED = "assumed"


class State(enum.Enum):
    """
    What the injector knows of a message.
    """

    #: 250 to the dot was read.
    ACCEPTED = "accepted"
    #: Something else was.
    REFUSED = "refused"
    #: The dot left, and nothing was read.
    UNKNOWN = "unknown"
    #: The dot did not leave.
    UNSENT = "unsent"


@dataclass(slots=True)
class Injected:
    """
    A message.

    :ivar digest: of its body.
    """

    fate: Fate
    digest: int
    state: State = State.UNSENT


@dataclass(frozen=True, slots=True)
class Commit:
    """
    A copy that the receiving side has.

    :ivar life: number of the life that delivered it, the first being 0.
    :ivar replied: whether our 250 to its dot was written.
    """

    recipient: str
    digest: int
    life: int
    replied: bool


@dataclass(frozen=True, slots=True)
class Final:
    """
    What the spool says when all is over.

    :ivar delivered: recipients with a delivery on record.
    :ivar failed: with a failure for ever.
    :ivar held: whose mail waits for an operator.
    """

    delivered: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()


@dataclass(slots=True)
class Verdict:
    """
    What was found, recipients in lists.

    :ivar lost: accepted, and neither with its receiver nor accounted for.
    :ivar in_window: second copies where the first one's outcome was not on record
        when the process was killed, and did not have to be.
    :ivar outside: other second copies.
    :ivar refused: refused, or never sent, and delivered all the same.
    :ivar corrupted: copies with another body.
    :ivar alien: copies of what nobody injected.
    :ivar early: promises made before they could be kept: a 250 before the sync, a dot before the intent, an
        outcome before the reply.
    :ivar stuck: what did not come to an end.
    """

    lost: list[str] = field(default_factory=list)
    in_window: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    corrupted: list[str] = field(default_factory=list)
    alien: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """
        Whether every promise was kept.
        """
        return not any(found for name, found in self.findings() if name != "in_window")

    def findings(self) -> list[tuple[str, list[str]]]:
        """
        All of it, by name.
        """
        return [(name, getattr(self, name)) for name in self.__slots__]


def judge(injected: Mapping[str, Injected], commits: Sequence[Commit], lives: Sequence[Life], final: Final) -> Verdict:
    """
    Compare the books.

    :param injected: by recipient.
    :param commits: in their order.
    :param lives: what there was at the end of each life but the last.
    """
    verdict = Verdict()
    copies: dict[str, list[Commit]] = {}
    for commit in commits:
        if commit.recipient not in injected:
            verdict.alien.append(commit.recipient)
            continue
        copies.setdefault(commit.recipient, []).append(commit)
        if commit.digest != injected[commit.recipient].digest:
            verdict.corrupted.append(commit.recipient)
    for recipient, message in injected.items():
        taken = copies.get(recipient, [])
        if message.state in (State.REFUSED, State.UNSENT):
            if taken:
                verdict.refused.append(recipient)
            continue
        if message.state is State.ACCEPTED and not taken and not _accounted(recipient, message.fate, final):
            verdict.lost.append(recipient)
        answered = any(copy.replied for copy in taken)
        if message.fate is Fate.DELIVERED and recipient in final.delivered and not answered:
            verdict.early.append(f"{recipient}: counts as delivered, and no reply was written")
        for first, second in pairwise(taken):
            if message.fate is Fate.DELIVERED and excused(first, second, lives):
                verdict.in_window.append(recipient)
            else:
                verdict.outside.append(recipient)
    return verdict


def excused(first: Commit, second: Commit, lives: Sequence[Life]) -> bool:
    """
    Whether *second* may exist: the life that delivered *first* was ended before
    the outcome was on record, and at a time when it did not have to be.
    """
    if first.life >= second.life or first.life >= len(lives):
        return False
    end = lives[first.life]
    return first.recipient not in end.ended and first.recipient not in end.settled


def _accounted(recipient: str, fate: Fate, final: Final) -> bool:
    """
    Whether the end of a message that nobody has is as it should be.
    """
    if fate is Fate.FAILED:
        return recipient in final.failed
    if fate is Fate.HELD:
        return recipient in final.held
    return fate is Fate.ASSUMED and recipient in final.delivered
