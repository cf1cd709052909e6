"""
Sessions that speak LMTP, and SMTP without extensions.
"""

from typing import Any

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogDeliveryV1, ILogPermanentFailureV1, ILogTransientFailureV1
from momentum_tx.policy.consequence import TOO_MANY_FAILURES
from momentum_tx.testing.peers import CLOSE, SILENCE, TAKE_AND_CLOSE, Receiver, Step
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase

CAROL, DAVE, ERIN = "carol@example.com", "dave@example.com", "erin@example.com"
LMTP = '[global]\nretry_interval = 600\ndelivery_method = "lmtp"\n'


@implementer(ILogDeliveryV1, ILogTransientFailureV1, ILogPermanentFailureV1)
class Told:
    """
    Keeps what became of each recipient: type of the record, recipient, note.
    """

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, str, str]] = []

    def _keep(self, kind: str, msg: Any, note: bytes) -> None:
        self.outcomes.append((kind, msg.recipient.decode(), note.decode()))

    def log_delivery_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> None:
        self._keep("D", msg, note)

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> None:
        self._keep("T", msg, note)

    def log_permanent_failure_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> None:
        self._keep("P", msg, note)


class LMTPTests(WorldCase):
    """
    ``delivery_method = "LMTP"``.
    """

    def store(self, config: str = LMTP, port: int = 2003) -> tuple[World, Receiver]:
        """
        A world with a server of LMTP.
        """
        self.told = Told()
        world = self.world(config, providers=[self.told])
        mx = world.exchanger("example.com", port=port)
        mx.lmtp = True
        return world, mx

    def doubtful(self, world: World) -> list[bytes]:
        """
        Recipients of delayed mail of which the service does not know whether the peer took it.
        """
        return sorted(m.recipient for m in world.domain("example.com").mail_queue.messages() if m.ambiguous)

    def test_delivery(self) -> None:
        """
        Mail goes to ``lmtp_port``, with LHLO and in groups; a session takes message
        after message.
        """
        world, mx = self.store()
        self.accept(world, [BOB, CAROL], subject="one")
        world.advance(1)
        self.accept(world, subject="two")
        world.advance(1)
        self.assertEqual(self.verbs(mx), [b"LHLO", b"MAIL", b"RCPT", b"RCPT", b"DATA", b"MAIL", b"RCPT", b"DATA"])
        self.assertEqual(self.taken(mx), [BOB.encode(), CAROL.encode(), BOB.encode()])
        self.assertEqual((self.kinds(world), mx.connections, mx.most_messages), ("RRDDRD", 1, 2))

    def test_port(self) -> None:
        """
        ``lmtp_port`` is another port; ``remote_smtp_port`` counts for nothing here.
        """
        world, mx = self.store(LMTP + "lmtp_port = 2424\nremote_smtp_port = 2525\n", 2424)
        self.accept(world)
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)

    def test_port_of_failures(self) -> None:
        """
        Failures are counted for the server there is: after ``mx_failures_to_delay``
        of them all mail waits.
        """
        world, mx = self.store(LMTP + "mx_failures_to_delay = 2\nhost_failure_retry = 0\n")
        mx.down()
        self.accept(world, [f"user{number}@example.com" for number in range(9)])
        world.advance(60)
        self.assertIn(TOO_MANY_FAILURES.decode(), [record["note"] for record in world.mainlog("T")])
        self.assertEqual(world.domain("example.com").mail_queue.active_size(), 0)

    def test_each_its_own(self) -> None:
        """
        Each recipient ends as its own reply to the dot says.
        """
        world, mx = self.store()
        mx.refuse[ERIN] = b"550 5.1.1 No such user"
        mx.on("dot", b"250 2.1.5 bob has it", times=1)
        mx.on("dot", b"452 4.2.2 carol is full", times=1)
        mx.on("dot", b"550 5.2.1 dave is closed", times=1)
        self.accept(world, [BOB, ERIN, CAROL, DAVE])
        world.advance(1)
        self.assertEqual(
            {recipient: (kind, note) for kind, recipient, note in self.told.outcomes},
            {
                BOB: ("D", "250 2.1.5 bob has it"),
                CAROL: ("T", "452 4.2.2 carol is full"),
                DAVE: ("P", "550 5.2.1 dave is closed"),
                ERIN: ("P", "550 5.1.1 No such user"),
            },
        )
        self.assertEqual(self.doubtful(world), [])
        world.advance(700)
        self.assertEqual(self.taken(mx), [BOB.encode(), CAROL.encode()])

    def test_ends_in_the_middle(self) -> None:
        """
        A session that ends between two replies: who had one is done, of the others
        it is not known whether they have it, and they are tried again.
        """
        steps: tuple[tuple[Step, list[str]], ...] = (
            (CLOSE, [CAROL, DAVE]),
            (TAKE_AND_CLOSE, [CAROL, DAVE]),
            (SILENCE, [CAROL, DAVE]),
            (b"421 4.3.2 carol has to wait", [DAVE]),
            (b"rubbish", [CAROL, DAVE]),
        )
        for step, doubtful in steps:
            world, mx = self.store(LMTP + "body_timeout = 30\n")
            mx.on("dot", step, times=1, skip=1)
            self.accept(world, [BOB, CAROL, DAVE])
            world.advance(40)
            self.assertEqual(
                [(kind, recipient) for kind, recipient, _ in self.told.outcomes],
                [("D", BOB), ("T", CAROL), ("T", DAVE)],
            )
            self.assertEqual(self.doubtful(world), [each.encode() for each in doubtful], step)
            world.advance(700)
            self.assertEqual(self.taken(mx).count(BOB.encode()), 1)
            self.assertEqual(self.kinds(world), "RRRDTTDD")

    def test_smtp_server(self) -> None:
        """
        A server that knows no LHLO is not given mail by SMTP instead.
        """
        world = self.world(LMTP)
        mx = world.exchanger("example.com", port=2003)
        self.accept(world)
        world.advance(10)
        self.assertEqual((mx.ledger, self.verbs(mx)), ([], [b"LHLO", b"QUIT"]))
        self.assertEqual(self.last(world, "T")["note"], "500 5.5.1 What?")


