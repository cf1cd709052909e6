"""
One SMTP session as server, for receiving mail from our own applications.

A machine without I/O (RFC 5321, 1870, 2034, 2920, 3461, 6152, 6531, 8689): the owner of the
transport passes received bytes to :meth:`SMTPServerMachine.receive_data`, writes
:meth:`SMTPServerMachine.take_output`, and keeps the time limits.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from ..envelope import NO_TERMS, RecipientTerms
from ..errors import LocalProtocolError
from .addresses import parse_parameters, parse_path
from .body import ContentReader
from .parameters import NO_MAIL_PARAMETERS, MailParameters, Refused, read_mail, read_recipient
from .reception import Closing, MessageReceived, Phase, Rejected, ServerEvent, ServerSettings

#: Octets of a command line; eight times what RFC 5321 4.5.3.1.4 asks for, and room for every extension.
MAX_COMMAND_LINE: Final = 4096
#: Commands that make no sense before the session is ended.
MAX_BAD_COMMANDS: Final = 20
#: Octets received beyond a message that waits for its answer, at which reading should pause.
MAX_HELD: Final = 64 * 1024
#: Octets of a client's name that are kept.
MAX_NAME: Final = 255

#: RFC 5321 4.5.3.1.5: 512 octets with code and CRLF.
MAX_REPLY_TEXT: Final = 500

_UNPRINTABLE: Final = re.compile(rb"[\x00-\x1f\x7f]+")


class SMTPServerMachine:
    """
    The server's side of one session.

    Made per connection.  Begin with the bytes of :meth:`greet` or
    :meth:`refuse`; it ends with :class:`~momentum_tx.smtp.reception.Closing`, or when the owner closes the
    connection.  It never raises for what a client sends.

    Memory is bounded by one command line, the recipients, one message of
    ``max_message_size`` and a half, and while a message waits for its answer
    what the owner goes on feeding it: see :attr:`overfull`.

    :param settings: limits and our name.
    :param may_relay: whether this client may send mail anywhere; otherwise
        every recipient is refused.
    :param refusal: asked at every MAIL: code and text with which no mail is
        taken at the moment, or ``None``.
    :param refuse_recipient: asked at every RCPT: code and text with which this
        recipient is refused, or ``None``.
    :param require_tls: whether REQUIRETLS is offered: what reaches us must come over
        TLS, or not leave the host.
    """

    __slots__ = (
        "_bad",
        "_closed",
        "_content",
        "_discarding",
        "_events",
        "_greeted",
        "_held",
        "_held_size",
        "_may_relay",
        "_output",
        "_parameters",
        "_partial",
        "_recipient_terms",
        "_recipients",
        "_refusal",
        "_refuse_recipient",
        "_refused",
        "_require_tls",
        "_sender",
        "_settings",
        "awaiting_answer",
        "helo",
        "protocol",
    )

    def __init__(
        self,
        settings: ServerSettings,
        may_relay: bool,
        refusal: Callable[[], tuple[int, str] | None] | None = None,
        refuse_recipient: Callable[[bytes], tuple[int, str] | None] | None = None,
        require_tls: bool = False,
    ) -> None:
        self._settings = settings
        self._require_tls = require_tls
        self._may_relay = may_relay
        self._refusal = refusal
        self._refuse_recipient = refuse_recipient
        #: The session was refused at its start: only QUIT is left.
        self._refused = False
        self._output: list[bytes] = []
        self._events: list[ServerEvent] = []
        #: The beginning of a command line.
        self._partial = b""
        #: The rest of a command line that is too long is being thrown away.
        self._discarding = False
        self._content: ContentReader | None = None
        #: Whether a message waits for :meth:`answer`.  A plain field: it is asked for with all that is received.
        self.awaiting_answer = False
        self._held: list[bytes] = []
        self._held_size = 0
        self._bad = 0
        self._closed = False
        self._greeted = False
        #: ``esmtp`` once the client said EHLO, else ``smtp``.
        self.protocol = "smtp"
        #: The name the client gave; empty before it gave one.
        self.helo = ""
        self._forget()

    def _forget(self) -> None:
        self._sender: bytes | None = None
        self._parameters: MailParameters = NO_MAIL_PARAMETERS
        self._recipients: list[bytes] = []
        self._recipient_terms: dict[int, RecipientTerms] = {}

    @property
    def overfull(self) -> bool:
        """
        Whether the owner should stop reading until the message that waits is
        answered: :data:`MAX_HELD` octets lie behind it.
        """
        return self._held_size > MAX_HELD

    @property
    def in_transaction(self) -> bool:
        """
        Whether MAIL was accepted and the transaction has not ended.
        """
        return self._sender is not None

    def greet(self) -> bytes:
        """
        The greeting, to be written at once.
        """
        return b"220 %b ESMTP\r\n" % self._settings.hostname.encode("ascii", "replace")

    def refuse(self, code: int, text: str) -> bytes:
        """
        A greeting that offers no service, to be written at once; afterwards
        only QUIT is accepted (RFC 5321 3.1).
        """
        self._refused = True
        return _reply(code, text)

    def take_output(self) -> bytes:
        """
        Every reply made since the last call, to be written at once.
        """
        output = self._output
        if not output:
            return b""
        self._output = []
        return output[0] if len(output) == 1 else b"".join(output)

    def receive_data(self, data: bytes) -> list[ServerEvent]:
        """
        Take bytes from the client.

        :returns: what the owner must know or do, in order.
        """
        if self._closed:
            return []
        if self.awaiting_answer:
            self._held.append(data)
            self._held_size += len(data)
            return []
        self._read(data)
        events = self._events
        if events:
            self._events = []
        return events

    def answer(self, code: int, text: str) -> list[ServerEvent]:
        """
        Answer the message that waits, and go on with what came meanwhile.

        :param code: 250, or the code of a refusal.
        :param text: enhanced status code and text.
        :raises LocalProtocolError: if no message waits.
        """
        if not self.awaiting_answer:
            raise LocalProtocolError("no message waits for an answer")
        self.awaiting_answer = False
        if code < 400:
            self._output.append(_reply(code, text))
        else:
            self._reject(Phase.BODY_RESPONSE, b"", code, text)
        held, self._held, self._held_size = self._held, [], 0
        if held and not self._closed:
            self._read(b"".join(held))
        events, self._events = self._events, []
        return events

    # Reading.

    def _read(self, data: bytes) -> None:
        """
        Take *data* apart until it is used up, a message waits, or the session ends.
        """
        at, size = 0, len(data)
        while at < size:
            if self._content is not None:
                at = self._content.take(data, at)
                if at < 0:
                    return
                self._content_complete(self._content)
                if self.awaiting_answer:
                    if at < size:
                        self._held.append(data[at:])
                        self._held_size += size - at
                    return
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._keep_partial(data[at:])
                return
            line = data[at : end + 1]
            at = end + 1
            if self._partial:
                line, self._partial = self._partial + line, b""
            if self._discarding or len(line) > MAX_COMMAND_LINE:
                self._discarding = False
                self._bad_command(b"", 500, "5.5.2 Line too long")
            elif line[-2:] != b"\r\n":
                self._bad_command(line, 500, "5.5.2 Line end without CR")
            else:
                self._take_command(line[:-2])
            if self._closed:
                return

    def _keep_partial(self, rest: bytes) -> None:
        if not self._discarding:
            self._partial += rest
            if len(self._partial) > MAX_COMMAND_LINE:
                self._partial = b""
                self._discarding = True

    def _take_command(self, line: bytes) -> None:
        verb = line.partition(b" ")[0].upper()
        command = _COMMANDS.get(verb)
        if command is None:
            self._bad_command(line, 500, "5.5.1 Command not recognized")
        elif self._refused and verb != b"QUIT":
            self._bad_command(line, 503, "5.5.1 No service here; QUIT is all you may say")
        else:
            command(self, line)

    def _content_complete(self, reader: ContentReader) -> None:
        sender, recipients = self._sender, tuple(self._recipients)
        said, each = self._parameters, self._recipient_terms
        self._content = None
        self._forget()
        content = reader.content
        if reader.oversize:
            self._reject(Phase.BODY, b"", 552, "5.3.4 Message exceeds the size limit")
            return
        if reader.fault is not None:
            self._reject(Phase.BODY, b"", 550, f"5.6.0 Message refused: {reader.fault}")
            return
        assert sender is not None
        self.awaiting_answer = True
        eight_bit = said.eight_bit or not content.isascii()
        terms = NO_TERMS if said is NO_MAIL_PARAMETERS and not each else said.terms(each)
        self._events.append(MessageReceived(sender, recipients, content, eight_bit, said.smtputf8, terms))

    # Refusing.

    def _reject(self, phase: Phase, line: bytes, code: int, text: str) -> None:
        self._output.append(_reply(code, text))
        self._events.append(Rejected(phase, line, code, text))

    def _bad_command(self, line: bytes, code: int, text: str) -> None:
        """
        Refuse a command that makes no sense here; too many end the session.
        """
        self._bad += 1
        phase = Phase.EHLO if not self._greeted else Phase.RCPTTO if self._sender is not None else Phase.MAILFROM
        if self._bad > MAX_BAD_COMMANDS:
            self._reject(phase, line, 421, "4.7.0 Too many errors")
            self._close()
        else:
            self._reject(phase, line, code, text)

    def _close(self) -> None:
        self._closed = True
        self._partial = b""
        self._events.append(Closing())

    # Commands.

    def _ehlo(self, line: bytes) -> None:
        name = line[5:].strip()
        if not name or len(name) > MAX_NAME or _UNPRINTABLE.search(name):
            self._bad_command(line, 501, "5.5.4 A name is needed")
            return
        self._forget()
        self._greeted = True
        self.helo = name.decode("utf-8", "backslashreplace")
        hostname = self._settings.hostname.encode("ascii", "replace")
        if line[:1] in b"Ee":
            self.protocol = "esmtp"
            self._output.append(
                b"250-%b\r\n250-PIPELINING\r\n250-SIZE %d\r\n250-8BITMIME\r\n250-DSN\r\n%b"
                b"250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n"
                % (hostname, self._settings.max_message_size, b"250-REQUIRETLS\r\n" if self._require_tls else b"")
            )
        else:
            self.protocol = "smtp"
            self._output.append(b"250 %b\r\n" % hostname)

    def _mail(self, line: bytes) -> None:
        if line[:10].upper() != b"MAIL FROM:":
            self._bad_command(line, 501, "5.5.4 Syntax: MAIL FROM:<address>")
            return
        if not self._greeted or self._sender is not None:
            self._bad_command(line, 503, "5.5.1 Nested MAIL" if self._greeted else "5.5.1 Say EHLO or HELO first")
            return
        if self._refusal is not None and (refusal := self._refusal()) is not None:
            self._reject(Phase.MAILFROM, line, *refusal)
            return
        try:
            sender, rest = parse_path(line[10:], True)
            parameters = parse_parameters(rest) if rest else {}
        except ValueError as error:
            self._bad_command(line, 501, f"5.1.7 Bad sender address: {error}")
            return
        said = NO_MAIL_PARAMETERS
        if parameters:
            try:
                self._know_parameters()
                said = read_mail(parameters, self._settings.max_message_size, self._require_tls)
            except Refused as error:
                self._refuse_parameter(Phase.MAILFROM, line, error)
                return
        if not said.smtputf8 and not sender.isascii():
            self._reject(Phase.MAILFROM, line, 553, "5.6.7 Address needs SMTPUTF8")
            return
        self._sender, self._parameters = sender, said
        self._output.append(b"250 2.1.0 Ok\r\n")

    def _know_parameters(self) -> None:
        if self.protocol != "esmtp":
            raise Refused(555, "5.5.4 Parameter not recognized")

    def _refuse_parameter(self, phase: Phase, line: bytes, error: Refused) -> None:
        if error.malformed:
            self._bad_command(line, error.code, error.text)
        else:
            self._reject(phase, line, error.code, error.text)

    def _rcpt(self, line: bytes) -> None:
        if line[:8].upper() != b"RCPT TO:":
            self._bad_command(line, 501, "5.5.4 Syntax: RCPT TO:<address>")
            return
        if self._sender is None:
            self._bad_command(line, 503, "5.5.1 MAIL first")
            return
        try:
            recipient, rest = parse_path(line[8:], True)
            if not recipient:
                raise ValueError("it is empty")
            parameters = parse_parameters(rest) if rest else {}
        except ValueError as error:
            self._bad_command(line, 501, f"5.1.3 Bad recipient address: {error}")
            return
        said = None
        if parameters:
            try:
                self._know_parameters()
                said = read_recipient(parameters, self._parameters.smtputf8)
            except Refused as error:
                self._refuse_parameter(Phase.RCPTTO, line, error)
                return
        if not self._parameters.smtputf8 and not recipient.isascii():
            self._reject(Phase.RCPTTO, line, 553, "5.6.7 Address needs SMTPUTF8")
        elif not self._may_relay:
            self._reject(Phase.RELAYING_DENIED, line, 550, "5.7.1 Relaying denied")
        elif len(self._recipients) >= self._settings.max_recipients:
            self._reject(Phase.RCPTTO, line, 452, "4.5.3 Too many recipients")
        elif self._refuse_recipient is not None and (refusal := self._refuse_recipient(recipient)) is not None:
            self._reject(Phase.RCPTTO, line, *refusal)
        else:
            if said is not None:
                self._recipient_terms[len(self._recipients)] = said
            self._recipients.append(recipient)
            self._output.append(b"250 2.1.5 Ok\r\n")

    def _data(self, line: bytes) -> None:
        if line[4:].strip():
            self._bad_command(line, 501, "5.5.4 DATA takes no argument")
        elif self._sender is None:
            self._bad_command(line, 503, "5.5.1 MAIL first")
        elif not self._recipients:
            self._reject(Phase.DATA, line, 554, "5.5.1 No valid recipients")
        else:
            self._content = ContentReader(self._settings.max_message_size)
            self._output.append(b"354 End data with <CR><LF>.<CR><LF>\r\n")

    def _rset(self, line: bytes) -> None:
        self._forget()
        self._output.append(b"250 2.0.0 Ok\r\n")

    def _noop(self, line: bytes) -> None:
        self._output.append(b"250 2.0.0 Ok\r\n")

    def _vrfy(self, line: bytes) -> None:
        self._output.append(b"252 2.5.2 Send some mail and see\r\n")

    def _help(self, line: bytes) -> None:
        self._output.append(b"214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\r\n")

    def _not_implemented(self, line: bytes) -> None:
        self._bad_command(line, 502, "5.5.1 Command not implemented")

    def _quit(self, line: bytes) -> None:
        self._output.append(b"221 2.0.0 Bye\r\n")
        self._close()


def _reply(code: int, text: str) -> bytes:
    """
    One reply line; whatever *text* holds, it stays one line.
    """
    octets = text.encode("utf-8", "replace")[:MAX_REPLY_TEXT]
    return b"%d %b\r\n" % (code, octets if text.isprintable() else _UNPRINTABLE.sub(b" ", octets))


_M: Final = SMTPServerMachine

#: Every command known, whether or not it is in its place.
_COMMANDS: Final[Mapping[bytes, Callable[[SMTPServerMachine, bytes], None]]] = {
    b"EHLO": _M._ehlo,
    b"HELO": _M._ehlo,
    b"MAIL": _M._mail,
    b"RCPT": _M._rcpt,
    b"DATA": _M._data,
    b"RSET": _M._rset,
    b"NOOP": _M._noop,
    b"VRFY": _M._vrfy,
    b"EXPN": _M._not_implemented,
    b"HELP": _M._help,
    b"QUIT": _M._quit,
    b"STARTTLS": _M._not_implemented,
    b"AUTH": _M._not_implemented,
    b"BDAT": _M._not_implemented,
    b"TURN": _M._not_implemented,
    b"ETRN": _M._not_implemented,
}
