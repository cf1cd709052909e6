"""
The command ``momentum-tx spool``: look at a spool, mend it, take mail out of it and put
it in.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Callable
from typing import Any, Final

from ..config import load as config_load
from ..errors import StartupError
from ..spool.records import segment_number
from . import spool_check, spool_stats
from .spool_files import Look, look
from .spool_reading import Progress, Reading, read

#: What the command is for, in the list of all.
HELP: Final = "check, count, repair, export and import the mail of a spool"
#: Domains and bindings that are named.
_TOP: Final = 20


class Tools:
    """
    What an invocation is given.

    :ivar wall: wall time.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self.wall = wall


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the command's options.
    """
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    about = "whether a spool is whole; changes nothing, and may be used beside a service that runs"
    check = _action(actions, "check", about, _check)
    _where(check)
    _as_json(check)
    about = "what mail is in a spool, and what keeps its segments; changes nothing either"
    stats = _action(actions, "stats", about, _stats)
    _where(stats)
    _as_json(stats)
    stats.add_argument(
        "--top", type=_count, default=_TOP, metavar="N", help=f"domains and bindings that are named (default: {_TOP})"
    )


def run(options: argparse.Namespace, tools: Tools) -> int:
    """
    Run it; the answer is the exit status.

    :raises StartupError: something is wrong; the text says what.
    """
    act: Callable[[argparse.Namespace, Tools], int] = options.act
    return act(options, tools)


def _action(
    actions: Any, name: str, about: str, act: Callable[[argparse.Namespace, Tools], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=about, description=about)
    parser.set_defaults(act=act)
    return parser


def _where(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--config", metavar="FILE", help="the configuration file (TOML) of the spool's service")
    group.add_argument(
        "directory", nargs="?", metavar="DIR", help="the spool's directory, or the state_dir that it is in"
    )


def _as_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def spool_path(directory: str | None, config: str | None) -> str:
    """
    The spool's directory that the options name.

    :raises ConfigError: the configuration is not good.
    """
    if directory is None:
        loaded = config_load.load(config) if config else config_load.default()
        return os.path.abspath(os.path.join(loaded.global_settings.state_dir, "spool"))
    inner = os.path.join(directory, "spool")
    if os.path.isdir(inner) and not any(segment_number(name) is not None for name in os.listdir(directory)):
        return os.path.abspath(inner)
    return os.path.abspath(directory)


def progress_to(err: Any) -> Progress:
    """
    Tells a terminal how far it is, in percent; nobody else.
    """
    if not err.isatty():
        return lambda done, total: None
    told = [-1]

    def progress(done: int, total: int) -> None:
        percent = done * 100 // total if total else 100
        if percent != told[0]:
            told[0] = percent
            err.write(f"\r{percent} %" if percent < 100 else "\r      \r")
            err.flush()

    return progress


def reading_of(path: str, verify: bool) -> Reading:
    """
    Read the spool *path*; the caller closes its look.
    """
    _raise_descriptors()
    found: Look = look(path)
    try:
        return read(found, verify, progress_to(sys.stderr))
    except BaseException:
        found.close()
        raise


def _raise_descriptors() -> None:
    # Every segment is open at once.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _check(options: argparse.Namespace, tools: Tools) -> int:
    try:
        reading = reading_of(spool_path(options.directory, options.config), verify=True)
    except (StartupError, OSError) as error:
        # An exit status of 1 would say that there is a spool, and that a start mends it.
        sys.stderr.write(f"momentum-tx: {error}\n")
        return spool_check.Weight.UNUSABLE.value
    reading.look.close()
    found = spool_check.findings(reading)
    if options.json:
        sys.stdout.write(json.dumps(spool_check.values(reading, found)) + "\n")
    else:
        sys.stdout.write(spool_check.text(reading, found))
    return spool_check.status(found)


def _stats(options: argparse.Namespace, tools: Tools) -> int:
    reading = reading_of(spool_path(options.directory, options.config), verify=False)
    reading.look.close()
    told = spool_stats.values(reading, tools.wall(), options.top)
    sys.stdout.write(json.dumps(told) + "\n" if options.json else spool_stats.text(told))
    return 0
