"""
The demo's judgement: what was injected, against what receivers and service
have on their books.

Functions of their arguments; nothing here reads a clock or a socket.  A message
is known by its recipient, which is unique.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

#: Messages named for each kind of problem; the rest is counted.
MOST_NAMED: Final = 3


class Fate(enum.Enum):
    """
    What became of a message; the value is the column it counts in.
    """

    #: Its receiver has it once, and the service says so.
    DELIVERED = "delivered"
    #: Nobody has it, and the service says once that it failed for ever.
    FAILED = "failed"
    #: Nobody has it, and the service does not say that it failed.
    LOST = "lost"
    #: Its receiver has it more than once.
    DOUBLED = "doubled"
    #: Its receiver has it once, but the service tells another story.
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Injected:
    """
    A message for which the service said 250.

    :ivar receiver: name of the receiver it is for.
    :ivar digest: of the body, as it must arrive.
    :ivar expected: how that receiver treats it, if all is well.
    """

    receiver: str
    digest: int
    expected: Fate


@dataclass(slots=True)
class Ledger:
    """
    What one receiver has taken, in its own words.

    :ivar taken: digests of the bodies taken, by recipient.
    :ivar first: when the first message was taken, seconds of any clock.
    :ivar last: when the last one was.
    """

    taken: dict[bytes, list[int]] = field(default_factory=dict)
    first: float = 0.0
    last: float = 0.0

    def enter(self, recipient: bytes, digest: int, now: float) -> None:
        """
        A message was taken.
        """
        if not self.taken:
            self.first = now
        self.last = now
        self.taken.setdefault(recipient, []).append(digest)


@dataclass(slots=True)
class Records:
    """
    What the service says of its messages: how often each was recorded, by recipient.
    """

    delivered: Counter[bytes] = field(default_factory=Counter)
    deferred: Counter[bytes] = field(default_factory=Counter)
    failed: Counter[bytes] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Row:
    """
    One line of the table.

    :ivar retried: messages whose first attempt failed for now.
    :ivar rate: messages per second between the first delivery and the last;
        ``None`` if there were not two.
    """

    name: str
    injected: int
    delivered: int
    retried: int
    failed: int
    lost: int
    doubled: int
    unclear: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """
    The judgement.

    :ivar rows: one per receiver.
    :ivar total: their sum.
    :ivar problems: what is wrong, a line each; empty if every message is
        accounted for exactly once.
    """

    rows: tuple[Row, ...]
    total: Row
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        """
        Whether every message is accounted for, exactly once.
        """
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """
        For ``json.dumps``.
        """
        return {
            "ok": self.good,
            "receivers": [asdict(row) for row in self.rows],
            "total": asdict(self.total),
            "problems": list(self.problems),
        }


def fate(taken: int, delivered: int, failed: int) -> Fate:
    """
    What became of one message.

    :param taken: how often its receiver has it.
    :param delivered: how often the service recorded it as delivered.
    :param failed: how often the service recorded it as failed for ever.
    """
    if taken > 1:
        return Fate.DOUBLED
    if taken:
        return Fate.DELIVERED if (delivered, failed) == (1, 0) else Fate.UNCLEAR
    return Fate.FAILED if (delivered, failed) == (0, 1) else Fate.LOST


def judge(
    injected: Mapping[bytes, Injected],
    ledgers: Mapping[str, Ledger],
    records: Records,
    logged: Mapping[str, int] | None = None,
    other_problems: Iterable[str] = (),
) -> Report:
    """
    Compare the books.

    :param injected: by recipient.
    :param ledgers: by the receiver's name.
    :param records: what the hooks were told.
    :param logged: number of mainlog records by kind (R, D, T, P), if there is a mainlog.
    :param other_problems: what else went wrong.
    """
    problems = _Problems()
    counts: dict[str, Counter[Fate]] = {name: Counter() for name in ledgers}
    retried: Counter[str] = Counter()
    for recipient, message in injected.items():
        ledger = ledgers[message.receiver]
        digests = ledger.taken.get(recipient, [])
        delivered, failed = records.delivered[recipient], records.failed[recipient]
        found = fate(len(digests), delivered, failed)
        counts[message.receiver][found] += 1
        retried[message.receiver] += recipient in records.deferred
        if found in (Fate.DELIVERED, Fate.FAILED):
            if found is not message.expected:
                problems.note(f"{found.value} where it should have been {message.expected.value}", recipient)
        elif found is Fate.LOST:
            problems.note(_how_lost(delivered, failed), recipient)
        elif found is Fate.DOUBLED:
            problems.note("doubled: the receiver has it more than once", recipient)
        else:
            problems.note(
                f"unclear: the receiver has it, the service recorded {delivered} deliveries and {failed} failures",
                recipient,
            )
        if any(digest != message.digest for digest in digests):
            problems.note("altered: the body is not what was injected", recipient)
    for name, ledger in ledgers.items():
        for recipient in ledger.taken:
            if recipient not in injected or injected[recipient].receiver != name:
                problems.note(f"strange: {name} took it, and it was not injected for it", recipient)
    rows = tuple(
        _row(name, counts[name], retried[name], [ledger] if ledger.taken else []) for name, ledger in ledgers.items()
    )
    total = _row(
        "total",
        sum(counts.values(), Counter()),
        retried.total(),
        [ledger for ledger in ledgers.values() if ledger.taken],
    )
    if logged is not None:
        problems.compare_log(logged, len(injected), records)
    return Report(rows, total, (*other_problems, *problems.lines()))


def _how_lost(delivered: int, failed: int) -> str:
    if delivered:
        return "lost: recorded as delivered, but the receiver does not have it"
    if failed:
        return "lost: recorded as failed more than once"
    return "lost: neither delivered nor failed when the demo ended"


def _row(name: str, counts: Mapping[Fate, int], retried: int, ledgers: list[Ledger]) -> Row:
    def count(fate: Fate) -> int:
        return counts.get(fate, 0)

    rate = None
    if ledgers:
        taken = sum(len(digests) for ledger in ledgers for digests in ledger.taken.values())
        span = max(ledger.last for ledger in ledgers) - min(ledger.first for ledger in ledgers)
        if taken > 1 and span > 0:
            rate = round((taken - 1) / span, 1)
    return Row(
        name,
        sum(counts.values()),
        count(Fate.DELIVERED),
        retried,
        count(Fate.FAILED),
        count(Fate.LOST),
        count(Fate.DOUBLED),
        count(Fate.UNCLEAR),
        rate,
    )


class _Problems:
    """
    Collects problems: each kind once, with the first few messages that have it.
    """

    def __init__(self) -> None:
        self._found: dict[str, list[bytes]] = {}
        self._more: list[str] = []

    def note(self, kind: str, recipient: bytes) -> None:
        self._found.setdefault(kind, []).append(recipient)

    def compare_log(self, logged: Mapping[str, int], injected: int, records: Records) -> None:
        """
        Let the mainlog be a witness too.
        """
        for kind, what, count in (
            ("R", "receptions", injected),
            ("D", "deliveries", records.delivered.total()),
            ("T", "transient failures", records.deferred.total()),
            ("P", "permanent failures", records.failed.total()),
        ):
            if logged.get(kind, 0) != count:
                self._more.append(f"mainlog has {logged.get(kind, 0)} {what}, there were {count}")

    def lines(self) -> list[str]:
        lines = []
        for kind, recipients in self._found.items():
            named = ", ".join(each.decode("utf-8", "backslashreplace") for each in recipients[:MOST_NAMED])
            more = ", ..." if len(recipients) > MOST_NAMED else ""
            lines.append(f"{len(recipients)} {kind}: {named}{more}")
        return lines + self._more
