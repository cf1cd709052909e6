"""
A reload that sends mail another way: routes and gateways.
"""

from __future__ import annotations

from momentum_tx.delivery.bulk import BULK_SLICE
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase

GATEWAY = '[domain."example.com"]\ngateway = "10.0.0.9"\n'
ROUTES = '[domain."example.com"]\nroutes = ["10.0.0.8"]\n'
EVE = "eve@example.net"


class RoutesTests(WorldCase):
    """
    Other routes.
    """

    def test_at_once(self) -> None:
        """
        Mail goes by the new routes right after the reload, and by DNS again when
        they are taken away, however long the old data would have been kept.
        """
        world = self.world()
        mx, hub = world.exchanger("example.com"), world.receiver("10.0.0.8")
        for config, receiver in (("", mx), (ROUTES, hub), ("", mx), (ROUTES, hub)):
            world.reload(config)
            before = len(receiver.ledger)
            self.accept(world)
            world.advance(0.5)
            self.assertEqual(len(receiver.ledger), before + 1, config)
            world.advance(100)

    def test_nothing_the_old_way(self) -> None:
        """
        While DNS is asked for the new routes nothing goes by the old ones, and a
        session that is at work ends after its transaction.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\nmax_recipients_per_batch = 1\n")
        mx = world.exchanger("example.com")
        world.network.line(mx.address).latency = 0.2
        self.accept(world, [f"b{number}@example.com" for number in range(20)])
        world.until(lambda: len(mx.ledger) == 3)
        hub = world.receiver()
        world.resolver.addresses["hub.internal"] = [hub.address]
        world.resolver.delays["hub.internal"] = 5.0
        world.reload(world.config_text + '[domain."example.com"]\nroutes = ["hub.internal"]\n')
        world.advance(4.9)
        self.assertLessEqual(len(mx.ledger), 4)
        self.assertEqual(hub.ledger, [])
        world.advance(60)
        self.assertEqual(len(mx.ledger) + len(hub.ledger), 20)
        self.assertGreaterEqual(len(hub.ledger), 16)

    def test_idle_session(self) -> None:
        """
        An idle session with the old host gets no mail any more.
        """
        world = self.world("[global]\nidle_timeout = 100\n")
        mx, hub = world.exchanger("example.com"), world.receiver("10.0.0.8")
        self.accept(world)
        world.advance(1)
        world.reload("[global]\nidle_timeout = 100\n" + ROUTES)
        self.accept(world)
        world.advance(1)
        self.assertEqual((len(mx.ledger), len(hub.ledger)), (1, 1))

    def test_while_connecting(self) -> None:
        """
        A connection that was being opened by the old routes delivers nothing.
        """
        world = self.world()
        mx, hub = world.exchanger("example.com"), world.receiver("10.0.0.8")
        world.network.line(mx.address).latency = 1.0
        self.accept(world)
        world.advance(0.5)
        world.reload(ROUTES)
        world.advance(60)
        self.assertEqual((len(mx.ledger), len(hub.ledger)), (0, 1))

    def test_while_asking(self) -> None:
        """
        An answer of DNS that comes after the reload does not count.
        """
        world = self.world()
        mx, hub = world.exchanger("example.com"), world.receiver("10.0.0.8")
        world.resolver.delay = 2.0
        self.accept(world)
        world.advance(1)
        world.reload(ROUTES)
        world.advance(60)
        self.assertEqual((len(mx.ledger), len(hub.ledger)), (0, 1))

    def test_after_failures(self) -> None:
        """
        New routes are looked up at once, also where DNS has failed a moment ago.
        """
        world = self.world('[domain."example.com"]\nroutes = ["lame.internal"]\n[global]\nretry_interval = 1\n')
        hub = world.receiver("10.0.0.8")
        self.accept(world)
        world.advance(100)
        world.reload(ROUTES + "[global]\nretry_interval = 1\n")
        world.service.flush()
        world.advance(0.5)
        self.assertEqual(self.taken(hub), [BOB.encode()])

    def test_same_routes(self) -> None:
        """
        A reload that leaves the routes as they are asks DNS nothing, and lets
        sessions be.
        """
        world = self.world("[global]\nidle_timeout = 100\n")
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        world.reload("[global]\nidle_timeout = 99\n")
        self.accept(world)
        world.advance(1)
        self.assertEqual((world.resolver.mx_asked, mx.connections), (["example.com"], 1))


class GatewayTests(WorldCase):
    """
    Gateways that come and go.
    """

    def waiting(self, config: str = "", more: str = "") -> tuple[World, Receiver, Receiver]:
        """
        A world in which mail waits, active and delayed; its exchanger, and a
        machine that may become the gateway.
        """
        world = self.world(f"[global]\nsuspend_delivery = true\n{more}{config}")
        mx, hub = world.exchanger("example.com"), world.receiver("10.0.0.9")
        self.accept(world, subject="now")
        self.accept(world, subject="later", X_Not_Before=str(int(world.wall()) + 500))
        world.advance(1)
        return world, mx, hub

    def test_written(self) -> None:
        """
        With a new gateway mail that waits is the gateway's: it is in its queue,
        keeps its time, and goes there.
        """
        world, mx, hub = self.waiting()
        self.accept(world, [EVE])
        world.reload("[global]\nsuspend_delivery = true\n" + GATEWAY)
        queues = {
            dr.domain: (dr.mail_queue.active_size(), dr.mail_queue.delayed_size())
            for dr in world.service.delivery.records
        }
        self.assertEqual(queues, {"example.com": (0, 0), "example.net": (1, 0), "10.0.0.9": (1, 1)})
        world.reload(GATEWAY)
        world.advance(1)
        self.assertEqual((len(mx.ledger), len(hub.ledger)), (0, 1))
        world.advance(600)
        self.assertEqual((len(mx.ledger), len(hub.ledger)), (0, 2))
        self.assertEqual({record["domain"] for record in world.mainlog("D")}, {"10.0.0.9"})

    def test_taken_away(self) -> None:
        """
        Without the gateway mail goes back to where DNS says.
        """
        world, mx, hub = self.waiting(GATEWAY)
        self.assertEqual(world.domain("10.0.0.9").mail_queue.size(), 2)
        world.reload("")
        world.advance(600)
        self.assertEqual((len(mx.ledger), len(hub.ledger)), (2, 0))

    def test_of_one_binding(self) -> None:
        """
        A gateway of one binding takes the mail of that binding alone.
        """
        world, mx, hub = self.waiting(more="[binding.b1]\n")
        self.accept(world, subject="b1", X_Binding="b1")
        world.reload('[binding.b1]\ngateway = "10.0.0.9"\n')
        world.advance(600)
        self.assertEqual((len(mx.ledger), len(hub.ledger)), (2, 1))

    def test_not_trusted_any_more(self) -> None:
        """
        A name that was a gateway's is a stranger's again: a private address that
        its domain has in DNS is not connected to.
        """
        config = '[domain."example.com"]\ngateway = "relay.example.org"\n'
        world, _, _ = self.waiting(config)
        relay = world.exchanger("relay.example.org", address="10.0.0.1")
        world.reload(config)
        world.advance(600)
        self.assertEqual(len(relay.ledger), 2)
        world.reload("")
        self.accept(world, ["eve@relay.example.org"])
        world.advance(5)
        self.assertEqual(len(relay.ledger), 2)
        self.assertIn("Private", self.last(world, "P")["note"])

    def test_in_delivery(self) -> None:
        """
        What is with a peer at the reload and comes back goes the new way.
        """
        for reply in (b"451 4.2.1 Not now", None):
            world = self.world("[global]\nretry_interval = 30\n")
            mx, hub = world.exchanger("example.com"), world.receiver("10.0.0.9")
            world.network.line(mx.address).latency = 0.5
            if reply is not None:
                mx.on("RCPT", reply)
            self.accept(world)
            world.until(lambda world=world: bool(world.domain("example.com").in_flight))  # type: ignore[misc]
            world.reload("[global]\nretry_interval = 30\n" + GATEWAY)
            if reply is None:
                world.network.sever(mx.address)
            world.advance(100)
            self.assertEqual((len(mx.ledger), len(hub.ledger)), (0, 1), reply)
            self.assertEqual(world.queued(), 0)

    def test_in_slices(self) -> None:
        """
        A long queue is moved slice by slice; none of it goes the old way meanwhile.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\nmax_recipients_per_batch = 1\n")
        mx, hub = world.exchanger("example.com"), world.receiver("10.0.0.9")
        count = 3 * BULK_SLICE
        self.accept(world, [f"b{number}@example.com" for number in range(count)])
        world.until(lambda: bool(mx.ledger))
        world.reload(world.config_text + GATEWAY)
        self.assertTrue(world.service.delivery.settlement.busy(world.domain("example.com")))
        world.advance(1000)
        self.assertLessEqual(len(mx.ledger), 2)
        self.assertEqual(len(mx.ledger) + len(hub.ledger), count)

    def test_into_a_blackhole(self) -> None:
        """
        Mail that belongs into a blackhole now fails at once.
        """
        world, _, _ = self.waiting()
        world.reload(GATEWAY + '[domain."10.0.0.9"]\nblackhole = "internal"\n')
        self.assertEqual([record["note"] for record in world.mainlog("P")], ["554 5.7.0 [internal] Blackholed"] * 2)

    def test_siblings(self) -> None:
        """
        Recipients of one message that were moved still share a transaction.
        """
        world = self.world("[global]\nsuspend_delivery = true\n")
        hub = world.receiver("10.0.0.9")
        self.accept(world, [BOB, "eve@example.com", "zoe@example.com"])
        world.advance(1)
        world.reload(GATEWAY)
        world.advance(1)
        self.assertEqual([len(taken.recipients) for taken in hub.ledger], [3])

    def test_restart(self) -> None:
        """
        What was moved is found by the next process and goes the same way.
        """
        world, mx, hub = self.waiting()
        world.reload("[global]\nsuspend_delivery = true\n" + GATEWAY)
        world.config_text = GATEWAY
        world.crash()
        world.advance(600)
        self.assertEqual((len(mx.ledger), len(hub.ledger)), (0, 2))
