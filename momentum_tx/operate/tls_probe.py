"""
Looks at what a mail exchanger shows in TLS, without any mail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ..delivery.introduction import ehlo_name
from ..errors import DeliveryError, DialFailed
from ..interfaces.seams import IConnectedStream, IDial, IDialer, ITLSFacts
from ..net.smtp_client import ISMTPClientListener, SMTPClientProtocol
from ..policy.session_notes import TLS_FAILED, TLS_NOT_OFFERED, no_response
from ..policy.tls import TLSParameters
from ..smtp import events as ev
from ..smtp.client import Method, SMTPClientMachine
from ..stages import Stage

if TYPE_CHECKING:
    from ..delivery.facilities import Facilities
    from ..settings import PathSettings

#: Seconds for everything up to the end of the handshake.
PATIENCE: Final = 60.0


class ProbeFailed(DeliveryError):
    """
    The peer could not be reached, or did not come as far as TLS.

    :ivar clear: whether mail would go in clear instead, as far as it was TLS that failed.
    """

    def __init__(self, text: str, clear: bool = False) -> None:
        super().__init__(text)
        self.clear = clear


@implementer(ISMTPClientListener)
class TLSProbe:
    """
    One connection: greeting, EHLO, STARTTLS, handshake, and good-bye; or the handshake
    alone, where TLS is wanted from the first octet.

    :param facilities: TLS and clocks.
    :param settings: the path's timeouts.
    :param parameters: what is wanted of TLS; TLS that is not wanted is looked at all the same.
    """

    def __init__(self, facilities: Facilities, settings: PathSettings, parameters: TLSParameters) -> None:
        self._f = facilities
        self._settings = settings
        # What mail does of which no TLS is wanted is not changed by a look at it.
        self._clear_unless_offered = not parameters.mandatory
        self._clear_after_failure = parameters.use == "no" or parameters.clear_after_failure
        self._parameters = parameters if parameters.use != "no" else replace(parameters, use="ifavailable")
        self._machine = SMTPClientMachine(Method.ESMTP)
        listener: Any = self
        self._protocol = SMTPClientProtocol(self._machine, facilities.agenda, settings, listener)
        self._alarm = facilities.agenda.alarm(lambda: self._end(f"not done in {PATIENCE:g} s"))
        self._dial: IDial | None = None
        self._result: Deferred[ITLSFacts] | None = None

    def look(self, address: str, port: int, source: str, dialer: IDialer) -> Deferred[ITLSFacts]:
        """
        Connect, and see.

        :param address: numeric.
        :param source: numeric; empty lets the kernel choose.
        :param dialer: opens the connection.
        :returns: fires with what was negotiated; fails with :class:`ProbeFailed`.
        """
        result = self._result = Deferred(lambda _: self._close())
        self._alarm.arm(PATIENCE)
        try:
            self._dial = dialer.dial(address, port, source, None, self._connected, self._not_connected)
        except DialFailed as error:
            self._not_connected(error)
        return result

    def _connected(self, stream: IConnectedStream) -> None:
        self._dial = None
        implicit = self._protocol.implicit_tls = self._parameters.use == "implicit"
        stream.start(self._protocol)
        if implicit:
            self._shake_hands()

    def _not_connected(self, error: DialFailed) -> None:
        self._dial = None
        self._end(f"cannot connect: {error}")

    def _close(self) -> None:
        self._result = None
        self._alarm.disarm()
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
        elif self._protocol.transport is not None:
            self._protocol.abort()

    def _end(self, text: str, facts: ITLSFacts | None = None, clear: bool = False) -> None:
        result = self._result
        if result is None:
            return
        self._close()
        if facts is None:
            result.errback(ProbeFailed(text, clear))
        else:
            result.callback(facts)

    # What the connection tells.

    def machine_event(self, event: ev.Event) -> None:
        act: Callable[[], object] | None = None
        if isinstance(event, ev.Greeted):
            act = self._hello
        elif isinstance(event, ev.Ready):
            if not event.extensions.starttls:
                self._end(TLS_NOT_OFFERED.decode(), clear=self._clear_unless_offered)
            else:
                act = self._machine.starttls
        elif isinstance(event, ev.TLSGoAhead):
            self._shake_hands()
        elif isinstance(event, (ev.GreetingRefused, ev.HelloRefused, ev.TLSRefused, ev.Dismissed)):
            clear = isinstance(event, ev.TLSRefused) and self._clear_after_failure
            self._end(event.reply.note.decode("ascii", "replace"), clear=clear)
        elif isinstance(event, ev.Violated):
            self._end(f"protocol error: {event.text}")
        if act is not None and not self._machine.over:
            act()
            self._protocol.flush()

    def _hello(self) -> None:
        self._machine.hello(ehlo_name(self._settings, self._f.hostname, None))

    def _shake_hands(self) -> None:
        try:
            self._protocol.start_tls(self._f.tls, self._parameters)
        except ValueError as error:
            self._end(f"TLS cannot begin: {error}")

    def tls_established(self) -> None:
        self._end("", self._protocol.tls_facts(self._f.tls))

    def idle_timed_out(self) -> None:
        self._end("idle")

    def stage_timed_out(self, stage: Stage) -> None:
        self._end(no_response(stage).decode(), clear=stage is Stage.TLS_HANDSHAKE and self._clear_after_failure)

    def connection_ended(self, stage: Stage) -> None:
        handshake = stage is Stage.TLS_HANDSHAKE
        text = TLS_FAILED.decode() if handshake else f"the connection ended ({stage.name})"
        self._end(text, clear=handshake and self._clear_after_failure)
