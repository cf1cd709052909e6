"""
Tests of :mod:`momentum_tx.operate.control`.
"""

import argparse
import contextlib
import io
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config import load as config_load
from momentum_tx.errors import StartupError
from momentum_tx.operate import control
from momentum_tx.testing.local import LocalClient

from ..worlds import WorldCase


class ServiceCommandsTests(WorldCase):
    """
    A whole service, asked at its socket.
    """

    def ask(self, command: str, **arguments: Any) -> Any:
        (port,) = self.running.host.local.values()
        client = LocalClient(port)
        client.write(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
        found = json.loads(client.read())
        client.close()
        if not found["ok"]:
            raise ValueError(found["error"])
        return found["result"]

    def setUp(self) -> None:
        self.running = self.world()

    def test_status(self) -> None:
        """
        What waits and what was done, in numbers.
        """
        mx = self.running.exchanger("example.com")
        mx.refuse["max@example.com"] = b"450 4.2.1 later"
        self.running.send("news@sender.example", ["lea@example.com", "max@example.com"], self.running.message())
        self.running.advance(10)
        status = self.ask("status")
        self.assertEqual(
            [status[name] for name in ("domains", "active", "delayed", "held", "delivered", "transient", "permanent")],
            [1, 0, 1, 0, 1, 1, 0],
        )
        self.assertGreaterEqual(status["uptime"], 10)

    def test_flush(self) -> None:
        """
        Delayed mail is tried at once when somebody asks for it.
        """
        mx = self.running.exchanger("example.com")
        mx.refuse["lea@example.com"] = b"450 4.2.1 later"
        self.running.send("news@sender.example", ["lea@example.com"], self.running.message())
        self.running.advance(10)
        mx.refuse.clear()
        self.assertEqual(self.ask("flush", domain="example.com"), 1)
        self.running.advance(10)
        self.assertEqual(len(mx.ledger), 1)

    def test_logs(self) -> None:
        """
        The logs are opened anew.
        """
        before = self.running.log.reopened
        self.assertIsNone(self.ask("logs reopen"))
        self.assertEqual(self.running.log.reopened, before + 1)

    def test_help(self) -> None:
        """
        Every command says what it does.
        """
        for name, text in self.ask("help").items():
            self.assertTrue(text, name)

    def test_refused(self) -> None:
        """
        A mistake is answered in words.
        """
        with self.assertRaises(ValueError) as caught:
            self.ask("tls policy", domain="example.com", binding="nobody")
        self.assertIn("there is no binding nobody", str(caught.exception))

    def test_stopped(self) -> None:
        """
        After the stop nobody listens any more.
        """
        self.running.stop()
        self.assertEqual(self.running.host.local, {})


class CommandTests(SynchronousTestCase):
    """
    The command line.
    """

    def test_nobody(self) -> None:
        """
        Where no service runs, that is said, with the path.
        """
        parser = argparse.ArgumentParser()
        control.arguments(parser)
        config = config_load.parse(f'[global]\nstate_dir = "{self.mktemp()}"\n', "x.toml")
        with self.assertRaises(StartupError) as caught:
            control.run(parser.parse_args(["logs", "reopen"]), config)
        self.assertIn("no service runs there", str(caught.exception))

    def test_asked(self) -> None:
        """
        Words make the command, NAME=VALUE its arguments; the answer is printed for people, or as JSON.
        """
        asked = []

        def ask(state_dir: str, command: str, **arguments: Any) -> Any:
            asked.append((command, arguments))
            return {"active": 3, "source": "x.toml"}

        self.patch(control, "ask", ask)
        parser = argparse.ArgumentParser()
        control.arguments(parser)
        config = config_load.default()
        printed = []
        for words in (["held", "list", "limit=5", "domain=example.com"], ["--json", "status"], []):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertEqual(control.run(parser.parse_args(words), config), 0)
            printed.append(out.getvalue())
        self.assertEqual(asked, [("held list", {"limit": 5, "domain": "example.com"}), ("status", {}), ("help", {})])
        self.assertEqual(printed[0], "active  3\nsource  x.toml\n")
        self.assertEqual(json.loads(printed[1]), {"active": 3, "source": "x.toml"})

    def test_shown(self) -> None:
        """
        Whatever is answered is shown.
        """
        self.assertEqual(control.shown(None), "done\n")
        self.assertEqual(control.shown(7), "7\n")
        self.assertEqual(control.shown([{"id": "1", "size": 5}, "a"]), "id=1  size=5\na\n")
