"""
How fast the virtual world is: deliveries per second of processor time, and what
a day costs on which little happens.

``doc/reference/benchmarks.md`` says what each column means.  It needs nothing
but a processor::

    python benchmarks/simulation.py --runs 3
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from machine import machine

from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

#: Clients that inject over SMTP at once, and messages submitted in process at once.
AT_ONCE: Final = 20
#: Seconds of virtual time within which everything has to be delivered once it is injected.
LONGEST: Final = 600
#: Seconds of a day, and those before it in which the world comes to rest.
DAY: Final = 86_400.0
SETTLING: Final = 60.0
#: Messages that wait on a day on which their host is down.
WAITING: Final = 100
SENDER: Final = "news@sender.example"


class Failed(Exception):
    """
    A world did not do what is to be measured; the text says what it did.
    """


@dataclass(frozen=True)
class Load:
    """
    So many messages through a world whose receivers take everything at once.

    :ivar messages: how many.
    :ivar domains: over how many domains, each with one exchanger.
    :ivar smtp: whether clients inject them over SMTP; otherwise in process.
    """

    messages: int
    domains: int
    smtp: bool

    @property
    def name(self) -> str:
        """
        As printed.
        """
        domains = "one domain" if self.domains == 1 else f"{self.domains} domains"
        return f"{self.messages:,} messages, {domains}, {'over SMTP' if self.smtp else 'in process'}"

    def measure(self) -> float:
        """
        Deliveries per second of processor time, from the first submission to the last delivery.
        """
        world = World()
        receivers = [world.exchanger(f"domain{number}.example") for number in range(self.domains)]
        for receiver in receivers:
            receiver.keep_commands = False
        gc.collect()
        before = time.process_time()
        self._inject(world)
        for _ in range(LONGEST):
            if _taken(receivers) >= self.messages:
                break
            world.advance(1.0)
        spent = time.process_time() - before
        if _taken(receivers) != self.messages or world.summary().delivered != self.messages:
            raise Failed(f"{self.name}:\n{world.summary()}")
        world.stop()
        return self.messages / spent

    def _inject(self, world: World) -> None:
        for first in range(0, self.messages, AT_ONCE):
            clients = []
            for number in range(first, min(first + AT_ONCE, self.messages)):
                recipients = [f"user{number}@domain{number % self.domains}.example"]
                content = world.message(f"news {number}")
                if self.smtp:
                    clients.append(world.begin_injection(SENDER, recipients, content))
                else:
                    world.send(SENDER, recipients, content)
            # The time that the clients of one round take, to the last QUIT.
            world.advance(0.02)
            if not all(client.over for client in clients):
                raise Failed("the clients of one round need more than its time")


def _taken(receivers: list[Receiver]) -> int:
    return sum(len(receiver.ledger) for receiver in receivers)


@dataclass(frozen=True)
class Day:
    """
    A day on which nothing is delivered.

    :ivar waiting: messages that wait for a host that is down, tried as the
        default options have it.
    """

    waiting: int

    @property
    def name(self) -> str:
        """
        As printed.
        """
        return f"a day, {self.waiting} messages waiting for a host that is down" if self.waiting else "a day, no mail"

    def measure(self) -> float:
        """
        Milliseconds of processor time.
        """
        world = World()
        down = world.exchanger("down.example")
        world.network.refuse(down.address)
        for number in range(self.waiting):
            world.send(SENDER, [f"user{number}@down.example"], world.message())
        world.advance(SETTLING)
        gc.collect()
        before = time.process_time()
        # Not beyond the messages' life, when they would be given up.
        world.advance(DAY - SETTLING)
        spent = time.process_time() - before
        if world.summary().waiting != self.waiting:
            raise Failed(f"{self.name}:\n{world.summary()}")
        world.stop()
        return spent * 1000


LOADS: Final = tuple(
    Load(messages, domains, smtp) for messages in (2_000, 20_000) for domains in (1, 50) for smtp in (False, True)
)
DAYS: Final = (Day(0), Day(WAITING))


def benchmark(runs: int, words: list[str]) -> dict[str, Any]:
    """
    All rows, all runs.

    :param words: only rows whose name holds one of these; empty for all.
    :returns: the machine, and every figure by row.
    """

    def figures(rows: list[tuple[str, Callable[[], float]]], digits: int) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for run in range(runs):
            for name, measure in rows:
                if not words or any(word in name for word in words):
                    figure = round(measure(), digits)
                    found.setdefault(name, []).append(figure)
                    print(f"run {run + 1}: {name}: {figure:,.{digits}f}", file=sys.stderr)
        return found

    about = machine()
    # Code that runs for the first time is slower.
    Load(500, 2, True).measure()
    return {
        "machine": about,
        "runs": runs,
        "deliveries": figures([(load.name, load.measure) for load in LOADS], 0),
        "milliseconds": figures([(day.name, day.measure) for day in DAYS], 1),
    }


def table(report: dict[str, Any]) -> str:
    """
    The report for people: medians.
    """
    about = report["machine"]
    lines = [
        f"{about['processors']} processors ({about['model']}), Linux {about['kernel']}, Python {about['python']}, "
        f"Twisted {about['twisted']}, load before {about['load_before']}; medians of {report['runs']}"
    ]
    for key, title, unit in (
        ("deliveries", "load", "deliveries/CPU s"),
        ("milliseconds", "time simulated", "CPU ms"),
    ):
        rows = report[key]
        if rows:
            lines += ["", f"| {title} | {unit} |", "| --- | ---: |"]
            lines += [f"| {name} | {statistics.median(found):,.0f} |" for name, found in rows.items()]
    return "\n".join(lines)


def main() -> None:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(description="Speed of momentum_tx's virtual world.")
    parser.add_argument("--runs", type=int, default=3, help="how often each row is measured (default 3)")
    parser.add_argument("--row", action="append", default=[], help="only rows whose name holds this; may be repeated")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    arguments = parser.parse_args()
    try:
        report = benchmark(arguments.runs, arguments.row)
    except Failed as reason:
        sys.exit(f"simulation: {reason}")
    print(json.dumps(report, indent=2) if arguments.json else table(report))


if __name__ == "__main__":
    main()
