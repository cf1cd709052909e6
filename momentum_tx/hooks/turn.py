"""
Whose turn it is among the providers of a service, and who is told in a thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import HookReentered
from .providers import Provided, Rules
from .snapshots import Capture, snapshot

if TYPE_CHECKING:
    from ..interfaces.seams import IThreadExecutor
    from .points import Notice

_log = Logger()

#: Notices one provider may cause while it runs; more are dropped and logged, so that
#: a provider that answers every notice with another cannot fill the memory.
MAX_WAITING_NOTICES: Final = 10_000


class Turn:
    """
    What all hook points of a service share: whose turn it is.

    One provider runs at a time.  A notice that arises meanwhile waits until
    that provider has returned, and until all have heard of the notice, or been asked the
    question, that caused it.
    """

    __slots__ = ("_aside", "_catching_up", "asking", "rules", "running", "threads", "waiting")

    def __init__(self) -> None:
        #: Questions that are being put to providers.
        self.asking = 0
        #: Chains that are being gone through, one inside the other.
        self.running = 0
        self.waiting: deque[tuple[Notice[Any], Callable[[Any], object]]] = deque()
        self._catching_up = False
        #: What threaded providers have still to be told.
        self._aside: dict[Provided[Any], deque[tuple[Any, ...]]] = {}
        #: When breakers open.
        self.rules = Rules()
        #: Runs providers that say they are threaded; ``None`` where nothing does.
        self.threads: IThreadExecutor | None = None

    def refuse_when_asking(self, what: str) -> None:
        """
        Raise :class:`~momentum_tx.errors.HookReentered` inside an asked hook.
        """
        if self.asking:
            raise HookReentered(f"{what} was called by a hook that was asked a question; let the hook return first")

    def aside(self, each: Provided[Any], tell: Callable[[Any], object]) -> None:
        """
        Have a provider told in a thread, after what it was told before and with what is true
        now; bounded.
        """
        waiting = self._aside.setdefault(each, deque())
        if len(waiting) >= MAX_WAITING_NOTICES:
            each.dropped += 1
            return
        capture = Capture()
        tell(capture)
        waiting.append(snapshot(capture.arguments))
        if len(waiting) == 1:
            self._next_aside(each, waiting)

    def _next_aside(self, each: Provided[Any], waiting: deque[tuple[Any, ...]]) -> None:
        assert self.threads is not None
        telling = self.threads.run(each.method, *waiting[0])
        telling.addCallbacks(lambda _: each.went_well(0.0), self._raised_aside, errbackArgs=(each,))
        telling.addBoth(self._told_aside, each, waiting)

    @staticmethod
    def _raised_aside(failure: Failure, each: Provided[Any]) -> None:
        _log.failure(
            "hook {hook}: provider {provider!r} raised in its thread", failure, hook=each.hook, provider=each.provider
        )
        each.spoilt(0.0, f"it raised {failure.value!r}")

    def _told_aside(self, _: object, each: Provided[Any], waiting: deque[tuple[Any, ...]]) -> None:
        waiting.popleft()
        if waiting:
            self._next_aside(each, waiting)

    def returned(self) -> None:
        """
        What :attr:`running` was raised for is over.
        """
        self.running -= 1
        if self.waiting and not self.running and not self._catching_up:
            self._catch_up()

    def _catch_up(self) -> None:
        self._catching_up = True
        told = 0
        try:
            while self.waiting:
                point, tell = self.waiting.popleft()
                if told < MAX_WAITING_NOTICES:
                    point.notify(tell)
                else:
                    _log.error("hook {hook}: a notice was dropped, notices cause notices without end", hook=point.name)
                told += 1
        finally:
            self._catching_up = False
