"""
Tests of :mod:`momentum_tx.policy.session_notes`.
"""

import re

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy import session_notes
from momentum_tx.policy.session_notes import conversion_refused, no_response, violation
from momentum_tx.stages import Stage

#: Reply code, enhanced code of the same class, then text (RFC 3463 section 2).
NOTE = re.compile(rb"([245])\d\d \1\.\d{1,3}\.\d{1,3} \[internal\] [ -~]+")


class NoteTests(SynchronousTestCase):
    """
    What a log says of a session that ended without a reply.
    """

    def test_silence(self) -> None:
        """
        A peer that kept silent is told by what was awaited, in Momentum's words.
        """
        for stage, text in (
            (Stage.READING_BANNER, b"451 4.4.2 [internal] no banner"),
            (Stage.AFTER_EHLO, b"451 4.4.2 [internal] no HELO/EHLO response"),
            (Stage.AFTER_MAIL_FROM, b"451 4.4.2 [internal] no MAIL FROM response"),
            (Stage.AFTER_RCPT_TO, b"451 4.4.2 [internal] no RCPT TO response"),
            (Stage.AFTER_DATA, b"451 4.4.2 [internal] no DATA response"),
            (Stage.SENDING_BODY, b"451 4.4.2 [internal] send BODY failed"),
            (Stage.READING_CONFIRMATION, b"451 4.4.2 [internal] no BODY response"),
            (Stage.AFTER_RSET, b"451 4.4.2 [internal] no RSET response"),
            (Stage.AFTER_XCLIENT, b"451 4.4.2 [internal] no XCLIENT response"),
            (Stage.AUTHENTICATION, b"451 4.4.2 [internal] no AUTH response"),
            (Stage.CUSTOM_STATE, b"451 4.4.2 [internal] no response in custom state"),
            (Stage.AFTER_STARTTLS, b"451 4.7.5 [internal] no tls go-ahead"),
            (Stage.TLS_HANDSHAKE, b"451 4.7.5 [internal] TLS negotiation failed"),
            (Stage.IDLE, b"451 4.4.2 [internal] no response"),
        ):
            self.assertEqual(no_response(stage), text)

    def test_form(self) -> None:
        """
        Every text has a code, an enhanced code of the same class, and is one printable line.
        """
        texts = [value for name, value in vars(session_notes).items() if name.isupper() and name[0] != "_"]
        self.assertGreater(len(texts), 9)
        texts.extend(no_response(stage) for stage in Stage)
        for text in texts:
            self.assertTrue(NOTE.fullmatch(text), text)

    def test_conversion(self) -> None:
        """
        What needs 8BITMIME fails for ever, as forbidden or as impossible to convert.
        """
        for prohibited, status in ((True, b"554 5.6.2 "), (False, b"554 5.6.3 ")):
            text = conversion_refused("why not", prohibited)
            self.assertTrue(NOTE.fullmatch(text), text)
            self.assertTrue(text.startswith(status))
            self.assertTrue(text.endswith(b": why not"))

    def test_mail_is_kept(self) -> None:
        """
        Silence, whenever it comes, is never the end of a message; what the peer cannot take at all is.
        """
        for stage in Stage:
            self.assertTrue(no_response(stage).startswith(b"4"))
        for text in (
            session_notes.CLOSED,
            session_notes.TLS_NOT_OFFERED,
            session_notes.TLS_UNDETERMINED,
            session_notes.XCLIENT_NOT_OFFERED,
            session_notes.xclient_refused(b"550 5.7.1 No"),
            session_notes.BODY_UNREADABLE,
        ):
            self.assertTrue(text.startswith(b"4"))
        for text in (session_notes.TOO_LARGE, session_notes.UTF8_NOT_OFFERED):
            self.assertTrue(text.startswith(b"5"))

    def test_violation(self) -> None:
        """
        What a peer did against the protocol is told in one short printable line, whatever it sent.
        """
        self.assertEqual(violation("reply code 999"), b"451 4.5.0 [internal] protocol error: reply code 999")
        for text in ("a\r\n250 ok", "\x00\x1b[2J", "caf\u00e9 \u2603", "x" * 100_000, "\u2028", "\udc80"):
            note = violation(text)
            self.assertTrue(NOTE.fullmatch(note), note)
            self.assertLess(len(note), 400)
        self.assertEqual(violation("a\r\nb\u00e9"), b"451 4.5.0 [internal] protocol error: a??b?")
