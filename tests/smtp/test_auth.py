"""
Tests of :mod:`momentum_tx.smtp.auth`.
"""

import binascii
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import ExchangeFailed
from momentum_tx.smtp.auth import MOST_CHALLENGES, AuthenticationRefused, authenticate
from momentum_tx.smtp.dialogue import MAX_ASKED
from momentum_tx.smtp.mechanisms import MECHANISMS
from momentum_tx.smtp.replies import Reply

from .test_mechanisms import made
from .test_scram import FINAL, FIRST, NONCE, SIGNED


def encoded(octets: bytes) -> bytes:
    """
    In base64.
    """
    return binascii.b2a_base64(octets, newline=False)


def challenge(octets: bytes) -> Reply:
    """
    334 with a challenge.
    """
    return Reply(334, (encoded(octets),))


OK = Reply(235, (b"2.7.0 welcome",))


class AuthCase(SynchronousTestCase):
    """
    An exchange, and what comes of it.
    """

    def talk(self, name: str, mechanism: Any, *replies: Reply) -> tuple[list[bytes], Exception | None]:
        """
        What was said to *replies*, and what was raised in the end.
        """
        words = authenticate(name, mechanism)
        said: list[bytes] = []
        waiting = list(replies)
        try:
            word = next(words)
            while True:
                if callable(word):
                    word = words.send(word())
                    continue
                said.append(word)
                word = words.send(waiting.pop(0))
        except StopIteration:
            error: Exception | None = None
        except ExchangeFailed as failed:
            error = failed
        self.assertEqual(waiting, [], "not all was heard")
        return said, error

    def agreed(self, name: str, mechanism: Any, *replies: Reply) -> list[bytes]:
        """
        What was said in an exchange that went well.
        """
        said, error = self.talk(name, mechanism, *replies)
        self.assertIsNone(error)
        return said

    def cancelled(self, name: str, mechanism: Any, *replies: Reply) -> str:
        """
        Why an exchange was cancelled.
        """
        said, error = self.talk(name, mechanism, *replies, Reply(501, (b"cancelled",)))
        self.assertEqual(said[-1], b"*")
        self.assertNotIsInstance(error, AuthenticationRefused)
        return str(error)


