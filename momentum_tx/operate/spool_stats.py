"""
``momentum-tx spool stats``: what is in a spool.
"""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import Any, Final

from .spool_files import printable
from .spool_reading import Reading
from .spool_state import Stand

#: Bounds of the classes of age, in seconds, and their names.
_AGES: Final = (
    (60.0, "under a minute"),
    (600.0, "under 10 minutes"),
    (3600.0, "under an hour"),
    (6 * 3600.0, "under 6 hours"),
    (86400.0, "under a day"),
    (3 * 86400.0, "under 3 days"),
    (inf, "3 days and more"),
)


def values(reading: Reading, now: float, top: int) -> dict[str, Any]:
    """
    The figures, for JSON.

    :param now: wall time.
    :param top: domains and bindings that are named; the rest is summed up.
    """
    stands: Counter[str] = Counter({stand.value: 0 for stand in Stand})
    domains: Counter[str] = Counter()
    bindings: Counter[str] = Counter()
    ages: Counter[str] = Counter({name: 0 for _, name in _AGES})
    ambiguous = 0
    oldest: tuple[float, str] | None = None
    for _, kept, _, message in reading.state.messages():
        stands[message.stand(now).value] += 1
        domains[message.domain] += 1
        bindings[message.binding] += 1
        ambiguous += message.ambiguous > 0
        age = now - kept.created
        ages[next(name for bound, name in _AGES if age < bound or bound == inf)] += 1
        if oldest is None or kept.created < oldest[0]:
            oldest = kept.created, message.domain
    return {
        "spool": printable(reading.look.path),
        "running": reading.running,
        "now": now,
        "receptions": len(reading.state.receptions),
        "messages": sum(stands.values()),
        "states": dict(stands),
        "ambiguous": ambiguous,
        "domains": len(domains),
        "top_domains": _top(domains, top),
        "bindings": _top(bindings, top),
        "ages": dict(ages),
        "oldest": None if oldest is None else {"created": oldest[0], "age": now - oldest[0], "domain": oldest[1]},
        "octets": reading.octets,
        "segments": _segments(reading),
    }


def _top(counted: Counter[str], top: int) -> list[dict[str, Any]]:
    return [{"name": printable(name), "messages": count} for name, count in counted.most_common(top)]


def _segments(reading: Reading) -> list[dict[str, Any]]:
    """
    Per segment what lives in it, and why it is still there.
    """
    state = reading.state
    receptions: Counter[int] = Counter()
    messages: Counter[int] = Counter()
    octets: Counter[int] = Counter()
    oldest: dict[int, float] = {}
    for kept in state.receptions.values():
        receptions[kept.segment] += 1
        messages[kept.segment] += sum(1 for _ in kept.live())
        octets[kept.segment] += kept.octets
        oldest[kept.segment] = min(kept.created, oldest.get(kept.segment, inf))
    present = {report.number for report in reading.segments}
    told = []
    for report in reading.segments:
        number = report.number
        about = sorted(state.needs.get(number, set()) & present)
        told.append(
            {
                "number": number,
                "name": report.name,
                "octets": report.size,
                "live": octets[number],
                "dead": max(0, report.size - octets[number]),
                "receptions": receptions[number],
                "messages": messages[number],
                "oldest": oldest.get(number),
                "records_about": about,
                "read": report.usable,
            }
        )
    return told


def text(told: dict[str, Any]) -> str:
    """
    The figures, for people.
    """
    lines = [f"spool: {told['spool']}{', of a service that is running' if told['running'] else ''}"]
    lines.append(f"messages: {told['messages']} of {told['receptions']} receptions, to {told['domains']} domains")
    lines += [f"  {name}: {count}" for name, count in told["states"].items()]
    lines.append(f"  of these, with attempts that nobody knows the end of: {told['ambiguous']}")
    if told["oldest"] is not None:
        lines.append(f"oldest: {_span(told['oldest']['age'])} old, to {printable(told['oldest']['domain'])}")
        lines.append("age:")
        lines += [f"  {name}: {count}" for name, count in told["ages"].items() if count]
    for title, key in (("domains", "top_domains"), ("bindings", "bindings")):
        if told[key]:
            lines.append(f"{title}:")
            lines += [f"  {each['messages']:>9} {each['name'] or '(none chosen)'}" for each in told[key]]
    lines.append(f"segments: {len(told['segments'])}, {told['octets']} octets")
    lines += [f"  {line}" for line in map(_segment_line, told["segments"])]
    return "\n".join(lines) + "\n"


def _segment_line(segment: dict[str, Any]) -> str:
    line = f"{segment['name']}: {segment['octets']} octets, {segment['live']} of them of mail that waits"
    reasons = []
    if segment["messages"]:
        reasons.append(f"{segment['messages']} messages in it")
    about = segment["records_about"]
    if about:
        shown = ", ".join(str(number) for number in about[:5])
        more = f" and {len(about) - 5} more" if len(about) > 5 else ""
        reasons.append(f"records about segments {shown}{more}")
    kept = f"{line}; kept by {', '.join(reasons) or 'nothing'}"
    return kept if segment["read"] else f"{kept} that is known: it cannot be read whole"


def _span(seconds: float) -> str:
    seconds = max(0, int(seconds))
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    clock = f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{days} d {clock}" if days else clock
