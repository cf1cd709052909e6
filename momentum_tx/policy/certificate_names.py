"""
Whether a name that a certificate carries is the name of a host.  Pure.

Source: RFC 6125 section 6.4, as RFC 7672 section 3.2.3 and RFC 8461 section 4.1
want it for mail.
"""

from __future__ import annotations

from collections.abc import Iterable


def name_covers(presented: str, reference: str) -> bool:
    """
    Whether *presented*, which may begin with ``*.``, is the name of host *reference*.

    An asterisk is one whole label, the first, and never all of a name that has
    fewer than three labels: nobody may speak for a top level domain.

    :param presented: a name in a certificate.
    :param reference: the host, A-labels.
    """
    presented = presented.rstrip(".").lower()
    reference = reference.rstrip(".").lower()
    if not presented or not reference:
        return False
    if not presented.startswith("*."):
        return presented == reference
    suffix = presented[2:]
    first, _, rest = reference.partition(".")
    return bool(first) and rest == suffix and "." in suffix and "*" not in suffix


def any_covers(presented: Iterable[str], references: Iterable[str]) -> bool:
    """
    Whether one of the names in a certificate is one of those that will do.
    """
    wanted = tuple(references)
    return any(name_covers(name, reference) for name in presented for reference in wanted)
