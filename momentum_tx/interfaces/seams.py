"""
The seams: dialer and listener, journal files, thread executor, TLS upgrade, HTTPS
fetch, onlooker.

Each has a real provider and a double; the service cannot tell them apart.
Descriptors and sockets live behind the first, blocking calls behind the third.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IListeningPort, IProtocol, IProtocolFactory, ITransport

    from ..errors import DialFailed
    from ..policy.tls import TLSParameters

T = TypeVar("T")


class IConnectedStream(Interface):
    """
    A TCP connection that is established and belongs to nobody yet.
    """

    local: tuple[str, int] = Attribute("Our address and port.")
    peer: tuple[str, int] = Attribute("The peer's address and port.")

    def fileno() -> int:
        """
        The descriptor's number; on a virtual network a number like one.
        """

    def start(protocol: IProtocol) -> None:
        """
        Give the connection to *protocol*: its ``makeConnection`` is called
        before this returns.  Once only.

        :param protocol: what reads and writes from now on.
        """

    def close() -> None:
        """
        Drop a connection that was never started; after :meth:`start` nothing
        happens (close the transport instead).
        """


class IDial(Interface):
    """
    One connect that is under way.
    """

    def cancel() -> None:
        """
        Stop; neither callback will run.  Harmless after the end.
        """

    def time_out(seconds: float) -> DialFailed:
        """
        Stop, as by :meth:`cancel`, because it has taken too long.

        :param seconds: how long that was, for people.
        :returns: what that means: ``ERROR_CONNECT_TIMEOUT``, unless something on our side
            of the destination was waited for.
        """


class IDialer(Interface):
    """
    Opens TCP connections from bound source addresses.  It has no timer and no
    opinion: which address, for how long, and what a failure means is decided
    above.
    """

    def tune(nodelay: bool, buffer_size: int) -> None:
        """
        Open connections so from now on.

        :param nodelay: whether small writes leave at once, without Nagle's algorithm.
        :param buffer_size: octets of the kernel's buffers, each way; 0 leaves them to it.
        """

    def dial(
        host: str,
        port: int,
        source: str,
        post_bind: Callable[[int], bool] | None,
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> IDial:
        """
        Begin to connect; exactly one of the callbacks runs later, never before
        this has returned.

        The port is chosen at connect, not at bind (``IP_BIND_ADDRESS_NO_PORT``),
        so that one source address has a whole port range per destination.

        :param host: numeric IPv4 or IPv6 address.
        :param port: destination port.
        :param source: numeric source address; empty lets the kernel choose.
        :param post_bind: asked between bind and connect with the descriptor's
            number; false forbids the connect, which counts as ``ERROR_BIND``.
        :param connected: gets the connection.
        :param failed: gets a :class:`~momentum_tx.errors.DialFailed` whose
            flags hold one cause and no action.
        :raises DialFailed: when it failed before a connect was pending; no
            callback runs then.
        """


class IListener(Interface):
    """
    Opens listening ports.
    """

    def listen(description: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen on a Twisted endpoint string.

        :param description: the string, such as ``tcp:2525:interface=127.0.0.1``.
        :param factory: makes a protocol for each client.
        :returns: fires at once for TCP; fails with
            ``twisted.internet.error.CannotListenError`` or :class:`ValueError`
            (not an endpoint string).
        """

    def listen_local(path: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen on a socket in the file system that nobody but our own user can open,
        in the place of one that is there: whoever calls knows that it is nobody's.

        :param path: its path.
        :param factory: makes a protocol for each client.
        :returns: fires at once; fails with :class:`OSError` or
            ``twisted.internet.error.CannotListenError``.
        """


class IThreadExecutor(Interface):
    """
    Runs blocking calls off the reactor thread.
    """

    def run(function: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Call ``function(*args)`` in a worker; the result comes back in the
        reactor thread.  Cancelling the Deferred does not stop the worker.

        :param function: may block; it touches nothing the reactor thread writes.
        :param args: passed to it.
        :returns: fires with its result, or fails with its exception.
        """

    def stop() -> None:
        """
        Wait for running calls and end the workers.
        """


class IOnlooker(Interface):
    """
    Looks at the reactor's thread from another one.
    """

    def begin(look: Callable[[], float]) -> None:
        """
        Call *look* in the other thread again and again, from now on.

        Called in the reactor's thread, which is the one that :meth:`stack` shows.

        :param look: answers with the seconds until it is called next.
        """

    def end() -> None:
        """
        Call it no more; when this returns it does not run.  Reactor's thread;
        harmless twice.
        """

    def ask(answer: Callable[[], object]) -> None:
        """
        Have the reactor's thread call *answer* as soon as it gets round to it.

        Any thread.

        :param answer: called without arguments, once.
        """

    def now() -> float:
        """
        The reactor's clock, in seconds.  Any thread.
        """

    def worked() -> float:
        """
        Seconds of processor time that the calling thread has had.
        """

    def stack() -> Sequence[str]:
        """
        The calls that the reactor's thread is in, the innermost last, for people; empty
        if that cannot be told.  Any thread.
        """


class IJournalFile(Interface):
    """
    One file of the journal: written at its end, read anywhere.
    """

    name: str = Attribute("File name inside the journal's directory.")

    def size() -> int:
        """
        Length in octets, what was appended included.
        """

    def append(buffers: Sequence[bytes]) -> int:
        """
        Write all *buffers* at the end; they are in the kernel's hands when
        this returns, but not on disk.

        :param buffers: octets, in their order.
        :returns: the offset of the first octet.
        :raises OSError: nothing was appended (a partial write is cut off again;
            if even that fails the error has attribute ``torn = True``).
        """

    def read(offset: int, length: int) -> bytes:
        """
        What the file holds.  Any thread.

        :param offset: of the first octet.
        :param length: the most to read; fewer come at the end of the file.
        """

    def truncate(length: int) -> None:
        """
        Cut the file.

        :param length: octets to keep.
        """

    def sync() -> None:
        """
        Data and length survive a power cut when this returns.  Blocks: call it
        in a worker.  After an :class:`OSError` what was not synced is suspect
        and a second call proves nothing.

        :raises OSError: it failed, or the file has no name any more, so that
            nobody would find it.
        """

    def close() -> None:
        """
        Release the descriptor; harmless twice.
        """


class IJournalFiles(Interface):
    """
    The directory of the journal.
    """

    def lock() -> None:
        """
        Make the directory ours; created if missing.

        :raises StartupError: another process has it, or it cannot be written.
        """

    def unlock() -> None:
        """
        Give the directory up.
        """

    def names() -> list[str]:
        """
        Regular files present, sorted; links and devices are left out.

        :raises StartupError: one of those has the name of a segment.
        """

    def create(name: str) -> IJournalFile:
        """
        A new, empty file; its name is durable after :meth:`sync_names`.

        :param name: file name inside the directory.
        :raises FileExistsError: there is one.
        """

    def open(name: str) -> IJournalFile:
        """
        An existing file, for reading and appending.

        :param name: file name inside the directory.
        """

    def rename(name: str, new: str) -> None:
        """
        Rename a file; durable after :meth:`sync_names`.

        :param name: what it is called.
        :param new: what it shall be called; a file of that name is replaced.
        """

    def unlink(name: str) -> None:
        """
        Remove a file; durable after :meth:`sync_names`.

        :param name: file name inside the directory.
        """

    def sync_names() -> None:
        """
        Creations, renamings and removals survive a power cut when this
        returns.  Blocks.
        """

    def reserve(octets: int) -> None:
        """
        Hold disk space back from everybody, this journal included.  May block
        when it takes space, not when it gives it up.

        :param octets: how much to hold in all; zero gives it up.
        :raises OSError: there is not so much space; what was held before is given up.
        """


class ITLSFacts(Interface):
    """
    What was negotiated, and how far it was verified.
    """

    version: str = Attribute("Protocol version, such as ``TLSv1.3``.")
    cipher: str = Attribute("Cipher suite.")
    group: str = Attribute("Group of the key exchange, such as ``X25519``; empty if that is not known.")
    certificate_digest: str = Attribute("SHA-256 of the peer's certificate in hex; empty if it showed none.")
    subject: str = Attribute("Whose certificate it says it is (RFC 4514); empty if it showed none.")
    issuer: str = Attribute("Who signed it, as it says.")
    verified: str = Attribute("How it was verified: ``ca``, ``host`` or ``dane``; empty if it was not.")
    name: str = Attribute("The reference name the certificate carries, if one was looked for and found; or empty.")
    problem: str = Attribute("Why it was not verified as was wanted; empty if it was, or nothing was wanted.")
    problem_kind: str = Attribute("What kind of problem that is: a result type of RFC 8460 4.3, or empty.")


class ITLSUpgrade(Interface):
    """
    Turns a plain connection into a TLS one, as client.
    """

    def equip(files: Mapping[str, bytes]) -> None:
        """
        Go on with what files hold from now on; connections that are open keep what they have.

        :param files: by path, see :class:`~momentum_tx.interfaces.services.IConfiguration`.
        """

    def upgrade(transport: ITransport, parameters: TLSParameters, small_hello: bool = False) -> None:
        """
        Begin the handshake on *transport*.

        The protocol of *transport* provides ``IHandshakeListener``: it is told
        ``handshakeCompleted()``, or ``connectionLost`` if the handshake fails.
        Nothing that was received before counts after.  A certificate that cannot be
        verified does not make it fail: see :meth:`facts`.

        :param transport: the plain connection's transport.
        :param parameters: what is wanted.
        :param small_hello: whether the first message of the handshake has to fit into one
            packet: some peers, or what stands before them, get no further with a larger one.
        :raises ValueError: that cannot be done; nothing has begun.
        """

    def facts(transport: ITransport) -> ITLSFacts:
        """
        What was negotiated; only after ``handshakeCompleted``.

        :param transport: the transport that was upgraded.
        """


class IHTTPSFetch(Interface):
    """
    Fetches or delivers one document over HTTPS with a verified certificate.
    """

    def fetch(url: str, timeout: float, max_size: int) -> Deferred[tuple[int, dict[str, str], bytes]]:
        """
        GET a document; redirects are not followed.

        :param url: an ``https`` URL.
        :param timeout: seconds for everything, name look-up included.
        :param max_size: octets of the body; a larger one fails.
        :returns: fires with (status, header fields by lower-case name, body);
            fails with :class:`~momentum_tx.errors.DeliveryError`.  Cancelling
            stops the fetch.
        """

    def post(
        url: str, body: bytes, content_type: str, timeout: float, max_size: int
    ) -> Deferred[tuple[int, dict[str, str], bytes]]:
        """
        POST a document; redirects are not followed.

        :param url: an ``https`` URL.
        :param body: the document.
        :param content_type: its media type.
        :param timeout: as for :meth:`fetch`, and so is what it fires and fails with.
        :param max_size: octets of the answer.
        """
