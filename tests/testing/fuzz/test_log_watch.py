"""
Exceptions that end in the log do not escape the judge.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from momentum_tx.delivery.session import Session
from momentum_tx.testing.fuzz.log_watch import EXPECTED, LogWatch

from .stories import StoryCase, small_plan


class LogWatchTests(StoryCase):
    """
    What is a fault, and what is none.
    """

    def setUp(self) -> None:
        self.faults: list[tuple[str, str]] = []
        self.log = Logger()

    def watch(self) -> LogWatch:
        """
        A watch that has not begun.
        """
        return LogWatch(lambda rule, text: self.faults.append((rule, text)))

    def fail_with(self, said: str, **fields: Any) -> None:
        """
        Log a failure.
        """
        try:
            raise RuntimeError("banana")
        except RuntimeError:
            self.log.failure(said, **fields)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_unexpected(self) -> None:
        """
        A failure that is logged while it watches is a fault, which says what and
        where; before and afterwards it hears nothing.
        """
        self.fail_with("before")
        with self.watch():
            self.fail_with("looking after {domain} failed", domain="d.example")
        self.fail_with("afterwards")
        ((rule, text),) = self.faults
        self.assertEqual(rule, "exception")
        self.assertTrue(
            text.startswith("looking after {domain} failed: RuntimeError: banana (test_log_watch.py:"), text
        )

    def test_expected(self) -> None:
        """
        What misbehaving hooks and failing disks cause is part of the story.
        """
        with self.watch():
            for said in EXPECTED:
                self.fail_with(said + " ...", hook="log_delivery_v1", id="1")
        self.assertEqual(self.faults, [])

    def test_no_failure(self) -> None:
        """
        A line in the log is no exception.
        """
        with self.watch():
            self.log.error("something is wrong")
            self.log.info("nothing is")
        self.assertEqual(self.faults, [])

    def test_watch_ends_with_an_exception(self) -> None:
        """
        It watches no longer when the story itself has raised.
        """

        def story() -> None:
            with self.watch():
                raise KeyError("a part that is missing")

        self.assertRaises(KeyError, story)
        self.fail_with("afterwards")
        self.assertEqual(self.faults, [])

    def test_in_a_story(self) -> None:
        """
        An exception in a timer of the service is a fault though nothing else comes of it.
        """
        leave = Session.idle_timed_out

        def clumsy(session: Any) -> None:
            leave(session)
            raise RuntimeError("banana")

        fault = self.planted(small_plan(), "exception", Session, "idle_timed_out", clumsy)
        self.assertIn("RuntimeError: banana", fault.text)
