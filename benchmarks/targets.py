"""
What is promised of speed, and what the reports of the benchmarks say to it.

Absolute figures are promised for an idle machine of two processors.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

#: As a benchmark prints it with ``--json``.
Report = dict[str, Any]
CONNECTED_ANEW: Final = "4 KiB, one message per connection"
REUSED: Final = "4 KiB, connections reused"
LARGE: Final = "100 KiB, one message per connection"
#: A curve that ends higher than this many times its beginning grows.
FLAT: Final = 1.25


@dataclass(frozen=True)
class Target:
    """
    One promise.

    :ivar what: is promised.
    :ivar bound: the promised value.
    :ivar least: whether the value is to be no less; otherwise no more.
    :ivar unit: of the value, as printed.
    :ivar benchmark: whose report says it.
    :ivar value: finds it in the report; ``LookupError`` where it was not measured.
    """

    what: str
    bound: float
    least: bool
    unit: str
    benchmark: str
    value: Callable[[Report], float]

    @property
    def promised(self) -> str:
        """
        As printed.
        """
        return f"{'>=' if self.least else '<='} {self.bound:,g}{self.unit}"

    def holds(self, value: float) -> bool:
        """
        Whether *value* keeps the promise.
        """
        return value >= self.bound if self.least else value <= self.bound


def median(of: Iterable[float]) -> float:
    """
    The middle one.

    :raises LookupError: there is none.
    """
    values = list(of)
    if not values:
        raise LookupError("not measured")
    return statistics.median(values)


def most(of: Iterable[float]) -> float:
    """
    The largest.

    :raises LookupError: there is none.
    """
    values = list(of)
    if not values:
        raise LookupError("not measured")
    return max(values)


def times_postfix(row: str) -> Callable[[Report], float]:
    """
    Our rate, as a multiple of Postfix's.
    """
    return lambda report: (
        median(report["rows"][row]["momentum_tx"]["rate"]) / median(report["rows"][row]["Postfix"]["rate"])
    )


def throughput(row: str, key: str) -> Callable[[Report], float]:
    """
    A figure of ours.

    :param row: its name, or a word in it.
    """

    def value(report: Report) -> float:
        return median(
            figure for name, servers in report["rows"].items() if row in name for figure in servers["momentum_tx"][key]
        )

    return value


def late(key: str) -> Callable[[Report], float]:
    """
    The worst of all loads.
    """
    return lambda report: most(row["late"][key] for row in report["rows"].values())


def growth(report: Report) -> float:
    """
    Of the curve that grows most, the largest point as a multiple of the smallest.
    """
    ratios = []
    for points in report["axes"].values():
        curve = [median(found["cpu_us"]) for found in points.values()]
        ratios.append(curve[-1] / curve[0])
    return most(ratios)


def resident(report: Report) -> float:
    """
    MiB of a million messages of one recipient that wait.

    :raises LookupError: it was another number.
    """
    if report["messages"] != 1_000_000:
        raise LookupError("measured with fewer")
    return float(report["rows"]["delayed, one recipient"]["resident"]) / (1 << 20)


def started(key: str) -> Callable[[Report], float]:
    """
    A figure of a start with a million messages.

    :raises LookupError: there were fewer.
    """

    def value(report: Report) -> float:
        if report["load"]["messages"] != 1_000_000:
            raise LookupError("measured with fewer")
        return float(report["found"][key])

    return value


def hook(providers: str) -> Callable[[Report], float]:
    """
    Nanoseconds of the dearest shape with so many providers.
    """
    return lambda report: max(float(row[providers]) for row in report["rows"].values())


TARGETS: Final = (
    Target(
        "4 KiB, one inbound connection per message", 4, True, " x Postfix", "throughput", times_postfix(CONNECTED_ANEW)
    ),
    Target("the same, processor time per 1,000", 0.26, False, " s", "throughput", throughput(CONNECTED_ANEW, "cpu")),
    Target("4 KiB, inbound connections reused", 5.5, True, " x Postfix", "throughput", times_postfix(REUSED)),
    Target("the same, processor time per 1,000", 0.17, False, " s", "throughput", throughput(REUSED, "cpu")),
    Target("100 KiB, one inbound connection per message", 750, True, "/s", "throughput", throughput(LARGE, "rate")),
    Target("with RSA-2048 DKIM", 2000, True, "/s", "throughput", throughput("RSA", "rate")),
    Target("with Ed25519 DKIM and TLS, per 1,000", 0.40, False, " s", "throughput", throughput("Ed25519", "cpu")),
    Target(
        "delivery alone, 20 connections reused, 4 KiB",
        60,
        False,
        " us",
        "client",
        lambda report: median(report["microseconds per message"]["20 plain"]["momentum_tx"]),
    ),
    Target(
        "with a new outbound connection each, bound source, plain",
        200,
        False,
        " us",
        "connections",
        lambda report: median(report["rows"]["new, bound source, plain"]),
    ),
    Target("a tick of the reactor too late, 99.9 %", 20, False, " ms", "stall", late("p99.9")),
    Target("a tick of the reactor too late, ever", 100, False, " ms", "stall", late("max")),
    Target(
        "from 250 to the first octet at the next hop, idle, 99 %",
        10,
        False,
        " ms",
        "latency",
        lambda report: most(row["first"]["p99"] for row in report["idle"].values()),
    ),
    Target(
        "accepted durably, 1 KiB over 50 connections",
        4000,
        True,
        "/s",
        "latency",
        lambda report: median(report["accept"]["connections reused"]["rate"]),
    ),
    Target("a million messages queued, in memory", 700, False, " MiB", "memory", resident),
    Target("start with them: first delivery", 2, False, " s", "recovery", started("delivery")),
    Target("start with them: all loaded", 40, False, " s", "recovery", started("loaded")),
    Target("an idle session in clear", 12, False, " KiB", "idle", lambda report: report["rows"]["plain"]["kib"]),
    Target("an idle session in TLS", 70, False, " KiB", "idle", lambda report: report["rows"]["TLS"]["kib"]),
    Target(
        "processor time of 10,000 idle sessions",
        1,
        False,
        " %",
        "idle",
        lambda report: most(row["cpu_percent"] for row in report["rows"].values()),
    ),
    Target(
        "rate that others keep beside destinations in trouble",
        95,
        True,
        " %",
        "isolation",
        lambda report: min(median(row["rate"]) for row in report["rows"].values()),
    ),
    Target("growth of the cost per message", FLAT, False, " x", "scaling", growth),
    Target("a hook with three providers", 1000, False, " ns", "hooks", hook("3")),
)


def targets(reports: Mapping[str, Report]) -> str:
    """
    All promises, what was found, and whether they hold, as a table.

    :param reports: by benchmark.
    """
    lines = ["| what | promised | found | holds | measured by |", "| --- | ---: | ---: | --- | --- |"]
    for target in TARGETS:
        try:
            value = target.value(reports[target.benchmark])
        except LookupError:
            found, holds = "", "not measured"
        else:
            digits = 2 if value < 10 else 1 if value < 100 else 0
            found, holds = f"{value:,.{digits}f}", "yes" if target.holds(value) else "NO"
        lines.append(f"| {target.what} | {target.promised} | {found} | {holds} | `benchmarks/{target.benchmark}.py` |")
    return "\n".join(lines)
