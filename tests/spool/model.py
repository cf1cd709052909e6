"""
What a spool has promised at each moment, and whether a restart keeps it.

Per message a list of events in the order they were told.  A restart must show
the message as after some beginning of that list, and not a shorter one than
was promised: what is synced survives everything, what is in the kernel's hands
survives kill -9.  A power cut may tear two unsynced segments, each at a place
of its own: the list may then lack a piece in the middle of what is unsynced.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock

from momentum_tx.errors import SpoolError
from momentum_tx.queues.message import Message, Reception
from momentum_tx.stages import Stage

from . import contract

#: A message that is not there.
ABSENT = None


class Story:
    """
    One message: what was told of it, how much is synced, how much is written.
    """

    def __init__(self, base: tuple[int, int] | None = None) -> None:
        self.base = base
        self.events: list[tuple[str, int, int]] = []
        self.synced = 0
        self.written = 0
        self.refused = False
        self.cut = False

    def after(self, events: Sequence[tuple[str, int, int]], torn: bool) -> tuple[int, int] | None:
        """
        (num_retries, ambiguous) after *events*.

        :param torn: whether a refused intent is on the disk all the same.
        """
        state, intent = self.base, False
        for kind, retries, ambiguous in events:
            if kind == "received":
                state = (0, 0)
            elif kind in ("intent", "refused"):
                intent = intent or kind == "intent" or torn
            elif kind == "unreported":
                # The report was refused; it may be on the disk all the same, and ends this then.
                if torn:
                    return ABSENT
            elif kind == "requeued":
                state, intent = (retries, ambiguous), False
            else:
                return ABSENT
        if state is None:
            return ABSENT
        return (state[0], state[1] + intent)

    def allowed(self, killed: bool) -> list[tuple[int, int] | None]:
        """
        What a restart may show.
        """
        least = max(self.written, self.synced) if killed else self.synced
        events, ends = self.events, range(least, len(self.events) + 1)
        lists = [events[:end] for end in ends]
        if not killed or self.cut:
            lists += [events[:end] + events[two:three] for end in ends for two in ends for three in ends]
        states = [self.after(kept, torn) for kept in lists for torn in (False, True)]
        return [*states, ABSENT] if self.refused else states


class Model:
    """
    Drives a spool and remembers what it promised.
    """

    def __init__(self, case: Any, rng: random.Random) -> None:
        self.case = case
        self.rng = rng
        self.stories: dict[bytes, Story] = {}
        self.bodies: dict[bytes, bytes] = {}
        self.live: dict[bytes, Message] = {}
        self.busy: set[bytes] = set()
        self.count = 0
        #: Whether some failures are reported on, and every report with what it is about.
        self.reporting = False
        self.reports: list[tuple[bytes, bytes]] = []

    def picture(self) -> dict[bytes, Story]:
        """
        The promises of this moment.
        """
        return copy.deepcopy(self.stories)

    def receive(self, recipients: int = 1, size: int = 20) -> None:
        """
        A new reception, confirmed or refused some time later.
        """
        names = []
        for _ in range(recipients):
            self.count += 1
            names.append(b"u%d" % self.count)
        kept = contract.reception(*names)
        body = self.rng.randbytes(self.rng.randrange(size))
        for message in kept.messages:
            assert message is not None
            story = self.stories[message.recipient] = Story()
            story.events.append(("received", 0, 0))
            self.bodies[message.recipient] = body
        self.case.spool.receive(kept, body).addCallbacks(self._received, self._refused, (kept,), errbackArgs=(kept,))

    def _received(self, _: None, kept: Reception) -> None:
        for message in kept.messages:
            assert message is not None
            self.live[message.recipient] = message
            story = self.stories[message.recipient]
            story.synced = story.written = 1

    def _refused(self, failure: Any, kept: Reception) -> None:
        failure.trap(SpoolError)
        for message in kept.messages:
            assert message is not None
            self.stories[message.recipient].refused = True
        # To take a refused reception back from a disk that takes no record of that, the segment is cut there;
        # what only the kernel had behind it goes too.
        for story in self.stories.values():
            story.written, story.cut = story.synced, True

    def report(self) -> None:
        """
        A live message has failed, and its end is that there is a report about it.
        """
        about = self._choose()
        if about is None:
            return
        self.count += 1
        name = b"report%d" % self.count
        kept = contract.reception(name)
        body = self.bodies[name] = self.rng.randbytes(self.rng.randrange(60))
        self.stories[name] = Story()
        self.stories[name].events.append(("received", 0, 0))
        self.reports.append((name, about))
        message, story = self.live[about], self.stories[about]
        self.busy.add(about)
        story.events.append(("reported", 0, 0))
        length = len(story.events)

        def received(_: None) -> None:
            self._received(None, kept)
            story.synced = story.written = length
            self.busy.discard(about)
            self._end(about, message, True)

        def refused(failure: Any) -> None:
            self.busy.discard(about)
            story.events[length - 1] = ("unreported", 0, 0)
            self._refused(failure, kept)

        self.case.spool.receive(kept, body, [message]).addCallbacks(received, refused)

    def intent(self) -> None:
        """
        Begin an attempt for some live messages.
        """
        free = sorted(self.live.keys() - self.busy)
        chosen = self.rng.sample(free, min(len(free), self.rng.randint(1, 3)))
        if not chosen:
            return
        lengths = {}
        for name in chosen:
            self.busy.add(name)
            self.stories[name].events.append(("intent", 0, 0))
            lengths[name] = len(self.stories[name].events)

        def then(error: Exception | None) -> None:
            for name, length in lengths.items():
                story = self.stories[name]
                self.busy.discard(name)
                if error is None:
                    story.written = max(story.written, length)
                else:
                    story.events[length - 1] = ("refused", 0, 0)

        self.case.spool.intent([self.live[name] for name in chosen], then)

    def end(self, failed: bool) -> None:
        """
        A live message is done.
        """
        name = self._choose()
        if name is None:
            return
        self._end(name, self.live[name], failed)

    def _end(self, name: bytes, message: Message, failed: bool) -> None:
        del self.live[name]
        story = self.stories[name]
        story.events.append(("ended", 0, 0))
        length = len(story.events)

        def synced() -> None:
            story.synced = max(story.synced, length)

        told = self.case.spool.failed if failed else self.case.spool.delivered
        told(message, b"250 ok", synced)

    def requeue(self) -> None:
        """
        A live message waits for its next attempt.
        """
        name = self._choose()
        if name is None:
            return
        message, story = self.live[name], self.stories[name]
        message.num_retries += 1
        message.code = b"451 %d" % message.num_retries
        message.stage = Stage.AFTER_DATA
        if any(event[0] == "intent" for event in story.events[-1:]) and self.rng.random() < 0.5:
            message.ambiguous += 1
        story.events.append(("requeued", message.num_retries, message.ambiguous))
        self.case.spool.requeued(message)

    def flush(self) -> None:
        """
        Everything told so far is to be synced.
        """
        lengths = {name: len(story.events) for name, story in self.stories.items()}

        def flushed(_: None) -> None:
            for name, length in lengths.items():
                story = self.stories[name]
                if not story.refused:
                    story.synced = max(story.synced, min(length, len(story.events)))

        self.case.spool.flush().addCallbacks(flushed, lambda failure: failure.trap(SpoolError) and None)

    def step(self) -> None:
        """
        Anything.
        """
        rng = self.rng
        if self.reporting and rng.random() < 0.15:
            self.report()
            return
        roll = rng.random()
        if roll < 0.25:
            self.receive(rng.randint(1, 3), 60)
        elif roll < 0.40:
            self.intent()
        elif roll < 0.60:
            self.end(roll < 0.45)
        elif roll < 0.70:
            self.requeue()
        elif roll < 0.72:
            self.flush()
        elif roll < 0.80:
            self.case.clock.advance(0.05)
        else:
            self.case.clock.advance(0)

    def check(self, found: Sequence[Message], promises: dict[bytes, Story], killed: bool) -> None:
        """
        Compare what a restart found with what was promised, bodies included.
        """
        case = self.case
        by_name = {message.recipient: message for message in found}
        self._check_reports(by_name, promises)
        case.assertEqual(len(by_name), len(found), "a message came back twice")
        for name, story in promises.items():
            message = by_name.pop(name, None)
            shown = None if message is None else (message.num_retries, message.ambiguous)
            case.assertIn(shown, story.allowed(killed), (name, story.events, story.synced, story.written))
            if message is not None:
                if message.num_retries:
                    case.assertEqual(message.code, b"451 %d" % message.num_retries)
                case.assertEqual(case.read(message.reception), self.bodies[name])
        case.assertEqual(by_name, {})

    def _check_reports(self, by_name: dict[bytes, Message], promises: dict[bytes, Story]) -> None:
        """
        There is a report, or what it is about: never both, and never neither.
        """
        told: dict[bytes, list[bytes]] = {}
        for name, about in self.reports:
            self.case.assertFalse(name in by_name and about in by_name, (name, about))
            if name in promises:
                told.setdefault(about, []).append(name)
        for about, names in told.items():
            story = promises[about]
            events = {kind for kind, _, _ in story.events}
            if about in by_name or not events & {"reported", "unreported"} or "ended" in events:
                continue
            over = [name for name in names if ("ended", 0, 0) in promises[name].events]
            self.case.assertTrue(over or any(name in by_name for name in names), (about, story.events))

    def restarted(self, found: Sequence[Message]) -> None:
        """
        Go on from what a restart found.
        """
        self.busy.clear()
        self.live = {message.recipient: message for message in found}
        self.stories = {name: Story() for name in self.stories}
        for name, message in self.live.items():
            self.stories[name].base = (message.num_retries, message.ambiguous)

    def _choose(self) -> bytes | None:
        free = sorted(self.live.keys() - self.busy)
        return self.rng.choice(free) if free else None


def fresh_clock() -> Clock:
    """
    The clock of a new process; the old one's calls are gone with it.
    """
    return Clock()
