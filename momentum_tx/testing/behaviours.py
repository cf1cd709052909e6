"""
How receivers behave that are not at their best: each of these is one habit of a
real mail system, and they are put together at will::

    mx.add(ConnectionCap(20), Greylisting(), Tarpit(1.0))

They follow the receiver's clock, and chance that is handed in.  Except for
:class:`OutageSchedule` one may be added to several receivers, which then share
its limits and its memory, as the exchangers of one provider do.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Collection
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from .answers import CLOSE, SILENCE, TAKE_AND_BE_SILENT, TAKE_AND_CLOSE, Answer
from .peer_session import ReceiverSession, Step, path_of

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from .peers import Receiver

#: Seconds of a day.
DAY: Final = 86_400.0
#: Triples that greylisting remembers; beyond that it forgets those that were unused longest.
MOST_TRIPLES: Final = 100_000
#: Times that a rate limit keeps of one window; beyond that the oldest are not counted any more.
MOST_TIMES: Final = 100_000
#: Says what is no reply at all.
GARBAGE: Final = Answer(b"\x00\xff banana")


class Behaviour:
    """
    A habit of a receiver; subclass it for one of your own.

    Here it has no opinion on anything.
    """

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        """
        What to do at a point; ``None`` for no opinion.

        Asked at all points of :meth:`~momentum_tx.testing.peers.Receiver.on`
        unless the script, or a behaviour that was added before, has answered.

        :param line: the command; the content at ``dot``, empty at ``connect``
            and ``body``.
        """
        return None

    def adjust(self, session: ReceiverSession, point: str, answer: Answer) -> Answer:
        """
        What becomes of an answer that is about to be given, whoever gave it.

        Not asked at ``body`` and ``TLS`` if there is no answer.
        """
        return answer

    def attached(self, receiver: Receiver) -> None:
        """
        It was added to *receiver*, and may start timers on its clock.
        """

    def detached(self, receiver: Receiver) -> None:
        """
        It was removed from *receiver*: no timer is left.
        """


class ConnectionCap(Behaviour):
    """
    So many connections at once and no more, as Postfix's
    ``smtpd_client_connection_count_limit`` or Exchange's
    ``MaxInboundConnectionPerSource``.  One that is being refused counts while it
    is open.

    :param most: connections at once.
    :param reply: the greeting of one more.
    :param per_client: whether each client address is counted by itself.
    """

    def __init__(self, most: int, reply: bytes = b"421 4.7.0 Too many connections", per_client: bool = False) -> None:
        self.most = most
        self.reply = reply
        self.per_client = per_client

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        if point != "connect":
            return None
        sessions = session.receiver.open
        if self.per_client:
            count = sum(1 for each in sessions if each.client == session.client)
        else:
            count = len(sessions)
        return self.reply if count > self.most else None


class _Window:
    """
    Counts events of the last so many seconds.

    :ivar most: most that ever were in one half-open window.
    """

    __slots__ = ("_seconds", "_times", "most")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times: deque[float] = deque(maxlen=MOST_TIMES)
        self.most = 0

    def count(self, now: float) -> int:
        """
        Events after *now* less the seconds.
        """
        times = self._times
        while times and now - times[0] >= self._seconds:
            times.popleft()
        return len(times)

    def add(self, now: float) -> None:
        """
        One more; the fullest window ends with some event, so that counting here is enough.
        """
        self._times.append(now)
        self.most = max(self.most, self.count(now))


class RateLimit(Behaviour):
    """
    So many transactions, or connections, in any so many seconds, as Postfix's
    ``smtpd_client_message_rate_limit`` and what large providers do to a sender
    they do not know.

    :param most: how many are admitted in a window.
    :param seconds: length of the window, which slides: two events that are so
        far apart are not in the same one.
    :param at: ``MAIL`` for transactions begun, ``connect`` for connections, or
        another point.
    :param reply: said to one more; empty for the usual 450, or 421 at ``connect``.
    """

    def __init__(self, most: int, seconds: float, at: str = "MAIL", reply: bytes = b"") -> None:
        self.most = most
        self.seconds = seconds
        self.at = at
        self.reply = reply or (b"421" if at == "connect" else b"450") + b" 4.7.1 Too much in too short a time"
        self._admitted = _Window(seconds)
        self._asked = _Window(seconds)

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        if point != self.at:
            return None
        now = session.receiver.clock.seconds()
        self._asked.add(now)
        if self._admitted.count(now) >= self.most:
            return self.reply
        self._admitted.add(now)
        return None

    def largest_window(self) -> tuple[int, int]:
        """
        The most it admitted, and the most it was asked for, in any half-open
        window of that length.  What was answered before it was asked is in neither.
        """
        return self._admitted.most, self._asked.most


class Greylisting(Behaviour):
    """
    Refuses at first whom it does not know, as Postgrey or rspamd: a triple of
    client address, sender and recipient passes when it comes again after a while.

    :param delay: seconds from the first try on, for which it is refused.
    :param forget: seconds after its last try, when it is unknown again.
    :param reply: said at RCPT.
    """

    def __init__(
        self, delay: float = 300.0, forget: float = DAY, reply: bytes = b"451 4.7.1 Greylisted, come back later"
    ) -> None:
        self.delay = delay
        self.forget = forget
        self.reply = reply
        #: Times of the first and the last try of a triple, last tried last.
        self.known: dict[tuple[str, bytes, bytes], tuple[float, float]] = {}

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        if point != "RCPT" or session.sender is None:
            return None
        now = session.receiver.clock.seconds()
        known = self.known
        while known and now - known[next(iter(known))][1] >= self.forget:
            del known[next(iter(known))]
        triple = session.client, session.sender, path_of(line)
        first = known.pop(triple, (now, now))[0]
        known[triple] = first, now
        if len(known) > MOST_TRIPLES:
            del known[next(iter(known))]
        return self.reply if now - first < self.delay else None


class Tarpit(Behaviour):
    """
    Makes its clients wait for each answer, as Exchange's ``TarpitInterval`` and
    OpenBSD's spamd; at ``connect`` alone it is a greeting delay as postscreen's.

    :param seconds: how much later each answer is given.
    :param at: the point, or points, where; ``None`` for all.
    """

    def __init__(self, seconds: float, at: str | Collection[str] | None = None) -> None:
        self.seconds = seconds
        self.at = (at,) if isinstance(at, str) else at

    def adjust(self, session: ReceiverSession, point: str, answer: Answer) -> Answer:
        if self.at is not None and point not in self.at:
            return answer
        return replace(answer, after=answer.after + self.seconds)


class SlowAcceptance(Tarpit):
    """
    Thinks before it answers the final dot, as a system that scans content then.
    It has the message when it begins to think, and keeps it if the client has
    lost patience: the duplicates of RFC 1047.

    :param seconds: how long.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, "dot")


