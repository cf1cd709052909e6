"""
The judge knows the contract of ``initiate_connection`` and sees each breach of it.
"""

from __future__ import annotations

from typing import Any

from momentum_tx.delivery import initiate
from momentum_tx.delivery.initiate import ConnectionInitiator, _Attempt
from momentum_tx.delivery.initiate_smtp import NO_CONNECTION, MailConnections
from momentum_tx.delivery.plumbing import Plumbing
from momentum_tx.delivery.settle import Settlement
from momentum_tx.delivery.suspension import Suspension
from momentum_tx.flags import CONN_ERROR, ConnFlag
from momentum_tx.policy.consequence import NO_VALID_HOSTS, with_actions
from momentum_tx.testing.fuzz.plan import Plan, Step

from .stories import ADDRESS, DOMAIN, NAME, Rehearsal, StoryCase, mail, small_plan

#: The address of a binding.
SOURCE = "192.0.2.2"
#: Seconds that each attempt is given.
PATIENCE = 5.0


def nobody_answers(*mails: Step) -> Plan:
    """
    Connects to the receiver get no answer until the storm is over.
    """
    silent = Step(0.5, "silent", {"host": ADDRESS})
    return small_plan(silent, *(mails or (mail(),)), settings={"connect_timeout": PATIENCE})


def everybody_refused(*mails: Step) -> Plan:
    """
    Connects to the receiver are refused until the storm is over.
    """
    return small_plan(Step(0.5, "refuse", {"host": ADDRESS}), *(mails or (mail(),)))


def without_address() -> Plan:
    """
    The address of a binding is taken away before its mail leaves, and given back.
    """
    return small_plan(
        Step(0.5, "unplumb", {"address": SOURCE}),
        mail(binding="b0"),
        Step(30.0, "plumb", {"address": SOURCE}),
        bindings=[("b0", SOURCE)],
    )


class UnplumbedTests(StoryCase):
    """
    A binding whose address the machine has not.
    """

    def test_attempted_again(self) -> None:
        """
        Its mail is tried although the address is known to be absent.
        """
        fault = self.planted(
            without_address(),
            "attempt while unplumbed",
            Suspension,
            "holds",
            lambda suspension, slot, domain: False,
        )
        self.assertIn(f"{DOMAIN} from slot 1, once more from ('{SOURCE}',)", fault.text)

    def test_message_suffers(self) -> None:
        """
        The message that could not leave has a failure counted against it.
        """
        fault = self.planted(without_address(), "actions", Plumbing, "impaired", lambda plumbing, slot: False)
        self.assertIn("1 requeues", fault.text)


class EndingTests(StoryCase):
    """
    One of three endings follows each call, once.
    """

    def test_both_callbacks(self) -> None:
        """
        An attempt whose time is over calls ``timeout_func``, and not
        ``finish_connect_func`` as well.
        """
        timed_out = _Attempt._timed_out

        def both(attempt: Any) -> None:
            timed_out(attempt)
            attempt._finish(attempt.handle, attempt.handle.error, 0.0)

        fault = self.planted(nobody_answers(), "flags", _Attempt, "_timed_out", both)
        self.assertIn("ended 2 times", fault.text)
        self.assertAlmostEqual(fault.at, 1.0 + PATIENCE, delta=0.1)

    def test_before_the_call_returned(self) -> None:
        """
        No callback runs before the call has returned.
        """
        refuse = _Attempt._refuse

        def early(attempt: Any, word: ConnFlag, now: float) -> None:
            attempt.handle.error = word
            attempt._finish(attempt.handle, word, now)
            refuse(attempt, word, now)

        fault = self.planted(everybody_refused(), "flags", _Attempt, "_refuse", early)
        self.assertIn("before the call had returned", fault.text)

    def test_wrong_callback(self) -> None:
        """
        Only what was too slow ends in ``timeout_func``.
        """

        def slow(attempt: Any, handle: Any, error: ConnFlag, now: float) -> None:
            attempt._timeout(handle, now)

        def end(attempt: Any, now: float) -> None:
            finish, attempt._finish = attempt._finish, lambda *args: slow(attempt, *args)
            ended(attempt, now)
            attempt._finish = finish

        ended = _Attempt._end
        fault = self.planted(everybody_refused(), "flags", _Attempt, "_end", end)
        self.assertIn("timeout_func with CONN_ERROR_CONNECT_NETWORK", fault.text)

    def test_word_of_handle(self) -> None:
        """
        The callback is told the word that the handle has.
        """

        def end(attempt: Any, now: float) -> None:
            finish = attempt._finish
            attempt._finish = lambda handle, error, when: finish(handle, CONN_ERROR(error), when)
            ended(attempt, now)

        ended = _Attempt._end
        fault = self.planted(everybody_refused(), "flags", _Attempt, "_end", end)
        self.assertIn("told CONN_ERROR_CONNECT_NETWORK, the handle says", fault.text)

    def test_two_causes(self) -> None:
        """
        A word has one cause.
        """

        def more(cause: ConnFlag, lookup_is_final: bool = False) -> ConnFlag:
            return with_actions(cause, lookup_is_final) | ConnFlag.ERROR_CONNECT

        fault = self.planted(everybody_refused(), "flags", initiate, "with_actions", more)
        self.assertIn("has 2 causes", fault.text)

    def test_no_ending(self) -> None:
        """
        An attempt that never ends is seen when everything has come to rest.
        """
        connected = _Attempt._connected
        swallowed: list[Any] = []

        def swallow(attempt: Any, stream: Any) -> None:
            if swallowed:
                connected(attempt, stream)
            else:
                attempt._deadline.disarm()
                swallowed.append(stream)

        # The second attempt delivers both.
        plan = small_plan(mail(1), mail(2), mail(3), mail(4))
        self.innocent(plan)
        self.patch(_Attempt, "_connected", swallow)
        fault = self.guilty(plan, "flags")
        self.assertIn("has never ended", fault.text)


