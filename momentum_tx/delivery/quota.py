"""
What a peer takes on one session, as far as it says so beforehand (RFC 9422).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..smtp.addresses import split_address
from ..smtp.extensions import Extensions

if TYPE_CHECKING:
    from ..queues.message import Message


class Quota:
    """
    What one session has had of it.  A peer that names no limit costs a count.

    :ivar transactions: MAIL commands sent.
    """

    __slots__ = ("_domains", "transactions")

    def __init__(self) -> None:
        self.transactions = 0
        #: Domains of the recipients, as far as they count.
        self._domains: set[bytes] = set()

    def used_up(self, extensions: Extensions) -> bool:
        """
        Whether the peer takes no further transaction.
        """
        return 0 < extensions.most_transactions <= self.transactions

    def admission(self, extensions: Extensions) -> Callable[[Message], bool] | None:
        """
        Who says of one message after the other whether it may be in the next
        transaction, beside those it has said yes to; ``None`` if all may.
        """
        most = extensions.most_domains
        if not most:
            return None
        domains = set(self._domains)

        def admits(message: Message) -> bool:
            domain = _domain(message)
            if domain not in domains:
                if len(domains) >= most:
                    return False
                domains.add(domain)
            return True

        return admits

    def begun(self, extensions: Extensions, messages: Iterable[Message]) -> None:
        """
        The peer is told of a transaction.
        """
        self.transactions += 1
        if extensions.most_domains:
            self._domains.update(map(_domain, messages))


def _domain(message: Message) -> bytes:
    return split_address(message.recipient)[1].lower()
