"""
Records back into receptions and messages, the youngest segment first.

A segment is read from its beginning to its end, and what it says of messages is
gathered (:class:`Chapter`).  Then its receptions are known to the end: what
younger segments said of them was read before.  What it says of other receptions
is kept until these are read.

Pure but for the callable that turns binding names into slots; it changes no
segment, so that a worker can run it.  A reception may lie in several segments: the
youngest copy counts, and nothing that is older says anything about it.  Records may
speak of receptions that are gone.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from ..policy.lost_reply import INTERRUPTED, LostReply
from ..queues.message import ASSUMED, HELD, Message, Reception
from ..settings import UNBOUND
from ..stages import Stage
from . import records
from .ends import End, ends_of, has_ends
from .keys import Keys
from .moved import State, is_moved
from .records import Envelope, Meta, RecordError, Requeued, decode
from .segments import Segment

if TYPE_CHECKING:
    from .scan import Raw


class Found(NamedTuple):
    """
    A whole record, read back.

    :ivar offset: where it begins in its segment.
    :ivar body_offset: where its body begins there.
    """

    kind: int
    key: int
    meta: Meta
    offset: int
    body_offset: int
    body_length: int
    body_checksum: int


class Fate(NamedTuple):
    """
    What records say of one message.

    :ivar requeued: the meta of its last requeue; true if it has ended, ``None`` if there is none.
    :ivar intent: what the intent says that nothing follows; ``None`` if there is none.
    """

    position: int
    requeued: bytes | bool | None
    intent: LostReply | None


#: What records say of a reception: of its one message, or of several by position.
Said: TypeAlias = Fate | dict[int, Fate]

#: Nearly all mail has one recipient and ends.  One object says so of all of it.
_FIRST_ENDED: Final = Fate(0, True, None)
#: The reception was withdrawn; its position is none.
_WITHDRAWN: Final = Fate(-1, True, None)


class Chapter:
    """
    What one segment says.

    :ivar receptions: by key, where each begins and its meta.
    :ivar said: by key, what the segment says of messages.
    :ivar ends: by key, messages of others that a reception in it ends.
    :ivar helpers: once :meth:`Replay.close` has been called, the younger segments
        that say something of its receptions that counts, and must outlive it.
    :ivar stale: whether it holds copies of receptions that younger segments hold.
    :ivar spoilt: keys of receptions in it whose body is not what was written.
    :ivar senseless: metas that are whole and make no sense.
    :ivar whole: whether it was read to its end.
    :ivar starts: once :meth:`Replay.close` has been called, where what may live begins.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.receptions: dict[int, tuple[int, bytes]] = {}
        self.said: dict[int, Said] = {}
        self.ends: dict[int, tuple[End, ...]] = {}
        self.helpers: set[Segment] = set()
        self.stale = False
        self.spoilt: set[int] = set()
        self.senseless = 0
        self.whole = False
        self.starts = array("Q")

    def take(self, found: Iterable["Raw"]) -> None:
        """
        Take in records, in their order.
        """
        said = self.said
        for kind, key, meta, offset, _, _ in found:
            try:
                if kind == records.RECEPTION:
                    self.receptions[key] = offset, meta
                    # What was said before is about a copy that counts no more.
                    said.pop(key, None)
                    if has_ends(meta):
                        self.ends[key] = ends_of(meta)
                elif kind in (records.DELIVERED, records.FAILED):
                    position = _position(meta)
                    if not position and type(said.get(key)) is not dict:
                        known = said.get(key)
                        if known is None or known.position == 0:  # type: ignore[union-attr]
                            said[key] = _FIRST_ENDED
                            continue
                    self._say(key, Fate(position, True, None))
                elif kind == records.INTENT:
                    intent = decode(kind, meta)
                    assert isinstance(intent, records.Intent)
                    for position in intent.positions:
                        self._say(key, Fate(position, None, intent.lost_reply))
                elif kind == records.WITHDRAWN:
                    said[key] = _WITHDRAWN
                else:
                    self._say(key, Fate(_position(meta), meta, None))
            except RecordError:
                self.senseless += 1

    def end(self, key: int) -> None:
        """
        The reception *key* counts, and so does what it ends.
        """
        for of, position in self.ends[key]:
            self._say(of, Fate(position, True, None))

    def _say(self, key: int, fate: Fate) -> None:
        before = self.said.get(key)
        self.said[key] = fate if before is None else _then(before, fate)


