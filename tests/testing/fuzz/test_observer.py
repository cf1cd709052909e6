"""
The provider that hears everything, for the judge.
"""

from __future__ import annotations

from zope.interface import providedBy
from zope.interface.verify import verifyObject

from momentum_tx.testing.fuzz.books import Books
from momentum_tx.testing.fuzz.observer import Observer
from momentum_tx.testing.fuzz.plan import Step

from .stories import ADDRESS, DOMAIN, Rehearsal, StoryCase, broken_at, mail, small_plan


class ObserverTests(StoryCase):
    """
    What it is told, and what it passes on.
    """

    def test_contracts(self) -> None:
        """
        It fulfils every contract it claims.
        """
        observer = Observer(Books(lambda rule, text: None, lambda: 0.0), lambda *said: None)
        contracts = list(providedBy(observer))
        self.assertGreater(len(contracts), 10)
        for contract in contracts:
            self.assertTrue(verifyObject(contract, observer))

    def test_everything_is_counted(self) -> None:
        """
        A story's counts are those of the hooks.
        """
        plan = small_plan(
            Step(0.5, "refuse", {"host": ADDRESS}),
            mail(1),
            Step(4.0, "restore", {"host": ADDRESS}),
            mail(2, at=30.0, how="smtp", binding="nobody"),
            behaviours=(broken_at("RCPT", "550 5.1.1 Nobody"),),
            settings={"host_failure_retry": 1.0},
        )
        counts = self.innocent(plan).counts
        expected = {
            "connection failures": counts["CONN_ERROR_CONNECT_NETWORK"],
            "connections": 1,
            "attempts": 1,
            "permanent": 1,
            "rejections": 1,
            "refused": 1,
            "accepted": 1,
        }
        self.assertEqual({what: counts[what] for what in expected}, expected)
        self.assertEqual(counts["transient"], counts["connection failures"])

    def test_sessions(self) -> None:
        """
        A session counts from its beginning to its end.
        """
        rehearsal = Rehearsal(small_plan(settings={"idle_timeout": 5.0}))
        self.assertEqual(rehearsal.run(1.0).observer.sessions, 0)
        self.assertEqual(rehearsal.run(3.0).observer.sessions, 1)
        self.assertEqual(rehearsal.run(10.0).observer.sessions, 0)

    def test_failures_and_ends(self) -> None:
        """
        Failed attempts and permanent failures are kept for the judge, who takes them.
        """
        rehearsal = Rehearsal(small_plan(Step(0.5, "refuse", {"host": ADDRESS}), mail()))
        observer = rehearsal.run(0.9).observer
        told: list[tuple[str, int]] = []
        settled = rehearsal.stage.attempts.settled

        def looked() -> None:
            told.extend((domain, slot) for domain, slot, _ in observer.failures)
            settled()

        self.patch(rehearsal.stage.attempts, "settled", looked)
        rehearsal.run(2.0)
        self.assertEqual(told[:1], [(DOMAIN, 0)])
        self.assertEqual((observer.failures, observer.permanent, rehearsal.faults), ([], [], []))

    def test_deaf(self) -> None:
        """
        When its process has died it passes nothing on any more.
        """
        rehearsal = Rehearsal(small_plan(mail(how="smtp"), behaviours=(broken_at("RCPT", "550 5.1.1 Nobody"),)))
        stage = rehearsal.run(0.5)
        stage.observer.deaf = True
        # The judge must not look: for him everything has stopped.
        stage.events.perform(mail(how="smtp"))
        stage.world.advance(10.0)
        (parcel,) = stage.books.parcels.values()
        self.assertEqual((parcel.known, parcel.attempts, parcel.ended, stage.observer.sessions), (False, 0, "", 0))
        self.assertEqual(set(stage.books.counts), {"step mail"})
