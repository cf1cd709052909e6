"""
Tests for :mod:`momentum_tx.logs.traces`.
"""

from __future__ import annotations

import errno

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.logs.traces import Traces
from momentum_tx.policy.tracing import Trace
from momentum_tx.smtp.transcript import Transcript
from momentum_tx.testing.logs import MemoryLogFile

EPOCH = 1_700_000_000.0
CONNECTION = ("id1", "example.com", "b1", "mx.example.com", "192.0.2.1")


class TracesTests(SynchronousTestCase):
    """
    Traces that begin and end.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.files: dict[str, MemoryLogFile] = {}
        self.traces = Traces(lambda: EPOCH + self.clock.seconds(), self.clock.seconds, self.open_file)

    def open_file(self, path: str) -> MemoryLogFile:
        if path == "/forbidden":
            raise PermissionError(errno.EACCES, "denied")
        return self.files.setdefault(path, MemoryLogFile())

    def transcript(self) -> Transcript:
        """
        One that is followed, if its connection is.
        """
        return Transcript(self.clock.seconds(), self.traces.reader(*CONNECTION))

    def lines(self, path: str = "/t") -> list[str]:
        """
        What is in a trace.
        """
        return self.files[path].content.decode().splitlines()

    def test_written(self) -> None:
        """
        A line of the dialogue each, at once, with the time of day and the connection.
        """
        self.traces.add(Trace("/t"), 10_000)
        self.clock.advance(1.5)
        transcript = self.transcript()
        transcript.heard(self.clock.seconds(), b"220-a\r\n220 b\r\n")
        transcript.said(self.clock.seconds(), b"AUTH PLAIN c2VjcmV0\r\n")
        transcript.content(self.clock.seconds(), 77)
        name = "2023-11-14T22:13:21.500Z id1 example.com b1 mx.example.com[192.0.2.1]"
        self.assertEqual(
            self.lines(),
            [
                f"{name} < 220-a",
                f"{name} < 220 b",
                f"{name} > AUTH PLAIN [secret]",
                f"{name} > [content, 77 octets]",
            ],
        )

    def test_chosen(self) -> None:
        """
        Each trace gets what it is of, and no more.
        """
        self.traces.add(Trace("/t", domain="example.com"), 10_000)
        self.traces.add(Trace("/u", host="192.0.2.1"), 10_000)
        self.traces.add(Trace("/v", binding="b2"), 10_000)
        self.transcript().event(0.0, "x")
        self.assertEqual([len(self.lines(path)) for path in ("/t", "/u", "/v")], [1, 1, 0])
        self.assertIsNone(self.traces.reader("id2", "example.org", "b1", "mx", "192.0.2.2"))

    def test_removed(self) -> None:
        """
        A trace that has ended gets nothing more, also from who was followed.
        """
        number = self.traces.add(Trace("/t"), 10_000)
        self.assertEqual(dict(self.traces.running), {number: Trace("/t")})
        transcript = self.transcript()
        self.assertTrue(self.traces.remove(number))
        transcript.event(0.0, "x")
        self.assertEqual(self.lines(), [])
        self.assertTrue(self.files["/t"].closed)
        self.assertFalse(self.traces.remove(number))
        self.assertFalse(self.traces)

    def test_bound(self) -> None:
        """
        A trace ends by itself when it has become large.
        """
        self.traces.add(Trace("/t"), 300)
        transcript = self.transcript()
        for _ in range(100):
            transcript.event(0.0, "something happened")
        self.assertEqual(len(self.lines()), 3)
        self.assertTrue(self.files["/t"].closed)

    def test_full_disk(self) -> None:
        """
        A trace that cannot be written ends; the session goes on.
        """
        self.traces.add(Trace("/t"), 10_000)
        transcript = self.transcript()
        self.files["/t"].full = True
        transcript.event(0.0, "x")
        self.files["/t"].full = False
        transcript.event(0.0, "y")
        self.assertEqual(self.lines(), [])

    def test_configured(self) -> None:
        """
        A configuration begins and ends its own traces; those that stay go on in
        their file, and those begun by hand are not its business.
        """
        hand = self.traces.add(Trace("/hand"), 10_000)
        self.traces.configure([Trace("/t"), Trace("/u")], 10_000)
        kept = self.traces.running
        self.traces.configure([Trace("/u"), Trace("/v")], 10_000)
        self.assertEqual({trace.file for trace in self.traces.running.values()}, {"/hand", "/u", "/v"})
        self.assertEqual(
            [number for number, trace in kept.items() if trace.file in ("/hand", "/u")],
            [number for number, trace in self.traces.running.items() if trace.file != "/v"],
        )
        self.assertIn(hand, self.traces.running)
        self.traces.close()
        self.assertTrue(all(file.closed for file in self.files.values()))

    def test_forbidden(self) -> None:
        """
        A file that cannot be opened is an error where a person asked, and a line
        in the log where it was the configuration.
        """
        self.assertRaises(PermissionError, self.traces.add, Trace("/forbidden"), 10_000)
        self.traces.configure([Trace("/forbidden"), Trace("/t")], 10_000)
        self.assertEqual([trace.file for trace in self.traces.running.values()], ["/t"])
