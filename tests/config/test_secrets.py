"""
Tests of :mod:`momentum_tx.config.secrets`.
"""

import os

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.load import parse
from momentum_tx.config.secrets import read_secret
from momentum_tx.errors import ConfigError
from momentum_tx.policy.credentials import LONGEST_SECRET


class SecretCase(SynchronousTestCase):
    """
    Files with secrets.
    """

    def file(self, content: bytes, mode: int = 0o600) -> str:
        """
        The path of a file.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path


class ReadTests(SecretCase):
    """
    One file.
    """

    def test_one_line(self) -> None:
        """
        The secret is the line, to the octet, whatever ends it.
        """
        for content, secret in (
            (b"hunter2\n", "hunter2"),
            (b"hunter2", "hunter2"),
            (b"hunter2\r\n", "hunter2"),
            (b" hunter 2 \n", " hunter 2 "),
            ("pässword\n".encode(), "pässword"),
            (b"x" * LONGEST_SECRET + b"\r\n", "x" * LONGEST_SECRET),
        ):
            self.assertEqual(read_secret(self.file(content, 0o640)), secret)

    def test_no_secret(self) -> None:
        """
        Anything else is refused, without a word of what is in the file.
        """
        for content in (
            b"",
            b"\n",
            b"hunter2\n\n",
            b"hunter2\nother\n",
            b"hunter2\0",
            b"hunter2\xff",
            b"hunter2" * 2000,
        ):
            error = self.assertRaises(ValueError, read_secret, self.file(content))
            self.assertNotIn("hunter2", str(error))

    def test_open_to_everybody(self) -> None:
        """
        What everybody can read, write or search is no secret.
        """
        for mode in (0o604, 0o602, 0o601, 0o777):
            error = self.assertRaises(ValueError, read_secret, self.file(b"hunter2", mode))
            self.assertIn(f"{mode:04o}", str(error))
            self.assertIn("chmod o=", str(error))

    def test_no_file(self) -> None:
        """
        What is not there, or no file, is told as it is; a pipe keeps nobody waiting.
        """
        pipe = self.mktemp()
        os.mkfifo(pipe, 0o600)
        for path in (self.mktemp(), "/dev", pipe, "a\0b"):
            self.assertRaises(ValueError, read_secret, path)


class CheckTests(SecretCase):
    """
    What is written about secrets.
    """

    def mistakes(self, text: str, *expected: str) -> None:
        """
        *text* is refused with exactly these mistakes.
        """
        error = self.assertRaises(ConfigError, parse, text, "x")
        self.assertEqual(len(error.mistakes), len(expected), error)
        for mistake, part in zip(error.mistakes, expected, strict=True):
            self.assertIn(part, mistake)

    def test_kept(self) -> None:
        """
        What the files hold is kept apart from what was written, and stands in nothing that is printed.
        """
        path = self.file(b"hunter2\n")
        config = parse(
            f"[global]\ntls = 'required'\noutbound_smtp_auth_user = 'lea'\noutbound_smtp_auth_pass_file = '{path}'\n"
        )
        self.assertEqual(config.secrets, {path: "hunter2"})
        self.assertEqual(config.warnings, [])
        self.assertNotIn("hunter2", repr(config.path(0, "example.com")))
        self.assertNotIn("hunter2", repr(config.explain("outbound_smtp_auth_pass_file")))
        self.assertEqual(parse("").secrets, {})

    def test_mistakes(self) -> None:
        """
        A file that cannot be used is a mistake where it was written, told once however often that was.
        """
        missing = self.mktemp()
        self.mistakes(
            "[global]\ntls = 'required'\noutbound_smtp_auth_user = 'lea'\n"
            f"outbound_smtp_auth_pass_file = '{missing}'\n"
            f"[domain.'a.example']\noutbound_smtp_auth_pass_file = '{missing}'\n",
            f"x:4: global.outbound_smtp_auth_pass_file: {missing} cannot be read: No such file",
        )
        self.mistakes(
            "[global]\ntls = 'required'\noutbound_smtp_auth_user = 'lea'\n",
            'x:3: global.outbound_smtp_auth_user: outbound_smtp_auth_user = "lea" (x:3) has no password',
        )
        self.mistakes("[global]\noutbound_smtp_auth_type = ['NTLM']\n", "is no mechanism that is known here")
        self.mistakes("[global]\noutbound_smtp_auth_type = ['plain', 'xoauth2']\n", "either")
        self.mistakes('[global]\noutbound_smtp_auth_user = "a\\u0000b"\n', "control character")
        path = self.file(b"two words\n")
        self.mistakes(
            "[global]\ntls = 'required'\noutbound_smtp_auth_user = 'lea'\noutbound_smtp_auth_type = ['xoauth2']\n"
            f"outbound_smtp_auth_pass_file = '{path}'\n",
            "holds no token",
        )

    def test_crossing(self) -> None:
        """
        A user whose file another table may name is no mistake.
        """
        path = self.file(b"hunter2\n")
        text = (
            "[global]\ntls = 'required'\n[domain.'relay.example']\noutbound_smtp_auth_user = 'lea'\n"
            f"[binding.one.domain.'relay.example']\noutbound_smtp_auth_pass_file = '{path}'\n"
        )
        parse(text)

    def test_doubts(self) -> None:
        """
        Without TLS few servers offer what is used, which is told with what that is; so is a file for nobody.
        """
        path = self.file(b"hunter2\n")
        lea = f"outbound_smtp_auth_user = 'lea'\noutbound_smtp_auth_pass_file = '{path}'\n"
        for text, doubt in (
            ("[global]\n" + lea, "nothing but CRAM-MD5 and SCRAM-SHA-256 is used"),
            ("[global]\noutbound_smtp_auth_type = ['PLAIN']\n" + lea, "nothing of it is used"),
            ("[global]\noutbound_smtp_auth_type = ['PLAIN', 'CRAM-MD5']\n" + lea, "nothing but CRAM-MD5 is used"),
            ("[global]\ntls = 'ifavailable'\n" + lea, ""),
            ("[global]\noutbound_smtp_auth_in_clear = true\n" + lea, ""),
            (f"[global]\noutbound_smtp_auth_pass_file = '{path}'\n", "there is no outbound_smtp_auth_user"),
        ):
            warnings = parse(text, "x").warnings
            self.assertEqual(len(warnings), bool(doubt), warnings)
            self.assertIn(doubt, "".join(warnings))
