"""
Hook providers nobody would want: they are as bad as they should be, and mail is
delivered all the same.
"""

from __future__ import annotations

from random import Random
from typing import Any

from zope.interface import providedBy
from zope.interface.verify import verifyObject

from momentum_tx.delivery.initiate_smtp import MailConnections
from momentum_tx.hooks.turn import Turn
from momentum_tx.testing.fuzz import misbehaviour
from momentum_tx.testing.fuzz.clients import Clients
from momentum_tx.testing.fuzz.misbehaviour import MOST_SENT, make_provider
from momentum_tx.testing.fuzz.plan import Part, Plan
from momentum_tx.testing.fuzz.play import Result, play
from momentum_tx.testing.fuzz.stage import Stage

from .stories import StoryCase, broken_at, mail, small_plan

#: Letters of a story with hooks.
LETTERS = 12


class MakeProviderTests(StoryCase):
    """
    Providers from their parts.
    """

    def test_contracts(self) -> None:
        """
        Every kind fulfils the contracts it claims; how it answers is another matter.
        """
        stage = Stage(small_plan(), lambda rule, text: None)
        for kind in misbehaviour._KINDS:
            provider = make_provider(stage, Part(kind, {"most": 1, "seconds": 1.0}), Random(1))
            contracts = list(providedBy(provider))
            self.assertTrue(contracts, kind)
            for contract in contracts:
                self.assertTrue(verifyObject(contract, provider), kind)

    def test_unknown(self) -> None:
        """
        There is no provider of a kind that nobody knows.
        """
        stage = Stage(small_plan(), lambda rule, text: None)
        self.assertRaises(KeyError, make_provider, stage, Part("good"), Random(1))


