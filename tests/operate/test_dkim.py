"""
Tests of :mod:`momentum_tx.operate.dkim`.
"""

from __future__ import annotations

import argparse
import io
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.configuration import Configuration
from momentum_tx.errors import LookupFailed, StartupError
from momentum_tx.message.dkim_keys import read_keyfile
from momentum_tx.operate import dkim

from ..message.dkim_keys import key, pem


class CommandTests(SynchronousTestCase):
    """
    ``momentum-tx dkim``.
    """

    def setUp(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.published: dict[str, tuple[bytes, ...] | LookupFailed] = {}
        self.status = 0
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def run_command(self, *arguments: str) -> str:
        """
        What an invocation prints.
        """
        parser = argparse.ArgumentParser()
        dkim.arguments(parser)
        self.status = dkim.run(parser.parse_args(arguments), self.texts)
        printed = self.out.getvalue()
        self.out.seek(0)
        self.out.truncate()
        return printed

    def texts(self, config: Configuration, names: Sequence[str]) -> dict[str, tuple[bytes, ...] | LookupFailed]:
        """
        What the test has put into DNS.
        """
        return {name: self.published.get(name, ()) for name in names}

    def refused(self, *arguments: str) -> str:
        """
        Why an invocation is bad usage.
        """
        parser = argparse.ArgumentParser()
        dkim.arguments(parser)
        self.assertEqual(self.assertRaises(SystemExit, parser.parse_args, arguments).code, 2)
        return self.err.getvalue()

    def test_key(self) -> None:
        """
        A new key is its owner's alone, can be used, and its record is printed.
        """
        for kind in ("rsa", "ed25519"):
            path = self.mktemp()
            printed = self.run_command("key", "--domain", "Example.com", "--selector", "S1", "--type", kind, path)
            self.assertEqual(stat.S_IMODE(Path(path).stat().st_mode), 0o600)
            made = read_keyfile(path)
            self.assertEqual(made.algorithm, f"{kind}-sha256")
            self.assertTrue(printed.startswith("s1._domainkey.example.com. IN TXT ( "))
            self.assertEqual("".join(printed.split('"')[1::2]), made.record())
            self.assertEqual(self.run_command("record", "--domain", "example.com", "--selector", "s1", path), printed)
        self.assertEqual(self.err.getvalue(), "")

    def test_weak_key(self) -> None:
        """
        Whoever wants a weak key gets it, and is told.
        """
        path = self.mktemp()
        self.run_command("key", "--domain", "example.com", "--selector", "s", "--bits", "1024", path)
        self.assertIn("which is weak", self.err.getvalue())

    def test_never_overwritten(self) -> None:
        """
        A file that is there stays as it is.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"precious")
        arguments = ("key", "--domain", "example.com", "--selector", "s", "--type", "ed25519", str(path))
        self.assertIn("is there already", str(self.assertRaises(StartupError, self.run_command, *arguments)))
        self.assertEqual(path.read_bytes(), b"precious")
        arguments = (*arguments[:-1], str(path / "below"))
        self.assertIn("cannot be written", str(self.assertRaises(StartupError, self.run_command, *arguments)))

    def test_bad_usage(self) -> None:
        """
        A domain or a selector that cannot be one, and a size that is none, are bad usage.
        """
        good = {"--domain": "example.com", "--selector": "s", "--bits": "2048"}
        for option, value, text in (
            ("--domain", "com", "two labels"),
            ("--domain", "", "is empty"),
            ("--selector", "a b", "is no selector"),
            ("--bits", "512", "between 1024 and 4096"),
        ):
            said = [word for pair in {**good, option: value}.items() for word in pair]
            self.assertIn(text, self.refused("key", *said, "x"))

    def test_record(self) -> None:
        """
        A key that cannot be used is one line.
        """
        error = self.assertRaises(
            StartupError, self.run_command, "record", "--domain", "example.com", "--selector", "s", "nowhere.pem"
        )
        self.assertEqual(str(error), "nowhere.pem cannot be read: No such file or directory")

    def test_show(self) -> None:
        """
        What mail of a domain gets, each signature with its record.
        """
        file, config = Path(self.mktemp()), Path(self.mktemp())
        file.write_bytes(pem("ed25519"))
        file.chmod(0o600)
        config.write_text(
            f'[dkim."a.example".selector.s]\nkeyfile = "{file}"\nidentity = "@a.example"\nlifetime = 86400\n'
        )
        first, second = self.run_command("show", "--config", str(config), "A.example").splitlines()
        self.assertEqual(first, "d=a.example s=s a=ed25519-sha256 c=relaxed/relaxed i=@a.example x=86400")
        self.assertEqual(second, f's._domainkey.a.example. IN TXT ( "{key("ed25519").record()}" )')
        self.assertIn(
            "mail from b.example is not signed", self.run_command("show", "--config", str(config), "b.example")
        )

    def test_show_whom(self) -> None:
        """
        Signatures are those of a domain; an address is none.
        """
        for text in ("user@a.example", "a b", ""):
            self.assertIn(f"argument DOMAIN: {text!r}", self.refused("show", "--config", "x", text))

    def test_check(self) -> None:
        """
        Each key is compared with what is published; one that receivers would not find is
        told with its place, and is exit status 1.
        """
        file, config = Path(self.mktemp()), Path(self.mktemp())
        file.write_bytes(pem("ed25519"))
        file.chmod(0o600)
        config.write_text(
            f'[dkim."a.example".selector.s]\nkeyfile = "{file}"\n'
            f"[dkim.'/b/'.selector.t]\nkeyfile = '{file}'\nsigning_domain = 'b.example'\n"
            f"[dkim.'/c/'.selector.u]\nkeyfile = '{file}'\n"
        )
        record = key("ed25519").record().encode()
        self.published = {"s._domainkey.a.example": (record,), "t._domainkey.b.example": LookupFailed("SERVFAIL")}
        self.assertEqual(
            self.run_command("check", "--config", str(config)).splitlines(),
            [
                f"{config}:6: u: every author signs by a domain of its own; not looked up",
                f"{config}:1: s._domainkey.a.example: good",
                f"{config}:3: t._domainkey.b.example: SERVFAIL",
            ],
        )
        self.assertEqual(self.status, 1)
        self.published["t._domainkey.b.example"] = (record,)
        self.run_command("check", "--config", str(config))
        self.assertEqual(self.status, 0)
        config.write_text("")
        self.assertEqual(self.run_command("check", "--config", str(config)), "")
