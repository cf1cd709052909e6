"""
``momentum-tx classify``: what a reply means, by which rule, and what no rule knows.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from ..classification import classifier_of
from ..errors import StartupError
from .control import asked_of

if TYPE_CHECKING:
    from ..config.configuration import Configuration

HELP: Final = "say what a reply means, or list the replies of a running service that no rule knows"
#: The word that is no reply.
UNKNOWN: Final = "unknown"


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    The arguments of the command.
    """
    parser.add_argument("--config", metavar="FILE", help="the configuration, for rules of your own")
    parser.add_argument("--domain", default="", metavar="D", help="the domain that the reply is about")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "text", nargs="+", metavar="TEXT", help=f"a reply, such as 550 5.1.1 gone; or the word {UNKNOWN}"
    )


def run(options: argparse.Namespace, config: Configuration) -> int:
    """
    Print what it means.

    :returns: the exit status: 1 if no rule knows it.
    :raises StartupError: a file of rules cannot be used, or nobody runs to be asked.
    """
    if options.text == [UNKNOWN]:
        _print_unknown(asked_of(config, "classify unknown"), options.json)
        return 0
    try:
        found = classifier_of(config).classify(" ".join(options.text), options.domain.lower())
    except (OSError, ValueError) as error:
        raise StartupError(str(error)) from None
    told = found.bounce_class
    answer = {
        "code": told.code,
        "name": told.name,
        "symbol": told.symbol,
        "category": told.category.value,
        "means": told.text,
        "rule": found.rule,
    }
    if options.json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write(f"{told.code} {told.name} ({told.category.value}): {told.text}\n")
        sys.stdout.write(f"rule: {found.rule}\n" if found.rule else "no rule knows it\n")
    return 0 if found.rule else 1


def _print_unknown(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
        return
    sys.stdout.write(f"{answer['total']} failures that no rule knows\n")
    for shape in answer["shapes"]:
        sys.stdout.write(
            f"{shape['count']:>7}  {shape['shape']}\n{'':>9}first of {shape['domain']}: {shape['sample']}\n"
        )
