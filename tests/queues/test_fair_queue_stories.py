"""
Classes of mail that share connections, in a whole service.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from momentum_tx.errors import ConfigError
from momentum_tx.inject.wishes import Wishes
from momentum_tx.testing.behaviours import Behaviour
from momentum_tx.testing.peer_session import Answer, ReceiverSession
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import WorldCase

#: Mail goes over one connection, one message after the other.
ONE = "[global]\nmax_outbound_connections = 1\n"
#: Mail without traits, and with one.
TWO: dict[str, Wishes] = {"plain": {}, "high": {"priority": "high"}}


class Slow(Behaviour):
    """
    Takes so many seconds to take a message.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def adjust(self, session: ReceiverSession, point: str, answer: Answer) -> Answer:
        return replace(answer, after=self._seconds) if point == "dot" else answer


class SharingTests(WorldCase):
    """
    What those who send see, and those who configure.
    """

    def send(self, world: World, count: int, tenant: str = "", campaign: str = "", priority: str = "") -> None:
        """
        Send messages of a class; the sender's address names it.
        """
        name = tenant or campaign or priority or "none"
        for number in range(count):
            world.send(
                f"{name}@sender.example",
                [f"u{number}@example.com"],
                world.message(),
                tenant=tenant,
                campaign=campaign,
                priority=priority,
            )

    def order(self, mx: Receiver) -> list[str]:
        """
        The classes of what was taken, in order.
        """
        return [taken.sender.partition(b"@")[0].decode() for taken in mx.ledger]

    def test_passwords(self) -> None:
        """
        Behind a campaign of thousands ten password mails leave within a second: twenty connections, and a
        receiver that takes ten milliseconds for a message.
        """
        world = self.world("[global]\nmax_outbound_connections = 20\n")
        mx = world.exchanger("example.com")
        mx.add(Slow(0.01))
        self.send(world, 5000, campaign="spring")
        world.advance(0.5)
        self.assertGreater(world.queued(), 3000)
        sent = world.clock.seconds()
        self.send(world, 10, priority="password")
        world.advance(1.0)
        self.assertGreater(world.queued(), 1000)
        times = [taken.at - sent for taken in mx.ledger if taken.sender.startswith(b"password@")]
        self.assertEqual(len(times), 10)
        self.assertLess(max(times), 1.0)
        world.advance(60)
        self.assertEqual(Counter(self.order(mx)), {"spring": 5000, "password": 10})

    def shares(self, classes: dict[str, Wishes], before: str = "", after: str = "", count: int = 20) -> Counter[str]:
        """
        How the first messages are shared among classes that have thirty each.

        :param classes: traits, by a word for the class.
        :param before: the configuration while the mail waits.
        :param after: what is put into force then; the same if empty.
        """
        world = self.world(ONE + before + "suspend_delivery = true\n")
        mx = world.exchanger("example.com")
        for word, traits in classes.items():
            for number in range(30):
                world.send(f"{word}@sender.example", [f"u{number}@example.com"], world.message(), **traits)
        world.advance(5)
        self.assertEqual(world.queued(), 30 * len(classes))
        world.reload(ONE + (after or before))
        world.advance(600)
        order = self.order(mx)
        self.assertEqual(len(order), 30 * len(classes))
        return Counter(order[:count])

    def test_alike(self) -> None:
        """
        Classes that nobody weighs share alike, mail without traits being one of them.
        """
        classes: dict[str, Wishes] = {
            "bulk": {},
            "acme": {"tenant": "acme"},
            "urgent": {"tenant": "acme", "priority": "high"},
        }
        self.assertEqual(self.shares(classes, count=30), dict.fromkeys(classes, 10))

    def test_share_weights(self) -> None:
        """
        ``share_weights`` makes shares larger and smaller; several that suit multiply.
        """
        classes: dict[str, Wishes] = {
            "plain": {},
            "high": {"tenant": "acme", "priority": "high"},
            "spring": {"campaign": "spring"},
            "both": {"tenant": "acme", "campaign": "spring"},
        }
        weights = 'share_weights = ["tenant:acme=2", "priority:high=4", "campaign:spring=0.5"]\n'
        shares = self.shares(classes, weights, count=21)
        self.assertEqual(shares, {"plain": 2, "high": 16, "spring": 1, "both": 2})

    def test_reloaded(self) -> None:
        """
        Weights of a reload hold for the mail that waits.
        """
        weights = 'share_weights = ["priority:high=9"]\n'
        self.assertEqual(self.shares(TWO, "", weights), {"plain": 2, "high": 18})
        self.assertEqual(self.shares(TWO, weights, "share_weights = []\n"), {"plain": 10, "high": 10})

    def test_of_a_domain(self) -> None:
        """
        A class may weigh otherwise for one domain.
        """
        world = self.world(ONE + "suspend_delivery = true\n")
        receivers = {domain: world.exchanger(domain) for domain in ("example.com", "example.net")}
        for domain in receivers:
            for _ in range(10):
                world.send("plain@sender.example", [f"u@{domain}"], world.message())
                world.send("high@sender.example", [f"u@{domain}"], world.message(), priority="high")
        world.advance(5)
        world.reload(ONE + '[domain."example.net"]\nshare_weights = ["priority:high=4"]\n')
        world.advance(60)
        for domain, high in (("example.com", 5), ("example.net", 8)):
            self.assertEqual(self.order(receivers[domain])[:10].count("high"), high, domain)

    def test_share_by(self) -> None:
        """
        ``share_by`` names what tells classes apart: here a tenant has its share, however many campaigns it has.
        """
        classes: dict[str, Wishes] = {
            f"acme{number}": {"tenant": "acme", "campaign": str(number)} for number in range(3)
        }
        classes["other"] = {"tenant": "other"}
        self.assertEqual(self.shares(classes)["other"], 5)
        self.assertEqual(self.shares(classes, 'share_by = ["tenant", "priority"]\n')["other"], 10)

    def test_share_by_nothing(self) -> None:
        """
        An empty ``share_by`` has all mail go first come first out.
        """
        self.assertEqual(self.shares(TWO, "share_by = []\n"), {"plain": 20})

    def test_share_by_lasts(self) -> None:
        """
        A reload does not change what tells classes apart; that takes a restart.
        """
        self.assertEqual(self.shares(TWO, "", "share_by = []\n"), {"plain": 10, "high": 10})

    def test_mistakes(self) -> None:
        """
        What is no weight and no trait is refused, with the place.
        """
        for line, text in (
            ('share_weights = ["tenant:acme"]', 'element 1: "tenant:acme" is not of the form'),
            (
                'share_weights = ["tenant:a=1", "tenant:b=0"]',
                'element 2: "tenant:b=0" has no weight from 0.001 to 1000',
            ),
            ('share_by = ["sender"]', 'element 1: "sender" is not a trait'),
        ):
            error = self.assertRaises(ConfigError, World, 1, f"[global]\n{line}\n")
            self.assertIn(text, str(error))

    def test_batches_pay(self) -> None:
        """
        Recipients that go in one transaction are a turn each.
        """
        world = self.world(ONE + "suspend_delivery = true\n")
        mx = world.exchanger("example.com")
        for number in range(20):
            world.send(
                "many@sender.example",
                [f"u{number}x{each}@example.com" for each in range(4)],
                world.message(),
                tenant="many",
            )
        self.send(world, 80, tenant="single")
        world.advance(5)
        world.reload(ONE)
        world.advance(60)
        order = self.order(mx)
        self.assertEqual(order[:50].count("many"), 10)
        self.assertEqual(len(self.taken(mx)), 160)

    def test_after_a_crash(self) -> None:
        """
        Mail that was found in the spool shares as before.
        """
        world = self.world(ONE + "suspend_delivery = true\n")
        mx = world.exchanger("example.com")
        self.send(world, 20, campaign="spring")
        self.send(world, 5, priority="high")
        world.advance(5)
        world.config_text = ONE
        world.crash()
        world.advance(60)
        self.assertEqual(self.order(mx)[:10].count("high"), 5)
