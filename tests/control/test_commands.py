"""
Tests of :mod:`momentum_tx.control.commands`.
"""

import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.control import commands as module
from momentum_tx.control.commands import ControlCommands, Refused


@dataclass(frozen=True, slots=True)
class Thing:
    """
    A value JSON does not know.
    """

    name: bytes
    parts: tuple[int, ...]


def double(number: int) -> int:
    """
    Twice the number.

    More is not said in help.
    """
    return 2 * number


class ControlCommandsTests(SynchronousTestCase):
    """
    One request, one answer.
    """

    def setUp(self) -> None:
        self.commands = ControlCommands()
        self.commands.add("double", double)

    def ask(self, request: Any) -> dict[str, Any]:
        line = request if isinstance(request, bytes) else json.dumps(request).encode()
        answer = self.successResultOf(self.commands.answer(line))
        self.assertNotIn(b"\n", answer)
        found = json.loads(answer)
        assert isinstance(found, dict)
        return found

    def test_carried_out(self) -> None:
        """
        The arguments go by name, the result comes back.
        """
        self.assertEqual(self.ask({"command": "double", "arguments": {"number": 21}}), {"ok": True, "result": 42})

    def test_help(self) -> None:
        """
        Help names every command, with the first line of its docstring.
        """
        self.assertEqual(
            self.ask({"command": "help"})["result"], {"double": "Twice the number.", "help": "What may be asked."}
        )

    def test_waiting(self) -> None:
        """
        A command may take its time.
        """
        coming: Deferred[list[Thing]] = Deferred()
        self.commands.add("things", lambda: coming)
        answer = self.commands.answer(b'{"command": "things"}')
        self.assertNoResult(answer)
        coming.callback([Thing(b"caf\xe9", (1, 2))])
        self.assertEqual(
            json.loads(self.successResultOf(answer)),
            {"ok": True, "result": [{"name": "caf\\xe9", "parts": [1, 2]}]},
        )

    def test_refused(self) -> None:
        """
        Whatever cannot be understood or done is answered in words, and nothing raises.
        """

        def cannot() -> None:
            raise Refused("not today")

        self.commands.add("cannot", cannot)
        for request, words in (
            (b"\xff", "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b"[]", "no object"),
            (b'{"command": 7}', "no object"),
            ({"command": "triple"}, "there is no command 'triple'"),
            ({"command": "double", "arguments": [1]}, "no object"),
            ({"command": "double"}, "missing a required argument: 'number'"),
            ({"command": "double", "arguments": {"nummer": 1}}, "missing a required argument"),
            ({"command": "cannot"}, "not today"),
        ):
            answer = self.ask(request)
            self.assertFalse(answer["ok"])
            self.assertIn(words, answer["error"])

    def test_raising(self) -> None:
        """
        A fault of ours is logged, and whoever asked is told that there is one.
        """
        self.commands.add("broken", lambda: dict[str, int]()["key"])
        answer = self.ask({"command": "broken"})
        self.assertIn("KeyError", answer["error"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_unsayable(self) -> None:
        """
        An answer that JSON cannot say, or that is too long, is an error.
        """
        self.commands.add("object", object)
        self.assertIn("nobody can be shown", self.ask({"command": "object"})["error"])
        self.patch(module, "LONGEST_ANSWER", 10)
        self.assertIn("too long", self.ask({"command": "help"})["error"])

    def test_names(self) -> None:
        """
        A name is taken once.
        """
        self.assertRaises(ValueError, self.commands.add, "double", double)
