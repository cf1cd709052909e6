"""
What somebody else has to say to the peer in the course of a session: states that
were put in, and authentication.

Source: Momentum, ``register_smtp_client_state``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import ExchangeFailed, LocalProtocolError
from ..smtp.replies import Reply
from ..stages import Stage

if TYPE_CHECKING:
    from ..net.smtp_client import SMTPClientProtocol

#: Lines and waits of one generator; more, and it never comes to an end.
MOST_TURNS: Final = 100


def _call(step: Callable[[], Any]) -> Any:
    return step()


class Conversation:
    """
    One generator's words with the peer, from the first to the last.

    The generator yields lines and is sent replies, or yields Deferreds and is sent
    their results.  Each wait, for the peer or for a Deferred, is timed by the stage.
    It is closed, and what it waits for is cancelled, when the session ends first.

    :param protocol: of the session; no reply is owed on it.
    :param stage: ``AUTHENTICATION`` or ``CUSTOM_STATE``.
    :param words: the generator.
    :param then: called once with what went wrong, or ``None``; not if the session
        ended first.
    :param run: calls the steps of the generator.
    """

    _log = Logger()

    __slots__ = ("_over", "_protocol", "_run", "_speaking", "_stage", "_then", "_turns", "_waiting", "_words")

    def __init__(
        self,
        protocol: SMTPClientProtocol,
        stage: Stage,
        words: Generator[Any, Any, Any],
        then: Callable[[Exception | None], object],
        run: Callable[[Callable[[], Any]], Any] = _call,
    ) -> None:
        self._protocol = protocol
        self._stage = stage
        self._words = words
        self._then = then
        self._run = run
        self._turns = 0
        self._over = False
        #: Whether the generator is running.
        self._speaking = False
        #: The Deferred it waits for.
        self._waiting: Deferred[Any] | None = None

    def begin(self) -> None:
        """
        Have the first word said.
        """
        self._protocol.machine.enter(self._stage)
        self._step(partial(next, self._words))

    def answered(self, reply: Reply) -> None:
        """
        The peer has answered.
        """
        self._step(partial(self._words.send, reply))

    def abandon(self) -> None:
        """
        The session is over: nobody will be answered any more.
        """
        if self._over:
            return
        self._over = True
        if self._speaking:
            # It has ended the session itself, and is closed when it has said what it had to.
            return
        self._close()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def _close(self) -> None:
        try:
            self._run(self._words.close)
        except Exception:
            self._log.failure("{words!r} raised when its session ended", words=self._words)

    def _step(self, step: Callable[[], Any]) -> None:
        if self._over:
            return
        self._speaking = True
        try:
            said = self._run(step)
        except StopIteration:
            self._end(None)
            return
        except ExchangeFailed as error:
            self._end(error)
            return
        except Exception as error:
            self._log.failure("{words!r} raised in the middle of a session", words=self._words)
            self._end(ExchangeFailed(type(error).__name__))
            return
        finally:
            self._speaking = False
        if self._over:
            self._close()
            if isinstance(said, Deferred):
                said.addErrback(lambda failure: None)
                said.cancel()
            return
        self._turns += 1
        if self._turns > MOST_TURNS:
            self._give_up(f"no end after {MOST_TURNS} turns")
        elif isinstance(said, bytes):
            try:
                self._protocol.machine.ask(said)
            except LocalProtocolError as error:
                # What it wanted to say may be secret.
                self._give_up(f"a line that cannot be said: {error}")
                return
            self._protocol.flush()
        elif isinstance(said, Deferred):
            self._wait(said)
        else:
            self._give_up(f"neither a line nor a Deferred but {type(said).__name__}")

    def _give_up(self, reason: str) -> None:
        self._log.error("{words!r}: {reason}; the session ends", words=self._words, reason=reason)
        self._close()
        self._end(ExchangeFailed(reason))

    def _wait(self, result: Deferred[Any]) -> None:
        self._waiting = result
        self._protocol.flush()
        result.addCallbacks(self._came, self._failed)

    def _came(self, value: Any) -> None:
        self._waiting = None
        self._step(partial(self._words.send, value))

    def _failed(self, failure: Failure) -> None:
        self._waiting = None
        self._step(partial(self._words.throw, failure.value))

    def _end(self, error: Exception | None) -> None:
        if self._over:
            return
        self._over = True
        self._protocol.machine.resume()
        self._then(error)
