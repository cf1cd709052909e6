"""
The watch around the journal's files in the process that is to die: writes down
every step before and after it is made, makes steps fail, and ends the process
at the point it was given.

What it writes is in a file when the call returns, and a kill does not take it
away.  It sees octets, as the kernel does, and reads the records in them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol, TypeVar

from zope.interface import implementer

from ..interfaces.seams import IJournalFile, IJournalFiles
from ..spool import records
from .points import Moment, Point

T = TypeVar("T")

#: Names of the kinds of records; one that is not here has its number.
KINDS: Final = {
    records.RECEPTION: "reception",
    records.INTENT: "intent",
    records.DELIVERED: "delivered",
    records.FAILED: "failed",
    records.REQUEUED: "requeued",
    records.WITHDRAWN: "withdrawn",
    records.HELD: "held",
}
#: Part of the path of whoever makes steps.
_MAKERS: Final = os.path.join("momentum_tx", "spool", "")
#: The end of the path of those who make what they are handed, and have no steps of their own.
_WORKERS: Final = os.path.join(_MAKERS, "threads.py")


class Trace(Protocol):
    """
    Takes down what happens.
    """

    def note(self, event: str, **facts: Any) -> None:
        """
        Write it down before going on.
        """


class FileTrace:
    """
    A trace in a file, one JSON object a line.

    :param path: made if missing; what is there is kept.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(self, event: str, **facts: Any) -> None:
        """
        See :class:`Trace`; from any thread.
        """
        os.write(self._descriptor, (json.dumps({"event": event, **facts}, separators=(",", ":")) + "\n").encode())


@dataclass(frozen=True, slots=True)
class Fault:
    """
    Steps that fail.

    :ivar step: their kind, or what is done for any.
    :ivar first: the first one that does, counted from 1.
    :ivar count: how many do.
    :ivar errno: with what.
    """

    step: str
    first: int
    count: int
    errno: int


def records_in(octets: bytes) -> Iterator[dict[str, Any]]:
    """
    What is in octets on their way to a segment: ``kind``, ``key``, ``start`` and
    ``end`` of each record; of a reception ``recipients``, of others ``indexes``.
    """
    at = 0
    if octets.startswith(records.SEGMENT_MAGIC):
        at = records.SEGMENT_HEADER
        yield {"kind": "header", "key": 0, "start": 0, "end": at, "indexes": []}
    while at < len(octets):
        try:
            head = records.decode_head(octets[at : at + records.RECORD_HEADER])
        except records.RecordError:
            yield _no_record(at, len(octets))
            return
        begins = at + records.RECORD_HEADER
        meta = records.decode(head.kind, octets[begins : begins + head.meta_length])
        end = begins + head.meta_length + head.body_length
        record = {"kind": KINDS.get(head.kind, str(head.kind)), "key": head.key, "start": at, "end": end}
        if isinstance(meta, records.Envelope):
            record["recipients"] = [recipient.recipient.decode("latin-1") for recipient in meta.recipients]
        elif isinstance(meta, records.Intent):
            record["indexes"] = list(meta.positions)
        else:
            position = getattr(meta, "position", None)
            record["indexes"] = [] if position is None else [position]
        yield record
        at = end


def _no_record(start: int, end: int) -> dict[str, Any]:
    return {"kind": "octets", "key": 0, "start": start, "end": end, "indexes": []}


