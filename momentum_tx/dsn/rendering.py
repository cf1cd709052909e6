"""
A report as a message: ``multipart/report`` with a text for people, the fields for
programs, and what of the message goes back.

Source: RFC 3464 and 6522; for addresses and headers beyond ASCII RFC 6533; RFC 3834
for what keeps other machines from answering.  The order of the fields is
Momentum's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from ..message.trace import date_text
from ..policy.status import in_plain_words
from .original import quoted_printable
from .report import Action, Report, Told

#: Octets of a note that are repeated.
MOST_NOTE: Final = 2000
#: A line of text or of a field is folded there.
WIDTH: Final = 76

_SUBJECTS: Final = {
    Action.FAILED: "Mail not delivered",
    Action.DELAYED: "Mail delayed, still being tried",
    Action.DELIVERED: "Mail delivered",
    Action.RELAYED: "Mail passed on",
    Action.EXPANDED: "Mail passed on to several",
}
_BEGINNINGS: Final = {
    Action.FAILED: "Your message could not be delivered to",
    Action.DELAYED: "Your message has not been delivered yet to",
    Action.DELIVERED: "Your message was delivered to",
    Action.RELAYED: "Your message was passed on, to a server that will not tell what becomes of it, for",
    Action.EXPANDED: "Your message was passed on to several addresses for",
}
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: What a name of a host may be where fields want one.
_HOST: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")


@dataclass(slots=True)
class Draft:
    """
    A report that is being written: hooks may change it before it is put together.

    :ivar headers: fields of the message's header, in order: name and value.
    :ivar text: what people read, lines with LF.
    :ivar status: what programs read: a group of fields for the message, and one for each
        recipient, of names and values.
    :ivar original: what goes back of the message, one part of MIME with its own header;
        empty for nothing.
    """

    headers: list[tuple[str, str]]
    text: str
    status: list[list[tuple[str, str]]]
    original: bytes = b""

    @property
    def international(self) -> bool:
        """
        Whether the fields for programs hold what ASCII does not.
        """
        return not all(value.isascii() for group in self.status for _, value in group)


def draft(report: Report, original: bytes, message_id: str = "") -> Draft:
    """
    What is to be written, as we would.

    :param original: from :func:`~momentum_tx.dsn.original.original_part`.
    :param message_id: the message's own ``Message-ID``, brackets included; empty for none.
    """
    return Draft(_headers(report, message_id), _text(report), _status(report), original)


def assemble(report: Report, written: Draft) -> bytes:
    """
    The whole message, CRLF line ends, ASCII but for an 8-bit original and a header with an
    address beyond ASCII in it.
    """
    text = _encoded_text(written.text)
    status = _status_part(written)
    parts = [text, status] + ([written.original] if written.original else [])
    boundary = _boundary(report, parts)
    head = "".join(_field(name, value) for name, value in written.headers)
    encoding = "7bit" if all(part.isascii() for part in parts) else "8bit"
    head += (
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"\r\n'
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    mark = boundary.encode("ascii")
    # The CRLF before a delimiter belongs to the delimiter (RFC 2046 5.1.1): every part ends in one of its own.
    body = b"".join(b"--%b\r\n%b\r\n" % (mark, part) for part in parts)
    return b"%bThis is a report in MIME format (RFC 3464).\r\n\r\n%b--%b--\r\n" % (head.encode(), body, mark)


def _headers(report: Report, message_id: str) -> list[tuple[str, str]]:
    headers = [
        ("Date", date_text(int(report.now))),
        ("From", f"Mail Delivery System <{report.mailer}>"),
        ("To", _clean(report.to.decode("utf-8", "replace"))),
        ("Subject", _SUBJECTS[report.action]),
        ("Message-ID", f"<{report.id.replace('/', '.')}.dsn@{report.hostname}>"),
        # RFC 3834 5: no machine answers that.
        ("Auto-Submitted", "auto-replied"),
    ]
    if re.fullmatch(r"<[!-;=?-~]{1,250}>", message_id):
        headers += [("In-Reply-To", message_id), ("References", message_id)]
    return headers


def _text(report: Report) -> str:
    """
    What people read.
    """
    paragraphs = [f"This is the mail server {report.hostname}."]
    for action in Action:
        those = [told for told in report.recipients if told.action is action]
        if those:
            paragraphs += _of_one_action(action, those)
    if report.envid:
        paragraphs.append(f"You called the message: {_clean(report.envid.decode('ascii', 'replace'))}")
    paragraphs.append(
        "This message was written by a program, and nobody reads an answer to it. If you ask somebody for help, show"
        f" all of it. Our name for the message that it is about is {report.batch_id}."
    )
    return "\n\n".join(_wrapped(paragraph) for paragraph in paragraphs) + "\n"


def _of_one_action(action: Action, those: list[Told]) -> Iterable[str]:
    yield f"{_BEGINNINGS[action]}:"
    for told in those:
        yield f"    {_clean(told.recipient.decode('utf-8', 'replace'))}"
        if action is Action.FAILED:
            yield in_plain_words(told.status)
        if told.note:
            peer = f"The server {told.remote_mta}" if told.remote_mta else "The recipient's server"
            yield "Our server noted:" if told.ours else f"{peer} answered:"
            yield f"    {_noted(told)}"
        if told.retry_until:
            yield (
                f"You need not do anything: it is tried again and again until {date_text(int(told.retry_until))}, and"
                " you are told if it cannot be delivered by then."
            )


def _wrapped(paragraph: str) -> str:
    if paragraph.startswith("    "):
        return "\n".join(wrap(paragraph.strip(), WIDTH, initial_indent="    ", subsequent_indent="    ")) or "    "
    return "\n".join(wrap(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False))


def _status(report: Report) -> list[list[tuple[str, str]]]:
    """
    What programs read.  Momentum prints the two fields of the message with those of the
    recipient; RFC 3464 wants them in a group of their own.
    """
    about = [("Arrival-Date", date_text(int(report.arrival))), ("Reporting-MTA", f"dns; {report.hostname}")]
    if report.envid:
        about.insert(0, ("Original-Envelope-Id", _clean(report.envid.decode("ascii", "replace"))))
    if _HOST.fullmatch(report.received_from):
        about.append(("Received-From-MTA", f"dns; {report.received_from}"))
    return [about, *(_fields_of(told) for told in report.recipients)]


def _fields_of(told: Told) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    if told.orcpt:
        fields.append(("Original-Recipient", _original_recipient(told.orcpt)))
    if _HOST.fullmatch(told.remote_mta):
        fields.append(("Remote-MTA", f"dns; {told.remote_mta}"))
    if told.note:
        kind = "X-Momentum-TX" if told.ours else "smtp"
        fields.append(("Diagnostic-Code", f"{kind}; {_noted(told)}"))
    fields.append(("Action", told.action.value))
    address = told.recipient.decode("utf-8", "replace")
    fields.append(("Final-Recipient", f"{'rfc822' if address.isascii() else 'utf-8'}; {_clean(address)}"))
    if told.last_attempt:
        fields.append(("Last-Attempt-Date", date_text(int(told.last_attempt))))
    fields.append(("Status", told.status))
    if told.retry_until:
        fields.append(("Will-Retry-Until", date_text(int(told.retry_until))))
    others = {name.lower(): (name, value) for name, value in told.fields.items()}
    written = [others.pop(name.lower(), (name, value)) for name, value in fields]
    return [(name, _clean(value)) for name, value in [*written, *others.values()]]


def _original_recipient(orcpt: bytes) -> str:
    # What was xtext in ORCPT is decoded here, as everybody does it; a blank behind the type, as everywhere.
    kind, _, address = orcpt.decode("utf-8", "replace").partition(";")
    return f"{kind}; {address}"


def _noted(told: Told) -> str:
    """
    The note, short enough to be repeated, and with blanks to fold it at.
    """
    text = _clean(told.note[:MOST_NOTE].decode("utf-8", "replace"))
    return re.sub(r"(\S{400})(?=\S)", r"\1 ", text)


def _status_part(written: Draft) -> bytes:
    groups = ["".join(_field(name, value) for name, value in group) for group in written.status]
    text = "\r\n".join(groups).encode()
    if not written.international:
        return b"Content-Type: message/delivery-status\r\n\r\n%b" % text
    # It may be encoded, unlike the other, so that it gets through where nobody knows SMTPUTF8.
    return b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + (
        quoted_printable(text)
    )


def _encoded_text(text: str) -> bytes:
    octets = text.replace("\r\n", "\n").replace("\r", "\n").encode().replace(b"\n", b"\r\n")
    if octets.isascii() and all(len(line) <= 998 for line in octets.split(b"\r\n")):
        return b"Content-Type: text/plain; charset=us-ascii\r\n\r\n%b" % octets
    return (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + quoted_printable(octets)
    )


def _field(name: str, value: str) -> str:
    """
    One field with its end, folded at blanks.

    :raises ValueError: it cannot be written.
    """
    if not re.fullmatch(r"[!-9;-~]{1,80}", name):
        raise ValueError(f"{name!r} is no name of a field")
    lines = _folded(f"{name}: {_clean(value)}")
    return "\r\n".join(lines) + "\r\n"


def _folded(line: str) -> list[str]:
    lines = []
    while len(line) > WIDTH:
        at = line.rfind(" ", 1, WIDTH)
        if at <= 0 or not line[:at].strip() or line[:at].endswith(":"):
            # A word that is longer than the line; what follows it still folds.
            at = line.find(" ", WIDTH)
            if at < 0:
                break
        lines.append(line[:at])
        line = line[at:]
    lines.append(line)
    return lines


def _clean(text: str) -> str:
    """
    *text* without what could end a line.
    """
    return _CONTROLS.sub(" ", text).strip()


def _boundary(report: Report, parts: list[bytes]) -> str:
    """
    A delimiter that is in none of the parts.
    """
    base = re.sub(r"[^A-Za-z0-9]", ".", report.id)
    number = 0
    while True:
        boundary = f"=_{base}.{number}"
        if not any(b"--" + boundary.encode("ascii") in part for part in parts):
            return boundary
        number += 1
