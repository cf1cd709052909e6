"""
What became of every message, as seen from outside: what clients were told,
what hooks were told, what receivers took.

A recipient address is used once in a story, so that it names its message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any, Final

from ...outcomes import Outcome, Verdict
from ...policy.lost_reply import assumed
from ..peers import Taken

#: Seconds after the reply at which an outcome may still be unsynced on a healthy disk:
#: the bound the service promises.
SYNC_WINDOW: Final = 0.1
#: What a message's end is called.
DELIVERED: Final = "delivered"
FAILED: Final = "failed"
#: How the note of a delivery begins of which nobody knows whether it was one.
ASSUMED: Final = assumed(b"")


@dataclass(slots=True)
class Letter:
    """
    One injected message with all its recipients.

    :ivar state: ``offered``, ``accepted``, ``refused``, or ``unknown`` when the
        client never learnt.
    :ivar said: what its sender said of it besides: traits, and times by the wall clock.
    :ivar doubtful: it was refused while the disk was in trouble: what was written of it
        cannot be withdrawn before the disk takes a word, and may come back after a crash.
    """

    number: int
    sender: bytes
    content: bytes
    recipients: tuple[bytes, ...]
    state: str = "offered"
    doubtful: bool = False
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Copy:
    """
    A copy some receiver took responsibility for.
    """

    receiver: str
    taken: Taken

    @property
    def at(self) -> float:
        """
        When.
        """
        return self.taken.at

    @property
    def said(self) -> bool:
        """
        Whether it has said so by now, with a reply of class 2.
        """
        return self.taken.said and self.taken.reply[:1] == b"2"


@dataclass(slots=True)
class Parcel:
    """
    One recipient's share of a letter: one message.

    :ivar known: whether the service has told of its reception.
    :ivar attempting: an attempt was begun and has no outcome yet.
    :ivar ended: ``delivered`` or ``failed``, empty while it lives.
    :ivar ended_at: time of the clock.
    :ivar doubts: attempts of which the service knows that it does not know how
        they ended; each may have left a copy somewhere.
    :ivar ambiguous: what the message counted itself.
    :ivar retries: failures it had counted when one was told of last.
    :ivar retried_at: when that was.
    :ivar least: what it has to count after a crash: ambiguous attempts, failures.
    :ivar intents: intents the journal was given for it.
    :ivar dots: final dots receivers saw for it.
    :ivar records: where the record of its end was put: segment, offset, octets.
    :ivar lenient: the disk was in trouble when it ended.
    :ivar assumed: it was taken for delivered, since nobody knew.
    """

    letter: Letter
    recipient: bytes
    known: bool = False
    attempting: bool = False
    attempts: int = 0
    transients: int = 0
    ended: str = ""
    ended_at: float = 0.0
    doubts: int = 0
    ambiguous: int = 0
    retries: int = 0
    retried_at: float = 0.0
    least: tuple[int, int] = (0, 0)
    intents: int = 0
    #: Intents there were when the present attempt began.
    intents_before: int = 0
    dots: int = 0
    records: list[tuple[str, int, bytes]] = field(default_factory=list)
    lenient: bool = False
    assumed: bool = False
    note: bytes = b""
    copies: list[Copy] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """
        Whether the client was told that it is ours now.
        """
        return self.letter.state == "accepted"

    def __str__(self) -> str:
        ended = self.ended or "not"
        copies = ", ".join(f"{copy.receiver} at {copy.at:.3f}" for copy in self.copies)
        return (
            f"{self.recipient.decode()} (letter {self.letter.number}, {self.letter.state}, {self.attempts} attempts,"
            f" {self.transients} transient, {self.doubts} in doubt, ended {ended}; copies: {copies or 'none'})"
        )


class Books:
    """
    The judge's own account of all mail.

    :param fault: told of (rule, text) when something must not be.
    :param seconds: the time.
    """

    def __init__(self, fault: Callable[[str, str], object], seconds: Callable[[], float]) -> None:
        self._fault = fault
        self._seconds = seconds
        self.letters: dict[int, Letter] = {}
        self._by_sender: dict[bytes, Letter] = {}
        self.parcels: dict[bytes, Parcel] = {}
        #: Parcels the service has: known, and not ended.
        self.live = 0
        #: Replies of class 5 our side has read.
        self.refusals: set[bytes] = set()
        self.counts: dict[str, int] = {}
        #: Domains that were out of DNS for a while.
        self.gone: set[str] = set()
        #: How often the service has started anew.
        self.starts = 0
        #: Whether the disk fails or is full: what is promised of a healthy one does not hold.
        self.trouble = False

    def count(self, what: str) -> None:
        """
        One more of something, for the report.
        """
        self.counts[what] = self.counts.get(what, 0) + 1

    # Clients.

    def offered(self, letter: Letter) -> None:
        """
        A client begins to hand *letter* over.
        """
        self.letters[letter.number] = letter
        self._by_sender[letter.sender] = letter
        for recipient in letter.recipients:
            self.parcels[recipient] = Parcel(letter, recipient)

    def accepted(self, letter: Letter) -> None:
        """
        The client was told that it is ours.
        """
        letter.state = "accepted"
        self.count("accepted")
        for recipient in letter.recipients:
            parcel = self.parcels[recipient]
            if not parcel.known:
                self._fault("accepted unknown", f"{parcel} was accepted and no reception was told of")

    def refused(self, letter: Letter) -> None:
        """
        The client was told that it is not ours.
        """
        letter.state, letter.doubtful = "refused", self.trouble
        self.count("refused")
        for recipient in letter.recipients:
            parcel = self.parcels[recipient]
            if parcel.known:
                self._fault("refused and kept", f"{parcel} was refused, and its reception told of")

    def find(self, recipient: bytes) -> Parcel | None:
        """
        The parcel of a recipient.
        """
        parcel = self.parcels.get(recipient)
        if parcel is None:
            self._fault("foreign mail", f"nobody sent mail to {recipient!r}")
        return parcel

    def living(self) -> Iterator[Parcel]:
        """
        Parcels the service has to have.
        """
        return (parcel for parcel in self.parcels.values() if parcel.known and not parcel.ended)

    # Hooks.

    def received(self, recipient: bytes) -> None:
        """
        The service has told of a reception.
        """
        parcel = self.find(recipient)
        if parcel is None:
            return
        if parcel.known:
            self._fault("received twice", f"the reception of {parcel} was told of twice")
            return
        if parcel.letter.state == "refused":
            self._fault("refused and kept", f"{parcel} had been refused")
        parcel.known = True
        self.live += 1

    def attempted(self, recipient: bytes) -> None:
        """
        The service has told of an attempt.
        """
        parcel = self.find(recipient)
        if parcel is None:
            return
        self.count("attempts")
        if parcel.ended:
            self._fault("attempted after its end", str(parcel))
        if parcel.attempting:
            self._fault("attempt without outcome", f"{parcel} is attempted again, the attempt before has no outcome")
        self._must_be_known(parcel, "attempted")
        parcel.attempting = True
        parcel.attempts += 1
        parcel.intents_before = parcel.intents

    def _must_be_known(self, parcel: Parcel, what: str) -> None:
        if parcel.known:
            return
        if not self.starts or parcel.letter.state == "refused":
            self._fault("unknown mail", f"{what}, and its reception was never told of: {parcel}")
        # A process that died before it could tell has kept it, and it is tried before all is read.
        parcel.known = True
        self.live += 1

    def given_back(self, recipient: bytes) -> None:
        """
        The message went back to the active queue; its attempt, if there was one, counts for nothing.
        """
        parcel = self.find(recipient)
        if parcel is not None:
            parcel.attempting = False
            self.count("given back")

    def failed_for_now(self, recipient: bytes, note: bytes, ambiguous: int) -> None:
        """
        The service has told of a transient failure.

        :param ambiguous: the message's count of ambiguous attempts.
        """
        parcel = self.find(recipient)
        if parcel is None:
            return
        self.count("transient")
        if parcel.ended:
            self._fault("told after its end", f"transient failure {note!r} of {parcel}")
        parcel.attempting = False
        parcel.transients += 1
        parcel.note = note
        if ambiguous > parcel.ambiguous:
            self.count("ambiguous")
            parcel.doubts += 1
        parcel.ambiguous = ambiguous
        # Counted here: by the time a hook hears of it the message may have counted more.
        parcel.retries += 1
        parcel.retried_at, parcel.lenient = self._seconds(), self.trouble

    def delivered(self, recipient: bytes, note: bytes) -> None:
        """
        The service has told of a delivery.
        """
        parcel = self.find(recipient)
        if parcel is None:
            return
        self.count("delivered")
        if note.startswith(ASSUMED):
            self.count("assumed")
            parcel.assumed = True
            parcel.doubts += 1
            if not parcel.intents:
                self._fault("delivered unattempted", f"{note!r}: {parcel}")
            self._end(parcel, DELIVERED, note)
            return
        if not parcel.attempting:
            self._fault("delivered unattempted", f"{note!r}: {parcel}")
        if not any(copy.said for copy in parcel.copies):
            self._fault("falsely delivered", f"{note!r}, and no receiver said that it took {parcel}")
        self._end(parcel, DELIVERED, note)

    def failed(self, recipient: bytes, note: bytes) -> Parcel | None:
        """
        The service has told of a permanent failure.
        """
        parcel = self.find(recipient)
        if parcel is None:
            return None
        self.count("permanent")
        self._end(parcel, FAILED, note)
        return parcel

    def _end(self, parcel: Parcel, how: str, note: bytes) -> None:
        parcel.attempting = False
        parcel.note = note
        if parcel.ended:
            self._fault("ended twice", f"{how} with {note!r}, and before: {parcel}")
            return
        self._must_be_known(parcel, f"{how} with {note!r}")
        parcel.ended, parcel.ended_at, parcel.lenient = how, self._seconds(), self.trouble
        self.live -= 1

    def trouble_begins(self, window: float) -> None:
        """
        The disk begins to fail.

        :param window: seconds for which an end may be unrecorded on a healthy one.
        """
        self.trouble = True
        now = self._seconds()
        for parcel in self.parcels.values():
            if now - max(parcel.ended_at, parcel.retried_at) <= window:
                parcel.lenient = True

    def sent(self, letter: Letter, outcomes: list[Outcome]) -> None:
        """
        The Deferred of a submission in process has fired.
        """
        for recipient, outcome in zip(letter.recipients, outcomes, strict=True):
            parcel = self.parcels[recipient]
            wanted = DELIVERED if outcome.verdict is Verdict.DELIVERED else FAILED
            if parcel.ended != wanted or outcome.recipient != recipient:
                self._fault("wrong outcome", f"told {outcome.verdict.name} of {outcome.recipient!r}: {parcel}")

    # Receivers.

    def dot(self, recipients: list[bytes]) -> None:
        """
        A receiver has seen the final dot of a message to *recipients*.
        """
        for recipient in recipients:
            parcel = self.find(recipient)
            if parcel is None:
                continue
            parcel.dots += 1
            if parcel.intents < parcel.dots:
                self._fault("dot without intent", f"{parcel.dots} dots, {parcel.intents} intents on record: {parcel}")

    def taken(self, receiver: str, taken: Taken) -> None:
        """
        A receiver took a message.
        """
        self.count("taken")
        for recipient in taken.recipients:
            parcel = self.find(recipient)
            if parcel is None:
                continue
            if parcel.letter.state == "refused":
                self._fault("refused and delivered", f"{receiver} took {parcel}")
            if not _same(taken.content, parcel.letter.content):
                self._fault("corrupted", f"{receiver} took other octets than were sent of {parcel}")
            if parcel.letter.said and b"\r\nX-" in taken.content:
                self._fault("corrupted", f"{receiver} took fields that were meant for us with {parcel}")
            if taken.sender != parcel.letter.sender:
                self._fault("corrupted", f"{receiver} took {parcel} from {taken.sender!r}")
            if len(parcel.copies) > parcel.doubts:
                self._fault("forbidden duplicate", f"{receiver} took {parcel} again, and nothing was ambiguous")
            elif parcel.copies:
                self.count("allowed duplicates")
            if parcel.ended == FAILED and not parcel.doubts:
                self._fault("delivered after its end", f"{receiver} took {parcel}")
            parcel.copies.append(Copy(receiver, taken))

    # The end of a process.

    def interrupted(
        self, survived: Callable[[Parcel], bool], window: float, power: bool = False, ready: bool = True
    ) -> None:
        """
        The process has died: attempts under way have no outcome, and an end
        that is not on record did not happen.

        :param survived: whether the record of a parcel's end is there.
        :param power: whether of a power cut.
        :param ready: whether it had read its spool; if not, what it had to know is still
            what the one before knew.
        :param window: seconds for which an end may have been unrecorded.
        """
        now = self._seconds()
        for parcel in self.parcels.values():
            ambiguous = parcel.ambiguous
            if parcel.attempting:
                parcel.attempting = False
                parcel.doubts += 1
                # What is in the kernel's hands outlives a kill, and no power cut.
                ambiguous += not power and not self.trouble and parcel.intents > parcel.intents_before
            recorded = now - parcel.retried_at > window and not parcel.lenient
            if ready or power:
                parcel.least = (ambiguous, parcel.retries) if recorded and ready else (0, 0)
            if parcel.ended and not survived(parcel):
                # What a killed process has left to the kernel is synced when the next one has read it.
                promised = ready or not power
                if promised and now - parcel.ended_at > window and not parcel.lenient:
                    self._fault(
                        "outcome not on record",
                        f"{now - parcel.ended_at:.3f} s after its end nothing is on record of {parcel}",
                    )
                self.count("ends undone by a crash")
                parcel.ended = ""
                parcel.doubts += 1
                self.live += 1

    def restored(self, found: dict[bytes, tuple[int, int]]) -> None:
        """
        The service has started anew and read its spool.

        :param found: recipients of all messages it has now, and what each counts:
            ambiguous attempts, failures.
        """
        self.starts += 1
        for parcel in self.parcels.values():
            here = parcel.recipient in found
            if here:
                ambiguous, retries = counts = found[parcel.recipient]
                if not parcel.ended and (ambiguous < parcel.least[0] or retries < parcel.least[1]):
                    self._fault("history lost", f"it counts {counts}, and before {parcel.least}: {parcel}")
                parcel.ambiguous, parcel.retries = ambiguous, retries
            if here and parcel.ended:
                self._fault("came back", f"after a start it is queued again: {parcel}")
            if here and parcel.letter.state == "refused":
                if not parcel.letter.doubtful:
                    self._fault("refused and kept", f"after a start it is queued: {parcel}")
                parcel.letter.state = "unknown"
            if here and not parcel.known:
                # Nobody was told that it was kept, and it was.
                parcel.known = True
                self.live += 1
            if not here and parcel.known and not parcel.ended:
                self._fault("lost", f"after a start it is not there: {parcel}")
        for recipient in found:
            if recipient not in self.parcels:
                self._fault("foreign mail", f"nobody sent mail to {recipient!r}")


def _same(taken: bytes, sent: bytes) -> bool:
    """
    Whether a receiver has what was sent, perhaps encoded for it.
    """
    if taken.endswith(sent):
        return True
    message = message_from_bytes(taken)
    if message["Content-Transfer-Encoding"] != "quoted-printable" or not taken.isascii():
        return False
    head, _, body = sent.partition(b"\r\n\r\n")
    decoded: object = message.get_payload(decode=True)
    return head + b"\r\n" in taken and decoded == body
