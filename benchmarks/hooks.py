"""
What a hook costs: nanoseconds for each call and message, by shape and number of
providers, whose methods do nothing; and a message's whole way through all hooks of a
delivery, with three providers of each and with none.

``doc/reference/benchmarks.md`` says what each row means.  It needs nothing but a
processor::

    python benchmarks/hooks.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from machine import machine
from zope.interface import implementer

from momentum_tx import OutboundHooks
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.interfaces import queue_hooks, session_hooks
from momentum_tx.testing.bench import Bench

#: Calls for one figure.
CALLS: Final = 200_000
PROVIDERS: Final = (0, 1, 3)


@implementer(
    contracts.ILogReceptionV1,
    contracts.ILogAttemptV1,
    contracts.ILogDeliveryV1,
    contracts.IConnectionGoal,
    contracts.IVetoHostConnection,
    contracts.IBindingGroupChooseBinding,
    queue_hooks.IMsgDispose,
    session_hooks.IIncOutboundMessThrottle,
)
class Idle:
    """
    A provider that does nothing.
    """

    def log_reception_v1(self, ac: Any, msg: Any, now: float | None, note: bytes | None) -> None:
        pass

    def log_attempt_v1(self, msg: Any, dr: Any, now: float | None, note: bytes) -> None:
        pass

    def log_delivery_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        pass

    def connection_goal(self, dr: Any, binding_slot: int, queued: int, goal: int) -> int:
        return goal

    def veto_host_connection(self, host: str, dr: Any, binding_slot: int, max_conns: int, cur_conns: int) -> bool:
        return False

    def binding_group_choose_binding(self, msg: Any, group: str) -> int | None:
        return None

    def msg_dispose(self, msg: Any, delivered: bool) -> None:
        pass

    def inc_outbound_mess_throttle(self, binding_id: int, dr: Any) -> None:
        pass


def calls(providers: int) -> dict[str, Callable[[], object]]:
    """
    One call of each shape, as the service makes it.
    """
    hooks = OutboundHooks()
    hooks.turn.rules.clock = time.monotonic
    for _ in range(providers):
        hooks.register_last(Idle())
    bench = Bench()
    message = bench.message()
    dr: Any = message.domain
    told, asked, fold, override = (
        hooks.log_delivery_v1,
        hooks.veto_host_connection,
        hooks.connection_goal,
        hooks.binding_group_choose_binding,
    )

    def notice() -> None:
        if told:
            told.tell(message, dr, 1.0, b"250 ok")

    def veto() -> None:
        if asked:
            asked.vetoed(lambda provider: provider.veto_host_connection("mx", dr, 0, -1, 0))

    def folded() -> None:
        if fold:
            fold.fold(9, lambda provider, goal: provider.connection_goal(dr, 0, 1, goal))

    def overridden() -> None:
        if override:
            override.override(lambda provider: provider.binding_group_choose_binding(message, "g"))

    return {"notice": notice, "veto": veto, "fold": folded, "override": overridden}


def nanoseconds(call: Callable[[], object], count: int) -> float:
    """
    Processor time of one call, the loop around it taken away.
    """

    def nothing() -> None:
        pass

    def timed(function: Callable[[], object]) -> float:
        begin = time.process_time_ns()
        for _ in range(count):
            function()
        return (time.process_time_ns() - begin) / count

    return max(0.0, timed(call) - timed(nothing))


def main() -> int:
    """
    Measure, and print a table or JSON.
    """
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--calls", type=int, default=CALLS, metavar="N", help="calls for one figure")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="figures, of which the median counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    for providers in PROVIDERS:
        for shape, call in calls(providers).items():
            figures = [nanoseconds(call, options.calls) for _ in range(options.runs)]
            rows.setdefault(shape, {})[str(providers)] = round(statistics.median(figures), 1)
    if options.json:
        sys.stdout.write(json.dumps({"benchmark": "hooks", "machine": machine(), "rows": rows}) + "\n")
        return 0
    sys.stdout.write(f"{'nanoseconds a call':<20}" + "".join(f"{n:>10} providers" for n in PROVIDERS) + "\n")
    for shape, row in rows.items():
        sys.stdout.write(f"{shape:<20}" + "".join(f"{row[str(n)]:>20,.0f}" for n in PROVIDERS) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
