"""
Tests of :mod:`momentum_tx.delivery.descriptors`: a process that has no descriptor left.
"""

from collections.abc import Sequence

from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces.hooks import ILogClientConnectionFailure
from momentum_tx.interfaces.records import IDomainRecord
from momentum_tx.interfaces.seams import IDialer
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import WorldCase

#: Every retry would be an hour later: what goes before was not delayed by a schedule.
PATIENT = "[global]\nretry_interval = 3600\nidle_timeout = 0.1\n"


@implementer(ILogClientConnectionFailure)
class Ear:
    """
    Remembers failed attempts.
    """

    def __init__(self) -> None:
        self.words: list[ConnFlag] = []

    def log_client_connection_failure(
        self, addr: object, error: ConnFlag, dr: IDomainRecord, binding_slot: int, now: float | None
    ) -> None:
        self.words.append(error)


class DescriptorsTests(WorldCase):
    """
    Nobody's mail suffers for our own poverty.
    """

    def made(self, domains: int, config: str = PATIENT) -> tuple[World, list[Receiver]]:
        """
        A world with some domains.
        """
        self.ear = Ear()
        self.told: list[str] = []
        world = self.world(config, providers=(self.ear,))
        self.patch(world.service.hooks, "tell_error", lambda now, level, text: self.told.append(f"{level} {text}"))
        return world, [world.exchanger(f"d{number}.example") for number in range(domains)]

    def mail(self, world: World, domains: int, each: int = 1) -> None:
        """
        A message for every domain.
        """
        for _ in range(each):
            for number in range(domains):
                self.accept(world, [f"bob@d{number}.example"])

    def arrived(self, receivers: Sequence[Receiver]) -> list[int]:
        """
        How much everybody has.
        """
        return [len(receiver.ledger) for receiver in receivers]

    def test_provides(self) -> None:
        """
        It is a dialer.
        """
        world, _ = self.made(0)
        self.assertTrue(verifyObject(IDialer, world.service.delivery.facilities.dialer))

    def test_waits(self) -> None:
        """
        Without a descriptor mail waits: no host is marked, no message has failed, nothing is
        logged of one, and it goes within a second or two of there being one.
        """
        world, receivers = self.made(1)
        world.host.lacking = ConnFlag.ERROR_SOCKET
        self.mail(world, 1)
        world.advance(600)
        self.assertEqual((self.arrived(receivers), self.kinds(world)), ([0], "R"))
        self.assertEqual(set(self.ear.words), {ConnFlag.ERROR_SOCKET | ConnFlag.ACTION_REQUEUE1})
        domain = world.domain("d0.example")
        self.assertEqual((domain.mail_queue.active_size(), domain.mail_queue.size()), (1, 1))
        self.assertEqual(domain.contact_failing_since, 0)
        world.host.lacking = ConnFlag(0)
        world.advance(2)
        self.assertEqual((self.arrived(receivers), self.kinds(world)), ([1], "RD"))

    def test_told(self) -> None:
        """
        An operator is told once a minute, with what to do.
        """
        world, _ = self.made(1)
        world.host.lacking = ConnFlag.ERROR_SOCKET
        self.mail(world, 1)
        world.advance(30)
        (told,) = self.told
        self.assertIn("error no connection can be opened (socket: Too many open files)", told)
        world.advance(90)
        self.assertEqual(len(self.told), 2)

    def test_one_asks(self) -> None:
        """
        However many domains wait, one of them asks in a second; when there is a
        descriptor all of them go at once.
        """
        world, receivers = self.made(100)
        world.host.lacking = ConnFlag.ERROR_SOCKET
        self.mail(world, 100)
        world.advance(20)
        before = len(self.ear.words)
        world.advance(30)
        self.assertEqual(len(self.ear.words) - before, 30)
        world.host.lacking = ConnFlag(0)
        world.advance(2)
        self.assertEqual(self.arrived(receivers), [1] * 100)

    def test_few(self) -> None:
        """
        With three descriptors for thirty domains all mail goes, by turns, as fast as
        connections end; and nothing is delayed.
        """
        world, receivers = self.made(30)
        world.host.most_descriptors = 3
        self.mail(world, 30, 2)
        world.advance(6)
        self.assertEqual(self.arrived(receivers), [2] * 30)
        self.assertEqual(set(self.kinds(world)), {"R", "D"})

    def test_over(self) -> None:
        """
        When nobody waits any more the shortage is over, and everybody is free to ask.
        """
        world, receivers = self.made(40)
        world.host.lacking = ConnFlag.ERROR_SOCKET
        self.mail(world, 1)
        world.advance(5)
        descriptors = world.service.delivery.facilities.descriptors
        self.assertTrue(descriptors.short)
        world.host.lacking = ConnFlag(0)
        world.advance(4)
        self.assertFalse(descriptors.short)
        self.mail(world, 40)
        world.advance(0.5)
        self.assertEqual(self.arrived(receivers), [2] + [1] * 39)

    def test_nothing_left_to_send(self) -> None:
        """
        Whoever waited and has nothing to send any more holds up nobody.
        """
        world, receivers = self.made(3)
        world.host.lacking = ConnFlag.ERROR_SOCKET
        self.mail(world, 3)
        world.advance(5)
        world.reload(PATIENT + '[domain."d0.example"]\nblackhole = "internal"\n')
        world.advance(5)
        world.host.lacking = ConnFlag(0)
        world.advance(4)
        self.assertEqual(self.arrived(receivers), [0, 1, 1])

    def test_other_faults(self) -> None:
        """
        A socket that cannot be made ready is no shortage: the message is delayed.
        """
        world, _ = self.made(1)
        world.host.lacking = ConnFlag.ERROR_IOCTL
        self.mail(world, 1)
        world.advance(5)
        self.assertEqual(self.kinds(world), "RT")
