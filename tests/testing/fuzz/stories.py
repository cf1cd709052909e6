"""
Small stories for the tests of the fuzz driver, and bugs that are planted to see
whether the judge notices.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.fuzz.invariants import Invariants
from momentum_tx.testing.fuzz.plan import Domain, Host, Options, Part, Plan, Step
from momentum_tx.testing.fuzz.play import Fault, Player, Result, play
from momentum_tx.testing.fuzz.stage import Stage

#: The one receiver of a small story.
ADDRESS = "198.51.100.1"
NAME = "mx1.peer.example"
DOMAIN = "d0.example"
OTHER_DOMAIN = "d1.example"
#: Mail is tried again soon, and given up before the story takes long.
SOON: Options = {"retry_interval": 5.0, "max_retry_interval": 5.0, "message_expiration": 300.0}


def mail(number: int = 1, at: float = 1.0, to: tuple[str, ...] = (DOMAIN,), how: str = "call", **args: Any) -> Step:
    """
    A letter, one recipient for each domain of *to*.
    """
    return Step(at, "mail", {"number": number, "how": how, "to": list(to), "size": 10, **args})


def small_plan(
    *steps: Step,
    behaviours: tuple[Part, ...] = (),
    providers: tuple[Part, ...] = (),
    settings: Options | None = None,
    domains: tuple[str, ...] = (DOMAIN,),
    storm: float = 60.0,
    **fields: Any,
) -> Plan:
    """
    A plan with one receiver, which serves all its domains, and by default one
    letter.

    :param fields: more fields of the plan.
    """
    return Plan(
        1,
        storm=storm,
        settings={**SOON, **(settings or {})},
        hosts=[Host(NAME, ADDRESS, list(behaviours), line={"latency": 0.01})],
        domains=[Domain(name, exchangers=[(10, NAME)]) for name in domains],
        providers=list(providers),
        steps=sorted(steps or (mail(),), key=lambda step: step.at),
        **fields,
    )


def broken_at(point: str, reply: str = "", **answer: Any) -> Part:
    """
    A receiver that always does one thing at one point.
    """
    return Part("BrokenAt", {"point": point, "answer": {"reply": reply, **answer}})


class Rehearsal:
    """
    A story that is looked at before it is over.

    :ivar faults: (rule, text) of everything that was wrong so far.
    """

    def __init__(self, plan: Plan) -> None:
        self.faults: list[tuple[str, str]] = []
        self.stage = Stage(plan, lambda rule, text: self.faults.append((rule, text)))
        self.invariants = Invariants(self.stage)
        self._steps = list(plan.steps)

    @property
    def rules(self) -> list[str]:
        """
        The rules that were broken, each once.
        """
        return list(dict.fromkeys(rule for rule, _ in self.faults))

    def run(self, until: float) -> Stage:
        """
        Let time pass, and happen what the plan says.
        """
        while self._steps and self._steps[0].at <= until:
            step = self._steps.pop(0)
            self._run(step.at)
            self.perform(step)
        self._run(until)
        return self.stage

    def perform(self, step: Step) -> None:
        """
        Let something happen that is not in the plan.
        """
        self.stage.events.perform(step)
        self.settled()

    def settled(self) -> None:
        """
        Have the judge look.
        """
        self.stage.after_step()
        self.invariants.after_step()

    def _run(self, until: float) -> None:
        stage, clock = self.stage, self.stage.world.clock
        while True:
            due, start = clock.next_time(), stage.next_start()
            if start is not None and start <= until and (due is None or start <= due):
                clock.advance(max(0.0, start - clock.seconds()))
                stage.start_again()
            elif due is not None and due <= until:
                clock.step()
            else:
                clock.advance(max(0.0, until - clock.seconds()))
                return
            self.settled()


class StoryCase(SynchronousTestCase):
    """
    Stories that are played to their end, or to their first fault.
    """

    def innocent(self, plan: Plan) -> Result:
        """
        Play *plan*; nothing must be wrong with it.
        """
        result = play(plan)
        self.assertEqual([str(fault) for fault in result.faults], [])
        return result

    def player(self, plan: Plan) -> Player:
        """
        Play *plan*, with which nothing must be wrong, to look around afterwards.
        """
        player = Player(plan)
        self.assertEqual([str(fault) for fault in player.play().faults], [])
        return player

    def guilty(self, plan: Plan, rule: str) -> Fault:
        """
        Play *plan*: its first fault must break *rule*.
        """
        result = play(plan)
        # What a bug has left in the log is not this test's.
        self.flushLoggedErrors()
        self.assertEqual([fault.rule for fault in result.faults[:1]], [rule], result.faults)
        return result.faults[0]

    def planted(self, plan: Plan, rule: str, where: object, name: str, bug: object) -> Fault:
        """
        Plant a bug and play *plan*: its first fault must break *rule*; without
        the bug nothing must be wrong.

        :param where: the class or module the bug is planted in.
        :param name: what is replaced there.
        :param bug: by what.
        """
        self.innocent(plan)
        patch = self.patch(where, name, bug)
        try:
            return self.guilty(plan, rule)
        finally:
            patch.restore()
