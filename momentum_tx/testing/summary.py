"""
What has become of all mail of a virtual world, in numbers::

    print(world.summary())

It is read from mainlog, from the queues, and from the exchangers that were
connected to.  What the configuration keeps out of mainlog is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

from ..logs.text import decode
from ..message.ids import NO_ID
from ..policy.retry import End
from ..stages import Stage
from .logs import Record
from .peers import Receiver

if TYPE_CHECKING:
    from ..queues.domain import DomainRecord
    from .network import VirtualNetwork

#: Notes, domains or bindings shown one by one; what is behind them is shown in one line.
MOST_SHOWN: Final = 10
#: Notes of messages that are given up after an attempt, or without one.
_GIVEN_UP: Final = frozenset(decode(end.value) for end in End)
#: Stages, as mainlog has them, of failures that came of no connection and of no attempt.
_NOT_CONNECTED: Final = str(int(Stage.NOT_CONNECTED))
_NO_ATTEMPT: Final = str(int(Stage.UNKNOWN))


@dataclass(frozen=True, slots=True)
class Share:
    """
    What has become of the mail of one routing domain, or of one binding.

    :ivar delivered: messages a peer took.
    :ivar waiting: messages that are neither delivered nor failed, by their last
        record: before the first attempt they count for the recipient's domain,
        and perhaps for no binding.
    :ivar failed: messages that were given up.
    :ivar attempts: tries to deliver a message.
    :ivar connections: connections that saw the end of an attempt.
    """

    delivered: int
    waiting: int
    failed: int
    attempts: int
    connections: int


@dataclass(frozen=True, slots=True)
class Delays:
    """
    Seconds from reception to delivery.

    :ivar median: of half the messages, at most.
    :ivar slow: of 95 %, at most.
    :ivar most: of all.
    """

    median: float
    slow: float
    most: float


@dataclass(frozen=True, slots=True)
class Summary:
    """
    What has become of all mail.  A message is one recipient of a reception.

    :ivar seconds: time that has passed in the world.
    :ivar received: messages accepted.
    :ivar delivered: messages a peer took.
    :ivar delivered_at_first: those of them whose first attempt it was.
    :ivar active: messages that may be tried now.
    :ivar delayed: messages that wait for their time.
    :ivar in_delivery: messages a session has at the moment.
    :ivar held: messages that wait for an operator.
    :ivar failures: messages that were given up, by note, most frequent first.
    :ivar attempts: tries to deliver a message.
    :ivar transients: attempts that failed for now, by note, most frequent first.
    :ivar delays: seconds from reception to delivery; ``None`` before the first.
    :ivar connects: connects that were begun, as far back as
        :attr:`~momentum_tx.testing.network.VirtualNetwork.dialled` reaches.
    :ivar connections: connections that the exchangers accepted which listen at
        the moment.
    :ivar most_connections: most that one of these exchangers had at once.
    :ivar domains: the same by routing domain, in the order of their names.
    :ivar bindings: the same by binding; "" is that of messages that have none yet.
    """

    seconds: float
    received: int
    delivered: int
    delivered_at_first: int
    active: int
    delayed: int
    in_delivery: int
    held: int
    failures: Mapping[str, int]
    attempts: int
    transients: Mapping[str, int]
    delays: Delays | None
    connects: int
    connections: int
    most_connections: int
    domains: Mapping[str, Share]
    bindings: Mapping[str, Share]

    @property
    def waiting(self) -> int:
        """
        Messages that are still ours to deliver.
        """
        return self.active + self.delayed + self.in_delivery + self.held

    @property
    def failed(self) -> int:
        """
        Messages that were given up, whatever the note.
        """
        return sum(self.failures.values())

    def __str__(self) -> str:
        """
        A small table.
        """
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield _row(self.received, f"messages received in {self.seconds:,.0f} s")
        yield _row(self.delivered, f"delivered, {self.delivered_at_first:,} of them at the first attempt")
        if self.delays is not None:
            delays = self.delays
            yield f"{'':12}after {delays.median:,.3f} s (median), {delays.slow:,.3f} (95 %), {delays.most:,.3f} (most)"
        waiting = f"{self.active:,} active, {self.delayed:,} delayed, {self.in_delivery:,} in delivery"
        if self.held:
            waiting += f", {self.held:,} held"
        yield _row(self.waiting, f"waiting: {waiting}")
        yield _row(self.failed, "failed for ever")
        yield from _notes(self.failures)
        yield _row(self.attempts, "attempts")
        yield _row(sum(self.transients.values()), "failed for now")
        yield from _notes(self.transients)
        yield _row(self.connects, f"connects, {self.connections:,} accepted, at most {self.most_connections:,} at once")
        for title, shares in (("domain", self.domains), ("binding", self.bindings)):
            if len(shares) > 1:
                yield ""
                yield from _table(title, shares)


def _row(number: int, text: str) -> str:
    return f"{number:>10,}  {text}"


def _notes(notes: Mapping[str, int]) -> Iterator[str]:
    shown = list(notes.items())
    for note, count in shown[:MOST_SHOWN]:
        yield f"{count:>18,}  {note}"
    rest = shown[MOST_SHOWN:]
    if rest:
        yield f"{sum(count for _, count in rest):>18,}  of {len(rest):,} other notes"


def _table(title: str, shares: Mapping[str, Share]) -> Iterator[str]:
    names = list(shares)[:MOST_SHOWN]
    width = max(len(title), *map(len, names))
    yield f"{title:{width}}  delivered    waiting     failed   attempts  connections"
    for name in names:
        share = shares[name]
        yield (
            f"{name:{width}} {share.delivered:>10,} {share.waiting:>10,} {share.failed:>10,} {share.attempts:>10,}"
            f" {share.connections:>12,}"
        )
    if len(shares) > len(names):
        yield f"and {len(shares) - len(names):,} more"


@dataclass(slots=True)
class _Count:
    """
    A :class:`Share` that is being counted.
    """

    attempts: int = 0
    connections: set[str] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)

    def share(self) -> Share:
        ends = self.ends
        return Share(ends["D"], ends["R"] + ends["T"], ends["P"], self.attempts, len(self.connections))


def summarize(
    seconds: float,
    records: Iterable[Record],
    domains: Iterable[DomainRecord],
    network: VirtualNetwork,
    elsewhere: Collection[tuple[str, int]],
    held: int = 0,
) -> Summary:
    """
    Count.

    :param seconds: time that has passed in the world.
    :param records: mainlog, types R, D, T and P.
    :param domains: the records of all routing domains, for their queues.
    :param network: says who was connected to.
    :param elsewhere: address and port of whoever is no exchanger: connects
        there are not the mail's.
    :param held: messages that wait for an operator.
    """
    # By message id, since a crash may have a record written twice.
    last: dict[str, Record] = {}
    received: set[str] = set()
    transients: Counter[str] = Counter()
    by_domain: dict[str, _Count] = {}
    by_binding: dict[str, _Count] = {}
    attempts = 0
    for record in records:
        fields = record.fields
        kind, id = record.kind, fields["id"]
        known = last.pop(id, record)
        # Once it is delivered it is, whatever becomes of a copy.
        last[id] = known if known.kind == "D" else record
        if kind == "R":
            received.add(id)
            continue
        if kind == "T":
            transients[fields["note"]] += 1
        counts = _of(by_domain, fields["domain"]), _of(by_binding, fields["binding"])
        if kind != "P" or not (fields["stage"] == _NO_ATTEMPT or fields["note"] in _GIVEN_UP):
            attempts += 1
            for count in counts:
                count.attempts += 1
        if fields["conn_id"] != NO_ID and fields.get("stage") != _NOT_CONNECTED:
            for count in counts:
                count.connections.add(fields["conn_id"])
    for record in last.values():
        _of(by_domain, record["domain"]).ends[record.kind] += 1
        _of(by_binding, record["binding"]).ends[record.kind] += 1
    delivered = [record for record in last.values() if record.kind == "D"]
    domains = list(domains)
    places = [(host, port) for _, host, port in network.dialled if (host, port) not in elsewhere]
    exchangers = _listening(network, places)
    return Summary(
        seconds=seconds,
        received=len(received),
        delivered=len(delivered),
        delivered_at_first=sum(1 for record in delivered if record["retries"] == "0"),
        active=sum(dr.mail_queue.active_size() for dr in domains),
        delayed=sum(dr.mail_queue.delayed_size() for dr in domains),
        in_delivery=sum(dr.in_flight for dr in domains),
        held=held,
        failures=_by_frequency(Counter(record["note"] for record in last.values() if record.kind == "P")),
        attempts=attempts,
        transients=_by_frequency(transients),
        delays=_delays([float(record["age"]) for record in delivered]),
        connects=len(places),
        connections=sum(exchanger.connections for exchanger in exchangers),
        most_connections=max((exchanger.most_open for exchanger in exchangers), default=0),
        domains=_shares(by_domain),
        bindings=_shares(by_binding),
    )


def _listening(network: VirtualNetwork, places: Iterable[tuple[str, int]]) -> list[Receiver]:
    """
    The receivers at *places*, each once.
    """
    ports = [network.listening_at(place) for place in dict.fromkeys(places)]
    found = [port.factory for port in ports if port is not None]
    return [factory for factory in found if isinstance(factory, Receiver)]


def _of(counts: dict[str, _Count], name: str) -> _Count:
    count = counts.get(name)
    if count is None:
        count = counts[name] = _Count()
    return count


def _shares(counts: Mapping[str, _Count]) -> dict[str, Share]:
    return {name: counts[name].share() for name in sorted(counts)}


def _by_frequency(notes: Counter[str]) -> dict[str, int]:
    """
    The same, most frequent first; of equals the one that was seen first.
    """
    return dict(notes.most_common())


def _delays(ages: Sequence[float]) -> Delays | None:
    if not ages:
        return None
    ages = sorted(ages)
    median, slow = (ages[ceil(len(ages) * hundredths / 100) - 1] for hundredths in (50, 95))
    return Delays(median, slow, ages[-1])
