"""
What senders say of their mail besides the envelope: drawn, said, and judged.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

from ...policy.retry import RetrySchedule
from ...smtp.dsn import encode_xtext, write_notify
from .plan import Plan, Step

if TYPE_CHECKING:
    from ...queues.message import Message
    from .books import Letter
    from .stage import Stage

_FIELDS: Final = {
    "tenant": "X-Tenant",
    "campaign": "X-Campaign",
    "priority": "X-Priority-Class",
    "not_before": "X-Not-Before",
    "expires": "X-Expires",
}
_TIMES: Final = ("not_before", "expires")
#: What is said of reports, by parameters of the envelope.
_REPORTS: Final = ("envid", "notify")


def draw_said(plan: Plan) -> None:
    """
    Have some of the mail of *plan* say something, from a source of its own; and
    have an operator weigh it.
    """
    dice = Random(f"{plan.seed} said")
    if dice.random() < 0.4:
        return
    names = {trait: ["", *(f"{trait[0]}{n}" for n in range(dice.choice((1, 2, 5))))] for trait in list(_FIELDS)[:3]}
    weights = [f"{trait}:{name}" for trait, some in names.items() for name in some[1:]]

    def weighed() -> list[str]:
        chosen = dice.sample(weights, dice.randrange(len(weights) + 1))
        return [f"{each}={dice.choice(('0.1', '0.5', '2', '5', '30'))}" for each in chosen]

    # Lists are values of TOML and of JSON like others.
    settings: dict[str, Any] = plan.settings
    if dice.random() < 0.7:
        settings["share_weights"] = weighed()
    if dice.random() < 0.2:
        settings["share_by"] = dice.sample(list(names), dice.randrange(3))
    if dice.random() < 0.3:
        options = {"share_weights": weighed()}
        at = round(dice.uniform(0, plan.storm), 3)
        plan.steps.append(Step(at, "reload", {"header": "global", "options": options}))
    timed = dice.random() < 0.4
    for step in plan.steps:
        if step.kind == "mail" and dice.random() < 0.8:
            said: dict[str, Any] = {trait: name for trait, some in names.items() if (name := dice.choice(some))}
            if timed and dice.random() < 0.3:
                said["not_before"] = dice.choice((0.5, 20.0, plan.storm * 0.3))
            if timed and not plan.calm and dice.random() < 0.3:
                said["expires"] = said.get("not_before", 0.0) + dice.choice((5.0, 60.0, plan.storm))
            if said:
                step.args["said"] = said


def draw_reports(plan: Plan) -> None:
    """
    Have some of the mail of *plan* say what reports are wanted, from a source of its own.
    """
    dice = Random(f"{plan.seed} reports")
    if dice.random() < 0.6:
        return
    for step in plan.steps:
        if step.kind == "mail" and dice.random() < 0.5:
            said = step.args.setdefault("said", {})
            said["notify"] = dice.choice(("NEVER", "SUCCESS,FAILURE", "DELAY"))
            if dice.random() < 0.5:
                said["envid"] = dice.choice(("e1", "an id + more", "=" * 33))


def longest(plan: Plan) -> float:
    """
    For how many seconds mail of *plan* may live longer than by its configuration.
    """
    return max((sum(step.args.get("said", {}).get(time, 0.0) for time in _TIMES) for step in plan.steps), default=0.0)


def settled(said: dict[str, Any], wall: float) -> dict[str, Any]:
    """
    What is said at a certain time: the times of *said* count from then.

    :param wall: the time, by the wall clock.
    """
    return {name: round(wall + value, 3) if name in _TIMES else value for name, value in said.items()}


def written(said: dict[str, Any]) -> bytes:
    """
    The same as header fields.
    """
    return b"".join(f"{_FIELDS[name]}: {value}\r\n".encode() for name, value in said.items() if name in _FIELDS)


def parameters(said: dict[str, Any], recipients: int) -> list[str]:
    """
    What of it follows the path in MAIL, and in each RCPT.
    """
    mail = f"ENVID={encode_xtext(said['envid'].encode()).decode()}" if "envid" in said else ""
    return [mail, *[f"NOTIFY={said['notify']}" if "notify" in said else ""] * recipients]


def _found(message: Message, name: str) -> Any:
    """
    What the service knows of it.
    """
    if name == "envid":
        return message.reception.envid.decode()
    return write_notify(message.notify).decode() if name == "notify" else getattr(message.reception, name)


class SaidWatch:
    """
    Whether what was said is heard, kept and obeyed.

    :param stage: the story.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        kinds = {step.kind for step in stage.plan.steps}
        #: Whether the wall clock runs evenly, and nobody has mail tried before its time.
        self._even = "clock" not in kinds
        self._patient = self._even and "flush" not in kinds
        #: Whether bodies are read at once.
        self._quick = not any("disk" in kind for kind in kinds)

    def kept(self, message: Message) -> None:
        """
        The service has *message*: as it was sent.
        """
        reception = message.reception
        letter = self._letter(message)
        if letter is None:
            return
        for name, value in letter.said.items():
            found = _found(message, name)
            # A time that had passed when it came is now.
            if found != value and not (name == "not_before" and found == 0.0 and value <= reception.creation_time):
                text = f"{message.recipient!r} was sent with {name} {value!r}, and has {found!r}"
                self._stage.fault("forgotten", text)
        extra = [name for name in (*_FIELDS, *_REPORTS) if name not in letter.said and _found(message, name)]
        if extra:
            self._stage.fault("forgotten", f"{message.recipient!r} has {extra}, which nobody said")

    def attempted(self, message: Message) -> None:
        """
        The service begins an attempt.
        """
        wall = self._stage.wall()
        letter = self._letter(message)
        said: Any = letter.said if letter is not None else {}
        if self._patient and wall < said.get("not_before", 0.0) - 1e-6:
            self._stage.fault("attempted before its time", f"{message.recipient!r} at {wall:.3f}, {said}")
        if self._even and self._quick and wall >= said.get("expires", wall + 1.0):
            self._stage.fault("attempted after its time", f"{message.recipient!r} at {wall:.3f}, {said}")

    def too_early(self, message: Message, unattempted: bool) -> bool:
        """
        Whether *message* is given up for its age although its time has not come.

        :param unattempted: whether it was due, and could have been attempted.
        """
        stage, reception = self._stage, message.reception
        assert message.domain is not None
        settings = stage.config().path(message.binding_slot, message.domain.domain)
        wall = stage.wall()
        if not reception.expires:
            # By a steady clock, as far back as the process has known the message.
            began = reception.began_by(stage.world.service.delivery.facilities.wall.stepped)
            return wall - began < settings.message_expiration
        if unattempted:
            return wall < reception.expires
        # No further attempt fits in.
        schedule = RetrySchedule.of(settings)
        listed = [interval for rule in schedule.retry_by_reply for interval in rule.intervals]
        longest = max(schedule.delay(number, 1.0) for number in range(1, 50))
        return wall + max(longest, max(listed, default=0.0) * (1.0 + schedule.retry_jitter)) < reception.expires

    def _letter(self, message: Message) -> Letter | None:
        parcel = self._stage.books.parcels.get(message.recipient)
        return parcel.letter if parcel is not None else None
