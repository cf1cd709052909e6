"""
Our signatures before OpenDKIM, and OpenDKIM's before us.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.message import canonical
from momentum_tx.message.dkim import sign
from momentum_tx.message.headers import HeaderBlock
from momentum_tx.settings import DKIMSignature

from ..message.dkim_keys import key, pem
from .needs import require
from .test_resolver import CONFIGURATION, ZONE, free_port

#: The library that OpenDKIM's programs use.
LIBRARY = "libopendkim.so.11"
#: Of its ``dkim.h``: set an option; where keys are looked for; in a file; which file; a signature that was verified;
#: an algorithm.
SETOPT, QUERYMETHOD, QUERY_FILE, QUERYINFO, PASSED, RSA_SHA256 = 1, 6, 1, 7, 4, 1

HEAD = (
    b"From: A <a@example.com>\r\nTo: b@example.org,\r\n\tc@x.example\r\nSubject:  hi \t there \r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n"
)
BODIES = (
    b"",
    b"\r\n",
    b"Hello  world \t\r\n\r\n.\r\n..x\r\n \r\n\r\n",
    "Gr\u00fc\u00dfe\r\n".encode(),
    b"x" * 998 + b"\r\n" + b"=20 \t=20\r\n" * 20_000,
)
CANONS = [(header, body) for header in ("relaxed", "simple") for body in ("relaxed", "simple")]


class OpenDKIM:
    """
    OpenDKIM's library.

    :param records: names and records of public keys, a line each: the file that stands for DNS.
    """

    def __init__(self, records: str = "") -> None:
        self._library: Any = ctypes.CDLL(LIBRARY)
        self._library.dkim_init.restype = self._library.dkim_verify.restype = ctypes.c_void_p
        self._library.dkim_sign.restype = ctypes.c_void_p
        self._handle = ctypes.c_void_p(self._library.dkim_init(None, None))
        if records:
            method, path = ctypes.c_int(QUERY_FILE), ctypes.create_string_buffer(records.encode())
            self._set(QUERYMETHOD, ctypes.byref(method), ctypes.sizeof(method))
            self._set(QUERYINFO, path, len(path))

    def _set(self, option: int, value: Any, size: int) -> None:
        if self._library.dkim_options(self._handle, SETOPT, option, value, ctypes.c_size_t(size)):
            raise AssertionError(f"OpenDKIM does not take option {option}")

    def _read(self, job: Any, content: bytes) -> None:
        library, tested = self._library, ctypes.c_bool()
        library.dkim_chunk(job, content, ctypes.c_size_t(len(content)))
        library.dkim_chunk(job, None, ctypes.c_size_t(0))
        library.dkim_eom(job, ctypes.byref(tested))

    def verified(self, content: bytes) -> list[bool]:
        """
        Of each signature, whether it is good.
        """
        library, status = self._library, ctypes.c_int()
        job = ctypes.c_void_p(library.dkim_verify(self._handle, b"id", None, ctypes.byref(status)))
        self._read(job, content)
        found, count = ctypes.POINTER(ctypes.c_void_p)(), ctypes.c_int()
        library.dkim_getsiglist(job, ctypes.byref(found), ctypes.byref(count))
        good = []
        for index in range(count.value):
            signature = ctypes.c_void_p(found[index])
            library.dkim_sig_process(job, signature)
            passed = library.dkim_sig_getflags(signature) & PASSED
            good.append(bool(passed) and library.dkim_sig_getbh(signature) == 0)
        library.dkim_free(job)
        return good

    def signature(self, content: bytes, header: str, body: str) -> bytes:
        """
        The value of a signature's field, by the RSA key of the tests.
        """
        library, status = self._library, ctypes.c_int()
        canons = [int(canon == "relaxed") for canon in (header, body)]
        job = ctypes.c_void_p(
            library.dkim_sign(
                self._handle,
                b"id",
                None,
                pem("rsa"),
                b"rsa",
                b"example.com",
                *canons,
                RSA_SHA256,
                ctypes.c_long(-1),
                ctypes.byref(status),
            )
        )
        self._read(job, content)
        made, length = ctypes.c_void_p(), ctypes.c_size_t()
        library.dkim_getsighdr_d(job, ctypes.c_size_t(16), ctypes.byref(made), ctypes.byref(length))
        value = ctypes.string_at(made, length.value) if made.value is not None else b""
        library.dkim_free(job)
        # As it is told, lines end in LF.
        return b" " + value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def close(self) -> None:
        """
        Give the library's memory back.
        """
        self._library.dkim_close(self._handle)


class OpenDKIMTests(SynchronousTestCase):
    """
    Both ways.
    """

    def setUp(self) -> None:
        self.program = require("opendkim-testmsg")

    def test_verifies_ours(self) -> None:
        """
        OpenDKIM accepts both kinds of keys, in all canonicalizations, on all kinds of
        bodies, and nothing that was changed.
        """
        path = Path(self.mktemp())
        path.write_text("".join(f"{kind}._domainkey.example.com {key(kind).record()}\n" for kind in ("rsa", "ed25519")))
        verifier = OpenDKIM(str(path))
        self.addCleanup(verifier.close)
        for header, body in CANONS:
            for text in BODIES:
                content = HEAD + text
                made = sign(
                    content,
                    [
                        (DKIMSignature("example.com", kind, key="-", header_canon=header, body_canon=body), key(kind))
                        for kind in ("rsa", "ed25519")
                    ],
                    1_700_000_000.0,
                )
                self.assertEqual(verifier.verified(made + content), [True, True], (header, body, text[:40]))
        self.assertEqual(verifier.verified(made + content.replace(b"Subject:  hi", b"Subject: no")), [False, False])
        self.assertEqual(verifier.verified(made + content + b"more\r\n"), [False, False])

    def test_signs_as_we_would(self) -> None:
        """
        What OpenDKIM signs is a signature of the forms that we make of the message.
        """
        library = OpenDKIM()
        self.addCleanup(library.close)
        for header, body in CANONS:
            for text in BODIES:
                field = library.signature(HEAD + text, header, body)
                self.assertIn(f"c={header}/{body}".encode(), field)
                self.judge(field, HEAD + text, header, body, "sha256")

    def test_program_signs_as_we_would(self) -> None:
        """
        As does the program ``opendkim-testmsg``, which knows one way alone.
        """
        path = Path(self.mktemp())
        path.write_bytes(pem("rsa"))
        path.chmod(0o600)
        command = [self.program, "-C", "-d", "example.com", "-s", "rsa", "-k", str(path)]
        for text in BODIES:
            signed = subprocess.run(command, input=HEAD + text, capture_output=True, check=True, timeout=60).stdout
            name, _, rest = signed.partition(b":")
            self.assertEqual(name, b"DKIM-Signature")
            self.judge(rest[: rest.index(b"\r\nFrom:")], HEAD + text, "relaxed", "simple", "sha1")

    def judge(self, field: bytes, content: bytes, header: str, body: str, digest: str) -> None:
        """
        Whether the value of a signature's field is right for *content*.
        """
        tags = dict(re.findall(rb"(\w+)=([^;]*)", re.sub(rb"\s", b"", field)))
        form = canonical.relaxed_body if body == "relaxed" else canonical.simple_body
        whole = hashlib.new(digest, form(content, len(HEAD))).digest()
        self.assertEqual(tags[b"bh"], base64.b64encode(whole), (body, content[len(HEAD) :][:40]))
        canon = canonical.relaxed_field if header == "relaxed" else canonical.simple_field
        left = {name.lower(): raw for name, raw in HeaderBlock(HEAD)}
        chosen = [left.pop(name) for name in tags[b"h"].lower().split(b":") if name in left]
        self.assertGreater(len(chosen), 3)
        own = b"DKIM-Signature:" + re.sub(rb"(\bb=)[^;]*\Z", rb"\1", field)
        data = b"".join(map(canon, chosen)) + canon(own).removesuffix(b"\r\n")
        private = serialization.load_pem_private_key(pem("rsa"), None)
        assert isinstance(private, rsa.RSAPrivateKey)
        algorithm = hashes.SHA1() if digest == "sha1" else hashes.SHA256()
        # Raises if it is not.
        private.public_key().verify(base64.b64decode(tags[b"b"]), data, padding.PKCS1v15(), algorithm)


class PublishedTests(SynchronousTestCase):
    """
    Records that a name server serves.
    """

    def test_check(self) -> None:
        """
        What ``momentum-tx dkim key`` prints is a line of a zone; once it is served, ``dkim
        check`` finds every key good, and one that is another's not.
        """
        nsd = require("nsd")
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        lines = []
        for kind, selector in (("rsa", "r"), ("ed25519", "e"), ("ed25519", "other")):
            made = ("key", "--type", kind, "--domain", "example.test", "--selector", selector)
            lines.append(self.command(*made, str(directory / f"{selector}.pem"))[0])
        port = free_port()
        (directory / "example.test.zone").write_text(ZONE + "".join(lines))
        (directory / "nsd.conf").write_text(CONFIGURATION.format(port=port, directory=directory))
        (directory / "config.toml").write_text(
            f'[global]\nnameservers = ["127.0.0.1:{port}"]\n'
            f'[dkim."example.test".selector.r]\nkeyfile = "{directory}/r.pem"\n'
            f'[dkim."example.test".selector.e]\nkeyfile = "{directory}/e.pem"\n'
            f'[dkim."example.test".selector.other]\nkeyfile = "{directory}/e.pem"\n'
        )
        running = subprocess.Popen([nsd, "-d", "-c", str(directory / "nsd.conf")], stderr=subprocess.DEVNULL)
        self.addCleanup(running.wait)
        self.addCleanup(running.terminate)
        told, status = "", 0
        for _ in range(100):
            told, status = self.command("check", "--config", str(directory / "config.toml"))
            if "good" in told:
                break
            self.assertIsNone(running.poll(), "nsd did not start")
            time.sleep(0.05)
        self.assertEqual(
            [line.partition(": ")[2] for line in told.splitlines()],
            [
                "r._domainkey.example.test: good",
                "e._domainkey.example.test: good",
                "other._domainkey.example.test: is published with another key",
            ],
        )
        self.assertEqual(status, 1)

    def command(self, *arguments: str) -> tuple[str, int]:
        """
        What ``momentum-tx dkim`` says, and its exit status.
        """
        program = "import sys; from momentum_tx.cli import main; sys.exit(main(sys.argv[1:]))"
        words = [sys.executable, "-c", program, "dkim", *arguments]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.stderr, "")
        return ended.stdout, ended.returncode
