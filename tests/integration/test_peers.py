"""
Mail to other people's servers, in clear and over TLS: what we put in comes out.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from tests.net.certificates import self_signed

from . import peers
from .needs import require
from .running import Program, free_port, until
from .test_service import SHORT, ServiceCase

#: Lines that tempt somebody to change them: dots, trailing blanks, the longest line there may be, eight bits.
LINES = [b".", b"..", b".dot", b"trailing  ", b"", b"x" * 998, "grüße und 漢字".encode(), b"From me", b"--", b"last"]
LARGE = [b"line %06d of a large message" % number for number in range(9000)]


def message(lines: Sequence[bytes]) -> bytes:
    """
    A message with these lines, as an injector writes it: LF alone.
    """
    head = [b"From: a@sender.example", b"Subject: peers", b"MIME-Version: 1.0"]
    head += [b"Content-Type: text/plain; charset=utf-8", b"Content-Transfer-Encoding: 8bit", b""]
    return b"\n".join([*head, *lines]) + b"\n"


def body(content: bytes) -> list[bytes]:
    """
    The lines of a message's body, whatever its line ends.
    """
    return content.replace(b"\r\n", b"\n").partition(b"\n\n")[2].removesuffix(b"\n").split(b"\n")


class PeerCase(ServiceCase):
    """
    A service, and a foreign server in a directory of its own.
    """

    timeout = 90

    def place(self) -> Path:
        """
        A directory that other users may look into.
        """
        directory = tempfile.TemporaryDirectory(prefix="momentum-tx-peer-")
        self.addCleanup(directory.cleanup)
        os.chmod(directory.name, 0o755)
        return Path(directory.name)

    def chain(self) -> Path:
        """
        A key and a certificate nobody knows.
        """
        certificate, key = self_signed()
        path = self.place() / "chain.pem"
        path.write_bytes(key + certificate)
        path.chmod(0o600)
        return path

    async def deliver(self, server: AbstractContextManager[peers.Server], domain: str, tls: str) -> str:
        """
        Deliver two messages to a server with a mailbox, and compare.

        :returns: what the server wrote about itself.
        """
        with server as peer:
            self.configure(f'[domain."{domain}"]\nroutes = ["127.0.0.1:{peer.port}"]\ntls = "{tls}"\n', SHORT)
            await self.start()
            await self.inject_all([(f"b@{domain},c@{domain}", message(LINES)), (f"b@{domain}", message(LARGE))])
            await until(lambda: len(peer.messages()) >= 3, f"mail in the box: {peer.log}", 30)
            await until(lambda: len(self.records("D")) == 3, "three D records")
            await self.stop()
            bodies = [body(content) for content in peer.messages()]
            self.assertEqual(sorted(map(len, bodies)), sorted([len(LINES), len(LINES), len(LARGE)]))
            self.assertTrue(all(each in (LINES, LARGE) for each in bodies))
            self.assertEqual((self.records("T"), self.records("P")), ([], []))
            return peer.log.read_text(errors="replace")

    async def refused(self, server: AbstractContextManager[peers.Server], domain: str, text: str) -> None:
        """
        A recipient that the server does not know fails, the other gets the mail.
        """
        with server as peer:
            self.configure(f'[domain."{domain}"]\nroutes = ["127.0.0.1:{peer.port}"]\n', SHORT)
            await self.start()
            await self.inject_all([(f"nobody@{domain},b@{domain}", message(LINES))])
            await until(lambda: self.records("D") and self.records("P"), "one D and one P record")
            await self.stop()
            # That the sender has no mail exchanger either is of another message: the report.
            failed, *others = self.records("P")
            self.assertIn(text, failed[-1])
            self.assertTrue(all("sender.example" in other for other in others), others)


class PostfixTests(PeerCase):
    """
    Postfix's smtpd.
    """

    async def test_plain(self) -> None:
        """
        In clear.
        """
        await self.deliver(peers.postfix(self.place()), "postfix.test", "ifavailable")

    async def test_tls(self) -> None:
        """
        To one that takes nothing in clear.
        """
        await self.deliver(peers.postfix(self.place(), self.chain(), required=True), "postfix.test", "required")

    async def test_refused(self) -> None:
        """
        An unknown mailbox.
        """
        await self.refused(peers.postfix(self.place()), "postfix.test", "User unknown in virtual mailbox table")


class EximTests(PeerCase):
    """
    Exim, which offers CHUNKING.
    """

    async def test_plain(self) -> None:
        """
        In clear.
        """
        await self.deliver(peers.exim(self.place()), "exim.test", "ifavailable")

    async def test_tls(self) -> None:
        """
        Over TLS, by GnuTLS; its log says so.
        """
        log = await self.deliver(peers.exim(self.place(), self.chain()), "exim.test", "required")
        self.assertEqual(log.count(" X=TLS1.3:"), 2, log)

    async def test_refused(self) -> None:
        """
        An unknown mailbox.
        """
        await self.refused(peers.exim(self.place()), "exim.test", "550 no such mailbox")


class OpenSMTPDTests(PeerCase):
    """
    OpenSMTPD, which passes on what it gets, to a server of ours.  In clear alone: as
    Debian 12 has it, it fails to sign in a handshake with any client.
    """

    async def test_plain(self) -> None:
        """
        A message goes through it.
        """
        sink, onward = await self.sink()
        with peers.opensmtpd(self.place(), onward) as peer:
            self.configure(f'[domain."opensmtpd.test"]\nroutes = ["127.0.0.1:{peer.port}"]\n', SHORT)
            await self.start()
            await self.inject_all([("b@opensmtpd.test", message(LINES))])
            await until(lambda: sink.arrived, "the message, passed on", 30)
            await self.stop()
            self.assertEqual(body(sink.arrived[0][2]), LINES)
            self.assertEqual(len(self.records("D")), 1)


class SinkTests(PeerCase):
    """
    smtp-sink with the faults it can play.
    """

    async def sunk(self, *options: str, done: Callable[[], object]) -> tuple[Path, bytes]:
        """
        Send one message to an smtp-sink with *options*, until *done*.

        :returns: where it wrote what it took, and what it said.
        """
        directory, port = self.place(), free_port()
        if os.geteuid() == 0:
            os.chmod(directory, 0o777)
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        program = [require("smtp-sink"), *user, "-R", str(directory), "-d", "taken.", *options]
        sink = Program([*program, f"127.0.0.1:{port}", "100"], str(directory))
        self.addCleanup(sink.kill)
        method = "LMTP" if "-L" in options else "ESMTP"
        self.configure(
            f'[domain."sink.test"]\nroutes = ["127.0.0.1"]\nremote_smtp_port = {port}\nlmtp_port = {port}\n'
            f'delivery_method = "{method}"\n',
            SHORT,
        )
        await self.start()
        await self.inject_all([("b@sink.test", message(LINES))])
        await until(done, f"smtp-sink {options}")
        await self.stop()
        return directory, sink.out

    def delivered(self) -> bool:
        """
        Whether the message is done.
        """
        return len(self.records("D")) == 1

    async def test_all_kinds(self) -> None:
        """
        Without ESMTP, without 8BITMIME, without PIPELINING, without enhanced codes,
        slow, by LMTP: it arrives, whole.
        """
        for options in (["-e"], ["-8"], ["-p"], ["-E"], ["-w", "1"], ["-L"]):
            with self.subTest(options):
                self.setUp()
                directory, _ = await self.sunk(*options, done=self.delivered)
                (taken,) = directory.iterdir()
                self.assertEqual(body(taken.read_bytes().rstrip(b"\n"))[: len(LINES)], LINES)

    async def test_refused(self) -> None:
        """
        Each command, and the content, refused for ever and for now.
        """
        for command in ("EHLO,HELO", "MAIL", "RCPT", "DATA", "."):
            for option, kind, code in (("-f", "P", "500"), ("-r", "T", "450")):
                if command == "EHLO,HELO":
                    # Whoever will not have us at all has said nothing of the message.
                    kind = "T"
                with self.subTest(command, option=option):
                    self.setUp()
                    await self.sunk(option, command, done=partial(self.records, kind))
                    self.assertIn(code, self.records(kind)[0][-1])
                    self.assertEqual(self.records("D"), [])

    async def test_disconnected(self) -> None:
        """
        The connection dropped at each command, and in the middle of the content.
        """
        for options in (["-q", "MAIL"], ["-q", "RCPT"], ["-q", "DATA"], ["-q", "."]):
            with self.subTest(options):
                self.setUp()
                await self.sunk(*options, done=lambda: len(self.records("T")) >= 2)
                self.assertEqual((self.records("D"), self.records("P")), ([], []))

    async def test_refused_in_the_content(self) -> None:
        """
        Refused a second after the go-ahead, without reading the content.
        """
        await self.sunk("-A", "1", done=lambda: self.records("P"))
        self.assertEqual(self.records("P")[0][-1][:3], "550")
