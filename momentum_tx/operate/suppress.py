"""
``momentum-tx suppress``: the suppression list of a running service.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TextIO

from ..errors import StartupError
from .control import asked_of

if TYPE_CHECKING:
    from ..config.configuration import Configuration

HELP: Final = "show and change whom a running service leaves out"
#: Entries of one request.
AT_ONCE: Final = 1000
FIELDS: Final = ("address", "tenant", "reason", "code", "since", "until", "note")


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    The arguments of the command.
    """
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, about: str, act: Callable[[argparse.Namespace, Configuration], int]) -> Any:
        sub = actions.add_parser(name, help=about, description=about)
        sub.add_argument("--config", metavar="FILE", help="its configuration file; without one the defaults")
        sub.set_defaults(act=act)
        return sub

    show = action("show", "say why an address is left out; exit status 1 if it is not", _show)
    add = action("add", "put addresses, or @ and a domain, on the list", _add)
    remove = action("remove", "take addresses off the list", _remove)
    for sub in (show, add, remove):
        sub.add_argument("address", nargs="+", metavar="ADDRESS")
        sub.add_argument("--tenant", default="", metavar="T", help="for the mail of this tenant alone")
    add.add_argument("--reason", default="manual", metavar="R", help="bounce, complaint, unsubscribe or manual")
    add.add_argument("--note", default="", metavar="TEXT", help="a word to people")
    add.add_argument("--days", type=float, default=0.0, metavar="N", help="how long; without it for ever")
    listing = action("list", "print the list", _list)
    listing.add_argument("--json", action="store_true", help="a line of JSON for each")
    export = action("export", "print the list as a file that import reads", _export)
    export.add_argument("--csv", action="store_true", help="as CSV instead of lines of JSON")
    importing = action("import", "enter what a file says: lines of JSON, CSV with a header, or addresses", _import)
    importing.add_argument("file", metavar="FILE", help="its path, or - for standard input")


def run(options: argparse.Namespace, config: Configuration) -> int:
    """
    Do it.

    :returns: the exit status.
    :raises StartupError: nobody runs there, or it cannot be done.
    """
    act: Callable[[argparse.Namespace, Configuration], int] = options.act
    return act(options, config)


def _show(options: argparse.Namespace, config: Configuration) -> int:
    missing = 0
    for address in options.address:
        entry = asked_of(config, "suppress show", address=address, tenant=options.tenant)
        missing += entry is None
        sys.stdout.write(f"{address} is not on the list\n" if entry is None else _line(entry))
    return 1 if missing else 0


def _add(options: argparse.Namespace, config: Configuration) -> int:
    entries = [
        {
            "address": address,
            "tenant": options.tenant,
            "reason": options.reason,
            "days": options.days,
            "note": options.note,
        }
        for address in options.address
    ]
    sys.stdout.write(f"{asked_of(config, 'suppress add', entries=entries)} entered\n")
    return 0


def _remove(options: argparse.Namespace, config: Configuration) -> int:
    missing = 0
    for address in options.address:
        if not asked_of(config, "suppress remove", address=address, tenant=options.tenant):
            missing += 1
            sys.stdout.write(f"{address} is not on the list\n")
    return 1 if missing else 0


def _all(config: Configuration) -> Iterator[dict[str, Any]]:
    after = 0
    while entries := asked_of(config, "suppress list", after=after, limit=AT_ONCE)["entries"]:
        yield from entries
        after += len(entries)


def _list(options: argparse.Namespace, config: Configuration) -> int:
    for entry in _all(config):
        sys.stdout.write(json.dumps(entry) + "\n" if options.json else _line(entry))
    return 0


def _export(options: argparse.Namespace, config: Configuration) -> int:
    if not options.csv:
        for entry in _all(config):
            sys.stdout.write(json.dumps(entry) + "\n")
        return 0
    writer = csv.DictWriter(sys.stdout, FIELDS)
    writer.writeheader()
    writer.writerows(_all(config))
    return 0


def _import(options: argparse.Namespace, config: Configuration) -> int:
    count = 0
    if options.file == "-":
        count = _enter(config, sys.stdin)
    else:
        with open(options.file, encoding="utf-8", newline="") as file:
            count = _enter(config, file)
    sys.stdout.write(f"{count} entered\n")
    return 0


def _enter(config: Configuration, file: TextIO) -> int:
    entries, count = read(file), 0
    while chunk := list(islice(entries, AT_ONCE)):
        try:
            count += asked_of(config, "suppress add", entries=chunk)
        except StartupError as error:
            raise StartupError(f"{error}; {count} were entered before") from None
    return count


def read(file: Iterator[str]) -> Iterator[dict[str, Any]]:
    """
    The entries of a file; which kind it is its first line says.

    :raises StartupError: a line is none; the text says which.
    """
    first = next(file, "")
    if first.lstrip().startswith("{"):
        for number, line in enumerate(_with(first, file), 1):
            try:
                if line.strip():
                    yield json.loads(line)
            except ValueError as error:
                raise StartupError(f"line {number}: no JSON: {error}") from None
    elif "address" in first.strip().lower().split(","):
        fields: Sequence[str] = [name.strip() for name in first.strip().lower().split(",")]
        yield from csv.DictReader(file, fields)
    else:
        for line in _with(first, file):
            if line.strip() and not line.startswith("#"):
                yield {"address": line.strip()}


def _with(first: str, file: Iterator[str]) -> Iterator[str]:
    yield first
    yield from file


def _line(entry: dict[str, Any]) -> str:
    until = f", until {_date(entry['until'])}" if entry["until"] else ""
    code = f" ({entry['code']})" if entry["code"] else ""
    tenant = f" for {entry['tenant']}" if entry["tenant"] else ""
    reason = f"{entry['reason']}{code} since {_date(entry['since'])}{until}"
    return f"{entry['address']}{tenant}: {reason} {entry['note']}".rstrip() + "\n"


def _date(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d}"
