"""
Cycles, one after the other, on one receiver and one nursery: a few lives of one
spool, killed where a point says, and the judgement when all mail is over.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater

from ..spool.records import segment_name
from . import mail
from .evidence import Evidence
from .judge import Final as FinalBooks
from .judge import Injected, State, Verdict, judge
from .life import Order
from .nursery import encode
from .peers import Injector, Receiver
from .points import ANYWHERE, Moment, Point

#: Connections that inject.
CONNECTIONS: Final = 4
#: Seconds between two looks at the trace.
_LOOK: Final = 0.004
#: Seconds without any news after which a story is stuck.
PATIENCE: Final = 15.0
#: Number of a segment that is put into the spool with nothing but rubbish in it.
_RUBBISH: Final = 900


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    What happens around the life that is killed.

    :ivar name: as points say it.
    :ivar about: one line for people.
    :ivar prelude: where an earlier life is killed, whose mail the spool then holds; empty for none.
    :ivar rubbish: whether a file that is no segment is put into the spool before.
    :ivar faults: steps of the life that fail.
    """

    name: str
    about: str
    prelude: str = ""
    rubbish: bool = False
    faults: Sequence[tuple[str, int, int, int]] = ()


#: Every story.
SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("traffic", "mail comes and goes"),
        Scenario(
            "recovery",
            "a killed process is started again, and mail comes meanwhile",
            prelude="traffic: append delivered in append: amid: 3",
            rubbish=True,
        ),
        Scenario(
            "broken disk",
            "a sync fails, and so does the repair at first",
            faults=(("sync in sync", 2, 1, errno.EIO), ("create", 2, 2, errno.EIO)),
        ),
        Scenario(
            "full disk",
            "there is no space for receptions, then for nothing, then for all",
            faults=(
                ("append reception in append", 3, 3, errno.ENOSPC),
                ("append delivered in append", 2, 2, errno.ENOSPC),
            ),
        ),
    )
}


@dataclass(slots=True)
class Cycle:
    """
    One cycle and what came of it.

    :ivar point: where it was to be killed, ``None`` for nowhere.
    :ivar hit: whether it was.
    :ivar kinds: how many steps of each kind the life took that was to be killed.
    :ivar directory: where everything of it is kept, if it is.
    """

    scenario: str
    point: Point | None
    seed: int
    hit: bool = False
    kinds: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = field(default_factory=Verdict)
    injected: int = 0
    accepted: int = 0
    directory: str = ""


class NurseryProtocol(ProcessProtocol):
    """
    Our end of a nursery's pipes.
    """

    transport: Any

    def __init__(self) -> None:
        self._rest = b""
        self._over: Deferred[int] | None = None
        #: Fires when the nursery is gone.
        self.gone: Deferred[None] = Deferred()
        #: What it said that was not expected of it.
        self.said = b""

    def outReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            over, self._over = self._over, None
            if over is not None:
                over.callback(int(line))

    def errReceived(self, data: bytes) -> None:
        self.said += data

    def processEnded(self, reason: Any) -> None:
        over, self._over = self._over, None
        if over is not None:
            over.callback(1)
        if not reason.check(ProcessDone):
            self.said += str(reason.value).encode()
        self.gone.callback(None)

    def bear(self, order: Order) -> Deferred[int]:
        """
        Begin a life.

        :returns: fires with its exit status when it is over; negative is the number of a signal.
        """
        over: Deferred[int] = Deferred()
        self._over = over
        self.transport.write(encode(order))
        return over

    def tell(self, word: bytes) -> None:
        """
        ``kill`` or ``stop``.
        """
        if self._over is not None:
            self.transport.write(word + b"\n")


class Lane:
    """
    Runs cycles.

    :param reactor: the real one.
    :param directory: new directories are made in it.
    :param nursery: command line of a nursery.
    """

    def __init__(self, reactor: Any, directory: str, nursery: Sequence[str]) -> None:
        self._reactor = reactor
        self._directory = directory
        self._command = nursery
        self._nursery = NurseryProtocol()

    def start(self) -> None:
        """
        Start the nursery.
        """
        environment = dict(os.environ)
        self._reactor.spawnProcess(self._nursery, self._command[0], self._command, environment)

    def stop(self) -> Deferred[None]:
        """
        End the nursery and the life that may be there.
        """
        self._nursery.tell(b"kill")
        self._nursery.transport.closeStdin()
        return self._nursery.gone

    async def run(self, cycle: Cycle) -> Cycle:
        """
        Run one cycle; its directory is kept if it went wrong.
        """
        directory = tempfile.mkdtemp(prefix="cycle-", dir=self._directory)
        story = Story(self._reactor, self._nursery, directory, cycle)
        try:
            await story.run()
        finally:
            await story.close()
        if self._nursery.said:
            cycle.verdict.stuck.append(self._nursery.said.decode("utf-8", "replace").strip().splitlines()[-1])
            self._nursery.said = b""
        if cycle.verdict.good:
            shutil.rmtree(directory)
        else:
            cycle.directory = directory
        return cycle


