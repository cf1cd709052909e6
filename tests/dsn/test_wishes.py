"""
Tests of :mod:`momentum_tx.dsn.wishes`.
"""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.dsn.wishes import to_tell_of_delay, to_tell_of_failure
from momentum_tx.envelope import NO_NOTIFY, Notify, RecipientTerms
from momentum_tx.queues.message import Message
from momentum_tx.settings import PathSettings
from momentum_tx.testing.bench import Bench

SENDER = b"news@letters.example"


def message(sender: str = SENDER.decode(), notify: Notify = NO_NOTIFY, recipient: str = "lea@shop.example") -> Message:
    return Bench().message(recipient, sender=sender, recipients={0: RecipientTerms(notify)})


class WishesTests(SynchronousTestCase):
    """
    RFC 3461 4.1, and the options for whoever said nothing.
    """

    def test_failure(self) -> None:
        """
        What the sender said counts; where nothing was said the option does, and it can forbid all.
        """
        default = PathSettings()
        silent = replace(default, generate_bounces=False)
        for notify, told, told_silently in (
            (NO_NOTIFY, True, False),
            (Notify.NEVER, False, False),
            (Notify.FAILURE, True, False),
            (Notify.SUCCESS, False, False),
            (Notify.SUCCESS | Notify.FAILURE, True, False),
            (Notify.DELAY, False, False),
        ):
            self.assertEqual(to_tell_of_failure(message(notify=notify), default), (SENDER, told), notify)
            self.assertEqual(to_tell_of_failure(message(notify=notify), silent), (SENDER, told_silently), notify)

    def test_null_sender(self) -> None:
        """
        Nobody is told of mail without a sender, or the operator's mailbox is; of mail to that one nobody.
        """
        self.assertEqual(to_tell_of_failure(message(""), PathSettings())[0], b"")
        settings = PathSettings(mdn_failures_notify="ops@letters.example")
        self.assertEqual(to_tell_of_failure(message(""), settings), (b"ops@letters.example", True))
        self.assertEqual(to_tell_of_failure(message("", recipient="ops@letters.example"), settings)[0], b"")

    def test_delay(self) -> None:
        """
        Of a delay whoever asked for it is told, or whoever said nothing if the option says so.
        """
        default, asked = PathSettings(), PathSettings(generate_delay_dsn=True)
        for notify, told, told_if_asked in (
            (NO_NOTIFY, False, True),
            (Notify.NEVER, False, False),
            (Notify.FAILURE, False, False),
            (Notify.DELAY, True, True),
            (Notify.FAILURE | Notify.DELAY, True, True),
        ):
            self.assertEqual(to_tell_of_delay(message(notify=notify), default), (SENDER, told), notify)
            self.assertEqual(to_tell_of_delay(message(notify=notify), asked), (SENDER, told_if_asked), notify)
        self.assertEqual(to_tell_of_delay(message(""), asked)[0], b"")
