"""
Tests for :mod:`momentum_tx.config.tls_files`.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config import tls_files
from momentum_tx.config.configuration import Configuration
from momentum_tx.config.load import default, parse
from momentum_tx.errors import ConfigError

from ..net.certificates import alone, authority


class FilesCase(SynchronousTestCase):
    """
    Files in a directory of the test's own.
    """

    def setUp(self) -> None:
        self.directory = os.path.realpath(self.mktemp())
        os.mkdir(self.directory)
        self.file("ca", authority().pem)
        self.file("own", alone().pem)
        self.file("key", alone().key_pem)
        self.file("both", alone().key_pem + alone().pem)

    def path(self, name: str) -> str:
        """
        Of a file.
        """
        return os.path.join(self.directory, name)

    def file(self, name: str, content: bytes, mode: int = 0o600) -> str:
        """
        Write a file.
        """
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def parse(self, **options: str) -> Configuration:
        """
        A configuration with these options, files by name.
        """
        lines = [f'{option} = "{value.replace("@", self.directory + "/")}"' for option, value in options.items()]
        return parse("\n".join(["[global]", 'tls = "required"', *lines]), "x")

    def refused(self, *expected: str, **options: str) -> None:
        """
        It is refused, with exactly these mistakes.
        """
        mistakes = self.assertRaises(ConfigError, self.parse, **options).mistakes
        self.assertEqual(len(mistakes), len(expected), "\n".join(mistakes))
        for mistake, part in zip(mistakes, expected, strict=True):
            self.assertIn(part.replace("@", self.directory + "/"), mistake)


class ReadTests(FilesCase):
    """
    What is read, and given to whoever makes connections.
    """

    def test_nothing(self) -> None:
        """
        Without options nothing is read.
        """
        self.assertEqual(dict(default().tls_files), {})
        self.assertEqual(dict(self.parse().tls_files), {})

    def test_all(self) -> None:
        """
        Each file once, by its path; the system's issuers are not needed.
        """
        config = self.parse(tls_verify="host", tls_ca="@ca", tls_certificate="@own", tls_key="@key")
        expected = {"ca": authority().pem, "own": alone().pem, "key": alone().key_pem}
        self.assertEqual(dict(config.tls_files), {self.path(name): held for name, held in expected.items()})
        self.assertEqual(config.warnings, [])

    def test_key_in_the_certificate(self) -> None:
        """
        The certificate's file may hold the key.
        """
        self.assertEqual(list(self.parse(tls_certificate="@both").tls_files), [self.path("both")])

    def test_directory(self) -> None:
        """
        Of a directory all certificates are taken, each once, and nothing else.
        """
        os.mkdir(self.path("issuers"))
        self.file("issuers/b.pem", authority("B").pem)
        self.file("issuers/a.pem", authority("A").pem)
        self.file("issuers/README", b"hello")
        os.mkdir(self.path("issuers/further"))
        os.symlink("a.pem", self.path("issuers/0a1b2c3d.0"))
        found = self.parse(tls_verify="ca", tls_ca="@issuers").tls_files[self.path("issuers")]
        self.assertEqual(found, authority("A").pem + authority("B").pem)

    def test_system(self) -> None:
        """
        Where something is verified and no issuers are named, the system's are read.
        """
        path = self.file("bundle", authority("Of the system").pem)
        places: Any = ssl.get_default_verify_paths()
        places = places._replace(cafile=path, capath=None)
        self.patch(ssl, "get_default_verify_paths", lambda: places)
        config = self.parse(tls_verify="optional")
        self.assertEqual(dict(config.tls_files), {"": authority("Of the system").pem})

    def test_narrower(self) -> None:
        """
        Whoever writes the two halves in two tables has them put together.
        """
        text = f'[global]\ntls_key = "{self.path("key")}"\n[domain."a.test"]\ntls_certificate = "{self.path("own")}"\n'
        config = parse(text, "x")
        self.assertEqual(set(config.tls_files), {self.path("own"), self.path("key")})
        self.assertIn("has no effect: there is no tls_certificate", config.warnings[0])


class MistakeTests(FilesCase):
    """
    What is wrong is known before a connection needs it.
    """

    def test_place(self) -> None:
        """
        A mistake says file, line, key, and what to do about which file.
        """
        error = self.assertRaises(ConfigError, parse, '[global]\n[domain."a.test"]\ntls_ca = "/nowhere/ca.pem"\n', "x")
        expected = 'x:3: domain."a.test".tls_ca: /nowhere/ca.pem cannot be read: No such file or directory'
        self.assertEqual(error.mistakes, (expected,))

    def test_issuers(self) -> None:
        """
        Files that are missing, no files, or hold no certificates.
        """
        self.file("empty", b"")
        self.file("damaged", authority().pem.replace(b"\nMII", b"\nNII", 1))
        os.mkdir(self.path("none"))
        os.mkfifo(self.path("pipe"))
        for value, expected in (
            ("@missing", "@missing cannot be read: No such file"),
            ("ca.pem", "ca.pem is no absolute path"),
            ("@empty", "@empty holds no certificate"),
            ("@damaged", "@damaged holds a certificate that cannot be understood"),
            ("@none", "@none there is no file that holds a certificate"),
            ("@pipe", "@pipe is no regular file"),
            ("@key", "@key holds no certificate"),
        ):
            self.refused(expected, tls_verify="ca", tls_ca=value)

    def test_too_large(self) -> None:
        """
        Nobody's bundle of issuers is that large.
        """
        self.patch(tls_files, "LARGEST", 100)
        self.refused("has more than 100 octets", tls_ca="@ca")

    def test_own(self) -> None:
        """
        A certificate without its key, with another's, and keys that cannot be used.
        """
        encryption = BestAvailableEncryption(b"x")
        self.file("locked", alone().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        self.file("other", authority().key_pem)
        for key, expected in (
            ("", "@own holds no private key"),
            ("@missing", "@missing cannot be read"),
            ("@other", "the key in @other is not that of the first certificate in @own"),
            ("@locked", "@locked holds a private key with a passphrase"),
        ):
            self.refused(expected, tls_certificate="@own", tls_key=key)
        self.refused("@key holds no certificate", tls_certificate="@key", tls_key="@key")

    def test_told_once(self) -> None:
        """
        A file that many tables name is read once and complained of once.
        """
        tables = [f'[domain."{name}.test"]\ntls_ca = "/nowhere"\n' for name in "abc"]
        self.assertEqual(len(self.assertRaises(ConfigError, parse, "".join(tables), "x").mistakes), 1)

    def test_no_system(self) -> None:
        """
        A system without issuers, where they are needed.
        """
        places: Any = ssl.get_default_verify_paths()
        places = places._replace(cafile=None, capath=None)
        self.patch(ssl, "get_default_verify_paths", lambda: places)
        self.refused("no bundle of trusted issuers", tls_verify="host")
        self.assertEqual(
            dict(self.parse(tls_verify="host", tls_ca="@ca").tls_files), {self.path("ca"): authority().pem}
        )

    def test_readable_by_all(self) -> None:
        """
        A key that everybody can read is a doubt.
        """
        for name in ("key", "both"):
            os.chmod(self.path(name), 0o644)
        (warning,) = self.parse(tls_certificate="@own", tls_key="@key").warnings
        expected = f"x:3: global.tls_certificate: everybody on this host can read the private key in {self.path('key')}"
        self.assertTrue(warning.startswith(expected), warning)
        self.assertEqual(len(self.parse(tls_certificate="@both").warnings), 1)

    def test_words(self) -> None:
        """
        Ciphers, suites and versions that OpenSSL does not know.
        """
        self.refused("is no list of ciphers", tls_ciphers="rot13")
        self.refused("names no cipher suite of TLS 1.3", tlsv13_ciphersuites="rot13")
        self.refused("names no protocol version", tls_protocols="+TLSv2")

    def test_old_versions(self) -> None:
        """
        Older versions go with certificates that nobody verifies; the other place is named.
        """
        self.assertEqual(self.parse(tls_protocols="+ALL +TLSv1.1").warnings, [])
        error = self.assertRaises(ConfigError, self.parse, tls_verify="ca", tls_ca="@ca", tls_protocols="+ALL +TLSv1.1")
        expected = (
            'x:5: global.tls_protocols: does not go with tls_verify = "ca" (x:3): where certificates are verified'
            " TLSv1.1 is not spoken"
        )
        self.assertEqual(error.mistakes, (expected,))
        text = '[global]\ntls_protocols = "+TLSv1"\n[domain."a.test"]\ntls_verify = "host"\ntls_ca = "{}"\n'
        error = self.assertRaises(ConfigError, parse, text.format(self.path("ca")), "x")
        self.assertIn('domain."a.test".tls_verify: does not go with tls_protocols = "+TLSv1" (x:2)', str(error))