class Story:
    """
    One cycle, told.
    """

    def __init__(self, reactor: Any, nursery: NurseryProtocol, directory: str, cycle: Cycle) -> None:
        self._reactor = reactor
        self._nursery = nursery
        self._cycle = cycle
        self._scenario = SCENARIOS[cycle.scenario]
        self._rng = Random(cycle.seed)
        self._state = os.path.join(directory, "state")
        self._trace = os.path.join(directory, "trace")
        self._evidence = Evidence(self._trace, os.path.join(self._state, "spool"))
        self._injected: dict[str, Injected] = {}
        self._early: list[str] = []
        self._receiver = Receiver(reactor, Random(cycle.seed), self._committed)
        self._port = reactor.listenTCP(0, self._receiver, backlog=50, interface="127.0.0.1")

    async def close(self) -> None:
        """
        Listen no more.
        """
        self._evidence.close()
        for session in list(self._receiver.sessions):
            session.transport.abortConnection()
        await self._receiver.when_idle()
        await maybeDeferred(self._port.stopListening)

    async def run(self) -> None:
        """
        Every life, and the judgement.
        """
        cycle, scenario = self._cycle, self._scenario
        if scenario.prelude:
            await self._live("a", Point.parse(scenario.prelude), ())
        if scenario.rubbish:
            with open(os.path.join(self._state, "spool", segment_name(_RUBBISH)), "wb") as rubbish:
                os.fchmod(rubbish.fileno(), 0o600)
                rubbish.write(self._rng.randbytes(200))
        cycle.hit = await self._live("b", cycle.point, scenario.faults, counted=True)
        if cycle.hit:
            await self._live("", None, ())
        evidence = self._evidence
        final = FinalBooks(
            frozenset(evidence.of_kind("delivered")),
            frozenset(evidence.of_kind("failed")),
            frozenset(evidence.of_kind("held")),
        )
        verdict = judge(self._injected, self._receiver.commits(), evidence.lives, final)
        verdict.early += self._early
        verdict.stuck += cycle.verdict.stuck + evidence.complaints
        cycle.verdict = verdict
        cycle.injected = len(self._injected)
        cycle.accepted = sum(message.state is State.ACCEPTED for message in self._injected.values())

    async def _live(
        self, batch: str, point: Point | None, faults: Sequence[Sequence[Any]], counted: bool = False
    ) -> bool:
        """
        One life, with a batch of mail if that has a name.

        :returns: whether it was killed.
        """
        evidence = self._evidence
        timed = point is not None and point.step == ANYWHERE
        order = Order(
            self._state,
            self._trace,
            self._port.getHost().port,
            "" if point is None or timed else str(point),
            tuple(faults),
        )
        ended: list[int] = []
        over = self._nursery.bear(order).addCallback(ended.append)
        calls: list[IDelayedCall] = []
        if timed and point is not None and point.moment is Moment.BEFORE:
            calls.append(self._reactor.callLater(point.nth / 1000, self._nursery.tell, b"kill"))
        injection = await self._inject(batch, ended)
        if timed and point is not None and point.moment is not Moment.BEFORE:
            calls.append(self._reactor.callLater(point.nth / 1000, self._nursery.tell, b"kill"))
        await self._drain(injection, ended)
        if not ended:
            # In order, or as far as it gets.
            self._nursery.tell(b"stop")
            calls.append(self._reactor.callLater(PATIENCE, self._give_up))
            await over
        for call in calls:
            # The next life is not to be killed by what was meant for this one.
            if call.active():
                call.cancel()
        await self._receiver.when_idle()
        if injection is not None:
            await injection.done
        if counted:
            evidence.poll()
            self._cycle.kinds.update(evidence.kinds)
        evidence.end_life()
        self._receiver.life += 1
        return ended[0] < 0

    async def _inject(self, batch: str, ended: list[int]) -> Injector | None:
        evidence = self._evidence
        quiet = 0.0
        while not ended and not evidence.port and quiet < PATIENCE:
            quiet = 0.0 if evidence.poll() else quiet + _LOOK
            await deferLater(self._reactor, _LOOK)
        if not batch:
            return None
        messages = mail.batch(batch, Random(self._cycle.seed * 2 + (batch == "b")))
        for message in messages:
            for recipient in message.recipients:
                self._injected[recipient] = Injected(message.fate, mail.digest(message.content))
        if not evidence.port:
            return None
        injection = Injector(messages, self._learnt)
        injection.start(self._reactor, evidence.port, CONNECTIONS)
        return injection

    async def _drain(self, injection: Injector | None, ended: list[int]) -> None:
        """
        Wait until nothing waits any more, or nothing happens.
        """
        evidence = self._evidence
        quiet = 0.0
        while not ended and quiet < PATIENCE:
            news = evidence.poll()
            quiet = 0.0 if news else quiet + _LOOK
            if (injection is None or injection.done.called) and not evidence.waiting():
                return
            await deferLater(self._reactor, _LOOK)
        if not ended:
            waiting = sorted(evidence.waiting()) or ["an injector"]
            self._cycle.verdict.stuck.append(f"still waiting: {', '.join(waiting[:3])}")

    def _give_up(self) -> None:
        self._cycle.verdict.stuck.append("the service does not stop")
        self._nursery.tell(b"kill")

    # What is known at once.

    def _learnt(self, message: mail.Mail, state: State) -> None:
        if state is State.ACCEPTED:
            self._evidence.poll()
        for recipient in message.recipients:
            self._injected[recipient].state = state
            if state is State.ACCEPTED and not self._evidence.durable(recipient):
                self._early.append(f"{recipient}: answered 250 before the sync")

    def _committed(self, recipient: str) -> None:
        self._evidence.poll()
        if not self._evidence.intended(recipient):
            self._early.append(f"{recipient}: the dot came before the intent")