class WordTests(StoryCase):
    """
    The failure hook is told once, of the full word.
    """

    def test_told_twice(self) -> None:
        """
        A hook that hears of one failure twice counts two.
        """
        tell = _Attempt._tell_failure

        def twice(attempt: Any, now: float) -> None:
            tell(attempt, now)
            tell(attempt, now)

        fault = self.planted(everybody_refused(), "flags", _Attempt, "_tell_failure", twice)
        self.assertEqual(fault.text.count("CONN_ACTION_REQUEUE1"), 3)

    def test_not_told(self) -> None:
        """
        A hook that does not hear of a failure counts none.
        """
        fault = self.planted(everybody_refused(), "flags", _Attempt, "_tell_failure", lambda attempt, now: None)
        self.assertTrue(fault.text.endswith("told: nothing"), fault.text)

    def test_bare_error(self) -> None:
        """
        The error without its obligations is not the word.
        """
        tell = _Attempt._tell_failure

        def bare(attempt: Any, now: float) -> None:
            word, attempt.handle.error = attempt.handle.error, CONN_ERROR(attempt.handle.error)
            tell(attempt, now)
            attempt.handle.error = word

        fault = self.planted(everybody_refused(), "flags", _Attempt, "_tell_failure", bare)
        self.assertTrue(fault.text.endswith("told: d0.example/0 CONN_ERROR_CONNECT_NETWORK"), fault.text)

    def test_told_of_nothing(self) -> None:
        """
        A hook that hears of a failure where there was none is misled.
        """
        connected = _Attempt._connected

        def alarmed(attempt: Any, stream: Any) -> None:
            connected(attempt, stream)
            attempt._tell_failure(0.0)

        fault = self.planted(small_plan(), "flags", _Attempt, "_connected", alarmed)
        self.assertTrue(fault.text.startswith("ended: nothing; told:"), fault.text)


