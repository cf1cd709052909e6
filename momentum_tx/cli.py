"""
The command ``momentum-tx``: one table of commands, and ``main``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from random import Random, SystemRandom
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure

from . import tls_explain
from .config import load as config_load
from .config.configuration import Configuration
from .config.names import domain as domain_name
from .config.report import dump, explanation
from .config.stanzas import nearest
from .demo.accounting import Report
from .demo.run import Demo, Interrupted
from .demo.screen import LiveScreen, PlainScreen, Screen, SilentScreen, table
from .errors import ConfigError, LookupFailed, StartupError
from .operate import classify, control, dkim, hooks, log, spool, suppress
from .seams import real_seams, resolver_of
from .service import OutboundService
from .settings import UNBOUND
from .torture import command as torture
from .usage import whole_number, worded

#: Exit status of a command that was interrupted, as shells have it.
INTERRUPTED: Final = 130
#: Exit status of a command whose output nobody reads any more.
UNREAD: Final = 141
#: Most messages of a demo: they are all remembered.
MOST_MESSAGES: Final = 200_000
#: See :data:`momentum_tx.tap.SWITCH_INTERVAL`.
SWITCH_INTERVAL: Final = 0.0005


@dataclass(frozen=True, slots=True)
class Command:
    """
    One command.

    :ivar help: one line.
    :ivar arguments: adds its options to its parser.
    :ivar run: runs it; the answer is the exit status.
    """

    help: str
    arguments: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.Namespace], int]


def _complain(text: object) -> None:
    for line in str(text).splitlines():
        sys.stderr.write(f"momentum-tx: {line}\n")


def _reactor() -> Any:
    """
    The real reactor, its clock made monotonic: timers must not follow the steps
    of the system's clock.
    """
    from twisted.internet import reactor

    vars(reactor)["seconds"] = time.monotonic
    return reactor


# check


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="the configuration file (TOML); without one the defaults")


def _check(options: argparse.Namespace) -> int:
    """
    Whether the service could start here with this configuration.
    """
    service = OutboundService(_reactor(), _loaded(options))
    # Before the ports and the spool, which a service that runs has taken.
    for text in (*service.configuration.warnings, *service.unplumbed()):
        _complain(f"warning: {text}")
    service.bind()
    service.release()
    sys.stdout.write(f"momentum-tx: {options.config or 'the default configuration'} is good\n")
    return 0


# config


def _config_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help=COMMANDS["check"].help, description=COMMANDS["check"].help)
    _check_arguments(check)
    check.set_defaults(act=_check)
    about = "say what an option is, where that was set, and which tables were asked"
    explain = actions.add_parser("explain", help=about, description=about)
    _check_arguments(explain)
    explain.add_argument("--binding", metavar="B", default="", help="for mail of this binding (default: default)")
    explain.add_argument("--domain", type=worded(domain_name), metavar="D", help="for mail to this domain")
    explain.add_argument("--host", metavar="H", default="", help="of this mail exchanger, as seen from the binding")
    explain.add_argument("option", metavar="OPTION", help="name of the option")
    explain.set_defaults(act=_explain)
    about = "print all that is in force, as a file that says the same"
    dumping = actions.add_parser("dump", help=about, description=about)
    _check_arguments(dumping)
    dumping.set_defaults(act=_dump)


def _config(options: argparse.Namespace) -> int:
    act: Callable[[argparse.Namespace], int] = options.act
    return act(options)


def _loaded(options: argparse.Namespace) -> Configuration:
    return config_load.load(options.config) if options.config else config_load.default()


def _explain(options: argparse.Namespace) -> int:
    """
    Where the value of an option comes from.
    """
    config = _loaded(options)
    slot = config.binding_slot(options.binding) if options.binding else UNBOUND
    if slot is None:
        known = [binding.name for binding in config.bindings]
        raise ConfigError(f"{config.source}: there is no binding {options.binding}{nearest(options.binding, known)}")
    if options.host:
        origin = config.explain_host(options.option, options.host, slot)
    else:
        origin = config.explain(options.option, slot, options.domain or "")
    sys.stdout.write(explanation(options.option, origin))
    return 0


def _dump(options: argparse.Namespace) -> int:
    """
    All that is in force.
    """
    sys.stdout.write(dump(_loaded(options)))
    return 0


# demo


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--messages",
        type=whole_number(1, MOST_MESSAGES),
        default=2000,
        metavar="N",
        help="how many messages (default: 2000)",
    )
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON object, at the end")
    parser.add_argument("--seed", type=int, metavar="N", help="choose the same messages each time")
    # Makes a receiver say 250 and forget every Nth message, to see that the demo finds out.
    parser.add_argument("--drop-every", type=int, default=0, metavar="N", help=argparse.SUPPRESS)


def _screen(as_json: bool) -> Screen:
    out = sys.stdout
    if as_json:
        return SilentScreen()
    if not out.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return PlainScreen(out)
    # One column less: some terminals wrap when the last one is written.
    return LiveScreen(out, shutil.get_terminal_size().columns - 1, "NO_COLOR" not in os.environ)


def _demo(options: argparse.Namespace) -> int:
    """
    Run the demo in a directory of its own, and keep that only if something went wrong.
    """
    state_dir = tempfile.mkdtemp(prefix="momentum-tx-demo-")
    log_path = os.path.join(state_dir, "demo.log")
    status = 1
    try:
        with open(log_path, "w", encoding="utf-8") as log:
            globalLogBeginner.beginLoggingTo([textFileLogObserver(log)], redirectStandardIO=False)
            status = _run_demo(options, state_dir)
    except BrokenPipeError:
        status = UNREAD
    except (StartupError, OSError) as error:
        _complain(error)
    finally:
        if status == 1:
            _complain(f"spool and logs are kept in {state_dir}")
        else:
            shutil.rmtree(state_dir, ignore_errors=True)
    return status


def _run_demo(options: argparse.Namespace, state_dir: str) -> int:
    reactor = _reactor()
    sys.setswitchinterval(SWITCH_INTERVAL)
    screen = _screen(options.json)
    demo = Demo(reactor, state_dir, options.messages, Random(options.seed), screen, options.drop_every)
    results: list[Report | Failure] = []
    finished: Deferred[None] = Deferred()

    def ended(result: Report | Failure) -> None:
        results.append(result)
        finished.callback(None)
        if reactor.running:
            reactor.stop()

    def stopping() -> Deferred[None]:
        # A signal stops the reactor; it goes on until the demo has tidied up.
        demo.interrupt()
        return finished

    reactor.addSystemEventTrigger("before", "shutdown", stopping)
    reactor.callWhenRunning(lambda: demo.run().addBoth(ended))
    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(reactor.stop))
    reactor.run()
    return _conclude(results[0], options.json)


def _conclude(result: Report | Failure, as_json: bool) -> int:
    """
    Say how it went; the exit status.
    """
    if isinstance(result, Failure):
        if result.check(Interrupted):
            _complain("interrupted")
            return INTERRUPTED
        result.raiseException()
    if as_json:
        sys.stdout.write(json.dumps(result.as_json()) + "\n")
    else:
        sys.stdout.write("\n" + table(result))
    sys.stdout.flush()
    return 0 if result.good else 1


# dkim


def _texts(config: Configuration, names: Sequence[str]) -> dict[str, tuple[bytes, ...] | LookupFailed]:
    """
    Ask DNS for texts, all at once, by the resolver of a configuration.
    """
    reactor = _reactor()
    resolver = resolver_of(real_seams(reactor), config)
    found: dict[str, tuple[bytes, ...] | LookupFailed] = {}

    async def ask(name: str) -> None:
        try:
            found[name] = (await resolver.lookup_txt(name)).records
        except LookupFailed as error:
            found[name] = error

    def begin() -> None:
        asking = gatherResults([Deferred.fromCoroutine(ask(name)) for name in names], consumeErrors=True)
        asking.addBoth(lambda _: resolver.close()).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    return found


#: Every command, in the order of the help.
COMMANDS: Final[dict[str, Command]] = {
    "demo": Command(
        "send mail through the real service to receivers of its own, on loopback only, and account for every message",
        _demo_arguments,
        _demo,
    ),
    "check": Command(
        "check a configuration and this machine, say what is wrong, and end",
        _check_arguments,
        _check,
    ),
    "config": Command(
        "check a configuration, print it, or explain one of its options",
        _config_arguments,
        _config,
    ),
    "classify": Command(classify.HELP, classify.arguments, lambda options: classify.run(options, _loaded(options))),
    "control": Command(control.HELP, control.arguments, lambda options: control.run(options, _loaded(options))),
    "dkim": Command(dkim.HELP, dkim.arguments, lambda options: dkim.run(options, _texts)),
    "hooks": Command(hooks.HELP, hooks.arguments, lambda options: hooks.run(options, _loaded(options))),
    "log": Command(log.HELP, log.arguments, lambda options: log.run(options, _loaded(options), time.sleep)),
    "spool": Command(
        spool.HELP, spool.arguments, lambda options: spool.run(options, spool.Tools(time.time, SystemRandom()))
    ),
    "suppress": Command(suppress.HELP, suppress.arguments, lambda options: suppress.run(options, _loaded(options))),
    "torture": Command(torture.HELP, torture.arguments, lambda options: torture.run(options, _reactor)),
    "tls": Command(
        tls_explain.HELP, tls_explain.arguments, lambda options: tls_explain.run(options, _reactor(), _loaded(options))
    ),
}


def _version() -> str:
    try:
        return version("momentum_tx")
    except PackageNotFoundError:
        return "not installed"


def parser() -> argparse.ArgumentParser:
    """
    The parser of the command line.
    """
    top = argparse.ArgumentParser(
        prog="momentum-tx",
        description="Outbound mail delivery.  The service itself is started with: twistd -n momentum-tx",
    )
    top.add_argument("--version", action="version", version=f"momentum-tx {_version()}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.help, description=command.help)
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """
    The console script.

    :param argv: arguments without the program's name; ``None`` takes the process's.
    :returns: the exit status: 0 good, 1 something is wrong, 130 interrupted,
        141 output no longer read; bad usage exits with 2.
    """
    options = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        status = run(options)
    except BrokenPipeError:
        status = UNREAD
    except (StartupError, OSError) as error:
        _complain(error)
        status = 1
    except KeyboardInterrupt:
        _complain("interrupted")
        status = INTERRUPTED
    if status == UNREAD:
        # What is left in the buffer would be written at exit, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status
