"""
What a process has left behind, killed or not: which records the kernel has,
which of them are durable, and what the process had told others.

Read from the trace of :mod:`momentum_tx.torture.watch`.  Where a kill came
between a step and the note that it was made, the length of the file decides:
one append writes its octets in order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ..spool.records import segment_number

#: Kinds of records after which a message is over.
_ENDS: Final = ("delivered", "failed")


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A record in a segment.

    :ivar end: where it ends there.
    :ivar life: in which life it was written, the first being 0.
    :ivar whom: the recipients it is about.
    """

    kind: str
    end: int
    life: int
    whom: tuple[str, ...]


@dataclass(slots=True)
class Segment:
    """
    A file of the journal.

    :ivar durable: octets that a sync has covered.
    """

    entries: list[Entry] = field(default_factory=list)
    durable: int = 0

    def cut(self, length: int) -> None:
        """
        The file is not longer than *length*.
        """
        self.entries = [entry for entry in self.entries if entry.end <= length]
        self.durable = min(self.durable, length)


@dataclass(frozen=True, slots=True)
class Life:
    """
    What there was when a process ended.

    :ivar ended: recipients whose end is on record.
    :ivar settled: recipients of whose delivery it had told, with the turn over in
        which it did: their end had to be on record.
    """

    ended: frozenset[str]
    settled: frozenset[str]


class Evidence:
    """
    All lives of one spool.

    :param trace: path of the trace; need not exist yet.
    :param spool: the directory of the journal.
    """

    def __init__(self, trace: str, spool: str) -> None:
        self._path = trace
        self._spool = spool
        self._descriptor = -1
        self._rest = b""
        self._segments: dict[str, Segment] = {}
        self._recipients: dict[int, list[str]] = {}
        self._pending: dict[int, dict[str, Any]] = {}
        self._settled: set[str] = set()
        #: The lives that are over.
        self.lives: list[Life] = []
        #: Where this life takes mail; 0 while it does not.
        self.port = 0
        #: The kind of every step that this life has begun.
        self.kinds: list[str] = []
        #: What went wrong with this life, as it says itself.
        self.complaints: list[str] = []

    def poll(self) -> bool:
        """
        Read what has come; whether anything has.
        """
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
        octets = self._rest
        while piece := os.read(self._descriptor, 1 << 16):
            octets += piece
        *lines, self._rest = octets.split(b"\n")
        for line in lines:
            self.take(json.loads(line))
        return bool(lines)

    def close(self) -> None:
        """
        Read no more; harmless twice.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def take(self, note: dict[str, Any]) -> None:
        """
        Take in one note of the trace.
        """
        event = note["event"]
        if event == "begin":
            self.kinds += note["kinds"]
            self._pending[note["number"]] = note
            for record in note.get("records", ()):
                if "recipients" in record:
                    self._recipients.setdefault(record["key"], record["recipients"])
        elif event == "failed":
            self._pending.pop(note["number"], None)
        elif event == "done":
            begun = self._pending.pop(note["number"], None)
            if begun is not None:
                self._done(begun)
        elif event == "settled":
            self._settled.add(note["recipient"])
        elif event == "port":
            self.port = note["port"]
        elif event == "complaint":
            self.complaints.append(note["text"])

    def end_life(self) -> Life:
        """
        The process is gone: read the rest, and look at the files where its
        last steps are not known to have been made.

        :returns: what there was at its end.
        """
        self.poll()
        self._rest = b""
        for begun in self._pending.values():
            if begun["operation"] == "append":
                self._append(begun)
            elif begun["operation"] == "rename" and not os.path.exists(os.path.join(self._spool, begun["name"])):
                self._done(begun)
        self._pending.clear()
        for name, segment in self._segments.items():
            try:
                segment.cut(os.stat(os.path.join(self._spool, name)).st_size)
            except FileNotFoundError:
                # Removed because all in it was over: that is still known.
                pass
        life = Life(frozenset(self.ended()), frozenset(self._settled))
        self.lives.append(life)
        self._settled.clear()
        self.port = 0
        self.kinds = []
        return life

    # What there is.

    def ended(self) -> set[str]:
        """
        Recipients whose end is on record.
        """
        return {
            recipient
            for entry in self._entries()
            if entry.kind in _ENDS or entry.kind == "withdrawn"
            for recipient in entry.whom
        }

    def of_kind(self, *kinds: str) -> set[str]:
        """
        Recipients of whom a record of one of these kinds speaks.
        """
        return {recipient for entry in self._entries() if entry.kind in kinds for recipient in entry.whom}

    def waiting(self) -> set[str]:
        """
        Recipients whose mail is in the spool and not over, those apart that
        wait for an operator.
        """
        waiting: set[str] = set()
        held: set[str] = set()
        over = self.ended()
        for entry in self._entries():
            if entry.kind == "reception":
                # It may be a copy of one whose mail is held by now.
                waiting.update(set(entry.whom) - held)
            elif entry.kind == "requeued":
                waiting.update(entry.whom)
                held.difference_update(entry.whom)
            elif entry.kind == "held":
                waiting.difference_update(entry.whom)
                held.update(entry.whom)
        return waiting - over

    def intended(self, recipient: str) -> bool:
        """
        Whether this life has on record that a dot for *recipient* may leave.
        """
        life = len(self.lives)
        return any(
            entry.kind == "intent" and entry.life == life and recipient in entry.whom for entry in self._entries()
        )

    def durable(self, recipient: str) -> bool:
        """
        Whether a sync has covered the reception of mail for *recipient*.
        """
        return any(
            entry.kind == "reception" and recipient in entry.whom and entry.end <= segment.durable
            for name, segment in self._segments.items()
            if segment_number(name) is not None
            for entry in segment.entries
        )

    def _entries(self) -> Iterator[Entry]:
        for name in sorted(self._segments):
            # What is made under another name is nothing to a start before it has its own.
            if segment_number(name) is not None:
                yield from self._segments[name].entries

    # Steps that were made.

    def _done(self, begun: dict[str, Any]) -> None:
        operation = begun["operation"]
        if operation == "append":
            self._append(begun)
        elif operation == "sync":
            synced = self._segments.setdefault(begun["name"], Segment())
            synced.durable = max(synced.durable, begun["length"])
        elif operation == "truncate":
            self._segments.setdefault(begun["name"], Segment()).cut(begun["length"])
        elif operation == "rename":
            segment = self._segments.pop(begun["name"], None)
            if segment is not None and segment_number(begun["new"]) is not None:
                self._segments[begun["new"]] = segment

    def _append(self, begun: dict[str, Any]) -> None:
        segment = self._segments.setdefault(begun["name"], Segment())
        for record in begun["records"]:
            recipients = self._recipients.get(record["key"], [])
            if record["kind"] in ("reception", "withdrawn"):
                whom = recipients
            else:
                whom = [recipients[index] for index in record["indexes"] if index < len(recipients)]
            segment.entries.append(Entry(record["kind"], begun["at"] + record["end"], len(self.lives), tuple(whom)))
