"""
Tests of :mod:`momentum_tx.operate.classify`.
"""

import argparse
import contextlib
import io
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config import load as config_load
from momentum_tx.errors import StartupError
from momentum_tx.operate import classify

from ..worlds import WorldCase


def ran(*words: str, config: str = "") -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    classify.arguments(parser)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = classify.run(parser.parse_args(words), config_load.parse(config, "x.toml"))
    return status, out.getvalue()


class ClassifyTests(SynchronousTestCase):
    """
    The command.
    """

    def test_known(self) -> None:
        """
        Code, name, kind and rule; as JSON too.
        """
        self.assertEqual(
            ran("550", "5.1.1", "User unknown"),
            (0, "10 Invalid Recipient (Hard): there is no such recipient\nrule: no-user\n"),
        )
        status, printed = ran("--json", "550 5.1.1 User unknown")
        self.assertEqual((status, json.loads(printed)["symbol"]), (0, "BC_INVALID_RECIPIENT"))

    def test_not_known(self) -> None:
        """
        Exit status 1 where no rule knows it.
        """
        status, printed = ran("554 xyzzy")
        self.assertEqual((status, printed.splitlines()[-1]), (1, "no rule knows it"))

    def test_wrong_file(self) -> None:
        """
        A file of rules that is wrong is named.
        """
        with self.assertRaises(StartupError) as caught:
            ran("550", config='[global]\nbounce_classifier_overrides = ["/nonexistent/rules"]\n')
        self.assertIn("/nonexistent/rules", str(caught.exception))

    def test_unknown(self) -> None:
        """
        What a running service has counted.
        """
        shape = {"shape": "554 <n>", "count": 3, "sample": "554 1", "domain": "a.example", "last": 1.0}

        def asked(config: Any, command: str) -> Any:
            self.assertEqual(command, "classify unknown")
            return {"total": 4, "shapes": [shape]}

        self.patch(classify, "asked_of", asked)
        status, printed = ran("unknown")
        self.assertEqual(status, 0)
        self.assertIn("4 failures that no rule knows\n      3  554 <n>\n", printed)
        self.assertEqual(json.loads(ran("--json", "unknown")[1])["total"], 4)


class UnknownTests(WorldCase):
    """
    The answer of the service.
    """

    def test_answer(self) -> None:
        """
        By shape, as JSON can say it.
        """
        world = self.world()
        world.exchanger("example.com").refuse["bob@example.com"] = b"554 xyzzy"
        self.accept(world)
        world.advance(10)
        answer = json.loads(json.dumps(world.service.logs.classification.told()))
        self.assertEqual((answer["total"], answer["shapes"][0]["sample"]), (1, "554 xyzzy"))
