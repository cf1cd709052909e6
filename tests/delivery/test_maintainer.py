"""
How many connections are opened, when, and when none.
"""

import errno

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from momentum_tx.delivery.initiate import open_connection
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces.hooks import ICheckOutboundConnThrottle, IConnectionGoal, IVetoHostConnection
from momentum_tx.interfaces.records import IDomainRecord
from momentum_tx.queues.domain import DomainRecord
from momentum_tx.testing.peers import Answer, Receiver
from momentum_tx.testing.world import EPOCH, World

from ..worlds import BOB, SENDER, WorldCase


class GoalTests(WorldCase):
    """
    Limits and goals.
    """

    def burst(self, config: str, count: int = 60, providers: tuple[object, ...] = ()) -> int:
        """
        The most connections that a burst of mail for one domain had open.
        """
        world = self.world(config, providers=providers)
        mx = world.exchanger("example.com")
        world.network.line(mx.address).latency = 0.5
        for number in range(count):
            world.send(SENDER, [f"user{number}@example.com"], world.message(str(number)))
        world.advance(600)
        self.assertEqual(len(mx.ledger), count)
        self.assertEqual(world.mainlog("T"), [])
        return mx.most_open

    def test_curve(self) -> None:
        """
        By default the number grows with the queue, far below its length.
        """
        self.assertEqual(self.burst("", 1), 1)
        most = self.burst("")
        self.assertGreater(most, 8)
        self.assertLessEqual(most, 32)

    def test_max_outbound_connections(self) -> None:
        """
        Never more than ``max_outbound_connections`` per domain and binding.
        """
        self.assertEqual(self.burst("[global]\nmax_outbound_connections = 3\n"), 3)

    def test_host_maximum(self) -> None:
        """
        Never more than the host's own maximum.
        """
        self.assertEqual(self.burst('[host."mx1.example.com"]\nmax_outbound_connections = 2\n'), 2)

    def test_server_maximum(self) -> None:
        """
        Never more than the whole server's.
        """
        self.assertEqual(self.burst("[global]\nserver_max_outbound_connections = 4\n"), 4)

    def test_host_maximum_zero(self) -> None:
        """
        A host that may have no connection has none; its mail waits without
        failures.
        """
        world = self.world('[host."mx1.example.com"]\nmax_outbound_connections = 0\n')
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(3600)
        self.assertEqual(self.kinds(world), "R")
        self.assertEqual(mx.connections, 0)
        self.assertEqual(world.domain("example.com").mail_queue.active_size(), 1)

    def test_full_host_makes_room(self) -> None:
        """
        Mail that waits for a full host has the place of a connection that has
        nothing to do, at once.
        """
        world = self.world(
            "[global]\nmigrate_connections_between_sibling_domains = false\n"
            '[host."mx1.example.com"]\nmax_outbound_connections = 1\n'
        )
        mx = world.exchanger("example.com")
        world.resolver.mx["example.net"] = [(10, "mx1.example.com")]
        self.accept(world, [BOB])
        world.until(lambda: bool(mx.ledger))
        self.accept(world, ["eve@example.net"])
        world.advance(1)
        self.assertEqual(len(mx.ledger), 2)
        self.assertEqual(mx.connections, 2)
        self.assertEqual(world.mainlog("T"), [])

    def test_only_what_is_concerned(self) -> None:
        """
        A message has its own binding looked at and no other, or on a thousand bindings each would pay
        for all; a regular pass looks at every one.
        """
        asked: list[int] = []

        @implementer(IConnectionGoal)
        class NoneYet:
            """
            Wants no connection.
            """

            def connection_goal(self, dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
                asked.append(binding_slot)
                return 0

        bindings = "".join(f"[binding.b{number}]\n" for number in range(1, 4))
        world = self.world(f"[global]\ndelayed_queue_scan_interval = 60\n{bindings}", providers=(NoneYet(),))
        world.exchanger("example.com")
        for number in (1, 2, 3):
            self.accept(world, X_Binding=f"b{number}")
            world.advance(1)
        slots = [world.service.configuration.binding_slot(f"b{number}") for number in (1, 2, 3)]
        asked.clear()
        self.accept(world, X_Binding="b2")
        world.advance(1)
        self.assertEqual(set(asked), {slots[1]})
        asked.clear()
        world.advance(60)
        self.assertEqual(set(asked), set(slots))

    def test_mail_that_waits_costs_nothing(self) -> None:
        """
        A domain that has only mail that waits for its time is not looked after until then.
        """
        world = self.world("[global]\nretry_interval = 3600\n")
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now", times=1)
        self.accept(world)
        world.until(lambda: bool(world.mainlog("T")))
        world.advance(60)
        passes: list[float] = []
        maintainer = world.service.delivery.maintainer
        maintain = maintainer.maintain

        def counted(dr: DomainRecord, now: float, slots: set[int] | None = None) -> None:
            passes.append(now)
            maintain(dr, now, slots)

        self.patch(maintainer, "maintain", counted)
        world.advance(3000)
        # As often as many small corrections of the wall clock may have added up to something.
        self.assertLessEqual(len(passes), 5)
        world.advance(600)
        self.assertEqual(len(mx.ledger), 1)

    def test_goal_hook(self) -> None:
        """
        ``connection_goal`` has the last word below the limit; one that raises
        changes nothing.
        """

        @implementer(IConnectionGoal)
        class Two:
            """
            Always two.
            """

            def connection_goal(self, dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
                return 2

        @implementer(IConnectionGoal)
        class Broken:
            """
            Raises.
            """

            def connection_goal(self, dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
                raise RuntimeError("a goal that fails")

        self.assertEqual(self.burst("", providers=(Two(), Broken())), 2)
        self.assertTrue(self.flushLoggedErrors(RuntimeError))

    def test_throttle(self) -> None:
        """
        ``check_outbound_conn_throttle`` puts off connections until the time it
        names.
        """
        world = self.world(start=False)

        @implementer(ICheckOutboundConnThrottle)
        class After:
            """
            Nothing in the first minute.
            """

            def check_outbound_conn_throttle(
                self, binding_id: int, dr: IDomainRecord, now: float | None, later: float
            ) -> float:
                return max(later, until)

        until = world.wall() + 60
        world.service.hooks.register_last(After())
        world.start()
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(59)
        self.assertEqual(mx.connections, 0)
        world.advance(2)
        self.assertEqual(len(mx.ledger), 1)
        self.assertEqual(world.mainlog("T"), [])

    def test_throttle_of_direct_callers(self) -> None:
        """
        ``initiate_connection_smtp`` itself asks ``check_outbound_conn_throttle``:
        while it is throttled nothing is dialled and no message suffers.
        """
        world = self.world(start=False)

        @implementer(ICheckOutboundConnThrottle)
        class Never:
            """
            Not in this life.
            """

            def check_outbound_conn_throttle(
                self, binding_id: int, dr: IDomainRecord, now: float | None, later: float
            ) -> float:
                return world.wall() + 1e6

        world.service.hooks.register_last(Never())
        world.start()
        world.exchanger("example.com")
        self.accept(world)
        dr = world.service.delivery.domain_record("example.com")
        world.advance(1)
        word = dr.initiator.initiate_connection_smtp(dr, 0, None)
        self.assertEqual(word, ConnFlag.ERROR_HOST_MAX_REACHED)
        self.assertEqual([port for _, _, port in world.network.dialled if port == 25], [])
        self.assertEqual(dr.mail_queue.active_size(), 1)
        self.assertEqual(self.kinds(world), "R")

    def test_veto(self) -> None:
        """
        A host that ``veto_host_connection`` forbids is passed over.
        """

        @implementer(IVetoHostConnection)
        class NotTheFirst:
            """
            Forbids the best exchanger.
            """

            def veto_host_connection(
                self, host: str, dr: IDomainRecord, binding_slot: int, max_conns: int, cur_conns: int
            ) -> bool:
                return host == "mx1.example.com"

        world = self.world(providers=[NotTheFirst()])
        first, second = world.exchanger("example.com", 5), world.exchanger("example.com", 10)
        self.accept(world)
        world.advance(1)
        self.assertEqual((len(first.ledger), len(second.ledger)), (0, 1))


class WakingTests(WorldCase):
    """
    What makes a domain move again.
    """

    def test_hold_ends(self) -> None:
        """
        When a peer had enough connections no more are opened for
        ``delayed_queue_scan_interval``, and then at once, whenever the last pass was.
        """
        world = self.world("[global]\nmax_deliveries_per_connection = 1\nmax_outbound_connections = 2\n")
        mx = world.exchanger("example.com")
        mx.max_connections = 1
        mx.on("MAIL", Answer(b"250 2.1.0 Sender ok", after=10.0), times=1)
        for number in range(8):
            world.send(SENDER, [f"user{number}@example.com"], world.message(str(number)))
        world.advance(14.5)
        # The session that lived has ended, and the pass after that must not put it off.
        self.assertEqual((len(mx.ledger), mx.connections), (1, 2))
        world.advance(1)
        self.assertGreater(len(mx.ledger), 1)

    def test_own_connection(self) -> None:
        """
        Mail that waits because somebody's own connection takes the only place
        leaves as soon as that is closed.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\ndelayed_queue_scan_interval = 3600\n")
        mx = world.exchanger("example.com")
        record = world.service.delivery.domain_record("example.com")
        world.service.delivery.router.ensure(record, world.wall())
        opening = open_connection(record, 0)
        world.advance(1)
        handle = self.successResultOf(opening)
        self.accept(world)
        world.advance(60)
        self.assertEqual(len(mx.ledger), 0)
        handle.close()
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)


class SuspensionTests(WorldCase):
    """
    Mail that must wait.
    """

    def test_suspended_domain(self) -> None:
        """
        With ``suspend_delivery`` mail of that domain waits without an attempt,
        and others are not held up.
        """
        world = self.world('[domain."example.com"]\nsuspend_delivery = true\n')
        mx, other = world.exchanger("example.com"), world.exchanger("example.net")
        self.accept(world, [BOB, "eve@example.net"])
        world.advance(86400 * 2)
        self.assertEqual((mx.connections, len(other.ledger)), (0, 1))
        self.assertEqual(world.mainlog("TP"), [])

    def test_suspended_binding(self) -> None:
        """
        So it does for a binding.
        """
        world = self.world("[binding.b1]\nsuspend_delivery = true\n")
        mx = world.exchanger("example.com")
        self.accept(world, subject="b1", X_Binding="b1")
        self.accept(world, subject="default")
        world.advance(3600)
        self.assertEqual(len(mx.ledger), 1)

    def test_resumed_by_reload(self) -> None:
        """
        When a reload takes the suspension away, the mail goes.
        """
        world = self.world("[global]\nsuspend_delivery = true\n")
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(100)
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write("[global]\nsuspend_delivery = false\n")
        world.service.reload(path)
        world.advance(20)
        self.assertEqual(len(mx.ledger), 1)

    def test_spool_cannot_record(self) -> None:
        """
        While the disk fails no mail is taken (452) and none is sent, since a
        delivery could not be recorded; when it is well again, both go on by
        themselves, and nothing failed.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.resolver.delay = 5.0
        self.accept(world)
        world.files.fail("append", errno.EIO, times=-1)
        world.files.fail("create", errno.EIO, times=-1)
        self.assertEqual(world.inject(SENDER, [BOB], world.message())[:3], b"452")
        self.assertEqual(world.inject(SENDER, [BOB], world.message())[:3], b"452")
        world.advance(60)
        self.assertEqual(mx.ledger, [])
        self.assertEqual(world.mainlog("T"), [])
        world.files.heal()
        world.advance(60)
        self.assertEqual(len(mx.ledger), 1)
        self.accept(world, subject="two")
        world.advance(10)
        self.assertEqual(len(mx.ledger), 2)
        self.assertEqual(world.mainlog("TP"), [])

    def test_disk_full(self) -> None:
        """
        When the disk is full no mail is taken, and what is there goes out.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.resolver.delay = 5.0
        self.accept(world)
        used = sum(len(world.files.octets(name)) for name in world.files.names())
        world.files.capacity = used + world.files.reserved
        reply = world.inject(SENDER, [BOB], world.message(body="0123456789\r\n" * 1000))
        self.assertEqual(reply[:3], b"452")
        world.advance(60)
        self.assertEqual(len(mx.ledger), 1)

    def test_disk_stays_full(self) -> None:
        """
        Delivery goes on after its records have begun to use the space held back:
        all that waits goes out, one after another, though no mail is taken and
        nobody makes space.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\nmax_deliveries_per_connection = 1\n")
        mx = world.exchanger("example.com")
        world.resolver.delay = 5.0
        for number in range(10):
            self.accept(world, subject=str(number))
        used = sum(len(world.files.octets(name)) for name in world.files.names())
        world.files.capacity = used + world.files.reserved
        world.advance(60)
        self.assertEqual(len(mx.ledger), 10)
        self.assertFalse(world.service.spool.healthy())
        self.assertEqual(world.inject(SENDER, [BOB], world.message())[:3], b"452")
        world.files.capacity = None
        world.advance(60)
        self.accept(world, subject="there is space again")


class ClockTests(WorldCase):
    """
    Steps of the wall clock.
    """

    def put_off(self, world: World) -> Receiver:
        """
        One message, accepted and refused for now; the next attempt is due in 1200 s.
        """
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now", times=1)
        self.accept(world)
        world.advance(10)
        return mx

    def leaves_in_time(self, world: World, mx: Receiver) -> None:
        """
        It leaves 1200 s after it was refused.
        """
        world.advance(1200 - 5 - world.clock.seconds())
        self.assertEqual(len(mx.ledger), 0)
        world.advance(10)
        self.assertEqual(len(mx.ledger), 1)

    def test_step_back(self) -> None:
        """
        A wall clock that is put back by three hours delays no retry.
        """
        world = self.world()
        mx = self.put_off(world)
        world.wall_offset = -3 * 3600.0
        self.leaves_in_time(world, mx)

    def test_step_forward(self) -> None:
        """
        One that is put forward brings no retry before its time.
        """
        world = self.world()
        mx = self.put_off(world)
        world.wall_offset = 3 * 3600.0
        self.leaves_in_time(world, mx)

    def test_there_and_back(self) -> None:
        """
        A clock that is put forward by three hours and repaired ends no mail that is not old, and has what is told
        in the log be told by it.
        """
        world = self.world(
            "[global]\nmessage_expiration = 3600\nretry_interval = 600\nmax_retry_interval = 600\n"
            "never_attempt_expired_messages = true\n"
        )
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now", times=40)
        for _ in range(10):
            self.accept(world)
        world.advance(100)
        world.wall_offset = 3 * 3600.0
        world.advance(1200)
        last = self.last(world, "T")
        self.assertLess(world.wall() - float(last["time"]), 200)
        world.wall_offset = 0.0
        world.advance(1200)
        self.assertEqual(self.kinds(world).count("P"), 0)
        self.assertEqual(self.kinds(world).count("T"), 40)
        self.assertEqual(len(mx.ledger), 10)

    def test_old_mail_ends(self) -> None:
        """
        What is old by a clock that nobody sets ends, wherever the wall clock was put.
        """
        for step in (-86400.0, 1800.0):
            world = self.world("[global]\nmessage_expiration = 3600\nretry_interval = 500\nmax_retry_interval = 500\n")
            mx = self.put_off(world)
            mx.on("RCPT", b"451 4.2.1 Not now")
            world.wall_offset = step
            world.advance(3600 - 90 - world.clock.seconds())
            self.assertEqual(self.kinds(world).count("P"), 0)
            world.advance(600)
            self.assertEqual(self.last(world, "P")["note"], "554 5.4.7 [internal] exceeded max time without delivery")

    def test_named_times(self) -> None:
        """
        A time that was named by the wall clock comes when that shows it: one before which a message must not leave,
        one after which it must not, and the end of a curfew.
        """
        world = self.world('[domain."quiet.example"]\ncurfew = ["22:00-23:00"]\n')
        mx, quiet = world.exchanger("example.com"), world.exchanger("quiet.example")
        self.accept(world, X_Not_Before=str(EPOCH + 7200))
        self.accept(world, X_Not_Before=str(EPOCH + 100_000), X_Expires=str(EPOCH + 100_001))
        self.accept(world, ["bob@quiet.example"])
        world.advance(100)
        self.assertEqual((len(mx.ledger), len(quiet.ledger)), (0, 0))
        world.wall_offset = 7200.0
        world.advance(20)
        self.assertEqual((len(mx.ledger), len(quiet.ledger)), (1, 1))
        world.wall_offset = 100_000.0
        world.advance(20)
        self.assertEqual(len(mx.ledger), 1)
        self.assertEqual(self.last(world, "P")["note"], "554 5.4.5 [internal] Delivery not attempted (message expired)")

    def test_new_mail(self) -> None:
        """
        Mail that comes before anybody has noticed that the clock was put back leaves at once.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.advance(3000)
        world.wall_offset = -86400.0
        self.accept(world)
        world.advance(5)
        self.assertEqual(len(mx.ledger), 1)

    def test_restart_on_another_clock(self) -> None:
        """
        Mail that was received and put off under a clock a year ahead is not forgotten for a year when that is found
        out between two processes: it is tried when its schedule wants it.
        """
        world = self.world("[global]\nmax_retries = 20\n")
        world.wall_offset = 365 * 86400.0
        world.crash()
        mx = self.put_off(world)
        world.resolver.delay = 1000.0
        self.accept(world, subject="never tried")
        world.wall_offset = 0.0
        world.resolver.delay = 0.0
        world.crash()
        started = world.clock.seconds()
        world.advance(5)
        self.assertEqual(len(mx.ledger), 1)
        world.advance(started + 1200 + 5 - world.clock.seconds())
        self.assertEqual(len(mx.ledger), 2)

    def test_while_connecting(self) -> None:
        """
        A connection that the clock was set under took as long as it took.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.network.line(mx.address).latency = 10.0
        self.accept(world)
        world.advance(5)
        world.wall_offset = 3600.0
        self.accept(world, subject="somebody looks at the clock")
        world.advance(600)
        self.assertEqual(len(mx.ledger), 2)
        metrics = world.service.delivery.records.metrics((mx.address, 25), 0)
        self.assertAlmostEqual(metrics.avg_connecttime, 20.0, places=1)

    def test_operator_is_told(self) -> None:
        """
        The log of the process says that the clock was set.
        """
        said: list[str] = []

        @implementer(ILogObserver)
        def reader(event: LogEvent) -> None:
            said.append(str(formatEvent(event)))

        globalLogPublisher.addObserver(reader)
        self.addCleanup(globalLogPublisher.removeObserver, reader)
        world = self.world()
        world.wall_offset = -3600.0
        world.advance(100)
        found = [text for text in said if "wall clock" in text]
        self.assertEqual(len(found), 1)
        self.assertIn("put back by 3600.000 s", found[0])
