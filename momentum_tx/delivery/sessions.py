"""
All mail sessions of a service: opens them, keeps the idle ones, knows what a
failed one means for the host.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..flags import ConnFlag
from ..queues.domain import Connection, DomainRecord
from ..queues.message import Message
from ..queues.places import Places
from ..settings import PathSettings
from ..smtp.international import same_mailbox
from . import asking
from .carriage import Carriage
from .dialogues import keep_session
from .initiate_smtp import FailedSession
from .session import Session
from .siblings import Siblings
from .tls_memory import TLSMemory

if TYPE_CHECKING:
    from .facilities import Facilities
    from .handle import ConnectionHandle
    from .initiate_smtp import MailConnections
    from .limits import Limits
    from .records import Peer, Records
    from .settle import Settlement


class IdleKeeper(Protocol):
    """
    Who keeps idle sessions and looks after domains: the maintainer.
    """

    def poke(self, dr: DomainRecord, slot: int | None = None) -> None:
        """
        Something about *dr* changed; look after it soon.

        :param slot: the only binding slot that it concerns; ``None`` for all.
        """

    def wants(self, dr: DomainRecord, slot: int) -> bool:
        """
        Whether *dr* wants one more connection from *slot*.
        """

    def hold(self, dr: DomainRecord, slot: int) -> None:
        """
        Open no further connection for a while: the peer has enough of them.
        """

    def add_idle(self, session: Session) -> None:
        """
        *session* waits for mail.
        """

    def remove_idle(self, session: Session) -> None:
        """
        *session* waits no longer.
        """


class Sessions:
    """
    Every session of one service.

    :param facilities: clocks, hooks, spool, TLS.
    :param records: marks addresses that failed.
    :param settlement: where outcomes go.
    :param limits: what there may be; idle sessions give way to who waits.
    """

    _log = Logger()

    def __init__(self, facilities: Facilities, records: Records, settlement: Settlement, limits: Limits) -> None:
        self.facilities = facilities
        self.records = records
        self.settlement = settlement
        self.limits = limits
        self.siblings = Siblings(facilities, records, limits)
        self.carriage = Carriage(facilities.clock.seconds)
        limits.crowded = self._give_way
        #: Sessions that wait for mail, the one that has waited longest first.
        self._idle: OrderedDict[Session, None] = OrderedDict()
        self.connections: MailConnections
        self.keeper: IdleKeeper
        # A dict for its order: what a stop says to whom must not depend on where objects lie in memory.
        self._open: dict[Session, None] = {}
        self.tls_memory = TLSMemory(facilities.clock)
        #: Whether the service is stopping: no message is taken any more.
        self.stopping = False
        self._stopped: Deferred[None] | None = None

    def wire(self, connections: MailConnections, keeper: IdleKeeper) -> None:
        """
        Give it the two it needs and that need it.
        """
        self.connections = connections
        self.keeper = keeper
        self.siblings.wants = keeper.wants

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._open))

    def open(self, handle: ConnectionHandle) -> None:
        """
        Begin a session on an established connection.
        """
        session = Session(self, handle)
        self._open[session] = None
        handle.user_data = session
        try:
            session.begin()
        except Exception:
            # No descriptor left, say.  The domain's next pass tries again.
            self._log.failure("a session could not begin")
            self._open.pop(session, None)
            handle.close()
            return
        hook = self.facilities.hooks.inc_outbound_connections
        if hook:
            hook.notify(lambda provider: provider.inc_outbound_connections(handle))
        if self.stopping:
            session.leave()

    def session_ended(self, session: Session, failed: FailedSession | None, again: bool) -> None:
        """
        The connection of *session* is gone.

        :param failed: why the peer would not have us; ``None`` if it had.
        :param again: whether TLS was what failed, and may be had otherwise, or left out.
        """
        self._open.pop(session, None)
        handle, dr = session.handle, session.dr
        slot = handle.binding_slot
        host, peer = handle.host, handle.connection.peer
        hook = self.facilities.hooks.dec_outbound_connections
        if hook:
            hook.notify(lambda provider: provider.dec_outbound_connections(handle))
        handle.close()
        if failed is not None:
            keep_session(self.facilities, dr.domain, slot, handle.connection, failed.note, failed.stage)
        if self.stopping:
            self._check_stopped()
            return
        if again:
            if self._wants_connection(dr, slot):
                self.connections.initiate_connection_smtp(dr, slot, None)
        elif failed is not None:
            self._session_failed(dr, slot, peer, failed)
        elif host is not None and dr.mail_queue.active_size(slot):
            self.keeper.poke(dr, slot)

    def _session_failed(self, dr: DomainRecord, slot: int, peer: Peer, failed: FailedSession) -> None:
        """
        The peer accepted the connection and would not have us.
        """
        if any(s.handle.connection.peer == peer for s in self._of(dr, slot)):
            # It serves others of us, or may yet: it has enough connections, that is all.
            # In a burst the refusals come before the first session is ready; the last
            # one to fail finds nobody else here and blames the host.
            self.keeper.hold(dr, slot)
            return
        now = self.facilities.wall()
        if failed.hold:
            reason = failed.note.decode("utf-8", "replace")
            self._log.error(
                "{domain} from binding {binding} waits for {seconds:g} s: {reason}",
                domain=dr.domain,
                binding=self.facilities.config.bindings[slot].name,
                seconds=failed.hold,
                reason=reason,
            )
            if self._wants_connection(dr, slot):
                self.settlement.requeue_one(dr, slot, failed.note, now, failed.connection, failed.stage)
            self.facilities.suspension.hold(slot, dr.domain, failed.hold, reason)
            self.keeper.poke(dr)
            return
        if failed.demanded:
            self.records.shun(dr.domain, peer, slot, now)
        else:
            self.records.address_failed(peer, slot, now)
        if self._wants_connection(dr, slot):
            retry = self.facilities.host_failure_retry(dr.domain)
            if self.records.down(peer, slot, now, retry, dr.domain):
                self.connections.attempt(dr, slot, now, failed)
            else:
                # The address is not left alone at all: the message is, or this would never end.
                if failed.final:
                    self.settlement.purge_binding(dr, slot, failed.note)
                    return
                self.settlement.requeue_one(dr, slot, failed.note, now, failed.connection, failed.stage)
        # Last: the message that suffers shall be told this reason, not that of a domain that is delayed.
        self.connections.count_failure(dr, slot, ConnFlag.ERROR_CONNECT, now)

    def _wants_connection(self, dr: DomainRecord, slot: int) -> bool:
        """
        Whether there is mail to go on with; not where delivery was suspended
        while the session lasted.
        """
        return bool(dr.mail_queue.active_size(slot)) and not self.suspended(dr, slot)

    def suspended(self, dr: DomainRecord, slot: int) -> bool:
        """
        Whether delivery of *dr* from *slot* is suspended now, whatever the session
        began with.
        """
        return self.facilities.suspension.holds(slot, dr.domain)

    def opening(self, dr: DomainRecord, slot: int) -> int:
        """
        Connections of *dr* from *slot* of which nobody knows yet whether they serve.
        """
        count = 0
        for handle in dr.connections.get(slot, ()):
            session = handle.user_data
            # A connection of somebody's own is not asked what it is for, once it is there.
            if handle.connection.in_use < 0 or (isinstance(session, Session) and not session.ready):
                count += 1
        return count

    def _of(self, dr: DomainRecord, slot: int) -> list[Session]:
        return [handle.user_data for handle in dr.connections.get(slot, ()) if isinstance(handle.user_data, Session)]

    def demands_met(self, handle: ConnectionHandle) -> None:
        """
        The peer has what the domain of *handle* demands of TLS.
        """
        self.records.demands_met(handle.dr.domain, handle.connection.peer, handle.binding_slot)

    def address_failed(self, handle: ConnectionHandle) -> None:
        """
        The peer kept silent too long or broke the protocol (Momentum,
        ``host_failure_retry``: "connect or protocol failure").
        """
        session = handle.user_data
        if isinstance(session, Session) and session.ready:
            self.records.address_failed(handle.connection.peer, handle.binding_slot, self.facilities.wall())

    def next_active(self, dr: DomainRecord, slot: int, handle: ConnectionHandle | None = None) -> Message | None:
        """
        The message a session shall take next; it is in no queue afterwards.

        :param handle: its connection.
        """
        if self.settlement.busy(dr) or self.facilities.suspension.holds(slot, dr.domain):
            return None
        hooks = self.facilities.hooks
        if hooks.mailq_get_next_active:
            message = asking.chosen(hooks, dr, slot, handle) or dr.mail_queue.next_active(slot)
        else:
            message = dr.mail_queue.next_active(slot)
        while message is not None and dr.rolled and self.facilities.tls_policies.stray(message, dr):
            if not self.settlement.send_home(message):
                break
            message = dr.mail_queue.next_active(slot)
        return message

    def batch(
        self,
        message: Message,
        settings: PathSettings,
        connection: Connection,
        room: int,
        admits: Callable[[Message], bool] | None = None,
    ) -> list[Message]:
        """
        *message* and those of its reception that may share its transaction:
        same domain, same binding, due as well (Momentum: ``assess_batch``).

        :param room: most messages there may be.
        :param admits: says of each further one whether it may go along; asked last.
        """
        messages = [message]
        dr, reception = message.domain, message.reception
        if dr is None or reception.live == 1:
            return messages
        most = min(settings.max_recipients_per_batch, room)
        if connection.most_recipients:
            most = min(most, connection.most_recipients)
        if settings.max_recipients_per_connection:
            most = min(most, settings.max_recipients_per_connection - connection.recipients)
        queue = dr.mail_queue
        taken = {same_mailbox(message.recipient)}
        for sibling in reception.siblings_of(message):
            if len(messages) >= most:
                break
            if (
                sibling.binding_slot == message.binding_slot
                and queue.is_active(sibling)
                # One RCPT per transaction and address, however it is written; the twin goes in the next.
                and (mailbox := same_mailbox(sibling.recipient)) not in taken
                and not (dr.rolled and self.facilities.tls_policies.stray(sibling, dr))
                and self.facilities.tls_requirements.alike(message, sibling, dr, connection.host_name)
                and (admits is None or admits(sibling))
            ):
                queue.take(sibling)
                taken.add(mailbox)
                messages.append(sibling)
        return messages

    def went_idle(self, session: Session) -> None:
        """
        *session* has nothing to send.
        """
        self._idle[session] = None
        self.siblings.went_idle(session)
        self.keeper.add_idle(session)

    def left_idle(self, session: Session) -> None:
        """
        *session* no longer waits for mail.
        """
        self._idle.pop(session, None)
        self.siblings.left_idle(session)
        self.keeper.remove_idle(session)

    def bequeath(self, session: Session) -> bool:
        """
        Let *session*, which has nothing to send, go on with the mail of a
        sibling; false if none wants it.
        """
        heir = self.siblings.heir(session)
        if heir is None:
            return False
        self._migrate(session, heir)
        return True

    def borrow(self, dr: DomainRecord, slot: int) -> None:
        """
        Have *dr* go on with idle sessions of its siblings, as long as it wants more.
        """
        while (session := self.siblings.lender(dr, slot)) is not None:
            self._migrate(session, dr)
            session.next()

    def _migrate(self, session: Session, dr: DomainRecord) -> None:
        handle, source = session.handle, session.dr
        session.serve(dr, self.facilities.config.path(handle.binding_slot, dr.domain))
        self.limits.migrate(handle, dr)
        if dr.contact_failing_since:
            # One that waited for somebody to reach its hosts need wait no longer.
            self.connections.contacted(handle)
        for each in (source, dr):
            if each.mail_queue.active_size():
                # Every slot: the domain has left the lines that others of its slots may have stood in.
                self.keeper.poke(each)
        hook = self.facilities.hooks.premigrate_outbound_connection
        if hook:
            hook.notify(lambda provider: provider.premigrate_outbound_connection(handle, source, dr))

    def _give_way(self, places: Places[DomainRecord]) -> None:
        """
        Somebody waits for places that an idle session may have.
        """
        for session in self._idle:
            handle = session.handle
            if places in handle.places or places in handle.host_places:
                session.leave()
                return

    def stop(self) -> Deferred[None]:
        """
        Take no more messages; sessions end when their transaction does.

        :returns: fires when none is left.
        """
        self.stopping = True
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        for session in list(self._open):
            session.stop()
        self._check_stopped()
        return stopped

    def interrupt(self) -> None:
        """
        Drop what is still open.
        """
        for session in list(self._open):
            session.interrupt()

    def _check_stopped(self) -> None:
        if self._stopped is not None and not self._open:
            stopped, self._stopped = self._stopped, None
            stopped.callback(None)
