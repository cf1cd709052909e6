"""
The header block of a message, as the octets that were received.

Nothing is decoded and nothing is written anew: a field that is not taken away
leaves as it came, folding, case and mistakes included, so that signatures hold.
Lines end in CRLF here (the receiver sees to it); a CR or LF alone is part of
its line.  Source: RFC 5322 2.2, 3.6.8 and 4.5.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

#: Octets of a header block we look at.  Real ones have a few thousand; what is
#: larger is left alone as if it were all body.
MAX_HEADER: Final = 1 << 20

#: What begins a field: printable ASCII but the colon; the blanks before the
#: colon are obsolete (RFC 5322 4.5) and still understood by peers.
_NAME: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")

_WHOLE_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n")


def header_end(content: bytes) -> int:
    """
    Where the header block ends: the index behind the CRLF of its last field.

    The empty line, if there is one, is not part of it.  Without one all of
    *content* is header.

    :returns: 0 if there is no header: the first line is empty or begins with a
        blank, or the block is larger than :data:`MAX_HEADER`.
    """
    if content.startswith((b"\r\n", b" ", b"\t")):
        return 0
    end = content.find(b"\r\n\r\n", 0, MAX_HEADER + 2)
    if end >= 0:
        return end + 2
    return len(content) if len(content) <= MAX_HEADER else 0


def lower_head(content: bytes) -> bytes:
    """
    The header block in lower case: made once, for several looks at what most mail lacks.
    """
    return content[: header_end(content)].lower()


def is_international(content: bytes) -> bool:
    """
    Whether the header block holds UTF-8 (RFC 6532), so that it can only go where
    SMTPUTF8 is known.  Other octets above 127 make no international header.
    """
    if content.isascii():
        return False
    head = content[: header_end(content)]
    if head.isascii():
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def field_value(raw: bytes) -> bytes:
    """
    The value of a field: what follows the colon, unfolded, blanks around it removed.
    """
    return raw.partition(b":")[2].replace(b"\r\n", b"").strip(b" \t")


def prepend_field(field: bytes, content: bytes) -> bytes:
    """
    *content* with *field* in front, copied once.

    A first line that begins with a blank would become part of the field; such a
    message has no header, and an empty line keeps it apart.

    :param field: one whole field with its final CRLF.
    """
    if content.startswith((b" ", b"\t")):
        return b"%b\r\n%b" % (field, content)
    return field + content


def take_fields(content: bytes, names: frozenset[bytes], head: bytes | None = None) -> tuple[dict[bytes, bytes], bytes]:
    """
    Remove every field called one of *names* and tell the value of each first one.

    Nothing is copied, and the same object is handed back, when none occurs.

    :param names: lower case.
    :param head: :func:`lower_head` of *content*, from whoever has it.
    :returns: (value by lower-case name, the message without the fields).
    """
    if head is None:
        head = lower_head(content)
    common = _common(names)
    if not head.startswith(common) and b"\r\n" + common not in head:
        # One look is enough for most mail.
        return {}, content
    for name in names:
        if head.startswith(name) or b"\r\n" + name in head:
            break
    else:
        return {}, content
    block = HeaderBlock(content)
    values: dict[bytes, bytes] = {}
    for name in names:
        value = block.get(name)
        if value is not None:
            values[name] = value
            block.remove(name)
    return values, block.content() if values else content


@lru_cache(16)
def _common(names: frozenset[bytes]) -> bytes:
    """
    What all *names* begin with.
    """
    first, last = min(names), max(names)
    length = 0
    while first[length : length + 1] == last[length : length + 1] != b"":
        length += 1
    return first[:length]


def count_received(head: bytes) -> int:
    """
    How many ``Received`` fields a header has; many mean a loop (RFC 5321 6.3).

    :param head: from :func:`lower_head`.
    """
    return head.count(b"\r\nreceived:") + head.startswith(b"received:")


class HeaderBlock:
    """
    The fields of a message in order, and its body untouched.

    A folded line belongs to the field above it.  Lines that are no field stay
    where they are; they have no name, and no call removes them.  Names are
    compared without regard to case.

    Bound: :data:`MAX_HEADER` octets; a larger block counts as none.
    """

    __slots__ = ("_body_at", "_fields", "_original")

    def __init__(self, content: bytes) -> None:
        """
        :param content: the message, CRLF line ends.
        """
        self._original = content
        self._body_at = header_end(content)
        self._fields = _split(content[: self._body_at])

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """
        (name as written, raw octets) of each field; lines that are no field have an empty name.
        """
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def get(self, name: bytes) -> bytes | None:
        """
        Value of the first field called *name*, unfolded, or ``None``.
        """
        name = _key(name)
        for found, raw in self._fields:
            if found.lower() == name:
                return field_value(raw)
        return None

    def get_all(self, name: bytes) -> list[bytes]:
        """
        Values of all fields called *name*, in order, unfolded.
        """
        name = _key(name)
        return [field_value(raw) for found, raw in self._fields if found.lower() == name]

    def count(self, name: bytes) -> int:
        """
        How many fields are called *name*.
        """
        name = _key(name)
        return sum(found.lower() == name for found, _ in self._fields)

    def prepend(self, field: bytes) -> None:
        """
        Put *field* before all others.

        :param field: one whole field: name, colon, value, CRLF; folded or not.
        :raises ValueError: if it is anything else.
        """
        self._fields.insert(0, _checked(field))

    def remove(self, name: bytes) -> int:
        """
        Remove all fields called *name*.

        :returns: how many there were.
        """
        name = _key(name)
        kept = [field for field in self._fields if field[0].lower() != name]
        removed = len(self._fields) - len(kept)
        self._fields = kept
        return removed

    def replace(self, name: bytes, field: bytes) -> None:
        """
        Put *field* where the first field called *name* is and remove the others;
        behind the last field when there is none.

        :param field: as for :meth:`prepend`.
        :raises ValueError: as for :meth:`prepend`.
        """
        new = _checked(field)
        name = _key(name)
        places = [index for index, (found, _) in enumerate(self._fields) if found.lower() == name]
        if places:
            self._fields[places[0]] = new
            self._fields = [
                field for index, field in enumerate(self._fields) if index <= places[0] or field[0].lower() != name
            ]
            return
        if self._fields and not self._fields[-1][1].endswith(b"\r\n"):
            last, raw = self._fields[-1]
            self._fields[-1] = (last, raw + b"\r\n")
        self._fields.append(new)

    def content(self) -> bytes:
        """
        The message with the fields as they are now; the body is copied once.
        """
        raws: list[bytes | memoryview] = [raw for _, raw in self._fields]
        if raws and self._body_at == 0 and self._original.startswith((b" ", b"\t")):
            # Its first line would continue our last field: see prepend_field.
            raws.append(b"\r\n")
        raws.append(memoryview(self._original)[self._body_at :])
        return b"".join(raws)


def _key(name: bytes) -> bytes:
    # Lines that are no field have an empty name; nothing is called by it.
    return name.lower() or b":"


def _checked(field: bytes) -> tuple[bytes, bytes]:
    if _WHOLE_FIELD.fullmatch(field) is None:
        raise ValueError(f"not one whole header field: {field[:80]!r}")
    return field.partition(b":")[0].rstrip(b" \t"), field


def _split(head: bytes) -> list[tuple[bytes, bytes]]:
    fields: list[tuple[bytes, bytes]] = []
    name, start, position, size = b"", 0, 0, len(head)
    while position < size:
        if head[position] not in b" \t":
            match = _NAME.match(head, position)
            # Neighbouring lines that are no field are one entry: a block full of them stays small.
            if match is not None or name:
                if position > start:
                    fields.append((name, head[start:position]))
                start = position
                name = match[1] if match is not None else b""
        end = head.find(b"\r\n", position)
        position = end + 2 if end >= 0 else size
    if size > start:
        fields.append((name, head[start:]))
    return fields
