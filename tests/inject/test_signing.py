"""
Tests of :mod:`momentum_tx.inject.signing`: mail is signed at the door, and what
arrives verifies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dkim as dkimpy
from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import Protocol
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from momentum_tx.errors import MessageRefused, StartupError
from momentum_tx.inject import signing
from momentum_tx.interfaces.hooks import IDkimSign
from momentum_tx.interfaces.records import IReception
from momentum_tx.message import dkim
from momentum_tx.message.dkim_keys import SigningKey
from momentum_tx.settings import DKIMSignature
from momentum_tx.testing.world import World

from ..message.dkim_keys import key, pem
from ..worlds import BOB, SENDER, WorldCase

AUTHOR = "a@sender.example"


@implementer(IDkimSign)
class Provider:
    """
    Answers ``dkim_sign`` as it is told to.
    """

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.asked: list[tuple[bytes, bytes, str]] = []

    def dkim_sign(self, ac: IReception, content: bytes, domain: str) -> Any:
        self.asked.append((ac.sender, content, domain))
        return self.answer()


class Talker(Protocol):
    """
    Says all it has to say at once, and listens.
    """

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.heard = bytearray()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.said)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class SigningCase(WorldCase):
    """
    What the stories need.
    """

    def keyfile(self, kind: str, bits: int = 2048, mode: int = 0o600) -> str:
        """
        The path of a key's file.
        """
        path = Path(self.mktemp()).absolute()
        path.write_bytes(pem(kind, bits))
        path.chmod(mode)
        return str(path)

    def config(self, *kinds: str, more: str = "", top: str = "") -> str:
        """
        A configuration that signs for ``sender.example``, by a selector of the name of each kind of key.
        """
        tables = [
            f'[dkim."sender.example".selector.{kind}]\nkeyfile = "{self.keyfile(kind)}"\n{more}' for kind in kinds
        ]
        return f"[global]\n{top}\n" + "\n".join(tables)

    def verified(self, content: bytes) -> list[bool]:
        """
        Of each signature of *content*, the topmost first, whether it verifies.
        """

        def record(name: bytes, timeout: int = 5) -> bytes:
            kind = name.partition(b".")[0].decode()
            return key(kind).record().encode() if kind in ("rsa", "ed25519") else b""

        verifier = dkimpy.DKIM(content)
        count = len([name for name, _ in verifier.headers if name.lower() == b"dkim-signature"])
        found = []
        for index in range(count):
            try:
                found.append(bool(dkimpy.DKIM(content).verify(index, dnsfunc=record)))
            except dkimpy.DKIMException:
                found.append(False)
        return found

    def arrived(self, world: World) -> list[bytes]:
        """
        What a receiver got, in order.
        """
        world.advance(5)
        return [taken.content for taken in self.mx.ledger]

    def signing_world(self, config: str, providers: Sequence[object] = ()) -> World:
        """
        A world with a receiver.
        """
        world = self.world(config, providers=providers)
        self.mx = world.exchanger("example.com")
        return world


class DoorTests(SigningCase):
    """
    Mail on its way through the door.
    """

    def test_arrives_signed(self) -> None:
        """
        Over SMTP and in process mail arrives with every signature that its author's
        domain has, in front of our trace field, and each verifies.
        """
        world = self.signing_world(self.config("rsa", "ed25519"))
        self.accept(world)
        world.send(SENDER, [BOB], world.message("in process"))
        for content in self.arrived(world):
            self.assertEqual(self.verified(content), [True, True])
            self.assertTrue(content.startswith(b"DKIM-Signature: v=1; a=rsa-sha256;"))
            self.assertIn(b"Received:", content[: content.index(b"Subject:")])
        self.assertEqual(len(self.mx.ledger), 2)

    def test_every_content(self) -> None:
        """
        Dots at the beginning of lines, octets above 127, lines of the greatest length, blank lines at
        the end and no body at all: what arrives verifies, by both canonicalizations.
        """
        head = f"From: {AUTHOR}\r\nSubject: x\r\n".encode()
        bodies = [
            b"\r\n.\r\n..\r\n.x\r\n",
            "\r\nGr\u00fc\u00dfe\r\n".encode(),
            b"\r\n" + b"long " * 199 + b"\r\n",
            b"\r\ntext \t\r\n\r\n \r\n\r\n",
            b"\r\n",
            b"",
        ]
        for canon in ("relaxed", "simple"):
            more = f'header_canon = "{canon}"\nbody_canon = "{canon}"\n'
            world = self.signing_world(self.config("ed25519", more=more))
            for body in bodies:
                self.assertEqual(world.inject(SENDER, [BOB], head + body)[:4], b"250 ")
            arrived = self.arrived(world)
            self.assertEqual(len(arrived), len(bodies))
            self.assertEqual([self.verified(content) for content in arrived], [[True]] * len(bodies), canon)

    def test_after_a_restart(self) -> None:
        """
        What was spooled is what was signed: it verifies after a crash, and is not signed twice.
        """
        world = self.signing_world(self.config("rsa", top="suspend_delivery = true"))
        self.accept(world)
        world.config_text = self.config("rsa")
        world.crash()
        (content,) = self.arrived(world)
        self.assertEqual(self.verified(content), [True])

    def test_removed_fields(self) -> None:
        """
        Fields that are taken away at the door are not signed, nor is the size told that it came with.
        """
        world = self.signing_world(self.config("ed25519", more='headerlist = ["From", "X-Tenant", "X-Mailer"]\n'))
        self.accept(world, X_Tenant="t1", X_Mailer="m")
        (content,) = self.arrived(world)
        self.assertEqual(self.verified(content), [True])
        self.assertIn(b"h=from:from:x-mailer:", re.sub(rb"\s", b"", content))
        self.assertEqual(self.last(world, "R")["size"], str(len(content)))

    def test_author_decides(self) -> None:
        """
        The From field's domain decides, not the envelope's; mail of others, and of nobody, is left as it is.
        """
        world = self.signing_world(self.config("ed25519"))
        for author, signatures in (
            ("Ann <ann@SENDER.example>", [True]),
            ("ann@sub.sender.example", []),
            ("ann@other.example", []),
            ("ann", []),
        ):
            self.mx.ledger.clear()
            world.inject("bounces@elsewhere.example", [BOB], f"From: {author}\r\nSubject: x\r\n\r\nx\r\n".encode())
            (content,) = self.arrived(world)
            self.assertEqual(self.verified(content), signatures, author)

    def test_unconfigured(self) -> None:
        """
        Without a table and a provider nobody is asked, and no key is needed.
        """
        world = self.signing_world("")
        self.assertIsNone(world.service.receiver.signer)
        self.accept(world)
        self.assertEqual(self.verified(self.arrived(world)[0]), [])

    def test_reload(self) -> None:
        """
        A reload begins, changes and ends signing; a bad key leaves everything as it was.
        """
        world = self.signing_world("")
        world.reload(self.config("ed25519"))
        self.accept(world)
        bad = self.config("rsa").replace('keyfile = "', 'keyfile = "/nowhere')
        self.assertRaises(StartupError, world.reload, bad)
        self.accept(world)
        world.reload(self.config("ed25519", "rsa"))
        self.accept(world)
        world.reload("")
        self.accept(world)
        self.assertIsNone(world.service.receiver.signer)
        self.assertEqual([self.verified(each) for each in self.arrived(world)], [[True], [True], [True, True], []])


class ThreadTests(SigningCase):
    """
    What is signed off the reactor's thread, and what happens meanwhile.
    """

    def test_who_waits(self) -> None:
        """
        A small message and a fast key are signed at once; an RSA key, or a body of
        more than 64 KiB, takes a thread.
        """
        for kind, body, threaded in (("ed25519", "x\r\n", 0), ("rsa", "x\r\n", 1), ("ed25519", "x" * 70 + "\r\n", 1)):
            world = self.signing_world(self.config(kind))
            ran: list[object] = []
            run = world.threads.run

            def noted(function: Any, *args: Any, ran: list[object] = ran, run: Any = run) -> Any:
                ran.append(function)
                return run(function, *args)

            self.patch(world.threads, "run", noted)
            body = body * 1000 if len(body) > 9 else body
            self.accept(world, subject="x")
            ran.clear()
            reply = world.inject(SENDER, [BOB], world.message("y", body))
            self.assertEqual(reply[:4], b"250 ")
            self.assertEqual(ran.count(signing._work), threaded, (kind, len(body)))
            self.assertEqual([self.verified(each) for each in self.arrived(world)], [[True], [True]])

    def test_order_on_a_connection(self) -> None:
        """
        Of messages on one connection, some signed in a thread and some not at all,
        each is answered before the next is taken.
        """
        world = self.signing_world(self.config("rsa"))
        contents = [
            f"From: a@{domain}\r\nSubject: {number}\r\n\r\nx\r\n"
            for number, domain in enumerate(["sender.example", "b.example"] * 4)
        ]
        protocol = self.pipelined(world, contents)
        world.advance(5)
        self.assertEqual(protocol.count(b"250 2.0.0 "), len(contents))
        batches = [record["batch"] for record in world.mainlog("R")]
        self.assertEqual(batches, re.findall(r"250 2\.0\.0 (\S+) Message accepted", protocol.decode()))

    def pipelined(self, world: World, contents: list[str]) -> bytearray:
        """
        Send everything in one piece on one connection.

        :returns: what is said to it, as it comes.
        """
        client = Talker(
            b"EHLO a\r\n"
            + b"".join(
                f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n{content}.\r\n".encode() for content in contents
            )
            + b"QUIT\r\n"
        )
        world.client.dial("127.0.0.1", 2525, "127.0.0.1", None, lambda stream: stream.start(client), self.fail)
        return client.heard

    def test_bound_of_threads(self) -> None:
        """
        No more threads sign at once than ``dkim_threads`` says; what waits shares calls, and all is signed.
        """
        world = self.signing_world(self.config("rsa", top="dkim_threads = 1"))
        world.threads.delay = 1.0
        for number in range(20):
            world.send(SENDER, [BOB], world.message(str(number)))
        signer = world.service.receiver.signer
        assert signer is not None
        self.assertEqual((signer._running, len(signer._waiting)), (1, 19))
        world.advance(1.0)
        self.assertEqual((signer._running, len(signer._waiting)), (1, 3))
        world.threads.delay = 0.0
        world.advance(5.0)
        self.assertFalse(signer.busy)
        self.assertEqual([self.verified(each) for each in self.arrived(world)], [[True]] * 20)

    def test_bound_of_waiting(self) -> None:
        """
        Beyond ``dkim_max_waiting`` a message is refused for now; the others are not.
        """
        world = self.signing_world(self.config("rsa", top="dkim_threads = 1\ndkim_max_waiting = 2"))
        world.threads.delay = 1.0
        sent = [world.send(SENDER, [BOB], world.message(str(number))) for number in range(4)]
        refused = self.failureResultOf(sent[3], MessageRefused).value
        self.assertEqual((refused.code, refused.text[:5]), (451, "4.7.5"))
        world.threads.delay = 0.0
        self.assertEqual(len(self.arrived(world)), 3)
        self.assertEqual(world.queued(), 0)

    def test_stop(self) -> None:
        """
        A message that is being signed when the service stops is kept, and delivered after the next start.
        """
        world = self.signing_world(self.config("rsa"))
        world.threads.delay = 0.5
        accepted = world.send(SENDER, [BOB], world.message()).accepted
        world.threads.delay = 0.0
        world.stop()
        self.successResultOf(accepted)
        world.build()
        world.start()
        self.assertEqual([self.verified(each) for each in self.arrived(world)], [[True]])

    def test_threads_are_gone(self) -> None:
        """
        Where no thread is to be had, thousands that wait are refused, one by one and without a crash.
        """
        self.patch(signing, "BATCH", 1)
        world = self.signing_world(self.config("rsa", top="dkim_threads = 1"))
        world.threads.delay = 1.0
        sent = [world.send(SENDER, [BOB], world.message(str(number))) for number in range(3000)]
        run = world.threads.run

        def refuse(function: Any, *args: Any) -> Any:
            return fail(RuntimeError("no thread")) if function is signing._work else run(function, *args)

        self.patch(world.threads, "run", refuse)
        world.advance(2.0)
        codes = [self.failureResultOf(each, MessageRefused).value.code for each in sent[1:]]
        self.assertEqual(set(codes), {451})
        self.assertFalse(world.service.receiver.signer and world.service.receiver.signer.busy)


class FailureTests(SigningCase):
    """
    Keys that cannot be used, and signers that fail.
    """

    def test_bad_keys(self) -> None:
        """
        The service does not start with a key that cannot be used: file, line and what to do, for each of them.
        """
        text = self.config("rsa", "ed25519")
        first, second = re.findall(r'keyfile = "(.*)"', text)
        Path(first).chmod(0o644)
        Path(second).write_bytes(b"nonsense")
        error = self.assertRaises(StartupError, World, 1, text)
        one, two = str(error).splitlines()
        self.assertTrue(one.startswith(f"virtual.toml:4: keyfile: {first} has mode 0644"), one)
        self.assertTrue(two.startswith(f"virtual.toml:7: keyfile: {second} is neither"), two)

    def test_weak_key(self) -> None:
        """
        A weak key is a doubt, told with those about the configuration.
        """
        path = self.keyfile("rsa", 1024)
        world = self.signing_world(f'[dkim."sender.example".selector.s]\nkeyfile = "{path}"\n')
        (doubt,) = world.service.configuration.warnings
        self.assertEqual(doubt[:25], "virtual.toml:2: keyfile: ")
        self.assertIn("is an RSA key of 1024 bits, which is weak", doubt)

    def failing_world(self, top: str) -> World:
        """
        A world in which signing raises.
        """
        world = self.signing_world(self.config("rsa", top=top))

        def broken(*_: object) -> bytes:
            raise RuntimeError("a key: SECRET")

        self.patch(dkim, "sign", broken)
        return world

    def test_refused(self) -> None:
        """
        What cannot be signed is refused for now, and nothing of it is kept.
        """
        world = self.failing_world("")
        reply = world.inject(SENDER, [BOB], world.message())
        self.assertEqual(reply, b"451 4.7.5 The message could not be signed, try again later")
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(1)
        self.assertEqual(self.failureResultOf(sending, MessageRefused).value.code, 451)
        self.assertEqual((self.arrived(world), world.mainlog("R")), ([], []))

    def test_accepted(self) -> None:
        """
        With ``dkim_failure`` accept it is sent without a signature.
        """
        world = self.failing_world('dkim_failure = "accept"')
        self.accept(world)
        self.assertEqual([self.verified(each) for each in self.arrived(world)], [[]])


class HookTests(SigningCase):
    """
    ``dkim_sign``.
    """

    def hooked(self, answer: Callable[[], Any], config: str = "") -> World:
        """
        A world with one provider.
        """
        self.provider = Provider(answer)
        return self.signing_world(config, [self.provider])

    def signature(self, kind: str, **said: Any) -> DKIMSignature:
        """
        A signature with the key itself in it.
        """
        return DKIMSignature("sender.example", kind, key=pem(kind).decode(), **said)

    def test_question(self) -> None:
        """
        A provider sees what is to be signed, and whose it is.
        """
        world = self.hooked(lambda: None)
        self.accept(world, X_Tenant="t")
        self.accept(world, From="b@other.example")
        (sender, content, domain), (_, _, nobody) = self.provider.asked
        self.assertEqual((sender, domain, nobody), (SENDER.encode(), "sender.example", ""))
        self.assertTrue(content.startswith(b"Received: "))
        self.assertNotIn(b"X-Tenant", content)

    def test_answers(self) -> None:
        """
        Signatures instead of the configuration's, at once or later; none; or those of the configuration.
        """
        later: Deferred[Any] = Deferred()

        async def some() -> list[DKIMSignature]:
            return [self.signature("ed25519"), self.signature("rsa")]

        answers: list[Any] = [[self.signature("ed25519")], (), None, later, some()]
        world = self.hooked(lambda: answers.pop(0), self.config("rsa"))
        for number in range(5):
            world.send(SENDER, [BOB], world.message(str(number)))
        world.advance(1)
        self.assertEqual(len(self.mx.ledger), 4)
        later.callback([self.signature("ed25519", body_canon="simple")])
        found = {
            re.findall(rb"Subject: (\d)", each)[0]: (re.findall(rb"a=([a-z0-9]+)", each), self.verified(each))
            for each in self.arrived(world)
        }
        self.assertEqual(
            found,
            {
                b"0": ([b"ed25519"], [True]),
                b"1": ([], []),
                b"2": ([b"rsa"], [True]),
                b"3": ([b"ed25519"], [True]),
                b"4": ([b"ed25519", b"rsa"], [True, True]),
            },
        )

    def test_stop(self) -> None:
        """
        A service that stops waits five seconds for a provider, and leaves nothing behind;
        what it was asked about is refused for now.
        """
        world = self.hooked(lambda: Deferred())
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(1)
        self.assertNoResult(sending)
        world.stop()
        self.assertEqual(world.leftovers(), [])
        self.assertEqual(self.failureResultOf(sending, MessageRefused).value.code, 451)

    def test_keys_are_remembered(self) -> None:
        """
        A provider's key is read once, in a thread; of too many the one that was not used for longest is forgotten.
        """
        parsed: list[bytes] = []
        parse = SigningKey.parse

        def noted(data: bytes) -> SigningKey:
            parsed.append(data)
            return parse(data)

        self.patch(SigningKey, "parse", noted)
        self.patch(signing, "MOST_KEYS", 2)
        one, two, three = (pem("ed25519"), pem("rsa"), pem("rsa", 1024))
        used = [one, one, two, one, three, one, two]
        keys = iter(used)
        world = self.hooked(lambda: [DKIMSignature("sender.example", "s", key=next(keys).decode())])
        for _ in used:
            self.accept(world)
        self.assertEqual(parsed, [one, two, three, two])

    def test_failures(self) -> None:
        """
        A provider that raises, is late, talks nonsense or has no usable key: the
        message is refused for now, and the log has nothing of the key.
        """
        logged: list[str] = []

        @implementer(ILogObserver)
        def observer(event: LogEvent) -> None:
            logged.append(f"{event} {formatEvent(event)}")

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for answer, waits in (
            (lambda: 1 / 0, 0),
            (lambda: fail(ZeroDivisionError()), 0),
            (lambda: Deferred(), 11),
            (lambda: "s1", 0),
            (lambda: ["s1"], 0),
            (lambda: [DKIMSignature("sender.example", "a b", key="SECRET")], 0),
            (lambda: [DKIMSignature("sender.example", "s", key="SECRET")], 0),
            (lambda: [DKIMSignature("sender.example", "s", keyfile="/nowhere/key")], 0),
        ):
            world = self.hooked(answer)
            injection = world.begin_injection(SENDER, [BOB], world.message())
            world.advance(1 + waits)
            self.assertEqual(injection.reply[:10], b"451 4.7.5 ", answer)
            self.assertEqual(world.mainlog("R"), [])
            self.flushLoggedErrors(ZeroDivisionError)
        reasons = [text for text in logged if "could not be signed, and is refused for now" in text]
        self.assertEqual(len(reasons), 8)
        self.assertNotIn("SECRET", "".join(logged))
