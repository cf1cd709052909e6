"""
The mechanisms of SASL that mail servers have, as clients see them.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from ..errors import ExchangeFailed
from ..policy.credentials import PASSWORD_MECHANISMS, TOKEN_MECHANISMS, Credentials
from .scram import Scram


class Mechanism(Protocol):
    """
    One exchange by one mechanism; made for it and thrown away.
    """

    def initial(self) -> bytes | None:
        """
        What the client says first; ``None`` if the server does.
        """

    def respond(self, challenge: bytes) -> bytes | Callable[[], bytes]:
        """
        The answer to a challenge; or what makes it, if that takes so long that
        others should not have to wait for it.

        :raises ExchangeFailed: it makes no sense; nothing more is to be said.
        """

    def accepted(self) -> None:
        """
        The server says that all is well.

        :raises ExchangeFailed: it has not shown who it is.
        """


class _OneShot:
    """
    Everything is said at once.
    """

    name = ""

    def __init__(self, message: bytes) -> None:
        self._message = message

    def initial(self) -> bytes | None:
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        raise ExchangeFailed(f"{self.name}: a challenge that nobody asked for")

    def accepted(self) -> None:
        pass


class Plain(_OneShot):
    """
    PLAIN (RFC 4616).
    """

    name = "PLAIN"

    def __init__(self, credentials: Credentials, nonce: Callable[[], str]) -> None:
        # As they are: it is the server that prepares them for comparison (RFC 4616 2).
        words = credentials.authzid, credentials.user, credentials.reveal()
        super().__init__("\0".join(words).encode())


class Login:
    """
    LOGIN, which nobody has written down but many servers still want.
    """

    def __init__(self, credentials: Credentials, nonce: Callable[[], str]) -> None:
        self._answers = [credentials.reveal().encode(), credentials.user.encode()]

    def initial(self) -> bytes | None:
        return None

    def respond(self, challenge: bytes) -> bytes:
        # The challenges are in whatever words, or language; what counts is which comes first.
        if not self._answers:
            raise ExchangeFailed("LOGIN: a third question")
        return self._answers.pop()

    def accepted(self) -> None:
        if self._answers:
            raise ExchangeFailed("LOGIN: the server was content before it had the password")


class CramMD5:
    """
    CRAM-MD5 (RFC 2195).
    """

    def __init__(self, credentials: Credentials, nonce: Callable[[], str]) -> None:
        self._credentials: Credentials | None = credentials

    def initial(self) -> bytes | None:
        return None

    def respond(self, challenge: bytes) -> bytes:
        credentials, self._credentials = self._credentials, None
        if credentials is None:
            raise ExchangeFailed("CRAM-MD5: a second challenge")
        if not challenge:
            raise ExchangeFailed("CRAM-MD5: an empty challenge")
        try:
            digest = hmac.new(credentials.reveal().encode(), challenge, "md5").hexdigest()
        except ValueError:
            raise ExchangeFailed("CRAM-MD5: this machine does no MD5") from None
        return credentials.user.encode() + b" " + digest.encode()

    def accepted(self) -> None:
        if self._credentials is not None:
            raise ExchangeFailed("CRAM-MD5: the server was content before it had an answer")


class ScramSHA256:
    """
    SCRAM-SHA-256 (RFC 7677).
    """

    def __init__(self, credentials: Credentials, nonce: Callable[[], str]) -> None:
        self._scram = Scram(credentials.user, credentials.reveal(), nonce(), credentials.authzid)

    def initial(self) -> bytes | None:
        return self._scram.initial()

    def respond(self, challenge: bytes) -> bytes | Callable[[], bytes]:
        return self._scram.respond(challenge)

    def accepted(self) -> None:
        if not self._scram.proved:
            raise ExchangeFailed("SCRAM-SHA-256: the server did not show that it knows the password")


class _Bearer(_OneShot):
    """
    A token is shown; a server that does not want it says why in a challenge, and is
    then given an answer of no meaning before it refuses.
    """

    #: That answer.
    resigned = b""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self._refused = False

    def respond(self, challenge: bytes) -> bytes:
        if self._refused:
            raise ExchangeFailed(f"{self.name}: a second challenge")
        self._refused = True
        return self.resigned

    def accepted(self) -> None:
        if self._refused:
            raise ExchangeFailed(f"{self.name}: accepted after it was refused")


class XOAuth2(_Bearer):
    """
    XOAUTH2, as Google and Microsoft document it.
    """

    name = "XOAUTH2"

    def __init__(self, credentials: Credentials, nonce: Callable[[], str]) -> None:
        _no_separator(self.name, credentials)
        super().__init__(f"user={credentials.user}\1auth=Bearer {credentials.reveal()}\1\1".encode())


class OAuthBearer(_Bearer):
    """
    OAUTHBEARER (RFC 7628).
    """

    name = "OAUTHBEARER"
    resigned = b"\1"

    def __init__(self, credentials: Credentials, nonce: Callable[[], str]) -> None:
        _no_separator(self.name, credentials)
        name = (credentials.authzid or credentials.user).replace("=", "=3D").replace(",", "=2C")
        super().__init__(f"n,a={name},\1auth=Bearer {credentials.reveal()}\1\1".encode())


def _no_separator(name: str, credentials: Credentials) -> None:
    if "\1" in credentials.user + credentials.authzid:
        raise ExchangeFailed(f"{name}: the user has a control character")


#: All of them.
MECHANISMS: Final[dict[str, Callable[[Credentials, Callable[[], str]], Mechanism]]] = {
    "SCRAM-SHA-256": ScramSHA256,
    "CRAM-MD5": CramMD5,
    "PLAIN": Plain,
    "LOGIN": Login,
    "OAUTHBEARER": OAuthBearer,
    "XOAUTH2": XOAuth2,
}


def suitable(offered: Iterable[bytes], allowed: Iterable[str], token: bool) -> list[str]:
    """
    The mechanisms that a peer offers and we may use, the strongest first.

    :param offered: as the peer offers them, upper case.
    :param allowed: names; empty for all.
    :param token: whether a token is to be shown, not a password.
    """
    there, may = set(offered), set(allowed)
    names = TOKEN_MECHANISMS if token else PASSWORD_MECHANISMS
    return [name for name in names if name.encode() in there and (not may or name in may)]
