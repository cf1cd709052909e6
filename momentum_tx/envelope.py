"""
What an envelope says besides its addresses.

Most mail says nothing of the kind: it shares :data:`NO_TERMS`, and costs nothing.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final


class Notify(enum.IntFlag, boundary=enum.STRICT):
    """
    Of what the sender wants to be told (RFC 3461 4.1); zero if that was not said.
    """

    #: Of nothing; stands alone.
    NEVER = 1
    #: That the message was delivered, or passed on to where nobody will tell.
    SUCCESS = 2
    #: That it never will be.
    FAILURE = 4
    #: That it is late.
    DELAY = 8


#: Nothing was said: reports are written as for ordinary mail.
NO_NOTIFY: Final = Notify(0)


@dataclass(frozen=True, slots=True)
class RecipientTerms:
    """
    What the envelope says of one recipient.

    :ivar notify: what the sender wants to be told.
    :ivar orcpt: the recipient as the sender wrote it: type, ``;``, address, nothing
        encoded (RFC 3461 4.2, RFC 6533); empty if that was not said.
    """

    notify: Notify = NO_NOTIFY
    orcpt: bytes = b""


#: Those of most recipients.
NO_RECIPIENT_TERMS: Final = RecipientTerms()
_NOBODY: Final[Mapping[int, RecipientTerms]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Terms:
    """
    On what terms a message was taken.

    :ivar not_before: wall time before which it is not attempted; 0 if it need not wait.
    :ivar expires: wall time at which its life ends; 0 if ``message_expiration`` says.
    :ivar envid: the sender's own name for the message, nothing encoded (RFC 3461 4.4).
    :ivar ret: ``FULL`` or ``HDRS``: how much of the message a report is to hold
        (RFC 3461 4.3); empty if that was not said.
    :ivar require_tls: it goes only where TLS is authenticated and goes on being so (RFC 8689).
    :ivar tls_optional: its sender would rather have it arrive than be safe (RFC 8689 5).
    :ivar recipients: terms of single recipients, by index; others have none.
    """

    not_before: float = 0.0
    expires: float = 0.0
    envid: bytes = b""
    ret: str = ""
    require_tls: bool = False
    tls_optional: bool = False
    recipients: Mapping[int, RecipientTerms] = field(default_factory=lambda: _NOBODY, hash=False)

    def of(self, index: int) -> RecipientTerms:
        """
        The terms of the recipient *index*.
        """
        return self.recipients.get(index, NO_RECIPIENT_TERMS)

    @property
    def beyond_times(self) -> bool:
        """
        Whether anything is said besides times.
        """
        return bool(self.envid or self.ret or self.require_tls or self.tls_optional or self.recipients)

    def put_away(self, index: int) -> tuple[Any, ...]:
        """
        All of it that concerns the recipient *index*, as plain values for :func:`brought_back`.
        """
        own = self.recipients.get(index)
        return (
            self.not_before,
            self.expires,
            self.envid,
            self.ret,
            self.require_tls,
            self.tls_optional,
            None if own is None else (index, int(own.notify), own.orcpt),
        )


#: Those of most mail.
NO_TERMS: Final = Terms()


def brought_back(values: tuple[Any, ...]) -> Terms:
    """
    What :meth:`Terms.put_away` has put away.
    """
    terms = Terms(*values[:6])
    if values[6] is None:
        return terms
    index, notify, orcpt = values[6]
    return replace(terms, recipients={index: RecipientTerms(Notify(notify), orcpt)})
