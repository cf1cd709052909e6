"""
Any text at all is a configuration or is refused in words: trees drawn from seeds.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.configuration import Configuration
from momentum_tx.config.lines import spelled
from momentum_tx.config.load import parse
from momentum_tx.config.options import BY_TABLE, Option, Table
from momentum_tx.config.report import dump, explanation, toml_value
from momentum_tx.errors import ConfigError

OPTIONS = sorted({name for table in Table for name in BY_TABLE[table]})
#: Values of every kind, few of them right anywhere.
VALUES: tuple[Any, ...] = (
    *("", "5", "60/min", "1/0", "5m", "SMTP", "none", "192.0.2.1", "[::1]:25", "mx.example", "__mx__", "a:b"),
    *("smtp://a.example?pref=1", "421: 5m", "/x/: 1m", "22:00-07:00", "10.0.0.0/8", "\0", "\x7f", "é", "x" * 300),
    *(True, False, 0, 1, -1, -2, 25, 70_000, 2**63, 10**30, 0.0, -0.5, 1e300),
    *([], ["5m"], ["a", "b"], [1], [["x"]]),
)
NAMES = (
    *("a.example", "A.example.", "bücher.example", "[192.0.2.1]", "2001:db8::1", "mx1.peer.example", "no name", ""),
    *("/a/", "/A/", "/./", "/example$/", "/@x/", "/a.*/", "/(/", "//"),
)
ASKED = ("a.example", "A.EXAMPLE.", "mx1.peer.example", "[192.0.2.1]", "not..a name", "", "\0")
#: Pieces of TOML, in no order.
PIECES = (
    "[",
    "]",
    '"',
    "'",
    '"""',
    "=",
    "\n",
    ".",
    ",",
    "{",
    "}",
    "\\",
    "#",
    " ",
    "1",
    "a",
    "tls",
    "domain",
    "[global]\n",
)


class AnyTests(SynchronousTestCase):
    """
    What is thrown at the parser.
    """

    def setUp(self) -> None:
        self.good = 0

    def judge(self, text: str) -> None:
        """
        *text* is refused with a place for each mistake, or is a configuration that answers every question, and that a
        dump of it says once more.
        """
        try:
            config = parse(text, "x")
        except ConfigError as error:
            mistakes = str(error).splitlines()
            self.assertTrue(mistakes, text)
            for mistake in mistakes:
                self.assertRegex(mistake, r"^x:\d+: .", text)
            return
        self.good += 1
        again = parse(dump(config), "y")
        self.assertEqual(config.global_settings, again.global_settings, text)
        for binding in config.bindings:
            slot = again.binding_slot(binding.name)
            assert slot is not None
            self.assertEqual(self.answers(config, binding.slot), self.answers(again, slot), text)
        for option in OPTIONS:
            explanation(
                option,
                config.explain_host(option, "a.example")
                if option in BY_TABLE[Table.HOST]
                else config.explain(option, 0, "a.example"),
            )
        for warning in config.warnings:
            self.assertIsNotNone(re.match(r"x:\d+: .", warning), warning)

    def answers(self, config: Configuration, slot: int) -> list[object]:
        """
        All that may be asked about some names.
        """
        questions = (config.path, config.limits, config.host_limits)
        found: list[object] = [ask(slot, name) for ask in questions for name in ASKED]
        return found + [ask(name) for ask in (config.domain, config.host) for name in ASKED]

    def test_trees(self) -> None:
        """
        Tables in all places, with options that are mostly right.
        """
        for seed in range(300):
            self.judge(Drawing(Random(seed)).text())
        self.assertGreater(self.good, 50)

    def test_pieces(self) -> None:
        """
        Pieces of files in no order, and characters of all kinds.
        """
        for seed in range(600):
            dice = Random(seed)
            self.judge("".join(dice.choice(PIECES) for _ in range(dice.randrange(25))))
            self.judge("".join(chr(dice.choice((dice.randrange(128), dice.randrange(0xD800)))) for _ in range(10)))


class Drawing:
    """
    One file.
    """

    def __init__(self, dice: Random) -> None:
        self.dice = dice

    def text(self) -> str:
        """
        Some tables, one after the other.
        """
        dice = self.dice
        lines: list[str] = []
        for _ in range(dice.randrange(5)):
            name = NAMES[dice.randrange(6 if dice.random() < 0.6 else len(NAMES))]
            binding = dice.choice(("b", "c", "default", "e:f")[: 4 if dice.random() < 0.1 else 3])
            group = dice.choice(("g", "h"))
            path, table = dice.choice(
                (
                    (("global",), Table.GLOBAL),
                    (("domain", name), Table.DOMAIN),
                    (("host", name), Table.HOST),
                    (("binding", binding), Table.BINDING),
                    (("binding", binding, "domain", name), Table.NESTED_DOMAIN),
                    (("binding", binding, "host", name), Table.NESTED_HOST),
                    (("binding_group", group), Table.BINDING_GROUP),
                    (("binding_group", group, "host", name), Table.NESTED_HOST),
                    (("binding_group", group, "binding", binding), Table.BINDING),
                    (("binding_group", group, "binding", binding, "domain", name), Table.NESTED_DOMAIN),
                )
            )
            lines.append(f"[{spelled(path)}]")
            for _ in range(dice.randrange(4)):
                option, value = self.option(table)
                lines.append(f"{spelled((option,))} = {toml_value(value)}")
        return "\n".join(lines)

    def option(self, table: Table) -> tuple[str, Any]:
        """
        A name and a value.
        """
        dice = self.dice
        if dice.random() < 0.02:
            return dice.choice((*OPTIONS, "no_such_option", "")), dice.choice(VALUES)
        option = BY_TABLE[table][dice.choice(sorted(BY_TABLE[table]))]
        return option.name, dice.choice(VALUES) if dice.random() < 0.02 else self.right(option)

    def right(self, option: Option) -> Any:
        """
        A value of the right type and size.
        """
        dice = self.dice
        least = option.minimum or 0
        most = min(option.maximum if option.maximum is not None else 2**40, least + 5000)
        if option.choices:
            return dice.choice(option.choices)
        if bool in option.types:
            return dice.random() < 0.5
        if int in option.types:
            return dice.randint(int(least), int(most))
        if float in option.types:
            return dice.uniform(least, most)
        if "throttle" in option.name:
            return dice.choice(("", "0", "5", "60/min", "100/90s"))
        return [] if option.default is None else option.default
