"""
Live traces: what is said on some connections, written to a file while it is
said.

Source: Momentum's console command ``trace smtp``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from twisted.logger import Logger

from ..policy.tracing import Trace
from ..smtp.transcript import Entry, TranscriptReader, render
from .files import ILogFile


class _Running:
    """
    One trace that is being written.
    """

    __slots__ = ("file", "room", "stopped", "trace")

    def __init__(self, trace: Trace, file: ILogFile, room: int) -> None:
        self.trace = trace
        self.file = file
        #: Octets that may still be written.
        self.room = room
        self.stopped = False


class Traces:
    """
    The traces of one service.

    :param wall: wall time.
    :param seconds: the time that entries of transcripts are told by.
    :param open_file: opens a file by path, not open yet, with the permissions
        that ``trace_smtp_mode`` says.
    """

    _log = Logger()

    def __init__(
        self, wall: Callable[[], float], seconds: Callable[[], float], open_file: Callable[[str], ILogFile]
    ) -> None:
        self._wall = wall
        self._seconds = seconds
        self._open_file = open_file
        self._running: dict[int, _Running] = {}
        #: Traces that the configuration asks for.
        self._configured: dict[Trace, int] = {}
        self._last = 0

    def __bool__(self) -> bool:
        return bool(self._running)

    @property
    def running(self) -> Mapping[int, Trace]:
        """
        The traces by number.
        """
        return MappingProxyType({number: running.trace for number, running in self._running.items()})

    def add(self, trace: Trace, most: int) -> int:
        """
        Begin a trace; it goes on until it is removed.

        :param most: octets after which it ends by itself.
        :returns: its number.
        :raises OSError: its file cannot be written.
        """
        file = self._open_file(trace.file)
        file.open()
        self._last += 1
        self._running[self._last] = _Running(trace, file, most)
        return self._last

    def remove(self, number: int) -> bool:
        """
        End a trace; false if there is none of that number.
        """
        running = self._running.pop(number, None)
        if running is None:
            return False
        running.stopped = True
        running.file.close()
        return True

    def configure(self, wanted: Iterable[Trace], most: int) -> None:
        """
        Have the traces that a configuration asks for, besides those that were begun by hand.
        """
        wanted = list(wanted)
        for trace in [trace for trace in self._configured if trace not in wanted]:
            self.remove(self._configured.pop(trace))
        for trace in wanted:
            if trace not in self._configured:
                try:
                    self._configured[trace] = self.add(trace, most)
                except OSError as error:
                    self._log.error("trace_smtp: {file} cannot be written: {error}", file=trace.file, error=error)

    def reader(self, conn_id: str, domain: str, binding: str, host: str, address: str) -> TranscriptReader | None:
        """
        Who follows a connection; ``None`` if it is in no trace.
        """
        running = [each for each in self._running.values() if each.trace.follows(domain, binding, host, address)]
        return _Reader(self, running, f"{conn_id} {domain} {binding} {host}[{address}]") if running else None

    def write(self, running: _Running, entry: Entry, name: str) -> None:
        """
        Write what was said on the connection called *name*.
        """
        if running.stopped:
            return
        when = datetime.fromtimestamp(self._wall() - (self._seconds() - entry[0]), UTC)
        stamp = f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z {name}"
        lines = [line.partition(" ")[2] for line in render(entry, entry[0])]
        data = "".join(f"{stamp} {line}\n" for line in lines).encode("utf-8", "backslashreplace")
        running.room -= len(data)
        if running.room >= 0 and running.file.write(data) == len(data):
            return
        reason = "it is as large as trace_smtp_max_size" if running.room < 0 else running.file.error
        self._log.warn("the trace in {file} ends: {reason}", file=running.trace.file, reason=reason)
        running.stopped = True
        running.file.close()

    def close(self) -> None:
        """
        End all traces.
        """
        for number in list(self._running):
            self.remove(number)
        self._configured.clear()


class _Reader:
    """
    Follows one connection for some traces.
    """

    __slots__ = ("_name", "_running", "_traces")

    def __init__(self, traces: Traces, running: list[_Running], name: str) -> None:
        self._traces = traces
        self._running = running
        self._name = name

    def told(self, entry: Entry) -> None:
        for running in self._running:
            self._traces.write(running, entry, self._name)
