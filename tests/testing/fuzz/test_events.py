"""
What can happen to a world does happen, and in the end everything is mended.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from momentum_tx.delivery.rebinding import Rebinding
from momentum_tx.errors import StartupError
from momentum_tx.flags import ConnFlag
from momentum_tx.service import OutboundService
from momentum_tx.testing.dns import Fault
from momentum_tx.testing.fuzz.plan import Plan, Step
from momentum_tx.testing.fuzz.stage import Stage
from momentum_tx.testing.line import Cut, Reach
from momentum_tx.testing.world import LISTENING, World

from .stories import ADDRESS, DOMAIN, NAME, Rehearsal, StoryCase, broken_at, mail, small_plan

#: What a look at the world shows.
Look = Callable[[Stage], object]


class EventCase(StoryCase):
    """
    Steps that are performed one by one.
    """

    def rehearse(self, plan: Plan | None = None) -> Rehearsal:
        """
        A story that has just begun.
        """
        rehearsal = Rehearsal(plan or small_plan(bindings=[("b0", "192.0.2.2")]))
        rehearsal.run(0.1)
        return rehearsal

    def changes(self, look: Look, kind: str, expected: object, **args: Any) -> None:
        """
        A step makes a look show something else, and when all is mended the look
        shows what it did before.
        """
        rehearsal = self.rehearse()
        stage = rehearsal.stage
        before = look(stage)
        self.assertNotEqual(before, expected, kind)
        rehearsal.perform(Step(0.1, kind, args))
        self.assertEqual(look(stage), expected, kind)
        self.assertEqual(stage.books.counts[f"step {kind}"], 1)
        stage.events.mend()
        self.assertEqual(look(stage), before, kind)
        self.assertEqual((rehearsal.faults, stage.storming), ([], False))

    def undone(self, look: Look, step: Step, undo: Step) -> None:
        """
        A step is undone by another one.
        """
        rehearsal = self.rehearse()
        before = look(rehearsal.stage)
        rehearsal.perform(step)
        self.assertNotEqual(look(rehearsal.stage), before)
        rehearsal.perform(undo)
        self.assertEqual(look(rehearsal.stage), before)


class NetworkTests(EventCase):
    """
    What happens on the network.
    """

    def test_reach(self) -> None:
        """
        Hosts are out of reach in four ways, clients' way to us too.
        """

        def look(stage: Stage) -> object:
            return stage.world.network.reach(ADDRESS, 25)

        restore = Step(0.2, "restore", {"host": ADDRESS})
        for kind, reach in {
            "refuse": Reach.REFUSED,
            "silent": Reach.SILENT,
            "unreachable": Reach.UNREACHABLE,
            "forbid": Reach.FORBIDDEN,
        }.items():
            self.changes(look, kind, reach, host=ADDRESS)
            self.undone(look, Step(0.1, kind, {"host": ADDRESS}), restore)
        self.changes(lambda stage: stage.world.network.reach(*LISTENING), "refuse", Reach.REFUSED, host=LISTENING[0])

    def test_cut(self) -> None:
        """
        A line is cut after so many octets, in one direction.
        """
        for side in ("to_listener", "to_dialer"):

            def look(stage: Stage, side: str = side) -> object:
                return getattr(stage.world.network.line(ADDRESS), side)

            self.changes(look, "cut", Cut(5, True), host=ADDRESS, side=side, after=5, reset=True)
            cut = Step(0.1, "cut", {"host": ADDRESS, "side": side, "after": 5, "reset": True})
            self.undone(look, cut, Step(0.2, "mend_cut", {"host": ADDRESS, "side": side}))

    def test_line(self) -> None:
        """
        A line becomes another one, as far as it is said.
        """

        def look(stage: Stage) -> object:
            line = stage.world.network.line(ADDRESS)
            return line.latency, line.bandwidth, len(list(line.split(b"x" * 100))) > 9, line.window

        rehearsal = self.rehearse()
        step = Step(0.1, "line", {"host": ADDRESS, "line": {"latency": 1.5, "split": 3, "bandwidth": 100}})
        rehearsal.perform(step)
        self.assertEqual(look(rehearsal.stage), (1.5, 100, True, 65536))
        rehearsal.stage.events.mend()
        self.assertEqual(look(rehearsal.stage), (0.001, 0.0, False, 65536))

    def test_sever(self) -> None:
        """
        Connections to a host break, those of clients too.
        """
        for how, host in (("sever", ADDRESS), ("hang_up", LISTENING[0])):
            rehearsal = self.rehearse(small_plan(mail(how="smtp"), behaviours=(broken_at("dot", "250 Ok", after=9.0),)))
            rehearsal.run(1.2 if how == "sever" else 1.004)

            def there(stage: Stage, host: str = host) -> int:
                return sum(1 for each in stage.world.network.open_transports() if each.place[0] == host)

            self.assertGreater(there(rehearsal.stage), 0)
            rehearsal.perform(Step(1.2, how, {"host": host, "reset": True} if how == "sever" else {}))
            rehearsal.run(rehearsal.stage.seconds() + 0.1)
            self.assertEqual(there(rehearsal.stage), 0)

    def test_plumbing(self) -> None:
        """
        An address of ours is taken away; those that bindings name are given back.
        """

        def look(stage: Stage) -> object:
            return stage.world.network.plumbed("192.0.2.2")

        self.changes(look, "unplumb", False, address="192.0.2.2")
        self.undone(look, Step(0.1, "unplumb", {"address": "192.0.2.2"}), Step(0.2, "plumb", {"address": "192.0.2.2"}))

    def test_kernel(self) -> None:
        """
        The kernel gives no sockets; the next process finds it so.
        """

        def look(stage: Stage) -> object:
            return stage.world.host.lacking

        lack = Step(0.1, "lack", {"flag": "ERROR_SOCKET"})
        self.changes(look, "lack", ConnFlag.ERROR_SOCKET, flag="ERROR_SOCKET")
        self.undone(look, lack, Step(0.2, "mend_lack"))
        rehearsal = self.rehearse()
        rehearsal.perform(lack)
        rehearsal.stage.world.crash()
        self.assertEqual(look(rehearsal.stage), ConnFlag.ERROR_SOCKET)

    def test_kernel_patience(self) -> None:
        """
        A kernel that gives connects up does so until the storm is over.
        """
        stage = self.rehearse(small_plan(kernel_patience=3.0)).stage
        self.assertEqual(stage.world.network.kernel_patience, 3.0)
        stage.events.mend()
        self.assertIsNone(stage.world.network.kernel_patience)

    def test_tls(self) -> None:
        """
        Handshakes with a host fail, or never end; in the next process too.
        """

        def look(stage: Stage) -> object:
            return stage.world.tls.failing, stage.world.tls.silent

        for manner, expected in (("failing", ({ADDRESS}, set())), ("silent", (set(), {ADDRESS}))):
            self.changes(look, "tls", expected, host=ADDRESS, manner=manner)
            tls = Step(0.1, "tls", {"host": ADDRESS, "manner": manner})
            self.undone(look, tls, Step(0.2, "mend_tls", {"host": ADDRESS}))
            rehearsal = self.rehearse()
            rehearsal.perform(tls)
            rehearsal.stage.world.crash()
            self.assertEqual(look(rehearsal.stage), expected)


class DNSTests(EventCase):
    """
    What happens to DNS.
    """

    def faults(self, stage: Stage) -> object:
        """
        What is wrong with the answers.
        """
        zone = stage.world.resolver
        return dict(zone.faults), zone.fault, dict(zone.delays), zone.delay

    def test_faults(self) -> None:
        """
        One name has no answer, or a slow one; or none has.
        """
        cases: tuple[tuple[dict[str, Any], object], ...] = (
            ({"fault": "servfail", "name": NAME}, ({NAME: Fault.SERVFAIL}, None, {}, 0.0)),
            ({"fault": "slow", "name": NAME, "delay": 3.0}, ({}, None, {NAME: 3.0}, 0.0)),
            ({"fault": "all_slow", "name": NAME, "delay": 3.0}, ({}, None, {}, 3.0)),
            ({"fault": "odd", "name": NAME, "odd": "WRONG_ID"}, ({NAME: Fault.WRONG_ID}, None, {}, 0.0)),
        )
        for args, expected in cases:
            self.changes(self.faults, "dns", expected, **args)
            self.undone(self.faults, Step(0.1, "dns", args), Step(0.2, "mend_dns", args))

    def test_loss(self) -> None:
        """
        Datagrams are lost on their way.
        """

        def look(stage: Stage) -> object:
            return stage.world.datagrams.loss > 0.0

        lossy = {"fault": "lossy", "name": NAME}
        self.changes(look, "dns", True, **lossy)
        self.undone(look, Step(0.1, "dns", lossy), Step(0.2, "mend_dns", lossy))

    def test_silence(self) -> None:
        """
        A silent server is silent over the wire; where DNS is scripted, and nobody
        would lose patience, it fails at once.
        """
        for dns, expected in (("wire", Fault.SILENT), ("scripted", Fault.SERVFAIL)):
            stage = self.rehearse(small_plan(dns=dns)).stage
            stage.events.perform(Step(0.1, "dns", {"fault": "silent", "name": DOMAIN}))
            stage.events.perform(Step(0.1, "dns", {"fault": "all_silent", "name": DOMAIN}))
            self.assertEqual((stage.world.resolver.faults, stage.world.resolver.fault), ({DOMAIN: expected}, expected))

    def test_gone(self) -> None:
        """
        A domain does not exist for a while, and the judge remembers.
        """

        def look(stage: Stage) -> object:
            return DOMAIN in stage.world.resolver.mx

        gone = {"fault": "gone", "name": DOMAIN}
        self.changes(look, "dns", False, **gone)
        self.undone(look, Step(0.1, "dns", gone), Step(0.2, "mend_dns", gone))
        stage = self.rehearse().stage
        stage.events.perform(Step(0.1, "dns", gone))
        self.assertEqual(stage.books.gone, {DOMAIN})
        stage.events.perform(Step(0.1, "dns", {"fault": "gone", "name": "unknown.example"}))
        self.assertEqual(stage.books.gone, {DOMAIN})


class DiskTests(EventCase):
    """
    What happens to the disk.
    """

    def test_failing(self) -> None:
        """
        An operation fails as often as was said; nothing is promised meanwhile.
        """
        rehearsal = self.rehearse()
        stage = rehearsal.stage
        args = {"operation": "create", "error": "ENOSPC", "times": 2, "torn": True}
        rehearsal.perform(Step(0.1, "disk", args))
        self.assertEqual((stage.books.trouble, stage.world.files.torn), (True, True))
        for _ in range(2):
            self.assertEqual(self.assertRaises(OSError, stage.world.files.create, "a").errno, errno.ENOSPC)
        stage.world.files.create("a")
        stage.world.files.fail("create", errno.EIO, times=-1)
        rehearsal.perform(Step(0.1, "mend_disk"))
        stage.world.files.create("b")
        self.assertFalse(stage.world.files.torn)

    def test_full(self) -> None:
        """
        There is so much room left, and all of it when it is mended.
        """
        self.changes(lambda stage: stage.world.files.free() > 1000, "full_disk", False, room=100)
        rehearsal = self.rehearse()
        rehearsal.perform(Step(0.1, "full_disk", {"room": 100}))
        self.assertEqual(rehearsal.stage.world.files.free(), 100)

    def test_trouble_ends(self) -> None:
        """
        After the disk was mended it takes a minute until promises hold again.
        """
        rehearsal = self.rehearse(small_plan(mail(at=100.0), storm=200.0))
        stage = rehearsal.stage
        rehearsal.perform(Step(0.1, "full_disk", {"room": 100}))
        rehearsal.perform(Step(0.1, "mend_disk"))
        rehearsal.run(60.0)
        rehearsal.settled()
        self.assertTrue(stage.books.trouble)
        rehearsal.run(60.2)
        rehearsal.settled()
        self.assertFalse(stage.books.trouble)

    def test_trouble_again(self) -> None:
        """
        Trouble that begins anew does not end with the old one.
        """
        rehearsal = self.rehearse(small_plan(mail(at=100.0), storm=200.0))
        for kind, args in (("full_disk", {"room": 100}), ("mend_disk", {}), ("full_disk", {"room": 100})):
            rehearsal.perform(Step(0.1, kind, args))
        rehearsal.run(100.0)
        self.assertTrue(rehearsal.stage.books.trouble)

    def test_slow(self) -> None:
        """
        Every call of the journal takes so long; in the next process too.
        """

        def look(stage: Stage) -> object:
            return stage.world.threads.delay

        self.changes(look, "slow_disk", 5.0, delay=5.0)
        rehearsal = self.rehearse()
        rehearsal.perform(Step(0.1, "slow_disk", {"delay": 5.0}))
        self.assertTrue(rehearsal.stage.books.trouble)
        rehearsal.stage.world.crash()
        self.assertEqual(look(rehearsal.stage), 5.0)


class OperatorTests(EventCase):
    """
    What the operator does.
    """

    def test_reload(self) -> None:
        """
        Options change while it runs, each on top of those before, and are what
        they were when all is mended.
        """

        def look(stage: Stage) -> object:
            path = stage.config().path(0, DOMAIN)
            return path.max_outbound_connections, path.suspend_delivery

        table = f'domain."{DOMAIN}"'
        rehearsal = self.rehearse()
        stage = rehearsal.stage
        before = look(stage)
        rehearsal.perform(Step(0.1, "reload", {"header": table, "options": {"max_outbound_connections": 2}}))
        rehearsal.perform(Step(0.1, "reload", {"header": table, "options": {"suspend_delivery": True}}))
        self.assertEqual(look(stage), (2, True))
        stage.events.mend()
        self.assertEqual(look(stage), before)

    def test_reload_while_down(self) -> None:
        """
        What is written while no process lives the next one reads.
        """
        rehearsal = self.rehearse()
        rehearsal.perform(Step(0.1, "kill", {"operations": 0, "garbage": False, "down": 1.0}))
        rehearsal.perform(Step(0.1, "reload", {"header": "global", "options": {"max_outbound_connections": 2}}))
        stage = rehearsal.run(5.0)
        self.assertTrue(stage.running)
        self.assertEqual(stage.config().path(0, DOMAIN).max_outbound_connections, 2)

    def test_reload_refused(self) -> None:
        """
        A configuration that is refused is counted, and the old one stays.
        """
        rehearsal = self.rehearse()
        before = rehearsal.stage.config()
        rehearsal.perform(Step(0.1, "reload", {"header": "global", "options": {"retry_interval": "banana"}}))
        self.assertEqual(rehearsal.stage.books.counts["reloads refused"], 1)
        self.assertIs(rehearsal.stage.config(), before)
        self.assertEqual(rehearsal.faults, [])

    def test_bad_reload(self) -> None:
        """
        A configuration with a mistake in it must not come into force.
        """
        rehearsal = self.rehearse()
        rehearsal.perform(Step(0.1, "bad_reload"))
        self.assertEqual(rehearsal.faults, [])
        reload = World.reload

        def careless(world: World, text: str) -> None:
            try:
                reload(world, text)
            except StartupError:
                reload(world, world.config_text)

        self.patch(World, "reload", careless)
        rehearsal.perform(Step(0.1, "bad_reload"))
        self.assertEqual(rehearsal.rules, ["reload"])

    def test_rebind(self) -> None:
        """
        Mail that waits goes to another binding, of one domain or one binding or
        all; the judge finds out what was left behind.
        """
        header = f'domain."{DOMAIN}"'
        plan = small_plan(
            Step(0.5, "reload", {"header": header, "options": {"suspend_delivery": True}}),
            mail(binding="b0"),
            bindings=[("b0", ""), ("b1", "")],
            tables={"binding_group.g.binding.b1": {}},
        )
        args = {"domain": "", "source": "", "binding": "", "group": ""}
        for named, slot in (
            ({"binding": "b1"}, 2),
            ({"group": "g", "domain": DOMAIN}, 2),
            ({"source": "b0", "binding": "default"}, 0),
            ({"source": "b1", "binding": "default"}, 1),
            ({"binding": "default", "domain": "other.example"}, 1),
            ({}, 1),
        ):
            rehearsal = self.rehearse(plan)
            stage = rehearsal.run(5.0)
            rehearsal.perform(Step(5.0, "rebind", {**args, **named}))
            self.assertEqual([message.binding_slot for message in stage.messages()], [slot], named)
            self.assertEqual(rehearsal.faults, [])
        self.patch(Rebinding, "_rebound", lambda rebinding, message, target: False)
        rehearsal = self.rehearse(plan)
        rehearsal.run(5.0)
        rehearsal.perform(Step(5.0, "rebind", {**args, "binding": "b1"}))
        self.assertEqual(rehearsal.rules, ["not rebound"])

    def test_rebind_to_nobody(self) -> None:
        """
        A group of which nobody may be chosen takes nothing, and that is no fault.
        """
        plan = small_plan(
            Step(0.5, "reload", {"header": "global", "options": {"suspend_delivery": True}}),
            mail(),
            bindings=[("b0", "")],
            tables={"binding_group.g.binding.b0": {"group_weight": 0}},
        )
        rehearsal = self.rehearse(plan)
        rehearsal.run(5.0)
        rehearsal.perform(Step(5.0, "rebind", {"domain": "", "source": "", "binding": "", "group": "g"}))
        self.assertEqual(rehearsal.faults, [])

    def test_flush_and_reopen(self) -> None:
        """
        Mail that waits is tried now, and the log is opened anew.
        """
        plan = small_plan(behaviours=(broken_at("RCPT", "451 4.2.0 Not now"),))
        plan.settings.update(retry_interval=1000.0, max_retry_interval=1000.0, message_expiration=9000.0)
        for domain, attempts in (("", 2), (DOMAIN, 2), ("other.example", 1)):
            rehearsal = self.rehearse(plan)
            stage = rehearsal.run(5.0)
            rehearsal.perform(Step(5.0, "flush", {"domain": domain}))
            rehearsal.run(6.0)
            self.assertEqual(stage.books.parcels[b"r1x0@d0.example"].attempts, attempts, domain)
        reopened = stage.world.log.reopened
        rehearsal.perform(Step(6.0, "reopen"))
        self.assertEqual(stage.world.log.reopened, reopened + 1)

    def test_log(self) -> None:
        """
        The disk of the log is full.
        """

        def look(stage: Stage) -> object:
            return stage.world.log.full

        self.changes(look, "full_log", True)
        self.undone(look, Step(0.1, "full_log"), Step(0.2, "mend_log"))

    def test_clock(self) -> None:
        """
        The wall clock is set; how far it was put back is remembered, since what is
        to happen by it happens so much later.
        """
        rehearsal = self.rehearse()
        stage = rehearsal.stage
        before = stage.world.wall()
        for seconds in (-5.0, 100.0, -3600.0):
            rehearsal.perform(Step(0.1, "clock", {"seconds": seconds}))
        self.assertEqual(stage.world.wall() - before, -3505.0)
        self.assertEqual(stage.set_back, 3605.0)

    def test_clock_put_back(self) -> None:
        """
        A story whose clock was put back by days is over when it would have been, also when the process has to
        believe what another wrote under the clock before.
        """
        late = broken_at("RCPT", "451 4.2.0 Not now")
        plan = small_plan(mail(at=50.0), Step(52.0, "clock", {"seconds": -200_000.0}), behaviours=(late,))
        for steps in ((), (Step(53.0, "kill", {"operations": 0, "garbage": False, "down": 1.0}),)):
            result = self.innocent(replace(plan, steps=[*plan.steps, *steps]))
            self.assertEqual(result.counts["delivered"], 1)
            self.assertLess(result.seconds, 20_000.0)


class OpenTests(EventCase):
    """
    Connections that somebody opens for himself.
    """

    def step(self, lasts: float = 5.0, cancelled: bool = False, at: float = 40.0) -> Step:
        """
        A connection is opened, and closed after a while or given up.
        """
        return Step(at, "open", {"domain": DOMAIN, "slot": 0, "lasts": lasts, "cancelled": cancelled})

    def test_open(self) -> None:
        """
        It is there for as long as it should be, no session's, and counted as any other.
        """
        rehearsal = Rehearsal(small_plan(mail(), self.step()))
        stage = rehearsal.run(39.0)
        records = stage.world.service.delivery.records
        self.assertEqual((len(stage.ends.open), records.connections), (0, 0))
        rehearsal.run(44.9)
        self.assertEqual((len(stage.ends.open), records.connections, stage.observer.sessions), (1, 1, 0))
        rehearsal.invariants.recount()
        rehearsal.run(46.0)
        self.assertEqual((len(stage.ends.open), records.connections), (0, 0))
        self.innocent(small_plan(mail(), self.step()))

    def test_not_opened(self) -> None:
        """
        Why it was not opened is counted; the call may fail in four ways.
        """
        refused = Step(39.0, "refuse", {"host": ADDRESS})
        silent = Step(39.0, "silent", {"host": ADDRESS})
        forbidden = Step(39.0, "forbid", {"host": ADDRESS})
        for said, steps in {
            "ConnectFailed": (refused, self.step()),
            "ConnectTimedOut": (silent, self.step()),
            "CancelledError": (silent, self.step(1.0, cancelled=True)),
            "ConnectionNotInitiated": (forbidden, self.step()),
        }.items():
            plan = small_plan(mail(), *steps, settings={"connect_timeout": 10.0}, storm=100.0)
            self.assertEqual(self.innocent(plan).counts[f"opening: {said}"], 1)

    def test_cancelled_too_late(self) -> None:
        """
        What is established when it is given up is closed all the same, later.
        """
        result = self.innocent(small_plan(mail(), self.step(3.0, cancelled=True)))
        self.assertEqual([what for what in result.counts if what.startswith("opening")], [])

    def test_no_domain(self) -> None:
        """
        It is opened to domains that the service knows, while it runs, and not where
        delivery is suspended.
        """
        header = f'domain."{DOMAIN}"'
        suspend = Step(39.0, "reload", {"header": header, "options": {"suspend_delivery": True}})
        kill = Step(39.0, "kill", {"operations": 0, "garbage": False, "down": 5.0})
        for steps in (
            (self.step(at=0.5), mail()),
            (mail(), suspend, self.step()),
            (mail(), kill, self.step()),
            (mail(), Step(40.0, "stop", {"down": 5.0}), self.step()),
        ):
            self.assertEqual(self.innocent(small_plan(*steps)).counts["connections"], 1)


class DeathTests(EventCase):
    """
    How the service ends.
    """

    def test_stop(self) -> None:
        """
        It stops in order, and begins anew after a while.
        """
        rehearsal = self.rehearse()
        rehearsal.perform(Step(0.1, "stop", {"down": 5.0}))
        stage = rehearsal.run(1.0)
        self.assertEqual((stage.running, stage.next_start() is not None), (False, True))
        rehearsal.run(10.0)
        self.assertEqual((stage.running, stage.ready, rehearsal.faults), (True, True, []))

    def test_stop_twice(self) -> None:
        """
        While it stops, or is down, it cannot be stopped.
        """
        rehearsal = self.rehearse()
        stops: list[object] = []
        stop = OutboundService.stopService

        def counted(service: Any) -> Any:
            stops.append(service)
            return stop(service)

        self.patch(OutboundService, "stopService", counted)
        for at in (0.1, 0.1, 0.5):
            rehearsal.run(at)
            rehearsal.perform(Step(at, "stop", {"down": 100.0}))
        self.assertEqual(len(stops), 1)

    def test_kill_and_power_cut(self) -> None:
        """
        A kill leaves what the kernel had, and a power cut what the disk has.
        """
        for kind, counted in (("kill", "kills"), ("power", "power cuts")):
            rehearsal = self.rehearse()
            rehearsal.run(2.0)
            rehearsal.perform(Step(2.0, kind, {"operations": 0, "garbage": True, "down": 1.0}))
            stage = rehearsal.stage
            self.assertEqual((stage.running, stage.books.counts[counted]), (False, 1))
            rehearsal.run(5.0)
            self.assertEqual((stage.running, stage.ready, rehearsal.faults), (True, True, []))

    def test_death_that_does_not_come(self) -> None:
        """
        A process that was to die of its thousandth operation lives on when all is mended.
        """
        plan = small_plan(Step(0.5, "kill", {"operations": 1000, "garbage": False, "down": 1.0}), mail())
        self.assertNotIn("kills", self.innocent(plan).counts)
        stage = self.rehearse().stage
        stage.die(False, 1000, False, 1.0)
        self.assertGreater(stage.journal.stop_at, 1000)
        stage.events.mend()
        self.assertEqual(stage.journal.stop_at, 0)
