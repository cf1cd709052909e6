"""
OpenSSL contexts: one for each distinct policy, made once, frozen and shared, since
making one costs more than a handshake's arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

from ..policy.tls import MODERN, PEM_BEGIN, TLSParameters, spoken
from ..policy.tls_material import certificates, private_key

#: Most contexts kept; the one that was used longest ago goes first.
MOST_CONTEXTS: Final = 256
#: Most lists of issuers kept; each takes a few hundred KiB.
MOST_ISSUERS: Final = 32

_VERSIONS: Final = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
#: What :meth:`OpenSSL.SSL.Context.set_verify` calls; its answer is whether to go on.
Callback = Callable[[Any, Any, int, int, int], bool]


class Contexts:
    """
    Makes and keeps contexts.

    :param verified: told of every certificate that is verified, and of what is wrong with it.
    """

    def __init__(self, verified: Callback) -> None:
        self._verified = verified
        self._files: Mapping[str, bytes] = {}
        self._made: dict[tuple[Any, ...], SSL.Context] = {}
        self._issuers: dict[str, list[crypto.X509]] = {}

    def __len__(self) -> int:
        return len(self._made)

    def equip(self, files: Mapping[str, bytes]) -> None:
        """
        Make contexts of what *files* hold from now on; connections keep theirs.
        """
        self._files = files
        self._made.clear()
        self._issuers.clear()

    def context(self, parameters: TLSParameters, small_hello: bool) -> SSL.Context:
        """
        The context for *parameters*.

        :param small_hello: see :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        :raises ValueError: there can be none; the text is the end of a sentence.
        """
        verifying = parameters.verify in ("optional", "ca", "host")
        key = (
            parameters.ca if verifying else None,
            parameters.certificate,
            parameters.key,
            parameters.ciphers,
            parameters.tlsv13_ciphersuites,
            spoken(parameters),
            small_hello,
        )
        context = self._made.pop(key, None)
        if context is None:
            try:
                context = self._make(parameters, verifying, small_hello)
            except SSL.Error as error:
                raise ValueError(f"OpenSSL does not take it: {error}") from None
            if len(self._made) >= MOST_CONTEXTS:
                del self._made[next(iter(self._made))]
        self._made[key] = context
        return context

    def _make(self, parameters: TLSParameters, verifying: bool, small_hello: bool) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        allowed = spoken(parameters)
        context.set_min_proto_version(_VERSIONS[allowed[0]])
        context.set_max_proto_version(_VERSIONS[allowed[-1]])
        context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
        # Saves 30 KiB for every idle connection.
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        ciphers = parameters.ciphers
        if allowed[0] not in MODERN:
            # Whoever asks for versions that are no longer safe shall have what they need.
            ciphers = f"{ciphers or 'DEFAULT'}:@SECLEVEL=0"
        if ciphers:
            context.set_cipher_list(ciphers.encode())
        if parameters.tlsv13_ciphersuites:
            context.set_tls13_ciphersuites(parameters.tlsv13_ciphersuites.encode())
        if small_hello:
            # A hello with a share for a hybrid group does not fit into one packet.  This group every
            # peer has to know (RFC 8446 9.1), and its hello has some 350 octets.
            context.set_tmp_ecdh(ec.SECP256R1())
        if parameters.certificate:
            self._own(context, parameters)
        if verifying:
            self._trust(context, parameters.ca)
            context.set_verify(SSL.VERIFY_PEER, self._verified)
        else:
            context.set_verify(SSL.VERIFY_NONE, None)
        return context

    def _own(self, context: SSL.Context, parameters: TLSParameters) -> None:
        shown = self._content(parameters.certificate)
        secret = self._content(parameters.key or parameters.certificate)
        first, *others = certificates(shown)
        context.use_certificate(first)
        for each in others:
            context.add_extra_chain_cert(each)
        context.use_privatekey(private_key(secret))  # type: ignore[arg-type]
        context.check_privatekey()

    def _trust(self, context: SSL.Context, ca: str) -> None:
        store = context.get_cert_store()
        if store is None:
            raise ValueError("there is no room for trusted issuers")
        # Whatever an operator trusts is trusted, also if it is no root.
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        if not ca and ca not in self._files:
            # Nobody has written that anything is verified: it is a hook or a policy of the domain that wants it.
            context.set_default_verify_paths()
            return
        found = self._issuers.get(ca)
        if found is None:
            if len(self._issuers) >= MOST_ISSUERS:
                del self._issuers[next(iter(self._issuers))]
            made = [crypto.X509.from_cryptography(each) for each in certificates(self._content(ca))]
            found = self._issuers[ca] = made
        for each in found:
            store.add_cert(each)

    def _content(self, path: str) -> bytes:
        if path.startswith(PEM_BEGIN):
            return path.encode()
        content = self._files.get(path)
        if content is None:
            raise ValueError(f"{path} was not read when the configuration was loaded, for no option names it")
        return content
