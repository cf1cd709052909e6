"""
Hook providers nobody would want, and some that only want much.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ...errors import HookReentered
from ...interfaces import hooks
from ...settings import DKIMSignature
from .plan import Part

if TYPE_CHECKING:
    from .stage import Stage

#: Mail one story's hooks may send by themselves.
MOST_SENT: Final = 10

_EVERYTHING: Final = (
    hooks.ILogClientConnectionFailure,
    hooks.ILogClientConnectionSuccess,
    hooks.ILogAttemptV1,
    hooks.ILogDeliveryV1,
    hooks.ILogTransientFailureV1,
    hooks.ILogPermanentFailureV1,
    hooks.ILogReceptionV1,
    hooks.ILogRejection,
    hooks.ILogReopen,
    hooks.IConnectionPostBind,
    hooks.IPostInitiateConnectionSmtp,
    hooks.IConnectionGoal,
    hooks.IVetoHostConnection,
    hooks.ICheckOutboundConnThrottle,
    hooks.IBindingGroupChooseBinding,
    hooks.IIncOutboundConnections,
    hooks.IDecOutboundConnections,
    hooks.IPremigrateOutboundConnection,
    hooks.IMessageHeld,
)


class _Everywhere(ABC):
    """
    Answers every hook by :meth:`act`.

    :param stage: the story.
    :param chance: decides when it misbehaves.
    :param args: of its part in the plan.
    """

    def __init__(self, stage: Stage, chance: Random, args: dict[str, Any]) -> None:
        self.stage = stage
        self.chance = chance
        self.share = float(args.get("share", 1.0))

    @abstractmethod
    def act(self, hook: str, default: Any) -> Any:
        """
        What it does when it is asked or told.

        :param default: the answer of a provider that has no opinion.
        """

    def log_client_connection_failure(self, addr: Any, err: Any, dr: Any, binding_slot: int, now: Any) -> Any:
        return self.act("log_client_connection_failure", None)

    def log_client_connection_success(self, addr: Any, dr: Any, binding_slot: int, now: Any) -> Any:
        return self.act("log_client_connection_success", None)

    def log_attempt_v1(self, msg: Any, dr: Any, now: Any, note: bytes) -> Any:
        return self.act("log_attempt_v1", None)

    def log_delivery_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> Any:
        return self.act("log_delivery_v1", None)

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> Any:
        return self.act("log_transient_failure_v1", None)

    def log_permanent_failure_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> Any:
        return self.act("log_permanent_failure_v1", None)

    def log_reception_v1(self, ac: Any, msg: Any, now: Any, note: Any) -> Any:
        return self.act("log_reception_v1", None)

    def log_rejection(self, now: Any, ac: Any, ctx: Any, phase: int, format: str, args: Any) -> Any:
        return self.act("log_rejection", None)

    def log_reopen(self) -> Any:
        return self.act("log_reopen", None)

    def connection_post_bind(self, dr: Any, binding_slot: int, fd: int, addr: Any) -> Any:
        return self.act("connection_post_bind", False)

    def post_initiate_connection_smtp(self, dr: Any, binding_slot: int, now: Any, conn_fd: int) -> Any:
        return self.act("post_initiate_connection_smtp", None)

    def connection_goal(self, dr: Any, binding_slot: int, queued: int, goal: int) -> Any:
        return self.act("connection_goal", goal)

    def veto_host_connection(self, host: str, dr: Any, binding_slot: int, max_conns: int, cur_conns: int) -> Any:
        return self.act("veto_host_connection", False)

    def check_outbound_conn_throttle(self, binding_id: int, dr: Any, now: Any, later: float) -> Any:
        return self.act("check_outbound_conn_throttle", later)

    def binding_group_choose_binding(self, msg: Any, group: str) -> Any:
        return self.act("binding_group_choose_binding", None)

    def inc_outbound_connections(self, handle: Any) -> Any:
        return self.act("inc_outbound_connections", None)

    def dec_outbound_connections(self, handle: Any) -> Any:
        return self.act("dec_outbound_connections", None)

    def premigrate_outbound_connection(self, handle: Any, src: Any, dest: Any) -> Any:
        return self.act("premigrate_outbound_connection", None)

    def message_held(self, msg: Any, dr: Any, now: Any, note: bytes) -> Any:
        return self.act("message_held", None)


@implementer(*_EVERYTHING)
class Raising(_Everywhere):
    """
    Raises now and then.
    """

    def act(self, hook: str, default: Any) -> Any:
        if self.chance.random() < self.share and self.stage.storming:
            self.stage.books.count("hooks that raised")
            raise RuntimeError(f"{hook} does not feel well")
        return default


@implementer(*_EVERYTHING)
class TalkingNonsense(_Everywhere):
    """
    Answers what no question was for.
    """

    def act(self, hook: str, default: Any) -> Any:
        if self.chance.random() < self.share and self.stage.storming:
            self.stage.books.count("hooks that talked nonsense")
            return self.chance.choice(("banana", float("nan"), b"", [], {}, -(10**9), object))
        return default


@implementer(*_EVERYTHING)
class Waiting(_Everywhere):
    """
    Answers with a coroutine, which nobody awaits.
    """

    def act(self, hook: str, default: Any) -> Any:
        async def later() -> Any:
            return default

        if self.chance.random() < self.share and self.stage.storming:
            self.stage.books.count("hooks that answered with a coroutine")
            return later()
        return default


@implementer(hooks.ILogTransientFailureV1, hooks.ILogDeliveryV1, hooks.IConnectionGoal)
class Reentering:
    """
    Calls connection functions when it is told something, which it may, and
    when it is asked something, which is refused.
    """

    def __init__(self, stage: Stage, chance: Random, args: dict[str, Any]) -> None:
        self._stage = stage
        self._chance = chance
        self._share = float(args.get("share", 1.0)) * 0.3

    def _initiate(self, msg: Any, dr: Any) -> None:
        stage = self._stage
        if not stage.storming or stage.stopping or self._chance.random() > self._share:
            return
        slot = max(msg.binding_slot, 0)
        if not stage.suspended(slot, dr.domain):
            stage.books.count("hooks that initiated a connection")
            dr.initiator.initiate_connection_smtp(dr, slot, None)

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> None:
        self._initiate(msg, dr)

    def log_delivery_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> None:
        self._initiate(msg, dr)

    def connection_goal(self, dr: Any, binding_slot: int, queued: int, goal: int) -> int:
        if self._chance.random() < self._share:
            try:
                dr.initiator.initiate_connection_smtp(dr, binding_slot, None)
            except HookReentered:
                pass
            else:
                self._stage.fault("hooks", "initiate_connection was not refused inside an asked hook")
        return goal


@implementer(hooks.IVetoHostConnection)
class Vetoing:
    """
    Forbids hosts at random.
    """

    def __init__(self, stage: Stage, chance: Random, args: dict[str, Any]) -> None:
        self._stage = stage
        self._chance = chance
        self._share = float(args.get("share", 1.0))

    def veto_host_connection(self, host: str, dr: Any, binding_slot: int, max_conns: int, cur_conns: int) -> bool:
        return self._stage.storming and self._chance.random() < self._share


@implementer(hooks.IConnectionGoal)
class Aiming:
    """
    Wants any number of connections.
    """

    def __init__(self, stage: Stage, chance: Random, args: dict[str, Any]) -> None:
        self._stage = stage
        self._chance = chance

    def connection_goal(self, dr: Any, binding_slot: int, queued: int, goal: int) -> int:
        return self._chance.choice((-1, 0, 1, goal, 5, 10**6)) if self._stage.storming else goal


@implementer(hooks.ICheckOutboundConnThrottle, hooks.IPostInitiateConnectionSmtp)
class Throttling:
    """
    Grants so many attempts in any window of so many seconds per domain, and
    counts whether more are made than were granted.
    """

    def __init__(self, stage: Stage, chance: Random, args: dict[str, Any]) -> None:
        self._stage = stage
        self._most = int(args["most"])
        self._seconds = float(args["seconds"])
        self._granted: dict[str, deque[float]] = {}
        self._open: dict[str, int] = {}

    def check_outbound_conn_throttle(self, binding_id: int, dr: Any, now: Any, later: float) -> float:
        moment = self._stage.seconds()
        granted = self._granted.setdefault(dr.domain, deque())
        while granted and moment - granted[0] >= self._seconds:
            granted.popleft()
        if len(granted) >= self._most and self._stage.storming:
            later = max(later, now + granted[0] + self._seconds - moment)
        if later <= now:
            granted.append(moment)
            self._open[dr.domain] = self._open.get(dr.domain, 0) + 1
        return later

    def post_initiate_connection_smtp(self, dr: Any, binding_slot: int, now: Any, conn_fd: int) -> None:
        if conn_fd >= 0:
            self._open[dr.domain] = self._open.get(dr.domain, 0) - 1
            if self._open[dr.domain] < 0:
                self._stage.fault("limit exceeded", f"{dr.domain}: more attempts than the throttle has granted")


@implementer(hooks.IBindingGroupChooseBinding)
class Choosing:
    """
    Chooses bindings that exist, and others.
    """

    def __init__(self, stage: Stage, chance: Random, args: dict[str, Any]) -> None:
        self._chance = chance

    def binding_group_choose_binding(self, msg: Any, group: str) -> int | None:
        return self._chance.choice((None, 0, 1, 2, 99, -1))


@implementer(hooks.ILogDeliveryV1, hooks.ILogTransientFailureV1, hooks.ILogReceptionV1)
class Talkative:
    """
    Answers what it is told with mail of its own.
    """

    def __init__(self, stage: Stage, chance: Random, args: dict[str, Any]) -> None:
        self._stage = stage
        self._chance = chance

    def _send(self) -> None:
        if self._chance.random() < 0.2:
            self._stage.clients.send_from_hook(MOST_SENT, self._chance)

    def log_delivery_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> None:
        self._send()

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: Any, note: Any) -> None:
        self._send()

    def log_reception_v1(self, ac: Any, msg: Any, now: Any, note: Any) -> None:
        self._send()


@implementer(hooks.IDkimSign)
class Signing:
    """
    Has mail signed, at once or after a while; sometimes not at all, with a key that is
    none, or by an answer that never comes.
    """

    def __init__(self, stage: Stage, chance: Random, args: dict[str, Any]) -> None:
        self._stage = stage
        self._chance = chance
        self._share = float(args.get("share", 0.5))

    def dkim_sign(self, ac: Any, content: bytes, domain: str) -> Any:
        chance = self._chance
        if not self._stage.storming or chance.random() > self._share:
            return [_SIGNATURE]
        later: Deferred[Any] = Deferred()
        what = chance.choice(("none", "nobody", "raise", "nonsense", "bad key", "later", "later", "never"))
        if what == "later":
            seconds = chance.choice((0.0, 0.5, 5.0, 9.9, 20.0))
            call = self._stage.world.process.callLater(seconds, lambda: later.callback([_SIGNATURE]))
            # Whoever is not waited for any more leaves nothing behind.
            later = Deferred(lambda _: call.cancel())
        self._stage.books.count(f"hooks asked for a signature: {what}")
        answers: dict[str, Any] = {
            "none": (),
            "nobody": None,
            "nonsense": ["a signature"],
            "bad key": [replace(_SIGNATURE, key="none")],
            "later": later,
            "never": later,
        }
        if what == "raise":
            raise RuntimeError("dkim_sign does not feel well")
        return answers[what]


#: A key that is nobody's.
_SIGNATURE: Final = DKIMSignature("sender.example", "s", key="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")

_KINDS: Final[dict[str, Callable[[Stage, Random, dict[str, Any]], object]]] = {
    "raise": Raising,
    "nonsense": TalkingNonsense,
    "coroutine": Waiting,
    "reenter": Reentering,
    "veto": Vetoing,
    "goal": Aiming,
    "throttle": Throttling,
    "choose": Choosing,
    "talkative": Talkative,
    "sign": Signing,
}


def make_provider(stage: Stage, part: Part, chance: Random) -> object:
    """
    The provider that *part* of a plan describes.

    :param stage: the story it is in.
    :param chance: its own.
    :raises KeyError: there is no such kind.
    """
    return _KINDS[part.kind](stage, chance, part.args)
