"""
Every exception the package raises of its own, in one flat tree.

A refusal by a peer is not here: it is an answer, and answers are values
(:mod:`momentum_tx.outcomes`).
"""

from .flags import ConnFlag


class DeliveryError(Exception):
    """
    Parent of everything below: no verdict was reached, or none was asked for.
    """


class _Flagged(DeliveryError):
    """
    An error that carries the full connection word.
    """

    def __init__(self, flags: ConnFlag, reason: str = "") -> None:
        super().__init__(flags, reason)
        #: The full word, obligations included.
        self.flags = flags
        #: What is known beyond the word, for people.
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.flags}: {self.reason}" if self.reason else str(self.flags)


class ConnectionNotInitiated(_Flagged):
    """
    ``initiate_connection`` returned no handle; no callback will ever run.

    Momentum's NULL with the out-parameter ``error`` set; here :attr:`flags`.
    """


class ConnectFailed(_Flagged):
    """
    A connection attempt that was under way has failed (not by timeout).
    """


class ConnectTimedOut(_Flagged):
    """
    A connection attempt that was under way ran out of ``connect_timeout``.
    """


class DialFailed(_Flagged):
    """
    One address could not be dialled; what a dialer reports, before policy.
    """


class OutOfDescriptors(DialFailed):
    """
    The process, or the system, has no descriptor left for a socket: nobody's fault but
    ours, and over when another one is closed.
    """


class LookupFailed(DeliveryError):
    """
    DNS gave no answer that may be relied on: no reply, SERVFAIL, nonsense.

    Always temporary.  A name that does not exist is an answer, not this.
    """


class LookupHindered(LookupFailed):
    """
    DNS was not asked, or its answer is of no use, for a reason of our own; it
    says nothing of the domain.
    """


class ExchangersUnknown(LookupFailed):
    """
    It was the look-up of a domain's MX records that failed; its addresses have
    not been asked for.
    """


class TLSUndecided(DeliveryError):
    """
    What TLS a connection has to have cannot be told, so that mail has to wait.
    """

    def __init__(self, note: bytes) -> None:
        super().__init__(note)
        #: The status text that says why: code first, one line.
        self.note = note

    def __str__(self) -> str:
        return self.note.decode("utf-8", "replace")


class LocalProtocolError(DeliveryError):
    """
    We asked our own protocol machine for something illegal: a programming fault.
    """


class RemoteProtocolError(DeliveryError):
    """
    The peer broke the protocol beyond what can be tolerated.
    """


class ExchangeFailed(DeliveryError):
    """
    A peer did not pass a state that was put into the session; the text says why,
    for people.

    For states to raise; the session then ends, and nothing was attempted.
    """


class SpoolError(DeliveryError):
    """
    The spool could not do what was asked; nothing it had accepted is lost.
    """


class MessageRefused(DeliveryError):
    """
    A submission was refused before it was accepted; nothing was kept.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        #: Three-digit reply code.
        self.code = code
        #: Enhanced status code and text, as an SMTP client would be told.
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class SigningFailed(DeliveryError):
    """
    A message could not be signed; the text holds nothing of a key.
    """


class HookFailed(DeliveryError):
    """
    A hook that may wait gave no answer: a provider raised, talked nonsense, or
    was not done in time.
    """


class HookReentered(DeliveryError):
    """
    A hook that is being asked called something that would ask hooks again.
    """


class StartupError(DeliveryError):
    """
    The service cannot start; the text says what, where, and what to do.
    """


class ConfigError(StartupError):
    """
    A configuration was refused, whole.  One entry per mistake.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__(*mistakes)
        #: ``file:line: key: what is wrong`` each.
        self.mistakes = mistakes

    def __str__(self) -> str:
        return "\n".join(self.mistakes)
