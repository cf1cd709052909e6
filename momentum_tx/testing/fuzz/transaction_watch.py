"""
What the receivers of a story see of each transaction.
"""

from __future__ import annotations

from collections.abc import Callable

from ..behaviours import Behaviour
from ..peer_session import ReceiverSession
from .books import Books


class TransactionWatch(Behaviour):
    """
    Tells the books of every final dot, and counts the recipients before it.

    :param books: told.
    :param most: recipients of one transaction.
    :param fault: told of (rule, text) when there are more.
    """

    def __init__(self, books: Books, most: int, fault: Callable[[str, str], object]) -> None:
        self._books = books
        self._most = most
        self._fault = fault

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> None:
        if point == "RCPT" and session.asked > self._most:
            limit = f"max_recipients_per_batch allows {self._most}"
            self._fault("limit exceeded", f"{session.asked} recipients of one transaction, {limit}")
        if point == "dot" and session.sender is not None and not session.answered:
            self._books.dot(list(session.recipients))
