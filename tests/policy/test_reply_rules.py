"""
Tests of :mod:`momentum_tx.policy.reply_rules`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.consequence import LOOKUP_DEFERRED, NO_VALID_HOSTS
from momentum_tx.policy.reply_rules import Failure, ReplyRule
from momentum_tx.policy.session_notes import BODY_UNREADABLE, CLOSED, TLS_FAILED, no_response, violation
from momentum_tx.stages import Stage

#: What failures look like, by a short name.
FAILURES = {
    "grey": (b"450 4.7.1 Greylisted, come back later", Stage.AFTER_RCPT_TO),
    "grey without status": (b"451 You are GREYLISTED", Stage.AFTER_RCPT_TO),
    "full": (b"452 4.2.2 Mailbox full", Stage.AFTER_RCPT_TO),
    "odd": (b"450 4.2.21 Something else", Stage.AFTER_RCPT_TO),
    "dismissed": (b"421 4.3.2 Closing", Stage.AFTER_MAIL_FROM),
    "greeting": (b"421 Too many connections", Stage.READING_BANNER),
    "bare": (b"450", Stage.AFTER_DATA),
    "unreachable": (NO_VALID_HOSTS, Stage.NOT_CONNECTED),
    "lookup": (LOOKUP_DEFERRED, Stage.NOT_CONNECTED),
    "silent": (no_response(Stage.AFTER_DATA), Stage.AFTER_DATA),
    "hung up": (CLOSED, Stage.AFTER_RCPT_TO),
    "tls": (TLS_FAILED, Stage.TLS_HANDSHAKE),
    "nonsense": (violation("a reply from elsewhere"), Stage.AFTER_DATA),
    "disk": (BODY_UNREADABLE, Stage.IDLE),
    "liar": (b"450 4.2.0 Not now [internal]", Stage.AFTER_RCPT_TO),
}


class ClassTests(SynchronousTestCase):
    """
    Which failures a rule is for.
    """

    def test_table(self) -> None:
        """
        Every kind of class picks its failures and no others: codes and status codes are a peer's, words are ours.
        """
        ours = ("unreachable", "lookup", "silent", "hung up", "tls", "nonsense", "disk")
        for text, names in (
            ("450", ("grey", "odd", "bare", "liar")),
            ("421", ("dismissed", "greeting")),
            ("45x", ("grey", "grey without status", "full", "odd", "bare", "liar")),
            ("4xx", tuple(set(FAILURES) - set(ours))),
            ("4x1", ("grey without status", "dismissed", "greeting")),
            ("4.2.2", ("full",)),
            ("4.2.x", ("full", "odd", "liar")),
            ("4.x.1", ("grey",)),
            ("450 4.7.x", ("grey",)),
            ("450 4.2.2", ()),
            ("451 4.x.x", ()),
            ("/grey.?list/", ("grey", "grey without status")),
            ("/^45[02] .*(full|else)/", ("full", "odd")),
            ("/response|closed/", ("silent", "hung up")),
            ("internal", ours),
            ("no_connection", ("unreachable", "lookup")),
            ("no_reply", ("silent", "hung up")),
        ):
            rule = ReplyRule.parse(f"{text}: 1m")
            suited = {name for name, (note, stage) in FAILURES.items() if rule.suits(Failure.of(note, stage))}
            self.assertEqual(suited, set(names), text)

    def test_delays(self) -> None:
        """
        The delays stand behind the last colon, as they are written everywhere; a regex may hold colons.
        """
        for text, intervals in (
            ("421: 5m 10m", (300, 600)),
            ("421:90", (90,)),
            ("  450   4.7.x :  1.5h  2d ", (5400, 172800)),
            ("/a: b/: 10s", (10,)),
        ):
            self.assertEqual(ReplyRule.parse(text).intervals, intervals, text)

    def test_wrong(self) -> None:
        """
        What is no rule is refused with the reason.
        """
        for text, reason in (
            ("", "not of the form"),
            ("421", "not of the form"),
            ("421 5m", "not of the form"),
            (": 5m", "not of the form"),
            ("421:", "no delay"),
            ("421: soon", "not a time"),
            ("421: 5m 0", "no time at all"),
            ("550: 5m", "not of the form"),
            ("5.1.1: 5m", "not of the form"),
            ("42: 5m", "not of the form"),
            ("421 450: 5m", "not of the form"),
            ("4.7.1 421: 5m", "not of the form"),
            ("4.7: 5m", "not of the form"),
            ("Internal: 5m", "not of the form"),
            ("//: 5m", "not of the form"),
            ("/(/: 5m", "no regex"),
        ):
            error = self.assertRaises(ValueError, ReplyRule.parse, text)
            self.assertIn(reason, str(error), text)
