"""
Any text at all is a configuration or is refused in words, and any value is taken
or refused by what its option says of itself.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.configuration import Configuration
from momentum_tx.config.lines import spelled
from momentum_tx.config.load import parse
from momentum_tx.config.options import BY_TABLE, WRONG, Option, Table
from momentum_tx.config.report import dump, explanation, toml_value
from momentum_tx.errors import ConfigError

OPTIONS = sorted({name for table in Table for name in BY_TABLE[table]})
#: Options that are numbers with a bound.
NUMBERS = [
    option
    for table in Table
    for option in BY_TABLE[table].values()
    if (int in option.types or float in option.types) and (option.minimum, option.maximum) != (None, None)
]
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

    def judge(self, text: str) -> bool:
        """
        *text* is refused with a place for each mistake, or is a configuration that answers every question, and that a
        dump of it says once more.

        :returns: whether it is a configuration.
        """
        try:
            config = parse(text, "x")
        except ConfigError as error:
            mistakes = str(error).splitlines()
            self.assertTrue(mistakes, text)
            for mistake in mistakes:
                self.assertRegex(mistake, r"^x:\d+: .", text)
            return False
        again = parse(dump(config), "y")
        self.assertEqual(config.global_settings, again.global_settings, text)
        for binding in config.bindings:
            slot = again.binding_slot(binding.name)
            assert slot is not None
            self.assertEqual(self.answers(config, binding.slot), self.answers(again, slot), text)
        for option in OPTIONS:
            if option in BY_TABLE[Table.DKIM_SELECTOR]:
                continue
            explanation(
                option,
                config.explain_host(option, "a.example")
                if option in BY_TABLE[Table.HOST]
                else config.explain(option, 0, "a.example"),
            )
        for warning in config.warnings:
            self.assertIsNotNone(re.match(r"x:\d+: .", warning), warning)
        return True

    def answers(self, config: Configuration, slot: int) -> list[object]:
        """
        All that may be asked about some names.
        """
        questions = (config.path, config.limits, config.host_limits)
        found: list[object] = [ask(slot, name) for ask in questions for name in ASKED]
        single: tuple[Any, ...] = (config.domain, config.host, config.signers.signatures)
        return found + [ask(name) for ask in single for name in ASKED]

    def test_trees(self) -> None:
        """
        Tables in all places, with options that are mostly right.
        """
        good = sum(self.judge(Drawing(Random(seed)).text()) for seed in range(100))
        self.assertGreater(good, 15)

    @settings(derandomize=True, deadline=None, max_examples=200)
    @given(st.randoms(use_true_random=False))
    def test_small_trees(self, dice: Random) -> None:
        """
        The same, drawn by somebody who looks for the smallest one that is wrong.
        """
        self.judge(Drawing(dice).text())

    @settings(derandomize=True, deadline=None, max_examples=300)
    @given(st.lists(st.sampled_from(PIECES), max_size=25))
    def test_pieces(self, pieces: list[str]) -> None:
        """
        Pieces of files in no order.
        """
        self.judge("".join(pieces))

    @settings(derandomize=True, deadline=None, max_examples=300)
    @given(st.text(max_size=40))
    def test_texts(self, text: str) -> None:
        """
        Characters of all kinds.
        """
        self.judge(text)


#: What TOML can say, of any kind.
ANYTHING = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([value for value in VALUES if isinstance(value, str)])
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


class ValueTests(SynchronousTestCase):
    """
    One value of one option.
    """

    @settings(derandomize=True, deadline=None, max_examples=600)
    @given(st.sampled_from(OPTIONS), ANYTHING)
    def test_taken_or_refused(self, name: str, value: Any) -> None:
        """
        Whatever the value, the option takes it, with a value of one of its types, or
        says in words why not; never both, never anything else.
        """
        option = next(BY_TABLE[table][name] for table in Table if name in BY_TABLE[table])
        reasons: list[str] = []
        settled = option.read(value, reasons.append)
        self.assertEqual(settled is WRONG, bool(reasons))
        if settled is not WRONG:
            self.assertIn(type(settled), option.types)

    @settings(derandomize=True, deadline=None, max_examples=600)
    @given(st.data())
    def test_ranges(self, data: st.DataObject) -> None:
        """
        A number is taken if and only if it lies between what the option names as
        the least and the most.
        """
        option = data.draw(st.sampled_from(NUMBERS))
        least = option.minimum
        edge = data.draw(st.sampled_from([bound for bound in (least, option.maximum) if bound is not None]))
        value: Any = edge + data.draw(st.sampled_from((-1, 0, 1)) if int in option.types else st.floats(-1.0, 1.0))
        if int in option.types:
            value = int(value)
        inside = (least is None or value >= least) and (option.maximum is None or value <= option.maximum)
        reasons: list[str] = []
        settled = option.read(value, reasons.append)
        self.assertEqual(settled is not WRONG, inside, (option.name, value, reasons))


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
                    (("dkim", name), Table.DKIM),
                    (("dkim", name, "selector", binding), Table.DKIM_SELECTOR),
                    (("binding_group", group, "host", name), Table.NESTED_HOST),
                    (("binding_group", group, "binding", binding), Table.BINDING),
                    (("binding_group", group, "binding", binding, "domain", name), Table.NESTED_DOMAIN),
                )
            )
            lines.append(f"[{spelled(path)}]")
            for _ in range(dice.randrange(4)):
                option, value = self.option(table)
                lines.append(f"{spelled((option,))} = {toml_value(value)}")
            if table is Table.DKIM_SELECTOR:
                lines.append("keyfile = 'key.pem'")
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
