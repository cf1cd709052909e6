"""
The contracts of hooks about queues: where messages wait, and what moves them.

What holds for all hooks is said in :mod:`momentum_tx.interfaces.hooks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Interface

if TYPE_CHECKING:
    from .records import IDomainRecord, IMessage


class IMessageState(Interface):
    """
    Hook: a message waits, and it is said where and for what. Shape: *notice*.

    Source: ours; Momentum has no hook ``message_state``.

    See also: ``log_transient_failure_v1``, ``message_held``; `JSON log <../json-log.md>`_.
    """

    def message_state(
        msg: IMessage, dr: IDomainRecord, now: float | None, state: str, about: dict[str, object]
    ) -> None:
        """
        When a message begins to wait: after each failure for now (``delayed``), when it goes
        back into the active queue without an attempt that counts (``requeued``), when it has
        got another binding (``rebound``), and when it is queued where nothing may be attempted
        at the moment (``suspended``).

        :param msg: The message; it is about to be queued, or is.
        :param dr: The domain record it waits under.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param state: ``delayed``, ``requeued``, ``rebound`` or ``suspended``.
        :param about: Of ``delayed`` the wall time ``next_attempt`` and the ``reason``; of
            ``rebound`` the name of the binding before, ``from``; of ``suspended`` the ``reason``.
        """
