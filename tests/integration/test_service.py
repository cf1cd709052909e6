"""
The whole service as an operator runs it: ``twistd -n momentum-tx`` in a process
of its own, real sockets, real signals, foreign programs at both ends.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from momentum_tx.net.endpoint import BoundClientEndpoint
from tests.net.certificates import self_signed

from .needs import require
from .running import Injector, Program, Sink, Twistd, free_port, mainlog, until

#: Waits as short as a test's patience.
SHORT = "retry_interval = 0.2\nmax_retry_interval = 0.5\nhost_failure_retry = 0.1\ndelayed_queue_scan_interval = 0.1\n"


class ServiceCase(TestCase):
    """
    A directory, sinks and a service, cleaned up in the end.
    """

    timeout = 45

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="momentum-tx-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.port = free_port()
        self.path = os.path.join(self.directory, "momentum-tx.toml")
        self.service: Twistd

    def configure(self, tables: str, options: str = "") -> None:
        """
        Write the configuration.
        """
        Path(self.path).write_text(
            f'[global]\nstate_dir = "{self.directory}/state"\nhostname = "mta.example"\n'
            f'smtp_listen = ["tcp:{self.port}:interface=127.0.0.1"]\nquit_timeout = 0.5\nidle_timeout = 0.5\n'
            f"{options}{tables}"
        )

    async def start(self) -> Twistd:
        """
        Start the service and wait until it takes mail.
        """
        self.service = service = Twistd(self.directory, "--config", self.path)
        self.addCleanup(service.kill)
        await service.ready(self.port)
        return service

    async def stop(self) -> None:
        """
        SIGTERM ends it in order.
        """
        self.service.signal("TERM")
        status = await self.service.ended
        self.assertEqual(status, 0, self.service.out)
        self.assertNotIn(b"Traceback", self.service.out + self.service.err)

    async def sink(self, host: str = "127.0.0.1") -> tuple[Sink, int]:
        """
        A server that takes everything; its port.
        """
        real: Any = reactor
        sink = Sink()
        listening: Any = await TCP4ServerEndpoint(real, 0, interface=host).listen(sink)
        self.addCleanup(listening.stopListening)
        return sink, listening.getHost().port

    async def inject(self, messages: Sequence[tuple[str, bytes]]) -> Injector:
        """
        Begin to send *messages* to the service.
        """
        injector: Any = Injector(messages)
        factory = Factory()
        factory.buildProtocol = lambda addr: injector  # type: ignore[method-assign]
        await BoundClientEndpoint(reactor, "127.0.0.1", self.port, 5).connect(factory)
        return injector

    async def inject_all(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """
        Send *messages*; each must be accepted.
        """
        self.assertTrue(await (await self.inject(messages)).done)

    def records(self, kind: str) -> list[list[str]]:
        """
        The records of one kind in mainlog.
        """
        return [fields for fields in mainlog(self.directory) if fields[4] == kind]


class BindingTests(ServiceCase):
    """
    Mail leaves from the address of its binding.
    """

    BINDINGS = "".join(f'[binding.b{n}]\nbind_address = "127.0.0.{n}"\n' for n in (2, 3, 4))

    async def test_three_bindings(self) -> None:
        """
        Three hundred messages over three bindings to three servers: each
        arrives once, from its binding's address, without the field that chose
        it; mainlog has exactly one R and one D record for each.
        """
        sinks = {n: await self.sink(f"127.0.0.{n}") for n in (2, 3, 4)}
        routes = "".join(f'[domain."d{n}.test"]\nroutes = ["127.0.0.{n}:{port}"]\n' for n, (_, port) in sinks.items())
        self.configure(self.BINDINGS + routes)
        await self.start()
        wanted: dict[str, str] = {}
        batches: list[list[tuple[str, bytes]]] = [[], [], []]
        for number in range(300):
            binding, domain = 2 + number % 3, 2 + number // 3 % 3
            recipient = f"u{number}@d{domain}.test"
            wanted[recipient] = f"127.0.0.{binding}"
            batches[number % 3].append(
                (recipient, f"X-Binding: b{binding}\nSubject: n{number}\n\n.dots and text\n".encode())
            )
        await gatherResults([Deferred.fromCoroutine(self.inject_all(batch)) for batch in batches])

        def arrived() -> list[tuple[str, str, bytes]]:
            return [entry for sink, _ in sinks.values() for entry in sink.arrived]

        await until(lambda: len(arrived()) >= 300, "300 messages")
        await until(lambda: len(self.records("D")) >= 300, "300 D records")
        await self.stop()
        self.assertEqual(sorted(recipient for recipient, _, _ in arrived()), sorted(wanted))
        for recipient, peer, content in arrived():
            self.assertEqual(peer, wanted[recipient], recipient)
            name = recipient[1:].partition("@")[0]
            self.assertTrue(content.endswith(f"\nSubject: n{name}\n\n.dots and text\n".encode()), content)
            self.assertNotIn(b"X-Binding", content)
        for n, (sink, _) in sinks.items():
            self.assertEqual({recipient.partition("@")[2] for recipient, _, _ in sink.arrived}, {f"d{n}.test"})
        received, delivered = self.records("R"), self.records("D")
        self.assertEqual(len(mainlog(self.directory)), 600)
        ids = {fields[1] for fields in received}
        self.assertEqual(len(ids), 300)
        self.assertEqual(sorted(fields[1] for fields in delivered), sorted(ids))
        self.assertEqual(Counter(fields[8] for fields in delivered), Counter(b2=100, b3=100, b4=100))

    async def test_postfix_programs(self) -> None:
        """
        Postfix's test programs at both ends: what smtp-source sends, smtp-sink
        counts.
        """
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        port = free_port()
        sink = Program([require("smtp-sink"), *user, "-c", f"127.0.0.1:{port}", "100"])
        self.addCleanup(sink.kill)
        self.configure(f'[domain."sink.test"]\nroutes = ["127.0.0.1:{port}"]\n', SHORT)
        await self.start()
        arguments = "-m 200 -s 4 -l 3000 -f a@sender.example -t b@sink.test"
        source = Program([require("smtp-source"), *arguments.split(" "), f"127.0.0.1:{self.port}"])
        self.addCleanup(source.kill)
        self.assertEqual(await source.ended, 0, source.err)
        await until(lambda: len(self.records("D")) >= 200, "200 D records")
        await self.stop()
        await until(lambda: b"mesg=200\r" in sink.out, "a count of 200")
        self.assertEqual((len(self.records("R")), len(self.records("D"))), (200, 200))
        self.assertEqual(self.records("T"), [])

    async def test_swaks(self) -> None:
        """
        An injector that many know, and the binding it asks for.
        """
        sink, port = await self.sink()
        self.configure(self.BINDINGS + f'[domain."d.test"]\nroutes = ["127.0.0.1:{port}"]\n')
        await self.start()
        arguments = "--helo injector.example --from a@sender.example --to b@d.test --h-X-Binding b3 --body hello"
        swaks = Program([require("swaks"), "--server", f"127.0.0.1:{self.port}", *arguments.split(" ")])
        self.addCleanup(swaks.kill)
        self.assertEqual(await swaks.ended, 0, swaks.out)
        await until(lambda: sink.arrived, "the message")
        self.assertEqual([entry[:2] for entry in sink.arrived], [("b@d.test", "127.0.0.3")])
        self.assertIn(b"hello", sink.arrived[0][2])
        await self.stop()


class TLSTests(ServiceCase):
    """
    STARTTLS to a foreign server.
    """

    async def test_ifavailable(self) -> None:
        """
        aiosmtpd takes mail only over TLS, with a certificate nobody knows: with
        ``tls = ifavailable`` it gets there encrypted.
        """
        certificate, key = self_signed()
        for name, pem in (("cert.pem", certificate), ("key.pem", key)):
            Path(self.directory, name).write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{self.directory}/cert.pem", f"{self.directory}/key.pem")
        arrived: list[tuple[list[str], bool, bytes]] = []

        class Keeping:
            async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
                arrived.append((envelope.rcpt_tos, session.ssl is not None, envelope.content))
                return "250 kept"

        port = free_port()
        controller = Controller(Keeping(), hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True)
        controller.start()
        self.addCleanup(controller.stop)
        self.configure(f'[domain."tls.test"]\nroutes = ["127.0.0.1:{port}"]\ntls = "ifavailable"\n')
        await self.start()
        await self.inject_all([("b@tls.test", b"Subject: x\n\nsecret\n")])
        await until(lambda: arrived, "the message")
        recipients, encrypted, content = arrived[0]
        self.assertEqual((recipients, encrypted), (["b@tls.test"], True))
        self.assertTrue(content.endswith(b"\r\n\r\nsecret\r\n"), content)
        await self.stop()
        self.assertEqual(len(self.records("D")), 1)


class LMTPTests(ServiceCase):
    """
    LMTP to a foreign server.
    """

    async def test_delivery(self) -> None:
        """
        aiosmtpd takes a message for two of three recipients, and the third, which
        was accepted at RCPT, is tried again alone.
        """
        arrived: list[list[str]] = []

        class Store:
            async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
                arrived.append(envelope.rcpt_tos)
                full = len(arrived) == 1
                return "\r\n".join(
                    "452 4.2.2 full" if full and recipient.startswith("b") else "250 2.1.5 kept"
                    for recipient in envelope.rcpt_tos
                )

        class LMTPController(Controller):
            def factory(self) -> Any:
                return LMTP(self.handler, hostname="store.test")

        port = free_port()
        controller = LMTPController(Store(), hostname="127.0.0.1", port=port)
        controller.start()
        self.addCleanup(controller.stop)
        self.configure(
            f'[domain."lmtp.test"]\nroutes = ["127.0.0.1"]\ndelivery_method = "LMTP"\nlmtp_port = {port}\n', SHORT
        )
        await self.start()
        await self.inject_all([("a@lmtp.test,b@lmtp.test,c@lmtp.test", b"Subject: x\n\ntext\n")])
        await until(lambda: len(arrived) == 2, "the second attempt")
        await self.stop()
        self.assertEqual(arrived, [["a@lmtp.test", "b@lmtp.test", "c@lmtp.test"], ["b@lmtp.test"]])
        self.assertEqual([fields[-1] for fields in self.records("T")], ["452 4.2.2 full"])
        self.assertEqual(len(self.records("D")), 3)


class CrashTests(ServiceCase):
    """
    kill -9.
    """

    def busy(self, injectors: list[Injector], sink: Sink, arrived: int) -> bool:
        """
        Whether both sides are in full swing.
        """
        return sum(len(injector.accepted) for injector in injectors) > 60 and len(sink.arrived) > arrived

    async def test_nothing_answered_is_lost(self) -> None:
        """
        Killed three times amid reception and delivery: whatever was answered
        with 250 arrives.
        """
        sink, port = await self.sink()
        self.configure(f'[domain."d.test"]\nroutes = ["127.0.0.1:{port}"]\n', SHORT)
        accepted: list[str] = []
        for round_number in range(3):
            await self.start()
            content = b"Subject: x\n\n" + b"text\n" * 200
            messages = [(f"r{round_number}n{n}@d.test", content) for n in range(2000)]
            injectors = [await self.inject(messages[n::4]) for n in range(4)]
            enough = len(accepted) + 60 * (round_number + 1)
            await until(partial(self.busy, injectors, sink, enough), "traffic")
            await self.service.kill()
            for injector in injectors:
                self.assertFalse(await injector.done)
                accepted += injector.accepted
        await self.start()
        wanted = set(accepted)
        await until(lambda: wanted <= {entry[0] for entry in sink.arrived}, "every message that was answered 250")
        await self.stop()
        arrived = Counter(entry[0] for entry in sink.arrived)
        # One in flight on each connection may arrive twice per crash.
        twice = sum(count - 1 for count in arrived.values())
        self.assertLess(twice, 3 * 32 + 1)
        self.assertGreater(len(wanted), 180)


class SignalTests(ServiceCase):
    """
    SIGTERM and SIGHUP.
    """

    async def test_sigterm_with_mail(self) -> None:
        """
        Mail that cannot be delivered does not keep the service from ending, and
        is there after the next start.
        """
        port = free_port()
        self.configure(f'[domain."d.test"]\nroutes = ["127.0.0.1:{port}"]\n', SHORT)
        await self.start()
        await self.inject_all([("b@d.test", b"Subject: x\n\ntext\n")])
        await until(lambda: self.records("T"), "a refused attempt")
        await self.stop()
        sink, port = await self.sink()
        self.configure(f'[domain."d.test"]\nroutes = ["127.0.0.1:{port}"]\n', SHORT)
        await self.start()
        await until(lambda: sink.arrived, "the message")
        await self.stop()

    async def test_sighup(self) -> None:
        """
        The log is opened anew and the configuration read anew; a bad one is
        refused with its line, and the old one stays in force.
        """
        _, first_port = await self.sink()
        second, second_port = await self.sink()
        route = '[domain."d.test"]\nroutes = ["127.0.0.1:{}"]\n'
        self.configure(route.format(first_port))
        await self.start()
        await self.inject_all([("one@d.test", b"Subject: 1\n\n")])
        await until(lambda: len(mainlog(self.directory)) == 2, "R and D")
        log = f"{self.directory}/state/log/mainlog"
        os.rename(log, log + ".1")
        self.configure(route.format(second_port).replace("d.test", "e.test") + route.format(first_port))
        self.service.signal("HUP")
        await until(lambda: b"read anew" in self.service.out, "the reload")
        self.assertTrue(os.path.exists(log))
        await self.inject_all([("two@e.test", b"Subject: 2\n\n")])
        await until(lambda: len(mainlog(self.directory)) == 2, "R and D in the new log")
        self.assertEqual([entry[0] for entry in second.arrived], ["two@e.test"])
        self.assertEqual(len(Path(log + ".1").read_text().splitlines()), 2)

        os.rename(log, log + ".2")
        self.configure("\nno_such_option = 1\n")
        self.service.signal("HUP")
        await until(lambda: b"refused" in self.service.out, "the refusal")
        (line,) = [line for line in self.service.out.splitlines() if b"refused" in line]
        self.assertIn(b"momentum-tx.toml:", line)
        self.assertIn(b"no_such_option", line)
        await until(lambda: os.path.exists(log), "the new log")
        await self.inject_all([("three@e.test", b"Subject: 3\n\n")])
        await until(lambda: len(second.arrived) == 2, "the third message")
        await until(lambda: len(mainlog(self.directory)) == 2, "R and D in the newest log")
        await self.stop()

    async def test_sighup_at_start(self) -> None:
        """
        SIGHUP as soon as mail is taken does not end the service.
        """
        sink, port = await self.sink()
        self.configure(f'[domain."d.test"]\nroutes = ["127.0.0.1:{port}"]\n')
        await self.start()
        for _ in range(3):
            self.service.signal("HUP")
            await deferLater(reactor, 0.02)
        await self.inject_all([("b@d.test", b"Subject: x\n\n")])
        await until(lambda: sink.arrived, "the message")
        await self.stop()
