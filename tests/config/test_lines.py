"""
Tests for the lines of keys.
"""

import tomllib
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.lines import Lines, spelled

TEXT = '''\
# a comment with [brackets] and "quotes"
top = 1
[global]  # trailing
a = "has # and [ and ] and \\" inside"
b = [
  1, # one ]
  "]", 'two ['
]
c.d.e = 5
'quo.ted' = """
[not.a.table]
x = 1
ends with quotes"""""
f = \'\'\'
[nor.this] "\'\'\'
g = { h = 1, i = { j = "}" } }
[ spaced . "in.side" ]
k=1979-05-27T07:32:00Z
[domain.'/\\.x$/']
"\\u0061bc" = true
[[list]]
m = 1
[deep.er.still]
[deep]
n = 1'''

EXPECTED = {
    ("top",): 2,
    ("global",): 3,
    ("global", "a"): 4,
    ("global", "b"): 5,
    ("global", "c"): 9,
    ("global", "c", "d"): 9,
    ("global", "c", "d", "e"): 9,
    ("global", "quo.ted"): 10,
    ("global", "f"): 14,
    ("global", "g"): 16,
    ("spaced",): 17,
    ("spaced", "in.side"): 17,
    ("spaced", "in.side", "k"): 18,
    ("domain", "/\\.x$/"): 19,
    ("domain", "/\\.x$/", "abc"): 20,
    ("list",): 21,
    ("list", "m"): 22,
    ("deep", "er"): 23,
    ("deep", "er", "still"): 23,
    ("deep",): 24,
    ("deep", "n"): 25,
}


class LinesTests(SynchronousTestCase):
    """
    A mistake is shown at the line where it was made.
    """

    def test_every_kind_of_statement(self) -> None:
        """
        Tables, dotted and quoted keys, and whatever follows strings and arrays of several lines
        have the line on which their key stands.
        """
        tomllib.loads(TEXT)
        lines = Lines(TEXT)
        for path, line in EXPECTED.items():
            self.assertEqual(lines.line(path), line, path)

    def test_nearest_parent(self) -> None:
        """
        A key inside a value, or one nobody wrote, has the line of the nearest key around it;
        where there is none, the first line.
        """
        lines = Lines(TEXT)
        self.assertEqual(lines.line(("global", "g", "i", "j")), 16)
        self.assertEqual(lines.line(("global", "missing")), 3)
        self.assertEqual(lines.line(("nowhere", "at", "all")), 1)
        self.assertEqual(Lines("").line(("global",)), 1)

    def test_all_keys_found(self) -> None:
        """
        Every key that the parser finds outside inline values is known to the index.
        """
        found: set[tuple[str, ...]] = set()

        def walk(path: tuple[str, ...], value: Any) -> None:
            if path:
                found.add(path)
            if isinstance(value, dict) and path != ("global", "g"):
                for key, inner in value.items():
                    walk((*path, key), inner)

        walk((), tomllib.loads(TEXT))
        self.assertLessEqual(found, set(EXPECTED) | {("domain",)})

    def test_text_that_is_not_toml(self) -> None:
        """
        A text nobody should have passed ends the scan instead of the process.
        """
        for text in ("= 1", "a", "[", "[[", '"', "a = ]]]\n", "a = '''", "]", "a.=1", "\x00"):
            self.assertEqual(Lines(text).line(("zz",)), 1)


class SpelledTests(SynchronousTestCase):
    """
    A key path in a mistake can be copied back into the file.
    """

    def test_round_trip(self) -> None:
        """
        What is printed parses to the same path.
        """
        for path in (
            ("global", "retry_interval"),
            ("domain", "example.com"),
            ("domain", "/\\.example\\.com$/"),
            ("domain", "/it's \\d/"),
            ("a", "", 'q"uote', "new\nline", "tab\t"),
        ):
            value: Any = tomllib.loads(f"{spelled(path)} = 1")
            for part in path:
                value = value[part]
            self.assertEqual(value, 1, path)

    def test_regex_stays_readable(self) -> None:
        """
        A regex is shown in single quotes, as it is written.
        """
        self.assertEqual(spelled(("domain", "/\\.x$/")), "domain.'/\\.x$/'")
