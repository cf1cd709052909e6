"""
Options of the list of addresses that nobody writes to any more.
"""

from dataclasses import dataclass

from .option import GLOBAL, option
from .reports import ReportSettings


@dataclass(frozen=True, slots=True)
class SuppressionSettings(ReportSettings):
    """
    The part of [global] that is about the suppression list.
    """

    suppression: str = option(
        "off",
        "What becomes of mail to an address on the suppression list. refuse: it is refused at RCPT TO, and what was"
        " taken before fails. fail: it is taken, and fails (ours).",
        scopes=GLOBAL,
        choices=("off", "refuse", "fail"),
    )
    suppress_rules: tuple[str, ...] = option(
        ("10,30,90: 1",),
        "Bounces that put an address on the list: classes, a number, and perhaps the seconds in which that many come"
        ' and the seconds it stays, as "22: 5 in 864000 for 2592000" (ours).',
        scopes=GLOBAL,
    )
    suppress_by_tenant: bool = option(
        False, "Whether a bounce counts for the tenant alone whose mail it was (ours).", scopes=GLOBAL
    )
