"""
Final dots and recipients, as the receivers count them.
"""

from __future__ import annotations

from momentum_tx.testing.fuzz.books import Books
from momentum_tx.testing.fuzz.transaction_watch import TransactionWatch

from ..test_peers import BODY, MAIL, ReceiverCase


class CountedDots(Books):
    """
    Books in which nothing stands but the dots.
    """

    def __init__(self) -> None:
        super().__init__(lambda rule, text: None, lambda: 0.0)
        self.dots: list[list[bytes]] = []

    def dot(self, recipients: list[bytes]) -> None:
        self.dots.append(recipients)


class TransactionWatchTests(ReceiverCase):
    """
    A receiver that is watched.
    """

    def setUp(self) -> None:
        super().setUp()
        self.books = CountedDots()
        self.faults: list[tuple[str, str]] = []
        self.mx.add(TransactionWatch(self.books, 2, lambda rule, text: self.faults.append((rule, text))))

    def test_dots(self) -> None:
        """
        A dot is told of once, with the recipients that were accepted, by LMTP as well.
        """
        self.mx.refuse["eve@example.com"] = b"550 5.1.1 No"
        self.say(self.connect(), *MAIL[:3], b"RCPT TO:<eve@example.com>", MAIL[3], BODY)
        self.mx.lmtp = True
        self.say(self.connect(), b"LHLO me", *MAIL[1:3], b"RCPT TO:<carol@example.com>", MAIL[3], BODY)
        self.assertEqual(self.books.dots, [[b"bob@example.com"], [b"bob@example.com", b"carol@example.com"]])
        self.assertEqual(len(self.mx.ledger), 3)

    def test_recipients(self) -> None:
        """
        More recipients than a transaction may ask for are a fault, whatever was said to them.
        """
        self.mx.refuse["bob@example.com"] = b"550 5.1.1 No"
        side = self.connect()
        self.say(side, *MAIL[:3], MAIL[2], b"RSET", MAIL[1], MAIL[2], MAIL[2])
        self.assertEqual(self.faults, [])
        self.say(side, MAIL[2])
        self.assertEqual(
            self.faults,
            [("limit exceeded", "3 recipients of one transaction, max_recipients_per_batch allows 2")],
        )
