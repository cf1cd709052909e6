"""
The next transaction behind the final dot of the one before: its MAIL, RCPT and DATA
leave before the dot is answered (RFC 2920 3.1 allows it), which spares a round trip.

The danger is a peer that forgets the reply to a dot, or gives it late: the next reply
would pass for the verdict on a message that it may not have.  So the verdict is held
back until the whole group was answered, in number and kind as only a peer can that
answers everything in its order.  Anything else leaves the first message in doubt and
the second untouched.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from ..outcomes import Scope, Verdict
from ..stages import Stage
from . import events as ev
from .client import Method, SMTPClientMachine
from .dialogue import Move
from .replies import Reply, ReplyClass
from .transaction import Transaction, refusal

#: Commands of the group: MAIL, one RCPT, DATA.
_GROUP: Final = 3
#: What a command gets that is out of its order (RFC 5321 4.2.4).
_OUT_OF_ORDER: Final = 503


class OverlappingMachine(SMTPClientMachine):
    """
    A session in which one transaction may begin before the one before has ended.

    :param method: what is spoken; by LMTP nothing ever overlaps.
    """

    __slots__ = ("_behind", "_first", "_verdict")

    def __init__(self, method: Method = Method.ESMTP) -> None:
        super().__init__(method)
        #: The transaction that was begun behind the dot, until that is answered.
        self._behind: Transaction | None = None
        #: The one before, once its dot seems to be answered, and with what.
        self._first: Transaction | None = None
        self._verdict: Reply | None = None

    @property
    def may_overlap(self) -> bool:
        """
        Whether :meth:`transaction_behind` may be called now: the dot has left, nothing else is
        owed, and the peer takes commands in groups.
        """
        return (
            self.extensions.pipelining
            and self._method is not Method.LMTP
            and len(self._awaiting) == 1
            and self._awaiting[0] is Stage.READING_CONFIRMATION
            and not self._under_way.chunked
            and not self._under_way.sink
            and not (self._spoilt or self._reader.pending)
        )

    @property
    def grouped(self) -> bool:
        """
        As of any session; what goes wrong while two transactions are under way tells
        against that, and not against groups.
        """
        return super().grouped and not self.overlapped

    @property
    def overlapped(self) -> bool:
        """
        Whether two transactions are under way.
        """
        return self._behind is not None or self._first is not None

    @property
    def turned_down(self) -> bool:
        """
        Whether the reply in the dot's place was read while two transactions are under way,
        and was no acceptance.
        """
        return self._verdict is not None and self._verdict.reply_class is not ReplyClass.OK

    def transaction_behind(
        self,
        sender: bytes,
        recipient: bytes,
        *,
        mail_parameters: bytes = b"",
        recipient_parameters: Sequence[bytes] = (),
    ) -> None:
        """
        Begin the next transaction behind the dot of the one under way;
        :class:`~momentum_tx.smtp.events.BothAnswered` follows, unless the session ends first.

        It has one recipient: among several some could be refused though data is wanted, and
        a refusal that belongs to the dot would look like theirs.

        :param sender: see :meth:`transaction`, as the parameters.
        :param recipient: forward path without angle brackets.
        """
        if not self.may_overlap:
            raise LocalProtocolError(f"no transaction may begin behind another {self.stage}")
        behind = Transaction(sender, (recipient,), mail_parameters, True, recipient_parameters)
        text, stages = behind.next_group()
        if len(stages) != _GROUP:
            raise LocalProtocolError("commands that do not fit into one group")
        self._behind = behind
        self._output += text
        self._awaiting.extend(stages)

    def abandon(self, note: bytes) -> tuple[ev.RecipientResult, ...]:
        """
        As of any session; where two transactions are under way these are the results
        of the first, which is in doubt, and the second is untouched.
        """
        if not self.overlapped:
            return super().abandon(note)
        first = self._first or self._under_way
        self._die()
        self._transaction = self._first = self._behind = self._verdict = None
        return first.results(ev.RecipientResult(Verdict.TRANSIENT, Scope.CONNECTION, note, Stage.READING_CONFIRMATION))

    def _confirmed(self, reply: Reply) -> ev.Event | None:
        if self._behind is None:
            return super()._confirmed(reply)
        self._hold_back(reply)
        return None

    def _not_confirmed(self, reply: Reply) -> ev.Event | None:
        if self._behind is None:
            return super()._not_confirmed(reply)
        self._hold_back(reply)
        return None

    def _hold_back(self, reply: Reply) -> None:
        """
        So it seems; the replies to the group will tell.
        """
        self._first, self._verdict = self._transaction, reply
        self._transaction, self._behind = self._behind, None

    def _data_wanted(self, reply: Reply) -> ev.Event | None:
        if self._first is None:
            return super()._data_wanted(reply)
        behind = self._under_way
        if not behind.accepted or behind.sender_refused is not None:
            self._inconsistent(reply, "data is wanted that nobody is to get")
        first = self._released()
        self._resting = Stage.AFTER_DATA
        return ev.BothAnswered(first, ev.BodyWanted((0,)))

    def _data_refused(self, reply: Reply) -> ev.Event:
        if self._first is None:
            return super()._data_refused(reply)
        behind = self._under_way
        if behind.accepted:
            # It may well be so; but so it would look if the dot's own refusal had come late.
            self._inconsistent(reply, "data was refused though somebody is to get it")
        if (_code_of(behind) == _OUT_OF_ORDER) is (behind.sender_refused is None):
            self._inconsistent(reply, "what was said of the recipient does not suit the sender")
        if reply.code != _OUT_OF_ORDER and not (reply.code == 554 and reply.enhanced == b"5.5.1"):
            self._inconsistent(reply, "data without a recipient was not refused as such")
        first = self._released()
        second = self._end(refusal(reply, Scope.MESSAGE, Stage.AFTER_DATA), True)
        assert isinstance(second, ev.TransactionEnded)
        return ev.BothAnswered(first, second)

    def _inconsistent(self, reply: Reply, what: str) -> None:
        self._awaiting.appendleft(Stage.AFTER_DATA)
        raise RemoteProtocolError(f"reply {reply.code} behind the final dot: {what}")

    def _released(self) -> ev.TransactionEnded:
        """
        The group is consistent: the verdict is one.
        """
        self._be_alone("more replies than commands behind the final dot")
        first, verdict = self._first, self._verdict
        assert first is not None and verdict is not None
        self._first = self._verdict = None
        if verdict.reply_class is ReplyClass.OK:
            result = ev.RecipientResult(Verdict.DELIVERED, Scope.RECIPIENT, verdict.note, Stage.READING_CONFIRMATION)
        else:
            result = refusal(verdict, Scope.MESSAGE, Stage.READING_CONFIRMATION)
        self.needs_reset = False
        return ev.TransactionEnded(first.results(result))


def _code_of(behind: Transaction) -> int:
    """
    The code of the reply to the only RCPT, which was refused.
    """
    return int(behind.own_note(0)[:3])


_M: Final = OverlappingMachine
_MOVES: Final[Mapping[tuple[Stage, ReplyClass], Move]] = {
    **SMTPClientMachine._moves,
    (Stage.AFTER_DATA, ReplyClass.GO_ON): _M._data_wanted,
    (Stage.AFTER_DATA, ReplyClass.TRANSIENT): _M._data_refused,
    (Stage.AFTER_DATA, ReplyClass.PERMANENT): _M._data_refused,
    (Stage.READING_CONFIRMATION, ReplyClass.OK): _M._confirmed,
    (Stage.READING_CONFIRMATION, ReplyClass.TRANSIENT): _M._not_confirmed,
    (Stage.READING_CONFIRMATION, ReplyClass.PERMANENT): _M._not_confirmed,
}
_M._moves = _MOVES
