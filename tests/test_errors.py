"""
Tests of :mod:`momentum_tx.errors`: what people read, and what may be caught as what.
"""

import pickle

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx import errors
from momentum_tx.errors import (
    ConfigError,
    ConnectFailed,
    ConnectionNotInitiated,
    ConnectTimedOut,
    DeliveryError,
    DialFailed,
    MessageRefused,
    StartupError,
    TLSUndecided,
)
from momentum_tx.flags import ConnFlag


class ErrorTests(SynchronousTestCase):
    """
    One flat tree.
    """

    def test_one_parent(self) -> None:
        """
        Whoever catches ``DeliveryError`` catches every one of them.
        """
        own = [
            thing for thing in vars(errors).values() if isinstance(thing, type) and thing.__module__ == errors.__name__
        ]
        self.assertGreater(len(own), 10)
        self.assertEqual([error for error in own if not issubclass(error, DeliveryError)], [])

    def test_three_endings(self) -> None:
        """
        The three failures of a connection attempt are told apart by their class:
        none is a kind of another.
        """
        endings = (ConnectionNotInitiated, ConnectFailed, ConnectTimedOut, DialFailed)
        for one in endings:
            self.assertEqual([other for other in endings if issubclass(other, one)], [one])

    def test_flags(self) -> None:
        """
        They carry the full word and say it by name, with what else is known.
        """
        word = ConnFlag.ERROR_BIND | ConnFlag.ACTION_REQUEUE1
        for kind in (ConnectionNotInitiated, ConnectFailed, ConnectTimedOut, DialFailed):
            error = kind(word, "no such address")
            self.assertEqual((error.flags, error.reason), (word, "no such address"))
            self.assertEqual(str(error), "CONN_ERROR_BIND|CONN_ACTION_REQUEUE1: no such address")
            self.assertEqual(str(kind(word)), "CONN_ERROR_BIND|CONN_ACTION_REQUEUE1")

    def test_copied(self) -> None:
        """
        An error that is passed to another process keeps its word.
        """
        for kind in (ConnectionNotInitiated, ConnectFailed, ConnectTimedOut, DialFailed):
            copy = pickle.loads(pickle.dumps(kind(ConnFlag.ERROR_SOCKET, "no room")))
            self.assertIs(type(copy), kind)
            self.assertEqual((copy.flags, copy.reason), (ConnFlag.ERROR_SOCKET, "no room"))

    def test_refusal(self) -> None:
        """
        A refused submission reads as an SMTP client would be told.
        """
        error = MessageRefused(452, "4.3.1 try again later")
        self.assertEqual((error.code, error.text), (452, "4.3.1 try again later"))
        self.assertEqual(str(error), "452 4.3.1 try again later")

    def test_undecided(self) -> None:
        """
        Why TLS could not be decided on reads as it stands in the log.
        """
        error = TLSUndecided(b"451 4.7.5 [internal] no answer")
        self.assertEqual(
            (error.note, str(error)), (b"451 4.7.5 [internal] no answer", "451 4.7.5 [internal] no answer")
        )

    def test_mistakes(self) -> None:
        """
        A refused configuration names every mistake on a line of its own, and is
        a reason not to start.
        """
        error = ConfigError("a.toml:1: x: wrong", "a.toml:2: y: wrong too")
        self.assertIsInstance(error, StartupError)
        self.assertEqual(error.mistakes, ("a.toml:1: x: wrong", "a.toml:2: y: wrong too"))
        self.assertEqual(str(error), "a.toml:1: x: wrong\na.toml:2: y: wrong too")
