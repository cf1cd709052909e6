"""
The parameters of MAIL and RCPT: what a client of ours may say, and which of those
we say ourselves a message can do without.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..envelope import NO_NOTIFY, RecipientTerms, Terms
from .dsn import read_envid, read_notify, read_orcpt, read_ret

_SIZE: Final = re.compile(rb"[0-9]{1,20}\Z")
_KNOWN: Final = frozenset((b"SIZE", b"BODY", b"SMTPUTF8", b"RET", b"ENVID"))

#: Parameters that a message arrives without just as well: a peer that refuses one (501, 504 or 555) may be asked
#: again without them.  Those that are missing here say what the message is, or what must not become of it.
OPTIONAL: Final = frozenset((b"SIZE", b"RET", b"ENVID", b"NOTIFY", b"ORCPT", b"AUTH"))


class Refused(Exception):
    """
    A parameter that is not taken.

    :ivar code: of the reply.
    :ivar text: enhanced status code and text.
    :ivar malformed: the client made a mistake, it did not just ask for too much.
    """

    def __init__(self, code: int, text: str, malformed: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.malformed = malformed


@dataclass(frozen=True, slots=True)
class MailParameters:
    """
    What the parameters of MAIL say.

    :ivar eight_bit: ``BODY=8BITMIME``.
    :ivar smtputf8: ``SMTPUTF8``.
    :ivar envid: ``ENVID``, decoded.
    :ivar ret: ``RET``.
    :ivar require_tls: ``REQUIRETLS``.
    """

    eight_bit: bool = False
    smtputf8: bool = False
    envid: bytes = b""
    ret: str = ""
    require_tls: bool = False

    def terms(self, recipients: Mapping[int, RecipientTerms]) -> Terms:
        """
        These, and those of the recipients.
        """
        return Terms(envid=self.envid, ret=self.ret, require_tls=self.require_tls, recipients=dict(recipients))


#: Nothing was said.
NO_MAIL_PARAMETERS: Final = MailParameters()


def read_mail(parameters: Mapping[bytes, bytes], max_message_size: int, require_tls: bool) -> MailParameters:
    """
    The parameters of a MAIL command.

    :param parameters: by upper-case keyword.
    :param max_message_size: octets of the largest message taken.
    :param require_tls: whether REQUIRETLS was offered.
    :raises Refused: one is not taken.
    """
    eight_bit = smtputf8 = secure = False
    envid, ret = b"", ""
    for keyword, value in parameters.items():
        if keyword not in _KNOWN and not (require_tls and keyword == b"REQUIRETLS"):
            raise Refused(555, "5.5.4 Parameter not recognized")
        if keyword == b"SIZE" and _SIZE.match(value):
            if int(value) > max_message_size:
                raise Refused(552, "5.3.4 Message exceeds the size limit")
        elif keyword == b"BODY" and value.upper() in (b"7BIT", b"8BITMIME"):
            eight_bit = value.upper() == b"8BITMIME"
        elif keyword == b"SMTPUTF8" and not value:
            smtputf8 = True
        elif keyword == b"REQUIRETLS" and not value:
            secure = True
        elif keyword in (b"RET", b"ENVID"):
            try:
                if keyword == b"RET":
                    ret = read_ret(value)
                else:
                    envid = read_envid(value)
            except ValueError as error:
                raise _malformed(error) from None
        else:
            raise Refused(501, "5.5.4 Bad parameter value", True)
    return MailParameters(eight_bit, smtputf8, envid, ret, secure)


def read_recipient(parameters: Mapping[bytes, bytes], smtputf8: bool) -> RecipientTerms:
    """
    The parameters of a RCPT command.

    :param parameters: by upper-case keyword.
    :param smtputf8: whether MAIL asked for SMTPUTF8.
    :raises Refused: one is not taken.
    """
    notify, orcpt = NO_NOTIFY, b""
    for keyword, value in parameters.items():
        try:
            if keyword == b"NOTIFY":
                notify = read_notify(value)
            elif keyword == b"ORCPT":
                orcpt = read_orcpt(value, smtputf8)
            else:
                raise Refused(555, "5.5.4 Parameter not recognized")
        except ValueError as error:
            raise _malformed(error) from None
    return RecipientTerms(notify, orcpt)


def without_optional(parameters: bytes) -> bytes:
    """
    Parameters of a command without those a message can do without.

    :param parameters: as they are said, blanks between them.
    """
    return b" ".join(word for word in parameters.split() if word.partition(b"=")[0].upper() not in OPTIONAL)


def _malformed(error: ValueError) -> Refused:
    return Refused(501, f"5.5.4 Bad parameter value: {error}", True)
