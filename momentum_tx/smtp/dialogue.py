"""
Question and answer of an SMTP client, whatever is asked: which replies are owed,
which command each of them answers, and what no peer may say.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, NoReturn

from ..errors import LocalProtocolError, RemoteProtocolError
from ..stages import Stage
from . import events as ev
from .replies import Reply, ReplyClass, ReplyReader
from .transaction import MAX_COMMAND, check_commands

#: While the content is sent its refusal may come at any moment.
BODY_STAGES: Final = (Stage.AFTER_DATA, Stage.SENDING_BODY)

#: Octets of a line that is put in, with CRLF (RFC 4954 4 for AUTH; nothing else comes near it).
MAX_ASKED: Final = 12_288
#: Where a session may rest that has something put into it.
_MAY_ENTER: Final = (Stage.IDLE, Stage.DURING_EHLO)
_PUT_IN: Final = (Stage.AUTHENTICATION, Stage.CUSTOM_STATE)

#: What a reply does: changes the session and perhaps tells of it.
Move = Callable[[Any, Reply], ev.Event | None]


class Dialogue:
    """
    The side that asks; :class:`~momentum_tx.smtp.client.SMTPClientMachine` knows
    what to ask.
    """

    __slots__ = (
        "_answered",
        "_awaiting",
        "_before",
        "_dead",
        "_died_in",
        "_output",
        "_reader",
        "_resting",
        "_spoilt",
        "heard",
        "secret",
    )

    #: Every legal move: what was asked, and the first digit of the answer.  What is absent is a
    #: violation, except 421, which ends the session wherever it comes.
    _moves: ClassVar[Mapping[tuple[Stage, ReplyClass], Move]]

    def __init__(self) -> None:
        self._reader = ReplyReader(greeting=True)
        self._output = b""
        #: Stages of the replies owed, oldest first.
        self._awaiting: deque[Stage] = deque()
        #: The stage whose reply was read last.
        self._answered = Stage.NOT_CONNECTED
        #: The stage while no reply is owed.
        self._resting = Stage.NOT_CONNECTED
        #: The stage it goes back to from a state that was put in.
        self._before = Stage.NOT_CONNECTED
        self._dead = False
        self._died_in = Stage.NOT_CONNECTED
        #: Part of a reply came before the dot it would seem to answer.
        self._spoilt = False
        #: Replies read so far.
        self.heard = 0
        #: Whether what is said now is nobody else's business: no transcript keeps it.
        self.secret = False

    @property
    def stage(self) -> Stage:
        """
        The stage of the oldest reply owed; else where the session rests:
        ``IDLE`` when it is ready, ``NOT_CONNECTED`` before its start and after
        its end.  QUIT has no stage in Momentum; its reply is awaited in ``IDLE``.
        """
        return self._awaiting[0] if self._awaiting else self._resting

    @property
    def owed(self) -> int:
        """
        Replies the peer owes.
        """
        return len(self._awaiting)

    @property
    def over(self) -> bool:
        """
        Whether the session has ended, which its owner may be about to learn: what
        ends it can come in one read with a reply, whose event is told first.
        """
        return self._dead

    def start(self, implicit_tls: bool = False) -> None:
        """
        The connection is open: the greeting is awaited.

        :param implicit_tls: whether a handshake comes before it (RFC 8314): then it is
            awaited after :meth:`tls_started`.
        """
        self._demand(Stage.NOT_CONNECTED)
        if implicit_tls:
            self._resting = Stage.TLS_HANDSHAKE
        else:
            self._await_greeting()

    def _await_greeting(self) -> None:
        self._resting = Stage.READING_BANNER
        self._awaiting.append(Stage.READING_BANNER)

    def take_output(self) -> bytes:
        """
        What must be written now; empty if nothing.
        """
        output, self._output = self._output, b""
        return output

    # What somebody else puts in.

    def enter(self, state: Stage) -> None:
        """
        A state begins that this machine knows nothing of: until :meth:`resume`
        nothing but :meth:`ask` says anything.

        :param state: ``AUTHENTICATION`` or ``CUSTOM_STATE``.
        """
        if self._awaiting or self._dead or self._resting not in _MAY_ENTER or state not in _PUT_IN:
            raise LocalProtocolError(f"{state} cannot begin {self.stage}")
        self._before, self._resting = self._resting, state

    def ask(self, line: bytes) -> None:
        """
        Say one line in a state that was put in; :class:`~momentum_tx.smtp.events.Answered`
        follows, unless the session ends first.

        :param line: without its end; empty for an empty line.
        """
        if self._resting not in _PUT_IN:
            raise LocalProtocolError(f"nothing was put in, the session is {self.stage}")
        self._demand(self._resting)
        self._command(line + b"\r\n", self._resting, MAX_ASKED)

    def resume(self) -> None:
        """
        The state is over; the session is where it was before.
        """
        if self._resting not in _PUT_IN:
            raise LocalProtocolError(f"nothing was put in, the session is {self.stage}")
        self._demand(self._resting)
        self._resting = self._before

    def _put_in_answered(self, reply: Reply) -> ev.Event:
        return ev.Answered(reply)

    # What the peer says.

    def receive_data(self, data: bytes) -> list[ev.Event]:
        """
        Take bytes from the peer.

        :returns: what they mean, in order; never raises for what a peer sends.
        """
        events: list[ev.Event] = []
        if self._dead:
            return events
        reader, awaiting = self._reader, self._awaiting
        reader.receive_data(data)
        try:
            # Mostly all of it is whole replies, and nobody need ask for one more.
            while reader.unread and (reply := reader.next_reply()) is not None:
                if not awaiting or self._spoilt or reply.code == 421:
                    event = self._take(reply)
                else:
                    # The usual case of that, without a call.
                    self.heard += 1
                    stage = self._answered = awaiting.popleft()
                    move = self._moves.get((stage, reply.reply_class))
                    if move is None:
                        self._senseless(reply, stage)
                    event = move(self, reply)
                if event is not None:
                    events.append(event)
                    if self._dead:
                        return events
            # Half a reply to a question that was not asked is as bad as a whole one; only a
            # refusal of the content may come at any moment while that is sent.
            if not awaiting and self._resting not in BODY_STAGES and reader.pending:
                raise RemoteProtocolError("bytes behind the last reply owed")
        except RemoteProtocolError as error:
            stage = self.stage
            self._die()
            events.append(ev.Violated(str(error), stage))
        return events

    def _take(self, reply: Reply) -> ev.Event | None:
        self.heard += 1
        if self._spoilt:
            raise RemoteProtocolError("a reply that began before the final dot was sent")
        if reply.code == 421:
            return self._dismissed(reply)
        if self._awaiting:
            stage = self._answered = self._awaiting.popleft()
        elif self._resting in BODY_STAGES:
            stage = Stage.SENDING_BODY
        else:
            raise RemoteProtocolError(f"reply {reply.code} to nothing")
        move = self._moves.get((stage, reply.reply_class))
        if move is None:
            self._senseless(reply, stage)
        return move(self, reply)

    def _senseless(self, reply: Reply, stage: Stage) -> NoReturn:
        # The stage is named in the event: what is owed is still owed.
        self._awaiting.appendleft(stage)
        raise RemoteProtocolError(f"reply {reply.code} makes no sense {stage}")

    def _dismissed(self, reply: Reply) -> ev.Event:
        dismissed = ev.Dismissed(reply, self.stage)
        self._die()
        return dismissed

    # Asking.

    def _demand(self, resting: Stage) -> None:
        if self._resting is not resting or self._awaiting or self._dead:
            raise LocalProtocolError(f"out of turn: the session is {self.stage}")

    def _command(self, text: bytes, stage: Stage, most: int = MAX_COMMAND) -> None:
        if len(text) > most:
            raise LocalProtocolError("a command line that is too long")
        check_commands(text, 1)
        self._output += text
        self._awaiting.append(stage)

    def _follow_up(self, text: bytes, stages: tuple[Stage, ...]) -> None:
        # Whatever is in the buffer now was sent before the question.
        self._be_alone("a reply before its command")
        self._output += text
        self._awaiting.extend(stages)

    def _be_alone(self, otherwise: str) -> None:
        """
        Be sure that nothing was received behind the reply that is being read.
        """
        if self._reader.pending:
            # Its stage is the one to blame, not the next.
            self._awaiting.appendleft(self._answered)
            raise RemoteProtocolError(otherwise)

    def _die(self) -> None:
        if not self._dead:
            self._died_in = self.stage
            self._dead = True
        self._output = b""
        self._awaiting.clear()
        self._resting = Stage.NOT_CONNECTED
        self._reader = ReplyReader()
