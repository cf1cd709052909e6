"""
Files of an operator that go before our rules.

Source: Momentum, module ``bounce_classifier_override``: a line ``domain,code,text`` for
replies; the text is looked for anywhere in the reply, or with a ``|`` in it as the parts
of one, in their order.
"""

from __future__ import annotations

import re
from typing import Final

from .codes import CLASSES, MOST_OWN
from .rules import Rule

_ANY: Final = ("", "*")


def parse_overrides(text: str, source: str) -> list[Rule]:
    """
    The rules of one file; empty lines and those that begin with ``#`` are left out.

    :param source: its path, for complaints.
    :raises ValueError: a line is none; the text says which.
    """
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        parts = line.split(",", 2)
        where = f"{source}:{number}"
        if len(parts) != 3 or not parts[2].strip():
            raise ValueError(f"{where}: expected domain,code,text")
        domain, code, pattern = (part.strip() for part in parts)
        if not code.isdecimal() or not (int(code) in CLASSES or 1 <= int(code) <= MOST_OWN):
            raise ValueError(f"{where}: {code} is no code: it is one of Momentum's, or your own from 1 to {MOST_OWN}")
        rules.append(
            Rule(
                where,
                int(code),
                domains=() if domain in _ANY else (domain.lower(),),
                text=re.compile(".*".join(map(re.escape, pattern.split("|"))), re.IGNORECASE),
            )
        )
    return rules
