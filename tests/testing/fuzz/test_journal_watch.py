"""
What is on record is known to the judge from the octets alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, succeed

from momentum_tx.inject.receiver import Receiver
from momentum_tx.queues.message import Message, Reception
from momentum_tx.spool import records, writer
from momentum_tx.spool.journal import JournalSpool
from momentum_tx.spool.replay import Replay
from momentum_tx.testing.files import MemoryFiles
from momentum_tx.testing.fuzz.books import Books, Letter, Parcel
from momentum_tx.testing.fuzz.journal_watch import JournalWatch, survived
from momentum_tx.testing.fuzz.plan import Plan, Step
from momentum_tx.testing.fuzz.play import play

from .stories import DOMAIN, OTHER_DOMAIN, Rehearsal, StoryCase, broken_at, mail, small_plan


def power_cut(at: float, operations: int = 0) -> Step:
    """
    The machine loses power, for a second.
    """
    return Step(at, "power", {"operations": operations, "garbage": False, "down": 1.0})


def kill(at: float, operations: int = 0) -> Step:
    """
    The process is killed, and begins anew a second later.
    """
    return Step(at, "kill", {"operations": operations, "garbage": False, "down": 1.0})


class RecordTests(StoryCase):
    """
    What is read of the journal as it is written.
    """

    def parcels(self, plan: Plan, until: float = 30.0) -> list[Parcel]:
        """
        The parcels of a story at some time.
        """
        rehearsal = Rehearsal(plan)
        stage = rehearsal.run(until)
        self.assertEqual(rehearsal.faults, [])
        return list(stage.books.parcels.values())

    def test_intents_and_ends(self) -> None:
        """
        Each recipient of one transaction has an intent and an end on record.
        """
        for parcel in self.parcels(small_plan(mail(1, to=(DOMAIN, DOMAIN)), mail(2))):
            self.assertEqual((parcel.intents, parcel.dots, len(parcel.records)), (1, 1, 1), str(parcel))

    def test_refusal(self) -> None:
        """
        A message that is refused before the dot has an end and no intent.
        """
        (parcel,) = self.parcels(small_plan(behaviours=(broken_at("RCPT", "550 5.1.1 Nobody"),)))
        self.assertEqual((parcel.intents, parcel.dots, len(parcel.records)), (0, 0, 1))

    def test_every_attempt(self) -> None:
        """
        Each dot has an intent of its own; what is tried again has no end on record.
        """
        (parcel,) = self.parcels(small_plan(behaviours=(broken_at("dot", "451 4.3.0 Not now"),)))
        self.assertGreater(parcel.intents, 1)
        self.assertEqual((parcel.dots, parcel.records), (parcel.intents, []))

    def test_segments(self) -> None:
        """
        Records are read in every segment, whatever its beginning.
        """
        letters = [mail(number, at=float(number), size=3000) for number in range(1, 11)]
        parcels = self.parcels(small_plan(*letters, settings={"segment_size": 4096}))
        self.assertGreater(len({place[0] for parcel in parcels for place in parcel.records}), 2)

    def test_next_life(self) -> None:
        """
        Mail that was received in one life of the service is known in the next.
        """
        later = broken_at("RCPT", "451 4.2.0 Not now")
        result = self.innocent(small_plan(mail(), kill(2.0), behaviours=(later,), storm=10.0))
        self.assertEqual((result.counts["kills"], result.counts["delivered"]), (1, 1))

    def test_left_by_a_torn_write(self) -> None:
        """
        An outcome of a reception that a torn write left behind whole, of which nobody was told, is no mistake.
        """
        files = MemoryFiles()
        books = Books(lambda rule, text: self.fail(text), lambda: 0.0)
        JournalWatch(books).attach(files)
        ended = records.frame(records.encode_ended(records.DELIVERED, 5, 0, b"250 ok"), 0)
        files.create("000000000001.seg").append([bytes(records.SEGMENT_HEADER), ended])
        self.assertEqual(books.parcels, {})


class SurvivedTests(StoryCase):
    """
    Whether an end is still on record after a crash.
    """

    def setUp(self) -> None:
        self.parcel = Parcel(Letter(1, b"", b"", ()), b"b@d.example", records=[("000000000001.seg", 4, b"end")])

    def test_there(self) -> None:
        """
        It is where it was put.
        """
        files = MemoryFiles()
        files.put("000000000001.seg", b"headend and more")
        self.assertTrue(survived(self.parcel, files))

    def test_cut_off(self) -> None:
        """
        It is cut off, in part or whole, or something else is there.
        """
        for octets in (b"", b"head", b"headen", b"headEND"):
            files = MemoryFiles()
            files.put("000000000001.seg", octets)
            self.assertFalse(survived(self.parcel, files), octets)

    def test_segment_is_gone(self) -> None:
        """
        Its segment was removed, and so has done its duty.
        """
        self.assertTrue(survived(self.parcel, MemoryFiles()))

    def test_copies(self) -> None:
        """
        One copy is enough; without any there is nothing.
        """
        files = MemoryFiles()
        files.put("000000000001.seg", b"head")
        files.put("000000000002.seg", b"end")
        self.parcel.records.append(("000000000002.seg", 0, b"end"))
        self.assertTrue(survived(self.parcel, files))
        self.parcel.records.clear()
        self.assertFalse(survived(self.parcel, files))


class OperationTests(StoryCase):
    """
    A process that dies in the middle of a step.
    """

    def setUp(self) -> None:
        self.files = MemoryFiles()
        self.watch = JournalWatch(Books(lambda rule, text: self.fail(text), lambda: 0.0))
        self.watch.attach(self.files)

    def test_at_operation(self) -> None:
        """
        It dies before the operation that it was to die of, and once.
        """
        pictures: list[list[str]] = []
        self.watch.at_operation = lambda: pictures.append(self.files.kill().names())
        self.watch.stop_at = 3
        for name in ("a", "b", "c", "d"):
            self.files.create(name)
        self.assertEqual(pictures, [["a", "b"]])
        self.assertEqual(self.watch.operations, 4)

    def test_reading(self) -> None:
        """
        What changes nothing is no operation.
        """
        self.files.create("a").read(0, 1)
        self.files.names()
        self.assertEqual(self.watch.operations, 1)

    def test_deaf(self) -> None:
        """
        What a dead process still does is not done.
        """
        self.watch.deaf = True
        self.files.create("000000000001.seg").append([b"this is no segment"])
        self.assertEqual(self.watch.operations, 0)

    def test_other_files(self) -> None:
        """
        Only segments are read.
        """
        self.files.create("lock").append([b"1000"])
        self.assertEqual(self.watch.operations, 2)

    def test_every_crash_point(self) -> None:
        """
        A story may die of any operation, of a power cut too, and nothing is
        lost: each time something else is on record.
        """
        seen = set()
        for operations in range(1, 13):
            for crash in (kill, power_cut):
                plan = small_plan(crash(0.5, operations), mail(1), mail(2, at=1.5, to=(DOMAIN, DOMAIN)), storm=30.0)
                counts = self.innocent(plan).counts
                seen.add(tuple(sorted(counts.items())))
        self.assertGreater(len(seen), 8)


class StoryTests(StoryCase):
    """
    Journals that do not keep what they should.
    """

    def test_no_intent(self) -> None:
        """
        A dot leaves before its intent is on record.
        """

        def hasty(spool: Any, messages: Any, then: Any) -> None:
            spool._clock.callLater(0, then, None)

        self.planted(small_plan(), "dot without intent", JournalSpool, "intent", hasty)

    def test_intent_for_one_of_two(self) -> None:
        """
        A dot leaves for two recipients, and the intent speaks of one.
        """
        intent = JournalSpool.intent

        def half(spool: Any, messages: Any, then: Any) -> None:
            intent(spool, messages[:1], then)

        plan = small_plan(mail(to=(DOMAIN, DOMAIN)))
        fault = self.planted(plan, "dot without intent", JournalSpool, "intent", half)
        self.assertIn("r1x1@", fault.text)

    def test_end_not_written(self) -> None:
        """
        A message has ended, long ago, and a crash undoes it.
        """

        def forgetful(spool: Any, kind: int, message: Any, note: bytes, synced: Any) -> None:
            if synced is not None:
                spool._clock.callLater(0, synced)

        for crash in (kill, power_cut):
            fault = self.planted(
                small_plan(mail(), crash(10.0)), "outcome not on record", JournalSpool, "_end", forgetful
            )
            self.assertIn("s after its end nothing is on record of r1x0@", fault.text)

    def seeds(self, *steps: Step) -> list[Plan]:
        """
        The same story with a few seeds: what a power cut leaves of the unsynced is chance.
        """
        return [replace(small_plan(*steps), seed=seed) for seed in range(1, 9)]

    def test_end_not_synced(self) -> None:
        """
        The record of an end is in the kernel's hands, and never brought to disk.
        """
        plans = self.seeds(mail(), power_cut(10.0))
        for plan in plans:
            self.innocent(plan)
        self.patch(writer, "SYNC_DELAY", 3600.0)
        rules = {fault.rule for plan in plans for fault in play(plan).faults[:1]}
        self.assertEqual(rules, {"outcome not on record"})
        self.innocent(small_plan(mail(how="smtp"), kill(10.0)))

    def test_end_may_wait_for_its_sync(self) -> None:
        """
        A power cut right after the end may undo it, and the message comes back.
        """
        undone = [
            self.innocent(plan).counts.get("ends undone by a crash", 0) for plan in self.seeds(mail(), power_cut(1.12))
        ]
        self.assertIn(1, undone)

    def test_accepted_too_early(self) -> None:
        """
        A client is told 250 before its mail is on disk, and the power fails.
        """
        receive = JournalSpool.receive

        def hasty(spool: Any, reception: Reception, body: bytes, ends: Sequence[Message] = ()) -> Deferred[None]:
            receive(spool, reception, body, ends)
            return succeed(None)

        slow = Step(0.5, "slow_disk", {"delay": 5.0})
        plans = self.seeds(slow, mail(how="smtp"), power_cut(1.02))
        for plan in plans:
            self.innocent(plan)
        self.patch(JournalSpool, "receive", hasty)
        faults = [fault for plan in plans for fault in play(plan).faults[:1]]
        self.assertEqual({fault.rule for fault in faults}, {"lost"})
        self.assertIn("letter 1, accepted, 0 attempts", faults[0].text)

    def test_comes_back(self) -> None:
        """
        A message that has ended, and is on record as such, is queued by the next process.
        """

        def forgetful(replay: Any, reception: Any, message: Any) -> None:
            pass

        plan = small_plan(mail(1), mail(2, to=(OTHER_DOMAIN,)), kill(10.0), domains=(DOMAIN, OTHER_DOMAIN))
        self.planted(plan, "came back", Replay, "_done", forgetful)

    def test_refused_and_kept(self) -> None:
        """
        A client is told that its mail is not ours, and it is found at the next start.
        """

        def forgetful(receiver: Any, _: None, reception: Any) -> None:
            raise MemoryError("no room for another message")

        plan = small_plan(mail(how="call"), kill(3.0), mail(2, at=6.0))
        self.innocent(plan)
        self.patch(Receiver, "_durable", forgetful)
        self.guilty(plan, "refused and kept")
