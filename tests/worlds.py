"""
What the stories have in common: a virtual world that is checked at its end.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import IGenerateBounces
from momentum_tx.interfaces.records import IMessage
from momentum_tx.testing.logs import Record
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

SENDER = "a@sender.example"
BOB = "bob@example.com"


@implementer(IGenerateBounces)
class NoReports:
    """
    Has no sender told of a failure: most stories are about other mail.
    """

    def generate_bounces(self, msg: IMessage, enabled: bool) -> bool:
        return False


class WorldCase(SynchronousTestCase):
    """
    A story in a virtual world.  Whatever it was about, at its end the service
    stops and holds nothing of the world.
    """

    def world(
        self,
        config: str = "",
        seed: int = 1,
        providers: Sequence[object] = (),
        start: bool = True,
        reports: bool = False,
    ) -> World:
        """
        A world that is stopped and checked when the test is over.

        :param reports: whether senders are told of failures.
        """
        world = World(seed, config, providers if reports else [NoReports(), *providers], start)
        self.addCleanup(self.finish, world)
        return world

    def finish(self, world: World) -> None:
        """
        Stop the service; it must have released everything.
        """
        world.stop()
        self.assertEqual(world.leftovers(), [])

    def accept(self, world: World, recipients: Sequence[str] = (BOB,), subject: str = "hello", **fields: str) -> None:
        """
        Inject a message that is accepted.
        """
        reply = world.inject(SENDER, recipients, world.message(subject, **fields))
        self.assertEqual(reply[:4], b"250 ", reply)

    def kinds(self, world: World) -> str:
        """
        The types of all records of mainlog, in order.
        """
        return "".join(record.kind for record in world.mainlog())

    def last(self, world: World, kind: str) -> Record:
        """
        The last record of a type.
        """
        return world.mainlog(kind)[-1]

    def taken(self, receiver: Receiver) -> list[bytes]:
        """
        All recipients in a receiver's ledger, in order.
        """
        return [recipient for taken in receiver.ledger for recipient in taken.recipients]

    def verbs(self, receiver: Receiver, connection: int = 0) -> list[bytes]:
        """
        Verbs a receiver heard, on one connection or on all.
        """
        return [line[:4] for number, line in receiver.commands if connection in (0, number)]
