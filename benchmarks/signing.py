"""
What a DKIM signature costs: milliseconds of processor time for each message, of
our signer and of dkimpy, which knows only RSA as fast as Python is.

``doc/reference/benchmarks.md`` says what each column means.  It needs nothing
but a processor, and dkimpy for the comparison::

    python benchmarks/signing.py
"""

from __future__ import annotations

import argparse
import base64
import importlib
import json
import statistics
import sys
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
    arguments = parser.parse_args()
    report = benchmark(arguments.runs)
    print(json.dumps(report, indent=2) if arguments.json else table(report))


if __name__ == "__main__":
    main()
