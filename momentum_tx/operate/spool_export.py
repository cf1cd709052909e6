"""
``momentum-tx spool export``: mail as files that any program can read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from ..errors import StartupError
from ..spool.records import RecordError
from .spool_reading import Progress, Reading, read_reception
from .spool_sheet import sheet
from .spool_state import Kept, Waiting

#: Suffixes of the content and of the sheet.
CONTENT: Final = ".eml"
SHEET: Final = ".json"
#: Files that are written before they are synced together: their syncs share most of their work.
_TOGETHER: Final = 256
#: Of these, at the same time.
_SYNCS: Final = 32
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Choice:
    """
    Which messages are exported; all of it must be true of them.

    :ivar domain: to this domain; ``None`` for any.
    :ivar binding: of this binding; ``None`` for any.
    :ivar held: only those that wait for an operator.
    """

    domain: str | None = None
    binding: str | None = None
    held: bool = False

    def takes(self, message: Waiting) -> bool:
        """
        Whether *message* is one of them.
        """
        return (
            (self.domain is None or message.domain == self.domain)
            and (self.binding is None or message.binding == self.binding)
            and (message.held or not self.held)
        )


class FilesOut:
    """
    A directory that files are written to, once each.
    """

    def __init__(self, path: str) -> None:
        """
        :param path: a directory that is empty, or not there yet.
        :raises StartupError: it is not, or cannot be written.
        """
        self.path = path
        try:
            os.makedirs(path, 0o700, exist_ok=True)
            self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StartupError(f"{path}: cannot be written to: {error.strerror}") from None
        if os.listdir(self._directory):
            os.close(self._directory)
            raise StartupError(f"{path} is not empty; name another directory")
        self._open: list[int] = []

    def write(self, name: str, octets: bytes) -> None:
        """
        Make the file *name*.
        """
        descriptor = os.open(name, _FLAGS, 0o600, dir_fd=self._directory)
        self._open.append(descriptor)
        view = memoryview(octets)
        while view:
            view = view[os.write(descriptor, view) :]
        if len(self._open) >= _TOGETHER:
            self.sync()

    def sync(self) -> None:
        """
        What was written survives a power cut.
        """
        descriptors, self._open = self._open, []
        try:
            # At the same time, since a file system brings to disk together what is asked for together.
            with ThreadPoolExecutor(_SYNCS) as threads:
                for synced in [threads.submit(os.fsync, descriptor) for descriptor in descriptors]:
                    synced.result()
            os.fsync(self._directory)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def close(self) -> None:
        """
        Sync what is left, and close.
        """
        try:
            self.sync()
        finally:
            os.close(self._directory)


def export(
    reading: Reading, choice: Choice, out: FilesOut, progress: Progress, complain: Callable[[str], object]
) -> dict[str, Any]:
    """
    Write the mail of a spool, whose segments are open, to files.

    :param complain: told of every reception that cannot be exported.
    :returns: what was done, for JSON.
    :raises OSError: the files cannot be written.
    """
    salts = {report.number: report.salt for report in reading.segments}
    receptions, messages, octets, failed = 0, 0, 0, 0
    total = len(reading.state.receptions)
    for number, (key, kept) in enumerate(reading.state.receptions.items()):
        progress(number, total)
        chosen = [(index, message) for index, message in kept.live() if choice.takes(message)]
        if not chosen:
            continue
        try:
            content = _write(reading, salts, key, kept, chosen, out)
        except RecordError as error:
            failed += 1
            complain(f"reception {key} in segment {kept.segment} at {kept.offset}: {error}")
            continue
        receptions += 1
        messages += len(chosen)
        octets += content
    progress(total, total)
    return {
        "directory": out.path,
        "running": reading.running,
        "receptions": receptions,
        "messages": messages,
        "octets": octets,
        "failed": failed,
    }


def _write(
    reading: Reading, salts: dict[int, int], key: int, kept: Kept, chosen: list[tuple[int, Waiting]], out: FilesOut
) -> int:
    file = reading.look.segments[kept.segment]
    try:
        envelope, body = read_reception(file, salts[kept.segment], kept.offset, key)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror or error}") from None
    out.write(f"{key}{CONTENT}", body)
    # Last: a sheet says that the content beside it is whole.
    text = json.dumps(sheet(key, envelope, body, chosen), indent=1)
    out.write(f"{key}{SHEET}", text.encode("ascii") + b"\n")
    return len(body)
