"""
States of the SMTP client that are registered one by one.

Source: Momentum, ``register_smtp_client_state``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from zope.interface import implementer

from ..errors import StartupError
from ..interfaces.hooks import ISmtpClientState
from ..interfaces.records import IClientSession
from ..stages import Stage

#: What is said in a state: yields lines and Deferreds, is sent replies and results.
ClientState = Callable[[IClientSession], Generator[Any, Any, None]]
#: After which stages something can be put in, in the order of a session.
INSERT_AFTER: Final = (
    Stage.READING_BANNER,
    Stage.AFTER_EHLO,
    Stage.TLS_HANDSHAKE,
    Stage.AUTHENTICATION,
    Stage.AFTER_XCLIENT,
)


@implementer(ISmtpClientState)
class StateProvider:
    """
    Has one state put in at one place.

    :param state: what is said there.
    :param insert_after: one of :data:`INSERT_AFTER`.
    :raises StartupError: it is none of them.
    """

    def __init__(self, state: ClientState, insert_after: Stage) -> None:
        if insert_after not in INSERT_AFTER:
            places = ", ".join(f"Stage.{stage.name}" for stage in INSERT_AFTER)
            raise StartupError(f"no state can be put in after {insert_after!r}; one of {places} is expected")
        self._state = state
        self._insert_after = insert_after

    def __repr__(self) -> str:
        return f"<{self._state!r} after {self._insert_after}>"

    def smtp_client_state(self, session: IClientSession, after: Stage) -> Generator[Any, Any, None] | None:
        """
        See :class:`~momentum_tx.interfaces.hooks.ISmtpClientState`.
        """
        return self._state(session) if after is self._insert_after else None
