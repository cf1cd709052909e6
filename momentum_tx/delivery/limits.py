"""
How many connections there may be, how often one may be opened and a message be
sent; and who comes next where somebody has to wait.

Source: Momentum, ``max_outbound_connections``, ``server_max_outbound_connections``,
``server_reserve_outbound_connections``, ``scope_max_outbound_connections`` and the
two ``outbound_throttle_*`` options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ..queues.domain import DomainRecord, HostRecord
from ..queues.places import UNLIMITED, Places
from .handle import ConnectionHandle, staying
from .throttles import PLENTY, Throttle, Throttles

if TYPE_CHECKING:
    from ..settings.limits import Total
    from .facilities import Facilities
    from .records import Records

#: Messages that a connection may deliver, while another domain waits for its place and has none.
TURN: Final = 10

#: Of each limit, the part that connections may have together of which nobody knows yet
#: whether they serve: one in so many.
UNPROVEN_PART: Final = 2

_CONNECTIONS: Final = "connections"
_MESSAGES: Final = "messages"


class Limits:
    """
    Every limit on connections and messages.

    A limit is asked with the configuration in force, each time; whoever is
    refused waits in line for what refused it, and is looked after again when
    its turn has come.

    :param facilities: configuration, clock.
    :param records: the server's and the hosts' places.
    :param poke: looks after a domain soon.
    """

    __slots__ = (
        "_answers",
        "_bindings",
        "_calls",
        "_f",
        "_favoured",
        "_held_back",
        "_poke",
        "_records",
        "_reserve",
        "_throttles",
        "_totals",
        "crowded",
    )

    def __init__(self, facilities: Facilities, records: Records, poke: Callable[[DomainRecord], object]) -> None:
        self._f = facilities
        self._records = records
        self._poke = poke
        self._bindings: dict[int, Places[DomainRecord]] = {}
        self._totals: dict[str, Places[DomainRecord]] = {}
        self._throttles = Throttles(facilities, self._called)
        #: What a domain was offered and has not answered.
        self._answers: dict[DomainRecord, list[Places[DomainRecord]]] = {}
        self._calls: dict[DomainRecord, list[Throttle]] = {}
        #: Domains whose turn it is in some line: in the others they need not stand behind anybody for one connection.
        self._favoured: dict[DomainRecord, None] = {}
        #: Domains that would have more connections if it was known that they serve.
        self._held_back: dict[DomainRecord, None] = {}
        self._reserve = facilities.agenda.alarm(self._sweep_reserve)
        #: Told when somebody begins to wait for places: idle connections give way.
        self.crowded: Callable[[Places[DomainRecord]], object] = lambda places: None

    # Before a connection is opened.

    def refuses(self, dr: DomainRecord, slot: int) -> bool:
        """
        Whether a limit forbids another connection of *dr* from *slot*, whatever
        the host; *dr* waits in line then.
        """
        config = self._f.config
        if dr.connection_count(slot) >= config.path(slot, dr.domain).max_outbound_connections:
            # Nobody to wait for but itself: when one of its connections ends it is looked after.
            return True
        server = self._server()
        reserve = config.global_settings.server_reserve_outbound_connections
        called = dr in self._favoured
        if not server.open_to(dr, reserve, called):
            self._wait(server, dr)
            if reserve and self._reserve.when is None:
                self._reserve.arm(config.global_settings.reserve_maintenance_interval)
            return True
        for places in self._shared(dr, slot):
            if not places.open_to(dr, called=called):
                self._wait(places, dr)
                return True
        throttle = self._of(_CONNECTIONS, dr, slot)
        if throttle is not None and throttle.free(dr, called) <= 0:
            throttle.wait(dr)
            return True
        return False

    def to_try(self, dr: DomainRecord, slot: int, missing: int) -> int:
        """
        How many of the *missing* connections of *dr* from *slot* may be opened while
        nobody knows whether it serves: those that hang must leave others their
        places.  One may always be tried, whatever the other domains do.
        """
        if self._serves(dr, slot):
            return missing
        room = PLENTY
        for places in (self._server(), *self._shared(dr, slot)):
            room = min(room, places.most // UNPROVEN_PART - places.unproven)
        room = max(room, 1 - dr.connection_count(slot))
        if room >= missing:
            return missing
        self._held_back[dr] = None
        return room

    @staticmethod
    def _serves(dr: DomainRecord, slot: int) -> bool:
        for handle in dr.connections.get(slot, ()):
            assert isinstance(handle, ConnectionHandle)
            if not handle.unproven:
                return True
        return False

    def exceeded(self, handle: ConnectionHandle) -> bool:
        """
        Whether a limit that holds now forbids that *handle*, which is counted
        already, connects to another address.
        """
        dr, slot = handle.dr, handle.binding_slot
        server = self._server()
        reserve = self._f.config.global_settings.server_reserve_outbound_connections
        if (
            dr.connection_count(slot) > self._f.config.path(slot, dr.domain).max_outbound_connections
            or server.taken > server.most + reserve
            or any(places.taken > places.most for places in self._shared(dr, slot))
        ):
            return True
        throttle = self._of(_CONNECTIONS, dr, slot)
        return throttle is not None and throttle.free(dr) <= 0

    def host_full(self, host: HostRecord, dr: DomainRecord, slot: int) -> bool:
        """
        Whether no further connection to *host* may be opened now: it counts as
        weight zero.
        """
        called = dr in self._favoured
        if not self._host(host).open_to(dr, called=called):
            return True
        limits = self._f.config.host_limits(slot, host.name)
        if not all(self._total(total).open_to(dr, called=called) for total in limits.totals):
            return True
        return any(throttle.free(dr, called) <= 0 for throttle in self._host_throttles(host, slot))

    def wait_for_hosts(self, hosts: Sequence[HostRecord], dr: DomainRecord, slot: int) -> None:
        """
        *dr* could connect to none of *hosts*: have it looked after when one of
        those that are full can be used again.
        """
        called = dr in self._favoured
        for host in hosts:
            limits = self._f.config.host_limits(slot, host.name)
            for places in (self._host(host), *map(self._total, limits.totals)):
                if not places.open_to(dr, called=called):
                    self._wait(places, dr)
            for throttle in self._host_throttles(host, slot):
                if throttle.free(dr, called) <= 0:
                    throttle.wait(dr)

    # While it is open.

    def occupy(self, handle: ConnectionHandle) -> None:
        """
        *handle* counts from now on.
        """
        dr, slot = handle.dr, handle.binding_slot
        dr.connections.setdefault(slot, []).append(handle)
        # The next connection of the same pass is nobody's turn.
        self._favoured.pop(dr, None)
        handle.places = (self._server(), *self._shared(dr, slot))
        for places in handle.places:
            places.take(dr)
            places.unproven += 1
        handle.unproven = True

    def proven(self, handle: ConnectionHandle) -> None:
        """
        *handle* serves: something was sent on it and answered, or there is nothing
        to send.  Others of its domain may follow now.
        """
        if not handle.unproven:
            return
        handle.unproven = False
        for places in handle.places:
            places.unproven -= 1
        if handle.dr in self._held_back:
            del self._held_back[handle.dr]
            self._poke(handle.dr)

    def give_back(self, handle: ConnectionHandle) -> None:
        """
        *handle* counts no longer; those who wait are offered its places.
        """
        handles = handle.dr.connections[handle.binding_slot]
        handles.remove(handle)
        handle.dr.leaving -= handle.leaving
        if not handles:
            del handle.dr.connections[handle.binding_slot]
            # A regular pass looks after those whose last connection did not serve.
            self._held_back.pop(handle.dr, None)
        left, handle.places = handle.places, ()
        for places in left:
            places.leave()
            places.unproven -= handle.unproven
            self._offer(places)
        handle.unproven = False
        self.leave_host(handle)
        if handle.connection.descriptor >= 0:
            self._f.descriptors.freed()

    def enter_host(self, handle: ConnectionHandle, host: HostRecord) -> None:
        """
        *handle* is about to connect to *host*: it counts there, and for every
        throttle on connections.
        """
        dr, slot = handle.dr, handle.binding_slot
        handle.host = host
        limits = self._f.config.host_limits(slot, host.name)
        handle.host_places = (self._host(host), *map(self._total, limits.totals))
        for places in handle.host_places:
            places.take(dr)
        for throttle in (self._of(_CONNECTIONS, dr, slot), self._host_throttle(_CONNECTIONS, host, slot)):
            if throttle is not None:
                throttle.take(dr)

    def leave_host(self, handle: ConnectionHandle) -> None:
        """
        *handle* has nothing to do with its host any more; harmless twice.
        """
        left, handle.host_places = handle.host_places, ()
        handle.host = None
        for places in left:
            places.leave()
            self._offer(places)

    def admits(self, handle: ConnectionHandle, dr: DomainRecord) -> bool:
        """
        Whether *handle*, which has nothing to send, may count for *dr* instead
        of its own domain, and a message of *dr* be sent on it.
        """
        slot, turn_over = handle.binding_slot, handle.connection.deliveries >= TURN
        if dr.connection_count(slot) >= self._f.config.path(slot, dr.domain).max_outbound_connections:
            return False
        if any(places not in handle.places and not places.open_to(dr) for places in self._shared(dr, slot)):
            return False
        if turn_over and any(places.waiting for places in (*handle.places, *handle.host_places)):
            # It has served long enough; its place goes by turns.
            return False
        return self.message_room(dr, slot, handle.host) > 0

    def migrate(self, handle: ConnectionHandle, dr: DomainRecord) -> None:
        """
        *handle* counts for *dr* from now on.  The host is the same, and nothing
        is begun, so that no throttle on connections is told.
        """
        slot, before, source = handle.binding_slot, handle.places, handle.dr
        handles = source.connections[slot]
        handles.remove(handle)
        if not handles:
            del source.connections[slot]
        dr.connections.setdefault(slot, []).append(handle)
        handle.dr, handle.way = dr, dr.way
        # It serves, so that others of the domain may follow; whoever migrates it has the domain looked after.
        self._held_back.pop(dr, None)
        handle.places = (self._server(), *self._shared(dr, slot))
        for places in handle.places:
            if places not in before:
                places.take(dr)
        for places in (*handle.places, *handle.host_places):
            # What it waited for it has; if it wants more it waits anew, as one that has a connection.
            places.forget(dr)
        for places in before:
            if places not in handle.places:
                places.leave()
                self._offer(places)

    def claimed(self, handle: ConnectionHandle) -> bool:
        """
        Whether the connection should give way between two messages: somebody
        waits for its place who has clearly fewer connections, or none while this
        one has had its turn.
        """
        dr, mine, turn_over = handle.dr, -1, handle.connection.deliveries >= TURN
        for places in (*handle.places, *handle.host_places):
            first = places.next() if places.line else None
            if first is None:
                continue
            if mine < 0:
                mine = staying(dr)
            who, theirs = first
            if who is dr:
                if turn_over and self._other_slot_starves(dr, handle.binding_slot):
                    return True
            elif theirs + 1 < mine or (turn_over and not theirs):
                return True
        return False

    @staticmethod
    def _other_slot_starves(dr: DomainRecord, slot: int) -> bool:
        return any(other != slot and not dr.connection_count(other) for other in dr.mail_queue.active_slots())

    @staticmethod
    def wanted(handle: ConnectionHandle) -> bool:
        """
        Whether anybody waits for the place of a connection that is idle.
        """
        return any(places.waiting for places in (*handle.places, *handle.host_places))

    # Messages.

    def message_room(self, dr: DomainRecord, slot: int, host: HostRecord | None = None) -> int:
        """
        How many messages of *dr* may be sent from *slot* now.

        :param host: to this host; ``None`` leaves the hosts' throttles out.
        """
        if not self._f.config.written("outbound_throttle_messages"):
            return PLENTY
        room, called = PLENTY, dr in self._favoured
        for throttle in self._message_throttles(dr, slot, host):
            room = min(room, throttle.free(dr, called))
        return room

    def wait_for_messages(self, dr: DomainRecord, slot: int, host: HostRecord | None = None) -> None:
        """
        Have *dr* looked after when a message may be sent.
        """
        called = dr in self._favoured
        for throttle in self._message_throttles(dr, slot, host):
            if throttle.free(dr, called) <= 0:
                throttle.wait(dr)

    def promise_messages(self, handle: ConnectionHandle, messages: int) -> tuple[Throttle, ...]:
        """
        Keep room for messages that are about to be sent.

        :returns: the throttles that are to be told what comes of it.
        """
        dr = handle.dr
        self._favoured.pop(dr, None)
        if not self._f.config.written("outbound_throttle_messages"):
            return ()
        throttles = tuple(self._message_throttles(dr, handle.binding_slot, handle.host))
        for throttle in throttles:
            throttle.promise(dr, messages)
        return throttles

    # Those who wait.

    def answered(self, dr: DomainRecord) -> None:
        """
        *dr* was looked after: what it was offered and did not take is for others.
        """
        self._favoured.pop(dr, None)
        for places in self._answers.pop(dr, ()):
            if places.answer(dr):
                self._offer(places)
        for throttle in self._calls.pop(dr, ()):
            throttle.answer(dr)

    def waits(self, dr: DomainRecord, slot: int) -> bool:
        """
        Whether *dr* stands in line for something that is not to be had now.
        """
        places = [self._server(), *self._shared(dr, slot)]
        throttles = [self._of(_CONNECTIONS, dr, slot), self._of(_MESSAGES, dr, slot)]
        for mx in dr.mxlist:
            totals = self._f.config.host_limits(slot, mx.host.name).totals
            places += [self._host(mx.host), *map(self._total, totals)]
            throttles += self._host_throttles(mx.host, slot)
        now = self._f.clock.seconds()
        return any(dr in each and each.taken >= each.most for each in places) or any(
            each is not None and dr in each and not each.window.free(now) for each in throttles
        )

    def reconfigured(self) -> None:
        """
        The configuration was replaced: count anew what shares which total.
        """
        for places in (*self._totals.values(), *self._bindings.values()):
            places.taken = places.unproven = 0
        for dr in self._records:
            for slot, handles in dr.connections.items():
                for handle in handles:
                    assert isinstance(handle, ConnectionHandle)
                    self._recount(handle, dr, slot)
        for places in (self._server(), *self._bindings.values(), *self._totals.values()):
            self._offer(places)

    def _recount(self, handle: ConnectionHandle, dr: DomainRecord, slot: int) -> None:
        handle.places = (self._records.server, *self._shared(dr, slot))
        for places in handle.places[1:]:
            places.taken += 1
            places.unproven += handle.unproven
        host = handle.host
        if host is not None:
            totals = self._f.config.host_limits(slot, host.name).totals
            handle.host_places = (self._host(host), *map(self._total, totals))
            for places in handle.host_places[1:]:
                places.taken += 1

    def _wait(self, places: Places[DomainRecord], dr: DomainRecord) -> None:
        if places.wait(dr, dr.total_connections()):
            self.crowded(places)

    def _offer(self, places: Places[DomainRecord], reserve: int = 0, rank: int | None = None) -> None:
        if places.waiting:
            for dr in places.offer(reserve, rank):
                self._favoured[dr] = None
                self._answers.setdefault(dr, []).append(places)
                self._poke(dr)

    def _called(self, dr: DomainRecord, throttle: Throttle) -> None:
        self._favoured[dr] = None
        self._calls.setdefault(dr, []).append(throttle)
        self._poke(dr)

    def _sweep_reserve(self) -> None:
        g = self._f.config.global_settings
        server = self._server()
        self._offer(server, g.server_reserve_outbound_connections, 0)
        if server.waiting and g.server_reserve_outbound_connections:
            self._reserve.arm(g.reserve_maintenance_interval)

    # Which limits there are.

    def _server(self) -> Places[DomainRecord]:
        server = self._records.server
        server.most = self._f.config.global_settings.server_max_outbound_connections
        return server

    def _shared(self, dr: DomainRecord, slot: int) -> Iterator[Places[DomainRecord]]:
        config = self._f.config
        most = config.bindings[slot].server_max_outbound_connections
        if most is not None:
            places = self._bindings.get(slot)
            if places is None:
                places = self._bindings[slot] = Places()
            places.most = most
            yield places
        for total in config.limits(slot, dr.domain).totals:
            yield self._total(total)

    def _total(self, total: Total) -> Places[DomainRecord]:
        places = self._totals.get(total.owner)
        if places is None:
            places = self._totals[total.owner] = Places()
        places.most = total.most
        return places

    def _host(self, host: HostRecord) -> Places[DomainRecord]:
        most = self._f.config.host(host.name).max_outbound_connections
        host.places.most = UNLIMITED if most < 0 else most
        return host.places

    def _of(self, what: str, dr: DomainRecord, slot: int) -> Throttle | None:
        limits = self._f.config.limits(slot, dr.domain)
        measure = limits.connections if what is _CONNECTIONS else limits.messages
        return None if measure is None else self._throttles.of(what, measure)

    def _host_throttle(self, what: str, host: HostRecord, slot: int) -> Throttle | None:
        limits = self._f.config.host_limits(slot, host.name)
        measure = limits.connections if what is _CONNECTIONS else limits.messages
        return None if measure is None else self._throttles.of(what, measure)

    def _host_throttles(self, host: HostRecord, slot: int) -> Iterator[Throttle]:
        for what in (_CONNECTIONS, _MESSAGES):
            throttle = self._host_throttle(what, host, slot)
            if throttle is not None:
                yield throttle

    def _message_throttles(self, dr: DomainRecord, slot: int, host: HostRecord | None) -> Iterator[Throttle]:
        throttle = self._of(_MESSAGES, dr, slot)
        if throttle is not None:
            yield throttle
        if host is not None:
            throttle = self._host_throttle(_MESSAGES, host, slot)
            if throttle is not None:
                yield throttle