def _position(meta: bytes) -> int:
    if len(meta) < 4:
        raise RecordError("no position")
    return int.from_bytes(meta[:4], "little")


def _follow(before: Fate, after: Fate) -> Fate:
    """
    What *after*, which was said later, makes of *before*.
    """
    if before.requeued is True:
        return before
    if after.requeued is not None:
        return after
    return Fate(before.position, before.requeued, before.intent if after.intent is None else after.intent)


def _then(before: Said, after: Said) -> Said:
    """
    The same for receptions.
    """
    if before is _WITHDRAWN or after is _WITHDRAWN:
        return _WITHDRAWN
    if isinstance(before, Fate):
        if isinstance(after, Fate) and after.position == before.position:
            return _follow(before, after)
        before = {before.position: before}
    else:
        before = dict(before)
    for fate in [after] if isinstance(after, Fate) else after.values():
        known = before.get(fate.position)
        before[fate.position] = fate if known is None else _follow(known, fate)
    return before


def _adds(older: Said, younger: Said) -> bool:
    """
    Whether *older* says anything that *younger* has not overtaken.
    """
    if isinstance(younger, Fate) and younger.requeued is not None:
        return younger is not _WITHDRAWN and not (isinstance(older, Fate) and older.position == younger.position)
    return True


class Batch(NamedTuple):
    """
    Receptions of one segment, read back.

    :ivar receptions: those that live, and where each begins.
    :ivar messages: of these all that live.
    :ivar interrupted: of those the ones whose last attempt was.
    :ivar withdrawn: receptions that must not come back, and where each begins.
    """

    receptions: list[tuple[Reception, int]]
    messages: list[Message]
    interrupted: list[Message]
    withdrawn: list[tuple[Reception, int]]


#: A reception whose end is not known, with what is said of it: key, where it begins, meta.
Left: TypeAlias = tuple[int, int, bytes, Said | None]


