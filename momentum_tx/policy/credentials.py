"""
Who we are to a server that wants to know, and how that is proved.
"""

from __future__ import annotations

from typing import Final

#: The mechanisms of SASL that prove a password, the strongest first; and those that show a token.
PASSWORD_MECHANISMS: Final = ("SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN")
TOKEN_MECHANISMS: Final = ("OAUTHBEARER", "XOAUTH2")
#: Those that do not show the secret to whoever listens.
SAFE_IN_CLEAR: Final = frozenset({"SCRAM-SHA-256", "CRAM-MD5"})
#: Octets of a user name, and of a password or token: a token of OAuth may be a signed document.
LONGEST_USER: Final = 1024
LONGEST_SECRET: Final = 8192


class Credentials:
    """
    A user and a password, or a token; the same to the end.  What is printed of it
    never holds the secret.

    :param user: the name to authenticate by.
    :param secret: the password; or the access token, without ``Bearer``.
    :param token: whether the secret is an access token (OAuth 2), not a password.
    :param authzid: the name to act as, where it is another; empty for the same.
    :raises ValueError: one of them is empty, too long, or has a NUL in it; the text
        does not say what it is.
    """

    __slots__ = ("_secret", "authzid", "token", "user")

    def __init__(self, user: str, secret: str, token: bool = False, authzid: str = "") -> None:
        for what, value, longest in (
            ("user", user, LONGEST_USER),
            ("secret", secret, LONGEST_SECRET),
            ("authzid", authzid, LONGEST_USER),
        ):
            if not isinstance(value, str):
                raise ValueError(f"credentials: the {what} is no text")
            if not value and what != "authzid":
                raise ValueError(f"credentials: the {what} is empty")
            try:
                octets = len(value.encode())
            except UnicodeEncodeError:
                raise ValueError(f"credentials: the {what} is no Unicode text") from None
            if octets > longest:
                raise ValueError(f"credentials: the {what} has more than {longest} octets")
            if "\0" in value:
                raise ValueError(f"credentials: the {what} has a NUL in it")
        if token and not all("!" <= letter <= "~" for letter in secret):
            # RFC 6750 2.1; a control character would also be a separator to the server.
            raise ValueError("credentials: the secret is no access token, which has printable ASCII letters only")
        self.user = user
        self._secret = secret
        self.token = bool(token)
        self.authzid = authzid

    def reveal(self) -> str:
        """
        The secret, for who is about to use it.
        """
        return self._secret

    def _all(self) -> tuple[str, str, bool, str]:
        return self.user, self._secret, self.token, self.authzid

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"<Credentials of {self.user!r}, {'a token' if self.token else 'a password'}>"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("credentials are not written down")
