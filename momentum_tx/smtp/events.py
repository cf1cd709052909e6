"""
What a client session tells its owner.
"""

from dataclasses import dataclass

from ..outcomes import Scope, Verdict
from ..stages import Stage
from .extensions import Extensions
from .replies import Reply

# The results and events of every message are values like all others, but not frozen: a frozen one takes
# four times as long to make.


@dataclass(slots=True, unsafe_hash=True)
class RecipientResult:
    """
    What one transaction decided about one recipient.

    :ivar verdict: what was decided.
    :ivar scope: how far the reply reaches.
    :ivar note: the reply as one line.
    :ivar stage: what the reply answered.
    :ivar beyond: the transaction had more recipients than the peer takes at once,
        and this one was beyond them: nothing was decided about it, and the next
        transaction may ask for it.
    """

    verdict: Verdict
    scope: Scope
    note: bytes
    stage: Stage
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Greeted:
    """
    The peer is ready; say hello.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class GreetingRefused:
    """
    The peer offers no service; only QUIT may follow (RFC 5321 3.1).
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class Ready:
    """
    EHLO or HELO was accepted: transactions, or STARTTLS, may begin.

    :ivar extensions: what the peer offers; nothing after HELO.
    :ivar esmtp: the peer accepted EHLO.
    :ivar name: what the peer calls itself in its answer.
    """

    extensions: Extensions
    esmtp: bool
    name: bytes = b""


@dataclass(frozen=True, slots=True)
class HelloRefused:
    """
    Neither EHLO nor, where it was tried, HELO was accepted; only QUIT may follow.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class TLSGoAhead:
    """
    Begin the handshake; nothing was received behind this reply.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class TLSRefused:
    """
    The session goes on without TLS, if the owner wants that.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class ClientTaken:
    """
    The peer takes the client for ours that it was told of, and begins anew: say hello.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class ClientRefused:
    """
    The peer does not want to know of that client, or does not want it; it may
    have forgotten all the same what was said before: say hello.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class Answered:
    """
    The reply to what somebody else put in; whether it pleases is theirs to say.
    """

    reply: Reply


@dataclass(slots=True, unsafe_hash=True)
class BodyWanted:
    """
    Send the content.

    :ivar accepted: indices of the recipients that will get it, ascending.
    """

    accepted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChunkTaken:
    """
    Send the next chunk of the content.
    """


@dataclass(frozen=True, slots=True)
class ChunkingRefused:
    """
    The transaction came to nothing, because the peer does not know BDAT, which it
    offers, or does not take it now: nothing was decided about any recipient.
    """

    reply: Reply


@dataclass(slots=True, unsafe_hash=True)
class TransactionEnded:
    """
    The transaction is decided.

    :ivar results: one per recipient, in the order they were given.
    """

    results: tuple[RecipientResult, ...]


@dataclass(frozen=True, slots=True)
class BothAnswered:
    """
    A transaction is decided, and the one that was begun behind its final dot has come
    to where its content is wanted, or is decided as well.
    """

    first: TransactionEnded
    second: BodyWanted | TransactionEnded


@dataclass(frozen=True, slots=True)
class ResetDone:
    """
    RSET was answered.

    :ivar ok: it was accepted; otherwise the session is of no further use.
    """

    ok: bool


@dataclass(frozen=True, slots=True)
class QuitDone:
    """
    QUIT was answered; close the connection.
    """


@dataclass(frozen=True, slots=True)
class Dismissed:
    """
    The peer said 421 and closes the connection; send nothing more (RFC 5321 3.8).

    Ask :meth:`~momentum_tx.smtp.client.SMTPClientMachine.abandon` for the fate
    of a transaction that was under way.

    :ivar stage: what was awaited when it came.
    """

    reply: Reply
    stage: Stage


@dataclass(frozen=True, slots=True)
class Violated:
    """
    The peer broke the protocol; nothing it says counts any more.  Close the
    connection, and ask ``abandon`` as for :class:`Dismissed`.

    :ivar text: what it did, for the log.
    :ivar stage: what was awaited.
    """

    text: str
    stage: Stage


Event = (
    Greeted
    | GreetingRefused
    | Ready
    | HelloRefused
    | TLSGoAhead
    | TLSRefused
    | ClientTaken
    | ClientRefused
    | Answered
    | BodyWanted
    | ChunkTaken
    | ChunkingRefused
    | TransactionEnded
    | BothAnswered
    | ResetDone
    | QuitDone
    | Dismissed
    | Violated
)
