"""
A story, from its first step to its last: quiet ones, endless ones, and the same
one twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

import momentum_tx
from momentum_tx.queues.mail_queue import MailQueue
from momentum_tx.service import OutboundService
from momentum_tx.testing import clock
from momentum_tx.testing.behaviours import OutageSchedule
from momentum_tx.testing.fuzz import play as playing
from momentum_tx.testing.fuzz.invariants import Invariants
from momentum_tx.testing.fuzz.making import make_plan
from momentum_tx.testing.fuzz.plan import Part, Plan, Step
from momentum_tx.testing.fuzz.play import Player, play
from momentum_tx.testing.network import VirtualNetwork

from .stories import DOMAIN, OTHER_DOMAIN, StoryCase, broken_at, mail, small_plan

ROOT = Path(momentum_tx.__file__).parent.parent


class QuietTests(StoryCase):
    """
    Stories in which nothing is wrong.
    """

    def test_no_trouble(self) -> None:
        """
        Without troubles everything is delivered at the first attempt, and when all
        is over nothing is in the clock and no connection open.
        """
        plan = small_plan(
            mail(1, to=(DOMAIN, DOMAIN, OTHER_DOMAIN)),
            mail(2, at=2.0, how="smtp"),
            mail(3, at=2.0, how="smtp", size=3000),
            domains=(DOMAIN, OTHER_DOMAIN),
        )
        player = self.player(plan)
        stage = player.stage
        self.assertEqual([parcel.ended for parcel in stage.books.parcels.values()], ["delivered"] * 5)
        self.assertEqual({letter.state for letter in stage.books.letters.values()}, {"accepted"})
        self.assertEqual((stage.books.live, stage.running, stage.clients.waiting), (0, False, False))
        self.assertEqual(list(stage.world.clock.getDelayedCalls()), [])
        self.assertEqual(stage.world.network.open_transports(), [])
        counts = self.innocent(plan).counts
        expected = {"step mail": 3, "accepted": 3, "attempts": 5, "delivered": 5, "taken": 4, "connections": 2}
        self.assertEqual({what: counts.get(what) for what in expected}, expected)
        self.assertEqual(set(counts) - set(expected), set())

    def test_nothing(self) -> None:
        """
        A story in which nothing happens has an end too.
        """
        plan = small_plan()
        plan.steps.clear()
        result = self.innocent(plan)
        self.assertEqual(result.counts, {})
        self.assertGreater(result.seconds, plan.storm)

    def test_quiet(self) -> None:
        """
        What could not be delivered in the storm is in the quiet, and the story
        lasts for as long as that takes.
        """
        plan = small_plan(mail(at=50.0), behaviours=(broken_at("RCPT", "451 4.2.0 Not now"),))
        plan.settings.update(retry_interval=1000.0, max_retry_interval=1000.0, message_expiration=5000.0)
        result = self.innocent(plan)
        self.assertEqual((result.counts["transient"], result.counts["delivered"]), (1, 1))
        self.assertGreater(result.seconds, 1050.0)

    def test_beyond_the_storm(self) -> None:
        """
        A step beyond the storm does not happen; one at its very end does.
        """
        plan = small_plan(mail(1, at=60.0), mail(2, at=60.001), storm=60.0)
        self.assertEqual(self.innocent(plan).counts["step mail"], 1)

    def test_result(self) -> None:
        """
        The result says how much happened, and what if that was asked for.
        """
        result = play(small_plan())
        traced = play(small_plan(), keep_trace=True)
        self.assertEqual(result.lines, [])
        self.assertEqual(len(traced.lines), result.events)
        self.assertEqual((traced.digest, traced.steps), (result.digest, result.steps))
        self.assertGreater(result.steps, 50)


class FaultTests(StoryCase):
    """
    Stories that end with a fault.
    """

    def test_first_fault_ends_it(self) -> None:
        """
        A story ends with its first fault, which is the last line of its trace.
        """
        self.patch(MailQueue, "insert_delayed", lambda queue, message, *more: None)
        plan = small_plan(behaviours=(broken_at("RCPT", "451 4.2.0 Not now"),))
        result = play(plan, keep_trace=True)
        self.assertEqual(len(result.faults), 1)
        self.assertLess(result.seconds, 2.0)
        fault = result.faults[0]
        self.assertEqual(result.lines[-1], f"{fault.at:.6f} FAULT {fault.rule} {fault.text}")
        self.assertEqual(str(fault), f"{fault.rule}, at {fault.at:.6f} s: {fault.text}")
        self.assertEqual(result.digest, play(plan).digest)

    def test_many_faults(self) -> None:
        """
        Of one step's faults so many are kept and no more.
        """
        self.patch(Invariants, "after_step", lambda judge: [judge._fault("never", str(number)) for number in range(50)])
        faults = play(small_plan()).faults
        self.assertEqual(len(faults), playing.MOST_FAULTS)
        self.assertEqual(faults[-1].text, str(playing.MOST_FAULTS - 1))

    def test_time_stands_still(self) -> None:
        """
        A service that is busy for ever without time passing is found out.
        """
        self.patch(clock, "STUCK", 1000)
        plan = small_plan(behaviours=(broken_at("RCPT", "451 4.2.0 Not now"),))
        fault = self.planted(plan, "endless", MailQueue, "sweep", lambda queue, *arguments: 0)
        self.assertIn("time stands still", fault.text)

    def test_too_many_steps(self) -> None:
        """
        A story that does not come to its end is given up.
        """
        plan = small_plan()
        steps = self.innocent(plan).steps
        self.patch(playing, "MOST_STEPS", steps)
        self.innocent(plan)
        self.patch(playing, "MOST_STEPS", steps - 1)
        self.assertEqual(self.guilty(plan, "endless").text, f"{steps - 1} steps")

    def test_does_not_stop(self) -> None:
        """
        A service that was asked to stop does.
        """
        stop = OutboundService.stopService

        def hang(service: Any) -> Deferred[None]:
            stop(service)
            return Deferred()

        fault = self.planted(small_plan(), "endless", OutboundService, "stopService", hang)
        self.assertEqual(fault.text, "the service does not stop")

    def test_calls_are_left(self) -> None:
        """
        Nothing is left in the clock when all is over, not even of the receivers.
        """
        outages = Part("OutageSchedule", {"every": 1000.0, "lasts": 1.0, "first": 500.0})
        fault = self.planted(
            small_plan(behaviours=(outages,)), "leftovers", OutageSchedule, "detached", lambda schedule, receiver: None
        )
        self.assertIn("OutageSchedule._begin", fault.text)

    def test_connections_are_left(self) -> None:
        """
        No connection is open when all is over.
        """
        fault = self.planted(
            small_plan(), "leftovers", VirtualNetwork, "open_transports", lambda network: [object(), object()]
        )
        self.assertEqual(fault.text, "2 connections are open")


class SameStoryTests(StoryCase):
    """
    One plan is one story.
    """

    def test_twice(self) -> None:
        """
        A plan is the same story each time; with another seed it is another one.
        """
        for seed in (3, 4):
            self.assertEqual(play(make_plan(seed)).digest, play(make_plan(seed)).digest)
        self.flushLoggedErrors()
        plan = small_plan(shuffled=True)
        first = play(plan).digest
        plan.seed += 1
        self.assertNotEqual(play(plan).digest, first)

    def test_one_after_the_other(self) -> None:
        """
        A story leaves nothing behind that the next one could feel.
        """
        plan = small_plan(mail(1), mail(2))
        alone = play(plan).digest
        half = Player(make_plan(5))
        half.stage.world.advance(100.0)
        self.assertEqual(play(plan).digest, alone)

    @staticmethod
    def busy(plan: Plan) -> bool:
        """
        Whether a plan has all that could depend on the process: order of ties, a
        resolver, more than one life, jitter, hooks; and does not take long.
        """
        return (
            plan.shuffled
            and plan.dns == "wire"
            and any(step.kind in ("kill", "power") for step in plan.steps)
            and any("jitter" in host.line for host in plan.hosts)
            and bool(plan.providers)
            and len(plan.steps) < 60
        )

    def test_in_any_process(self) -> None:
        """
        A seed's trace is the same in any process, to the octet, whatever the
        order of sets and dictionaries of strings is there.
        """
        seed = next(seed for seed in count(1) if self.busy(make_plan(seed)))
        command = [sys.executable, "-m", "momentum_tx.testing.fuzz", "--seeds", "1", "--start", str(seed), "--trace"]
        processes = [
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            )
            for hash_seed in ("1", "2")
        ]
        (first, _), (second, _) = (process.communicate(timeout=120) for process in processes)
        self.assertEqual(first.splitlines(), second.splitlines())
        self.assertEqual(first, second)
        result = play(make_plan(seed), keep_trace=True)
        # Hooks that raise, and coroutines of others.
        self.flushLoggedErrors()
        self.flushWarnings()
        lines = first.decode("utf-8", "surrogateescape").splitlines()
        self.assertEqual(lines[: result.events], result.lines)
        self.assertEqual(lines[result.events], f"digest {result.digest}")

    def test_step_of_a_dead_process(self) -> None:
        """
        Things may happen while no process lives.
        """
        steps = [
            Step(2.0, "kill", {"operations": 0, "garbage": False, "down": 30.0}),
            Step(3.0, "kill", {"operations": 0, "garbage": False, "down": 1.0}),
            *[Step(4.0, kind) for kind in ("bad_reload", "reopen", "full_log", "mend_log", "hang_up")],
            Step(4.0, "flush", {"domain": ""}),
            Step(4.0, "stop", {"down": 0.0}),
            Step(4.0, "cancel", {"number": 1}),
            Step(4.0, "reload", {"header": "global", "options": {"max_outbound_connections": 2}}),
            mail(2, at=5.0),
            mail(3, at=5.0, how="smtp"),
        ]
        result = self.innocent(small_plan(mail(1), *steps))
        self.assertEqual((result.counts["kills"], result.counts["delivered"]), (1, 1))
        self.assertNotIn("refused", result.counts)
