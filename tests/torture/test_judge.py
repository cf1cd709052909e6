"""
Wrong books must be seen, and what is excused must be excused for its reason.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.torture.evidence import Life
from momentum_tx.torture.judge import Commit, Fate, Final, Injected, State, Verdict, judge

#: Nothing was on record.
NOTHING = Life(frozenset(), frozenset())


def found(verdict: Verdict) -> dict[str, int]:
    """
    How much of what.
    """
    return {name: len(each) for name, each in verdict.findings() if each}


class JudgeTests(SynchronousTestCase):
    """
    One message, ``r``, and what became of it.
    """

    def judge(
        self,
        copies: list[Commit],
        lives: list[Life],
        fate: Fate = Fate.DELIVERED,
        state: State = State.ACCEPTED,
        final: Final | None = None,
    ) -> dict[str, int]:
        """
        What is found.
        """
        return found(judge({"r": Injected(fate, 7, state)}, copies, lives, final or Final()))

    def copy(self, life: int, replied: bool = True) -> Commit:
        """
        A copy delivered in that life.
        """
        return Commit("r", 7, life, replied)

    def test_good(self) -> None:
        """
        Accepted, and there once.
        """
        self.assertEqual(self.judge([self.copy(0)], [NOTHING]), {})

    def test_lost(self) -> None:
        """
        What was accepted and is nowhere is lost; what nobody knows of may be.
        """
        self.assertEqual(self.judge([], [NOTHING]), {"lost": 1})
        self.assertEqual(self.judge([], [NOTHING], state=State.UNKNOWN), {})

    def test_window(self) -> None:
        """
        A second copy is excused while the outcome of the first was not on record.
        """
        copies = [self.copy(0, False), self.copy(1)]
        self.assertEqual(self.judge(copies, [NOTHING, NOTHING]), {"in_window": 1})

    def test_onRecord(self) -> None:
        """
        An outcome that the kernel had ends the window.
        """
        ended = Life(frozenset(["r"]), frozenset())
        self.assertEqual(self.judge([self.copy(0), self.copy(1)], [ended, NOTHING]), {"outside": 1})

    def test_settled(self) -> None:
        """
        So does one that had to be on record, since others were told of it.
        """
        settled = Life(frozenset(), frozenset(["r"]))
        self.assertEqual(self.judge([self.copy(0), self.copy(1)], [settled, NOTHING]), {"outside": 1})

    def test_noKillBetween(self) -> None:
        """
        Nothing excuses two copies of one life.
        """
        self.assertEqual(self.judge([self.copy(0), self.copy(0)], [NOTHING]), {"outside": 1})

    def test_everyCopyForItself(self) -> None:
        """
        Of three copies the second must be excused by the end of the first life and the third by that of the second.
        """
        ended = Life(frozenset(["r"]), frozenset())
        copies = [self.copy(0), self.copy(1), self.copy(2)]
        self.assertEqual(self.judge(copies, [NOTHING, ended, NOTHING]), {"in_window": 1, "outside": 1})

    def test_refused(self) -> None:
        """
        What was refused, or never sent, must not arrive.
        """
        for state in (State.REFUSED, State.UNSENT):
            self.assertEqual(self.judge([self.copy(0)], [NOTHING], state=state), {"refused": 1})
            self.assertEqual(self.judge([], [NOTHING], state=state), {})

    def test_corruptedAndAlien(self) -> None:
        """
        Another body, and mail that nobody injected.
        """
        copies = [Commit("r", 8, 0, True), Commit("x", 7, 0, True)]
        self.assertEqual(self.judge(copies, [NOTHING]), {"corrupted": 1, "alien": 1})

    def test_failed(self) -> None:
        """
        Mail that its receiver refuses has to end with that on record.
        """
        self.assertEqual(self.judge([], [NOTHING], Fate.FAILED), {"lost": 1})
        self.assertEqual(self.judge([], [NOTHING], Fate.FAILED, final=Final(failed=frozenset(["r"]))), {})

    def test_policies(self) -> None:
        """
        Where a policy says that nobody may get mail twice, nothing excuses a second copy, and none at
        all is as it should be if it is on record.
        """
        for fate, final in (
            (Fate.HELD, Final(held=frozenset(["r"]))),
            (Fate.ASSUMED, Final(delivered=frozenset(["r"]))),
        ):
            self.assertEqual(self.judge([self.copy(0), self.copy(1)], [NOTHING, NOTHING], fate), {"outside": 1})
            self.assertEqual(self.judge([], [NOTHING], fate), {"lost": 1})
            self.assertEqual(self.judge([], [NOTHING], fate, final=final), {})

    def test_withoutReply(self) -> None:
        """
        Nobody may count as delivered what was never answered.
        """
        final = Final(delivered=frozenset(["r"]))
        self.assertEqual(self.judge([self.copy(0, False)], [NOTHING], final=final), {"early": 1})
        self.assertEqual(self.judge([self.copy(0, True)], [NOTHING], final=final), {})

    def test_goodVerdict(self) -> None:
        """
        A verdict is good if nothing was found, or second copies that are excused.
        """
        self.assertTrue(Verdict(in_window=["r"]).good)
        for name, _ in Verdict().findings():
            if name != "in_window":
                self.assertFalse(Verdict(**{name: ["r"]}).good, name)
