"""
Exceptions that end in the log: whoever caught them kept the mail, and nobody
has expected them all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

#: Reports of failures that are part of a story.
EXPECTED: Final = (
    # Misbehaving hooks.
    "hook {hook}: provider",
    # A disk that fails.
    "body of {id} cannot be read",
    "the spool cannot be read",
)


@implementer(ILogObserver)
class LogWatch:
    """
    While entered, every unexpected failure that is logged is a fault.

    :param fault: told of (rule, text).
    """

    def __init__(self, fault: Callable[[str, str], object]) -> None:
        self._fault = fault

    def __enter__(self) -> LogWatch:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is None:
            return
        said = event.get("log_format") or ""
        # The judge's own observers are hook providers too; theirs are not to raise.
        ours = type(event.get("provider")).__name__ in ("Observer", "Edge", "Passing", "Staying")
        if said.startswith(EXPECTED) and not ours:
            return
        frames = [f"{frame[1].rpartition('/')[2]}:{frame[2]}" for frame in failure.frames]
        self._fault("exception", f"{said}: {failure.type.__name__}: {failure.value} ({' '.join(frames[-4:])})")
