"""
Tests of :mod:`momentum_tx.delivery.probes`: how mail finds out that a host serves
again.
"""

from __future__ import annotations

from momentum_tx.testing.behaviours import Tarpit
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import WorldCase

CONFIG = "[global]\nhost_failure_retry = 60\nretry_interval = 5\nmax_retry_interval = 5\nmx_failures_to_delay = 0\n"


class ProbeTests(WorldCase):
    """
    One connection looks whether a host is back; the rest of the mail follows.
    """

    def broken(self, world: World, domain: str = "example.com", count: int = 30) -> Receiver:
        """
        The exchanger of a domain with mail, which refuses connections.
        """
        mx = world.exchanger(domain)
        world.network.refuse(mx.address)
        for number in range(count):
            world.send("a@sender.example", [f"r{number}@{domain}"], world.message()).addErrback(lambda _: None)
        world.advance(10)
        return mx

    def test_oneConnection(self) -> None:
        """
        A host that lets connections hang when it comes due is tried by one
        connection, however much mail there is; no other message suffers for it.
        """
        world = self.world(CONFIG + "connect_timeout = 30\n")
        mx = self.broken(world)
        world.network.restore(mx.address)
        world.network.black_hole(mx.address)
        dr = world.domain("example.com")
        world.until(lambda: dr.total_connections() > 0)
        failures = len(world.mainlog("T"))
        most = 0
        for _ in range(29):
            world.advance(1)
            most = max(most, dr.total_connections())
        self.assertEqual((most, len(world.mainlog("T"))), (1, failures))

    def test_delayedMailIsReleased(self) -> None:
        """
        Mail that was delayed only because the domain could not be reached does
        not wait for its next attempt when a later message got through; mail that
        the peer has put off does.
        """
        world = self.world(CONFIG.replace("= 5", "= 5000").replace("delay = 0", "delay = 1"))
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.7.1 Not now", times=1)
        self.accept(world, ["put-off@example.com"])
        world.advance(10)
        world.network.refuse(mx.address)
        for number in range(20):
            world.send("a@sender.example", [f"r{number}@example.com"], world.message()).addErrback(lambda _: None)
        world.advance(100)
        self.assertEqual(world.domain("example.com").mail_queue.delayed_size(), 21)
        world.network.restore(mx.address)
        self.accept(world, ["late@example.com"])
        world.advance(20)
        self.assertEqual(len(mx.ledger), 21)
        self.assertEqual(world.queued(), 1)
        self.assertEqual({record["retries"] for record in world.mainlog("D")}, {"0", "1"})

    def test_otherDomains(self) -> None:
        """
        Domains that share the host wait for the same probe, and go when it has
        succeeded, not at their next regular pass.
        """
        world = self.world(CONFIG + "delayed_queue_scan_interval = 500\nconnect_timeout = 100\n")
        mx = self.broken(world, count=1)
        world.resolver.mx["example.net"] = [(10, "mx1.example.com")]
        world.network.restore(mx.address)
        mx.add(Tarpit(20.0, "connect"))
        world.until(lambda: world.domain("example.com").total_connections() > 0)
        world.send("a@sender.example", ["eve@example.net"], world.message()).addErrback(lambda _: None)
        world.advance(10)
        self.assertEqual(world.domain("example.net").total_connections(), 0)
        world.advance(55)
        self.assertEqual(len(mx.ledger), 2)

    def test_successBringsTheRest(self) -> None:
        """
        When the probe is accepted everything that is due goes at once, on as many
        connections as usual.
        """
        world = self.world(CONFIG)
        mx = self.broken(world)
        world.network.restore(mx.address)
        world.until(lambda: bool(mx.ledger))
        before = world.clock.seconds()
        world.until(lambda: len(mx.ledger) == 30)
        self.assertLess(world.clock.seconds() - before, 6)
        self.assertGreater(mx.connections, 2)
