"""
``initiate_connection``: one attempt to open one connection.

Source: Momentum, "Connection-related Functions", ``initiate_connection``.  How
ours differs is on the page ``doc/reference/initiate_connection``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import ConnectFailed, ConnectionNotInitiated, ConnectTimedOut, DialFailed
from ..flags import ConnFlag
from ..interfaces.records import IDomainRecord
from ..interfaces.seams import IConnectedStream, IDial
from ..net.endpoint import address_of
from ..policy.candidates import Candidate, eligible, order
from ..policy.consequence import with_actions
from ..queues.domain import Connection, DomainRecord, HostRecord, MXType
from .handle import NO_ERROR, ConnectionHandle, Try

if TYPE_CHECKING:
    from .facilities import Facilities
    from .limits import Limits
    from .probes import Probes
    from .records import Records
    from .routing import Router

_log = Logger()

FinishFunc = Callable[[ConnectionHandle, ConnFlag, float], object]
TimeoutFunc = Callable[[ConnectionHandle, float], object]


def initiate_connection(
    dr: DomainRecord,
    binding: int,
    now: float | None,
    finish_connect_func: FinishFunc,
    timeout_func: TimeoutFunc,
    user_data: object = None,
) -> ConnectionHandle:
    """
    Begin to open a connection for *dr* from a binding; exactly one of three
    things follows: this raises, or one of the two callbacks runs once.

    The callbacks never run before this has returned.  The caller owes the
    queue whatever the ``ACTION_*`` part of the word says, and the check of
    ``mx_failures_to_delay``; :func:`initiate_connection_smtp` is the caller
    that does so for mail.

    Reactor thread only.  Source: Momentum, ``initiate_connection``.

    :param dr: the domain record.
    :param binding: the binding slot.
    :param now: wall time in epoch seconds; ``None`` asks the clock.
    :param finish_connect_func: called with (handle, word, now): the word is 0
        when the connection is established, else the full word of what ended
        the attempt after a connect was pending.
    :param timeout_func: called with (handle, now) when ``connect_timeout`` is
        over, or the kernel gave up; ``handle.error`` is the full word.
    :param user_data: kept as ``handle.user_data``.
    :raises ConnectionNotInitiated: no connect could be begun; its ``flags`` are
        the full word (Momentum: NULL, and ``error`` set).
    :raises HookReentered: called by a hook that was asked a question.
    """
    handle = dr.initiator.initiate_connection(dr, binding, now, finish_connect_func, timeout_func, user_data)
    assert isinstance(handle, ConnectionHandle)
    return handle


def open_connection(
    dr: DomainRecord, binding: int, now: float | None = None, user_data: object = None
) -> Deferred[ConnectionHandle]:
    """
    :func:`initiate_connection` as a Deferred, by the same rules.

    :returns: fires with the handle of an established connection; fails with
        :class:`~momentum_tx.errors.ConnectionNotInitiated`,
        :class:`~momentum_tx.errors.ConnectFailed` or
        :class:`~momentum_tx.errors.ConnectTimedOut`, each with ``flags``.
        Cancelling stops the attempt and fails it with ``CancelledError``: that
        is no failure of the host, and no hook hears of it.
    """
    handle: ConnectionHandle | None = None

    def cancel(opening: Deferred[ConnectionHandle]) -> None:
        if handle is not None:
            handle.when_given_up = None
            handle.close()
        opening.errback(Failure(CancelledError()))

    def finished(ended: ConnectionHandle, error: ConnFlag, now: float) -> None:
        if error:
            opening.errback(Failure(ConnectFailed(error, ended.reason)))
        else:
            opening.callback(ended)

    def timed_out(ended: ConnectionHandle, now: float) -> None:
        opening.errback(Failure(ConnectTimedOut(ended.error, ended.reason)))

    opening: Deferred[ConnectionHandle] = Deferred(cancel)

    def given_up() -> None:
        # Closed by somebody else, such as a service that stops.
        if not opening.called:
            opening.errback(Failure(CancelledError()))

    try:
        handle = initiate_connection(dr, binding, now, finished, timed_out, user_data)
    except Exception:
        opening.errback(Failure())
    else:
        handle.when_given_up = given_up
    return opening


def h_to_c(handle: ConnectionHandle) -> Connection:
    """
    The connection behind a handle (Momentum: ``h_to_c``).
    """
    return handle.connection


def connection_address(connection: Connection) -> IPv4Address | IPv6Address | None:
    """
    Where the connection leads to, ``None`` before an address was chosen
    (Momentum: ``connection_address``).
    """
    return address_of(connection.address, connection.port) if connection.address else None


class ConnectionInitiator:
    """
    The connection functions of one service.

    :param facilities: dialer, hooks, clocks, configuration.
    :param records: hosts, metrics, totals.
    :param router: asked for routing data that is missing.
    :param limits: what there may be.
    :param probes: which addresses are being tried out.
    """

    def __init__(
        self, facilities: Facilities, records: Records, router: Router, limits: Limits, probes: Probes
    ) -> None:
        self.facilities = facilities
        self.records = records
        self.router = router
        self.limits = limits
        self.probes = probes

    def initiate_connection(
        self,
        dr: IDomainRecord,
        binding: int,
        now: float | None,
        finish_connect_func: Callable[[Any, ConnFlag, float], object],
        timeout_func: Callable[[Any, float], object],
        user_data: object = None,
    ) -> ConnectionHandle:
        """
        See the function of that name.
        """
        assert isinstance(dr, DomainRecord)
        f = self.facilities
        f.hooks.turn.refuse_when_asking("initiate_connection")
        if not 0 <= binding < len(f.config.bindings):
            raise ValueError(f"there is no binding slot {binding}")
        attempt = _Attempt(self, dr, binding, finish_connect_func, timeout_func, user_data)
        attempt.begin(f.wall() if now is None else now)
        return attempt.handle


class _Attempt:
    """
    One call of ``initiate_connection``, to its end.
    """

    __slots__ = (
        "_begun",
        "_candidates",
        "_cause",
        "_deadline",
        "_dial",
        "_facilities",
        "_finish",
        "_given_up",
        "_limits",
        "_probes",
        "_records",
        "_router",
        "_settings",
        "_suspended",
        "_timeout",
        "_vetoed",
        "handle",
    )

    def __init__(
        self,
        initiator: ConnectionInitiator,
        dr: DomainRecord,
        slot: int,
        finish: FinishFunc,
        timeout: TimeoutFunc,
        user_data: object,
    ) -> None:
        self._facilities = f = initiator.facilities
        self._records = initiator.records
        self._router = initiator.router
        self._limits = initiator.limits
        self._probes = initiator.probes
        self._settings = f.config.path(slot, dr.domain)
        self._finish = finish
        self._timeout = timeout
        #: Whether it began in spite of a suspension, which binds mail and nobody else.
        self._suspended = f.suspended(slot, dr.domain)
        self._candidates: list[Candidate[HostRecord]] = []
        self._vetoed: dict[str, bool] = {}
        self._dial: IDial | None = None
        self._deadline = f.agenda.alarm(self._timed_out)
        #: Whether a connect was ever pending: from then on a callback tells the end.
        self._begun = False
        #: Whether the handle was closed; a hook that is asked may do so in the middle of a step.
        self._given_up = False
        #: Why the address before was given up.
        self._cause = NO_ERROR
        self.handle = ConnectionHandle(dr, slot, user_data)

    def begin(self, now: float) -> None:
        handle = self.handle
        dr = handle.dr
        handle.connection.start = now
        refusal = self._routing_refusal(dr, now)
        if not refusal and self._limits.refuses(dr, handle.binding_slot):
            refusal = ConnFlag.ERROR_HOST_MAX_REACHED
        if not refusal:
            refusal = self._choose(dr, now)
        if refusal:
            self._refuse(refusal, now)
        self._occupy()
        if not self._next(now):
            # Every address failed at once; nothing is pending.
            self._end(now)
            raise ConnectionNotInitiated(handle.error, handle.reason)
        self._begun = True
        self._deadline.arm(self._settings.connect_timeout)

    def _routing_refusal(self, dr: DomainRecord, now: float) -> ConnFlag:
        self._router.ensure(dr, now)
        if dr.mx_type is MXType.UNKNOWN:
            if dr.lookup_pending:
                return ConnFlag.ERROR_MX_LOOKUP_PENDING
            return with_actions(ConnFlag.ERROR_MX_LOOKUP_FAILED, lookup_is_final=self._router.hopeless(dr))
        if dr.mx_type is MXType.NULL:
            return with_actions(ConnFlag.ERROR_SMTP_NULL_MX)
        if dr.mx_type is MXType.BROKEN:
            return with_actions(ConnFlag.ERROR_MX_LOOKUP_FAILED, lookup_is_final=True)
        if dr.all_prohibited:
            return with_actions(ConnFlag.ERROR_PROHIBITED_IP)
        return NO_ERROR

    def _choose(self, dr: DomainRecord, now: float) -> ConnFlag:
        f, slot = self._facilities, self.handle.binding_slot
        retry = f.host_failure_retry(dr.domain)
        records = self._records
        g = f.config.global_settings
        found, refusal = eligible(
            dr.mxlist,
            usable=lambda address: f.egress.source(slot, dr.domain, address) is not None,
            default_port=self._settings.port,
            down=lambda address, port: records.down((address, port), slot, now, retry, dr.domain),
            full=self._full,
            probed=lambda address, port: self._probes.busy((address, port), slot),
            skipped=f.message_tls.left_out(dr, slot),
        )
        if refusal & ConnFlag.ERROR_HOST_MAX_REACHED:
            self._limits.wait_for_hosts([mx.host for mx in dr.mxlist], dr, slot)
            for peer in dr.peers(self._settings.port):
                self._probes.wait(dr, peer, slot)
        self._candidates = order(found, f.rng, g.prefer_ipv6_mxs, g.max_addresses_per_attempt)
        self._candidates.reverse()
        return with_actions(refusal) if refusal else refusal

    def _full(self, host: HostRecord) -> bool:
        return self._limits.host_full(host, self.handle.dr, self.handle.binding_slot)

    def _forbidden(self, candidate: Candidate[HostRecord]) -> bool:
        # Asked again here, though routing did: the list may be stricter since a reload.
        return self._facilities.forbids(candidate.host, candidate.address)

    def _veto(self, host: HostRecord) -> bool:
        hook = self._facilities.hooks.veto_host_connection
        if not hook:
            return False
        vetoed = self._vetoed.get(host.name)
        if vetoed is None:
            handle = self.handle
            most = self._facilities.config.host(host.name).max_outbound_connections
            vetoed = self._vetoed[host.name] = hook.vetoed(
                lambda provider: provider.veto_host_connection(
                    host.name, handle.dr, handle.binding_slot, most, host.connections
                )
            )
        return vetoed

    def _refuse(self, word: ConnFlag, now: float) -> None:
        handle = self.handle
        handle.error = word
        if word & ConnFlag.ERROR_MX_LOOKUP_FAILED:
            handle.reason = handle.dr.routing_note.decode("ascii", "replace")
        # A question that is still open, or a limit, is no failure of the attempt's peer,
        # but it is an attempt that failed: the hook is told of every word.
        self._tell_failure(now)
        raise ConnectionNotInitiated(word, handle.reason)

    def _occupy(self) -> None:
        handle = self.handle
        self._limits.occupy(handle)
        handle._release = self._give_back
        handle._stop = self._cancelled

    def _give_back(self, handle: ConnectionHandle) -> None:
        self._limits.give_back(handle)
        self._probes.end(handle)
        handle.connection.descriptor = -1

    def _next(self, now: float) -> bool:
        """
        Dial the next address that does not fail at once; false if none is left.
        """
        f, handle = self._facilities, self.handle
        if self._begun and not self._suspended and f.suspended(handle.binding_slot, handle.dr.domain):
            # Suspended while an address was being tried: no other is, and no message suffers for that.
            self._cause = ConnFlag.ERROR_HOST_MAX_REACHED
            return False
        while self._candidates:
            self._limits.leave_host(handle)
            self._probes.end(handle)
            if handle.tries and self._limits.exceeded(handle):
                # Each address is a connection more to the throttles, and a limit may have become lower.
                self._cause = ConnFlag.ERROR_HOST_MAX_REACHED
                return False
            candidate = self._candidates.pop()
            source = f.egress.source(handle.binding_slot, handle.dr.domain, candidate.address)
            # Until one was tried, what is full is known from the choice, which was made in this very turn.
            full = bool(handle.tries) and self._full(candidate.host)
            if source is None or full or self._forbidden(candidate) or self._veto(candidate.host):
                continue
            if self._given_up:
                break
            if self._try(candidate, source, now):
                return True
            if self._given_up or not self._cause & ConnFlag.ERROR_CONNECT_NETWORK:
                break
        return False

    def _try(self, candidate: Candidate[HostRecord], source: str, now: float) -> bool:
        f, handle = self._facilities, self.handle
        connection = handle.connection
        self._limits.enter_host(handle, candidate.host)
        self._probes.begin(handle, (candidate.address, candidate.port))
        connection.host_name = candidate.host.name
        connection.address = candidate.address
        connection.port = candidate.port
        handle.tries.append(Try(candidate.host.name, candidate.address, candidate.port, now))
        hook = f.hooks.connection_post_bind
        try:
            self._dial = f.egress.dialer(handle.binding_slot, handle.dr.domain).dial(
                candidate.address,
                candidate.port,
                source,
                self._post_bind if hook else self._note_descriptor,
                self._connected,
                self._failed,
            )
        except DialFailed as error:
            self._try_failed(error, now)
            return False
        except Exception:
            # A fault of ours must neither keep the connection counted nor the caller waiting.
            _log.failure("{address} could not be dialled", address=candidate.address)
            self._try_failed(DialFailed(ConnFlag.ERROR_CONNECT, "internal error"), now)
            return False
        if self._given_up:
            self._drop_dial()
            return False
        return True

    def _note_descriptor(self, fd: int) -> bool:
        self.handle.connection.descriptor = fd
        return True

    def _post_bind(self, fd: int) -> bool:
        handle = self.handle
        handle.connection.descriptor = fd
        destination = address_of(handle.connection.address, handle.connection.port)
        return not self._facilities.hooks.connection_post_bind.vetoed(
            lambda provider: provider.connection_post_bind(handle.dr, handle.binding_slot, fd, destination)
        )

    def _try_failed(self, error: DialFailed, now: float) -> None:
        handle = self.handle
        last = handle.tries[-1]
        last.end, last.error, last.reason = now, error.flags, error.reason
        self._cause = error.flags
        if error.flags & ConnFlag.ERROR_BIND:
            self._facilities.plumbing.bind_failed(handle.binding_slot)
        if error.flags & (ConnFlag.ERROR_CONNECT | ConnFlag.ERROR_CONNECT_NETWORK | ConnFlag.ERROR_CONNECT_TIMEOUT):
            self._records.address_failed((last.address, last.port), handle.binding_slot, now)

    def _failed(self, error: DialFailed) -> None:
        self._dial = None
        now = self._facilities.wall()
        self._try_failed(error, now)
        if self._cause & ConnFlag.ERROR_CONNECT_NETWORK and self._next(now):
            return
        if not self._given_up:
            self._end(now)

    def _timed_out(self) -> None:
        dial, self._dial = self._dial, None
        assert dial is not None
        now = self._facilities.wall()
        self._try_failed(dial.time_out(self._settings.connect_timeout), now)
        self._end(now)

    def _end(self, now: float) -> None:
        """
        The attempt has failed; state first, then hooks, then the caller.
        """
        handle = self.handle
        self._deadline.disarm()
        if self._cause:
            cause, handle.reason = self._cause, handle.tries[-1].reason
        else:
            cause = ConnFlag.ERROR_NO_MXS_REACHABLE
        handle.error = with_actions(cause)
        handle._stop = None
        handle.close()
        self._tell_failure(now)
        if not self._begun:
            return
        if handle.error & ConnFlag.ERROR_CONNECT_TIMEOUT:
            self._timeout(handle, now)
        else:
            self._finish(handle, handle.error, now)

    def _tell_failure(self, now: float) -> None:
        hook = self._facilities.hooks.log_client_connection_failure
        if hook:
            handle = self.handle
            addr = None
            if handle.tries:
                addr = address_of(handle.tries[-1].address, handle.tries[-1].port)
            word, dr, slot = handle.error, handle.dr, handle.binding_slot
            hook.notify(lambda provider: provider.log_client_connection_failure(addr, word, dr, slot, now))

    def _connected(self, stream: IConnectedStream) -> None:
        self._dial = None
        self._deadline.disarm()
        f, handle = self._facilities, self.handle
        handle._stop = None
        now = f.wall()
        last = handle.tries[-1]
        last.end = now
        connection = handle.connection
        connection.stream = stream
        connection.descriptor = stream.fileno()
        connection.in_use = 1
        connection.conn_id = f.ids.next()
        slot = handle.binding_slot
        self._records.address_connected((last.address, last.port), slot, now, max(0.0, now - last.start))
        dr = handle.dr
        hook = f.hooks.log_client_connection_success
        if hook:
            addr = address_of(last.address, last.port)
            hook.notify(lambda provider: provider.log_client_connection_success(addr, dr, slot, now))
        self._finish(handle, NO_ERROR, now)

    def _cancelled(self) -> None:
        self._given_up = True
        self._deadline.disarm()
        self._drop_dial()
        if self.handle.tries and self.handle.tries[-1].end is None:
            self.handle.tries[-1].end = self._facilities.wall()

    def _drop_dial(self) -> None:
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