class DailyQuota(Behaviour):
    """
    So many messages a day, as the mailboxes of providers have: the next is
    refused at its dot, where Gmail does it too, and so is never one too many,
    however many transactions there are at once.

    :param most: messages taken in a day of the receiver's clock.
    :param reply: said to one more.
    """

    def __init__(self, most: int, reply: bytes = b"452 4.2.2 Enough for today") -> None:
        self.most = most
        self.reply = reply
        self._day = -1
        #: Messages taken today.
        self.taken = 0

    def _today(self, session: ReceiverSession) -> int:
        day = int(session.receiver.clock.seconds() // DAY)
        if day != self._day:
            self._day, self.taken = day, 0
        return self.taken

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        return self.reply if point == "dot" and self._today(session) >= self.most else None

    def adjust(self, session: ReceiverSession, point: str, answer: Answer) -> Answer:
        # Here and not in answer(): a behaviour that comes later may have refused it.
        if point == "dot" and (answer.take or answer.reply[:1] == b"2"):
            self.taken = self._today(session) + 1
        return answer


class RefuseRecipients(Behaviour):
    """
    Knows only some of its recipients, as any site a list has grown old for.
    Whom it knows is a function of the address, so it never changes its mind.

    :param share: of all addresses, those it refuses; from 0 to 1.
    :param reply: said to RCPT.
    :param salt: another one gives another choice.
    """

    def __init__(self, share: float, reply: bytes = b"550 5.1.1 No such user here", salt: int = 0) -> None:
        self.share = share
        self.reply = reply
        self._salt = b"%d " % salt

    def refuses(self, recipient: bytes) -> bool:
        """
        Whether it refuses this address.
        """
        return zlib.crc32(self._salt + recipient.lower()) < self.share * 2**32

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        return self.reply if point == "RCPT" and session.sender is not None and self.refuses(path_of(line)) else None


class RecipientCap(Behaviour):
    """
    So many recipients of one transaction and no more, as Postfix's
    ``smtpd_recipient_limit``; with the code of old it is 552 (RFC 5321 4.5.3.1.10).

    :param most: recipients it accepts.
    :param reply: said to RCPT for one more.
    """

    def __init__(self, most: int, reply: bytes = b"452 4.5.3 Too many recipients") -> None:
        self.most = most
        self.reply = reply

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        return self.reply if point == "RCPT" and len(session.recipients) >= self.most else None


class BrokenAt(Behaviour):
    """
    Does one thing at one point, now and then or always.

    :param point: see :meth:`~momentum_tx.testing.peers.Receiver.on`.
    :param answer: anything: a reply of 4xx, 5xx or 421, :data:`GARBAGE`,
        :data:`~momentum_tx.testing.peers.CLOSE`, ``RESET``, ``SILENCE``.
    :param share: how often, from 0 to 1.
    :param chance: decides when; needed unless it is always.
    :raises ValueError: it is needed and was not given.
    """

    def __init__(self, point: str, answer: bytes | Answer, share: float = 1.0, chance: Random | None = None) -> None:
        if share < 1.0 and chance is None:
            raise ValueError("a share needs chance")
        self.point = point
        self.done = answer if isinstance(answer, Answer) else Answer(answer)
        self.share = share
        self._chance = chance

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        if point != self.point or (self._chance is not None and self._chance.random() >= self.share):
            return None
        return self.done


class TemporaryFailures(BrokenAt):
    """
    Fails at random with 4xx, as a system whose database or filter is overloaded.

    :param share: how often, from 0 to 1.
    :param chance: decides when.
    :param at: the point.
    :param reply: what is said.
    """

    def __init__(
        self, share: float, chance: Random, at: str = "RCPT", reply: bytes = b"451 4.3.0 Temporary failure"
    ) -> None:
        super().__init__(at, reply, share, chance)


class CloseAtDot(BrokenAt):
    """
    Says nothing to the final dot, as a server that dies there, or a firewall that
    loses its state: the client cannot know what became of the message.

    :param take: whether the message is taken before.
    :param share: how often, from 0 to 1.
    :param chance: decides when; needed unless it is always.
    :param silent: whether the connection stays open, for nothing.
    """

    def __init__(self, take: bool, share: float = 1.0, chance: Random | None = None, silent: bool = False) -> None:
        if silent:
            answer = TAKE_AND_BE_SILENT if take else SILENCE
        else:
            answer = TAKE_AND_CLOSE if take else CLOSE
        super().__init__("dot", answer, share, chance)


class OutageSchedule(Behaviour):
    """
    Is out of service now and then, by the receiver's clock: for maintenance, at
    every full hour, in the night.

    It sets a timer for each beginning and each end, so a clock never runs dry
    while it is added; with ``421`` it sets none.

    :param every: seconds from the beginning of an outage to that of the next.
    :param lasts: seconds of an outage.
    :param first: time of the first.
    :param manner: ``refuse``: new connections are refused, those that are open
        live on (the listener is overloaded); ``silent``: new connections are
        never answered (a firewall); ``421``: they are greeted so (shutting down);
        ``reset``: they are refused, and those that are open are reset at the
        beginning (the server was killed).
    :raises ValueError: outages that do not end before the next.
    """

    def __init__(
        self,
        every: float,
        lasts: float,
        first: float = 0.0,
        manner: Literal["refuse", "silent", "421", "reset"] = "refuse",
    ) -> None:
        if not 0.0 < lasts < every:
            raise ValueError(f"outages of {lasts:g} s every {every:g} s")
        if manner not in ("refuse", "silent", "421", "reset"):
            raise ValueError(f"no manner: {manner!r}")
        self.every = every
        self.lasts = lasts
        self.first = first
        self.manner = manner
        self._receiver: Receiver | None = None
        self._round = 0
        self._shut = False
        self._timer: IDelayedCall | None = None

    def out(self, now: float) -> bool:
        """
        Whether it is out of service at a time of the clock.
        """
        return now >= self.first and (now - self.first) % self.every < self.lasts

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        if point == "connect" and self.manner == "421" and self.out(session.receiver.clock.seconds()):
            return b"421 4.3.2 Out of service"
        return None

    def attached(self, receiver: Receiver) -> None:
        """
        :raises ValueError: it has a receiver already.
        """
        if self._receiver is not None:
            raise ValueError("an outage schedule is of one receiver")
        self._receiver = receiver
        if self.manner == "421":
            return
        now = receiver.clock.seconds()
        self._round = max(0, math.floor((now - self.first) / self.every))
        if self.out(now):
            self._begin(receiver)
        else:
            self._round += now > self.first
            self._wait(receiver)

    def detached(self, receiver: Receiver) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._receiver = None
        if self._shut:
            self._shut = False
            _set_reach(receiver)

    def _plan(self, receiver: Receiver, at: float, act: str) -> None:
        delay = max(0.0, at - receiver.clock.seconds())
        self._timer = receiver.clock.callLater(delay, getattr(self, act), receiver)

    def _wait(self, receiver: Receiver) -> None:
        self._plan(receiver, self.first + self._round * self.every, "_begin")

    def _begin(self, receiver: Receiver) -> None:
        self._shut = True
        _set_reach(receiver)
        if self.manner == "reset":
            for session in list(receiver.open):
                session.drop()
        self._plan(receiver, self.first + self._round * self.every + self.lasts, "_end")

    def _end(self, receiver: Receiver) -> None:
        self._shut = False
        _set_reach(receiver)
        self._round += 1
        self._wait(receiver)


def _set_reach(receiver: Receiver) -> None:
    """
    Let connects find what the schedules of *receiver* say, all taken together.
    """
    network, address, port = receiver.network, receiver.address, receiver.port.getHost().port
    manners = [each.manner for each in receiver.behaviours if isinstance(each, OutageSchedule) and each._shut]
    if "silent" in manners:
        network.black_hole(address, port)
    elif manners:
        network.refuse(address, port)
    else:
        network.restore(address, port)
