"""
What reports a sender wants, on its way from the injector to the peer.
"""

from typing import Any

from zope.interface import implementer

from momentum_tx.envelope import Notify
from momentum_tx.errors import MessageRefused
from momentum_tx.interfaces.hooks import ILogDeliveryV1
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

CAROL, DAVE = "carol@example.com", "dave@example.com"
SAID = b"MAIL FROM:<a@sender.example> RET=HDRS ENVID=Q+2047+2B11"


@implementer(ILogDeliveryV1)
class Relayed:
    """
    Notes for which deliveries a report is ours to write.
    """

    def __init__(self) -> None:
        self.of: dict[bytes, bool] = {}

    def log_delivery_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.of[msg.recipient] = msg.relayed


class DSNCase(WorldCase):
    """
    A message of which reports are wanted, to three recipients.
    """

    def peer(self, world: World, *extensions: bytes) -> Receiver:
        """
        The exchanger of example.com.
        """
        mx = world.exchanger("example.com")
        mx.extensions = list(extensions)
        return mx

    def send(self, world: World) -> None:
        """
        Send it in process.
        """
        world.send(
            SENDER,
            [BOB, CAROL, DAVE],
            world.message(),
            envid="Q 47+11",
            ret="hdrs",
            notify=["SUCCESS, FAILURE", Notify.NEVER, ""],
            orcpt=["Bob+x@old.example", "", ""],
        )

    def said(self, receiver: Receiver, *verbs: bytes) -> list[bytes]:
        """
        The commands that begin with one of *verbs*.
        """
        return [line for _, line in receiver.commands if line.startswith(verbs)]


class OfferedTests(DSNCase):
    """
    A peer with DSN.
    """

    ALL = (
        SAID,
        b"RCPT TO:<bob@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@old.example",
        b"RCPT TO:<carol@example.com> NOTIFY=NEVER",
        b"RCPT TO:<dave@example.com>",
    )

    def test_passed_on(self) -> None:
        """
        All goes on in one transaction, each recipient with what was said of it, and
        nothing is left for us to report.
        """
        told = Relayed()
        world = self.world(providers=[told])
        mx = self.peer(world, b"DSN")
        self.send(world)
        world.advance(1)
        self.assertEqual(self.said(mx, b"MAIL", b"RCPT"), list(self.ALL))
        self.assertEqual(set(told.of.values()), {False})

    def test_injected(self) -> None:
        """
        The same by SMTP, octet for octet.
        """
        world = self.world()
        mx = self.peer(world, b"DSN")
        parameters = [line.decode().partition("> ")[2] for line in self.ALL]
        reply = world.inject(SENDER, [BOB, CAROL, DAVE], world.message(), parameters=parameters)
        self.assertEqual(reply[:4], b"250 ")
        world.advance(1)
        self.assertEqual(self.said(mx, b"MAIL", b"RCPT"), list(self.ALL))

    def test_kept(self) -> None:
        """
        A failure for now, a restart of the service and another failure change nothing of it.
        """
        world = self.world("[global]\nretry_interval = 60\n")
        mx = self.peer(world, b"DSN")
        mx.on("dot", b"451 4.2.1 Later", times=2)
        self.send(world)
        world.advance(1)
        world.crash()
        world.advance(600)
        self.assertEqual(len(mx.ledger), 1)
        lines = self.said(mx, b"MAIL", b"RCPT")
        self.assertEqual((lines[:4], lines[4:8], lines[8:]), (list(self.ALL),) * 3)

    def test_requeued_alone(self) -> None:
        """
        A recipient that is tried again by itself has its own parameters, not its neighbour's.
        """
        world = self.world("[global]\nretry_interval = 60\n")
        mx = self.peer(world, b"DSN")
        mx.refuse[CAROL] = b"451 4.2.1 Later"
        self.send(world)
        world.advance(1)
        mx.refuse.clear()
        world.advance(90)
        self.assertEqual(self.said(mx, b"MAIL", b"RCPT")[4:], [SAID, self.ALL[2]])

    def test_plain_message(self) -> None:
        """
        Mail of which nothing was said goes without parameters.
        """
        world = self.world()
        mx = self.peer(world, b"DSN")
        self.accept(world)
        world.advance(1)
        lines = self.said(mx, b"MAIL", b"RCPT")
        self.assertEqual(lines, [b"MAIL FROM:<a@sender.example>", b"RCPT TO:<bob@example.com>"])


class NotOfferedTests(DSNCase):
    """
    A peer without DSN.
    """

    def test_not_said(self) -> None:
        """
        It hears nothing of reports; whose sender wants to know of the delivery is told by us.
        """
        told = Relayed()
        world = self.world(providers=[told])
        mx = self.peer(world)
        self.send(world)
        world.advance(1)
        lines = self.said(mx, b"MAIL", b"RCPT")
        self.assertEqual(lines[0], b"MAIL FROM:<a@sender.example>")
        self.assertEqual([line.partition(b">")[2] for line in lines], [b""] * 4)
        self.assertEqual(told.of, {BOB.encode(): True, CAROL.encode(): False, DAVE.encode(): False})

    def test_helo(self) -> None:
        """
        Neither does one that only knows HELO.
        """
        told = Relayed()
        world = self.world(providers=[told])
        mx = self.peer(world, b"DSN")
        mx.on("EHLO", b"500 5.5.1 What?")
        self.send(world)
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)
        self.assertTrue(told.of[BOB.encode()])


class RefusedTests(DSNCase):
    """
    What an application may not say.
    """

    def test_nonsense(self) -> None:
        """
        It is refused at once, and the text says what is wrong.
        """
        world = self.world()
        for said, text in (
            ({"envid": "zwölf"}, "printable ASCII"),
            ({"ret": "SOME"}, "RET is FULL or HDRS"),
            ({"notify": "NEVER,SUCCESS"}, "NOTIFY=NEVER stands alone"),
            ({"notify": Notify.NEVER | Notify.DELAY}, "NOTIFY=NEVER stands alone"),
            ({"notify": ["NEVER"]}, "notify: 1 for 2 recipients"),
            ({"orcpt": BOB}, "orcpt: 1 for 2 recipients"),
            ({"orcpt": ["nobody", ""]}, "address without a domain"),
        ):
            sending = world.send(SENDER, [BOB, CAROL], world.message(), **said)
            error = self.failureResultOf(sending, MessageRefused).value
            assert isinstance(error, MessageRefused)
            self.assertEqual((error.code, text in error.text), (550, True), error.text)