class AuthTests(AuthCase):
    """
    The command and its challenges.
    """

    def test_initial_response(self) -> None:
        """
        What the client says first goes with the command (RFC 4954 4.1).
        """
        self.assertEqual(self.agreed("PLAIN", made("PLAIN", "test", "1234"), OK), [b"AUTH PLAIN AHRlc3QAMTIzNA=="])

    def test_empty(self) -> None:
        """
        An initial response of nothing is "=", a later one an empty line.
        """

        class Empty:
            def initial(self) -> bytes:
                return b""

            def respond(self, text: bytes) -> bytes:
                return b""

            def accepted(self) -> None:
                pass

        self.assertEqual(self.agreed("EMPTY", Empty(), challenge(b"x"), OK), [b"AUTH EMPTY =", b""])

    def test_too_long_for_the_command(self) -> None:
        """
        An initial response that does not fit into a command line waits for a challenge, whatever that says.
        """
        room = 512 - len(b"AUTH XOAUTH2 \r\n")
        for length, fits in ((room // 4 * 3, True), (room // 4 * 3 + 1, False)):
            mechanism = made("XOAUTH2", "u", "t" * (length - len(b"user=u\1auth=Bearer \1\1")))
            token = encoded(mechanism.initial())
            if fits:
                self.assertEqual(self.agreed("XOAUTH2", mechanism, OK), [b"AUTH XOAUTH2 " + token])
            else:
                heard = Reply(334, (b"go on, please",))
                self.assertEqual(self.agreed("XOAUTH2", mechanism, heard, OK), [b"AUTH XOAUTH2", token])

    def test_too_long_at_all(self) -> None:
        """
        What fits into no line is not said; at the bound it is.
        """

        class Long:
            def __init__(self, octets: int) -> None:
                self.octets = octets

            def initial(self) -> None:
                return None

            def respond(self, text: bytes) -> bytes:
                return b"x" * self.octets

            def accepted(self) -> None:
                pass

        most = (MAX_ASKED - 2) // 4 * 3
        self.assertEqual(len(self.agreed("LONG", Long(most), challenge(b""), OK)[-1]), MAX_ASKED // 4 * 4 - 4)
        self.assertIn("octets", self.cancelled("LONG", Long(most + 1), challenge(b"")))

    def test_scram(self) -> None:
        """
        An exchange of three messages each way, with a server that shows who it is.
        """
        said = self.agreed(
            "SCRAM-SHA-256", made("SCRAM-SHA-256", "user", "pencil"), challenge(FIRST), challenge(SIGNED), OK
        )
        self.assertEqual(
            said, [b"AUTH SCRAM-SHA-256 " + encoded(b"n,,n=user,r=" + NONCE.encode()), encoded(FINAL), b""]
        )

    def test_not_proved(self) -> None:
        """
        A server that says all is well before it has shown that it knows the password is not believed.
        """
        for replies in ((OK,), (challenge(FIRST), OK)):
            _, error = self.talk("SCRAM-SHA-256", made("SCRAM-SHA-256", "user", "pencil"), *replies)
            self.assertIn("did not show", str(error))

    def test_refused(self) -> None:
        """
        A refusal, whenever it comes, is told as it was said.
        """
        for code in (535, 534, 432, 454, 501, 504, 538, 500):
            reply = Reply(code, (b"no",))
            for replies in ((reply,), (challenge(b"User"), reply), (challenge(b"User"), challenge(b"Password"), reply)):
                _, error = self.talk("LOGIN", made("LOGIN", "lea", "secret"), *replies)
                assert isinstance(error, AuthenticationRefused)
                self.assertIs(error.reply, reply)
                self.assertEqual(str(error), f"{code} no")

    def test_refused_token(self) -> None:
        """
        A server that explains in a challenge is heard to the end.
        """
        reply = Reply(535, (b"5.7.8 expired",))
        for name, last in (("XOAUTH2", b""), ("OAUTHBEARER", b"AQ==")):
            said, error = self.talk(name, made(name, "u", "t"), challenge(b'{"status":"401"}'), reply)
            self.assertEqual((said[-1], str(error)), (last, "535 5.7.8 expired"))

    def test_bad_challenges(self) -> None:
        """
        A challenge that makes no sense is cancelled.
        """
        for reply in (
            Reply(334, (b"no base64!",)),
            Reply(334, (b"YQ",)),
            Reply(334, (b"YQ==", b"YQ==")),
            Reply(334, (b"YQ==",), True),
            Reply(354, (b"YQ==",)),
        ):
            self.assertIn("challenge", self.cancelled("CRAM-MD5", made("CRAM-MD5", "u", "p"), reply))
        self.assertIn("nobody asked", self.cancelled("PLAIN", made("PLAIN", "u", "p"), challenge(b"more")))
        long = made("XOAUTH2", "u", "t" * 500)
        self.assertIn("challenge", self.cancelled("XOAUTH2", long, Reply(354, (b"go on",))))

    def test_endless(self) -> None:
        """
        Challenges without end are cancelled, also where the mechanism would have gone on for ever.
        """

        class Patient:
            def initial(self) -> None:
                return None

            def respond(self, text: bytes) -> bytes:
                return text

            def accepted(self) -> None:
                pass

        self.agreed("PATIENT", Patient(), *[challenge(b"x")] * MOST_CHALLENGES, OK)
        endless = [challenge(b"x")] * (MOST_CHALLENGES + 1)
        self.assertIn("without end", self.cancelled("PATIENT", Patient(), *endless))

    @given(
        st.sampled_from(sorted(MECHANISMS)),
        st.lists(
            st.builds(
                Reply,
                st.sampled_from([235, 334, 334, 334, 354, 454, 535]),
                st.lists(st.binary(max_size=30) | st.binary(max_size=30).map(encoded), min_size=1, max_size=2).map(
                    tuple
                ),
            ),
            max_size=20,
        ),
    )
    def test_any(self, name: str, replies: list[Reply]) -> None:
        """
        Whatever a server says, every word fits on a line, it ends, and only failures are raised.
        """
        words = authenticate(name, made(name, "user", "pencil"))
        turns = 0
        try:
            word = next(words)
            for reply in replies:
                while callable(word):
                    word = words.send(word())
                self.assertNotIn(b"\n", word)
                self.assertLessEqual(len(word), MAX_ASKED - 2)
                turns += 1
                word = words.send(reply)
        except (StopIteration, ExchangeFailed):
            pass
        self.assertLessEqual(turns, MOST_CHALLENGES + 3)
