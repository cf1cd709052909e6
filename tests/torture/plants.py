"""
Faults of a spool that torture must find, each planted by a wrapper between the
spool and its files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import implementer

from momentum_tx.interfaces.seams import IJournalFile, IJournalFiles
from momentum_tx.spool import records
from momentum_tx.torture.nursery import Nursery
from momentum_tx.torture.watch import records_in

#: Where its kind is in the octets of a record, and its key seen from there.
_KIND, _KEY = 8, 10


@implementer(IJournalFile)
class PlantedFile:
    """
    A file that does as it should; faults are subclasses.
    """

    def __init__(self, inner: IJournalFile) -> None:
        self.inner = inner
        self.name = inner.name

    def size(self) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        return self.inner.size()

    def append(self, buffers: Sequence[bytes]) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        return self.inner.append(buffers)

    def read(self, offset: int, length: int) -> bytes:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        return self.inner.read(offset, length)

    def truncate(self, length: int) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        self.inner.truncate(length)

    def sync(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        self.inner.sync()

    def close(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        self.inner.close()


class ForgetsOutcomes(PlantedFile):
    """
    In place of a delivery it writes as many octets about nobody.
    """

    def append(self, buffers: Sequence[bytes]) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        written = []
        for buffer in buffers:
            if buffer.startswith(records.RECORD_MAGIC) and buffer[_KIND] == records.DELIVERED:
                octets = bytearray(buffer[_KIND:])
                octets[_KEY : _KEY + 8] = bytes(8)
                written.append(records.frame(bytes(octets), 0))
            else:
                written.append(buffer)
        return self.inner.append(written)


class Delays(PlantedFile):
    """
    Writes records of one kind only before the next of another.
    """

    kind = 0

    def __init__(self, inner: IJournalFile) -> None:
        super().__init__(inner)
        self._late: list[bytes] = []

    def size(self) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        return self.inner.size() + sum(map(len, self._late))

    def append(self, buffers: Sequence[bytes]) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        start = self.size()
        kinds = {buffer[_KIND] for buffer in buffers if buffer.startswith(records.RECORD_MAGIC)}
        if kinds == {self.kind}:
            self._late += buffers
        else:
            late, self._late = self._late, []
            if late:
                self.inner.append(late)
            self.inner.append(buffers)
        return start


class AnswersFirst(Delays):
    """
    Receptions are answered before they are written.
    """

    kind = records.RECEPTION


class DotsFirst(Delays):
    """
    The dot leaves before its intent is written.
    """

    kind = records.INTENT


class SkipsTheLast(PlantedFile):
    """
    What is opened again ends before its last record.
    """

    def size(self) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        found = list(records_in(self.inner.read(0, self.inner.size())))
        start: int = found[-1]["start"] if len(found) > 1 else self.inner.size()
        return start


@implementer(IJournalFiles)
class PlantedFiles:
    """
    A directory whose files are planted.

    :param created: makes a planted file of a new one.
    :param opened: and of an old one.
    """

    def __init__(
        self,
        inner: IJournalFiles,
        created: Callable[[IJournalFile], IJournalFile],
        opened: Callable[[IJournalFile], IJournalFile],
    ) -> None:
        self._inner = inner
        self._created = created
        self._opened = opened

    def create(self, name: str) -> IJournalFile:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        return self._created(self._inner.create(name))

    def open(self, name: str) -> IJournalFile:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        return self._opened(self._inner.open(name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def planted(name: str) -> Callable[[IJournalFiles], IJournalFiles]:
    """
    The wrapper that plants the fault of this name.
    """
    if name == "SkipsTheLast":
        return lambda inner: PlantedFiles(inner, PlantedFile, SkipsTheLast)
    kinds = {kind.__name__: kind for kind in (PlantedFile, ForgetsOutcomes, AnswersFirst, DotsFirst)}
    return lambda inner: PlantedFiles(inner, kinds[name], PlantedFile)


def serve(name: str) -> None:
    """
    Be a nursery in which every service has that fault.
    """

    def reactor() -> Any:
        from twisted.internet import reactor

        return reactor

    Nursery(sys.stdin.fileno(), sys.stdout.fileno(), reactor, planted(name)).serve()


def nursery(name: str) -> list[str]:
    """
    The command line of such a nursery.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = f"import sys; sys.path.insert(0, {root!r}); from tests.torture.plants import serve; serve({name!r})"
    return [sys.executable, "-c", code]
