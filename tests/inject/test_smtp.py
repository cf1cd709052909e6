"""
Clients that inject over SMTP.
"""

import errno
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from zope.interface import implementer
from zope.interface.verify import verifyClass

from momentum_tx.inject.smtp import SMTPReception
from momentum_tx.interfaces.hooks import ILogRejection
from momentum_tx.testing.wire import octet_by_octet
from momentum_tx.testing.world import LISTENING, World

from ..worlds import BOB, SENDER, WorldCase


class Client(Protocol):
    """
    A client that says what the test tells it and keeps what it hears.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard = b""
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        self.gone = True

    def codes(self) -> list[bytes]:
        """
        The codes of all replies.
        """
        return [line[:3] for line in self.heard.split(b"\r\n") if line[3:4] == b" "]


class InjectionCase(WorldCase):
    """
    Clients of one world.
    """

    def connect(self, world: World, source: str = "127.0.0.1") -> Client:
        """
        A connected client, greeted if it is to be greeted at once.
        """
        client = Client()
        world.client.dial(
            *LISTENING, source, None, lambda stream: stream.start(client), lambda error: self.fail(str(error))
        )
        world.advance(0.1)
        return client

    def say(self, world: World, client: Client, *lines: bytes) -> list[bytes]:
        """
        Say *lines*, one after the other, and let time pass; the codes heard since.
        """
        before = len(client.codes())
        for line in lines:
            client.transport.write(line + b"\r\n")
            world.advance(0.1)
        return client.codes()[before:]


class DialogueTests(InjectionCase):
    """
    What a client says and hears.
    """

    def test_half_close_is_tolerated(self) -> None:
        """
        The protocol says so.
        """
        self.assertTrue(verifyClass(IHalfCloseableProtocol, SMTPReception))

    def test_durable_before_250(self) -> None:
        """
        The reply to the dot comes after the disk has synced, not before; nor is
        the message logged or tried before that.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.threads.delay = 2.0
        client = self.connect(world)
        self.say(world, client, b"EHLO me", b"MAIL FROM:<a@b.example>", b"RCPT TO:<bob@example.com>", b"DATA")
        self.assertEqual(self.say(world, client, b"Subject: x\r\n\r\nhi\r\n."), [])
        world.advance(1.5)
        self.assertEqual(client.codes()[-1], b"354")
        self.assertEqual((world.mainlog(), mx.connections), ([], 0))
        world.advance(4)
        self.assertEqual(client.codes()[-1], b"250")

    def test_pipelined_and_octet_by_octet(self) -> None:
        """
        A whole dialogue in one write, or one octet at a time, gives the same
        replies and the same mail.
        """
        script = (
            b"EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nSubject: 1\r\n\r\nx\r\n.\r\n"
            b"MAIL FROM:<>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nSubject: 2\r\n\r\nx\r\n.\r\nQUIT\r\n"
        )
        for slow in (False, True):
            world = self.world()
            mx = world.exchanger("example.com")
            if slow:
                world.network.line(*LISTENING).split = octet_by_octet
            client = self.connect(world)
            client.transport.write(script)
            world.advance(5)
            self.assertEqual(
                client.codes(), b"220 250 250 250 354 250 250 250 354 250 221".split(), f"octet by octet: {slow}"
            )
            self.assertTrue(client.gone)
            self.assertEqual(sorted(taken.sender for taken in mx.ledger), [b"", b"a@b.example"])

    def test_hundreds_refused_in_one_piece(self) -> None:
        """
        A client that sends 700 messages in one piece, each of which is refused
        as soon as it is read, hears 700 refusals and the answer to QUIT.
        """
        world = self.world()
        client = self.connect(world)
        message = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nX-Binding: nosuch\r\n\r\n.\r\n"
        client.transport.write(b"EHLO client.example\r\n" + message * 700 + b"QUIT\r\n")
        world.advance(10)
        self.assertEqual(client.codes()[2:], [b"250", b"250", b"354", b"550"] * 700 + [b"221"])
        self.assertTrue(client.gone)
        self.assertEqual(len(world.mainlog("R")), 0)

    def test_half_closed(self) -> None:
        """
        A client that closes its side behind the last dot still reads the reply.
        """
        world = self.world()
        world.exchanger("example.com")
        world.threads.delay = 1.0
        client = self.connect(world)
        self.say(world, client, b"EHLO me", b"MAIL FROM:<a@b.example>", b"RCPT TO:<bob@example.com>", b"DATA")
        client.transport.write(b"Subject: x\r\n\r\nhi\r\n.\r\n")
        client.transport.loseWriteConnection()
        world.advance(5)
        self.assertEqual(client.codes()[-1], b"250")
        self.assertTrue(client.gone)

    def test_silent_client(self) -> None:
        """
        A client that is silent for ``inbound_timeout`` is told 421 and left; the
        time of our own disk does not count.
        """
        world = self.world("[global]\ninbound_timeout = 10\n")
        client = self.connect(world)
        world.advance(9.8)
        self.assertEqual(client.codes(), [b"220"])
        world.advance(0.3)
        self.assertEqual(client.codes(), [b"220", b"421"])
        self.assertTrue(client.gone)

        world = self.world("[global]\ninbound_timeout = 10\n")
        world.exchanger("example.com")
        client = self.connect(world)
        world.threads.delay = 20.0
        self.say(world, client, b"EHLO me", b"MAIL FROM:<>", b"RCPT TO:<bob@example.com>", b"DATA", b"\r\nx\r\n.")
        world.advance(50)
        self.assertIn(b"250", client.codes()[-2:])
        world.threads.delay = 0.0

    def test_client_that_does_not_read(self) -> None:
        """
        A client that sends on while its message waits for the disk is paused,
        not buffered without end; everything is answered in the end.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.threads.delay = 1.0
        client = self.connect(world)
        one = b"MAIL FROM:<>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n" + b"x" * 70 + b"\r\n" * 2 + b".\r\n"
        client.transport.write(b"EHLO me\r\n" + one * 700)
        world.advance(0.5)
        (ours,) = world.host.open_transports()[:1]
        self.assertTrue(ours._paused)
        world.threads.delay = 0.0
        world.advance(60)
        self.assertEqual(client.codes().count(b"354"), 700)
        self.assertEqual(len(mx.ledger), 700)
        client.transport.loseConnection()

    def test_gone_before_the_answer(self) -> None:
        """
        A client that vanishes while its message is synced leaves no trace; the
        message is delivered, for it may be durable.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.threads.delay = 1.0
        client = self.connect(world)
        self.say(world, client, b"EHLO me", b"MAIL FROM:<>", b"RCPT TO:<bob@example.com>", b"DATA")
        client.transport.write(b"\r\nx\r\n.\r\n")
        world.advance(0.1)
        client.transport.abortConnection()
        world.advance(10)
        self.assertEqual(len(mx.ledger), 1)


