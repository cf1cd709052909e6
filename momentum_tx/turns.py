"""
Watches from another thread how long the reactor's turns take, and says of those
that take too long where they were.

Nothing of the reactor is changed: it is asked for a sign of life again and again,
and an answer that does not come is a turn that does not end.  A reactor that waits
for something to happen answers at once, so idle time is nobody's fault.
"""

from __future__ import annotations

import linecache
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger
from zope.interface import implementer

from .interfaces.seams import IOnlooker

if TYPE_CHECKING:
    from types import FrameType

#: The reactor is asked so often while one turn may last; as exact is what is said of its length.
QUESTIONS: Final = 10
#: Seconds between two questions at the least.
SHORTEST_PAUSE: Final = 0.001
#: Turns that are told of in one period, and its seconds; of the others there is a number.
MOST_TOLD: Final = 10
PERIOD: Final = 60.0
#: A turn that is so many times too long is told of while it still goes on, and again when it is twice as long.
GOES_ON: Final = 20
#: Calls that are shown, the innermost ones.
MOST_FRAMES: Final = 25
#: Twisted's function with the loop; who called it is the same for every turn.
LOOP: Final = "mainLoop"


class SlowTurns:
    """
    Counts the turns of the reactor that are too long, and logs them.

    :param onlooker: the other thread.
    :ivar count: turns that were too long.
    :ivar longest: seconds the longest of them took.
    """

    _log = Logger()

    def __init__(self, onlooker: IOnlooker) -> None:
        self._onlooker = onlooker
        self._limit = 0.0
        self.count = 0
        self.longest = 0.0
        #: When the question was asked that is open; ``None``: none is.
        self._asked_at: float | None = None
        #: Where the reactor was when it had taken too long to answer.
        self._stack: Sequence[str] = ()
        #: Seconds after which a turn that goes on is told of next.
        self._patience = 0.0
        #: Processor time of the reactor's thread at its last answer.
        self._worked = 0.0
        #: When the period began, what was told in it, and what was not.
        self._period_at = 0.0
        self._told = 0
        self._untold = 0

    def configure(self, limit: float) -> None:
        """
        Watch from now on, or do not.

        Reactor's thread.

        :param limit: seconds that a turn may take; 0 watches nothing, and has no thread.
        """
        if limit == self._limit:
            return
        if self._limit:
            self._onlooker.end()
        self._limit = limit
        self._asked_at = None
        if limit:
            self._period_at = self._onlooker.now()
            self._worked = self._onlooker.worked()
            self._told = self._untold = 0
            self._onlooker.begin(self._look)

    @property
    def _pause(self) -> float:
        return max(self._limit / QUESTIONS, SHORTEST_PAUSE)

    # In the other thread.

    def _look(self) -> float:
        now = self._onlooker.now()
        asked_at = self._asked_at
        if asked_at is None:
            self._stack = ()
            self._patience = GOES_ON * self._limit
            self._asked_at = now
            self._onlooker.ask(self._answer)
            return self._pause
        silent = now - asked_at
        if not self._stack and self._too_long(silent):
            stack = self._onlooker.stack()
            if self._asked_at is asked_at:
                # It may have answered meanwhile, and be elsewhere.
                self._stack = stack
        elif silent >= self._patience:
            self._patience = 2 * silent
            self._log.warn(
                "a turn of the reactor has taken {seconds:.1f} s and goes on; it is here:\n{stack}",
                seconds=silent,
                stack="\n".join(self._onlooker.stack()),
            )
        return self._pause

    def _too_long(self, seconds: float) -> bool:
        # The turn may have begun a pause before the question.
        return seconds >= self._limit - self._pause

    # In the reactor's thread.

    def _answer(self) -> None:
        asked_at, stack = self._asked_at, self._stack
        worked, self._worked = self._worked, self._onlooker.worked()
        self._asked_at = None
        if asked_at is None or not self._limit:
            # It has ended since.
            return
        now = self._onlooker.now()
        if now - self._period_at >= PERIOD:
            self._begin_period(now)
        seconds = now - asked_at
        if not self._too_long(seconds):
            return
        self.count += 1
        self.longest = max(self.longest, seconds)
        if self._told >= MOST_TOLD:
            self._untold += 1
            return
        self._told += 1
        self._log.warn(
            "a turn of the reactor took {seconds:.3f} s (debug_slow_turns), {worked:.3f} s of processor time;"
            " when it was too long it was here:\n{stack}",
            seconds=seconds,
            worked=self._worked - worked,
            stack="\n".join(stack) or "nobody could look: one call let no other thread run",
        )

    def _begin_period(self, now: float) -> None:
        if self._untold:
            self._log.warn(
                "{untold} more turns of the reactor were too long and were not told of, the longest of all so far took"
                " {longest:.3f} s",
                untold=self._untold,
                longest=self.longest,
            )
        self._period_at = now
        self._told = self._untold = 0


@implementer(IOnlooker)
class ThreadOnlooker:
    """
    Looks at the thread of a real reactor.

    :param reactor: provides ``IReactorFromThreads`` and ``IReactorTime``.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._ident = 0
        self._ended: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def begin(self, look: Callable[[], float]) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        self._ident = threading.get_ident()
        ended = self._ended = threading.Event()

        def work() -> None:
            pause = 0.0
            while not ended.wait(pause):
                pause = look()

        # Whoever embeds us may end without stopping us.
        self._thread = threading.Thread(target=work, name="momentum-tx onlooker", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        if self._ended is not None and self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._ended = self._thread = None

    def ask(self, answer: Callable[[], object]) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        self._reactor.callFromThread(answer)

    def now(self) -> float:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        seconds: float = self._reactor.seconds()
        return seconds

    def worked(self) -> float:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        return time.thread_time()

    def stack(self) -> Sequence[str]:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        # Nothing is held that would keep the thread's variables alive.
        frame = sys._current_frames().get(self._ident)
        return () if frame is None else lines_of(frame)


def lines_of(frame: FrameType | None) -> list[str]:
    """
    The calls that lead to *frame*, the innermost last, each with its place and source.
    """
    found: list[tuple[str, int, str]] = []
    # First all of them, for the thread goes on meanwhile; then what takes time.
    while frame is not None and len(found) < MOST_FRAMES and frame.f_code.co_name != LOOP:
        found.append((frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_qualname))
        frame = frame.f_back
    lines = []
    for file, number, name in reversed(found):
        text = linecache.getline(file, number).strip()
        lines.append(f"  {file}:{number} {name}" + (f": {text}" if text else ""))
    return lines
