"""
Keeps the dialogue of what failed, with what it meant for whom.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..logs.transcripts import Answer, Attempt
from ..smtp.transcript import Transcript
from ..stages import Stage

if TYPE_CHECKING:
    from ..queues.domain import Connection
    from ..queues.message import Message
    from ..smtp.events import RecipientResult
    from .facilities import Facilities


def keep_transaction(
    facilities: Facilities,
    domain: str,
    connection: Connection,
    messages: Sequence[Message],
    results: Sequence[RecipientResult],
    seconds: float,
    ambiguous: bool,
) -> None:
    """
    Keep the dialogue of a transaction that is over.

    :param domain: the routing domain.
    :param connection: where it was.
    :param messages: those it was for.
    :param results: one for each of them.
    :param seconds: how long it took.
    :param ambiguous: the final dot was sent and its reply never read.
    """
    answers = tuple(
        Answer(message.id, message.recipient, result.verdict, result.stage, result.note)
        for message, result in zip(messages, results, strict=True)
        if not result.beyond
    )
    _keep(facilities, domain, messages[0].binding_slot, connection, seconds, b"", Stage.UNKNOWN, answers, ambiguous)


def keep_session(
    facilities: Facilities, domain: str, slot: int, connection: Connection, note: bytes, stage: Stage
) -> None:
    """
    Keep the dialogue of a connection that would not do before any message was taken.

    :param domain: the routing domain.
    :param slot: the slot it left from.
    :param connection: the connection.
    :param note: why it would not.
    :param stage: what was awaited.
    """
    transcript = connection.transcript
    seconds = facilities.clock.seconds() - transcript.began if isinstance(transcript, Transcript) else 0.0
    _keep(facilities, domain, slot, connection, seconds, note, stage, (), False)


def _keep(
    facilities: Facilities,
    domain: str,
    slot: int,
    connection: Connection,
    seconds: float,
    note: bytes,
    stage: Stage,
    answers: tuple[Answer, ...],
    ambiguous: bool,
) -> None:
    transcript = connection.transcript
    if isinstance(transcript, Transcript):
        facilities.transcripts.keep(
            Attempt(
                facilities.wall(),
                seconds,
                domain,
                facilities.config.bindings[slot].name,
                connection.host_name,
                connection.address,
                connection.port,
                connection.conn_id,
                note,
                stage,
                answers,
                ambiguous,
                transcript.snapshot(),
            )
        )
