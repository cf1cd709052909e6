"""
The examples, run as they are.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from momentum_tx.config.load import load, parse
from momentum_tx.hooks.outbound import OutboundHooks
from momentum_tx.interfaces.hooks import IConnectionGoal, ILogPermanentFailureV1

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
#: The page that tells of the policy.
POLICY = ROOT / "doc" / "howto" / "test-a-policy.md"


class _Record:
    """
    All that the hook reads of a domain record.
    """

    def __init__(self, deliveries: int) -> None:
        self.deliveries = deliveries


class ExampleTests(TestCase):
    """
    Every example.
    """

    async def run_example(self, *arguments: str) -> tuple[bytes, bytes, int]:
        """
        Output, errors and exit status of Python with these arguments, in an empty directory.
        """
        directory = self.mktemp()
        os.mkdir(directory)
        path = os.pathsep.join((str(ROOT), str(EXAMPLES)))
        return await getProcessOutputAndValue(
            sys.executable, arguments, dict(os.environ, PYTHONPATH=path), path=directory
        )

    async def test_embed(self) -> None:
        """
        The embedding prints the outcome of its message, and nothing goes wrong.
        """
        out, err, status = await self.run_example(str(EXAMPLES / "embed.py"))
        self.assertEqual((out, err, status), (b"you@recipient.example delivered 250 2.0.0 Taken\n", b"", 0))

    async def test_policy(self) -> None:
        """
        The policy prints what its page says, whatever process it runs in, and nothing goes wrong.
        """
        expected = POLICY.read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0]
        self.assertIn("messages received", expected)
        out, err, status = await self.run_example(str(EXAMPLES / "policy.py"))
        self.assertEqual((out.decode(), err, status), (expected, b"", 0))

    def test_configuration(self) -> None:
        """
        The configuration is good, and means what its comments say.
        """
        config = load(str(EXAMPLES / "momentum-tx.toml"))
        self.assertEqual(config.domain("recipient.example").routes, ("127.0.0.1:2626",))
        self.assertEqual([binding.name for binding in config.bindings], ["default", "news1", "news2"])
        news = config.binding_slot("news1")
        assert news is not None
        self.assertEqual(config.path(news, "else.example").max_outbound_connections, 5)
        self.assertEqual(config.path(0, "else.example").max_outbound_connections, 20)

    def test_configuration_comments(self) -> None:
        """
        What is commented out is good as well.
        """
        lines = (EXAMPLES / "momentum-tx.toml").read_text(encoding="utf-8").splitlines()
        settings = [line.removeprefix("# ") if " = " in line else line for line in lines]
        config = parse("\n".join(settings))
        self.assertEqual(config.bindings[0].bind_address, "192.0.2.10")
        self.assertEqual(config.global_settings.hooks, ("hook_module:ListCare",))

    async def test_hook_loads(self) -> None:
        """
        The hook module is loaded by the configuration that its text shows.
        """
        path = os.path.abspath(self.mktemp())
        Path(path).write_text('[global]\nsmtp_listen = []\nhooks = ["hook_module:ListCare"]\n', encoding="utf-8")
        code = "import sys; from momentum_tx.cli import main; sys.exit(main())"
        out, err, status = await self.run_example("-c", code, "check", "--config", path)
        self.assertEqual((out, err, status), (f"momentum-tx: {path} is good\n".encode(), b"", 0))

    def test_hook(self) -> None:
        """
        A domain that does not know us gets few connections, whatever the built-in goal.
        """
        provider: Any = runpy.run_path(str(EXAMPLES / "hook_module.py"))["ListCare"]()
        for contract in (IConnectionGoal, ILogPermanentFailureV1):
            verifyObject(contract, provider)
        hooks = OutboundHooks()
        hooks.register_last(provider)
        for deliveries, expected in ((0, 2), (99, 2), (100, 9)):
            dr: Any = _Record(deliveries)
            goal = hooks.connection_goal.fold(
                9,
                lambda hook, goal, dr=dr: hook.connection_goal(dr, 0, 40, goal),  # type: ignore[misc]
            )
            self.assertEqual(goal, expected)
