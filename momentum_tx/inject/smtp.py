"""
The SMTP listener: a thin shell around the server machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..accounting import AccountingKind, AccountingRecord
from ..errors import MessageRefused
from ..hooks.outbound import OutboundHooks
from ..interfaces.services import IConfiguration, IReceiver, Submission
from ..message.ids import MessageIds
from ..policy.networks import Networks
from ..smtp.reception import Closing, MessageReceived, Phase, Rejected, ServerSettings
from ..smtp.server import SMTPServerMachine
from ..timers import Agenda
from . import recipients

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

_BUSY: Final = (421, "4.3.2 Too many connections, try again later")
_LEAVING: Final = b"421 4.3.2 Service is stopping, try again later\r\n"
_SLOW: Final = b"421 4.4.2 Timeout, closing connection\r\n"
#: From where nothing comes over a network.
_LOOPBACK: Final = Networks(("127.0.0.0/8", "::1/128"))
#: Seconds a client has to read the last reply.
LINGER: Final = 5.0


@implementer(IHalfCloseableProtocol)
class SMTPReception(Protocol):
    """
    One injecting client.
    """

    transport: Any  # ITCPTransport and IPushProducer

    def __init__(self, listener: SMTPInjection, peer: str, refusal: tuple[int, str] | None) -> None:
        self._listener = listener
        #: The client's address, and the id of its connection.
        self.peer = peer
        self.conn_id = ""
        self._refusal = refusal
        self._machine = listener.machine(peer)
        self._trusted = listener.trusts(peer)
        self._alarm = listener.agenda.alarm(self._silent)
        self._paused = False
        self._half_closed = False
        self._closing = False
        self._lost = False
        self._handling = False
        #: The answer to a message that was refused, or kept, before :meth:`_receive` returned.
        self._answer_due: tuple[int, str] | None = None

    @property
    def peer_port(self) -> int:
        """
        The client's port; 0 for a local socket.
        """
        return getattr(self.transport.getPeer(), "port", 0)

    @property
    def local(self) -> str:
        """
        Address that the client has come to; empty for a local socket.
        """
        return getattr(self.transport.getHost(), "host", "")

    @property
    def local_port(self) -> int:
        """
        Its port.
        """
        return getattr(self.transport.getHost(), "port", 0)

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._listener.opened(self)
        if self._refusal is not None:
            self._write(self._machine.refuse(*self._refusal))
            self._listener.rejected(self, Rejected(Phase.CONCURRENCY_LIMIT, b"", *self._refusal))
            self.close()
            return
        self.conn_id = self._listener.ids.next()
        if self._listener.ready:
            self.greet()

    def greet(self) -> None:
        """
        Open the session; a client waits for this while the service starts.
        """
        if not self._closing:
            self._write(self._machine.greet())
            self._rearm()

    def _write(self, data: bytes) -> None:
        if data and not self._lost:
            self.transport.write(data)

    def _rearm(self) -> None:
        if not self._closing:
            self._alarm.arm(self._listener.timeout)

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        machine = self._machine
        events = machine.receive_data(data)
        if events or machine.awaiting_answer:
            self._handle(events)
            return
        # The usual case, in as few steps as can be: a command, and the reply to it.
        output = machine.take_output()
        if output:
            self.transport.write(output)
        self._alarm.arm(self._listener.timeout)

    def _handle(self, events: list[Any]) -> None:
        """
        Act on *events*; the replies go out in one write.

        Messages that are answered at once take turns here.  A client may have
        sent hundreds of them in one piece; as many calls inside one another are
        more than the stack holds.
        """
        self._handling = True
        try:
            while not self._act(events) and self._answer_due is not None:
                answer, self._answer_due = self._answer_due, None
                events = self._machine.answer(*answer)
        finally:
            self._handling = False
        self._write(self._machine.take_output())
        if self._closing:
            return
        if self._machine.awaiting_answer:
            # Our own disk's time is not the client's silence: the alarm means nothing until the answer.  To
            # disarm it for each message would cost more than that it rings in vain.
            if self._machine.overfull and not self._paused and not self._half_closed:
                self._paused = True
                self.transport.pauseProducing()
        else:
            self._rearm()

    def _act(self, events: list[Any]) -> bool:
        """
        Act on *events*; true if the session is over.
        """
        for event in events:
            if type(event) is MessageReceived:
                self._receive(event)
            elif type(event) is Rejected:
                self._listener.rejected(self, event)
            elif type(event) is Closing:
                self._write(self._machine.take_output())
                self.close()
                return True
        return False

    def _receive(self, event: MessageReceived) -> None:
        machine = self._machine
        submission = Submission(
            event.sender,
            event.recipients,
            event.content,
            event.eight_bit,
            event.smtputf8,
            machine.protocol,
            self.peer,
            machine.helo,
            self.conn_id,
            self._trusted,
            terms=event.terms,
        )
        self._listener.receiver.receive(submission).addCallbacks(self._kept, self._not_kept)

    def _kept(self, batch_id: str) -> None:
        self._answer(250, f"2.0.0 {batch_id} Message accepted")

    def _not_kept(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, MessageRefused):
            self._answer(error.code, error.text)
            return
        self._listener.log.failure("receiving a message failed", failure)
        self._answer(451, "4.3.0 Internal error, try again later")

    def _answer(self, code: int, text: str) -> None:
        if self._lost:
            return
        if self._handling:
            self._answer_due = (code, text)
            return
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
        self._handle(self._machine.answer(code, text))
        if not self._machine.awaiting_answer:
            if self._half_closed:
                self.close()
            elif self._listener.stopping:
                self.leave()

    def leave(self) -> None:
        """
        The service is stopping: end the session unless a message waits for its
        answer; then right after that.
        """
        if self._closing or self._machine.awaiting_answer:
            return
        self._write(_LEAVING)
        self.close()

    def close(self) -> None:
        """
        End the connection when what was written is sent.
        """
        if not self._closing:
            self._closing = True
            self._alarm.arm(LINGER)
            self.transport.loseConnection()

    def _silent(self) -> None:
        if self._lost:
            return
        if self._closing:
            self.transport.abortConnection()
            return
        if self._machine.awaiting_answer:
            return
        self._write(_SLOW)
        self.close()

    def readConnectionLost(self) -> None:
        # A client may close its side after the last dot and still read our reply.
        self._half_closed = True
        if not self._machine.awaiting_answer:
            self.close()

    def writeConnectionLost(self) -> None:
        """
        The other half follows by itself.
        """

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._lost = True
        self._closing = True
        self._alarm.disarm()
        self._listener.closed(self)


class SMTPInjection(Factory):
    """
    Makes the receptions of all listening ports and bounds their number.

    :param config: gives the configuration in force.
    :param receiver: takes responsibility for messages.
    :param hooks: told of refusals.
    :param ids: makes connection ids.
    :param agenda: times silent clients.
    :param wall: wall time.
    :param hostname: our name.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        config: Callable[[], IConfiguration],
        receiver: IReceiver,
        hooks: OutboundHooks,
        ids: MessageIds,
        agenda: Agenda,
        wall: Callable[[], float],
        hostname: str,
    ) -> None:
        self._config = config
        self.receiver = receiver
        self._hooks = hooks
        self.ids = ids
        self.agenda = agenda
        self._wall = wall
        self._hostname = hostname
        # A dict for its order, in which a stop says goodbye.
        self._open: dict[SMTPReception, None] = {}
        self._per_client: Counter[str] = Counter()
        #: Whether clients are greeted; until then they wait.
        self.ready = False
        self.stopping = False
        self.configure()

    def start(self) -> None:
        """
        Greet the clients that wait, and all that come.
        """
        self.ready = True
        for reception in list(self._open):
            reception.greet()

    def configure(self) -> None:
        """
        Take over what the configuration says; sessions that are open finish on
        what they began with.
        """
        settings = self._config().global_settings
        self._server_settings = ServerSettings(
            self._hostname, settings.max_message_size, settings.max_recipients_per_message
        )
        self._relays = Networks(settings.relay_hosts)
        self._trusted = Networks(settings.trusted_hosts)
        self._refuses_recipients = recipients.refuses_any(self._config())
        self._most = settings.max_inbound_connections
        self._most_per_client = settings.max_inbound_connections_per_client
        self.timeout = settings.inbound_timeout
        self._require_tls = settings.requiretls_on_loopback

    def buildProtocol(self, addr: IAddress | None) -> SMTPReception:
        peer = getattr(addr, "host", "") or ""
        refusal = None
        if self.stopping:
            refusal = (421, "4.3.2 Service is stopping, try again later")
        elif len(self._open) >= self._most or self._per_client[peer] >= self._most_per_client:
            refusal = _BUSY
        return SMTPReception(self, peer, refusal)

    def machine(self, peer: str) -> SMTPServerMachine:
        """
        The server machine for a client.
        """
        # No address: a Unix socket, whose permissions are the policy.
        may_relay = not peer or peer in self._relays
        refuse = self._refuse_recipient(self.trusts(peer)) if self._refuses_recipients else None
        secure = self._require_tls and (not peer or peer in _LOOPBACK)
        return SMTPServerMachine(self._server_settings, may_relay, self.receiver.refusal, refuse, secure)

    def _refuse_recipient(self, trusted: bool) -> Callable[[bytes], tuple[int, str] | None]:
        return lambda recipient: self.receiver.recipient_refusal(recipient, trusted)

    def trusts(self, peer: str) -> bool:
        """
        Whether a client may choose the binding.
        """
        return not peer or peer in self._trusted

    def opened(self, reception: SMTPReception) -> None:
        """
        A client is there.
        """
        self._open[reception] = None
        self._per_client[reception.peer] += 1

    def closed(self, reception: SMTPReception) -> None:
        """
        A client is gone.
        """
        if reception in self._open:
            del self._open[reception]
            self._per_client[reception.peer] -= 1
            if not self._per_client[reception.peer]:
                del self._per_client[reception.peer]

    def rejected(self, reception: SMTPReception, event: Rejected) -> None:
        """
        Tell the hook what was refused.
        """
        hook = self._hooks.log_rejection
        if hook:
            now = self._wall()
            context = {"code": str(event.code), "command": event.command[:500].decode("utf-8", "backslashreplace")}
            hook.notify(
                lambda provider: provider.log_rejection(
                    now, reception, context, int(event.phase), "%d %s", (event.code, event.text)
                )
            )
        if self._hooks.aaa_log and event.phase is Phase.RELAYING_DENIED:
            # One that may come over a local socket may always relay.
            peer = f"{reception.peer}:{reception.peer_port}"
            self._hooks.tell_accounting(
                AccountingRecord(AccountingKind.AUTHORIZATION, self._wall(), "smtp", peer, "", 0, "RCPT TO", "relay")
            )

    def stop(self) -> None:
        """
        End every session that waits for nothing; the others end after their
        answer.
        """
        self.stopping = True
        for reception in list(self._open):
            reception.leave()

    def interrupt(self) -> None:
        """
        Drop what is still open.
        """
        for reception in list(self._open):
            reception.transport.abortConnection()

    def __len__(self) -> int:
        return len(self._open)
