"""
Work on many messages at once: mail that is failed by domain and by binding, and
the option ``blackhole``, which asks for that.
"""

from __future__ import annotations

from momentum_tx.delivery.bulk import BULK_SLICE
from momentum_tx.stages import Stage
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

BLACKHOLED = "554 5.7.0 [internal] Blackholed"
BINDINGS = '[binding.b1]\nbind_address = "192.0.2.2"\n'


class BlackholeTests(WorldCase):
    """
    ``blackhole``, for mail that was accepted.
    """

    def failed(self, world: World, count: int) -> None:
        """
        So many messages have failed, each once, for the blackhole.
        """
        self.assertEqual([record["note"] for record in world.mainlog("P")], [BLACKHOLED] * count)

    def test_internal(self) -> None:
        """
        Mail is accepted, logged and failed at once; nothing is connected to.
        """
        world = self.world('[domain."example.com"]\nblackhole = "internal"\n')
        mx = world.exchanger("example.com")
        self.accept(world)
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(1)
        self.failed(world, 2)
        self.assertEqual((self.kinds(world), mx.connections), ("RPRP", 0))
        (outcome,) = self.successResultOf(sending)
        self.assertEqual((outcome.note, outcome.stage), (BLACKHOLED.encode(), Stage.UNKNOWN))
        self.assertEqual(world.queued(), 0)

    def test_reload(self) -> None:
        """
        At a reload mail that waits, active or delayed, fails at once: that of the
        binding and domain, and no other.
        """
        world = self.world(f"[global]\nretry_interval = 3600\nmax_outbound_connections = 0\n{BINDINGS}")
        mx = world.exchanger("example.com")
        world.exchanger("example.net")
        for domain in ("example.com", "example.net"):
            for binding in ("default", "b1"):
                self.accept(world, [f"bob@{domain}"], X_Binding=binding)
        # And one of each that waits for its time.
        for binding in ("default", "b1"):
            later = str(int(world.wall()) + 500)
            self.accept(world, [BOB], X_Binding=binding, X_Not_Before=later)
        world.advance(1)
        self.assertEqual(world.queued(), 6)
        world.reload(world.config_text + '[binding.b1.domain."example.com"]\nblackhole = "internal"\n')
        self.failed(world, 2)
        self.assertEqual({record["binding"] for record in world.mainlog("P")}, {"b1"})
        self.assertEqual(world.queued(), 4)
        world.reload(BINDINGS)
        world.advance(600)
        self.assertEqual(len(mx.ledger), 2)

    def test_beats_suspension(self) -> None:
        """
        Mail that is suspended fails all the same.
        """
        world = self.world('[domain."example.com"]\nsuspend_delivery = true\n')
        self.accept(world)
        world.advance(100)
        self.assertEqual(self.kinds(world), "R")
        world.reload(world.config_text + "blackhole = true\n")
        self.failed(world, 1)

    def test_in_delivery(self) -> None:
        """
        What is with the peer at the reload ends as the peer says: delivered if he
        takes it, and failed instead of tried again if not.
        """
        for reply, kinds in ((b"250 2.0.0 Ok", "RD"), (b"451 4.3.0 Not now", "RTP")):
            world = self.world()
            mx = world.exchanger("example.com")
            world.network.line(mx.address).latency = 2.0
            mx.on("dot", reply)
            self.accept(world)
            world.until(lambda world=world: bool(world.domain("example.com").in_flight))  # type: ignore[misc]
            world.reload('[domain."example.com"]\nblackhole = "internal"\n')
            world.advance(60)
            self.assertEqual(self.kinds(world), kinds)
            self.assertEqual(world.queued(), 0)

    def test_found_in_the_spool(self) -> None:
        """
        A service that starts with the option fails what it finds.
        """
        world = self.world("[global]\nmax_outbound_connections = 0\n")
        self.accept(world)
        world.advance(1)
        world.config_text = "[global]\nblackhole = true\n"
        world.crash()
        world.advance(1)
        self.failed(world, 1)

    def test_in_slices(self) -> None:
        """
        A long queue is failed slice by slice, and mail that comes meanwhile is
        failed too.
        """
        world = self.world("[global]\nmax_outbound_connections = 0\n")
        count = 2 * BULK_SLICE + 50
        self.accept(world, [f"b{number}@example.com" for number in range(count)])
        world.advance(1)
        world.reload('[global]\nblackhole = "internal"\n')
        self.failed(world, BULK_SLICE)
        self.accept(world, subject="late")
        world.advance(1)
        self.failed(world, count + 1)
        self.assertEqual(world.queued(), 0)

    def test_no_session_takes_it(self) -> None:
        """
        While a long queue is being failed no session helps itself from it.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\nmax_recipients_per_batch = 1\n")
        mx = world.exchanger("example.com")
        self.accept(world, [f"b{number}@example.com" for number in range(3 * BULK_SLICE)])
        world.until(lambda: bool(mx.ledger))
        world.reload('[global]\nblackhole = "internal"\n')
        world.advance(60)
        self.assertLessEqual(len(mx.ledger), 3)
        self.assertEqual(len(mx.ledger) + len(world.mainlog("P")), 3 * BULK_SLICE)


class PurgeTests(WorldCase):
    """
    Failing what waits, one operation after the other.
    """

    def test_one_after_the_other(self) -> None:
        """
        An operation that is asked for while another one is at work follows it.
        """
        world = self.world(f"[global]\nsuspend_delivery = true\n{BINDINGS}")
        recipients = [f"b{number}@example.com" for number in range(BULK_SLICE + 1)]
        for binding in ("default", "b1"):
            self.accept(world, recipients, X_Binding=binding)
        dr, settlement = world.domain("example.com"), world.service.delivery.settlement
        settlement.purge_binding(dr, 0, b"554 one")
        settlement.purge_binding(dr, 1, b"554 other")
        self.assertTrue(settlement.busy(dr))
        self.assertEqual(len(world.mainlog("P")), BULK_SLICE)
        world.advance(0.1)
        notes = [record["note"] for record in world.mainlog("P")]
        self.assertEqual(notes, ["554 one"] * len(recipients) + ["554 other"] * len(recipients))
        self.assertFalse(settlement.busy(dr))

    def test_stopped(self) -> None:
        """
        A service that stops ends its work after the slice; the rest is found by
        the next one.
        """
        world = self.world("[global]\nsuspend_delivery = true\n")
        self.accept(world, [f"b{number}@example.com" for number in range(BULK_SLICE + 7)])
        world.service.delivery.settlement.purge_binding(world.domain("example.com"), 0, b"554 one")
        world.stop()
        self.assertEqual(len(world.mainlog("P")), BULK_SLICE)
        world.build()
        world.start()
        self.assertEqual(world.queued(), 7)
