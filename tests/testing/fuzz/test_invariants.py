"""
What must hold, and that it is noticed when it does not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from momentum_tx.delivery.delivery import Delivery
from momentum_tx.delivery.handle import ConnectionHandle
from momentum_tx.delivery.initiate import _Attempt
from momentum_tx.delivery.maintainer import Maintainer
from momentum_tx.delivery.routing import Router
from momentum_tx.delivery.session import Session
from momentum_tx.delivery.sessions import Sessions
from momentum_tx.delivery.settle import Settlement
from momentum_tx.delivery.transaction import Transaction
from momentum_tx.outcomes import Verdict
from momentum_tx.policy.retry import End, RetrySchedule
from momentum_tx.queues.domain import DomainRecord, MXType
from momentum_tx.queues.mail_queue import MailQueue
from momentum_tx.queues.message import Message
from momentum_tx.settings import DEFAULT_SLOT
from momentum_tx.spool.repair import JournalWriter
from momentum_tx.testing.fuzz import invariants
from momentum_tx.testing.fuzz.invariants import Invariants
from momentum_tx.testing.fuzz.plan import Part, Plan, Step

from .stories import ADDRESS, DOMAIN, NAME, OTHER_DOMAIN, Rehearsal, StoryCase, broken_at, mail, small_plan

#: A receiver that takes no mail until the storm is over.
NOT_NOW = broken_at("RCPT", "451 4.2.0 Not now")


class EveryStepTests(StoryCase):
    """
    Sums that are right after every step.
    """

    def test_requeue_dropped(self) -> None:
        """
        A message that is to wait is in no queue.
        """
        plan = small_plan(behaviours=(NOT_NOW,))
        fault = self.planted(plan, "lost or doubled", MailQueue, "insert_delayed", lambda queue, message, *more: None)
        self.assertTrue(fault.text.startswith("0 messages"), fault.text)

    def test_double_take(self) -> None:
        """
        A message that a session has taken is active all the same.
        """
        take = Sessions.next_active

        def generous(sessions: Any, dr: Any, slot: int, handle: Any = None) -> Message | None:
            message = take(sessions, dr, slot, handle)
            if message is not None:
                dr.mail_queue.insert_active(message)
            return message

        fault = self.planted(small_plan(), "lost or doubled", Sessions, "next_active", generous)
        self.assertTrue(fault.text.startswith("2 messages"), fault.text)

    def test_connections_miscounted(self) -> None:
        """
        The service counts a connection that is closed.
        """
        give_back = _Attempt._give_back

        def forgetful(attempt: Any, handle: Any) -> None:
            give_back(attempt, handle)
            attempt._records.server.taken += 1

        plan = small_plan()
        fault = self.planted(plan, "counters", _Attempt, "_give_back", forgetful)
        self.assertEqual(fault.text, "0 connections, the service counts 1")
        self.assertLess(fault.at, plan.storm)

    def test_while_it_reads(self) -> None:
        """
        Before it has read its spool a service cannot have all its mail.
        """
        plan = small_plan(
            mail(1),
            Step(3.0, "kill", {"operations": 0, "garbage": False, "down": 1.0}),
            mail(2, at=3.5, how="smtp"),
            behaviours=(NOT_NOW,),
        )
        result = self.innocent(plan)
        self.assertEqual((result.counts["delivered"], result.counts["kills"]), (1, 1))


class EndTests(StoryCase):
    """
    Mail is given up for a cause that is none of our own making.
    """

    def test_refusal(self) -> None:
        """
        A receiver's word is a cause; one that only asked for patience gave none.
        """

        def hasty(transaction: Any, message: Any, result: Any, now: float, ambiguous: bool) -> None:
            if result.verdict is Verdict.TRANSIENT:
                transaction._settlement.permanent(message, result.note, result.stage, now, result.scope)
            else:
                pass_on(transaction, message, result, now, ambiguous)

        pass_on = Transaction._pass_on
        result = self.innocent(small_plan(behaviours=(broken_at("RCPT", "550 5.1.1 Nobody"),)))
        self.assertEqual(result.counts["permanent"], 1)
        fault = self.planted(small_plan(behaviours=(NOT_NOW,)), "failed without cause", Transaction, "_pass_on", hasty)
        self.assertIn("451 4.2.0 Not now", fault.text)

    def test_domain(self) -> None:
        """
        A domain that DNS does not speak of for a while is not taken for one that
        does not exist.
        """

        def hasty(router: Any, dr: DomainRecord, reason: str) -> None:
            dr.mx_type, dr.expiry = MXType.BROKEN, router._f.wall() + 60.0

        plan = small_plan(
            Step(0.5, "dns", {"fault": "servfail", "name": DOMAIN}),
            mail(),
            Step(20.0, "mend_dns", {"fault": "servfail", "name": DOMAIN}),
        )
        fault = self.planted(plan, "failed without cause", Router, "_lookup_failed", hasty)
        self.assertIn("Domain Lookup Failed", fault.text)

    def test_domain_that_was_gone(self) -> None:
        """
        If DNS said that there is no such domain, that was cause enough.
        """
        plan = small_plan(Step(0.5, "dns", {"fault": "gone", "name": DOMAIN}), mail())
        self.assertEqual(self.innocent(plan).counts["permanent"], 1)

    def test_own_kinds(self) -> None:
        """
        Each kind of domain that takes no mail is a cause for its own words alone.
        """
        for kind, other in (("null", "nxdomain"), ("nxdomain", "prohibited"), ("prohibited", "null")):
            plan = small_plan()
            plan.domains[0].kind = kind
            self.assertEqual(self.innocent(plan).counts["permanent"], 1, kind)
            rehearsal = Rehearsal(plan)
            rehearsal.run(0.5)
            plan.domains[0].kind = other
            rehearsal.run(5.0)
            self.assertEqual(rehearsal.rules, ["failed without cause"], kind)

    def test_too_early(self) -> None:
        """
        A message is not given up for its age before it has reached it.
        """

        def hasty(schedule: Any, created: float, failures: int, now: float, *rest: Any) -> float | End:
            return End.TIME if now - created > 100.0 else now + 10.0

        plan = small_plan(behaviours=(NOT_NOW,), storm=400.0, settings={"max_retries": "none"})
        self.assertEqual(self.innocent(plan).counts["permanent"], 1)
        self.patch(RetrySchedule, "next_attempt", hasty)
        fault = self.guilty(plan, "failed too early")
        self.assertIn("exceeded max time", fault.text)

    def test_tries_are_over(self) -> None:
        """
        A message may be given up for its tries at any age.
        """
        plan = small_plan(behaviours=(NOT_NOW,), settings={"max_retries": 1})
        result = self.innocent(plan)
        self.assertEqual((result.counts["transient"], result.counts["permanent"]), (2, 1))

    def test_clock_was_set(self) -> None:
        """
        Mail that is old by a steady clock may expire whatever the wall clock shows, and no other.
        """
        for seconds in (-7200.0, 7200.0):
            plan = small_plan(
                mail(),
                Step(50.0, "clock", {"seconds": seconds}),
                behaviours=(NOT_NOW,),
                storm=900.0,
                settings={"message_expiration": 300.0, "retry_interval": 60.0, "max_retry_interval": 60.0},
            )
            self.assertEqual(self.innocent(plan).counts["permanent"], 1)

    def test_tries_are_not_over(self) -> None:
        """
        A message is not given up for its tries before it has had them.
        """

        def hasty(schedule: Any, created: float, failures: int, now: float, *rest: Any) -> float | End:
            return End.RETRIES

        plan = small_plan(behaviours=(NOT_NOW,), settings={"max_retries": 1})
        fault = self.planted(plan, "failed too early", RetrySchedule, "next_attempt", hasty)
        self.assertIn("after 1 failures", fault.text)
        self.patch(RetrySchedule, "next_attempt", hasty)
        for settings in ({"max_retries": 0}, {"max_retries": 5, "never_retry": True}):
            self.innocent(small_plan(behaviours=(NOT_NOW,), settings=dict(settings)))


class RecountTests(StoryCase):
    """
    The whole account, from the messages and connections themselves.
    """

    def setUp(self) -> None:
        # One message is delayed, its connection idle; the other, to another domain, is in a transaction.
        plan = small_plan(
            mail(1),
            mail(2, to=(OTHER_DOMAIN,), at=3.0),
            behaviours=(
                Part("RefuseRecipients", {"share": 1.0, "reply": "451 4.2.0 Not now"}),
                Part("Tarpit", {"seconds": 1.0, "at": "MAIL"}),
            ),
            domains=(DOMAIN, OTHER_DOMAIN),
            settings={
                "retry_interval": 60.0,
                "max_retry_interval": 60.0,
                "idle_timeout": 30.0,
                "migrate_connections_between_sibling_domains": False,
            },
        )
        plan.hosts[0].behaviours[0].args["reply"] = b"451 4.2.0 Not now"
        self.rehearsal = Rehearsal(plan)
        self.stage = self.rehearsal.run(3.5)
        self.delivery = self.stage.world.service.delivery
        self.rehearsal.invariants.recount()
        self.assertEqual(self.rehearsal.faults, [])
        self.dr, self.other = (self.stage.world.domain(name) for name in (DOMAIN, OTHER_DOMAIN))
        (self.message,) = self.dr.mail_queue.messages()
        self.assertEqual((self.dr.mail_queue.delayed_size(), self.other.in_flight), (1, 1))

    def wrong(self) -> list[str]:
        """
        The rules that are broken when everything is counted anew.
        """
        self.rehearsal.invariants.recount()
        return self.rehearsal.rules

    def test_nowhere(self) -> None:
        """
        A message that is in no queue and in no transaction is missed by its name.
        """
        self.dr.mail_queue.remove(self.message)
        self.assertEqual(self.wrong(), ["lost", "lost or doubled"])
        self.assertIn("r1x0@d0.example", self.rehearsal.faults[0][1])

    def twin(self, message: Message) -> Message:
        """
        A message to the recipient of another one.
        """
        return Message("2", message.reception, 0, message.recipient)

    def test_in_two_queues(self) -> None:
        """
        A message that is in two queues is found.
        """
        self.other.mail_queue.insert_delayed(self.twin(self.message))
        self.assertEqual(self.wrong(), ["in two places"])

    def test_queued_in_flight(self) -> None:
        """
        A message that is queued while it is in a transaction is found, also if
        another one is missing.
        """
        (session,) = (each for each in self.delivery.sessions if each.messages)
        self.dr.mail_queue.remove(self.message)
        self.dr.mail_queue.insert_delayed(self.twin(session.messages[0]))
        self.rehearsal.settled()
        self.assertEqual(self.rehearsal.faults, [])
        self.assertEqual(self.wrong(), ["in two places", "lost", "lost or doubled"])

    def test_active_count(self) -> None:
        """
        A queue knows how much of its mail is active.
        """
        self.dr.mail_queue._active_total += 1
        self.assertEqual(self.wrong(), ["counters"])

    def test_in_flight_count(self) -> None:
        """
        A domain knows how much of its mail is in transactions.
        """
        self.other.in_flight += 1
        self.assertEqual(self.wrong(), ["counters"])
        self.assertIn("1 messages in flight, counted 2", self.rehearsal.faults[0][1])

    def test_host_count(self) -> None:
        """
        A host knows its connections.
        """
        (handle,) = self.other.connections[DEFAULT_SLOT]
        assert isinstance(handle, ConnectionHandle) and handle.host is not None
        handle.host.places.taken += 1
        self.assertEqual(self.wrong(), ["counters"])
        self.assertIn(f"{NAME}: 2 connections, counted 3", self.rehearsal.faults[0][1])

    def test_server_count(self) -> None:
        """
        The server knows all its connections.
        """
        self.delivery.records.server.taken += 1
        self.assertEqual(self.wrong(), ["counters"])

    def test_slot_of_handle(self) -> None:
        """
        A connection is kept under its own slot.
        """
        self.other.connections[1] = self.other.connections.pop(DEFAULT_SLOT)
        self.assertEqual(self.wrong(), ["counters"])
        self.assertIn("kept under slot 1", self.rehearsal.faults[0][1])

    def test_wire(self) -> None:
        """
        There is no connection on the wire that the service does not know.
        """
        self.stage.ends.open[1] = self.stage.ends.open[2] = (DOMAIN, DEFAULT_SLOT, None)
        self.assertEqual(self.wrong(), ["counters"])
        self.assertIn("4 connections on the wire, the service knows 2", self.rehearsal.faults[0][1])

    def test_now_and_then(self) -> None:
        """
        In a long story it is done again and again.
        """
        self.patch(invariants, "RECOUNT", 7)
        self.other.in_flight += 1
        self.dr.mail_queue.remove(self.message)
        for _ in range(7):
            self.rehearsal.settled()
        self.assertEqual(self.rehearsal.rules, ["counters", "lost", "lost or doubled"])


class StandstillTests(StoryCase):
    """
    Mail that could move and does not.
    """

    def test_answer_of_dns(self) -> None:
        """
        An answer of DNS that wakes nobody leaves the mail of its domain lying.
        """

        def quiet(router: Any, _: object, dr: DomainRecord) -> None:
            dr.lookup_pending = False

        slow = small_plan(Step(0.5, "dns", {"fault": "slow", "name": DOMAIN, "delay": 3.0}), mail())
        fault = self.planted(slow, "standstill", Router, "_loaded", quiet)
        self.assertIn("the last reason was DNS is asked", fault.text)
        self.planted(small_plan(dns="wire"), "standstill", Router, "_loaded", quiet)

    def test_new_mail(self) -> None:
        """
        Mail that is queued is looked after at once.
        """
        fault = self.planted(small_plan(), "standstill", Maintainer, "poke", lambda maintainer, dr, slot=None: None)
        self.assertIn("1 active messages stand still since 1.0", fault.text)

    def test_delayed_mail(self) -> None:
        """
        Mail that waits is swept when it is due.
        """
        plan = small_plan(behaviours=(NOT_NOW,))
        fault = self.planted(
            plan, "standstill", Maintainer, "_set_delayed_queue_event", lambda maintainer, dr, now: None
        )
        self.assertIn("delayed mail is due since", fault.text)

    def test_delayed_mail_in_time(self) -> None:
        """
        The next regular pass is soon enough for it, and not the one after that.
        """
        plan = small_plan(behaviours=(NOT_NOW,), settings={"retry_interval": 20.0, "max_retry_interval": 20.0})
        rehearsal = Rehearsal(plan)
        rehearsal.run(2.0)
        judge = rehearsal.invariants
        interval = rehearsal.stage.config().global_settings.delayed_queue_scan_interval
        judge.look_for_standstill(100.0)
        self.assertEqual(rehearsal.faults, [], "it was not due")
        rehearsal.stage.world.domain(DOMAIN).mail_queue.shift(-30.0)
        judge.look_for_standstill(2.0 + interval)
        self.assertEqual(rehearsal.faults, [])
        judge.look_for_standstill(2.0 + interval + 2 * invariants.STILL)
        self.assertEqual(rehearsal.rules, ["standstill"])

    def test_idle_session(self) -> None:
        """
        A session that waits for mail, while there is some, is nobody's work.
        """
        connect = Maintainer._connect

        def wasteful(maintainer: Any, dr: DomainRecord, now: float, slots: Any) -> None:
            if not dr.total_connections():
                connect(maintainer, dr, now, slots)

        plan = small_plan(mail(1), mail(2, at=3.0), settings={"idle_timeout": 30.0})
        fault = self.planted(plan, "standstill", Maintainer, "_connect", wasteful)
        self.assertEqual(fault.at, 3.0)

    def test_connection_being_opened(self) -> None:
        """
        While a connection is being opened somebody is at work.
        """
        silent = Step(0.5, "silent", {"host": ADDRESS})
        self.innocent(small_plan(silent, mail(), settings={"connect_timeout": 40.0}))

    def test_suspension_ends(self) -> None:
        """
        Mail that stood still because it had to moves as soon as it may.
        """
        table = f'domain."{DOMAIN}"'
        plan = small_plan(
            Step(0.5, "reload", {"header": table, "options": {"suspend_delivery": True}}),
            mail(),
            Step(20.0, "reload", {"header": table, "options": {"suspend_delivery": False}}),
        )
        fault = self.planted(plan, "standstill", Delivery, "reconfigured", lambda delivery: None)
        self.assertIn("the last reason was suspended", fault.text)
        self.assertEqual(fault.at, 20.0)

    def test_address_comes_back(self) -> None:
        """
        Mail that waited for an address of the machine's moves when that is there
        again, within ``binding_auto_replumb_interval``; or at once, where an
        operator has it looked for.
        """
        for automatic, at in ((True, 25.0), (False, 20.0)):
            plan = small_plan(
                Step(0.5, "unplumb", {"address": "192.0.2.2"}),
                mail(binding="b0"),
                Step(20.0, "plumb", {"address": "192.0.2.2"}),
                settings={
                    "binding_auto_replumb": automatic,
                    "binding_auto_replumb_interval": 5.0,
                    "delayed_queue_scan_interval": 50.0,
                },
                bindings=[("b0", "192.0.2.2")],
            )
            forgotten = "_poke_those_with_mail" if automatic else "reconfigured"
            fault = self.planted(plan, "standstill", Delivery, forgotten, lambda delivery: None)
            self.assertIn("the last reason was its address is absent", fault.text)
            self.assertAlmostEqual(fault.at, at, delta=0.1)


class ReasonTests(StoryCase):
    """
    Mail that stands still for a reason is left alone, and would not be without
    that reason.
    """

    def rehearse(self, plan: Plan, until: float) -> Rehearsal:
        """
        Play *plan* for a while; the judge has looked at what was just refused.
        """
        rehearsal = Rehearsal(plan)
        rehearsal.run(until)
        rehearsal.invariants.look_for_standstill(until)
        return rehearsal

    def explained(self, rehearsal: Rehearsal, reason: str) -> None:
        """
        If nothing happened for hours, *reason* would explain it, and nothing else would.
        """
        until = rehearsal.stage.seconds() + 10_000.0
        rehearsal.invariants.look_for_standstill(until)
        self.assertEqual(rehearsal.faults, [])
        judge = Invariants._reason

        def blind(judging: Any, dr: Any, slot: int) -> str:
            said: str = judge(judging, dr, slot)
            return "" if said == reason else said

        patch = self.patch(Invariants, "_reason", blind)
        rehearsal.invariants.look_for_standstill(until)
        self.assertEqual(rehearsal.rules, ["standstill"])
        patch.restore()

    def reloaded(self, **options: Any) -> Rehearsal:
        """
        A letter to a domain whose options were changed a moment before.
        """
        header = f'domain."{DOMAIN}"'
        return self.rehearse(small_plan(Step(0.5, "reload", {"header": header, "options": options}), mail()), 2.0)

    def test_suspended(self) -> None:
        """
        Its delivery is suspended.
        """
        self.explained(self.reloaded(suspend_delivery=True), "suspended")

    def test_curfew(self) -> None:
        """
        It is quiet.
        """
        quiet: dict[str, Any] = {"curfew": ["22:00-22:14"]}
        self.explained(self.rehearse(small_plan(mail(), settings=quiet), 2.0), "suspended")

    def test_unplumbed(self) -> None:
        """
        The machine has not the address it is to leave from.
        """
        plan = small_plan(
            Step(0.5, "unplumb", {"address": "192.0.2.2"}), mail(binding="b0"), bindings=[("b0", "192.0.2.2")]
        )
        self.explained(self.rehearse(plan, 2.0), "its address is absent")

    def test_no_connections(self) -> None:
        """
        Its domain may have no connections.
        """
        self.explained(self.reloaded(max_outbound_connections=0), "no connections are allowed")

    def test_dns(self) -> None:
        """
        DNS is being asked.
        """
        slow = Step(0.5, "dns", {"fault": "slow", "name": DOMAIN, "delay": 3.0})
        self.explained(self.rehearse(small_plan(slow, mail()), 2.0), "DNS is asked")

    def test_spool(self) -> None:
        """
        Nothing can be recorded.
        """
        plan = small_plan(
            *[mail(number) for number in range(1, 4)],
            *[
                Step(2.9, "disk", {"operation": operation, "error": "EIO", "times": -1, "torn": False})
                for operation in ("append", "create")
            ],
            behaviours=(Part("SlowAcceptance", {"seconds": 5.0}),),
            settings={"max_outbound_connections": 1},
        )
        self.explained(self.rehearse(plan, 20.0), "the spool cannot be written")

    def test_throttled(self) -> None:
        """
        A hook has said until when.
        """
        throttle = Part("throttle", {"most": 1, "seconds": 30.0})
        plan = small_plan(mail(1), mail(2, at=10.0), providers=(throttle,))
        self.explained(self.rehearse(plan, 11.0), "throttled")

    def test_peer(self) -> None:
        """
        Its peer wants no further connection.
        """
        plan = small_plan(
            *[mail(number) for number in range(1, 9)],
            behaviours=(Part("ConnectionCap", {"most": 1}), Part("Tarpit", {"seconds": 2.0, "at": "dot"})),
        )
        rehearsal = self.rehearse(plan, 2.0)
        dr = rehearsal.stage.world.domain(DOMAIN)
        # The session at work is reason enough for everybody; let it be as if there were none.
        dr.connections.clear()
        self.explained(rehearsal, "its peer has enough connections")

    def two_domains(self, **fields: Any) -> Rehearsal:
        """
        Letters to two domains of one slow receiver, the first of which is being delivered.
        """
        plan = small_plan(
            mail(to=(DOMAIN, OTHER_DOMAIN)),
            domains=(DOMAIN, OTHER_DOMAIN),
            behaviours=(Part("SlowAcceptance", {"seconds": 5.0}),),
            **fields,
        )
        return self.rehearse(plan, 3.0)

    def busy_server(self, **fields: Any) -> tuple[Rehearsal, DomainRecord]:
        """
        Mail to a domain that waits because the server has all the connections it may have.
        """
        rehearsal = self.two_domains(
            settings={"server_max_outbound_connections": 1, "server_reserve_outbound_connections": 0}, **fields
        )
        return rehearsal, rehearsal.stage.world.domain(OTHER_DOMAIN)

    def test_server(self) -> None:
        """
        The server has all the connections it may have.
        """
        self.explained(self.busy_server()[0], "it stands in line")

    def test_hooks(self) -> None:
        """
        A hook may want it so, until the storm is over.
        """
        for kind in ("goal", "veto", "raise", "nonsense"):
            rehearsal, _ = self.busy_server(providers=(Part(kind, {"share": 0.0}),))
            self.explained(rehearsal, "a hook wants it so")
            rehearsal.stage.storming = False
            rehearsal.faults.clear()
            self.explained(rehearsal, "it stands in line")

    def test_dns_failed(self) -> None:
        """
        DNS is asked again in a moment.
        """
        rehearsal, dr = self.busy_server()
        dr.dns_failures, dr.dns_retry_at = 1, rehearsal.stage.world.wall() + 1.0
        self.explained(rehearsal, "DNS failed a moment ago")
        # Answered since.
        dr.dns_failures = 0
        rehearsal.faults.clear()
        self.explained(rehearsal, "it stands in line")

    def test_bulk(self) -> None:
        """
        All mail of its domain is being moved, slice by slice.
        """
        rehearsal, dr = self.busy_server()
        rehearsal.stage.world.service.delivery.settlement._bulk._jobs[dr] = deque()
        self.explained(rehearsal, "all its mail is being moved")

    def test_verdict(self) -> None:
        """
        That the domain takes no mail explains nothing: it has to be acted upon.
        """
        for kind in (MXType.UNKNOWN, MXType.NULL, MXType.BROKEN):
            rehearsal, dr = self.busy_server()
            dr.mx_type = kind
            rehearsal.invariants.look_for_standstill(100.0)
            self.assertEqual(rehearsal.rules, ["standstill"])

    def test_host_is_full(self) -> None:
        """
        Its host has all the connections it may have.
        """
        rehearsal = self.two_domains(tables={f'host."{NAME}"': {"max_outbound_connections": 1}})
        self.explained(rehearsal, "it stands in line")

    def test_host_is_down(self) -> None:
        """
        Its host failed lately.
        """
        rehearsal, dr = self.busy_server()
        world = rehearsal.stage.world
        world.service.delivery.records.server.forget(dr)
        world.service.delivery.records.address_failed((ADDRESS, 25), DEFAULT_SLOT, world.wall())
        self.explained(rehearsal, "CONN_ERROR_NO_MXS_REACHABLE")

    def test_being_refused(self) -> None:
        """
        An attempt that was refused is reason enough until the next regular pass, not for ever.
        """
        rehearsal, dr = self.busy_server()
        dr.mx_type = MXType.NULL
        rehearsal.stage.attempts.refused[OTHER_DOMAIN, DEFAULT_SLOT] = None
        rehearsal.invariants.look_for_standstill(1e6)
        self.assertEqual(rehearsal.faults, [])
        interval = rehearsal.stage.config().global_settings.delayed_queue_scan_interval
        rehearsal.invariants.look_for_standstill(3.0 + interval)
        self.assertEqual(rehearsal.faults, [])
        rehearsal.invariants.look_for_standstill(3.0 + interval + 2 * invariants.STILL)
        self.assertEqual(rehearsal.rules, ["standstill"])

    def test_down(self) -> None:
        """
        A service that is down, reads, or stops need not move anything.
        """
        for attribute, value in (("running", False), ("ready", False), ("stopping", True)):
            rehearsal, dr = self.busy_server()
            dr.mx_type = MXType.NULL
            setattr(rehearsal.stage, attribute, value)
            rehearsal.invariants.look_for_standstill(100.0)
            self.assertEqual(rehearsal.faults, [], attribute)


class RestTests(StoryCase):
    """
    When all mail has ended.
    """

    def test_handle_never_closed(self) -> None:
        """
        A session is over, and its connection is counted for ever.
        """
        close = ConnectionHandle.close

        def forgetful(handle: Any) -> None:
            if not isinstance(handle.user_data, Session):
                close(handle)

        fault = self.planted(small_plan(), "no rest", ConnectionHandle, "close", forgetful)
        self.assertEqual(fault.text, "1 connections are left when all mail has ended")

    def test_end_of_session_not_told(self) -> None:
        """
        Hooks hear of every session's end that heard of its beginning.
        """
        ended = Sessions.session_ended

        def silent(sessions: Any, session: Any, failed: Any, retry_plain: bool) -> None:
            hooks = sessions.facilities.hooks
            point, hooks.dec_outbound_connections = hooks.dec_outbound_connections, ()
            ended(sessions, session, failed, retry_plain)
            hooks.dec_outbound_connections = point

        fault = self.planted(small_plan(), "no rest", Sessions, "session_ended", silent)
        self.assertEqual(fault.text, "1 sessions told of are left when all mail has ended")

    def test_waiter(self) -> None:
        """
        Whoever waits for a message's end is told of it.
        """
        fault = self.planted(small_plan(), "no rest", Settlement, "_ending", lambda *args: None)
        self.assertEqual(fault.text, "1 waiters are left when all mail has ended")

    def test_attempt_without_outcome(self) -> None:
        """
        Every attempt has an outcome.
        """
        rehearsal = Rehearsal(small_plan())
        stage = rehearsal.run(30.0)
        rehearsal.invariants.at_rest()
        self.assertEqual(rehearsal.faults, [])
        stage.books.parcels[b"r1x0@d0.example"].attempting = True
        rehearsal.invariants.at_rest()
        self.assertEqual(rehearsal.rules, ["attempt without outcome"])

    def test_stuck(self) -> None:
        """
        A message that waits for longer than it lives is stuck.
        """
        plan = small_plan(behaviours=(NOT_NOW,))
        fault = self.planted(
            plan, "stuck", RetrySchedule, "next_attempt", lambda schedule, created, failures, now, *rest: now + 1e6
        )
        self.assertIn("r1x0@d0.example", fault.text)
        self.assertIn("451 4.2.0 Not now", fault.text)

    def test_delivered_to_nobody(self) -> None:
        """
        What was delivered is with a receiver when all is over.
        """
        rehearsal = Rehearsal(small_plan())
        stage = rehearsal.run(30.0)
        rehearsal.invariants.over()
        self.assertEqual(rehearsal.faults, [])
        stage.books.parcels[b"r1x0@d0.example"].copies.clear()
        rehearsal.invariants.over()
        self.assertEqual(rehearsal.rules, ["falsely delivered"])

    def test_timers(self) -> None:
        """
        A service without mail has no timers but a few of its own.
        """
        connected = _Attempt._connected

        def forgetful(attempt: Any, stream: Any) -> None:
            connected(attempt, stream)
            for _ in range(invariants.TIMERS):
                attempt._facilities.clock.callLater(1e6, print)

        fault = self.planted(small_plan(), "no rest", _Attempt, "_connected", forgetful)
        self.assertIn("timers are left", fault.text)

    def test_segments(self) -> None:
        """
        A spool without mail is small, unless the disk did not let it become so.
        """
        letters = [mail(number, at=float(number), size=3000) for number in range(1, 6)]
        plan = small_plan(*letters, settings={"segment_size": 4096})
        fault = self.planted(plan, "no rest", JournalWriter, "reap", lambda writer: None)
        self.assertIn("segments are: ['000000000001.seg', ", fault.text)
        plan.steps.append(Step(50.0, "mend_disk"))
        self.patch(JournalWriter, "reap", lambda writer: None)
        self.innocent(plan)

    def test_memory(self) -> None:
        """
        Of some seeds it is looked at what is left in memory; what others keep
        there does not count.
        """
        deliver = Settlement.delivered
        kept: list[Message] = []

        def hoard(settlement: Any, message: Message, note: bytes, now: float) -> None:
            kept.append(message)
            deliver(settlement, message, note, now)

        # By then the domain is forgotten too, and its heap.
        plan = small_plan(mail(to=(DOMAIN,) * invariants.STALE))
        self.patch(Settlement, "delivered", hoard)
        plan.seed = invariants.LOOK_AT_MEMORY
        self.innocent(plan)
        plan = small_plan(mail(to=(DOMAIN,) * (invariants.STALE + 1)))
        self.innocent(plan)
        plan.seed = invariants.LOOK_AT_MEMORY
        fault = self.guilty(plan, "no rest")
        self.assertIn(f"{invariants.STALE + 1} objects of Message are left", fault.text)
        self.innocent(replace(small_plan(), seed=plan.seed))


class CalmTests(StoryCase):
    """
    Where nothing is wrong, everything goes well.
    """

    def test_well(self) -> None:
        """
        Everything is delivered at once, but what nobody would take.
        """
        plan = small_plan(mail(to=(DOMAIN, OTHER_DOMAIN)), domains=(DOMAIN, OTHER_DOMAIN), calm=True)
        for kind in ("mx", "null", "nxdomain", "prohibited"):
            plan.domains[1].kind = kind
            self.innocent(plan)

    def test_failures(self) -> None:
        """
        A message that has to be tried again, that fails, or that is taken twice is noticed.
        """
        for behaviour in (
            NOT_NOW,
            broken_at("RCPT", "550 5.1.1 Nobody"),
            Part("CloseAtDot", {"take": True}),
        ):
            self.innocent(small_plan(behaviours=(behaviour,)))
            fault = self.guilty(small_plan(behaviours=(behaviour,), calm=True), "failed in the calm")
            self.assertIn("r1x0@d0.example", fault.text)
