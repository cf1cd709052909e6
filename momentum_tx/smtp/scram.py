"""
The client's side of SCRAM-SHA-256 (RFC 5802, 7677), without channel binding.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from ..errors import ExchangeFailed
from .saslprep import saslprep

#: RFC 7677 4 wants at least so many; fewer give the password away to whoever listens.
FEWEST_ITERATIONS: Final = 4096
#: A fifth of a second of one core, once per password and salt; no server shall cost us more.
MOST_ITERATIONS: Final = 600_000
#: Octets of a message of the server's.
_LONGEST: Final = 4096


class Scram:
    """
    One exchange.  :meth:`respond` takes what the server says until :attr:`proved`.

    :param user: who.
    :param password: the secret.
    :param nonce: printable ASCII without a comma, drawn for this exchange alone.
    :param authzid: the name to act as; empty for *user*.
    :raises ExchangeFailed: the name or the password cannot be used with it.
    """

    __slots__ = ("_bare", "_gs2", "_nonce", "_password", "_signature", "proved")

    def __init__(self, user: str, password: str, nonce: str, authzid: str = "") -> None:
        try:
            self._password = saslprep(password)
            name = saslprep(user)
        except ValueError as error:
            raise ExchangeFailed(f"SCRAM-SHA-256: the user or the password has {error}") from None
        self._nonce = nonce
        self._gs2 = f"n,{'a=' + _escaped(authzid) if authzid else ''},"
        self._bare = f"n={_escaped(name)},r={nonce}"
        #: What the server has to show that it knows the password as well.
        self._signature = b""
        #: Whether it did.
        self.proved = False

    def initial(self) -> bytes:
        """
        The client's first message.
        """
        return (self._gs2 + self._bare).encode()

    def respond(self, message: bytes) -> bytes | Callable[[], bytes]:
        """
        The answer to what the server said, or what makes it, which takes its time.

        :raises ExchangeFailed: it is not what a server says that knows the password.
        """
        if len(message) > _LONGEST:
            raise ExchangeFailed("SCRAM-SHA-256: a message that is too long")
        try:
            text = message.decode()
        except UnicodeDecodeError:
            raise ExchangeFailed("SCRAM-SHA-256: a message that is no text") from None
        if self.proved:
            raise ExchangeFailed("SCRAM-SHA-256: a message after the last")
        if self._signature:
            return self._verify(text)
        nonce, salt, iterations = self._challenge(text)
        return lambda: self._prove(text, nonce, _salted(self._password, salt, iterations))

    def _challenge(self, text: str) -> tuple[str, bytes, int]:
        parts = text.split(",")
        # Attributes come in this order; one that is mandatory to understand would come first ("m=").
        if len(parts) < 3 or [part[:2] for part in parts[:3]] != ["r=", "s=", "i="]:
            raise ExchangeFailed("SCRAM-SHA-256: the server's first message makes no sense")
        nonce, salt_text, count = (part[2:] for part in parts[:3])
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise ExchangeFailed("SCRAM-SHA-256: the server answers somebody else's question")
        try:
            salt = binascii.a2b_base64(salt_text.encode(), strict_mode=True)
        except (binascii.Error, ValueError):
            salt = b""
        if not salt:
            raise ExchangeFailed("SCRAM-SHA-256: a salt that is none")
        if not (count.isascii() and count.isdigit() and len(count) < 10 and count[0] != "0"):
            raise ExchangeFailed("SCRAM-SHA-256: a number of iterations that is none")
        iterations = int(count)
        if not FEWEST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            raise ExchangeFailed(
                f"SCRAM-SHA-256: {iterations} iterations are wanted, and {FEWEST_ITERATIONS} to {MOST_ITERATIONS} done"
            )
        return nonce, salt, iterations

    def _prove(self, text: str, nonce: str, salted: bytes) -> bytes:
        without_proof = f"c={binascii.b2a_base64(self._gs2.encode(), newline=False).decode()},r={nonce}"
        message = f"{self._bare},{text},{without_proof}".encode()
        client_key = _hmac(salted, b"Client Key")
        client_signature = _hmac(hashlib.sha256(client_key).digest(), message)
        proof = bytes(one ^ other for one, other in zip(client_key, client_signature, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), message)
        return without_proof.encode() + b",p=" + binascii.b2a_base64(proof, newline=False)

    def _verify(self, text: str) -> bytes:
        first = text.split(",")[0]
        if first.startswith("e="):
            shown = "".join(letter if letter.isalnum() or letter == "-" else "?" for letter in first[2:60])
            raise ExchangeFailed(f"SCRAM-SHA-256: the server says {shown}")
        try:
            signature = binascii.a2b_base64(first[2:].encode(), strict_mode=True) if first[:2] == "v=" else b""
        except (binascii.Error, ValueError):
            signature = b""
        if not hmac.compare_digest(signature, self._signature):
            raise ExchangeFailed("SCRAM-SHA-256: the server does not know the password")
        self.proved = True
        return b""


def _escaped(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


@lru_cache(64)
def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    # A server gives a user the same salt each time: the work is done once.
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
