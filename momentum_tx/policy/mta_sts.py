"""
MTA-STS policies: what a domain publishes, what it means for a host, and how it is
kept.  Pure.

Source: RFC 8461 sections 3.1, 3.2, 4.1 and 5; Momentum, "MTA-STS".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

#: Longest life of a policy, seconds (RFC 8461 section 3.2).
MAX_AGE: Final = 31_557_600
#: Shortest: one that is over at once would not even serve the mail it was fetched for.
MIN_AGE: Final = 60
#: Most patterns of a policy; what is known of a domain is kept in memory, and real ones have a handful.
MOST_PATTERNS: Final = 200
#: The file and the name under which a policy is served (RFC 8461 section 3.3).
POLICY_HOST: Final = "mta-sts."
POLICY_PATH: Final = "/.well-known/mta-sts.txt"
#: The name of the record that says there is one.
RECORD_HOST: Final = "_mta-sts."
#: Values of ``mode`` under which a domain wants something.
IN_FORCE: Final = ("enforce", "testing")
_MODES: Final = (*IN_FORCE, "none")

#: What of a name's texts concerns us at all.
_BEGIN: Final = re.compile(rb"v=STSv1[ \t]*;")
_FIELD: Final = re.compile(rb"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e]+)")
_ID: Final = re.compile(rb"[A-Za-z0-9]{1,32}")
_AGE: Final = re.compile(r"[0-9]{1,10}")
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_PATTERN: Final = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
#: First line of a file with a policy.
_MAGIC: Final = b"momentum_tx MTA-STS policy 1"


class BadPolicy(ValueError):
    """
    A policy, or a file with one, is not as it has to be.
    """


def record_id(texts: Iterable[bytes]) -> str:
    """
    The id of a domain's policy, from the texts under ``_mta-sts``; empty if it has none.

    There has to be exactly one record of ours, in order (RFC 8461 section 3.1).
    """
    ours = [text for text in texts if _BEGIN.match(text)]
    if len(ours) != 1:
        return ""
    found = b""
    _, *fields = ours[0].split(b";")
    if not fields[-1].strip(b" \t"):
        # The last delimiter may stand at the end.
        fields.pop()
    for field in fields:
        match = _FIELD.fullmatch(field.strip(b" \t"))
        if match is None:
            return ""
        name, value = match.groups()
        if name == b"id":
            if found or not _ID.fullmatch(value):
                return ""
            found = value
    return found.decode("ascii")


@dataclass(frozen=True, slots=True)
class STSPolicy:
    """
    What a domain wants of whoever sends it mail.

    :ivar mode: ``enforce``, ``testing`` or ``none``.
    :ivar max_age: seconds it may be kept.
    :ivar patterns: names of its exchangers in lower case; a first label ``*`` is any one label.
    """

    mode: str
    max_age: int
    patterns: frozenset[str] = frozenset()

    def matches(self, host: str) -> bool:
        """
        Whether *host* is an exchanger that the policy knows (RFC 8461 section 4.1).
        """
        host = host.rstrip(".").lower()
        first, _, rest = host.partition(".")
        return host in self.patterns or bool(first and rest and f"*.{rest}" in self.patterns)


def parse_policy(text: bytes) -> STSPolicy:
    """
    Read a policy.

    Fields nobody knows are passed over, and of a field that may stand once the
    first counts (RFC 8461 section 3.2).  A pattern that is no host name spoils
    the whole: to leave it out could forbid an exchanger that its owner meant.

    :raises BadPolicy: it is none.
    """
    try:
        lines = text.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise BadPolicy("not UTF-8") from None
    found: dict[str, str] = {}
    patterns = []
    for line in lines:
        if not line.strip(" \t"):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise BadPolicy(f"a line without a colon: {line[:60]!r}")
        value = value.strip(" \t")
        if name == "mx":
            if not _PATTERN.fullmatch(value) or len(value) > 255:
                raise BadPolicy(f"no pattern of a host name: {value[:60]!r}")
            patterns.append(value.lower())
        else:
            found.setdefault(name, value)
    for name in ("version", "mode", "max_age"):
        if name not in found:
            raise BadPolicy(f"no {name}")
    if found["version"] != "STSv1":
        raise BadPolicy(f"version {found['version'][:60]!r}")
    mode = found["mode"]
    if mode not in _MODES:
        raise BadPolicy(f"mode {mode[:60]!r}")
    if not _AGE.fullmatch(found["max_age"]):
        raise BadPolicy(f"max_age {found['max_age'][:60]!r}")
    if mode != "none" and not patterns:
        raise BadPolicy("no mx")
    if len(patterns) > MOST_PATTERNS:
        raise BadPolicy(f"{len(patterns)} patterns, more than {MOST_PATTERNS}")
    return STSPolicy(mode, int(found["max_age"]), frozenset(patterns))


def answered_policy(status: int, content_type: str, body: bytes) -> STSPolicy:
    """
    The policy in the answer of a policy host (RFC 8461 section 3.3).

    :param content_type: the header field.
    :raises BadPolicy: there is none in it.
    """
    if status != 200:
        raise BadPolicy(f"HTTP status {status}")
    if content_type.partition(";")[0].strip().lower() != "text/plain":
        raise BadPolicy(f"Content-Type {content_type[:60]!r} and not text/plain")
    return parse_policy(body)


def policy_url(domain: str) -> str:
    """
    Where the policy of *domain* is.
    """
    return f"https://{POLICY_HOST}{domain}{POLICY_PATH}"


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """
    A policy that was fetched, and what is known of it.

    :ivar domain: whose it is.
    :ivar record: the id under which it was published.
    :ivar fetched_at: wall time.
    :ivar text: as it was fetched.
    :ivar policy: what it says.
    """

    domain: str
    record: str
    fetched_at: float
    text: bytes
    policy: STSPolicy

    @property
    def expires(self) -> float:
        """
        Wall time from which it does not count any more.
        """
        return self.fetched_at + min(max(self.policy.max_age, MIN_AGE), MAX_AGE)


def dump_kept(kept: KeptPolicy) -> bytes:
    """
    *kept* as the content of a file.
    """
    head = f"domain: {kept.domain}\nid: {kept.record}\nfetched: {kept.fetched_at:.0f}\n\n".encode("ascii")
    content = head + kept.text
    return _MAGIC + b"\nsha256: " + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def parse_kept(data: bytes) -> KeptPolicy:
    """
    What :func:`dump_kept` made of a policy.

    :raises BadPolicy: the file is torn, or something else.
    """
    magic, _, rest = data.partition(b"\n")
    digest, _, content = rest.partition(b"\n")
    if magic != _MAGIC:
        raise BadPolicy("no file with an MTA-STS policy")
    if digest != b"sha256: " + hashlib.sha256(content).hexdigest().encode():
        raise BadPolicy("torn, or changed by somebody")
    head, _, text = content.partition(b"\n\n")
    fields = dict(line.partition(": ")[::2] for line in head.decode("ascii", "replace").split("\n"))
    try:
        return KeptPolicy(fields["domain"], fields["id"], float(fields["fetched"]), text, parse_policy(text))
    except (KeyError, ValueError) as error:
        raise BadPolicy(f"unreadable: {error}") from None
