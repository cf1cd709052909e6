"""
Which dialogues are kept, with what, and who can follow them.
"""

from __future__ import annotations

import json
from typing import Any

from zope.interface import implementer

from momentum_tx.errors import StartupError
from momentum_tx.interfaces.hooks import ILogTransientFailureV1
from momentum_tx.outcomes import Verdict
from momentum_tx.stages import Stage
from momentum_tx.testing.peer_session import Answer
from momentum_tx.testing.peers import CLOSE, SILENCE

from ..worlds import BOB, SENDER, WorldCase

CAROL = "carol@example.com"


@implementer(ILogTransientFailureV1)
class Witness:
    """
    A hook provider that reads what was said.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.lines = msg.connection.transcript.lines()


class KeptTests(WorldCase):
    """
    What is kept of attempts.
    """

    def test_refused(self) -> None:
        """
        A refusal is kept with the dialogue from connect to reply; a hook can read
        it when it is told.
        """
        witness = Witness()
        world = self.world(providers=[witness])
        world.exchanger("example.com").on("dot", b"451 4.7.1 try later", times=1)
        self.accept(world)
        world.advance(1)
        (attempt,) = world.service.transcripts(domain="example.com")
        self.assertEqual(
            (attempt.binding, attempt.host, attempt.address, attempt.port, attempt.ambiguous),
            ("default", "mx1.example.com", "198.51.100.1", 25, False),
        )
        (answer,) = attempt.messages
        record = self.last(world, "T")
        self.assertEqual((answer.id, attempt.conn_id), (record["id"], record["conn_id"]))
        self.assertEqual(
            (answer.recipient, answer.verdict, answer.stage, answer.note),
            (BOB.encode(), Verdict.TRANSIENT, Stage.READING_CONFIRMATION, b"451 4.7.1 try later"),
        )
        words = [line.split(" ", 1)[1] for line in attempt.transcript.lines()]
        self.assertIn("> EHLO mail.sender.example", words)
        self.assertIn(f"> RCPT TO:<{BOB}>", words)
        self.assertTrue(any(word.startswith("> [content, ") for word in words), words)
        self.assertIn("< 451 4.7.1 try later", words)
        self.assertNotIn("Hello.", "".join(words))
        self.assertEqual(witness.lines, attempt.transcript.lines()[: len(witness.lines)])
        self.assertIn("451 4.7.1", witness.lines[-1])

    def test_mixed(self) -> None:
        """
        One attempt for several messages says what it meant for each.
        """
        world = self.world()
        world.exchanger("example.com").refuse[CAROL] = b"550 5.1.1 nobody"
        self.accept(world, [BOB, CAROL])
        world.advance(1)
        (attempt,) = world.service.transcripts()
        self.assertEqual(
            [(answer.recipient, answer.verdict) for answer in attempt.messages],
            [(BOB.encode(), Verdict.DELIVERED), (CAROL.encode(), Verdict.PERMANENT)],
        )

    def test_delivered(self) -> None:
        """
        Of what went well nothing is kept, unless it took long.
        """
        for slow, kept in (("60.0", 0), ("2.0", 1)):
            world = self.world(f"[global]\ntranscript_slow = {slow}")
            world.exchanger("example.com").on("dot", Answer(b"250 ok", after=3.0))
            self.accept(world)
            world.advance(10)
            self.assertEqual(self.kinds(world), "RD")
            self.assertEqual(len(world.service.transcripts()), kept)

    def test_session(self) -> None:
        """
        A connection that would not do is kept without messages.
        """
        world = self.world()
        world.exchanger("example.com").on("connect", b"554 go away")
        self.accept(world)
        world.advance(1)
        attempt = world.service.transcripts(host="mx1.example.com")[-1]
        self.assertEqual((attempt.messages, attempt.note, attempt.stage), ((), b"554 go away", Stage.READING_BANNER))
        self.assertIn("554 go away", "".join(attempt.transcript.lines()))
        # Who has the message's T finds it by the connection.
        connection = self.last(world, "T")["conn_id"]
        self.assertEqual(world.service.transcripts(conn_id=connection), [attempt])
        self.assertEqual(world.service.transcripts(conn_id="another"), [])

    def test_ambiguous(self) -> None:
        """
        A lost reply to the final dot is marked, with the moment the peer went.
        """
        world = self.world()
        world.exchanger("example.com").on("dot", CLOSE, times=1)
        self.accept(world)
        world.advance(1)
        attempt = world.service.transcripts()[-1]
        self.assertTrue(attempt.ambiguous)
        self.assertTrue(attempt.transcript.lines()[-1].endswith("* connection closed"))

    def test_silent(self) -> None:
        """
        So is a peer that says nothing any more, with how long that took.
        """
        world = self.world("[global]\nmailfrom_timeout = 40.0")
        world.exchanger("example.com").on("MAIL", SILENCE)
        self.accept(world)
        world.advance(60)
        lines = world.service.transcripts()[-1].transcript.lines()
        (timeout,) = [line for line in lines if "time is over" in line]
        self.assertEqual(timeout.split(" ", 2)[2], "time is over after MAIL FROM")
        self.assertGreater(float(timeout.split()[0]), 40.0)

    def test_log(self) -> None:
        """
        With ``transcriptlog`` each is a line of JSON in its file beside mainlog.
        """
        world = self.world('[global]\ntranscriptlog = true\nlog_dir = "/logs"')
        world.exchanger("example.com").on("RCPT", b"450 4.2.1 later")
        self.accept(world)
        world.advance(1)
        record = json.loads(world.logs["/logs/transcriptlog"].content)
        self.assertEqual(record["messages"][0]["id"], self.last(world, "T")["id"])
        self.assertIn("450 4.2.1 later", "".join(record["transcript"]))


class TraceTests(WorldCase):
    """
    Who wants to can follow what is said.
    """

    def trace(self, world: Any, path: str = "/t") -> str:
        """
        What was written so far.
        """
        return str(world.logs[path].content.decode()) if path in world.logs else ""

    def test_by_hand(self) -> None:
        """
        A trace begins with the sessions that are open, and ends when it is removed.
        """
        world = self.world("[global]\nidle_timeout = 100.0")
        world.exchanger("example.com")
        world.exchanger("example.org")
        self.accept(world)
        world.advance(1)
        number = world.service.trace_smtp("/t", domain="example.com")
        self.accept(world, [BOB, "x@example.org"], subject="two")
        world.advance(1)
        text = self.trace(world)
        self.assertIn(f"> RCPT TO:<{BOB}>", text)
        self.assertNotIn("EHLO", text)
        self.assertNotIn("example.org", text)
        self.assertEqual(list(world.service.traces_smtp()), [number])
        self.assertTrue(world.service.untrace_smtp(number))
        self.accept(world, subject="three")
        world.advance(1)
        self.assertEqual(self.trace(world), text)

    def test_configured(self) -> None:
        """
        The configuration begins and ends traces, at the start and with a reload.
        """
        world = self.world('[global]\ntrace_smtp = ["host=mx1.example.com file=/t"]')
        world.exchanger("example.com")
        self.accept(world)
        world.advance(10)
        text = self.trace(world)
        self.assertIn("< 220 ", text)
        self.assertIn("> QUIT", text)
        world.reload("")
        self.accept(world, subject="two")
        world.advance(10)
        self.assertEqual(self.trace(world), text)

    def test_mistake(self) -> None:
        """
        What is no trace is refused with the configuration.
        """
        world = self.world()
        error = self.assertRaises(StartupError, world.reload, '[global]\ntrace_smtp = ["example.com /t"]')
        self.assertIn("none of domain=, binding=, host= and file=", str(error))

    def test_sender(self) -> None:
        """
        In process, too, whoever sends may look afterwards.
        """
        world = self.world()
        world.exchanger("example.com").on("RCPT", b"550 5.1.1 nobody")
        world.send(SENDER, [BOB], world.message())
        world.advance(1)
        (failed,) = world.mainlog("P")
        self.assertEqual(len(world.service.transcripts(failed["id"])), 1)
        self.assertEqual(world.service.transcripts("another"), [])
