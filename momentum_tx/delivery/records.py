"""
Every domain record, host record and address metric of one service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from weakref import WeakValueDictionary

from ..interfaces.services import IConnectionInitiator
from ..queues.domain import AddressMetrics, DomainRecord, HostRecord
from ..queues.message import Traits
from ..queues.places import Places

#: An address and the port connected to there: two servers may share an address.
Peer = tuple[str, int]
#: How long, seconds, it is remembered of a domain whose routing data has expired that its MX records could not be had:
#: its next message shall not have to find out anew.
TROUBLE_MEMORY = 3600.0
#: Domains, or addresses, that are looked at in one turn of the reactor when old ones are dropped: some 4 ms.
SLICE = 4000
#: Weight of the newest sample in the decayed means of address metrics.
_WEIGHT = 0.2


class Records:
    """
    Finds records by name, makes them on demand, and drops what nobody needs.

    :param weigh: weight of a class of mail for a domain in a slot.
    """

    def __init__(self, weigh: Callable[[str, int, Traits], float] = lambda domain, slot, key: 1.0) -> None:
        self._weigh = weigh
        self._domains: dict[str, DomainRecord] = {}
        # A host is known as long as a domain, a connection or a running look-up has it:
        # were it forgotten before, its limit would count connections of two records.
        self._hosts: WeakValueDictionary[tuple[str, bool], HostRecord] = WeakValueDictionary()
        self._metrics: dict[tuple[Peer, int], AddressMetrics] = {}
        #: Failures in a row by address; those without any are left out.
        self._failures: dict[Peer, int] = {}
        #: When an address did not meet what one domain demands of its hosts, and how often in a row.
        self._shunned: dict[tuple[str, Peer, int], tuple[float, int]] = {}
        #: Connections of the whole server, open or being opened, and who waits for one.
        self.server: Places[DomainRecord] = Places()

    @property
    def connections(self) -> int:
        """
        Connections of the whole server, open or being opened.
        """
        return self.server.taken

    def domain(self, name: str, initiator: IConnectionInitiator) -> DomainRecord:
        """
        The record of a routing domain, made if there is none.
        """
        record = self._domains.get(name)
        if record is None:
            record = self._domains[name] = DomainRecord(name, initiator, partial(self._weigh, name))
        return record

    def find(self, name: str) -> DomainRecord | None:
        """
        The record of a routing domain, if there is one.
        """
        return self._domains.get(name)

    def __iter__(self) -> Iterator[DomainRecord]:
        return iter(list(self._domains.values()))

    def __len__(self) -> int:
        return len(self._domains)

    def host(self, name: str, trusted: bool = False) -> HostRecord:
        """
        The record of an exchanger.  A host an operator named and one DNS named
        are two records: what is allowed to the one is not to the other.
        """
        record = self._hosts.get((name, trusted))
        if record is None:
            record = self._hosts[name, trusted] = HostRecord(name, trusted)
        return record

    def metrics(self, peer: Peer, slot: int) -> AddressMetrics:
        """
        What is known of an address from a binding slot.
        """
        metrics = self._metrics.get((peer, slot))
        if metrics is None:
            metrics = self._metrics[peer, slot] = AddressMetrics()
        return metrics

    def down(self, peer: Peer, slot: int, now: float, host_failure_retry: float, domain: str = "") -> bool:
        """
        Whether the address failed less than *host_failure_retry* seconds ago.
        A failure from the future (the wall clock went back) does not count.

        :param domain: whose mail is asked for, since an address may have failed what
            that domain demands, and nobody else.
        """
        metrics = self._metrics.get((peer, slot))
        if metrics is not None and metrics.failed_at > 0 and 0 <= now - metrics.failed_at < host_failure_retry:
            return True
        shunned = self._shunned.get((domain, peer, slot)) if self._shunned else None
        return shunned is not None and 0 <= now - shunned[0] < host_failure_retry

    def shun(self, domain: str, peer: Peer, slot: int, now: float) -> None:
        """
        The address did not meet what *domain* demands of it, such as TLS or a
        certificate: that domain leaves it alone for a while, and others are none the
        wiser.
        """
        self._shunned[domain, peer, slot] = now, self._shunned.get((domain, peer, slot), (0.0, 0))[1] + 1

    def failed(self, peer: Peer, slot: int) -> bool:
        """
        Whether the last thing known of the address is that it failed.
        """
        metrics = self._metrics.get((peer, slot))
        return metrics is not None and metrics.failed_at > 0

    def failures(self, peer: Peer, domain: str = "", slot: int = 0) -> int:
        """
        Failures of the address in a row, from whatever binding, and of those that
        concern *domain* alone those from one.
        """
        count = self._failures.get(peer, 0)
        shunned = self._shunned.get((domain, peer, slot)) if self._shunned else None
        return count if shunned is None else count + shunned[1]

    def count_failure(self, peer: Peer, domain: str = "", slot: int = 0) -> None:
        """
        One more failure of the address in a row; where *domain* shuns it, of that
        domain's alone.
        """
        shunned = self._shunned.get((domain, peer, slot)) if self._shunned else None
        if shunned is None:
            self._failures[peer] = self._failures.get(peer, 0) + 1
        else:
            self._shunned[domain, peer, slot] = shunned[0], shunned[1] + 1

    def contacted(self, peers: Iterable[Peer], domain: str = "", slot: int = 0) -> None:
        """
        A domain that has these addresses was reached at one of them: their
        failures are no longer in a row.
        """
        for peer in peers:
            self._failures.pop(peer, None)
            shunned = self._shunned.get((domain, peer, slot)) if self._shunned else None
            if shunned is not None:
                self._shunned[domain, peer, slot] = shunned[0], 0

    def demands_met(self, domain: str, peer: Peer, slot: int) -> None:
        """
        The address has what *domain* demands.
        """
        if self._shunned:
            self._shunned.pop((domain, peer, slot), None)

    def address_failed(self, peer: Peer, slot: int, now: float) -> None:
        """
        A connection to the address failed, or the peer broke the protocol.
        """
        self.count_failure(peer)
        metrics = self.metrics(peer, slot)
        metrics.failed_at = metrics.updated_at = now

    def address_connected(self, peer: Peer, slot: int, now: float, seconds: float) -> None:
        """
        A connection to the address was established in *seconds*.
        """
        metrics = self.metrics(peer, slot)
        metrics.failed_at = 0.0
        metrics.avg_connecttime = _decayed(metrics.avg_connecttime, seconds)
        metrics.updated_at = now

    def shift(self, seconds: float) -> None:
        """
        The wall clock was set: whatever is known of domains and addresses is as old
        as before.

        :param seconds: what the clock was put forward by; negative if back.
        """
        for dr in self._domains.values():
            dr.shift(seconds)
        for metrics in self._metrics.values():
            metrics.updated_at += seconds
            if metrics.failed_at:
                metrics.failed_at += seconds
        self._shunned = {key: (when + seconds, count) for key, (when, count) in self._shunned.items()}

    def expire(self, now: float, lifetime: float) -> Iterator[None]:
        """
        Drop what nobody needs: address metrics unused for *lifetime* seconds,
        and domains without mail or connections whose routing data has expired;
        those whose look-ups failed lately a while later.

        :returns: does it, a slice each time it is asked for the next.
        """
        counted = list(self._failures)
        for number, peers in enumerate(list(self._metrics)):
            metrics = self._metrics.get(peers)
            if metrics is not None and now - metrics.updated_at >= lifetime:
                del self._metrics[peers]
            if number % SLICE == SLICE - 1:
                yield
        self._shunned = {key: known for key, known in self._shunned.items() if now - known[0] < lifetime}
        used: set[str] = set()
        for number, name in enumerate(list(self._domains)):
            dr = self._domains.get(name)
            if dr is not None:
                used.update(address for mx in dr.mxlist for address in mx.host.addresses)
                if not _needed(dr, now):
                    del self._domains[name]
                    dr.lead_to(())
            if number % SLICE == SLICE - 1:
                yield
        used.update(peer[0] for peer, _ in self._metrics)
        for peer in counted:
            if peer[0] not in used:
                self._failures.pop(peer, None)


def _needed(dr: DomainRecord, now: float) -> bool:
    """
    Whether a domain has mail, connections, or routing data that holds.
    """
    return bool(
        dr.mail_queue.size()
        or dr.connections
        or dr.lookup_pending
        or dr.expiry + (TROUBLE_MEMORY if dr.lookup_failures is not None else 0.0) > now
        or dr.in_flight
    )


def _decayed(mean: float, sample: float) -> float:
    return sample if not mean else mean + _WEIGHT * (sample - mean)
