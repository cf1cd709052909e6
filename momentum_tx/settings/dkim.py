"""
Options of a DKIM signature, and what one is made of.

Names are those of Momentum's module ``opendkim`` where it has the option.
Source: RFC 6376, RFC 8301, RFC 8463.
"""

from dataclasses import dataclass, field
from typing import Final

from .option import Level, option

#: What is signed where it occurs: fields that mean something to whoever reads the message (RFC 6376 5.4.1).
DEFAULT_HEADERLIST: Final = (
    "From",
    "Sender",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "To",
    "Cc",
    "Resent-Date",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Feedback-ID",
)
#: Fields of which a second one would be shown to the reader, and which no server adds on the way.
DEFAULT_OVERSIGN: Final = ("From", "Subject")
CANONICALIZATIONS: Final = ("relaxed", "simple")

_SIGNER: Final = (Level.DKIM, Level.DKIM_SELECTOR)


@dataclass(frozen=True, slots=True)
class DKIMSettings:
    """
    Options of ``[dkim."DOMAIN"]``, which hold for all its selectors, and of
    ``[dkim."DOMAIN".selector.NAME]``, one signature.
    """

    keyfile: str = option(
        "",
        "File of the private key: RSA or Ed25519 in PEM, or 32 octets of Ed25519 in base64. Read at the start and at a"
        " reload; nobody but owner and group may have access. Every selector needs one.",
        scopes=(Level.DKIM_SELECTOR,),
    )
    signing_domain: str = option(
        "",
        "Domain that signs (d=), under which the public key is published; empty: the domain of the From field.",
        scopes=_SIGNER,
    )
    identity: str = option(
        "",
        "Whom the signature speaks for (i=): an address of the signing domain or of one below it, or @ and such a"
        " domain; empty: nobody in particular.",
        scopes=_SIGNER,
    )
    header_canon: str = option(
        "relaxed",
        "What may happen to the header on the way: relaxed, blanks and folding may change; simple, nothing.",
        scopes=_SIGNER,
        choices=CANONICALIZATIONS,
        differs="The default is relaxed.",
    )
    body_canon: str = option(
        "relaxed",
        "What may happen to the body on the way: relaxed, blanks may change and empty lines at the end; simple, empty"
        " lines at the end alone.",
        scopes=_SIGNER,
        choices=CANONICALIZATIONS,
        differs="The default is relaxed.",
    )
    headerlist: tuple[str, ...] = option(
        DEFAULT_HEADERLIST,
        "Header fields that are signed where they occur, each as often as it does; From always is.",
        scopes=_SIGNER,
    )
    oversign: tuple[str, ...] = option(
        DEFAULT_OVERSIGN,
        "Header fields that are signed once more than they occur, so that the signature fails where one is added on"
        " the way (ours).",
        scopes=_SIGNER,
    )
    lifetime: float | None = option(
        None,
        "How long a signature is valid (x=), from the reception on; unset: for ever. Mail that waits longer arrives"
        " with a signature that has expired.",
        "seconds",
        _SIGNER,
        minimum=60,
    )


@dataclass(frozen=True, slots=True)
class DKIMSignature:
    """
    What one signature of a message is made of; what a configuration settles to,
    and what the hook ``dkim_sign`` answers with.

    :ivar domain: who signs (d=): A-labels, lower case.
    :ivar selector: which of its keys (s=).
    :ivar keyfile: path of the private key.
    :ivar key: the private key itself, PEM or the base64 of 32 octets of Ed25519, instead of *keyfile*.
    :ivar identity: see :class:`DKIMSettings`, as all that follow.
    """

    domain: str
    selector: str
    keyfile: str = ""
    key: str = field(default="", repr=False)
    identity: str = ""
    header_canon: str = "relaxed"
    body_canon: str = "relaxed"
    headerlist: tuple[str, ...] = DEFAULT_HEADERLIST
    oversign: tuple[str, ...] = DEFAULT_OVERSIGN
    lifetime: float | None = None