class ActionTests(StoryCase):
    """
    What a word obliges to is done once.
    """

    def test_performed_twice(self) -> None:
        """
        The actions of an attempt that timed out are performed a second time.
        """
        timed_out = MailConnections._timed_out

        def twice(connections: Any, handle: Any, now: float) -> None:
            timed_out(connections, handle, now)
            connections.perform(handle.dr, handle.binding_slot, handle.error, now, NO_CONNECTION)

        fault = self.planted(nobody_answers(), "actions", MailConnections, "_timed_out", twice)
        self.assertIn("nobody owed them", fault.text)

    def test_not_performed(self) -> None:
        """
        The actions of an attempt that timed out are forgotten.
        """
        fault = self.planted(
            nobody_answers(), "actions", MailConnections, "_timed_out", lambda connections, handle, now: None
        )
        self.assertIn("nobody performed", fault.text)

    def test_not_done(self) -> None:
        """
        They are performed, and nothing comes of it.
        """
        fault = self.planted(nobody_answers(), "actions", MailConnections, "perform", lambda *args: None)
        self.assertIn("performed as 0 requeues and 0 purges", fault.text)

    def test_two_requeues(self) -> None:
        """
        Two messages pay for one connection that failed.
        """
        requeue = Settlement.requeue_one

        def two(settlement: Any, *args: Any, **named: Any) -> None:
            requeue(settlement, *args, **named)
            requeue(settlement, *args, **named)

        plan = everybody_refused(mail(1), mail(2))
        fault = self.planted(plan, "actions", Settlement, "requeue_one", two)
        self.assertIn("REQUEUE1 moved 2 of 2 messages", fault.text)

    def test_purged(self) -> None:
        """
        A connection that failed costs all mail of the domain its life.
        """
        perform = MailConnections.perform

        def purge(connections: Any, dr: Any, *more: Any) -> None:
            perform(connections, dr, *more)
            connections._settlement.purge_domain(dr, NO_VALID_HOSTS)

        fault = self.planted(everybody_refused(), "actions", MailConnections, "perform", purge)
        self.assertIn("performed as 1 requeues and 1 purges", fault.text)

    def test_delayed_too_often(self) -> None:
        """
        One failure delays a domain for two reasons at the most.
        """

        def delay(connections: Any, dr: Any, slot: int, word: ConnFlag, now: float) -> None:
            for _ in range(times):
                connections._settlement.delay_domain(dr, NO_VALID_HOSTS)

        plan = everybody_refused()
        self.patch(MailConnections, "count_failure", delay)
        times = 2
        self.innocent(plan)
        times = 3
        fault = self.guilty(plan, "actions")
        self.assertIn("delayed the domain 3 times", fault.text)

    def test_given_back(self) -> None:
        """
        A message that goes back to the active queue has no attempt that wants an outcome.
        """
        plan = small_plan(mail(1), mail(2), settings={"max_outbound_connections": 1})
        plan.hosts[0].extensions["max_messages"] = 1
        result = self.innocent(plan)
        self.assertEqual((result.counts["delivered"], result.counts["given back"]), (2, 1))
        self.assertNotIn("transient", result.counts)


class RefusedTests(StoryCase):
    """
    For whom nothing could be begun, he waits for the next regular pass.
    """

    def refused(self, *steps: Step, **fields: Any) -> list[tuple[str, int]]:
        """
        The pairs of domain and slot for which nothing could be begun by 2 s.
        """
        rehearsal = Rehearsal(small_plan(*steps, mail(), **fields))
        stage = rehearsal.run(2.0)
        self.assertEqual(rehearsal.faults, [])
        return list(stage.attempts.refused)

    def test_limit(self) -> None:
        """
        A limit was reached.
        """
        self.assertEqual(self.refused(settings={"server_max_outbound_connections": 1}), [])
        plan = {"tables": {f'host."{NAME}"': {"max_outbound_connections": 0}}}
        self.assertEqual(self.refused(**plan), [(DOMAIN, 0)])

    def test_pending(self) -> None:
        """
        While DNS is asked the answer is waited for, and no pass.
        """
        slow = Step(0.5, "dns", {"fault": "slow", "name": DOMAIN, "delay": 3.0})
        begun: list[object] = []
        begin = ConnectionInitiator.initiate_connection

        def noted(initiator: Any, *args: Any) -> Any:
            begun.append(args)
            return begin(initiator, *args)

        self.patch(ConnectionInitiator, "initiate_connection", noted)
        # Whatever the maintainer does not ask for itself somebody else may.
        own = Step(1.5, "open", {"domain": DOMAIN, "slot": 0, "lasts": 0.0, "cancelled": False})
        self.assertEqual(self.refused(slow, own), [])
        self.assertEqual(len(begun), 1)

    def test_later(self) -> None:
        """
        An attempt that was begun, and failed a moment later, is followed by what
        follows from that.
        """
        settings = {"mx_failures_to_delay": 0, "host_failure_retry": 0.001}
        self.assertEqual(self.refused(Step(0.5, "refuse", {"host": ADDRESS}), settings=settings), [])
