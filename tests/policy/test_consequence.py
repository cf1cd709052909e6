"""
Tests of :mod:`momentum_tx.policy.consequence`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.flags import ConnFlag
from momentum_tx.policy import consequence
from momentum_tx.policy.consequence import counts_as_mx_failure, note_for, with_actions

NONE, REQUEUE1, PURGE = ConnFlag(0), ConnFlag.ACTION_REQUEUE1, ConnFlag.ACTION_PURGE_DOMAIN
NO_HOSTS = b"451 4.4.1 [internal] No valid hosts (unable to make any connections)"

#: Cause, what it obliges to, whether it counts towards ``mx_failures_to_delay``, status text.
TABLE = (
    (ConnFlag.ERROR_MX_LOOKUP_FAILED, NONE, False, b"554 5.4.4 [internal] Domain Lookup Failed"),
    (ConnFlag.ERROR_MX_LOOKUP_PENDING, NONE, False, NO_HOSTS),
    (ConnFlag.ERROR_SMTP_NULL_MX, PURGE, False, b"550 5.4.4 [internal] NULL MX domain does not accept mail"),
    (
        ConnFlag.ERROR_NO_MXS_REACHABLE,
        REQUEUE1,
        True,
        b"421 4.4.0 [internal] no MXs for this domain could be reached at this time",
    ),
    (ConnFlag.ERROR_PROHIBITED_IP, PURGE, False, b"551 5.4.6 [internal] Private/Loopback Address"),
    (ConnFlag.ERROR_HOST_MAX_REACHED, NONE, False, NO_HOSTS),
    (ConnFlag.ERROR_SOCKET, REQUEUE1, False, NO_HOSTS),
    (ConnFlag.ERROR_IOCTL, REQUEUE1, False, NO_HOSTS),
    (ConnFlag.ERROR_BIND, REQUEUE1, False, NO_HOSTS),
    (ConnFlag.ERROR_CONNECT, REQUEUE1, True, NO_HOSTS),
    (ConnFlag.ERROR_CONNECT_NETWORK, REQUEUE1, True, NO_HOSTS),
    (ConnFlag.ERROR_CONNECT_TIMEOUT, REQUEUE1, True, b"450 4.4.1 [internal] Connection Timed Out"),
)


class ConsequenceTests(SynchronousTestCase):
    """
    What each cause entails.
    """

    def test_complete(self) -> None:
        """
        The table has every cause once.
        """
        self.assertEqual([row[0] for row in TABLE], list(ConnFlag.ERRORS))

    def test_actions(self) -> None:
        """
        Each cause obliges to one action or to none, and stays readable in the word.
        """
        for cause, action, _, _ in TABLE:
            self.assertEqual(with_actions(cause), cause | action)

    def test_final_lookup(self) -> None:
        """
        A name that does not exist ends all mail for it; one that could not be looked up ends none.
        No other cause cares.
        """
        for cause, action, _, _ in TABLE:
            if cause is ConnFlag.ERROR_MX_LOOKUP_FAILED:
                action = PURGE
            self.assertEqual(with_actions(cause, lookup_is_final=True), cause | action)

    def test_success(self) -> None:
        """
        Success obliges to nothing.
        """
        self.assertEqual(with_actions(NONE), NONE)
        self.assertEqual(with_actions(NONE, lookup_is_final=True), NONE)

    def test_counts(self) -> None:
        """
        Failures of the peer's hosts count against the domain; our own faults, open questions and limits do not.
        """
        for cause, action, counts, _ in TABLE:
            self.assertIs(counts_as_mx_failure(cause), counts, cause)
            self.assertIs(counts_as_mx_failure(cause | action), counts, cause)
        self.assertIs(counts_as_mx_failure(NONE), False)

    def test_notes(self) -> None:
        """
        Each cause is worded as in Momentum, obligations or not.
        """
        for cause, action, _, note in TABLE:
            self.assertEqual(note_for(cause), note, cause)
            self.assertEqual(note_for(cause | action), note, cause)

    def test_notes_agree(self) -> None:
        """
        What a purge ends is told with a permanent code, what a requeue delays with a temporary one.
        """
        for cause, _, _, _ in TABLE:
            word = with_actions(cause, lookup_is_final=True)
            if word & ConnFlag.ACTIONS:
                self.assertEqual(note_for(word)[:1], b"5" if word & PURGE else b"4", cause)
        for note in (consequence.TOO_MANY_FAILURES, consequence.LOOKUP_DEFERRED):
            self.assertEqual(note[:1], b"4")
