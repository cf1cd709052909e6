"""
Status texts of sessions that ended without a reply: Momentum's internal
responses (reference page "Responses by code"), and a few of ours.
"""

from __future__ import annotations

from typing import Final

from ..stages import Stage

_INTERNAL: Final = b"451 4.4.2 [internal] "

#: The connection ended while a reply was owed.
CLOSED: Final = _INTERNAL + b"connection closed by remote host"
TLS_FAILED: Final = b"451 4.7.5 [internal] TLS negotiation failed"
NO_GO_AHEAD: Final = b"451 4.7.5 [internal] no tls go-ahead"
TLS_NOT_OFFERED: Final = b"451 4.7.6 [internal] STARTTLS required but not advertised"
#: The certificate names somebody else.
HOST_NOT_NAMED: Final = b"451 4.7.5 [internal] SSL certificate subject does not match host"
#: There is no chain from the certificate to an issuer that is trusted, or it is not valid.
CHAIN_NOT_VALID: Final = b"451 4.7.5 [internal] remote node SSL certificate not signed by a valid CA"
#: The certificate is none of those that DNS names (RFC 7672).
TLSA_NOT_MATCHED: Final = b"451 4.7.5 [internal] SSL certificate does not match TLSA records"
#: What TLS is wanted cannot be told, or cannot be had with the material there is.
TLS_UNDETERMINED: Final = b"451 4.7.5 [internal] tls parameters cannot be determined"
#: TLSA records cannot be had, so that nobody knows who the peer has to be (RFC 7672 2.1.2).
TLSA_UNKNOWN: Final = b"451 4.7.5 [internal] TLSA records cannot be looked up"
#: RFC 8461 section 5: such an exchanger is not tried at all.
NOT_IN_POLICY: Final = b"451 4.7.5 [internal] no MXs of this domain are in its MTA-STS policy"
XCLIENT_NOT_OFFERED: Final = b"451 4.7.6 [internal] XCLIENT required but not advertised"
AUTH_NOT_OFFERED: Final = b"451 4.7.6 [internal] AUTH required but not advertised"
#: RFC 4954 6: what is offered would show the secret to whoever listens.
AUTH_NEEDS_TLS: Final = b"451 4.7.11 [internal] AUTH required but not safe without TLS"
#: Whoever has the credentials does not give them.
NO_CREDENTIALS: Final = b"451 4.7.0 [internal] no credentials for AUTH"
MAIL_HOOK_FAILED: Final = _INTERNAL + b"MAIL FROM argument hook failed"
RCPT_HOOK_FAILED: Final = _INTERNAL + b"RCPT TO argument hook failed"
XCLIENT_HOOK_FAILED: Final = _INTERNAL + b"XCLIENT argument hook failed"
MAIL_TOO_LONG: Final = _INTERNAL + b"MAIL FROM arguments too long"
RCPT_TOO_LONG: Final = _INTERNAL + b"RCPT TO arguments too long"
XCLIENT_TOO_LONG: Final = _INTERNAL + b"XCLIENT arguments too long"
#: The peer would not forget a transaction, so that no other can begin.
RESET_REFUSED: Final = _INTERNAL + b"RSET refused"
#: RFC 1870 section 6: larger than the peer announces, so that it need not be sent.
TOO_LARGE: Final = b"552 5.3.4 [internal] message is larger than the peer accepts"
#: RFC 6531 section 3.2: the address needs what the peer does not offer.
UTF8_NOT_OFFERED: Final = b"553 5.6.7 [internal] SMTPUTF8 required but not advertised"
#: The envelope does not fit into commands; the message is kept.
UNSPEAKABLE: Final = b"451 4.3.0 [internal] envelope does not fit into commands"
#: The spool could not give the message back; it is kept.
BODY_UNREADABLE: Final = b"451 4.3.0 [internal] error while reading body"

