"""
Tests of :mod:`momentum_tx.net.failures`.
"""

import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import DialFailed, OutOfDescriptors
from momentum_tx.flags import ConnFlag
from momentum_tx.net.failures import connect_failure, is_shortage, local_failure


class ConnectFailureTests(SynchronousTestCase):
    """
    What the kernel says of a connect, in Momentum's words.
    """

    def test_table(self) -> None:
        """
        Each error blames whom it should: the way to the peer, our address, the time, or nobody in particular.
        """
        network, bind = ConnFlag.ERROR_CONNECT_NETWORK, ConnFlag.ERROR_BIND
        for name, flag in (
            ("ECONNREFUSED", network),
            ("ENETUNREACH", network),
            ("EHOSTUNREACH", network),
            ("ENETDOWN", network),
            ("EHOSTDOWN", network),
            ("ECONNRESET", network),
            ("ECONNABORTED", network),
            ("EPROTO", network),
            ("EADDRNOTAVAIL", bind),
            ("EADDRINUSE", bind),
            ("ETIMEDOUT", ConnFlag.ERROR_CONNECT_TIMEOUT),
            ("EACCES", ConnFlag.ERROR_CONNECT),
            ("EPERM", ConnFlag.ERROR_CONNECT),
            ("EINVAL", ConnFlag.ERROR_CONNECT),
            ("EAFNOSUPPORT", ConnFlag.ERROR_CONNECT),
            ("ENOBUFS", ConnFlag.ERROR_CONNECT),
        ):
            failure = connect_failure(getattr(errno, name))
            self.assertIs(failure.flags, flag, name)
            self.assertEqual(failure.reason, os.strerror(getattr(errno, name)))

    def test_one_cause(self) -> None:
        """
        Every error the system knows, and any it may learn, is one cause without an obligation.
        """
        for number in (*errno.errorcode, 0, 9999):
            flags = connect_failure(number).flags
            self.assertEqual(flags.value.bit_count(), 1)
            self.assertEqual(flags & ConnFlag.ACTIONS, 0)

    def test_text(self) -> None:
        """
        The text has Momentum's name and the system's words.
        """
        self.assertEqual(str(connect_failure(errno.ECONNREFUSED)), "CONN_ERROR_CONNECT_NETWORK: Connection refused")


class LocalFailureTests(SynchronousTestCase):
    """
    What went wrong before the connect.
    """

    def test_table(self) -> None:
        """
        The text says what was tried and what the system answered.
        """
        for flags, what, error, text in (
            (
                ConnFlag.ERROR_SOCKET,
                "socket",
                OSError(errno.EMFILE, "Too many open files"),
                "CONN_ERROR_SOCKET: socket: Too many open files",
            ),
            (
                ConnFlag.ERROR_BIND,
                "bind to 192.0.2.1",
                OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
                "CONN_ERROR_BIND: bind to 192.0.2.1: Cannot assign requested address",
            ),
            (ConnFlag.ERROR_IOCTL, "preparing", OSError("odd"), "CONN_ERROR_IOCTL: preparing: odd"),
        ):
            failure = local_failure(flags, what, error)
            self.assertIs(failure.flags, flags)
            self.assertEqual(str(failure), text)

    def test_shortage(self) -> None:
        """
        A socket that was not made since others have what it takes is told apart from one
        that cannot be made at all, and from whatever else needs room.
        """
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            error = OSError(number, "no room")
            self.assertTrue(is_shortage(error))
            self.assertIs(type(local_failure(ConnFlag.ERROR_SOCKET, "socket", error)), OutOfDescriptors)
            self.assertIs(type(local_failure(ConnFlag.ERROR_IOCTL, "preparing", error)), DialFailed)
        error = OSError(errno.EAFNOSUPPORT, "no such family")
        self.assertFalse(is_shortage(error))
        self.assertIs(type(local_failure(ConnFlag.ERROR_SOCKET, "socket", error)), DialFailed)
