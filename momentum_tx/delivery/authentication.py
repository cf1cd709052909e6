"""
Who we are to a server that wants to know, and what follows if it does not believe us.

Source: Momentum, module ``outbound_smtp_auth``; RFC 4954.
"""

from __future__ import annotations

import binascii
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..errors import ExchangeFailed, HookFailed
from ..policy.credentials import SAFE_IN_CLEAR, TOKEN_MECHANISMS, Credentials
from ..policy.session_notes import AUTH_NEEDS_TLS, AUTH_NOT_OFFERED, NO_CREDENTIALS, auth_refused
from ..smtp.auth import AuthenticationRefused, authenticate
from ..smtp.mechanisms import MECHANISMS, suitable

if TYPE_CHECKING:
    from ..interfaces.records import IClientSession
    from ..settings import PathSettings
    from .facilities import Facilities
    from .handle import ConnectionHandle
    from .records import Peer

#: Most refusals that are remembered; beyond, the first are forgotten.
MOST_REFUSALS: Final = 10_000
#: Octets of chance in a nonce.
_NONCE: Final = 18


class Unauthenticated(ExchangeFailed):
    """
    The session has to end because we could not say who we are.

    :ivar note: the status text.
    :ivar hold: seconds for which nobody shall try again.
    """

    def __init__(self, note: bytes, hold: float = 0.0) -> None:
        super().__init__(note.decode("utf-8", "replace"))
        self.note = note
        self.hold = hold


class Authentication:
    """
    Has sessions authenticate, and remembers who was refused where, so that a wrong
    password is not tried by one session, and for one domain, after the other.

    :param facilities: configuration, hooks, clock, chance, threads.
    """

    __slots__ = ("_f", "_refused_at", "_refused_for")

    _log = Logger()

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities
        #: Until when credentials are not shown to a peer again, by the clock, and what it said.
        self._refused_at: dict[tuple[Peer, Credentials], tuple[float, bytes]] = {}
        #: What was said last to credentials of a (binding slot, domain) pair.
        self._refused_for: dict[tuple[int, str], bytes] = {}

    def possible(self, settings: PathSettings) -> bool:
        """
        Whether there may be credentials for a path.
        """
        if settings.outbound_smtp_auth == "no":
            return False
        return bool(settings.outbound_smtp_auth_user or self._f.hooks.outbound_smtp_auth_config)

    def forget(self) -> None:
        """
        Whoever was refused may try again at once.
        """
        self._refused_at.clear()

    def words(
        self, handle: ConnectionHandle, settings: PathSettings, session: IClientSession
    ) -> Generator[Any, Any, None]:
        """
        What a session says to authenticate; nothing, if there are no credentials after all.

        :raises ExchangeFailed: it could not; :class:`Unauthenticated` says with what note.
        """
        credentials = yield from self._credentials(handle, settings)
        if credentials is None:
            return
        name = self._mechanism(credentials, settings, session)
        if name is None:
            return
        peer, path = handle.connection.peer, (handle.binding_slot, handle.dr.domain)
        until, note = self._refused_at.get((peer, credentials), (0.0, b""))
        wait = until - self._f.clock.seconds()
        if wait > 0:
            raise Unauthenticated(note, wait)
        try:
            yield from self._talk(authenticate(name, MECHANISMS[name](credentials, self._nonce)))
        except AuthenticationRefused as refusal:
            note = auth_refused(name, str(refusal))
            hold = settings.outbound_smtp_auth_hold
            _remember(self._refused_at, (peer, credentials), (self._f.clock.seconds() + hold, note))
            _remember(self._refused_for, path, refusal.reply.note)
            raise Unauthenticated(note, hold) from None
        self._refused_for.pop(path, None)

    def _credentials(self, handle: ConnectionHandle, settings: PathSettings) -> Generator[Any, Any, Credentials | None]:
        hook = self._f.hooks.outbound_smtp_auth_config
        if hook:
            dr, slot, host = handle.dr, handle.binding_slot, handle.connection.host_name
            refused = self._refused_for.get((slot, dr.domain), b"")
            try:
                found = hook.inquire(
                    lambda provider: provider.outbound_smtp_auth_config(dr, slot, host, refused),
                    self._f.clock,
                    settings.outbound_smtp_auth_timeout,
                )
                if isinstance(found, Deferred):
                    found = yield found
            except HookFailed:
                raise Unauthenticated(NO_CREDENTIALS) from None
            if found is not None:
                assert isinstance(found, Credentials)
                return found
        user = settings.outbound_smtp_auth_user
        if not user:
            return None
        secret = self._f.config.secrets.get(settings.outbound_smtp_auth_pass_file)
        if secret is None:
            # The configuration has changed since the session began.
            raise Unauthenticated(NO_CREDENTIALS)
        token = any(name in TOKEN_MECHANISMS for name in settings.outbound_smtp_auth_type)
        return Credentials(user, secret, token)

    @staticmethod
    def _mechanism(credentials: Credentials, settings: PathSettings, session: IClientSession) -> str | None:
        """
        The mechanism to use; ``None`` for none, where that is good enough.
        """
        names = suitable(session.extensions.auth, settings.outbound_smtp_auth_type, credentials.token)
        note = AUTH_NOT_OFFERED
        if names and not session.encrypted and not settings.outbound_smtp_auth_in_clear:
            names = [name for name in names if name in SAFE_IN_CLEAR]
            note = AUTH_NEEDS_TLS
        if names:
            return names[0]
        if settings.outbound_smtp_auth == "ifavailable":
            return None
        raise Unauthenticated(note)

    def _talk(self, words: Generator[Any, Any, None]) -> Generator[Any, Any, None]:
        """
        Say *words*; what takes long is done in a thread.
        """
        said = next(words)
        while True:
            heard = yield (self._f.threads.run(said) if callable(said) else said)
            try:
                said = words.send(heard)
            except StopIteration:
                return

    def _nonce(self) -> str:
        # Base64 has no comma, which would end it.
        return binascii.b2a_base64(self._f.rng.randbytes(_NONCE), newline=False).decode()


def _remember(memory: dict[Any, Any], key: object, value: object) -> None:
    memory.pop(key, None)
    if len(memory) >= MOST_REFUSALS:
        del memory[next(iter(memory))]
    memory[key] = value
