"""
Tests of :mod:`momentum_tx.interfaces.services`.
"""

from typing import Any

from momentum_tx.interfaces import services
from momentum_tx.interfaces.services import AddressAnswer, MXAnswer, MXKind, Submission

from . import contracts


class ServiceContractTests(contracts.Documented):
    """
    The contracts between the floors, as their reader finds them, and the values that pass through them.
    """

    module = services

    def test_kinds(self) -> None:
        """
        DNS says one of four things of a domain.
        """
        self.assertEqual([kind.name for kind in MXKind], ["RECORDS", "NULL", "NONE", "NXDOMAIN"])

    def test_answers_are_values(self) -> None:
        """
        Equal answers are equal, can be kept in a set, and cannot be changed while they are cached.
        """
        for made in (
            lambda: MXAnswer(MXKind.RECORDS, ((10, "mx.example.com"),), 300),
            lambda: AddressAnswer(("192.0.2.1",), 300),
            lambda: Submission(b"", (b"bob@example.com",), b"text\r\n"),
        ):
            one: Any = made()
            self.assertEqual(len({one, made()}), 1)
            for name in getattr(one, "_fields", None) or one.__slots__:
                self.assertRaises(AttributeError, setattr, one, name, None)

    def test_submission(self) -> None:
        """
        A submission nobody says more about comes from within the process, is trusted, and is plain.
        """
        submission = Submission(b"alice@example.com", (b"bob@example.com",), b"text\r\n")
        self.assertFalse(submission.eight_bit or submission.smtputf8)
        self.assertTrue(submission.trusted)
        self.assertEqual((submission.recv_method, submission.recv_from, submission.helo), ("internal", "", ""))
        self.assertEqual(submission.conn_id, "00/00-00000-00000000")
