"""
Plays a plan to its end, or to the first fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .invariants import Invariants
from .log_watch import LogWatch
from .plan import Plan, Step
from .said import longest as longest_said
from .stage import Stage

#: Steps of a world after which a story is given up: it would never end.
MOST_STEPS: Final = 3_000_000
#: Seconds the quiet may last beyond the longest wait of any message.
QUIET: Final = 1200.0
#: Faults that are kept of one story; the first is what counts.
MOST_FAULTS: Final = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """
    Something that must not be.

    :ivar rule: which rule is broken, in a few words; the same for all breaches of it.
    :ivar text: what happened.
    :ivar at: seconds from the beginning.
    """

    rule: str
    text: str
    at: float

    def __str__(self) -> str:
        return f"{self.rule}, at {self.at:.6f} s: {self.text}"


@dataclass(slots=True)
class Result:
    """
    How a story went.

    :ivar faults: what was wrong; the first one counts.
    :ivar digest: of the trace: the same plan has the same, in any process.
    :ivar steps: steps of the world.
    :ivar events: lines of the trace.
    :ivar seconds: virtual time that passed.
    :ivar counts: what happened how often.
    :ivar lines: the trace, if it was kept.
    """

    faults: list[Fault] = field(default_factory=list)
    digest: str = ""
    steps: int = 0
    events: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def play(plan: Plan, keep_trace: bool = False) -> Result:
    """
    Play *plan*.

    :param keep_trace: whether the result holds the trace.
    """
    return Player(plan, keep_trace).play()


class Player:
    """
    One story, from its first step to its last.

    :param plan: the story.
    :param keep_trace: whether the result holds the trace.
    """

    def __init__(self, plan: Plan, keep_trace: bool = False) -> None:
        self._result = Result()
        self._plan = plan
        self.stage = Stage(plan, self._fault, keep_trace)
        self._invariants = Invariants(self.stage)

    def _fault(self, rule: str, text: str) -> None:
        if len(self._result.faults) < MOST_FAULTS:
            self._result.faults.append(Fault(rule, text, self.stage.seconds()))
            self.stage.trace("FAULT", rule)
            self.stage.trace.remark(text)

    def play(self) -> Result:
        """
        Everything: storm, quiet, stop.
        """
        with LogWatch(self._fault):
            return self._play()

    def _play(self) -> Result:
        plan, stage, result = self._plan, self.stage, self._result
        for step in plan.steps:
            if step.at <= plan.storm and not self._run_to(step.at):
                break
            if step.at <= plan.storm:
                self._perform(step)
        if self._run_to(plan.storm):
            stage.events.mend()
            self._settled()
            self._quiet()
        result.digest = stage.trace.digest()
        result.events = stage.trace.events
        result.seconds = stage.seconds()
        result.counts = stage.books.counts
        result.lines = stage.trace.lines
        return result

    def _perform(self, step: Step) -> None:
        self.stage.events.perform(step)
        self._settled()

    def _settled(self) -> None:
        self.stage.after_step()
        self._invariants.after_step()

    def _run_to(self, end: float) -> bool:
        """
        Let time pass until *end*; false if the story is over before.
        """
        clock = self.stage.world.clock
        while not self._result.faults:
            due = clock.next_time()
            start = self.stage.next_start()
            if start is not None and start <= end and (due is None or start <= due):
                clock.advance(max(0.0, start - clock.seconds()))
                self.stage.start_again()
                self._settled()
                continue
            # As the clock will round it: what it would make on the way is a step to be looked at.
            left = max(0.0, end - clock.seconds())
            if due is None or due > clock.seconds() + left:
                self._invariants.look_for_standstill(end)
                clock.advance(left)
                return True
            self._step(due)
        return False

    def _step(self, due: float) -> None:
        clock = self.stage.world.clock
        if due > clock.seconds():
            self._invariants.look_for_standstill(due)
        try:
            clock.step()
        except RuntimeError as error:
            self._fault("endless", str(error))
        self._result.steps += 1
        if self._result.steps > MOST_STEPS:
            self._fault("endless", f"{MOST_STEPS} steps")
        self._settled()

    def _quiet(self) -> None:
        """
        Nothing goes wrong any more: everything must come to its end by itself.
        """
        stage, settings = self.stage, self._plan.settings
        # Twice, for the sake of retry_intervals and of retry_jitter.
        longest = 4 * float(settings.get("max_retry_interval", 43200.0))
        life = float(settings.get("message_expiration", 86400.0))
        life += longest_said(self._plan)
        end = stage.seconds() + life + 3 * longest + QUIET + stage.set_back
        while stage.seconds() < end and not self._result.faults:
            if stage.running and stage.ready and not stage.books.live and not stage.clients.waiting:
                break
            # Only an operator lets go on what is held.
            self._perform(Step(stage.seconds(), "release"))
            if not self._run_to(min(end, stage.seconds() + 30.0)):
                return
        if self._result.faults:
            return
        if not self._run_to(stage.seconds() + 700.0):
            return
        self._invariants.over()
        if stage.running and stage.ready:
            self._invariants.at_rest()
            self._stop()
        else:
            self._fault("endless", "the service does not start")

    def _stop(self) -> None:
        stage = self.stage
        stage.stop(0.0, for_good=True)
        self._settled()
        end = stage.seconds() + 120.0
        while stage.running and stage.seconds() < end:
            if not self._run_to(stage.seconds() + 1.0):
                return
        if stage.running:
            self._fault("endless", "the service does not stop")
            return
        self._run_to(stage.seconds() + 200.0)
        stage.close()
        left = list(stage.world.clock.getDelayedCalls())
        if left:
            self._fault("leftovers", f"in the world's clock: {[str(call) for call in left]}")
        if stage.world.network.open_transports():
            self._fault("leftovers", f"{len(stage.world.network.open_transports())} connections are open")
