"""
The control socket of a real process, asked by the real command.
"""

import json
import os
import stat
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred, inlineCallbacks
from twisted.trial.unittest import TestCase

from .running import Program, Twistd, free_port, until


class ControlTests(TestCase):
    """
    ``twistd momentum-tx`` and ``momentum-tx control``.
    """

    timeout = 120

    def setUp(self) -> None:
        # A socket's path is short, and a test's own directory may not be.
        directory = tempfile.TemporaryDirectory(prefix="mtx")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.config = self.directory / "x.toml"
        self.socket = self.directory / "state" / "control"
        self.port = free_port()
        self.config.write_text(
            f'[global]\nstate_dir = "{self.directory / "state"}"\nhostname = "mail.sender.example"\n'
            f'smtp_listen = ["tcp:{self.port}:interface=127.0.0.1"]\n'
        )
        self.socket.parent.mkdir()

    async def start(self) -> Twistd:
        """
        A service that takes mail.
        """
        service = Twistd(str(self.directory), "--config", str(self.config))
        self.addCleanup(lambda: ensureDeferred(service.kill()))
        await service.ready(self.port)
        return service

    async def ask(self, *words: str) -> Program:
        """
        ``momentum-tx control``, when it has ended.
        """
        start = "import sys; from momentum_tx.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", start, "control", "--config", str(self.config), *words]
        program = Program(command, str(self.directory))
        await program.ended
        return program

    @inlineCallbacks
    def test_life(self) -> Generator[Any, Any, None]:
        """
        Only its own user may open the socket; what a killed process leaves does not keep the next
        one from listening; a service that has ended is not there.
        """

        async def story() -> None:
            service = await self.start()
            asked = await self.ask("--json", "status")
            self.assertEqual((asked.status, asked.err), (0, b""))
            status = json.loads(asked.out)
            self.assertEqual((status["active"], status["configuration"]), (0, str(self.config)))
            self.assertEqual(stat.S_IMODE(os.stat(self.socket).st_mode), 0o600)
            await service.kill()
            self.assertTrue(self.socket.exists())
            service = await self.start()
            self.assertEqual((await self.ask("logs", "reopen")).out, b"done\n")
            service.signal("TERM")
            await service.ended
            self.assertFalse(self.socket.exists())
            refused = await self.ask("status")
            self.assertEqual(refused.status, 1)
            self.assertIn(b"no service runs there", refused.err)

        yield ensureDeferred(story())

    @inlineCallbacks
    def test_no_socket(self) -> Generator[Any, Any, None]:
        """
        A file that is no socket is left alone; the service runs without, and says so.
        """

        async def story() -> None:
            self.socket.write_text("precious")
            service = await self.start()
            await until(lambda: b"nobody can control the service" in service.out, "the warning")
            self.assertEqual(self.socket.read_text(), "precious")

        yield ensureDeferred(story())
