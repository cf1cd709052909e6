"""
Tests of :mod:`momentum_tx.control.client`, against a socket and a thread.
"""

import os
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.control.client import SOCKET, CommandFailed, NotRunning, ask


class AskTests(SynchronousTestCase):
    """
    What a program gets.
    """

    def setUp(self) -> None:
        # A socket's path is short, and a test's own directory may not be.
        directory = tempfile.TemporaryDirectory(prefix="mtx")
        self.addCleanup(directory.cleanup)
        self.state_dir = directory.name
        self.asked = b""

    def serve(self, answer: Callable[[socket.socket], object]) -> None:
        """
        Serve one client.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.path.join(self.state_dir, SOCKET))
        listener.listen(1)

        def run() -> None:
            connection, _ = listener.accept()
            with connection, listener:
                # What is closed with something unread is reset, and the answer may be lost.
                self.asked = connection.recv(1000)
                answer(connection)

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)

    def test_answer(self) -> None:
        """
        The result, also when it comes in pieces.
        """

        def answer(connection: socket.socket) -> None:
            for piece in (b'{"ok": true, ', b'"result": [1, 2]}\n'):
                connection.sendall(piece)

        self.serve(answer)
        self.assertEqual(ask(self.state_dir, "add", number=2), [1, 2])
        self.assertEqual(self.asked, b'{"command": "add", "arguments": {"number": 2}}\n')

    def test_refused(self) -> None:
        """
        What the service says of why it cannot.
        """
        self.serve(lambda connection: connection.sendall(b'{"ok": false, "error": "no such domain"}\n'))
        with self.assertRaises(CommandFailed) as caught:
            ask(self.state_dir, "flush")
        self.assertEqual(str(caught.exception), "no such domain")

    def test_cut(self) -> None:
        """
        Half an answer is none.
        """
        self.serve(lambda connection: connection.sendall(b'{"ok": tr'))
        self.assertRaises(CommandFailed, ask, self.state_dir, "flush")

    def test_no_service(self) -> None:
        """
        No socket, or one that nobody listens at: no service runs.
        """
        self.assertRaises(NotRunning, ask, self.state_dir, "flush")
        dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        dead.bind(str(Path(self.state_dir) / SOCKET))
        dead.close()
        with self.assertRaises(NotRunning) as caught:
            ask(self.state_dir, "flush")
        self.assertIn(self.state_dir, str(caught.exception))