class StoryTests(StoryCase):
    """
    One kind at a time.
    """

    def plan(self, kind: str, **args: Any) -> Plan:
        """
        A story with one provider, some trouble, and a binding group to be chosen from.
        """
        letters = [mail(number, at=float(number), how=("call", "smtp")[number % 2]) for number in range(1, LETTERS)]
        return small_plan(
            *letters,
            mail(LETTERS, at=20.0, group="g"),
            behaviours=(Part("TemporaryFailures", {"share": 0.5, "at": "RCPT"}),),
            providers=(Part(kind, args),),
            bindings=[("b0", "192.0.2.2"), ("b1", "")],
            tables={"binding_group.g.binding.b0": {}, "binding_group.g.binding.b1": {}},
        )

    def endured(self, kind: str, **args: Any) -> Result:
        """
        Play a story with such a provider: every letter is delivered.
        """
        result = play(self.plan(kind, **args))
        # That a hook raised is in the log, where its author finds it; of a coroutine Python may complain too.
        self.flushLoggedErrors()
        self.flushWarnings()
        self.assertEqual([str(fault) for fault in result.faults], [])
        self.assertGreaterEqual(result.counts["delivered"], LETTERS)
        self.assertEqual(result.counts["delivered"], result.counts["taken"])
        return result

    def test_raising(self) -> None:
        """
        A provider that raises, always or now and then.
        """
        for share in (1.0, 0.3):
            self.assertGreater(self.endured("raise", share=share).counts["hooks that raised"], LETTERS)

    def test_nonsense(self) -> None:
        """
        A provider that answers what no question was for.
        """
        for share in (1.0, 0.3):
            self.assertGreater(self.endured("nonsense", share=share).counts["hooks that talked nonsense"], LETTERS)

    def test_coroutines(self) -> None:
        """
        A provider that answers with coroutines, which nobody awaits.
        """
        for share in (1.0, 0.3):
            counts = self.endured("coroutine", share=share).counts
            self.assertGreater(counts["hooks that answered with a coroutine"], LETTERS)

    def test_reentering(self) -> None:
        """
        A provider that opens connections whenever it is told something.
        """
        counts = self.endured("reenter").counts
        self.assertGreater(counts["hooks that initiated a connection"], 1)

    def test_reentering_where_it_is_refused(self) -> None:
        """
        A provider that may open connections while it is asked a question is seen.
        """
        self.endured("reenter")
        self.patch(Turn, "refuse_when_asking", lambda turn, what: None)
        fault = self.guilty(self.plan("reenter"), "hooks")
        self.assertIn("was not refused inside an asked hook", fault.text)

    def test_signing(self) -> None:
        """
        A provider that is asked for signatures: what it fails at is refused, all else is delivered.
        """
        letters = [mail(number, at=float(number), how=("call", "smtp")[number % 2]) for number in range(1, 60)]
        plan = small_plan(*letters, providers=(Part("sign", {"share": 1.0}),), storm=100.0)
        result = play(plan)
        self.flushLoggedErrors()
        self.assertEqual([str(fault) for fault in result.faults], [])
        for what in ("none", "nobody", "raise", "nonsense", "bad key", "later", "never"):
            self.assertGreater(result.counts[f"hooks asked for a signature: {what}"], 0)
        self.assertGreater(result.counts["refused"], 10)
        self.assertGreater(result.counts["delivered"], 10)
        self.assertEqual(result.counts["delivered"], result.counts["taken"])

    def test_veto(self) -> None:
        """
        A provider that forbids every host; until the storm is over nothing moves.
        """
        counts = self.endured("veto").counts
        self.assertEqual(counts["attempts"], LETTERS)
        self.assertGreater(counts["CONN_ERROR_NO_MXS_REACHABLE"], LETTERS)
        self.endured("veto", share=0.5)

    def test_goal(self) -> None:
        """
        A provider that wants none, or a million connections.
        """
        self.endured("goal")

    def test_throttle(self) -> None:
        """
        A provider that grants a connection every twenty seconds, and gets its way.
        """
        self.endured("throttle", most=1, seconds=20.0)
        plan = small_plan(
            *[mail(number) for number in range(1, 5)],
            providers=(Part("throttle", {"most": 1, "seconds": 20.0}),),
            settings={"max_deliveries_per_connection": 1},
            storm=100.0,
        )
        parcels = self.player(plan).stage.books.parcels.values()
        times = sorted(copy.at for parcel in parcels for copy in parcel.copies)
        self.assertEqual([round(time / 20.0) for time in times], [0, 1, 2, 3])

    def test_more_than_granted(self) -> None:
        """
        An attempt that was not granted is seen.
        """
        throttled = MailConnections._throttled

        def impatient(connections: Any, dr: Any, slot: int, now: float) -> bool:
            throttled(connections, dr, slot, now)
            return False

        plan = self.plan("throttle", most=1, seconds=20.0)
        fault = self.planted(plan, "limit exceeded", MailConnections, "_throttled", impatient)
        self.assertIn("more attempts than the throttle has granted", fault.text)

    def test_choice(self) -> None:
        """
        A provider that chooses bindings of no group, or of none at all.
        """
        self.endured("choose")

    def test_talkative(self) -> None:
        """
        A provider that answers what it is told with mail of its own, which is
        delivered as well, and has an end.
        """
        counts = self.endured("talkative").counts
        self.assertGreater(counts["delivered"], LETTERS)
        self.assertLessEqual(counts["delivered"], LETTERS + MOST_SENT)

    def test_all(self) -> None:
        """
        All of them together.
        """
        plan = self.plan("raise", share=0.2)
        plan.providers += [
            Part(kind, {"share": 0.2, "most": 2, "seconds": 5.0}) for kind in misbehaviour._KINDS if kind != "raise"
        ]
        result = play(plan)
        self.flushLoggedErrors()
        self.flushWarnings()
        self.assertEqual([str(fault) for fault in result.faults], [])
        self.assertGreaterEqual(result.counts["delivered"], LETTERS)


class LimitTests(StoryCase):
    """
    Misbehaviour has an end.
    """

    def test_after_the_storm(self) -> None:
        """
        When the storm is over providers behave.
        """
        stage = Stage(small_plan(), lambda rule, text: None)
        stage.storming = False
        for kind in ("raise", "nonsense", "coroutine"):
            provider: Any = make_provider(stage, Part(kind), Random(1))
            self.assertIsNone(provider.log_reopen())
            self.assertEqual(provider.connection_goal(None, 0, 5, 3), 3)
            self.assertIs(provider.veto_host_connection("mx", None, 0, 1, 0), False)
        self.assertEqual(make_provider(stage, Part("goal"), Random(1)).connection_goal(None, 0, 5, 3), 3)  # type: ignore[attr-defined]

    def test_mail_of_hooks(self) -> None:
        """
        Hooks send so many messages in one story, and none once the service stops.
        """
        sent: list[int] = []
        self.patch(Clients, "send", lambda clients, number, domains, size, fields: sent.append(number))
        stage = Stage(small_plan(behaviours=(broken_at("RCPT", "451 4.2.0 Not now"),)), lambda rule, text: None)
        for _ in range(MOST_SENT + 3):
            stage.clients.send_from_hook(MOST_SENT, Random(1))
        self.assertEqual(len(set(sent)), MOST_SENT)
        for attribute, value in (("stopping", True), ("storming", False)):
            stage = Stage(small_plan(), lambda rule, text: None)
            setattr(stage, attribute, value)
            stage.clients.send_from_hook(MOST_SENT, Random(1))
        self.assertEqual(len(sent), MOST_SENT)
