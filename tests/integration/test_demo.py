"""
``momentum-tx demo`` as a process, from the first line to the exit status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

ROOT = Path(__file__).parents[2]
#: Seconds after which a demo of a few messages hangs.
LIMIT = 40


class _Demo(ProcessProtocol):
    """
    One run.

    :param temporary: where it makes its directories.
    """

    transport: IProcessTransport

    def __init__(self, temporary: str) -> None:
        self.temporary = temporary
        self.out, self.err = b"", b""
        self.began: Deferred[None] = Deferred()
        #: Fires with the exit status.
        self.ended: Deferred[int] = Deferred()

    def start(self, *arguments: str) -> Deferred[int]:
        """
        Run it with these arguments.
        """
        code = "import sys; from momentum_tx.cli import main; sys.exit(main())"
        process = IReactorProcess(reactor)
        process.spawnProcess(
            self,
            sys.executable,
            [sys.executable, "-c", code, "demo", *arguments],
            dict(os.environ, PYTHONPATH=str(ROOT), TMPDIR=self.temporary),
        )
        return self.ended.addTimeout(LIMIT, reactor)

    def outReceived(self, data: bytes) -> None:
        self.out += data
        if not self.began.called:
            self.began.callback(None)

    def errReceived(self, data: bytes) -> None:
        self.err += data

    def processEnded(self, reason: Failure) -> None:
        ended = reason.value
        assert isinstance(ended, (ProcessDone, ProcessTerminated))
        if not self.ended.called:
            self.ended.callback(-1 if ended.exitCode is None else ended.exitCode)


class DemoTests(TestCase):
    """
    The demo, small.
    """

    def setUp(self) -> None:
        self.temporary = os.path.abspath(self.mktemp())
        os.mkdir(self.temporary)
        self.demo = _Demo(self.temporary)

    def left(self) -> list[str]:
        """
        The directories it left behind.
        """
        return os.listdir(self.temporary)

    async def test_accounted(self) -> None:
        """
        Every message is accounted for; the JSON says how; nothing else is said, and nothing is left.
        """
        status = await self.demo.start("--messages", "60", "--seed", "1", "--json")
        self.assertEqual((status, self.demo.err), (0, b""), self.demo.out)
        report = json.loads(self.demo.out)
        self.assertEqual((report["ok"], report["problems"]), (True, []))
        rows = {row["name"]: row for row in report["receivers"]}
        self.assertEqual(set(rows), {"good.demo", "grey.demo", "picky.demo", "down.demo"})
        total = report["total"]
        self.assertEqual(total["injected"], 60)
        self.assertEqual(total["delivered"] + total["failed"], 60)
        self.assertEqual((total["lost"], total["doubled"], total["unclear"]), (0, 0, 0))
        self.assertEqual(rows["good.demo"]["delivered"], rows["good.demo"]["injected"])
        self.assertEqual(rows["grey.demo"]["retried"], rows["grey.demo"]["injected"])
        self.assertGreater(rows["picky.demo"]["failed"], 0)
        self.assertEqual(rows["down.demo"]["failed"], rows["down.demo"]["injected"])
        self.assertEqual(self.left(), [])

    async def test_dropped(self) -> None:
        """
        A receiver that says 250 and forgets is found out: the table says what is
        missing, the directory is kept and named, the exit status is 1.
        """
        status = await self.demo.start("--messages", "40", "--seed", "1", "--drop-every", "5")
        self.assertEqual(status, 1)
        self.assertIn(b"lost: recorded as delivered, but the receiver does not have it: ", self.demo.out)
        (kept,) = self.left()
        self.assertIn(kept.encode(), self.demo.err)
        self.assertIn("demo.log", os.listdir(os.path.join(self.temporary, kept)))

    async def test_interrupted(self) -> None:
        """
        Ctrl-C ends it at once, cleanly, and nothing is left.
        """
        ended = self.demo.start("--messages", "500")
        await self.demo.began
        self.demo.transport.signalProcess(signal.Signals.SIGINT.name.removeprefix("SIG"))
        self.assertEqual((await ended, self.demo.err), (130, b"momentum-tx: interrupted\n"))
        self.assertEqual(self.left(), [])
