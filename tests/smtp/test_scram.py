"""
Tests of :mod:`momentum_tx.smtp.scram`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import ExchangeFailed
from momentum_tx.smtp.scram import MOST_ITERATIONS, Scram

#: RFC 7677 3.
NONCE = "rOprNGfwEbeRWgbNEkqO"
FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SIGNED = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


class ScramTests(SynchronousTestCase):
    """
    One exchange.
    """

    def setUp(self) -> None:
        self.scram = Scram("user", "pencil", NONCE)

    def answer(self, message: bytes) -> bytes:
        """
        What is answered.
        """
        answer = self.scram.respond(message)
        return answer() if callable(answer) else answer

    def test_example(self) -> None:
        """
        The example of RFC 7677.
        """
        self.assertEqual(self.scram.initial(), b"n,,n=user,r=" + NONCE.encode())
        self.assertEqual(self.answer(FIRST), FINAL)
        self.assertFalse(self.scram.proved)
        self.assertEqual(self.answer(SIGNED), b"")
        self.assertTrue(self.scram.proved)
        self.assertRaises(ExchangeFailed, self.answer, SIGNED)

    def test_names(self) -> None:
        """
        What separates attributes is escaped in names; they and the password are prepared.
        """
        scram = Scram("a=b,\u2168", "pencil", NONCE, "x,y=")
        self.assertEqual(scram.initial(), b"n,a=x=2Cy=3D,n=a=3Db=2CIX,r=" + NONCE.encode())
        self.scram = Scram("user", "pen\xadcil", NONCE)
        self.assertEqual(self.answer(FIRST), FINAL)
        for user, password in (("\7", "x"), ("x", "\7"), ("\xad", "x")):
            self.assertRaises(ExchangeFailed, Scram, user, password, NONCE)

    def test_impostor(self) -> None:
        """
        A server that cannot sign does not know the password.
        """
        for signed in (SIGNED[:-5] + b"AAAA=", b"v=", b"v", b"", b"x=1", b"v=!", SIGNED[:-8], b"e=other-error"):
            self.setUp()
            self.answer(FIRST)
            error = self.assertRaises(ExchangeFailed, self.answer, signed)
            self.assertFalse(self.scram.proved)
        self.assertIn("other-error", str(error))

    def test_nonsense(self) -> None:
        """
        First messages that no server says that plays by the rules, or that are meant for somebody else.
        """
        nonce = FIRST.split(b",")[0]
        for first in (
            b"",
            b"r=",
            nonce,
            b"m=ext," + FIRST,
            FIRST.replace(b"r=r", b"r=x"),
            b"r=" + NONCE.encode() + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            nonce + b",s=,i=4096",
            nonce + b",s=?,i=4096",
            nonce + b",s=W22Z,i=",
            nonce + b",s=W22Z,i=-1",
            nonce + b",s=W22Z,i=04096",
            nonce + b",s=W22Z,i=1e9",
            nonce + b",s=W22Z,i=9999999999",
            nonce + b",i=4096,s=W22Z",
            b"\xff",
            FIRST + b"," + b"x" * 5000,
        ):
            self.setUp()
            self.assertRaises(ExchangeFailed, self.answer, first)

    def test_iterations(self) -> None:
        """
        Too few give the password away, too many are an attack on us.
        """
        for count in (1, 4095, MOST_ITERATIONS + 1):
            self.setUp()
            error = self.assertRaises(ExchangeFailed, self.answer, FIRST.replace(b"4096", b"%d" % count))
            self.assertIn(str(count), str(error))

    @given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda tail: FIRST + tail), st.binary(max_size=60))
    def test_any(self, first: bytes, second: bytes) -> None:
        """
        Whatever a server says, nothing else is raised, and nobody proves anything by chance.
        """
        self.setUp()
        try:
            self.answer(first)
            self.answer(second)
        except ExchangeFailed:
            pass
        self.assertFalse(self.scram.proved)
