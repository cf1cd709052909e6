"""
Options of hooks and of those who provide them.
"""

from dataclasses import dataclass

from .option import GLOBAL, option


@dataclass(frozen=True, slots=True)
class HookSettings:
    """
    The part of [global] that is about hooks.
    """

    hooks: tuple[str, ...] = option(
        (), "Hook providers, package.module:object, asked in this order (ours).", scopes=GLOBAL
    )
    hook_timeout: float = option(
        10.0,
        "Longest that providers are waited for, of a hook that lets them take their time (ours).",
        "seconds",
        GLOBAL,
        minimum=0.05,
    )
    hook_entry_points: tuple[str, ...] = option(
        (),
        "Names of hook providers that installed packages offer (entry points momentum_tx.hooks), after those of hooks;"
        ' "*" takes all (ours).',
        scopes=GLOBAL,
    )
    hook_slow: float = option(
        0.1,
        "Longest that a provider may keep everything waiting; a longer call counts as a failure. 0 is any time (ours).",
        "seconds",
        GLOBAL,
        minimum=0,
    )
    hook_breaker_failures: int = option(
        5,
        "Failures of a provider in a row after which it is left alone for a while; 0 never does (ours).",
        "failures",
        GLOBAL,
        minimum=0,
    )
    hook_breaker_pause: float = option(
        60.0, "How long a provider is left alone that has failed so often (ours).", "seconds", GLOBAL, minimum=0.1
    )
