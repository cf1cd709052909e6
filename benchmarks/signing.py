"""
What a DKIM signature costs: milliseconds of processor time for each message, of
our signer and of dkimpy, which knows only RSA as fast as Python is.  And how many
messages a second the service's signer signs with its threads.

``doc/reference/benchmarks.md`` says what each column means.  It needs nothing
but a processor, and dkimpy for the comparison::

    python benchmarks/signing.py
    python benchmarks/signing.py --rate
"""

from __future__ import annotations

import argparse
import base64
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

from machine import machine

from momentum_tx.message.dkim import sign
from momentum_tx.message.dkim_keys import SigningKey
from momentum_tx.settings import DKIMSignature

#: Octets of a message.
SIZES: Final = (2_000, 50_000, 1_000_000)
#: Seconds of processor time for one figure.
ENOUGH: Final = 0.5
NOW: Final = 1_700_000_000.0
HEAD: Final = (
    b"Received: from app.example ([192.0.2.7])\r\n\tby mail.example with esmtp id 00/00-00000-00000000;\r\n"
    b"\tTue, 14 Nov 2023 22:13:20 +0000\r\nFrom: News <news@example.com>\r\nTo: Bob <bob@example.org>\r\n"
    b"Subject: What you have waited for\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
)


def encoded(size: int) -> bytes:
    """
    A body in base64, of which canonicalization takes nothing away.
    """
    text = base64.b64encode(Random(1).randbytes(size * 3 // 4))
    return b"".join(text[at : at + 76] + b"\r\n" for at in range(0, size, 76))


def indented(size: int) -> bytes:
    """
    A body as people indent it: blanks at the beginning of lines, and some at their end.
    """
    line = b"    <td class='a'>\tsome  words in a cell</td> \r\n"
    return line * (size // len(line))


BODIES: Final[dict[str, Callable[[int], bytes]]] = {"base64": encoded, "indented": indented}


def milliseconds(work: Callable[[], object]) -> float:
    """
    Processor time of one call.
    """
    work()
    count, spent = 0, 0.0
    start = time.process_time()
    while spent < ENOUGH:
        work()
        count += 1
        spent = time.process_time() - start
    return spent / count * 1000


def _messages(count: int) -> list[bytes]:
    return [HEAD.replace(b"<1@", b"<%d@" % number) + encoded(2_000 - len(HEAD)) for number in range(count)]


def signed(threads: int, count: int, inline: bool = False) -> tuple[float, float]:
    """
    Have the service's signer sign *count* messages of 2,000 octets with RSA 2048, in the
    manner of a busy listener: 400 are asked for at once, and one more for each that is done.

    A process of its own calls it, for the reactor runs once.

    :param threads: ``dkim_threads``.
    :param inline: sign in the reactor's thread instead, to compare.
    :returns: seconds, and seconds of processor time.
    """
    # Here, for a reactor is installed with it.
    from twisted.internet import reactor

    from momentum_tx.config import load
    from momentum_tx.hooks.outbound import OutboundHooks
    from momentum_tx.inject.signing import Signer, load_keys
    from momentum_tx.queues.message import Reception
    from momentum_tx.seams import real_seams
    from momentum_tx.tap import SWITCH_INTERVAL

    real: Any = reactor
    sys.setswitchinterval(SWITCH_INTERVAL)
    key, pem = SigningKey.generate("rsa")
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(pem)
        file.flush()
        config = load.parse(
            f'[global]\ndkim_threads = {threads}\n[dkim."example.com".selector.r]\nkeyfile = "{file.name}"\n', "-"
        )
        seams = real_seams(real)
        signer = Signer(lambda: config, OutboundHooks(), seams.computing, real, time.time)
        signer.use(load_keys(config, []))
    waiting = _messages(count)
    reception = Reception.__new__(Reception)
    done = 0
    begun = time.perf_counter(), time.process_time()
    ended = begun
    pairs = [(DKIMSignature("example.com", "r", key="-"), key)]

    def one() -> None:
        if not waiting:
            return
        content = waiting.pop()
        if inline:
            real.callLater(0, finished, sign(content, pairs, NOW) + content)
            return
        result: Any = signer.sign(reception, content)
        result.addCallback(finished)

    def finished(content: bytes) -> None:
        nonlocal done, ended
        done += 1
        if done == count:
            ended = time.perf_counter(), time.process_time()
            seams.computing.stop()
            real.stop()
        one()

    def begin() -> None:
        for _ in range(400):
            one()

    real.callWhenRunning(begin)
    real.run(installSignalHandlers=False)
    return ended[0] - begun[0], ended[1] - begun[1]


def _bare(count: int) -> float:
    """
    Seconds that one thread takes for the arithmetic of *count* signatures alone.
    """
    key, _ = SigningKey.generate("rsa")
    begun = time.perf_counter()
    for _ in range(count):
        key.sign(HEAD)
    return time.perf_counter() - begun


def rates(runs: int, count: int) -> dict[str, Any]:
    """
    Messages a second, each figure of a process of its own, interleaved.
    """
    ways: dict[str, tuple[int, bool]] = {
        "in the reactor's thread": (1, True),
        "1 thread": (1, False),
        "2 threads": (2, False),
        "3 threads": (3, False),
    }
    found: dict[str, dict[str, list[float]]] = {name: {"rate": [], "microseconds": []} for name in ways}
    for run in range(runs):
        for name, (threads, inline) in ways.items():
            ended = subprocess.run(
                [sys.executable, __file__, "--one", str(threads), "--messages", str(count)] + ["--inline"] * inline,
                check=True,
                capture_output=True,
                text=True,
            )
            seconds, worked = json.loads(ended.stdout)
            found[name]["rate"].append(round(count / seconds))
            found[name]["microseconds"].append(round(worked / count * 1e6, 1))
        print(f"run {run + 1}", file=sys.stderr)
    return {"machine": machine(), "runs": runs, "bare": round(_bare(1000) * 1000), "rates": found}


def rate_table(report: dict[str, Any]) -> str:
    """
    The report for people: medians.
    """
    about = report["machine"]
    lines = [
        f"{about['processors']} processors ({about['model']}), Linux {about['kernel']}, Python {about['python']}, "
        f"load before {about['load_before']}; medians of {report['runs']}; one bare RSA signature: {report['bare']} us",
        "",
        "| RSA 2048, 2,000 octets | messages a second | processor time, us |",
        "| --- | ---: | ---: |",
    ]
    for name, row in report["rates"].items():
        figures = [statistics.median(row[each]) for each in ("rate", "microseconds")]
        lines.append(f"| {name} | {figures[0]:,.0f} | {figures[1]:.0f} |")
    return "\n".join(lines)


def signers() -> dict[str, Callable[[bytes], object]]:
    """
    Who signs, by the title of a column.
    """
    rsa, pem = SigningKey.generate("rsa")
    ed25519, _ = SigningKey.generate("ed25519")
    first, second = DKIMSignature("example.com", "r", key="-"), DKIMSignature("example.com", "e", key="-")
    found: dict[str, Callable[[bytes], object]] = {
        "RSA 2048": lambda content: sign(content, [(first, rsa)], NOW),
        "Ed25519": lambda content: sign(content, [(second, ed25519)], NOW),
        "both": lambda content: sign(content, [(first, rsa), (second, ed25519)], NOW),
    }
    try:
        dkimpy: Any = importlib.import_module("dkim")
    except ImportError:
        print("signing: dkimpy is not installed, ours alone is measured", file=sys.stderr)
    else:
        found["dkimpy, RSA 2048"] = lambda content: dkimpy.sign(
            content, b"r", b"example.com", pem, canonicalize=(b"relaxed", b"relaxed")
        )
    return found


def benchmark(runs: int) -> dict[str, Any]:
    """
    All rows, all runs.
    """
    about = machine()
    found: dict[str, dict[str, list[float]]] = {}
    columns = signers()
    for run in range(runs):
        for body, make in BODIES.items():
            for size in SIZES:
                name = f"{size:,} octets, {body}"
                content = HEAD + make(size - len(HEAD))
                for column, work in columns.items():
                    figure = round(milliseconds(lambda work=work, content=content: work(content)), 3)  # type: ignore[misc]
                    found.setdefault(name, {}).setdefault(column, []).append(figure)
                print(f"run {run + 1}: {name}", file=sys.stderr)
    return {"machine": about, "runs": runs, "milliseconds": found}


def table(report: dict[str, Any]) -> str:
    """
    The report for people: medians.
    """
    about = report["machine"]
    rows = report["milliseconds"]
    columns = list(next(iter(rows.values())))
    lines = [
        f"{about['processors']} processors ({about['model']}), Linux {about['kernel']}, Python {about['python']}, "
        f"load before {about['load_before']}; CPU ms for each message, medians of {report['runs']}",
        "",
        f"| message | {' | '.join(columns)} |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{statistics.median(row[each]):.2f}" for each in columns) + " |")
    return "\n".join(lines)


def main() -> None:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(description="What a DKIM signature costs.")
    parser.add_argument("--runs", type=int, default=3, help="how often each row is measured (default 3)")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    parser.add_argument("--rate", action="store_true", help="how many messages a second the service's signer signs")
    parser.add_argument("--messages", type=int, default=6000, help="of each figure of --rate (default 6000)")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--inline", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(signed(arguments.one, arguments.messages, arguments.inline)))
        return
    if arguments.rate:
        report = rates(arguments.runs, arguments.messages)
        print(json.dumps(report, indent=2) if arguments.json else rate_table(report))
        return
    report = benchmark(arguments.runs)
    print(json.dumps(report, indent=2) if arguments.json else table(report))


if __name__ == "__main__":
    main()
