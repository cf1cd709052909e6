"""
Signs mail at the door: once, when nothing changes it any more, before it is
kept.  What is spooled is what was signed.

Bodies that are large and keys that are slow are the business of threads, of
which ``dkim_threads`` work at once; what waits has a bound.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import HookFailed, MessageRefused, SigningFailed, StartupError
from ..hooks.outbound import OutboundHooks
from ..interfaces.seams import IThreadExecutor
from ..interfaces.services import IConfiguration
from ..message import dkim
from ..message.dkim_keys import SigningKey, UnusableKey, read_keyfile
from ..policy import signatures
from ..queues.message import Reception
from ..settings import DKIMSignature
from ..smtp.addresses import canonical_domain

if TYPE_CHECKING:
    from .receiver import Receiver

#: Octets of a message up to which it is signed in the reactor's thread, if the key is fast.
INLINE: Final = 65536
#: Messages, and octets, that one call of a thread signs: a call costs as much as a small signature.
BATCH: Final = 16
BATCH_OCTETS: Final = 262_144
#: Keys of providers of ``dkim_sign`` that are remembered; those used longest ago go first.
MOST_KEYS: Final = 1000

_REFUSED: Final = (451, "4.7.5 The message could not be signed, try again later")
#: A key by what names it: its file, or a hash of its text.
_Name = str | bytes


@dataclass(eq=False, slots=True)
class _Job:
    """
    One message for a thread.

    :ivar keys: one for each signature; ``None`` for one that is to be read.
    """

    content: bytes
    signatures: Sequence[DKIMSignature]
    keys: list[SigningKey | None]
    now: float
    done: Deferred[bytes]


def load_keys(config: IConfiguration, warnings: list[str]) -> dict[str, SigningKey]:
    """
    Read every key that a configuration names.

    :param warnings: gets doubts about them, each with its place.
    :returns: keys by file.
    :raises StartupError: some cannot be used, one line each.
    """
    keys: dict[str, SigningKey] = {}
    mistakes = []
    for path, place in config.signers.keyfiles().items():
        try:
            keys[path] = read_keyfile(path)
        except UnusableKey as error:
            mistakes.append(f"{place}: keyfile: {path} {error}")
            continue
        if keys[path].doubt:
            warnings.append(f"{place}: keyfile: {path} {keys[path].doubt}")
    if mistakes:
        raise StartupError("\n".join(mistakes))
    return keys


class Signer:
    """
    Puts signatures in front of messages.

    :param config: gives the configuration in force.
    :param hooks: asked for other signatures than those of the configuration.
    :param threads: sign what takes long.
    :param clock: times providers.
    :param wall: wall time.
    :ivar keys: those of the configuration in force, by file (see :func:`load_keys`).
    """

    _log = Logger()

    def __init__(
        self,
        config: Callable[[], IConfiguration],
        hooks: OutboundHooks,
        threads: IThreadExecutor,
        clock: IReactorTime,
        wall: Callable[[], float],
    ) -> None:
        self._config = config
        self._hooks = hooks
        self._threads = threads
        self._clock = clock
        self._wall = wall
        self.keys: dict[str, SigningKey] = {}
        self._foreign: OrderedDict[_Name, SigningKey] = OrderedDict()
        self._waiting: deque[_Job] = deque()
        self._running = 0
        self._feeding = False
        #: Questions that providers take their time to answer.
        self._asking: set[Deferred[Any]] = set()

    def serve(self, receiver: Receiver) -> None:
        """
        Have *receiver* ask for signatures, if any message may have to be signed.
        """
        needed = bool(self._config().signers) or bool(self._hooks.dkim_sign)
        receiver.signer = self if needed else None

    @property
    def busy(self) -> bool:
        """
        Whether a message is being signed, or waits to be.
        """
        return bool(self._running or self._waiting or self._asking)

    def stop(self) -> None:
        """
        Wait for no provider any more: what it was asked about is refused for now.
        """
        for asking in list(self._asking):
            asking.cancel()

    def use(self, keys: dict[str, SigningKey]) -> None:
        """
        Go on with the keys of another configuration; files that providers named
        are read anew when they are next named.
        """
        self.keys = keys
        self._foreign.clear()

    def sign(self, reception: Reception, content: bytes) -> bytes | Deferred[bytes]:
        """
        *content* with its signatures in front; itself if it gets none.

        :param reception: what is known of it.
        :returns: at once, or a Deferred that fails as follows.
        :raises MessageRefused: it cannot be signed and must not be sent unsigned.
        """
        try:
            domain = canonical_domain(dkim.author_domain(content))
        except ValueError:
            domain = ""
        hook = self._hooks.dkim_sign
        try:
            answer = None
            if hook:
                patience = self._config().global_settings.hook_timeout
                answer = hook.inquire(lambda each: each.dkim_sign(reception, content, domain), self._clock, patience)
            if isinstance(answer, Deferred):
                self._asking.add(answer)
                answer.addBoth(self._answered, answer)
                waiting: Deferred[bytes] = answer.addCallback(self._chosen, domain, content)
                return waiting.addErrback(self._failed, reception, content)
            signed = self._chosen(answer, domain, content)
        except Exception:
            return self._failed(Failure(), reception, content)
        return signed.addErrback(self._failed, reception, content) if isinstance(signed, Deferred) else signed

    def _answered(self, result: Any, asking: Deferred[Any]) -> Any:
        self._asking.discard(asking)
        return result

    def _chosen(self, answer: Sequence[DKIMSignature] | None, domain: str, content: bytes) -> bytes | Deferred[bytes]:
        """
        Sign with what a provider answered, or the configuration says.
        """
        if answer is None:
            chosen: Sequence[DKIMSignature] = self._config().signers.signatures(domain) if domain else ()
            # What was read with the configuration is there, whichever is in force by now.
            keys: list[SigningKey | None] = [self.keys.get(each.keyfile) for each in chosen]
        else:
            chosen = [_checked(each) for each in answer]
            keys = [self._known(each) for each in chosen]
        if not chosen:
            return content
        now = self._wall()
        if len(content) <= INLINE and all(key is not None and not key.slow for key in keys):
            return (
                dkim.sign(content, [(each, key) for each, key in zip(chosen, keys, strict=True) if key], now) + content
            )
        if len(self._waiting) >= self._config().global_settings.dkim_max_waiting:
            raise SigningFailed(f"{len(self._waiting)} messages wait to be signed already (dkim_max_waiting)")
        done: Deferred[bytes] = Deferred()
        self._waiting.append(_Job(content, chosen, keys, now, done))
        self._feed()
        return done

    def _known(self, signature: DKIMSignature) -> SigningKey | None:
        key = self.keys.get(signature.keyfile)
        if key is None:
            name = _name(signature)
            key = self._foreign.get(name)
            if key is not None:
                self._foreign.move_to_end(name)
        return key

    def _remember(self, job: _Job) -> None:
        for signature, key in zip(job.signatures, job.keys, strict=True):
            if key is not None and signature.keyfile not in self.keys:
                self._foreign[_name(signature)] = key
        while len(self._foreign) > MOST_KEYS:
            self._foreign.popitem(last=False)

    def _feed(self) -> None:
        """
        Give threads work while there are both.
        """
        if self._feeding:
            return
        self._feeding = True
        try:
            # A thread that fails at once comes back here before it is looked again.
            while self._waiting and self._running < self._config().global_settings.dkim_threads:
                batch = [self._waiting.popleft()]
                octets = len(batch[0].content)
                while self._waiting and len(batch) < BATCH and octets + len(self._waiting[0].content) <= BATCH_OCTETS:
                    batch.append(self._waiting.popleft())
                    octets += len(batch[-1].content)
                self._running += 1
                self._threads.run(_work, batch).addBoth(self._worked, batch)
        finally:
            self._feeding = False

    def _worked(self, results: list[bytes | Exception] | Failure, batch: list[_Job]) -> None:
        self._running -= 1
        for at, job in enumerate(batch):
            result = results.value if isinstance(results, Failure) else results[at]
            if isinstance(result, bytes):
                self._remember(job)
                job.done.callback(result)
            else:
                job.done.errback(result)
        self._feed()

    def _failed(self, failure: Failure, reception: Reception, content: bytes) -> bytes:
        accept = self._config().global_settings.dkim_failure == "accept"
        self._log.error(
            "message {id} could not be signed, {then}: {reason}",
            id=reception.batch_id,
            then="and is sent without a signature" if accept else "and is refused for now",
            # Texts of ours: whatever else was raised could quote a key.
            reason=failure.value
            if isinstance(failure.value, (SigningFailed, HookFailed))
            else f"{type(failure.value).__name__}",
        )
        if accept:
            return content
        raise MessageRefused(*_REFUSED)


def _checked(signature: object) -> DKIMSignature:
    if not isinstance(signature, DKIMSignature):
        raise SigningFailed("hook dkim_sign: a provider answered with what is no DKIMSignature")
    try:
        return signatures.check(signature)
    except (ValueError, TypeError) as error:
        raise SigningFailed(f"hook dkim_sign: a provider's signature cannot be made: {error}") from None


def _name(signature: DKIMSignature) -> _Name:
    return signature.keyfile or sha256(signature.key.encode()).digest()


def _work(batch: list[_Job]) -> list[bytes | Exception]:
    """
    Sign messages, in a thread; what is wrong with one is its own.
    """
    made: list[bytes | Exception] = []
    for job in batch:
        try:
            for at, signature in enumerate(job.signatures):
                if job.keys[at] is None:
                    job.keys[at] = _read(signature)
            pairs = [(each, key) for each, key in zip(job.signatures, job.keys, strict=True) if key is not None]
            made.append(dkim.sign(job.content, pairs, job.now) + job.content)
        except Exception as error:
            made.append(error)
    return made


def _read(signature: DKIMSignature) -> SigningKey:
    try:
        if signature.keyfile:
            return read_keyfile(signature.keyfile)
        return SigningKey.parse(signature.key.encode())
    except UnusableKey as error:
        what = signature.keyfile or f"the key for {signature.selector}._domainkey.{signature.domain}"
        raise SigningFailed(f"{what} {error}") from None
