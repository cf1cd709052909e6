"""
For programs that ask a service that runs; it waits, so not for use beside a reactor.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Final

#: Name of the socket in the service's ``state_dir``.
SOCKET: Final = "control"
#: Octets of a path that a socket can have on Linux.
LONGEST_PATH: Final = 107


class NotRunning(Exception):
    """
    Nobody is at the other end of the socket.
    """


class CommandFailed(Exception):
    """
    The service could not do what it was asked; the text says why.
    """


def ask(state_dir: str, command: str, timeout: float = 60.0, **arguments: Any) -> Any:
    """
    Ask the service of *state_dir* for something, and wait for its answer.

    :param command: name of the command.
    :param timeout: seconds that are waited for each part of the answer.
    :param arguments: those of the command.
    :returns: its result.
    :raises NotRunning: no service runs there.
    :raises CommandFailed: it refuses, or does not answer.
    """
    path = os.path.join(state_dir, SOCKET)
    request = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
        except PermissionError:
            raise CommandFailed(f"{path}: you may not ask this service; run the command as its user") from None
        except OSError as error:
            raise NotRunning(f"{path}: no service runs there: {error.strerror or error}") from None
        try:
            connection.sendall(request)
            answer = _line(connection)
        except TimeoutError:
            raise CommandFailed(f"{path}: {command}: no answer within {timeout:g} s") from None
        except OSError as error:
            raise CommandFailed(f"{path}: {command}: {error.strerror or error}") from None
    try:
        found = json.loads(answer)
    except ValueError:
        raise CommandFailed(f"{path}: {command}: the connection ended before the answer") from None
    if not found.get("ok"):
        raise CommandFailed(str(found.get("error")))
    return found.get("result")


def _line(connection: socket.socket) -> bytes:
    pieces = []
    while True:
        piece = connection.recv(1 << 16)
        pieces.append(piece)
        if not piece or piece.endswith(b"\n"):
            return b"".join(pieces)
