"""
What an injector may say of a message besides its envelope: the source it
leaves from, its traits, and the times between which it is attempted.

An embedding application says it with arguments, a trusted client with header
fields, which are removed.  Pure: what is wrong is refused with a text that
says what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypedDict

from ..envelope import NO_NOTIFY, NO_TERMS, Notify, RecipientTerms, Terms
from ..errors import MessageRefused
from ..interfaces.services import Submission
from ..message.headers import HeaderBlock
from ..policy.shares import TRAIT_NAME
from ..smtp.dsn import check_envid, check_notify, check_orcpt, read_notify, read_ret

#: Seconds a time may lie ahead: what is beyond is a mistake, such as milliseconds.
MAX_AHEAD: Final = 366 * 86400.0

#: Attribute of the submission, and the field that stands for it.
_NAMES: Final = {"tenant": "X-Tenant", "campaign": "X-Campaign", "priority": "X-Priority-Class"}
_TIMES: Final = {"not_before": "X-Not-Before", "expires": "X-Expires"}
_SOURCES: Final = {"binding": "X-Binding", "binding_group": "X-Binding-Group"}
#: The fields, lower case.  X-Priority is not among them: mail programs write it for their readers.
FIELDS: Final = frozenset(field.lower().encode() for field in (*_SOURCES.values(), *_NAMES.values(), *_TIMES.values()))

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,14}(?:\.[0-9]{1,9})?")
# A zone that its reader may not know would be taken for UTC.
_ZONE: Final = re.compile(r"(?:[+-][0-9]{4}|GMT|UTC?)(?:\s*\([^()]*\))?$", re.ASCII)


#: What may be said of reports on one recipient: flags, or the words of the parameter NOTIFY.
NotifyWish = Notify | str


class Wishes(TypedDict, total=False):
    """
    The keywords of :meth:`momentum_tx.inject.in_process.InProcess.send`.
    """

    binding: str
    binding_group: str
    tenant: str
    campaign: str
    priority: str
    not_before: float | datetime | None
    expires: float | datetime | None
    envid: str
    ret: str
    notify: NotifyWish | Sequence[NotifyWish]
    orcpt: str | Sequence[str]
    require_tls: bool


def wall_time(time: float | datetime | None) -> float:
    """
    A time in epoch seconds; 0 for ``None``.

    :raises ValueError: it has no time zone, or is no number.
    """
    if time is None:
        return 0.0
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise ValueError(f"{time} has no time zone")
        return time.timestamp()
    seconds = float(time)
    if not abs(seconds) < 1e15:
        raise ValueError(f"{seconds} is no time")
    return seconds


def terms_from(
    count: int,
    envid: str,
    ret: str,
    notify: NotifyWish | Sequence[NotifyWish],
    orcpt: str | Sequence[str],
    require_tls: bool,
) -> Terms:
    """
    The terms that keywords say.

    :param count: how many recipients there are.
    :param notify: for all of them, or one for each.
    :param orcpt: of the only one, or one for each; empty for none.
    :raises ValueError: they make no sense.
    """
    if not (envid or ret or notify or orcpt or require_tls):
        return NO_TERMS
    wanted = [notify] * count if isinstance(notify, str | Notify) else list(notify)
    originals = ([orcpt] if orcpt else [""] * count) if isinstance(orcpt, str) else list(orcpt or [""] * count)
    for name, given in (("notify", wanted), ("orcpt", originals)):
        if len(given) != count:
            raise ValueError(f"{name}: {len(given)} for {count} recipients")
    recipients = {}
    for index, (flags, original) in enumerate(zip(wanted, originals, strict=True)):
        if flags or original:
            recipients[index] = RecipientTerms(_notify_of(flags), check_orcpt(original.encode()) if original else b"")
    return Terms(
        envid=check_envid(envid.encode()) if envid else b"",
        ret=read_ret(ret.encode()) if ret else "",
        require_tls=require_tls,
        recipients=recipients,
    )


def _notify_of(wish: NotifyWish) -> Notify:
    if isinstance(wish, str):
        return read_notify(wish.replace(" ", "").encode()) if wish else NO_NOTIFY
    return check_notify(Notify(wish))


def terms_of(submission: Submission, content: bytes, head: bytes) -> Terms:
    """
    The terms of a submission that is taken: those of its envelope, its times, and
    what the field ``TLS-Required`` says (RFC 8689 5); next to REQUIRETLS that says
    nothing.

    :param head: :func:`~momentum_tx.message.headers.lower_head` of *content*, which may
        have changed since in other fields.
    """
    terms = submission.terms
    # One look is enough for most mail.
    optional = b"tls-required" in head and not terms.require_tls and _tls_optional(content)
    if not (submission.not_before or submission.expires or optional):
        return terms
    return replace(terms, not_before=submission.not_before, expires=submission.expires, tls_optional=optional)


def _tls_optional(content: bytes) -> bool:
    return any(value.lower() == b"no" for value in HeaderBlock(content).get_all(b"TLS-Required"))


def obey(submission: Submission, fields: dict[bytes, bytes]) -> Submission:
    """
    *submission* with what header fields say; what it says itself decides.

    :param fields: value by lower-case name.
    :raises MessageRefused: a value makes no sense.
    """
    said: dict[str, str | float] = {}
    if not submission.binding and not submission.binding_group:
        for name, field in _SOURCES.items():
            value = _value(fields, field)
            if value is not None:
                said[name] = value
    for name, field in _NAMES.items():
        value = _value(fields, field)
        if value is not None and not getattr(submission, name):
            _check_name(field, value)
            said[name] = value
    for name, field in _TIMES.items():
        value = _value(fields, field)
        if value is not None and not getattr(submission, name):
            said[name] = _read_time(field, value)
    return submission._replace(**said)  # type: ignore[arg-type]


def check(submission: Submission, now: float) -> Submission:
    """
    See to it that names and times are possible.

    :param now: wall time.
    :returns: *submission*; a *not_before* that has passed is taken away.
    :raises MessageRefused: one is not.
    """
    not_before, expires = submission.not_before, submission.expires
    if not (submission.tenant or submission.campaign or submission.priority or not_before or expires):
        return submission
    for name in _NAMES:
        value = getattr(submission, name)
        if value:
            _check_name(name, value)
    for name in _TIMES:
        if getattr(submission, name) > now + MAX_AHEAD:
            raise _refused(name, "is more than a year ahead (epoch seconds are expected)")
    if expires:
        if expires <= now:
            raise _refused("expires", "has passed already")
        if expires <= not_before:
            raise _refused("expires", "comes before the first attempt")
    return submission._replace(not_before=0.0) if not_before and not_before <= now else submission


def _value(fields: dict[bytes, bytes], field: str) -> str | None:
    value = fields.get(field.lower().encode())
    return None if value is None else value.decode("utf-8", "replace")


def _check_name(label: str, value: str) -> None:
    if not TRAIT_NAME.fullmatch(value):
        raise _refused(label, f"{shown(value)} is no name: 1 to 64 printable ASCII characters are possible")


def _read_time(field: str, value: str) -> float:
    if _NUMBER.fullmatch(value):
        return float(value)
    try:
        if not _ZONE.search(value):
            raise ValueError("no zone")
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        raise _refused(
            field, f"{shown(value)} is no time: a date as in Date fields, with its zone, or epoch seconds"
        ) from None


def _refused(label: str, text: str) -> MessageRefused:
    return MessageRefused(550, f"5.6.0 {label}: {text}")


def shown(value: str) -> str:
    """
    *value* for a reply: quoted, ASCII, not too long.
    """
    return ascii(value[:64])[:200]
