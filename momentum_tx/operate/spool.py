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
from contextlib import closing
from random import Random
from typing import Any, Final

from ..config import load as config_load
from ..errors import StartupError
from ..interfaces.seams import IJournalFiles
from ..smtp.addresses import canonical_domain
from ..spool.records import segment_number
from ..usage import whole_number
from . import spool_check, spool_stats
from .spool_export import Choice, FilesOut, export
from .spool_files import Look, look, printable
from .spool_import import UNWRITTEN, FilesIn, Import, Result
from .spool_reading import Progress, Reading, read
from .spool_repair import Repair, Step
from .spool_telling import Telling
from .spool_writing import taken

#: What the command is for, in the list of all.
HELP: Final = "check, count, repair, export and import the mail of a spool"
#: Domains and bindings that are named.
_TOP: Final = 20


class Tools:
    """
    What an invocation is given.

    :ivar wall: wall time.
    :ivar random: source of the salts of new segments; should not be predictable.
    :ivar ask: shows a question and returns the answer; raises :class:`EOFError` if nobody answers.
    """

    def __init__(self, wall: Callable[[], float], random: Random, ask: Callable[[str], str] = input) -> None:
        self.wall = wall
        self.random = random
        self.ask = ask


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
        "--top",
        type=whole_number(1),
        default=_TOP,
        metavar="N",
        help=f"domains and bindings that are named (default: {_TOP})",
    )

    about = "do what a start does about damage, and look for mail in what was set aside; asks before each step"
    repair = _action(actions, "repair", about, _repair)
    _where(repair)
    repair.add_argument("--yes", action="store_true", help="do every step unasked")
    about = "write the mail of a spool to files: content as it is, and a sheet of JSON beside it"
    out = _action(actions, "export", about, _export)
    _transfer(out, "a directory that is empty, or not there yet")
    out.add_argument("--domain", metavar="D", type=_domain, help="only mail to this domain")
    out.add_argument("--binding", metavar="B", help="only mail of this binding; an empty name: of none yet")
    out.add_argument("--held", action="store_true", help="only mail that waits for an operator")
    about = "put exported mail into a spool that no service has"
    _transfer(_action(actions, "import", about, _import), "the directory that was exported to")


def _transfer(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("directory", metavar="DIR", help=about)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--config", metavar="FILE", help="the configuration file (TOML) of the spool's service")
    group.add_argument("--spool", metavar="SPOOL", help="the spool's directory, or the state_dir that it is in")
    _as_json(parser)


def _domain(text: str) -> str:
    try:
        return canonical_domain(text.encode())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


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
        _complain(str(error))
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
    return 1 if _unread(reading) else 0


def _unread(reading: Reading) -> list[str]:
    """
    Names of the segments of which not all is known; they are complained of.
    """
    unread = [report.name for report in reading.segments if not report.usable]
    for name in unread:
        _complain(f"{name}: cannot be read whole; `spool check` tells more")
    return unread


def _export(options: argparse.Namespace, tools: Tools) -> int:
    reading = reading_of(spool_path(options.spool, options.config), verify=False)
    try:
        out = FilesOut(options.directory)
        try:
            choice = Choice(options.domain, options.binding, options.held)
            told = export(reading, choice, out, progress_to(sys.stderr), _complain)
        finally:
            out.close()
    finally:
        reading.look.close()
    told["unread"] = unread = _unread(reading)
    if options.json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(f"{told['messages']} messages of {told['receptions']} receptions are in {out.path}\n")
        if reading.running:
            sys.stdout.write("a service has the spool: it goes on delivering them\n")
    return 1 if told["failed"] or unread else 0


def _import(options: argparse.Namespace, tools: Tools) -> int:
    path = spool_path(options.spool, options.config)
    source = FilesIn(options.directory)
    try:
        if options.spool is not None:
            # Whose spool it is nobody has said.
            config = config_load.default()
        else:
            config = config_load.load(options.config) if options.config else config_load.default()
        with closing(Telling(config, tools.wall)) as telling, taken(path, make=True) as files:
            return _import_from(options, tools, path, source, files, telling)
    finally:
        source.close()


def _import_from(
    options: argparse.Namespace, tools: Tools, path: str, source: FilesIn, files: IJournalFiles, telling: Telling
) -> int:
    reading = reading_of(path, verify=False)
    reading.look.close()
    for report in reading.segments:
        if not report.usable or report.headless:
            raise StartupError(
                f"{path}: {report.name} cannot be read whole, so that nobody knows what is there already"
            )
    work = Import(files, path, source, reading, tools.random)
    wanted, results = work.check(progress_to(sys.stderr))
    for result in results:
        telling.tell(path, result)
    refused = [result for result in results if result.result == "refused"]
    if not refused:
        imported = 0
        try:
            for result in work.write(wanted, progress_to(sys.stderr), _complain):
                telling.tell(path, result)
                results.append(result)
                imported += 1
        except OSError as error:
            for stem in wanted[imported:]:
                telling.tell(path, Result(printable(stem), "refused", code=UNWRITTEN))
            raise StartupError(
                f"{path}: cannot be written: {error.strerror}; mend that and import again: what is there is left out"
            ) from None
    if options.json:
        told = {
            "spool": printable(path),
            "segments": work.segments,
            "messages": work.messages,
            "files": [{"name": each.name, "result": each.result, "text": each.text} for each in results],
        }
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        for result in results:
            if result.result != "imported":
                sys.stdout.write(result.line() + "\n")
        count = sum(result.result == "imported" for result in results)
        sys.stdout.write(f"{work.messages} messages of {count} receptions were imported into {printable(path)}\n")
    if refused:
        _complain("nothing was imported: mend or remove the files that are refused")
    return 1 if refused else 0


def _repair(options: argparse.Namespace, tools: Tools) -> int:
    path = spool_path(options.directory, options.config)
    with taken(path) as files:
        reading = reading_of(path, verify=True)
        try:
            repair = Repair(files, path, reading, tools.random)
            done, refused = 0, 0
            for step in repair.steps():
                sys.stdout.write(f"{step.text}\n")
                if options.yes or _agreed(tools.ask):
                    sys.stdout.write(f"  done: {_acted(step, path)}\n")
                    done += 1
                else:
                    refused += 1
        finally:
            reading.look.close()
    for text in repair.left:
        sys.stdout.write(f"left: {text}\n")
    sys.stdout.write(f"{done} steps were done, {refused} were not\n")
    return 1 if refused or any(not report.usable for report in reading.segments) else 0


def _acted(step: Step, path: str) -> str:
    try:
        return step.act()
    except OSError as error:
        raise StartupError(
            f"{path}: cannot be written: {error.strerror}; mend that and repair again: what was done stays"
        ) from None


def _agreed(ask: Callable[[str], str]) -> bool:
    try:
        return ask("  do it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        # Nobody is there to ask.
        sys.stdout.write("\n")
        return False


def _complain(text: str) -> None:
    sys.stderr.write(f"momentum-tx: {text}\n")
