"""
Tests of :mod:`momentum_tx.testing.sasl`.
"""

import binascii

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.credentials import TOKEN_MECHANISMS, Credentials
from momentum_tx.smtp.mechanisms import MECHANISMS
from momentum_tx.testing.sasl import Authenticating, exchange

from .test_peers import ReceiverCase

USERS = {"lea": "secret", "a,b=c": "other"}


class ExchangeTests(SynchronousTestCase):
    """
    The server's side of each mechanism, against the client's.
    """

    def outcome(self, name: str, user: str, secret: str) -> str | None:
        """
        Whom the server takes the client for.
        """
        client = MECHANISMS[name](Credentials(user, secret, name in TOKEN_MECHANISMS), lambda: "nonce")
        server = exchange(name, client.initial(), USERS)
        try:
            challenge = next(server)
            while True:
                answer = client.respond(challenge)
                challenge = server.send(answer() if callable(answer) else answer)
        except StopIteration as end:
            user_found: str | None = end.value
            if user_found is not None:
                client.accepted()
            return user_found

    def test_every(self) -> None:
        """
        Who knows the secret is believed, and nobody else.
        """
        for name in MECHANISMS:
            for user, secret in USERS.items():
                self.assertEqual(self.outcome(name, user, secret), user, name)
            for user, secret in (("lea", "other"), ("leo", "secret")):
                self.assertIsNone(self.outcome(name, user, secret), name)

    def test_unknown(self) -> None:
        """
        There is no other mechanism.
        """
        self.assertRaises(KeyError, exchange, "NTLM", None, USERS)


class AuthenticatingTests(ReceiverCase):
    """
    A receiver that wants to know its clients.
    """

    PLAIN = b"AUTH PLAIN " + binascii.b2a_base64(b"\0lea\0secret", newline=False)

    def setUp(self) -> None:
        super().setUp()
        self.habit = Authenticating(USERS, clear=True)
        self.mx.add(self.habit)

    def test_first(self) -> None:
        """
        Nobody's mail is taken before it is known whose it is.
        """
        side = self.connect()
        self.assertEqual(self.say(side, b"EHLO x")[-1], b"250 AUTH SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN")
        self.assertEqual(self.codes(side, b"MAIL FROM:<a@b.example>", self.PLAIN), [b"530", b"235"])
        self.assertEqual(self.codes(side, b"MAIL FROM:<a@b.example>", b"RSET", self.PLAIN), [b"250", b"250", b"503"])
        self.assertEqual((self.habit.accepted, self.habit.used, self.habit.refused), (["lea"], ["PLAIN"], 0))
        # Another session is somebody else's.
        self.assertEqual(self.codes(self.connect(), b"EHLO x", b"MAIL FROM:<a@b.example>"), [b"250", b"530"])

    def test_challenges(self) -> None:
        """
        A challenge is answered, cancelled, or refused.
        """
        side = self.connect()
        login = [b"AUTH LOGIN", b"bGVh", b"c2VjcmV0"]
        self.assertEqual(self.codes(side, b"EHLO x", *login[:2], b"*"), [b"250", b"334", b"334", b"501"])
        self.assertEqual(self.codes(side, *login[:2], b"eHh4"), [b"334", b"334", b"535"])
        self.assertEqual(self.codes(side, b"AUTH NTLM", b"AUTH", b"AUTH PLAIN ="), [b"504", b"504", b"535"])
        self.assertEqual(self.codes(side, *login), [b"334", b"334", b"235"])
        self.assertEqual((self.habit.refused, self.habit.accepted), (3, ["lea"]))

    def test_in_the_clear(self) -> None:
        """
        Where that is not wanted, nothing is offered or taken without TLS.
        """
        self.habit.clear = False
        side = self.connect()
        self.mx.starttls = True
        self.assertNotIn(b"AUTH", self.say(side, b"EHLO x")[-1])
        self.assertEqual(self.codes(side, self.PLAIN, b"STARTTLS"), [b"504", b"220"])
        self.assertIn(b"AUTH", self.say(side, b"EHLO x")[-1])
        self.assertEqual(self.codes(side, self.PLAIN), [b"235"])

    def test_removed(self) -> None:
        """
        A receiver that has lost the habit takes anybody's mail.
        """
        self.mx.remove(self.habit)
        side = self.connect()
        self.assertNotIn(b"AUTH", self.say(side, b"EHLO x")[-1])
        self.assertEqual(self.codes(side, b"MAIL FROM:<a@b.example>"), [b"250"])
