"""
The part of a session that lets others speak: states that were put in.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ..interfaces.records import IClientSession
from ..policy.session_notes import state_failed
from ..smtp import events as ev
from ..smtp.extensions import Extensions
from ..stages import Stage
from .conversation import Conversation
from .securing import Securing

if TYPE_CHECKING:
    from ..queues.message import Message


@implementer(IClientSession)
class Speaking(Securing):
    """
    A session as those see it who put something into it, and what they say in it.
    """

    __slots__ = ("_conversation",)

    def __init__(self) -> None:
        super().__init__()
        #: What somebody else has to say at the moment.
        self._conversation: Conversation | None = None

    # What they see.

    @property
    def extensions(self) -> Extensions:
        """
        What the peer offers.
        """
        return self._machine.extensions

    @property
    def encrypted(self) -> bool:
        """
        Whether TLS is in use.
        """
        return self._encrypted

    @property
    @abstractmethod
    def message(self) -> Message | None:
        """
        The message that is about to be sent.
        """

    # What they say.

    def _put_in(self, after: Stage, then: Callable[[], object], failed: Callable[[bytes], object]) -> None:
        """
        Let everybody have their say who has something to say after a stage, one after
        the other (hook ``smtp_client_state``).

        :param then: goes on.
        :param failed: is told why the peer did not pass, which ends the session.
        """
        hook = self._f.hooks.smtp_client_state
        if not hook:
            then()
            return
        self._one_by_one(hook.each(lambda provider: provider.smtp_client_state(self, after)), then, failed)

    def _one_by_one(
        self,
        states: Iterator[Generator[Any, Any, Any] | None],
        then: Callable[[], object],
        failed: Callable[[bytes], object],
    ) -> None:
        def over(error: Exception | None) -> None:
            self._conversation = None
            if error is None:
                self._one_by_one(states, then, failed)
            else:
                failed(state_failed(str(error)))

        try:
            words = next(states)
        except StopIteration:
            then()
            return
        if words is None:
            failed(state_failed("a provider is out of order"))
            return
        self._converse(Stage.CUSTOM_STATE, words, over, self._f.hooks.smtp_client_state.step)

    def _converse(self, stage: Stage, words: Generator[Any, Any, Any], *rest: Any) -> None:
        self._conversation = Conversation(self._protocol, stage, words, *rest)
        self._conversation.begin()

    def _answered(self, event: ev.Answered) -> None:
        # What ends the session in the same read is told next.
        if self._conversation is not None and not self._machine.over:
            self._conversation.answered(event.reply)

    def _hush(self) -> None:
        """
        Nobody has anything to say any more.
        """
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.abandon()
