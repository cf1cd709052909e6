"""
A log whose records are gathered and written once per turn of the reactor, with a
heartbeat: what all of Momentum's loggers have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from .text import encode

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from .files import ILogFile

#: Octets of records that wait for the end of the turn; at the bound they are written at once.
BUFFER_SIZE: Final = 1 << 20

#: Seconds between two reports that the log cannot be written.  A disk that is
#: full by a hair fails and recovers many times a second.
REPORT_INTERVAL: Final = 60.0


class GatheredLog:
    """
    A file of records, one line each.

    Between :meth:`start` and :meth:`stop` records are gathered and written once per
    turn; outside of that each is written at once.  A record that cannot be written is
    dropped and counted: mail does not wait for its log.

    :param name: what it is called in complaints.
    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    :param period: seconds between two heartbeats; asked at every one, 0 for none.
    :param mark: the record of a heartbeat, without its time and its end.
    :ivar lost: records dropped since the log was made.
    """

    __slots__ = (
        "_clock",
        "_failing",
        "_file",
        "_heartbeat",
        "_lines",
        "_mark",
        "_name",
        "_period",
        "_size",
        "_told",
        "_told_at",
        "_turn",
        "_wall",
        "lost",
    )

    #: It is called whatever happens: nothing may be missing in a log.
    part_of_service: Final = True

    _log = Logger()

    def __init__(
        self, name: str, file: ILogFile, wall: Callable[[], float], period: Callable[[], float], mark: str
    ) -> None:
        self._name = name
        self._file = file
        self._wall = wall
        self._period = period
        self._mark = mark
        self.lost = 0
        self._lines: list[bytes] = []
        self._size = 0
        self._clock: IReactorTime | None = None
        self._turn: IDelayedCall | None = None
        self._heartbeat: IDelayedCall | None = None
        self._failing = False
        #: Whether the operator knows of the present failure, and when one was last told of.
        self._told = False
        self._told_at: float | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    def start(self, clock: IReactorTime) -> None:
        """
        Gather records per turn of *clock* and write heartbeats.

        :raises RuntimeError: if it is started already.
        """
        if self._clock is not None:
            raise RuntimeError(f"{self._name} is started already")
        self._clock = clock
        self._await_beat()

    def stop(self) -> None:
        """
        Write what is gathered and give the clock its timers back; harmless twice.
        """
        self._clock = None
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None
        self.flush()

    def beat(self, now: float | None) -> None:
        """
        Write a heartbeat: the log's reader sees that silence means no mail.
        """
        self.append(f"{int(self._wall() if now is None else now)}{self._mark}\n")

    def _await_beat(self) -> None:
        self._heartbeat = None
        # Read at every beat, so that a new configuration holds from the next one on.
        period = self._period()
        if self._clock is not None and period > 0:
            self._heartbeat = self._clock.callLater(period, self._beat_due)

    def _beat_due(self) -> None:
        self._await_beat()
        self.beat(None)

    def log_reopen(self) -> None:
        """
        The file was moved away: go on in a new one.
        """
        self.flush()
        try:
            self._file.reopen()
        except OSError as error:
            self._log.error(
                "{log} cannot be opened anew and goes on in the old file: {error}", log=self._name, error=error
            )

    def log_close(self) -> None:
        """
        Write out and release everything.
        """
        self.stop()
        self._file.close()

    def flush(self) -> None:
        """
        Write what is gathered, now.
        """
        turn, self._turn = self._turn, None
        if turn is not None and turn.active():
            turn.cancel()
        if not self._lines:
            return
        data = b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        kept = self._file.write(data)
        if kept == len(data):
            if self._failing:
                self._recovered()
            return
        self.lost += data.count(b"\n", kept)
        self._failed()

    def append(self, line: str) -> None:
        """
        One record, or several, each with its end.
        """
        try:
            record = line.encode()
        except UnicodeEncodeError:
            record = encode(line)
        self._lines.append(record)
        self._size += len(record)
        if self._clock is None or self._size >= BUFFER_SIZE:
            self.flush()
        elif self._turn is None:
            self._turn = self._clock.callLater(0, self.flush)

    def _failed(self) -> None:
        self._failing = True
        if self._told:
            return
        now = self._wall()
        # The absolute difference, since a clock that was set back must not silence us.
        if self._told_at is None or abs(now - self._told_at) >= REPORT_INTERVAL:
            self._told = True
            self._told_at = now
            self._log.error(
                "{log} cannot be written and loses records until it can: {error}",
                log=self._name,
                error=self._file.error,
            )

    def _recovered(self) -> None:
        self._failing = False
        if self._told:
            self._told = False
            self._log.info("{log} is written again; {lost} records were lost so far", log=self._name, lost=self.lost)
