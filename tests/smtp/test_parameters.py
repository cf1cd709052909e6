"""
The parameters of MAIL and RCPT.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.envelope import Notify, RecipientTerms
from momentum_tx.smtp.addresses import parse_parameters
from momentum_tx.smtp.parameters import (
    OPTIONAL,
    MailParameters,
    Refused,
    read_mail,
    read_recipient,
    without_optional,
)


class ReadingTests(SynchronousTestCase):
    """
    What a client of ours may say; the server's own tests say more.
    """

    def test_mail(self) -> None:
        """
        All that is known, in any order.
        """
        said = parse_parameters(b"RET=FULL body=8bitmime SMTPUTF8 SIZE=10 ENVID=a+20b REQUIRETLS")
        self.assertEqual(read_mail(said, 10, True), MailParameters(True, True, b"a b", "FULL", True))

    def test_recipient(self) -> None:
        """
        Both of a recipient.
        """
        said = parse_parameters(b"ORCPT=rfc822;b@y.example NOTIFY=FAILURE")
        self.assertEqual(read_recipient(said, False), RecipientTerms(Notify.FAILURE, b"rfc822;b@y.example"))

    def test_refused(self) -> None:
        """
        What is not offered, too much, or nonsense; only the last is the client's mistake.
        """
        for words, code, malformed in (
            (b"REQUIRETLS", 555, False),
            (b"NOTIFY=NEVER", 555, False),
            (b"SIZE=11", 552, False),
            (b"SIZE=x", 501, True),
            (b"BODY=BINARYMIME", 501, True),
            (b"SMTPUTF8=yes", 501, True),
            (b"RET=x", 501, True),
        ):
            error = self.assertRaises(Refused, read_mail, parse_parameters(words), 10, False)
            self.assertEqual((error.code, error.malformed), (code, malformed), words)
        error = self.assertRaises(Refused, read_recipient, {b"RET": b"FULL"}, False)
        self.assertEqual((error.code, error.malformed), (555, False))


class OptionalTests(SynchronousTestCase):
    """
    What a message can do without.
    """

    def test_left_out(self) -> None:
        """
        Reports and hints are left out; what the message is, and what must not become of it, stays.
        """
        said = b"SIZE=10 BODY=8BITMIME SMTPUTF8 RET=FULL envid=x REQUIRETLS AUTH=<>"
        self.assertEqual(without_optional(said), b"BODY=8BITMIME SMTPUTF8 REQUIRETLS")
        self.assertEqual(without_optional(b"NOTIFY=NEVER ORCPT=rfc822;x"), b"")
        self.assertNotIn(b"REQUIRETLS", OPTIONAL)
