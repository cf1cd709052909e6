"""
The command ``momentum-tx log``: print what is in a log, and go on behind it later.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from ..errors import StartupError
from ..logs.reader import BadCursor, Cursor, Line, LogReader
from ..settings import GlobalSettings

if TYPE_CHECKING:
    from ..config.configuration import Configuration

HELP: Final = "print the records of a log, and follow it from file to file"
#: Seconds between two looks.
_PAUSE: Final = 0.5
_OPTIONS: Final = {each.name for each in fields(GlobalSettings)}
#: What can be read by name.
LOGS: Final = (
    *sorted(name for name in _OPTIONS if name.endswith("log") and f"{name}_mode" in _OPTIONS),
    "transcriptlog",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the command's options.
    """
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    about = "print records, each once, whatever the files are called by now, and wait for more"
    follow = actions.add_parser("follow", help=about, description=about)
    follow.add_argument("--config", metavar="FILE", help="the configuration file (TOML) of the log's service")
    follow.add_argument(
        "--log", metavar="LOG", default="mainlog", help=f"one of {', '.join(LOGS)}, or a path (default: mainlog)"
    )
    follow.add_argument(
        "--since",
        metavar="CURSOR",
        default="now",
        help='go on behind the record with this cursor; "start": with the oldest, "now": with the next (default: now)',
    )
    follow.add_argument("--cursors", action="store_true", help="print the cursor and a tabulator before each record")
    follow.add_argument("--json", action="store_true", help="print an object of JSON for each record")
    follow.add_argument("--end", action="store_true", help="end behind the last record that is there")


def run(options: argparse.Namespace, config: Configuration, sleep: Callable[[float], object]) -> int:
    """
    Print records until somebody ends it.

    :param sleep: waits for so many seconds.
    :returns: the exit status.
    :raises StartupError: the log cannot be read, or the cursor is none.
    """
    path = path_of(config, options.log)
    reader = LogReader(path, _since(options.since))
    told = (0, 0)
    try:
        if options.since == "now":
            reader.skip()
        while True:
            lines = reader.read()
            told = _complain(path, reader, told)
            for line in lines:
                sys.stdout.write(_shown(line, options) + "\n")
            if lines:
                sys.stdout.flush()
            elif options.end:
                return 0
            else:
                sleep(_PAUSE)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StartupError(f"{error.filename or path}: cannot be read: {error.strerror}") from None
    finally:
        reader.close()


def path_of(config: Configuration, name: str) -> str:
    """
    The path of a log.

    :param name: one of :data:`LOGS`, or a path.
    :raises StartupError: there is no such log, or it is off.
    """
    if os.sep in name:
        return name
    if name not in LOGS:
        raise StartupError(f"{name} is no log; there are {', '.join(LOGS)}, and a path has a {os.sep} in it")
    settings = config.global_settings
    written: Any = getattr(settings, name)
    if not written:
        raise StartupError(f"{config.where('global', name)}: {name} is off")
    file = written if isinstance(written, str) else name
    return os.path.join(settings.log_dir or os.path.join(settings.state_dir, "log"), file)


def _since(text: str) -> Cursor | None:
    if text in ("start", "now"):
        return None
    try:
        return Cursor.parse(text)
    except BadCursor as error:
        raise StartupError(f"--since: {error}; it may also be start or now") from None


def _shown(line: Line, options: argparse.Namespace) -> str:
    text = line.content.decode("utf-8", "backslashreplace")
    if not options.json:
        return f"{line.cursor}\t{text}" if options.cursors else text
    record: Any = text
    if text.startswith("{"):
        try:
            record = json.loads(text)
        except ValueError:
            record = text
    return json.dumps({"cursor": str(line.cursor), "log": options.log, "record": record})


def _complain(path: str, reader: LogReader, told: tuple[int, int]) -> tuple[int, int]:
    gaps, damaged = told
    if reader.gaps > gaps:
        sys.stderr.write(
            f"momentum-tx: {path}: a file was removed or cut off before it was read: records are missing\n"
        )
    if reader.damaged > damaged:
        sys.stderr.write(f"momentum-tx: {path}: something could not be read and was passed over\n")
    return reader.gaps, reader.damaged
