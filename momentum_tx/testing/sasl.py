"""
Receivers that want to know who their clients are: the server's side of AUTH.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .behaviours import Behaviour
from .peer_session import Answer, ReceiverSession, Step

if TYPE_CHECKING:
    from .peers import Receiver

#: A server that has not been told others offers these.
MECHANISMS: Final = (b"SCRAM-SHA-256", b"CRAM-MD5", b"PLAIN", b"LOGIN")
#: What servers draw by chance; here nobody guesses.
_CHALLENGE: Final = b"<1896.697170952@mx.peer.example>"
_SALT: Final = b"0123456789abcdef"
_NONCE: Final = "server-nonce"
ITERATIONS: Final = 4096

#: Yields challenges, is sent responses, returns the user, or ``None`` for a refusal.
Exchange = Generator[bytes, bytes, str | None]


class Authenticating(Behaviour):
    """
    Takes mail from clients that authenticate and from nobody else, as the submission
    service of a provider.

    :param users: passwords, or tokens, by user; they may change meanwhile.
    :param mechanisms: what it offers.
    :param clear: whether it offers that without TLS too.
    :ivar accepted: users that authenticated, one for each session, in order.
    :ivar refused: how many did not succeed.
    :ivar used: mechanisms that were asked for, in order.
    """

    def __init__(self, users: Mapping[str, str], mechanisms: Sequence[bytes] = MECHANISMS, clear: bool = False) -> None:
        self.users = users
        self.mechanisms = tuple(mechanisms)
        self.clear = clear
        self.accepted: list[str] = []
        self.refused = 0
        self.used: list[str] = []
        self._under_way: dict[ReceiverSession, Exchange] = {}
        #: Who each session is of; one that has ended costs nothing more in a test.
        self._known: dict[ReceiverSession, str] = {}

    def detached(self, receiver: Receiver) -> None:
        self._under_way.clear()
        self._known.clear()

    def adjust(self, session: ReceiverSession, point: str, answer: Answer) -> Answer:
        offers = point in ("EHLO", "LHLO") and answer.reply[:3] == b"250" and self.mechanisms
        if not offers or not (session.encrypted or self.clear):
            return answer
        head, separator, last = answer.reply.rpartition(b"\r\n")
        return replace(
            answer,
            reply=head + separator + b"250-" + last[4:] + b"\r\n250 AUTH " + b" ".join(self.mechanisms),
        )

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        if session in self._under_way:
            return self._go_on(session, line)
        if point == "AUTH":
            return self._begin(session, line)
        if point == "MAIL" and session not in self._known:
            return b"530 5.7.0 Authentication required"
        return None

    def _begin(self, session: ReceiverSession, line: bytes) -> bytes:
        if session in self._known:
            return b"503 5.5.1 Once is enough"
        words = line.split(b" ")
        name = b"".join(words[1:2]).upper()
        if name not in self.mechanisms or not (session.encrypted or self.clear):
            return b"504 5.5.4 Not that one"
        self.used.append(name.decode())
        initial = None if len(words) < 3 else b"" if words[2] == b"=" else _decoded(words[2])
        self._under_way[session] = exchange(name.decode(), initial, self.users)
        return self._step(session, None)

    def _go_on(self, session: ReceiverSession, line: bytes) -> bytes:
        if line == b"*":
            del self._under_way[session]
            self.refused += 1
            return b"501 5.7.0 Cancelled"
        return self._step(session, _decoded(line))

    def _step(self, session: ReceiverSession, response: bytes | None) -> bytes:
        words = self._under_way[session]
        try:
            challenge = next(words) if response is None else words.send(response)
        except StopIteration as end:
            user = end.value
        else:
            return b"334 " + binascii.b2a_base64(challenge, newline=False)
        del self._under_way[session]
        if user is None:
            self.refused += 1
            return b"535 5.7.8 Authentication credentials invalid"
        self._known[session] = user
        self.accepted.append(user)
        return b"235 2.7.0 Welcome"


def _decoded(word: bytes) -> bytes:
    return binascii.a2b_base64(word, strict_mode=True)


def exchange(mechanism: str, initial: bytes | None, users: Mapping[str, str]) -> Exchange:
    """
    One authentication.

    :param mechanism: one of those that mail servers have.
    :param initial: what the client said with the command; ``None`` for nothing.
    :param users: passwords, or tokens, by user.
    :raises KeyError: there is no such mechanism.
    """
    return _MECHANISMS[mechanism](initial, users)


def _known(users: Mapping[str, str], user: bytes, secret: bytes) -> str | None:
    name = user.decode("utf-8", "replace")
    return name if users.get(name) == secret.decode("utf-8", "replace") else None


def _plain(initial: bytes | None, users: Mapping[str, str]) -> Exchange:
    message = (yield b"") if initial is None else initial
    parts = message.split(b"\0")
    return _known(users, parts[1], parts[2]) if len(parts) == 3 else None


def _login(initial: bytes | None, users: Mapping[str, str]) -> Exchange:
    user = (yield b"Username:") if initial is None else initial
    return _known(users, user, (yield b"Password:"))


def _cram_md5(initial: bytes | None, users: Mapping[str, str]) -> Exchange:
    user, _, digest = (yield _CHALLENGE).rpartition(b" ")
    name = user.decode("utf-8", "replace")
    expected = hmac.new(users.get(name, "\0").encode(), _CHALLENGE, "md5").hexdigest()
    return name if digest == expected.encode() else None


def _scram(initial: bytes | None, users: Mapping[str, str]) -> Exchange:
    message = ((yield b"") if initial is None else initial).decode()
    bare = message.split(",", 2)[2]
    name, nonce = (part[2:] for part in bare.split(",")[:2])
    user = name.replace("=2C", ",").replace("=3D", "=")
    salt = binascii.b2a_base64(_SALT, newline=False).decode()
    first = f"r={nonce}{_NONCE},s={salt},i={ITERATIONS}"
    without_proof, _, proof = (yield first.encode()).decode().rpartition(",p=")
    salted = hashlib.pbkdf2_hmac("sha256", users.get(user, "\0").encode(), _SALT, ITERATIONS)
    signed = f"{bare},{first},{without_proof}".encode()
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    signature = hmac.digest(stored, signed, "sha256")
    key = bytes(one ^ other for one, other in zip(binascii.a2b_base64(proof), signature, strict=False))
    if hashlib.sha256(key).digest() != stored:
        return None
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    yield b"v=" + binascii.b2a_base64(hmac.digest(server_key, signed, "sha256"), newline=False)
    return user


def _xoauth2(initial: bytes | None, users: Mapping[str, str]) -> Exchange:
    message = (yield b"") if initial is None else initial
    user = message.partition(b"user=")[2].partition(b"\1")[0]
    return (yield from _token(user, message, users))


def _oauthbearer(initial: bytes | None, users: Mapping[str, str]) -> Exchange:
    message = (yield b"") if initial is None else initial
    user = message.partition(b"a=")[2].partition(b",")[0].replace(b"=2C", b",").replace(b"=3D", b"=")
    return (yield from _token(user, message, users))


def _token(user: bytes, message: bytes, users: Mapping[str, str]) -> Exchange:
    found = _known(users, user, message.partition(b"auth=Bearer ")[2].partition(b"\1")[0])
    if found is None:
        # It says why, and the client answers with nothing of meaning (RFC 7628 3.2.3).
        yield b'{"status":"401"}'
    return found


_MECHANISMS: Final = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "SCRAM-SHA-256": _scram,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
}
