"""
What the demo shows: a live view, plain lines, or nothing; and the table at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TextIO

from .accounting import Report, Row

#: Columns of a bar.
BAR: Final = 20
#: Seconds between two pictures of the live view, and between two plain lines.
LIVE_INTERVAL: Final = 0.1
PLAIN_INTERVAL: Final = 1.0

_GREEN, _RED, _DIM, _RESET = "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
_HIDE_CURSOR, _SHOW_CURSOR, _CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[K"

_HEADINGS: Final = (
    "receiver",
    "injected",
    "delivered",
    "retried",
    "failed",
    "lost",
    "doubled",
    "unclear",
    "per second",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How one receiver's messages stand at the moment.
    """

    name: str
    behaviour: str
    injected: int
    delivered: int
    failed: int

    @property
    def waiting(self) -> int:
        """
        Messages without an end.  The service may have delivered what the
        injector has not read the 250 of yet.
        """
        return max(0, self.injected - self.delivered - self.failed)


@dataclass(frozen=True, slots=True)
class Picture:
    """
    Everything at one moment.

    :ivar standings: one per receiver.
    :ivar rate: deliveries per second, lately.
    :ivar elapsed: seconds since the demo began.
    """

    standings: Sequence[Standing]
    rate: float
    elapsed: float

    def sums(self) -> tuple[int, int, int, int]:
        """
        Injected, delivered, waiting and failed, of all receivers.
        """
        each = self.standings
        return (
            sum(one.injected for one in each),
            sum(one.delivered for one in each),
            sum(one.waiting for one in each),
            sum(one.failed for one in each),
        )


class Screen(Protocol):
    """
    Shows how the demo goes.
    """

    interval: float

    def begin(self, text: str) -> None:
        """
        Say what begins.
        """

    def show(self, picture: Picture) -> None:
        """
        Show the moment.
        """

    def end(self) -> None:
        """
        Leave the screen as it was found; harmless twice.
        """


class SilentScreen:
    """
    Shows nothing.
    """

    interval = PLAIN_INTERVAL

    def begin(self, text: str) -> None:
        """
        Nothing is shown.
        """

    def show(self, picture: Picture) -> None:
        """
        Nothing is shown.
        """

    def end(self) -> None:
        """
        Nothing was shown.
        """


class PlainScreen:
    """
    A line now and then, for a file or a pipe.

    :param out: where the lines go.
    """

    interval = PLAIN_INTERVAL

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def begin(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def show(self, picture: Picture) -> None:
        injected, delivered, waiting, failed = picture.sums()
        self._out.write(
            f"{picture.elapsed:4.0f} s  {injected} injected, {delivered} delivered ({picture.rate:.0f}/s), "
            f"{waiting} waiting, {failed} failed\n"
        )
        self._out.flush()

    def end(self) -> None:
        """
        Lines need no tidying.
        """


class LiveScreen:
    """
    A few lines of a terminal, drawn again and again.

    :param out: the terminal.
    :param width: its columns; lines are cut there, or they could not be drawn over.
    :param colour: whether it may be coloured.
    """

    interval = LIVE_INTERVAL

    def __init__(self, out: TextIO, width: int, colour: bool) -> None:
        self._out = out
        self._width = width
        self._colour = colour
        self._glyphs = glyphs(out.encoding)
        self._drawn = 0
        self._hidden = False

    def begin(self, text: str) -> None:
        self._hidden = True
        self._out.write(_HIDE_CURSOR + text + "\n")
        self._out.flush()

    def show(self, picture: Picture) -> None:
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        lines = self.lines(picture)
        self._drawn = len(lines)
        self._out.write(up + "".join(f"{line}{_CLEAR_LINE}\n" for line in lines))
        self._out.flush()

    def lines(self, picture: Picture) -> list[str]:
        """
        What is drawn.
        """
        lines = ["", f"{'':28}  {'':{BAR}} {'delivered':>9} {'waiting':>7} {'failed':>6}"[: self._width]]
        for one in picture.standings:
            label = f"{one.name:11} {one.behaviour:16}"
            counts = f"{one.delivered:9} {one.waiting:7} {one.failed:6}"
            if len(label) + BAR + len(counts) + 3 <= self._width:
                lines.append(f"{label}  {self._bar(one)} {counts}")
            else:
                lines.append(f"{one.name:11} {counts}"[: self._width])
        injected, delivered, waiting, failed = picture.sums()
        summary = (
            f"{picture.elapsed:.1f} s: {injected} injected, {delivered} delivered ({picture.rate:.0f}/s), "
            f"{waiting} waiting, {failed} failed"
        )
        return [*lines, summary[: self._width]]

    def _bar(self, one: Standing) -> str:
        delivered, failed, waiting = bar_parts(one, BAR)
        full, half, empty = self._glyphs
        if not self._colour:
            return full * delivered + half * failed + empty * waiting
        return f"{_GREEN}{full * delivered}{_RED}{half * failed}{_RESET}{_DIM}{empty * waiting}{_RESET}"

    def end(self) -> None:
        if self._hidden:
            self._hidden = False
            self._out.write(_SHOW_CURSOR)
            self._out.flush()


def glyphs(encoding: str | None) -> tuple[str, str, str]:
    """
    What bars are drawn with: delivered, failed, waiting.
    """
    blocks = ("█", "▓", "░")
    try:
        "".join(blocks).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "#", "x", "."
    return blocks


def bar_parts(one: Standing, width: int) -> tuple[int, int, int]:
    """
    Columns for delivered, failed and waiting, *width* in all; what exists has
    at least one.
    """
    counts = (one.delivered, one.failed, one.waiting)
    if not any(counts):
        return 0, 0, width
    parts = [max(1, count * width // sum(counts)) if count else 0 for count in counts]
    # What rounding left over, or took too much, is least seen in the longest part.
    parts[parts.index(max(parts))] += width - sum(parts)
    delivered, failed, waiting = parts
    return delivered, failed, waiting


def table(report: Report) -> str:
    """
    The judgement for people, lines with line ends.
    """
    cells = [_HEADINGS, *[_cells(row) for row in (*report.rows, report.total)]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *[cell.rjust(wide) for cell, wide in zip(row[1:], widths[1:], strict=True)]]
        )
        for row in cells
    ]
    lines.insert(len(lines) - 1, "-" * len(lines[0]))
    if report.good:
        lines += ["", "Every message is accounted for, exactly once."]
    else:
        lines += ["", "Not every message is accounted for:", *[f"  {problem}" for problem in report.problems]]
    return "".join(f"{line}\n" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.injected, row.delivered, row.retried, row.failed, row.lost, row.doubled, row.unclear)
    return (row.name, *map(str, counts), "-" if row.rate is None else f"{row.rate:.0f}")
