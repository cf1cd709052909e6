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
