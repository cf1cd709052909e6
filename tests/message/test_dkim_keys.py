"""
Tests of :mod:`momentum_tx.message.dkim_keys`.
"""

import base64
import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.message.dkim_keys import SigningKey, UnusableKey, read_keyfile, record_problem, zone_line

from .dkim_keys import key, pem


def private(made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, secret: bytes = b"", pkcs1: bool = False) -> bytes:
    """
    A key as PEM.
    """
    form = serialization.PrivateFormat.TraditionalOpenSSL if pkcs1 else serialization.PrivateFormat.PKCS8
    locked = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    return made.private_bytes(serialization.Encoding.PEM, form, locked)


class ParsingTests(SynchronousTestCase):
    """
    What is a key.
    """

    def refused(self, data: bytes) -> str:
        """
        Why *data* is no key.
        """
        return str(self.assertRaises(UnusableKey, SigningKey.parse, data))

    def test_forms(self) -> None:
        """
        RSA in PKCS#1 and PKCS#8, Ed25519 in PKCS#8 and as 32 octets in base64.
        """
        made = rsa.generate_private_key(65537, 1024)
        records = set()
        for pkcs1 in (True, False):
            found = SigningKey.parse(private(made, pkcs1=pkcs1))
            self.assertEqual((found.algorithm, found.bits, found.slow), ("rsa-sha256", 1024, True))
            records.add(found.record())
        self.assertEqual(len(records), 1)
        whole = SigningKey.parse(pem("ed25519"))
        self.assertEqual((whole.algorithm, whole.bits, whole.slow), ("ed25519-sha256", 0, False))
        raw = base64.b64encode(bytes(range(32)))
        self.assertEqual(SigningKey.parse(raw + b"\n").record(), SigningKey.parse(b"  " + raw).record())
        self.assertNotEqual(SigningKey.parse(raw).record(), whole.record())

    def test_sizes(self) -> None:
        """
        An RSA key that receivers do not accept, or need not, is refused; a weak one is a doubt.
        """
        for bits, text in ((1023, "which no receiver accepts"), (4104, "receivers verify 4096 at most")):
            made = cast(rsa.RSAPrivateKey, SimpleNamespace(key_size=bits))
            self.assertIn(f"of {bits} bits", str(self.assertRaises(UnusableKey, SigningKey, made)))
            self.assertIn(text, str(self.assertRaises(UnusableKey, SigningKey, made)))
        self.assertIn("which is weak", key("rsa", 1024).doubt)
        self.assertEqual((key("rsa").doubt, key("ed25519").doubt), ("", ""))

    def test_refused(self) -> None:
        """
        What is no key says what it is, and nothing of what it holds.
        """
        other = ec.generate_private_key(ec.SECP256R1())
        locked = private(rsa.generate_private_key(65537, 1024), b"secret")
        damaged = pem("rsa").replace(b"M", b"N", 40)
        shown = other.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for data, text in (
            (b"", "neither a private key in PEM nor"),
            (b"AAAA", "neither a private key in PEM nor"),
            (b"\xff\xfe", "neither a private key in PEM nor"),
            (locked, "is encrypted"),
            (private(other), "another kind"),
            (shown, "is a public key; the private key is expected"),
            (damaged, "is a damaged PEM file"),
        ):
            refused = self.refused(data)
            self.assertIn(text, refused)
            self.assertNotIn(data[30:60].decode("latin-1") or "nothing", refused)

    def test_repr(self) -> None:
        """
        Whoever prints a key sees its kind.
        """
        self.assertEqual(repr(key("rsa")), "<SigningKey rsa-sha256 of 2048 bits>")
        self.assertEqual(repr(key("ed25519")), "<SigningKey ed25519-sha256>")


class FileTests(SynchronousTestCase):
    """
    Files of keys.
    """

    def file(self, data: bytes, mode: int) -> str:
        """
        The path of a new file.
        """
        path = Path(self.mktemp())
        path.write_bytes(data)
        path.chmod(mode)
        return str(path)

    def refused(self, path: str) -> str:
        """
        Why the file is not used.
        """
        return str(self.assertRaises(UnusableKey, read_keyfile, path))

    def test_modes(self) -> None:
        """
        A file that others may read, or a group may write, is refused with what to do.
        """
        for mode in (0o600, 0o400, 0o640, 0o440):
            self.assertEqual(read_keyfile(self.file(pem("ed25519"), mode)).algorithm, "ed25519-sha256")
        for mode in (0o644, 0o604, 0o660, 0o602, 0o601):
            path = self.file(pem("ed25519"), mode)
            self.assertIn(f"has mode {mode:04o}", self.refused(path))
            self.assertIn(f"chmod 640 {path}", self.refused(path))

    def test_no_file(self) -> None:
        """
        What cannot be read, or is something else than a file, holds nobody up.
        """
        self.assertEqual(self.refused(self.mktemp()), "cannot be read: No such file or directory")
        self.assertIn("NUL", self.refused("a\0b"))
        pipe = self.mktemp()
        os.mkfifo(pipe, 0o600)
        self.assertEqual(self.refused(pipe), "is no regular file")
        directory = Path(self.mktemp())
        directory.mkdir(mode=0o700)
        self.assertRegex(self.refused(str(directory)), "is no regular file|Is a directory")
        self.assertIn("larger than", self.refused(self.file(b"x" * 70_000, 0o600)))


class RecordTests(SynchronousTestCase):
    """
    What is published.
    """

    def test_zone_line(self) -> None:
        """
        A text of more than 255 characters is several strings, which together are the text.
        """
        record = key("rsa").record()
        line = zone_line("s1", "example.com", record)
        self.assertTrue(line.startswith('s1._domainkey.example.com. IN TXT ( "v=DKIM1; k=rsa; p='))
        strings = line.split('"')[1::2]
        self.assertEqual("".join(strings), record)
        self.assertLessEqual(max(map(len, strings)), 255)
        self.assertEqual(len(zone_line("s1", "example.com", key("ed25519").record()).split('"')), 3)

    def test_published(self) -> None:
        """
        What is published is compared as receivers read it.
        """
        used = key("rsa")
        record = used.record().encode()
        bare = record.partition(b"p=")[2]
        for texts, problem in (
            ([record], ""),
            ([b"p=" + bare], ""),
            ([b"v=DKIM1 ; h=sha1:sha256; s=email:tlsrpt; t=s; n=note; p=" + bare[:50] + b" \t" + bare[50:]], ""),
            ([], "is not published"),
            ([record, record], "published 2 times"),
            ([b"v=spf1 -all"], "something else"),
            ([b"v=DKIM1; p="], "revoked"),
            ([key("ed25519").record().encode()], "another key"),
            ([record.replace(b"k=rsa", b"k=ed25519")], "another key"),
            ([record + b"; h=sha1"], "other hashes"),
            ([record + b"; s=tlsrpt"], "other services"),
            ([record + b"; t=y:s"], "for tests"),
        ):
            found = record_problem(texts, used)
            self.assertIn(problem, found, texts)
            self.assertEqual(bool(problem), bool(found), texts)