class SMTPTests(WorldCase):
    """
    ``delivery_method = "SMTP"``.
    """

    def test_no_extensions(self) -> None:
        """
        HELO is said, and nothing that EHLO would have offered is used.
        """
        world = self.world('[global]\ndelivery_method = "SMTP"\ntls = "ifavailable"\n')
        mx = world.exchanger("example.com")
        mx.size, mx.starttls = 100, True
        content = world.message() + "grüß\r\n".encode() * 100
        world.inject("a@sender.example", [BOB, CAROL], content)
        world.advance(1)
        self.assertEqual(
            [line for _, line in mx.commands],
            [
                b"HELO mail.sender.example",
                b"MAIL FROM:<a@sender.example>",
                b"RCPT TO:<bob@example.com>",
                b"RCPT TO:<carol@example.com>",
                b"DATA",
            ],
        )
        self.assertTrue(mx.ledger[0].content.endswith(content))
        self.assertEqual(self.kinds(world), "RRDD")

    def test_tls_required(self) -> None:
        """
        TLS cannot be had by HELO: where it is required no mail is sent.
        """
        world = self.world('[domain."example.com"]\ndelivery_method = "SMTP"\n[binding.default]\ntls = "required"\n')
        mx = world.exchanger("example.com")
        mx.starttls = True
        self.accept(world)
        world.advance(5)
        self.assertEqual(self.verbs(mx), [b"HELO", b"QUIT"])
        self.assertEqual(self.last(world, "T")["note"], "451 4.7.6 [internal] STARTTLS required but not advertised")
