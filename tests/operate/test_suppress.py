"""
Tests of :mod:`momentum_tx.operate.suppress`.
"""

import argparse
import contextlib
import io
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config import load as config_load
from momentum_tx.errors import StartupError
from momentum_tx.operate import suppress as command

ENTRY = {
    "address": "lea@shop.example",
    "tenant": "",
    "reason": "bounce",
    "code": 10,
    "since": 1700000000.0,
    "until": 0.0,
    "note": "550 5.1.1 gone",
}


class SuppressTests(SynchronousTestCase):
    """
    The command.
    """

    def ran(self, *words: str, answers: dict[str, Any]) -> tuple[int, str]:
        self.asked: list[tuple[str, dict[str, Any]]] = []

        def asked_of(config: Any, command: str, **arguments: Any) -> Any:
            self.asked.append((command, arguments))
            answer = answers[command]
            return answer(arguments) if callable(answer) else answer

        self.patch(command, "asked_of", asked_of)
        parser = argparse.ArgumentParser()
        command.arguments(parser)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            status = command.run(parser.parse_args(words), config_load.default())
        return status, out.getvalue()

    def test_show(self) -> None:
        """
        Why somebody is on the list, or that nobody is.
        """
        self.assertEqual(
            self.ran("show", "lea@shop.example", answers={"suppress show": ENTRY}),
            (0, "lea@shop.example: bounce (10) since 2023-11-14 550 5.1.1 gone\n"),
        )
        self.assertEqual(
            self.ran("show", "x@shop.example", answers={"suppress show": None}),
            (1, "x@shop.example is not on the list\n"),
        )

    def test_change(self) -> None:
        """
        Addresses come and go.
        """
        status, printed = self.ran("add", "a@b.example", "@c.example", "--note", "x", answers={"suppress add": 2})
        self.assertEqual((status, printed), (0, "2 entered\n"))
        self.assertEqual([each["address"] for each in self.asked[0][1]["entries"]], ["a@b.example", "@c.example"])
        self.assertEqual(self.ran("remove", "a@b.example", answers={"suppress remove": True}), (0, ""))
        self.assertEqual(self.ran("remove", "a@b.example", answers={"suppress remove": False})[0], 1)

    def test_export(self) -> None:
        """
        What is exported is what is imported.
        """
        pages = {"suppress list": lambda asked: {"entries": [ENTRY] if not asked["after"] else []}}
        _, as_json = self.ran("export", answers=pages)
        self.assertEqual(json.loads(as_json), ENTRY)
        _, as_csv = self.ran("export", "--csv", answers=pages)
        for text in (as_json, as_csv):
            (entry,) = command.read(iter(text.splitlines(keepends=True)))
            self.assertEqual({name: str(value) for name, value in entry.items()}, {n: str(v) for n, v in ENTRY.items()})
        self.assertEqual(self.ran("list", answers=pages)[1].split(":")[0], "lea@shop.example")

    def test_import(self) -> None:
        """
        A file of addresses goes in pieces; a line that is none is named, with what was entered before.
        """
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write("# old list\n" + "".join(f"u{number}@shop.example\n" for number in range(2500)))
        status, printed = self.ran("import", path, answers={"suppress add": lambda asked: len(asked["entries"])})
        self.assertEqual((status, printed, len(self.asked)), (0, "2500 entered\n", 3))
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"address": "a@b.example"}\n{nonsense\n')
        with self.assertRaises(StartupError) as caught:
            self.ran("import", path, answers={"suppress add": 1})
        self.assertIn("line 2: no JSON", str(caught.exception))