_NO_RESPONSE: Final = {
    Stage.READING_BANNER: b"no banner",
    Stage.AFTER_EHLO: b"no HELO/EHLO response",
    Stage.AFTER_MAIL_FROM: b"no MAIL FROM response",
    Stage.AFTER_RCPT_TO: b"no RCPT TO response",
    Stage.AFTER_DATA: b"no DATA response",
    Stage.SENDING_BODY: b"send BODY failed",
    Stage.READING_CONFIRMATION: b"no BODY response",
    Stage.AFTER_RSET: b"no RSET response",
    Stage.AFTER_XCLIENT: b"no XCLIENT response",
    Stage.AUTHENTICATION: b"no AUTH response",
    Stage.CUSTOM_STATE: b"no response in custom state",
}


def conversion_refused(reason: str, prohibited: bool) -> bytes:
    """
    The status text of a message that needs 8BITMIME and cannot be made 7-bit
    (RFC 3463 3.7).

    :param reason: why not.
    :param prohibited: whether it could, were it not forbidden.
    """
    return b"554 5.6.%d [internal] 8BITMIME required but not advertised: " % (2 if prohibited else 3) + reason.encode()


def requiretls_impossible(reason: str, final: bool) -> bytes:
    """
    The status text of a message with REQUIRETLS that no exchanger may have (RFC 8689 5).

    :param reason: why the last one may not.
    :param final: whether that is how it is, and not only out of order.
    """
    return (b"554 5" if final else b"451 4") + b".7.30 [internal] REQUIRETLS support required: " + _plain(reason)


def xclient_refused(note: bytes) -> bytes:
    """
    The status text of a message whose client the peer refused to be told of.

    :param note: what it said.
    """
    return b"451 4.7.6 [internal] XCLIENT required but refused: " + note


def own_name(name: str, final: bool) -> bytes:
    """
    The status text of a session with ourselves (RFC 3463 3.5, X.4.6).

    :param name: what the peer calls itself.
    :param final: whether it is never tried again.
    """
    return b"%b.4.6 [internal] mail loops back to ourselves: the peer calls itself " % (
        b"554 5" if final else b"451 4"
    ) + _plain(name)


def auth_refused(name: str, note: str) -> bytes:
    """
    The status text of a session whose peer refused our credentials (RFC 4954 6).

    :param name: the mechanism.
    :param note: what it said.
    """
    return b"451 4.7.8 [internal] AUTH %b refused: " % name.encode() + _plain(note)


def auth_failed(reason: str) -> bytes:
    """
    The status text of a session that ended in the middle of an authentication.

    :param reason: why, for people.
    """
    return b"451 4.7.0 [internal] AUTH failed: " + _plain(reason)


def state_failed(reason: str) -> bytes:
    """
    The status text of a session whose peer did not pass a state that was put in.

    :param reason: why not, for people.
    """
    return b"451 4.3.0 [internal] custom state failed: " + _plain(reason)


def not_verified(kind: str) -> bytes:
    """
    The status text of a peer whose certificate is not what was wanted.

    :param kind: of the problem: a result type of RFC 8460 4.3.
    """
    if kind == "certificate-host-mismatch":
        return HOST_NOT_NAMED
    return TLSA_NOT_MATCHED if kind == "tlsa-invalid" else CHAIN_NOT_VALID


def no_response(stage: Stage) -> bytes:
    """
    The status text of a peer that kept silent in *stage*.
    """
    if stage is Stage.AFTER_STARTTLS:
        return NO_GO_AHEAD
    if stage is Stage.TLS_HANDSHAKE:
        return TLS_FAILED
    return _INTERNAL + _NO_RESPONSE.get(stage, b"no response")


def violation(text: str) -> bytes:
    """
    The status text of a peer that broke the protocol.

    :param text: what it did.
    """
    return b"451 4.5.0 [internal] protocol error: " + _plain(text)


def _plain(text: str) -> bytes:
    """
    *text* as a note may hold it.
    """
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain.encode("ascii", "replace")[:300]
