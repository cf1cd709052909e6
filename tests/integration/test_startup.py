"""
What an operator sees when the service cannot start: one line that says where
and why, an exit status, and no traceback.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import TestCase

from .running import Twistd, free_port, mainlog, until


class StartTests(TestCase):
    """
    Every kind of mistake, in the foreground and in the background.
    """

    timeout = 45

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="momentum-tx-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def configure(self, text: str, name: str = "momentum-tx") -> str:
        """
        Write a configuration of which the first three lines are good.
        """
        path = os.path.join(self.directory, f"{name}.toml")
        Path(path).write_text(
            f'[global]\nstate_dir = "{self.directory}/state"\n'
            f'smtp_listen = ["tcp:{free_port()}:interface=127.0.0.1"]\n{text}'
        )
        return path

    def refused(self, twistd: Twistd, *words: str) -> None:
        """
        It must have ended with status 1 and one line with all *words*.
        """
        said = twistd.err.decode()
        self.assertEqual(twistd.status, 1, (said, twistd.out))
        lines = said.splitlines()
        self.assertEqual(len(lines), 1, said)
        self.assertTrue(lines[0].startswith("momentum-tx: "), said)
        for word in words:
            self.assertIn(word, lines[0])
        self.assertNotIn(b"Traceback", twistd.out)

    async def test_mistakes(self) -> None:
        """
        Each mistake has its line: an unknown key, an address that is none, a
        port that is none.
        """
        cases = {
            "unknown": ("retry_intervall = 5\n", ("unknown.toml:4", "retry_intervall", "retry_interval")),
            "address": (
                '[binding.b1]\nbind_address = "192.0.2.1.1"\n',
                ("address.toml:5", "binding.b1.bind_address", "192.0.2.1.1"),
            ),
            "endpoint": ("", ("endpoint.toml:2", "nonsense")),
        }
        started = {}
        for name, (text, words) in cases.items():
            path = self.configure(text, name)
            if name == "endpoint":
                Path(path).write_text('[global]\nsmtp_listen = ["nonsense"]\nstate_dir = "state-e"\n')
            started[name] = (Twistd(self.directory, "--config", path), words)
        for twistd, words in started.values():
            self.addCleanup(twistd.kill)
            await twistd.ended
            self.refused(twistd, *words)

    async def test_unplumbed(self) -> None:
        """
        An address of a binding that this machine has not is a warning when the
        configuration is checked, and a line in the log when the service runs.
        """
        port = free_port()
        path = self.configure("")
        Path(path).write_text(
            f'[global]\nstate_dir = "{self.directory}/state"\nsmtp_listen = ["tcp:{port}:interface=127.0.0.1"]\n'
            '[binding.b1]\nbind_address = "192.0.2.1"\n'
        )
        checked = Twistd(self.directory, "--config", path, "--check")
        self.addCleanup(checked.kill)
        self.assertEqual(await checked.ended, 0, checked.err)
        said = checked.err.decode()
        self.assertIn(f"momentum-tx: warning: {path}:5: binding.b1.bind_address: 192.0.2.1 is not configured", said)
        self.assertEqual(len(said.splitlines()), 1, said)
        running = Twistd(self.directory, "--config", path)
        self.addCleanup(running.kill)
        await running.ready(port)
        running.signal("TERM")
        self.assertEqual(await running.ended, 0)
        self.assertIn(b"192.0.2.1, source of binding b1, is not configured on this host", running.out)

    async def test_machine(self) -> None:
        """
        What is in the way on this machine: a port in use, a state directory
        that cannot be written, or that a running service has.
        """
        port = free_port()
        path = self.configure("")
        Path(path).write_text(
            f'[global]\nstate_dir = "{self.directory}/state"\nsmtp_listen = ["tcp:{port}:interface=127.0.0.1"]\n'
        )
        running = Twistd(self.directory, "--config", path)
        self.addCleanup(running.kill)
        await running.ready(port)

        in_use = self.configure("", "in_use")
        Path(in_use).write_text(
            f'[global]\nstate_dir = "{self.directory}/other"\nsmtp_listen = ["tcp:{port}:interface=127.0.0.1"]\n'
        )
        second = self.configure("", "second")
        unwritable = self.configure("", "unwritable")
        Path(self.directory, "file").write_text("")
        Path(unwritable).write_text(f'[global]\nstate_dir = "{self.directory}/file/state"\nsmtp_listen = []\n')
        spool = self.configure("", "spool")
        os.makedirs(f"{self.directory}/half/log")
        Path(self.directory, "half", "spool").write_text("")
        Path(spool).write_text(f'[global]\nstate_dir = "{self.directory}/half"\nsmtp_listen = []\n')
        cases = {
            in_use: ("in_use.toml:3", str(port), "in use"),
            second: ("second.toml:2", f"{self.directory}/state/spool", "another"),
            unwritable: ("unwritable.toml:2", "file/state"),
            spool: ("spool.toml:2", f"{self.directory}/half/spool"),
        }
        started = [(Twistd(self.directory, "--config", path), words) for path, words in cases.items()]
        for twistd, words in started:
            self.addCleanup(twistd.kill)
            await twistd.ended
            self.refused(twistd, *words)
        self.assertIsNone(running.status)
        running.signal("TERM")
        self.assertEqual(await running.ended, 0)

    async def test_check(self) -> None:
        """
        ``--check`` says that all is well, with status 0, and leaves nothing
        running; or it says what is not, with status 1.
        """
        good = Twistd(self.directory, "--config", self.configure(""), "--check")
        bad = Twistd(self.directory, "--config", self.configure("retries = 3\n", "bad"), "--check")
        for twistd in (good, bad):
            self.addCleanup(twistd.kill)
            await twistd.ended
        self.assertEqual((good.status, good.err), (0, b""), good.out)
        self.assertEqual(len(good.out.splitlines()), 1, good.out)
        self.assertIn(b"momentum-tx.toml is good", good.out)
        self.refused(bad, "bad.toml:4", "retries")

    async def test_daemon(self) -> None:
        """
        In the background too the status of the command says whether the service
        runs; the reason is on stderr or in its log.
        """
        port = free_port()
        path = self.configure("")
        Path(path).write_text(
            f'[global]\nstate_dir = "{self.directory}/state"\nsmtp_listen = ["tcp:{port}:interface=127.0.0.1"]\n'
        )
        first = Twistd(self.directory, "--config", path, daemon=True)
        self.assertEqual(await first.ended, 0, first.err)
        pid = int(Path(self.directory, "twistd.pid").read_text())
        try:
            for name in "bc":
                os.makedirs(os.path.join(self.directory, name))
            second = Twistd(f"{self.directory}/b", "--config", path, daemon=True)
            bad = Twistd(f"{self.directory}/c", "--config", self.configure("x = 1\n", "bad"), daemon=True)
            self.assertEqual((await second.ended, await bad.ended), (1, 1))
            self.assertIn(b"bad.toml:4", bad.err)
            self.assertIn(b"momentum-tx.toml:2: global.state_dir", second.err)
            log = Path(self.directory, "b", "twistd.log").read_text()
            self.assertIn(f"{self.directory}/state/spool", log)
            self.assertNotIn("Traceback", log)
            self.assertFalse(Path(self.directory, "b", "twistd.pid").exists())
        finally:
            os.kill(pid, 15)
            await until(lambda: not Path(self.directory, "twistd.pid").exists(), "the end of the service")
        self.assertEqual(mainlog(self.directory), [])
