"""
``momentum-tx spool`` beside a service that takes and delivers mail.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from .running import Program
from .test_storage import DestinationCase

_COMMAND = [sys.executable, "-c", "from momentum_tx.cli import main; raise SystemExit(main())", "spool"]


class BesideTests(DestinationCase):
    """
    Segments come and go while they are read.
    """

    async def tool(self, *arguments: str) -> tuple[int, str]:
        """
        Run a tool; its exit status and what it printed.
        """
        program = Program([*_COMMAND, *arguments])
        self.addCleanup(program.kill)
        status = await program.ended
        self.assertNotIn(b"Traceback", program.err)
        return status, program.out.decode()

    async def test_underLoad(self) -> None:
        """
        However often it is looked, nothing is taken for damage, and no mail suffers.
        """
        await self.begin("segment_size = 4096\n")
        spool = os.path.join(self.directory, "state", "spool")
        looks = 0
        done = False

        async def load() -> None:
            nonlocal done
            await self.send_many("load", 400)
            done = True

        async def watch() -> None:
            nonlocal looks
            while not done:
                status, out = await self.tool("check", "--json", spool)
                told: dict[str, Any] = json.loads(out)
                self.assertEqual((status, told["running"]), (0, True), told)
                self.assertEqual([each for each in told["findings"] if each["weight"] != "note"], [])
                looks += 1

        await gatherResults([Deferred.fromCoroutine(load()), Deferred.fromCoroutine(watch())])
        self.assertGreater(looks, 0)
        self.assertEqual(len(self.accepted), 400)
        await self.all_arrived(self.sink_)
        await self.stop()
        status, out = await self.tool("stats", "--json", spool)
        self.assertEqual((status, json.loads(out)["messages"]), (0, 0))

    async def test_moved(self) -> None:
        """
        Mail that waits is exported from one service's spool and delivered by another.
        """
        await self.begin(closed=True)
        await self.send_many("moved", 50)
        spool = os.path.join(self.directory, "state", "spool")
        exported = os.path.join(self.directory, "exported")
        self.assertEqual((await self.tool("repair", "--yes", spool))[0], 1)
        await self.stop()
        self.assertEqual((await self.tool("export", exported, "--spool", spool))[0], 0)
        os.rename(spool, f"{spool}-old")
        self.assertEqual((await self.tool("import", exported, "--spool", spool))[0], 0)
        await self.open_sink()
        await self.start()
        await self.all_arrived(self.sink_)
        await self.stop()
        self.settle_accounts(self.sink_.arrived)