class Replay:
    """
    Made at start, given every segment, the youngest first, and dropped.
    """

    def __init__(self, binding_slot: Callable[[str], int]) -> None:
        self._binding_slot = binding_slot
        self._slots: dict[str, int] = {"": UNBOUND}
        # What is said of receptions that were not read yet, and by which segments.  A finished message takes some 110
        # octets here, one that waits some 350.
        self._later: dict[int, tuple[tuple[Segment, ...], Said]] = {}
        self._located = Keys()
        self._open: dict[Message, LostReply] = {}
        # Moved receptions whose body is not what was written, by key.
        self._doubtful: dict[int, tuple[Chapter, int, bytes]] = {}
        # Receptions that were refused or are lost after all, and so have ended nothing, in no copy.
        self._void: set[int] = set()

    def close(self, chapter: Chapter) -> list[Left]:
        """
        A segment is read to its end.

        :returns: what :meth:`batch` wants of it: mail that is due before such as waits.
        """
        if chapter.ends:
            self._end(chapter)
        self._doubt(chapter)
        self._keep(chapter)
        due: list[Left] = []
        waiting: list[tuple[float, Left]] = []
        seen: set[int] = set()
        for key, (offset, meta) in chapter.receptions.items():
            if not self._located.add(key):
                chapter.stale = True
                continue
            said = chapter.said.get(key)
            later = self._later.pop(key, None)
            if later is not None:
                said = later[1] if said is None else _then(said, later[1])
                # One tuple serves most of a segment.
                if id(later[0]) not in seen:
                    seen.add(id(later[0]))
                    chapter.helpers.update(later[0])
            if said is _WITHDRAWN:
                continue
            left = key, offset, meta, said
            if isinstance(said, Fate) and isinstance(said.requeued, bytes):
                waiting.append((_due(said.requeued), left))
            else:
                due.append(left)
        waiting.sort(key=lambda each: each[0])
        due += [left for _, left in waiting]
        chapter.starts = array("Q", sorted(offset for _, offset, _, _ in due))
        chapter.receptions.clear()
        chapter.said.clear()
        return due

    def _end(self, chapter: Chapter) -> None:
        # What is withdrawn, here or by a younger segment, must not have ended anything; nor what will be because its
        # body is not what was written.  The messages are then tried and reported on again.
        for key in chapter.ends:
            later = self._later.get(key)
            withdrawn = chapter.said.get(key) is _WITHDRAWN or (later is not None and later[1] is _WITHDRAWN)
            # A copy that was moved is one of what was confirmed, whatever has become of its body.
            lost = key in chapter.spoilt and not is_moved(chapter.receptions[key][1])
            if withdrawn or lost:
                self._void.add(key)
            if key not in self._void:
                chapter.end(key)

    def _doubt(self, chapter: Chapter) -> None:
        # What a power cut leaves of a copy: its meta says how its messages stood, and the body lies where it was
        # moved from.
        for key in chapter.spoilt:
            known = chapter.receptions.get(key)
            if known is None or not is_moved(known[1]) or key in self._located:
                continue
            del chapter.receptions[key]
            self._doubtful.setdefault(key, (chapter, *known))
            stood, said = _stood(known[1]), chapter.said.get(key)
            chapter.said[key] = stood if said is None else _then(stood, said)

    def doubtful(self) -> list[tuple[Chapter, list[Left]]]:
        """
        Moved receptions whose body is not what was written, and of which there is no other copy: to be asked for
        when all segments are read.  They had been confirmed, so they are kept.
        """
        found = []
        for key, (chapter, offset, meta) in self._doubtful.items():
            later = self._later.pop(key, None)
            if self._located.add(key) and (later is None or later[1] is not _WITHDRAWN):
                chapter.spoilt.discard(key)
                left: Left = key, offset, meta, None if later is None else later[1]
                found.append((chapter, [left]))
        return found

    def _keep(self, chapter: Chapter) -> None:
        segment = chapter.segment
        alone = (segment,)
        ended = alone, _FIRST_ENDED
        grown: dict[int, tuple[tuple[Segment, ...], tuple[Segment, ...]]] = {}
        for key, said in chapter.said.items():
            if key in chapter.receptions or key in self._located:
                continue
            known = self._later.get(key)
            if known is None:
                self._later[key] = ended if said is _FIRST_ENDED else (alone, said)
            elif _adds(said, known[1]):
                where = grown.get(id(known[0]))
                if where is None:
                    where = grown[id(known[0])] = known[0], (*known[0], segment)
                self._later[key] = where[1], _then(said, known[1])

    def batch(self, chapter: Chapter, left: Sequence[Left]) -> Batch:
        """
        Make receptions of some of what :meth:`close` gave.
        """
        made = Batch([], [], [], [])
        for key, offset, meta, said in left:
            try:
                reception = self._read(key, meta, said)
            except RecordError:
                chapter.senseless += 1
                continue
            if not reception.live:
                continue
            place = reception, offset
            if key in chapter.spoilt and not self._was_tried(reception):
                # Mail that was ever attempted was confirmed: it is kept, and every attempt fails while its body does.
                made.withdrawn.append(place)
                continue
            made.receptions.append(place)
            made.messages.extend(message for message in reception.messages if message is not None)
        made.interrupted.extend(self._interrupted())
        return made

    def _was_tried(self, reception: Reception) -> bool:
        return any(message is None or message.code or message in self._open for message in reception.messages)

    def _interrupted(self) -> Iterator[Message]:
        # Each has had one ambiguous attempt more than was counted, and has now.
        for message, lost_reply in self._open.items():
            message.ambiguous += 1
            if lost_reply is LostReply.ASSUME_DELIVERED:
                message.next_attempt = ASSUMED
            elif lost_reply is LostReply.HOLD:
                message.next_attempt = HELD
                message.code = INTERRUPTED
                message.stage = Stage.READING_CONFIRMATION
            yield message
        self._open.clear()

    def _read(self, key: int, meta: bytes, said: Said | None) -> Reception:
        envelope = decode(records.RECEPTION, meta)
        assert isinstance(envelope, Envelope)
        reception = self._reception(key, envelope)
        if envelope.states is not None:
            self._stand(reception, envelope.states)
        if said is not None:
            for fate in [said] if isinstance(said, Fate) else said.values():
                if fate.position < len(reception.messages):
                    message = reception.messages[fate.position]
                    if message is not None:
                        self._apply(reception, message, fate)
        return reception

    def _stand(self, reception: Reception, states: tuple[State, ...]) -> None:
        # What followed the reception where it was before is said by its states.
        standing = {state.position: state for state in states}
        for message in list(reception.messages):
            assert message is not None
            state = standing.get(message.index)
            if state is None:
                self._done(reception, message)
            else:
                self._requeue(message, Requeued(*state))

    def _apply(self, reception: Reception, message: Message, fate: Fate) -> None:
        if fate.requeued is True:
            self._done(reception, message)
            return
        if isinstance(fate.requeued, bytes):
            meta = decode(records.REQUEUED, fate.requeued)
            assert isinstance(meta, Requeued)
            self._requeue(message, meta)
        if fate.intent is not None:
            self._open[message] = fate.intent

    def _reception(self, key: int, envelope: Envelope) -> Reception:
        reception = Reception(
            envelope.sender,
            envelope.creation_time,
            envelope.size,
            envelope.batch_id,
            envelope.conn_id,
            envelope.recv_method,
            envelope.recv_from,
            envelope.eight_bit,
            envelope.smtputf8,
            envelope.traits,
            envelope.terms,
        )
        reception.key = key
        reception.unfinished = len(envelope.recipients)
        for id, recipient, binding, next_attempt in envelope.recipients:
            message = reception.add(id, recipient)
            message.next_attempt = next_attempt
            message.binding_slot = self._slot(binding)
        return reception

    def _requeue(self, message: Message, meta: Requeued) -> None:
        message.num_retries = meta.num_retries
        message.next_attempt = meta.next_attempt
        message.ambiguous = meta.ambiguous
        message.code = meta.code
        message.binding_slot = self._slot(meta.binding)
        try:
            message.stage = Stage(meta.stage)
        except ValueError:
            message.stage = Stage.UNKNOWN

    def _done(self, reception: Reception, message: Message) -> None:
        reception.done(message)
        reception.unfinished -= 1

    def _slot(self, binding: str) -> int:
        slot = self._slots.get(binding)
        if slot is None:
            slot = self._slots[binding] = self._binding_slot(binding)
        return slot


def _due(meta: bytes) -> float:
    try:
        requeued = decode(records.REQUEUED, meta)
    except RecordError:
        return 0.0
    assert isinstance(requeued, Requeued)
    return requeued.next_attempt


def _stood(meta: bytes) -> Said:
    envelope = decode(records.RECEPTION, meta)
    assert isinstance(envelope, Envelope)
    stood = {position: Fate(position, True, None) for position in range(len(envelope.recipients))}
    for state in envelope.states or ():
        stood[state.position] = Fate(state.position, records.requeued_meta(Requeued(*state)), None)
    return stood
