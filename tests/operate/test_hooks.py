"""
Tests of :mod:`momentum_tx.operate.hooks`.
"""

import argparse
import contextlib
import io
import json
from typing import Any

from momentum_tx.config import load as config_load
from momentum_tx.control.client import NotRunning
from momentum_tx.errors import ConfigError
from momentum_tx.operate import hooks
from momentum_tx.testing.local import LocalClient

from ..worlds import NoReports, WorldCase


class HooksListTests(WorldCase):
    """
    The command.
    """

    def ran(self, *words: str, config: str = "", answer: Any = None) -> str:
        def ask(state_dir: str, command: str) -> Any:
            self.assertEqual(command, "hooks list")
            if answer is None:
                raise NotRunning("nobody")
            return answer

        self.patch(hooks, "ask", ask)
        parser = argparse.ArgumentParser()
        hooks.arguments(parser)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(hooks.run(parser.parse_args(["list", *words]), config_load.parse(config, "x.toml")), 0)
        return out.getvalue()

    def test_running(self) -> None:
        """
        Of a running service the numbers are told, and what is wrong.
        """
        world = self.world(providers=[NoReports()])
        world.exchanger("example.com").refuse["bob@example.com"] = b"550 5.1.1 gone"
        self.accept(world)
        world.advance(30)
        (port,) = world.host.local.values()
        client = LocalClient(port)
        client.write(b'{"command": "hooks list"}\n')
        answer = json.loads(client.read())["result"]
        client.close()
        printed = self.ran(answer=answer)
        self.assertIn("generate_bounces (override)\n    tests.worlds.NoReports: ", printed)
        self.assertRegex(printed, r"    tests\.worlds\.NoReports: 1 calls, 0\.000 s, at most 0\.0 ms, 0 failed, 0 slow")
        self.assertNotIn("connection_goal", printed)
        self.assertIn("connection_goal (fold)", self.ran("--all", answer=answer))
        told = json.loads(self.ran("--json", answer=answer))
        self.assertTrue(told["running"])

    def test_not_running(self) -> None:
        """
        Of none what the configuration names is told, and what of it is wrong.
        """
        printed = self.ran(config='[global]\nhooks = ["tests.worlds:NoReports"]\n')
        self.assertIn("no service runs", printed)
        self.assertIn("generate_bounces (override)\n    tests.worlds.NoReports\n", printed)
        self.assertEqual(json.loads(self.ran("--json")), {"running": False, "hooks": []})
        with self.assertRaises(ConfigError):
            self.ran(config='[global]\nhook_entry_points = ["nobody"]\n')
