"""
The parameters of delivery status notifications: RET and ENVID of MAIL, NOTIFY
and ORCPT of RCPT (RFC 3461 4, RFC 6533 3).

What is read is kept decoded, and encoded again as it leaves: one spelling, whoever
wrote it how, and nothing on the wire that was not looked at.
"""

import re
from typing import Final

from ..envelope import NO_NOTIFY, Notify
from .addresses import check_address

#: RFC 3461 5.4: what everybody takes, and as much as we do.
MAX_ENVID: Final = 100
MAX_ORCPT: Final = 500

#: RFC 3461 4: xchar and hexchar; the hexadecimal digits are upper case.
_XTEXT: Final = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+\Z")
_HEXCHAR: Final = re.compile(rb"\+([0-9A-F]{2})")
#: What has to be encoded.
_NOT_XCHAR: Final = re.compile(rb"[^!-*,-<>-~]")
#: Graphic and white space characters of ASCII, which is all that reports can hold.
_PRINTABLE: Final = re.compile(rb"[ -~]+\Z")
#: RFC 3464 2.1.2: an atom (RFC 822), registered or not.
_TYPE: Final = re.compile(rb"[A-Za-z0-9!#$%&'*/?^_`{|}~-]{1,40}\Z")
#: RFC 6533 3: 7-bit and 8-bit form of an address; 5C is the backslash itself.
_UNITEXT: Final = re.compile(rb"(?:[!-*,-<>-\[\]-~\x80-\xff]|\\x\{[0-9A-F]{2,6}\})+\Z")
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_NOT_QCHAR: Final = re.compile(r"[^!-*,-<>-\[\]-~]")
#: Controls, and the separators some software takes for line ends.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_WORDS: Final = {b"NEVER": Notify.NEVER, b"SUCCESS": Notify.SUCCESS, b"FAILURE": Notify.FAILURE, b"DELAY": Notify.DELAY}


def encode_xtext(value: bytes) -> bytes:
    """
    *value* as xtext: what may not stand for itself is ``+`` and two digits.
    """
    return _NOT_XCHAR.sub(lambda found: b"+%02X" % found[0][0], value)


def decode_xtext(text: bytes) -> bytes:
    """
    What an xtext says.

    :raises ValueError: it is none, or is empty.
    """
    if not _XTEXT.match(text):
        raise ValueError("it is no xtext")
    return _HEXCHAR.sub(lambda found: bytes((int(found[1], 16),)), text)


def read_ret(value: bytes) -> str:
    """
    The value of RET: ``FULL`` or ``HDRS``.

    :raises ValueError: with a text for whoever sent it, as all of these do.
    """
    word = value.upper().decode("ascii", "replace")
    if word not in ("FULL", "HDRS"):
        raise ValueError("RET is FULL or HDRS")
    return word


def read_envid(value: bytes) -> bytes:
    """
    The value of ENVID, decoded.
    """
    if len(value) > MAX_ENVID:
        raise ValueError(f"ENVID is longer than {MAX_ENVID} characters")
    try:
        return _checked_envid(decode_xtext(value))
    except ValueError as error:
        raise ValueError(f"ENVID: {error}") from None


def check_envid(envid: bytes) -> bytes:
    """
    *envid*, not encoded yet, if it can be sent.
    """
    if _checked_envid(envid) and len(encode_xtext(envid)) > MAX_ENVID:
        raise ValueError(f"the envelope id is longer than {MAX_ENVID} characters")
    return envid


def _checked_envid(envid: bytes) -> bytes:
    if not _PRINTABLE.match(envid):
        raise ValueError("an envelope id has printable ASCII characters only")
    return envid


def read_notify(value: bytes) -> Notify:
    """
    The value of NOTIFY.
    """
    notify = NO_NOTIFY
    for word in value.upper().split(b","):
        flag = _WORDS.get(word)
        if flag is None or notify & flag:
            raise ValueError("NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
        notify |= flag
    return check_notify(notify)


def check_notify(notify: Notify) -> Notify:
    """
    *notify*, if it makes sense.
    """
    if notify & Notify.NEVER and notify != Notify.NEVER:
        raise ValueError("NOTIFY=NEVER stands alone")
    return notify


def write_notify(notify: Notify) -> bytes:
    """
    The value of NOTIFY; empty for zero.
    """
    return b",".join(word for word, flag in _WORDS.items() if notify & flag)


def read_orcpt(value: bytes, smtputf8: bool = False) -> bytes:
    """
    The value of ORCPT, decoded.

    :param smtputf8: whether MAIL asked for SMTPUTF8: only then may the address hold
        octets above 127 as they are (RFC 6533 3).
    """
    if len(value) > MAX_ORCPT:
        raise ValueError(f"ORCPT is longer than {MAX_ORCPT} characters")
    kind, semicolon, text = value.partition(b";")
    if not semicolon or not _TYPE.match(kind):
        raise ValueError("ORCPT is a type, a semicolon and an address")
    if not value.isascii() and (kind.lower() != b"utf-8" or not smtputf8):
        raise ValueError("ORCPT has octets above 127")
    if kind.lower() == b"utf-8":
        address = _from_unitext(text)
    else:
        try:
            address = decode_xtext(text)
        except ValueError as error:
            raise ValueError(f"ORCPT: {error}") from None
        if not _PRINTABLE.match(address):
            raise ValueError("ORCPT has printable ASCII characters only")
    orcpt = kind + b";" + address
    if len(write_orcpt(orcpt)) > MAX_ORCPT:
        # In its 7-bit form, which has to go through as well.
        raise ValueError(f"ORCPT is longer than {MAX_ORCPT} characters")
    return orcpt


def check_orcpt(orcpt: bytes) -> bytes:
    """
    *orcpt*, not encoded yet, if it can be sent; an address without a type is one of
    mail, and gets its type.
    """
    kind, semicolon, address = orcpt.partition(b";")
    if not semicolon or not _TYPE.match(kind):
        check_address(orcpt, True)
        kind, address = (b"rfc822" if orcpt.isascii() else b"utf-8"), orcpt
        orcpt = kind + b";" + address
    read_orcpt(write_orcpt(orcpt))
    return orcpt


def write_orcpt(orcpt: bytes) -> bytes:
    """
    The value of ORCPT in the form that every peer with DSN takes, 7-bit.
    """
    kind, _, address = orcpt.partition(b";")
    if kind.lower() != b"utf-8":
        return kind + b";" + encode_xtext(address)
    text = address.decode("utf-8", "replace")
    return kind + b";" + _NOT_QCHAR.sub(lambda found: rf"\x{{{ord(found[0]):02X}}}", text).encode("ascii")


def _from_unitext(text: bytes) -> bytes:
    """
    The address that the 7-bit or 8-bit form of an internationalized one spells.
    """
    if not _UNITEXT.match(text):
        raise ValueError("ORCPT: malformed utf-8 address")
    try:
        address = _EMBEDDED.sub(lambda found: chr(int(found[1], 16)), text.decode("utf-8"))
        octets = address.encode("utf-8")
    except (ValueError, OverflowError):
        raise ValueError("ORCPT: malformed utf-8 address") from None
    if _CONTROLS.search(address):
        raise ValueError("ORCPT: control character in the address")
    return octets
