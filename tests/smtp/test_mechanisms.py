"""
Tests of :mod:`momentum_tx.smtp.mechanisms`.
"""

import binascii
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import ExchangeFailed
from momentum_tx.policy.credentials import PASSWORD_MECHANISMS, SAFE_IN_CLEAR, TOKEN_MECHANISMS, Credentials
from momentum_tx.smtp.mechanisms import MECHANISMS, suitable

from .test_scram import FINAL, FIRST, NONCE, SIGNED


def made(name: str, user: str, secret: str, authzid: str = "") -> Any:
    """
    A mechanism with credentials.
    """
    return MECHANISMS[name](Credentials(user, secret, name in TOKEN_MECHANISMS, authzid), lambda: NONCE)


class MechanismTests(SynchronousTestCase):
    """
    What each of them says.
    """

    def test_plain(self) -> None:
        """
        PLAIN says all at once, to the octet (RFC 4616, and the example of RFC 4954 4.1).
        """
        for user, password, authzid, text in (
            ("test", "1234", "", b"\0test\x001234"),
            ("Ursel", "Kurt", "xipj3plmq", b"xipj3plmq\0Ursel\0Kurt"),
            ("ü", " pass=word ", "", b"\0\xc3\xbc\0 pass=word "),
        ):
            self.assertEqual(made("PLAIN", user, password, authzid).initial(), text)
        mechanism = made("PLAIN", "a", "b")
        mechanism.accepted()
        self.assertRaises(ExchangeFailed, mechanism.respond, b"")

    def test_login(self) -> None:
        """
        LOGIN answers two questions in whatever words, and no third; a server that asks but one has had no password.
        """
        mechanism = made("LOGIN", "lea", "secret")
        self.assertIsNone(mechanism.initial())
        self.assertEqual(mechanism.respond(b"Benutzer?"), b"lea")
        self.assertRaises(ExchangeFailed, mechanism.accepted)
        self.assertEqual(mechanism.respond(b""), b"secret")
        mechanism.accepted()
        self.assertRaises(ExchangeFailed, mechanism.respond, b"Password:")

    def test_cram_md5(self) -> None:
        """
        The example of RFC 2195.
        """
        mechanism = made("CRAM-MD5", "tim", "tanstaaftanstaaf")
        self.assertIsNone(mechanism.initial())
        self.assertRaises(ExchangeFailed, mechanism.accepted)
        answer = mechanism.respond(b"<1896.697170952@postoffice.reston.mci.net>")
        self.assertEqual(answer, b"tim b913a602c7eda7a495b4e6e7334d3890")
        mechanism.accepted()
        self.assertRaises(ExchangeFailed, mechanism.respond, b"<another>")
        self.assertRaises(ExchangeFailed, made("CRAM-MD5", "tim", "x").respond, b"")

    def test_scram(self) -> None:
        """
        The example of RFC 7677; a server that is content too early has proved nothing.
        """
        mechanism = made("SCRAM-SHA-256", "user", "pencil")
        self.assertEqual(mechanism.initial(), b"n,,n=user,r=" + NONCE.encode())
        self.assertRaises(ExchangeFailed, mechanism.accepted)
        self.assertEqual(mechanism.respond(FIRST)(), FINAL)
        self.assertRaises(ExchangeFailed, mechanism.accepted)
        self.assertEqual(mechanism.respond(SIGNED), b"")
        mechanism.accepted()

    def test_xoauth2(self) -> None:
        """
        The example of Google's page; to a server that says why not there is an empty answer, once.
        """
        mechanism = made("XOAUTH2", "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")
        self.assertEqual(
            binascii.b2a_base64(mechanism.initial(), newline=False),
            b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52"
            b"YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==",
        )
        mechanism.accepted()
        self.assertEqual(mechanism.respond(b'{"status":"401"}'), b"")
        self.assertRaises(ExchangeFailed, mechanism.respond, b"again")
        self.assertRaises(ExchangeFailed, mechanism.accepted)

    def test_oauthbearer(self) -> None:
        """
        RFC 7628 3.1 and 3.2.3.
        """
        mechanism = made("OAUTHBEARER", "user,x=@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
        self.assertEqual(
            mechanism.initial(),
            b"n,a=user=2Cx=3D@example.com,\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1",
        )
        self.assertEqual(mechanism.respond(b'{"status":"invalid_token"}'), b"\1")
        self.assertRaises(ExchangeFailed, mechanism.accepted)

    def test_separator(self) -> None:
        """
        A name that would be taken for the end of itself is not sent.
        """
        for name in TOKEN_MECHANISMS:
            self.assertRaises(ExchangeFailed, made, name, "a\1b", "token")
            self.assertRaises(ExchangeFailed, made, name, "a", "token", "\1")

    def test_suitable(self) -> None:
        """
        The strongest that is offered and allowed comes first; passwords and tokens are not mixed up.
        """
        offered = (b"LOGIN", b"PLAIN", b"XOAUTH2", b"CRAM-MD5", b"NTLM", b"SCRAM-SHA-256", b"OAUTHBEARER")
        self.assertEqual(suitable(offered, (), False), ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"])
        self.assertEqual(suitable(offered, (), True), ["OAUTHBEARER", "XOAUTH2"])
        self.assertEqual(suitable(offered, ("LOGIN", "PLAIN", "XOAUTH2"), False), ["PLAIN", "LOGIN"])
        self.assertEqual(suitable((b"NTLM",), (), False), [])
        self.assertEqual(suitable((), ("PLAIN",), False), [])
        self.assertEqual({*PASSWORD_MECHANISMS, *TOKEN_MECHANISMS}, set(MECHANISMS))
        self.assertEqual(SAFE_IN_CLEAR, {*PASSWORD_MECHANISMS} - {"PLAIN", "LOGIN"})