@implementer(ILogRejection)
class Watcher:
    """
    Remembers rejections.
    """

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, str]]] = []

    def log_rejection(
        self, now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        self.told.append((phase, ctx))


class RefusalTests(InjectionCase):
    """
    What is not taken.
    """

    def test_relaying(self) -> None:
        """
        A client outside of ``relay_hosts`` may not send anywhere, and the hook
        hears of it.
        """
        watcher = Watcher()
        world = self.world(providers=[watcher])
        reply = world.inject(SENDER, [BOB], world.message(), source="192.0.2.3")
        self.assertEqual(reply, b"550 5.7.1 Relaying denied")
        self.assertEqual(watcher.told, [(13, {"code": "550", "command": "RCPT TO:<bob@example.com>"})])
        world.advance(1.0)
        accounted = next(file.content.decode() for path, file in world.logs.items() if path.endswith("/acctlog"))
        self.assertRegex(accounted, r"^\d+@Z@smtp@192\.0\.2\.3:\d+@@0@RCPT TO@relay\n$")

    def test_requiretls(self) -> None:
        """
        REQUIRETLS is taken where an operator wants it, from this host alone.
        """
        for config, source, code in (
            ("", "127.0.0.1", b"555"),
            ("[global]\nrequiretls_on_loopback = true\n", "127.0.0.1", b"250"),
            ("[global]\nrequiretls_on_loopback = true\nrelay_hosts = ['0.0.0.0/0']\n", "192.0.2.3", b"555"),
        ):
            world = self.world(config)
            reply = world.inject(SENDER, [BOB], world.message(), source, ["REQUIRETLS"])
            self.assertEqual(reply[:3], code, (config, source))

    def test_too_many_clients(self) -> None:
        """
        More clients than ``max_inbound_connections_per_client`` get 421, and
        the hook hears of it.
        """
        watcher = Watcher()
        world = self.world("[global]\nmax_inbound_connections_per_client = 2\n", providers=[watcher])
        clients = [self.connect(world) for _ in range(3)]
        other = self.connect(world, "192.0.2.2")
        self.assertEqual([client.codes()[0] for client in [*clients, other]], [b"220", b"220", b"421", b"220"])
        self.assertEqual(watcher.told, [(18, {"code": "421", "command": ""})])
        clients[0].transport.loseConnection()
        world.advance(0.1)
        self.assertEqual(self.connect(world).codes(), [b"220"])

    def test_too_many_recipients(self) -> None:
        """
        The recipients beyond ``max_recipients_per_message`` get 452.
        """
        world = self.world("[global]\nmax_recipients_per_message = 100\n")
        client = self.connect(world)
        self.say(world, client, b"EHLO me", b"MAIL FROM:<>")
        codes = self.say(world, client, *[b"RCPT TO:<u%d@example.com>" % number for number in range(101)])
        self.assertEqual(codes, [b"250"] * 100 + [b"452"])

    def test_too_large(self) -> None:
        """
        A message beyond ``max_message_size`` gets 552, by SIZE or by itself.
        """
        world = self.world("[global]\nmax_message_size = 1000\n")
        client = self.connect(world)
        self.assertEqual(self.say(world, client, b"EHLO me", b"MAIL FROM:<> SIZE=2000"), [b"250", b"552"])
        reply = world.inject(SENDER, [BOB], world.message(body="0123456789\r\n" * 200))
        self.assertEqual(reply[:3], b"552")

    def test_sync_that_fails(self) -> None:
        """
        A sync that fails once is never believed: the 250 means that the message
        is safe elsewhere, also from a power cut.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.network.refuse(mx.address)
        world.files.fail("sync", errno.EIO, times=1)
        self.assertEqual(world.inject(SENDER, [BOB], world.message())[:3], b"250")
        world.power_cut()
        world.network.restore(mx.address)
        world.advance(1300)
        self.assertEqual(len(mx.ledger), 1)

    def test_smuggling(self) -> None:
        """
        A bare line feed in the content is refused: no second message hides there.
        """
        world = self.world()
        reply = world.inject(SENDER, [BOB], world.message(body="one\n.\nMAIL FROM:<x@y.example>\r\n"))
        self.assertEqual(reply, b"550 5.6.0 Message refused: bare LF")

    def test_loop(self) -> None:
        """
        A message with a hundred ``Received`` fields is looping.
        """
        world = self.world()
        content = b"Received: by x\r\n" * 100 + world.message()
        self.assertEqual(world.inject(SENDER, [BOB], content)[:9], b"554 5.4.6")