class Watch:
    """
    Counts steps, and knows at which one to die.

    :param trace: what happens is written there.
    :param die: ends the process at once.
    :param point: where; ``None`` for nowhere.
    :param faults: steps that fail.
    """

    def __init__(self, trace: Trace, die: Callable[[], NoReturn], point: Point | None, faults: Sequence[Fault]) -> None:
        self._trace = trace
        self._die = die
        self._point = point
        self._faults = faults
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._number = 0
        #: Whether a step has failed: what was promised for a disk that works does not hold.
        self.failing = False

    def step(
        self,
        operation: str,
        perform: Callable[[], T],
        subjects: Sequence[str] = (),
        half: Callable[[int], object] | None = None,
        **facts: Any,
    ) -> T:
        """
        Make one step.

        :param operation: what it is.
        :param perform: makes it.
        :param subjects: what it is about, each of which makes it a step of another kind.
        :param half: makes half of it, as seen from the subject of this number.
        :param facts: what is to be known of it afterwards.
        :raises OSError: as *perform* does, or since it was told to fail.
        """
        place = _place()
        kinds = [f"{operation} {subject}{place}" for subject in subjects] or [f"{operation}{place}"]
        with self._lock:
            self._counts.update({*kinds, operation})
            here = {kind: self._counts[kind] for kind in (*kinds, operation)}
            self._number += 1
            number = self._number
            self._trace.note("begin", number=number, operation=operation, kinds=kinds, **facts)
        moment = self._moment(here)
        if moment is Moment.BEFORE:
            self._die()
        if moment is Moment.AMID and half is not None and self._point is not None:
            half(kinds.index(self._point.step))
            self._die()
        try:
            self._fail(here, str(facts.get("name", "")))
            result = perform()
        except OSError:
            self.failing = True
            self._trace.note("failed", number=number)
            raise
        self._trace.note("done", number=number)
        if moment is Moment.AFTER:
            self._die()
        return result

    def _moment(self, here: dict[str, int]) -> Moment | None:
        point = self._point
        return point.moment if point is not None and here.get(point.step) == point.nth else None

    def _fail(self, here: dict[str, int], name: str) -> None:
        for fault in self._faults:
            nth = here.get(fault.step, 0)
            if fault.first <= nth < fault.first + fault.count:
                raise OSError(fault.errno, os.strerror(fault.errno), name)


def _place() -> str:
    """
    Which function of the spool makes the step; empty where the worker was
    handed the step itself.
    """
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.endswith(_WORKERS):
            break
        if _MAKERS in code.co_filename:
            return f" in {code.co_name.strip('_')}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""


@implementer(IJournalFile)
class WatchedFile:
    """
    See :class:`Watch`.
    """

    def __init__(self, inner: IJournalFile, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch
        self.name = inner.name

    def size(self) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        return self._inner.size()

    def append(self, buffers: Sequence[bytes]) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        octets = b"".join(buffers)
        found: list[dict[str, Any]]
        if records.segment_number(self.name) is not None or octets.startswith(records.SEGMENT_MAGIC):
            found = list(records_in(octets))
        else:
            found = [_no_record(0, len(octets))]
        first: dict[str, dict[str, Any]] = {}
        for record in found:
            first.setdefault(record["kind"], record)

        def half(subject: int) -> None:
            record = list(first.values())[subject]
            self._inner.append([octets[: (record["start"] + record["end"]) // 2]])

        return self._watch.step(
            "append",
            lambda: self._inner.append(buffers),
            list(first),
            half,
            name=self.name,
            at=self._inner.size(),
            records=found,
        )

    def read(self, offset: int, length: int) -> bytes:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        return self._watch.step("read", lambda: self._inner.read(offset, length))

    def truncate(self, length: int) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        self._watch.step("truncate", lambda: self._inner.truncate(length), name=self.name, length=length)

    def sync(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        self._watch.step("sync", self._inner.sync, name=self.name, length=self._inner.size())

    def close(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        self._watch.step("close", self._inner.close)


@implementer(IJournalFiles)
class WatchedFiles:
    """
    See :class:`Watch`.
    """

    def __init__(self, inner: IJournalFiles, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def lock(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self._watch.step("lock", self._inner.lock)

    def unlock(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self._watch.step("unlock", self._inner.unlock)

    def names(self) -> list[str]:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        return self._watch.step("names", self._inner.names)

    def create(self, name: str) -> IJournalFile:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        return WatchedFile(self._watch.step("create", lambda: self._inner.create(name), name=name), self._watch)

    def open(self, name: str) -> IJournalFile:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        return WatchedFile(self._watch.step("open", lambda: self._inner.open(name)), self._watch)

    def rename(self, name: str, new: str) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self._watch.step("rename", lambda: self._inner.rename(name, new), name=name, new=new)

    def unlink(self, name: str) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self._watch.step("unlink", lambda: self._inner.unlink(name), name=name)

    def sync_names(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self._watch.step("sync_names", self._inner.sync_names)

    def reserve(self, octets: int) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        operation = "reserve" if octets else "unreserve"
        self._watch.step(operation, lambda: self._inner.reserve(octets))
