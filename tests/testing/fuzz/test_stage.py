"""
The world of a plan, and one process of the service after the other in it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory

from momentum_tx.errors import StartupError
from momentum_tx.interfaces.services import MXKind
from momentum_tx.service import OutboundService
from momentum_tx.testing.behaviours import BrokenAt, CloseAtDot, OutageSchedule
from momentum_tx.testing.fuzz.plan import Domain, Host, Part, Plan, Step
from momentum_tx.testing.fuzz.stage import OPERATOR_PAUSE, PROHIBITED, START_PAUSE, Stage, StagedWorld
from momentum_tx.testing.fuzz.transaction_watch import TransactionWatch
from momentum_tx.testing.world import LISTENING

from .stories import ADDRESS, DOMAIN, NAME, Rehearsal, StoryCase, broken_at, mail, small_plan

NOT_NOW = broken_at("RCPT", "451 4.2.0 Not now")


class WorldTests(StoryCase):
    """
    The world is as the plan says.
    """

    def stage(self, plan: Plan) -> Stage:
        """
        The stage of a plan, at its beginning.
        """
        return Stage(plan, lambda rule, text: self.fail(f"{rule}: {text}"))

    def test_receivers(self) -> None:
        """
        Receivers are where they should be, offer what they should, and behave so.
        """
        behaviours = (
            broken_at("MAIL", "421 4.3.2 Closing", then="close", after=1.0),
            Part("CloseAtDot", {"take": True, "share": 0.5}),
            Part("OutageSchedule", {"every": 100.0, "lasts": 1.0}),
        )
        plan = small_plan(behaviours=behaviours)
        plan.hosts[0].extensions = {"pipelining": False, "starttls": True, "size": 2000, "max_messages": 3}
        plan.hosts[0].line = {"latency": 0.5, "jitter": 0.1, "split": 3}
        plan.hosts.append(
            Host("mx2.peer.example", "198.51.100.2", extensions={"plain": True, "lmtp": True, "xclient": True})
        )
        stage = self.stage(plan)
        receiver, plain = stage.receivers[ADDRESS], stage.receivers["198.51.100.2"]
        self.assertEqual((receiver.address, receiver.name), (ADDRESS, NAME.encode()))
        self.assertEqual(
            (receiver.pipelining, receiver.starttls, receiver.size, receiver.max_messages), (False, True, 2000, 3)
        )
        kinds = [type(each) for each in receiver.behaviours]
        self.assertEqual(kinds, [TransactionWatch, BrokenAt, CloseAtDot, OutageSchedule])
        broken = receiver.behaviours[1]
        assert isinstance(broken, BrokenAt)
        self.assertEqual((broken.done.reply, broken.done.then, broken.done.after), (b"421 4.3.2 Closing", "close", 1.0))
        self.assertEqual((plain.extensions, plain.pipelining), ([], True))
        ports = [(each.lmtp, each.port.getHost().port) for each in (receiver, plain)]
        self.assertEqual(ports, [(False, 25), (True, 2003)])
        self.assertEqual((receiver.xclient, plain.xclient), ((), (b"NAME", b"ADDR", b"PROTO", b"HELO")))
        line = stage.world.network.line(ADDRESS)
        self.assertEqual((line.latency, line.jitter), (0.5, 0.1))
        self.assertGreater(len(list(line.split(b"x" * 30))), 9)

    def test_receivers_behave(self) -> None:
        """
        When it is over receivers behave, and their dots are still seen.
        """
        plan = small_plan(behaviours=(NOT_NOW,))
        plan.hosts[0].extensions = {"max_messages": 3}
        stage = self.stage(plan)
        stage.receivers_behave()
        receiver = stage.receivers[ADDRESS]
        self.assertEqual([type(each) for each in receiver.behaviours], [TransactionWatch])
        self.assertIsNone(receiver.max_messages)

    def test_two_addresses(self) -> None:
        """
        Two receivers of one name are two addresses of it.
        """
        plan = small_plan()
        plan.hosts.append(Host(NAME, "198.51.100.2"))
        self.assertEqual(self.stage(plan).world.resolver.addresses[NAME], [ADDRESS, "198.51.100.2"])

    def test_domains(self) -> None:
        """
        Each kind of domain is in DNS as it should be, and its mail comes to the
        end that this has.
        """
        plan = small_plan()
        plan.domains = [
            Domain("mx.example", "mx", [(20, "mx2.peer.example"), (10, NAME)]),
            Domain("null.example", "null"),
            Domain("nxdomain.example", "nxdomain", [(10, NAME)]),
            Domain("address.example", "address", [(10, NAME)]),
            Domain("prohibited.example", "prohibited", [(10, NAME)]),
            Domain("routes.example", "routes", [(10, "mx2.peer.example")]),
            Domain("gateway.example", "gateway", [(10, NAME)]),
        ]
        plan.hosts.append(Host("mx2.peer.example", "198.51.100.2"))
        routes: Any = [ADDRESS]
        plan.tables['domain."routes.example"'] = {"routes": routes}
        plan.tables['domain."gateway.example"'] = {"gateway": ADDRESS}
        plan.steps = [mail(1, to=tuple(domain.name for domain in plan.domains))]
        zone = self.stage(plan).world.resolver
        self.assertEqual(
            zone.mx,
            {
                "mx.example": [(20, "mx2.peer.example"), (10, NAME)],
                "null.example": MXKind.NULL,
                "prohibited.example": [(10, "mx.prohibited.example")],
                "routes.example": [(10, "mx2.peer.example")],
            },
        )
        self.assertEqual(
            (zone.addresses["address.example"], zone.addresses["mx.prohibited.example"]), ([ADDRESS], [PROHIBITED])
        )
        stage = self.player(plan).stage
        ended = {parcel.recipient.decode().partition("@")[2]: parcel.ended for parcel in stage.books.parcels.values()}
        failed = {"null.example", "nxdomain.example", "prohibited.example"}
        self.assertEqual(ended, {name: "failed" if name in failed else "delivered" for name in ended})
        self.assertEqual([len(stage.receivers[address].ledger) for address in (ADDRESS, "198.51.100.2")], [4, 0])

    def test_write_domain(self) -> None:
        """
        A domain can be put back into DNS; one that is not in the plan is none.
        """
        stage = self.stage(small_plan())
        stage.world.resolver.mx.clear()
        stage.write_domain("other.example")
        self.assertEqual(stage.world.resolver.mx, {})
        stage.write_domain(DOMAIN)
        self.assertEqual(stage.world.resolver.mx, {DOMAIN: [(10, NAME)]})

    def test_wire(self) -> None:
        """
        DNS is scripted, or there are name servers to be asked.
        """
        self.assertEqual(self.stage(small_plan()).world.nameservers, [])
        self.assertNotEqual(self.stage(small_plan(dns="wire")).world.nameservers, [])


class LifeTests(StoryCase):
    """
    Processes come and go.
    """

    def crash(self, kind: str = "kill", at: float = 2.0, down: float = 3.0, operations: int = 0) -> Step:
        """
        The end of a process.
        """
        return Step(at, kind, {"operations": operations, "garbage": False, "down": down})

    def test_ready(self) -> None:
        """
        A service runs from the first moment, and is ready a moment later.
        """
        rehearsal = Rehearsal(small_plan())
        stage = rehearsal.stage
        self.assertEqual((stage.running, stage.ready, stage.storming), (True, False, True))
        rehearsal.run(0.1)
        self.assertEqual((stage.ready, stage.next_start(), stage.books.starts), (True, None, 1))

    def test_next_process(self) -> None:
        """
        After a death the next process begins when it should, with a judge at its
        edges who knows what there was.
        """
        rehearsal = Rehearsal(small_plan(mail(), self.crash(), behaviours=(NOT_NOW,)))
        stage = rehearsal.run(1.5)
        before = stage.world.service, stage.observer, stage.edge, stage.attempts
        rehearsal.run(4.9)
        self.assertEqual((stage.running, stage.next_start()), (False, 5.0))
        rehearsal.run(6.0)
        after = stage.world.service, stage.observer, stage.edge, stage.attempts
        for old, new in zip(before, after, strict=True):
            self.assertIsNot(old, new)
        self.assertEqual((before[1].deaf, before[2].deaf, after[1].deaf, after[2].deaf), (True, True, False, False))
        self.assertEqual((stage.running, stage.ready, stage.books.starts, rehearsal.faults), (True, True, 2, []))
        self.assertEqual([message.recipient for message in stage.messages()], [b"r1x0@d0.example"])
        self.assertEqual(stage.found(), {b"r1x0@d0.example": (0, 1)})

    def test_in_a_transaction(self) -> None:
        """
        A message in a transaction is the service's too.
        """
        rehearsal = Rehearsal(small_plan(behaviours=(Part("SlowAcceptance", {"seconds": 5.0}),)))
        stage = rehearsal.run(3.0)
        self.assertEqual(stage.world.queued(), 0)
        self.assertEqual(list(stage.found()), [b"r1x0@d0.example"])

    def test_dies_of_an_operation(self) -> None:
        """
        A process may die in the middle of a step, before an operation on its disk:
        what it does after that in the same step nobody hears of.
        """
        rehearsal = Rehearsal(small_plan(self.crash(at=0.5, operations=1), mail(how="smtp")))
        stage = rehearsal.run(2.0)
        self.assertEqual((stage.running, stage.books.counts["kills"]), (False, 1))
        (parcel,) = stage.books.parcels.values()
        self.assertEqual((parcel.letter.state, parcel.known), ("unknown", False))
        rehearsal.run(10.0)
        self.assertEqual((stage.found(), rehearsal.faults), ({}, []))

    def test_dies_once(self) -> None:
        """
        What is dead does not die.
        """
        rehearsal = Rehearsal(small_plan(self.crash(), self.crash("power", at=2.5)))
        stage = rehearsal.run(3.0)
        self.assertEqual((stage.books.counts["kills"], stage.books.counts.get("power cuts")), (1, None))
        self.assertEqual(stage.next_start(), 5.0)

    def test_start_refused(self) -> None:
        """
        A service that cannot start is started again after a while, until it can.
        """
        rehearsal = Rehearsal(small_plan(mail(), self.crash(down=1.0), behaviours=(NOT_NOW,)))
        rehearsal.run(2.5)
        stage = rehearsal.stage
        other = stage.world.network.listen(*LISTENING, Factory())
        rehearsal.run(3.0)
        self.assertEqual((stage.running, stage.books.counts["starts refused"]), (False, 1))
        self.assertEqual(stage.next_start(), 3.0 + START_PAUSE)
        rehearsal.run(3.0 + START_PAUSE)
        self.assertEqual((stage.running, stage.books.counts["starts refused"]), (False, 2))
        other.stopListening()
        rehearsal.run(3.1 + 2 * START_PAUSE)
        self.assertEqual((stage.running, stage.ready, rehearsal.faults), (True, True, []))
        self.assertEqual(list(stage.found()), [b"r1x0@d0.example"])

    def test_not_built(self) -> None:
        """
        So is one that cannot even be made, for a configuration that does not fit the machine.
        """
        rehearsal = Rehearsal(small_plan(self.crash(down=1.0)))
        stage = rehearsal.run(2.5)

        def refuse(world: StagedWorld) -> None:
            raise StartupError("192.0.2.2 is not configured on this host")

        patch = self.patch(StagedWorld, "build", refuse)
        rehearsal.run(4.0)
        self.assertEqual((stage.running, stage.next_start()), (False, 3.0 + START_PAUSE))
        patch.restore()
        rehearsal.run(3.1 + START_PAUSE)
        self.assertEqual((stage.running, stage.ready, rehearsal.faults), (True, True, []))

    def test_spool_that_cannot_be_read(self) -> None:
        """
        A service that cannot read its spool takes no mail, until an operator comes.
        """
        rehearsal = Rehearsal(small_plan(mail(), self.crash(down=1.0), behaviours=(NOT_NOW,)))
        rehearsal.run(2.5)
        stage = rehearsal.stage
        stage.trouble_begins()
        stage.world.files.fail("read", 5, times=-1)
        rehearsal.run(4.0)
        self.flushLoggedErrors()
        self.assertEqual((stage.running, stage.books.counts["spools that could not be read"]), (False, 1))
        self.assertAlmostEqual(stage.next_start() or 0.0, 3.0 + OPERATOR_PAUSE, delta=1.0)
        stage.world.files.heal()
        rehearsal.run(40.0)
        self.assertEqual((list(stage.found()), rehearsal.faults), ([b"r1x0@d0.example"], []))

    def test_stop(self) -> None:
        """
        A service that has stopped in order has everything on record.
        """
        plan = small_plan(mail(1), mail(2, at=1.5), Step(1.6, "stop", {"down": 1.0}), behaviours=(NOT_NOW,))
        rehearsal = Rehearsal(plan)
        stage = rehearsal.run(1.6)
        self.assertTrue(stage.stopping and stage.edge.stopping)
        rehearsal.run(10.0)
        self.assertEqual((stage.stopping, stage.running), (False, True))
        self.assertEqual((len(stage.found()), rehearsal.faults), (2, []))

    def test_stopped_before_it_was_ready(self) -> None:
        """
        A service may be stopped before it has read its spool.
        """
        slow = Step(0.5, "slow_disk", {"delay": 1.0})
        plan = small_plan(slow, self.crash(down=1.0), Step(3.5, "stop", {"down": 1.0}))
        rehearsal = Rehearsal(plan)
        stage = rehearsal.run(3.5)
        self.assertFalse(stage.ready)
        rehearsal.run(50.0)
        self.flushLoggedErrors()
        self.assertEqual((stage.ready, rehearsal.faults), (True, []))

    def test_for_good(self) -> None:
        """
        When a story is over no further process begins.
        """
        rehearsal = Rehearsal(small_plan())
        stage = rehearsal.run(5.0)
        stage.stop(0.0, for_good=True)
        rehearsal.run(100.0)
        self.assertEqual((stage.running, stage.next_start()), (False, None))

    def test_leftovers(self) -> None:
        """
        A service that leaves something behind when it has stopped is seen.
        """
        stop = OutboundService.stopService

        def untidy(service: Any) -> Any:
            self.stage.world.process.callLater(1000.0, print)
            return stop(service)

        plan = small_plan(mail(), Step(10.0, "stop", {"down": 1.0}))
        self.innocent(plan)
        self.patch(OutboundService, "stopService", untidy)
        rehearsal = Rehearsal(plan)
        self.stage = rehearsal.run(9.0)
        rehearsal.run(30.0)
        self.assertEqual(rehearsal.rules, ["leftovers"])
        self.assertIn("after a stop: ", rehearsal.faults[0][1])

    def test_close(self) -> None:
        """
        At the very end receivers close, and leave nothing in the clock.
        """
        outages = Part("OutageSchedule", {"every": 100.0, "lasts": 1.0})
        rehearsal = Rehearsal(small_plan(behaviours=(outages,)))
        stage = rehearsal.run(5.0)
        stage.stop(0.0, for_good=True)
        rehearsal.run(50.0)
        self.assertNotEqual(list(stage.world.clock.getDelayedCalls()), [])
        stage.close()
        self.assertEqual(list(stage.world.clock.getDelayedCalls()), [])

    def test_providers(self) -> None:
        """
        Every process has the plan's hook providers.
        """
        rehearsal = Rehearsal(small_plan(self.crash(), providers=(Part("veto"), Part("goal"))))
        for at in (1.0, 10.0):
            hooks = rehearsal.run(at).world.service.hooks
            self.assertEqual((len(hooks.veto_host_connection.providers), len(hooks.connection_goal.providers)), (1, 1))
