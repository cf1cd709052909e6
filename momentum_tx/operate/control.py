"""
The commands that a running service understands at its control socket, made of its
methods; and ``momentum-tx control``, which asks for them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..control.client import CommandFailed, NotRunning, ask
from ..control.commands import ControlCommands
from ..errors import StartupError

if TYPE_CHECKING:
    from ..config.configuration import Configuration
    from .commands import Commands

HELP: Final = "ask a running service for something; without a command, what may be asked"


class ServiceCommands:
    """
    What may be asked of a service, as values that JSON can say.

    :param service: carries it out.
    :param monotonic: seconds of a steady clock; the service begins now.
    """

    def __init__(self, service: Commands, monotonic: Callable[[], float]) -> None:
        self._service = service
        self._monotonic = monotonic
        self._began = monotonic()

    def register(self, commands: ControlCommands) -> None:
        """
        Have *commands* understand all of them.
        """
        service = self._service
        commands.add("status", self.status)
        commands.add("logs reopen", service.reopen_logs)
        commands.add("logs rotate", service.rotate_logs)
        commands.add("flush", service.flush)
        commands.add("rebind", service.rebind)
        commands.add("held list", service.held)
        commands.add("held release", service.release_held)
        commands.add("trace add", service.trace_smtp)
        commands.add("trace list", service.traces_smtp)
        commands.add("trace remove", service.untrace_smtp)
        commands.add("tls policy", service.tls_policy)
        commands.add("suppress show", service.suppression.show)
        commands.add("suppress list", service.suppression.listed)
        commands.add("suppress add", service.suppression.enter)
        commands.add("suppress remove", service.suppression.remove)
        commands.add("hooks list", service.hooks.told)
        commands.add("classify unknown", service.logs.classification.told)

    def status(self) -> dict[str, Any]:
        """
        How the service is, in a few numbers.
        """
        service = self._service
        active = delayed = 0
        for dr in service.delivery.records:
            queue = dr.mail_queue
            active += queue.active_size()
            delayed += queue.delayed_size()
        settlement = service.delivery.settlement
        return {
            "uptime": round(self._monotonic() - self._began, 3),
            "configuration": service.configuration.source,
            "generation": service.configuration.generation,
            "domains": len(service.delivery.records),
            "active": active,
            "delayed": delayed,
            "held": len(service.delivery.held),
            "delivered": settlement.delivered_count,
            "transient": settlement.transient_count,
            "permanent": settlement.permanent_count,
        }


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    The arguments of the command.
    """
    parser.add_argument("--config", metavar="FILE", help="its configuration file; without one the defaults")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="the command, such as: logs reopen; and its arguments, such as: domain=example.com",
    )


def run(options: argparse.Namespace, config: Configuration) -> int:
    """
    Ask, and print the answer.

    :returns: the exit status.
    :raises StartupError: nobody is there, or it cannot be done.
    """
    words = [word for word in options.words if "=" not in word]
    said = dict(word.split("=", 1) for word in options.words if "=" in word)
    asked = {name: _value(text) for name, text in said.items()}
    answer = asked_of(config, " ".join(words) or "help", **asked)
    if options.json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write(shown(answer))
    return 0


def asked_of(config: Configuration, command: str, **asked: Any) -> Any:
    """
    What the service of *config* answers.

    :param asked: arguments of the command.
    :raises StartupError: nobody is there, or it cannot be done.
    """
    try:
        return ask(config.global_settings.state_dir, command, **asked)
    except NotRunning as error:
        raise StartupError(f"{error}; is it started, and with this configuration?") from None
    except CommandFailed as error:
        raise StartupError(str(error)) from None


def _value(text: str) -> Any:
    """
    A number, a list and the like where *text* is one in JSON; else the text.
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def shown(answer: Any) -> str:
    """
    An answer for people: a line for each thing.
    """
    if answer is None:
        return "done\n"
    if isinstance(answer, dict):
        width = max((len(str(name)) for name in answer), default=0)
        return "".join(f"{name:<{width}}  {_line(value)}\n" for name, value in answer.items())
    if isinstance(answer, list):
        return "".join(f"{_line(each)}\n" for each in answer)
    return f"{_line(answer)}\n"


def _line(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "  ".join(f"{name}={_line(each)}" for name, each in value.items())
    return json.dumps(value)
