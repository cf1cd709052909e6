"""
Stories of many domains some of which are in trouble: the others do not notice.
"""

from __future__ import annotations

from collections.abc import Callable

from momentum_tx.testing.behaviours import Tarpit
from momentum_tx.testing.dns import Fault
from momentum_tx.testing.peers import SILENCE, Answer, Receiver
from momentum_tx.testing.world import World

from ..worlds import SENDER, WorldCase

DOMAINS = 100
#: Messages per second, in turn to every domain, and for how many seconds.
RATE = 20
SECONDS = 15
#: Mail that waits for each bad domain from the beginning, so that it wants many connections.
BACKLOG = 100

Trouble = Callable[[World, str, Receiver], object]


def at(point: str, step: bytes | Answer) -> Trouble:
    """
    Receivers that do *step* at a point.
    """
    return lambda world, domain, mx: mx.on(point, step)


def black_hole(world: World, domain: str, mx: Receiver) -> None:
    """
    Connections are never answered.
    """
    world.network.black_hole(mx.address)


def refused(world: World, domain: str, mx: Receiver) -> None:
    """
    Nobody listens.
    """
    world.network.refuse(mx.address)


def tarpit(world: World, domain: str, mx: Receiver) -> None:
    """
    Every answer comes late.
    """
    mx.add(Tarpit(20.0))


def drip(world: World, domain: str, mx: Receiver) -> None:
    """
    One octet arrives every five seconds.
    """
    world.network.line(mx.address).bandwidth = 0.2


def no_answer_of_dns(world: World, domain: str, mx: Receiver) -> None:
    """
    The question for the exchangers is never answered.
    """
    world.resolver.faults[domain] = Fault.SILENT


class IsolationCase(WorldCase):
    """
    A hundred domains, of which the first are bad.
    """

    _all_good: dict[str, dict[bytes, float]] = {}

    def all_good(self, first: int, config: str = "") -> dict[bytes, float]:
        """
        :meth:`delays` where no domain is bad, of the domains from number *first* on.
        """
        if config not in self._all_good:
            self._all_good[config] = self.delays(0, refused, config)
            self.assertEqual(len(self._all_good[config]), RATE * SECONDS)
        return {to: delay for to, delay in self._all_good[config].items() if int(to[to.index(b"@d") + 2 : -8]) >= first}

    def delays(self, bad: int, trouble: Trouble, config: str = "") -> dict[bytes, float]:
        """
        Seconds from the submission of each message to a good domain until its
        receiver had it.
        """
        world = self.world(config)
        mxs: dict[str, Receiver] = {}
        for number in range(DOMAINS):
            domain = f"d{number}.example"
            mx = mxs[domain] = world.exchanger(domain)
            mx.keep_commands = False
            world.network.line(mx.address).latency = 0.02
            if number < bad:
                trouble(world, domain, mx)
                backlog = [f"b{each}@{domain}" for each in range(BACKLOG)]
                world.send(SENDER, backlog, world.message("backlog")).addErrback(lambda _: None)
        world.advance(1.0)
        sent: dict[bytes, float] = {}
        for number in range(RATE * SECONDS):
            to = f"u{number}@d{number * 37 % DOMAINS}.example"
            sent[to.encode()] = world.clock.seconds()
            world.send(SENDER, [to], world.message()).addErrback(lambda _: None)
            world.advance(1.0 / RATE)
        world.advance(30.0)
        return {
            recipient: taken.at - sent[recipient]
            for number in range(bad, DOMAINS)
            for taken in mxs[f"d{number}.example"].ledger
            for recipient in taken.recipients
        }


class LimitTests(IsolationCase):
    """
    With limits that the bad domains alone would reach.
    """

    def small(self, trouble: Trouble, config: str) -> None:
        """
        With 30 bad domains all mail to the others is delivered, and none of it
        takes twice as long as the slowest takes when all are good.
        """
        good, bad = self.all_good(30, config), self.delays(30, trouble, config)
        self.assertEqual(sorted(bad), sorted(good))
        self.assertLess(max(bad.values()), 2 * max(good.values()))

    def test_server(self) -> None:
        """
        Hosts that accept connections and say nothing, where the server may have
        as many connections as there are domains, and no reserve.
        """
        self.small(
            at("connect", SILENCE),
            "[global]\nserver_max_outbound_connections = 100\nserver_reserve_outbound_connections = 0\n",
        )

    def test_binding(self) -> None:
        """
        The same where it is the binding that may have so many.
        """
        self.small(at("connect", SILENCE), "[binding.default]\nserver_max_outbound_connections = 100\n")

    def test_total(self) -> None:
        """
        Hosts that never answer EHLO, where all domains together may have so many.
        """
        self.small(at("EHLO", SILENCE), "[global]\nscope_max_outbound_connections = 100\n")


class DefaultTests(IsolationCase):
    """
    With limits as they are by default.
    """

    def unnoticed(self, trouble: Trouble) -> None:
        """
        With 10 and 30 bad domains all mail to the others is delivered, each
        message after exactly the time it takes when all are good.
        """
        for bad in (10, 30):
            self.assertEqual(self.delays(bad, trouble), self.all_good(bad))

    def test_silentGreeting(self) -> None:
        """
        Hosts that accept connections and say nothing.
        """
        self.unnoticed(at("connect", SILENCE))

    def test_dripping(self) -> None:
        """
        Hosts whose greeting comes octet by octet.
        """
        self.unnoticed(drip)

    def test_refusingGreeting(self) -> None:
        """
        Hosts that greet with 554.
        """
        self.unnoticed(at("connect", b"554 5.7.1 No mail from you"))

    def test_dismissingGreeting(self) -> None:
        """
        Hosts that greet with 421.
        """
        self.unnoticed(at("connect", b"421 4.3.2 Not now"))

    def test_dismissedAtMail(self) -> None:
        """
        Hosts that answer MAIL with 421.
        """
        self.unnoticed(at("MAIL", b"421 4.3.2 Not now"))

    def test_silentDot(self) -> None:
        """
        Hosts that never confirm a message.
        """
        self.unnoticed(at("dot", SILENCE))

    def test_blackHole(self) -> None:
        """
        Hosts that never answer a connect.
        """
        self.unnoticed(black_hole)

    def test_refused(self) -> None:
        """
        Hosts on which nobody listens.
        """
        self.unnoticed(refused)

    def test_tarpit(self) -> None:
        """
        Hosts that take twenty seconds for each answer.
        """
        self.unnoticed(tarpit)

    def test_silentDNS(self) -> None:
        """
        Domains about which DNS says nothing.
        """
        self.unnoticed(no_answer_of_dns)
