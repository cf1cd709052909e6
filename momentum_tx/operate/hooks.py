"""
``momentum-tx hooks list``: every hook, who provides it, and how that does.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from ..control.client import CommandFailed, NotRunning, ask
from ..errors import StartupError
from ..hooks.loading import entry_points_of
from ..hooks.named import NamedProviders
from ..hooks.outbound import OutboundHooks

if TYPE_CHECKING:
    from ..config.configuration import Configuration

HELP: Final = "list the hooks, their providers, and how often, how long and how well those were called"


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    The arguments of the command.
    """
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    about = "of a running service with its numbers; of none, what a configuration names"
    listing = actions.add_parser("list", help=about, description=about)
    listing.add_argument("--config", metavar="FILE", help="its configuration file; without one the defaults")
    listing.add_argument("--all", action="store_true", help="also hooks that nobody provides")
    listing.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace, config: Configuration) -> int:
    """
    Print them.

    :returns: the exit status.
    :raises StartupError: a provider cannot be made, or the service does not answer.
    """
    try:
        answer: list[dict[str, Any]] = ask(config.global_settings.state_dir, "hooks list")
        running = True
    except NotRunning:
        answer, running = _named(config), False
    except CommandFailed as error:
        raise StartupError(str(error)) from None
    shown = [each for each in answer if each["providers"] or options.all]
    if options.json:
        sys.stdout.write(json.dumps({"running": running, "hooks": shown}) + "\n")
        return 0
    if not running:
        sys.stdout.write("no service runs with this configuration; what it names:\n")
    for each in shown:
        sys.stdout.write(f"{each['hook']} ({each['shape']})\n")
        for provider in each["providers"]:
            sys.stdout.write(f"    {_line(provider, running)}\n")
    return 0


def _named(config: Configuration) -> list[dict[str, Any]]:
    """
    What *config* names, made anew.
    """
    hooks = OutboundHooks()
    named = NamedProviders(hooks)
    settings = config.global_settings
    offered = entry_points_of(settings.hook_entry_points, config.where("global", "hook_entry_points"))
    named.install(named.load((*settings.hooks, *offered), config.where("global", "hooks")))
    told = hooks.told()
    named.install(())
    return told


def _line(provider: dict[str, Any], running: bool) -> str:
    name = str(provider["provider"])
    if not running:
        return name
    numbers = (
        f"{provider['calls']} calls, {provider['seconds']:.3f} s, at most {provider['longest'] * 1000:.1f} ms,"
        f" {provider['failed']} failed, {provider['slow']} slow, {provider['dropped']} dropped"
    )
    breaker = "" if provider["breaker"] == "closed" else f", breaker {provider['breaker']}"
    threaded = ", in a thread" if provider["threaded"] else ""
    return f"{name}: {numbers}{breaker}{threaded}"
