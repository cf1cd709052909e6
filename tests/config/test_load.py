"""
Tests for the door: files, texts, syntax, reloads.
"""

import os

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config import load
from momentum_tx.errors import ConfigError, StartupError


class LoadTests(SynchronousTestCase):
    """
    A file becomes a configuration, or nothing of it counts.
    """

    def write(self, content: bytes) -> str:
        """
        A file with *content*; its path.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(content)
        return path

    def refusal(self, content: bytes) -> tuple[str, tuple[str, ...]]:
        """
        Path of a file with *content*, and why it is refused.
        """
        path = self.write(content)
        error = self.assertRaises(ConfigError, load.load, path)
        self.assertIsInstance(error, StartupError)
        return path, error.mistakes

    def test_file(self) -> None:
        """
        A good file counts, with CR LF line ends and a byte order mark too.
        """
        for content in (b"[global]\nuse_ipv6 = true\n", b"\xef\xbb\xbf[global]\r\nuse_ipv6 = true\r\n"):
            path = self.write(content)
            config = load.load(path)
            self.assertTrue(config.global_settings.use_ipv6)
            self.assertEqual(config.where("global", "use_ipv6"), f"{path}:2")
        self.assertEqual(load.load(path, 7).generation, 7)

    def test_mistakes(self) -> None:
        """
        Each mistake is a line of its own, with the path of the file.
        """
        path, mistakes = self.refusal(b"[global]\r\nx = 1\r\ny = 2\r\n")
        self.assertEqual(mistakes, (f"{path}:2: global.x: unknown option", f"{path}:3: global.y: unknown option"))

    def test_secondary_of_the_same_family(self) -> None:
        """
        A second address is of the other family, wherever the first was written.
        """
        path, mistakes = self.refusal(
            b'[global]\nbind_address = "192.0.2.1"\n[binding.b]\nbind_address_secondary = "192.0.2.2"\n'
        )
        self.assertEqual(len(mistakes), 1)
        self.assertTrue(mistakes[0].startswith(f"{path}:4: binding.b.bind_address_secondary: 192.0.2.2 is of the same"))
        path, mistakes = self.refusal(
            b'[binding_group.g.binding.b]\nbind_address = "::1"\nbind_address_secondary = "::2"\n'
        )
        self.assertTrue(mistakes[0].startswith(f"{path}:3: "), mistakes)
        for good in (b"2001:db8::1", b""):
            load.load(self.write(b'[binding.b]\nbind_address = "192.0.2.1"\nbind_address_secondary = "%b"\n' % good))

    def test_unreadable(self) -> None:
        """
        No file, a directory, a name that cannot be one: refused, with the reason.
        """
        missing = self.mktemp()
        error = self.assertRaises(ConfigError, load.load, missing)
        self.assertEqual(str(error), f"{missing}: cannot be read: No such file or directory")
        os.mkdir(missing)
        self.assertIn("cannot be read", str(self.assertRaises(ConfigError, load.load, missing)))
        self.assertIn("cannot be read", str(self.assertRaises(ConfigError, load.load, "a\0b")))

    def test_too_large(self) -> None:
        """
        Memory is not filled with what cannot be a configuration.
        """
        self.patch(load, "LARGEST_FILE", 10)
        load.load(self.write(b"#" * 10))
        self.assertIn("larger than 10 octets", self.refusal(b"#" * 11)[1][0])

    def test_not_utf8(self) -> None:
        """
        The line of the first octet that is no UTF-8 is named.
        """
        path, mistakes = self.refusal(b"# ok\n\n[domain.'b\xfccher.example']\n")
        self.assertEqual(mistakes, (f"{path}:3: not UTF-8: octet 0xfc",))

    def test_syntax(self) -> None:
        """
        What is not TOML is refused at its line, the end of the file included.
        """
        for content, line in (
            (b"[global]\nuse_ipv6 = maybe\n", 2),
            (b"[global]\n\n= 1\n", 3),
            (b"[global]\nhooks = [\n", 3),
            (b"[global]\nx = 1979-99-99\n", 2),
        ):
            path, mistakes = self.refusal(content)
            self.assertEqual(len(mistakes), 1)
            self.assertTrue(mistakes[0].startswith(f"{path}:{line}: not TOML: "), mistakes)
            self.assertNotIn("column", mistakes[0])

    def test_twice(self) -> None:
        """
        A table or a key that is written twice is named with both places.
        """
        for content, line, key, first in (
            (b"[global]\n\ntls = 'no'\ntls = 'no'\n", 4, "global.tls", 3),
            (b"# a\n[domain.'a.b']\ntls = 'no'\n[host.'a.b']\n[domain.\"a.b\"]\n", 5, 'domain."a.b"', 2),
            (b"[domain.'/a/']\n[domain.'/b/']\n[domain.'/a/']\n", 3, "domain.'/a/'", 1),
            (b"[binding.b.domain.'a.b']\n[binding.b]\n[global]\n[binding.b]", 4, "binding.b", 2),
        ):
            path, mistakes = self.refusal(content)
            self.assertEqual(mistakes, (f"{path}:{line}: {key}: is written twice; the first time at {path}:{first}",))
        # What was only implied, or stands inside a value, has no place of its own.
        for content in (b"[global]\na.b = 1\n[global.a]\n", b"[global]\na = {b = 1, b = 2}\n"):
            path, mistakes = self.refusal(content)
            self.assertIn(": not TOML: ", mistakes[0])

    def test_regex_in_double_quotes(self) -> None:
        """
        Who writes a regex in double quotes is told about single ones.
        """
        self.assertIn("single quotes", self.refusal(b'[domain."/\\.example$/"]\n')[1][0])

    def test_hostile(self) -> None:
        """
        Nesting without end and numbers without end are refused like any other nonsense.
        """
        for content in (b"x = " + b"[" * 100_000, b"x = " + b"9" * 10_000):
            path, mistakes = self.refusal(content)
            self.assertTrue(mistakes[0].startswith(f"{path}:1: "), mistakes[0][:100])
        path, mistakes = self.refusal(b"[global]\nmax_message_size = 0x" + b"f" * 10_000)
        self.assertEqual(mistakes, (f"{path}:2: global.max_message_size: does not fit into 64 bits",))


class KeepTests(SynchronousTestCase):
    """
    Over a reload a slot keeps its meaning, for mail waits in it.
    """

    def test_slots_stay(self) -> None:
        """
        New bindings come after the old ones, wherever they stand in the file.
        """
        old = load.parse("[binding.a]\n[binding.b]")
        new = load.parse("[binding.c]\n[binding.b]\ntls = 'required'\n[binding.a]", "x", 2, old.bindings)
        self.assertEqual([binding.name for binding in new.bindings], ["default", "a", "b", "c"])
        self.assertEqual(new.path(2, "x.example").tls, "required")

    def test_none_goes(self) -> None:
        """
        A binding that is in use is not removed under its mail.
        """
        old = load.parse("[binding.a]\n[binding.b]")
        error = self.assertRaises(ConfigError, load.parse, "[binding.a]\nx = 1", "f", 2, old.bindings)
        self.assertEqual(len(error.mistakes), 2)
        self.assertIn("f:1: binding.b: is not written any more", str(error))

    def test_default_need_not_be_written(self) -> None:
        """
        The binding ``default`` is there in every generation.
        """
        old = load.parse("[binding.default]")
        self.assertEqual(load.parse("", keep=old.bindings).bindings, old.bindings)
