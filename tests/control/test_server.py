"""
Tests of :mod:`momentum_tx.control.server`.
"""

import json
import os
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.accounting import AccountingKind, AccountingRecord
from momentum_tx.control import server as module
from momentum_tx.control.commands import ControlCommands
from momentum_tx.control.server import MOST_CLIENTS, PATIENCE, ControlFactory
from momentum_tx.testing.local import LocalClient, LocalPort


class ControlProtocolTests(SynchronousTestCase):
    """
    Clients of the socket.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.commands = ControlCommands()
        self.coming: list[Deferred[str]] = []
        self.commands.add("wait", self.wait)
        self.factory = ControlFactory(self.commands, self.clock)
        self.port = LocalPort("/run/control", self.factory, {})

    def wait(self) -> Deferred[str]:
        self.coming.append(Deferred())
        return self.coming[-1]

    def said(self, client: LocalClient) -> list[Any]:
        return [json.loads(line) for line in client.read().splitlines()]

    def test_answers(self) -> None:
        """
        A line is answered by a line, in order, also where it comes in pieces or with others.
        """
        client = LocalClient(self.port)
        client.write(b'{"comm')
        client.write(b'and": "help"}\n\n{"command": "wait"}\n{"command": "help"}\n')
        (first,) = self.said(client)
        self.assertIn("wait", first["result"])
        self.coming[0].callback("done")
        second, third = self.said(client)
        self.assertEqual((second["result"], third), ("done", first))

    def test_gone(self) -> None:
        """
        Whoever does not wait for the answer misses it, and nobody else does.
        """
        client, other = LocalClient(self.port), LocalClient(self.port)
        client.write(b'{"command": "wait"}\n')
        client.close()
        self.coming[0].callback("done")
        self.assertEqual(client.read(), b"")
        other.write(b'{"command": "help"}\n')
        self.assertEqual(len(self.said(other)), 1)

    def test_silent(self) -> None:
        """
        A silent client is let go; one that waits for an answer is not silent.
        """
        client, other = LocalClient(self.port), LocalClient(self.port)
        other.write(b'{"command": "wait"}\n')
        self.clock.advance(PATIENCE + 1)
        self.assertTrue(client.transport.disconnecting)
        self.assertFalse(other.transport.disconnecting)
        self.coming[0].callback("done")
        self.clock.advance(PATIENCE + 1)
        self.assertTrue(other.transport.disconnecting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_long(self) -> None:
        """
        A request without end is refused.
        """
        self.patch(module.ControlProtocol, "MAX_LENGTH", 100)
        client = LocalClient(self.port)
        client.write(b"x" * 200)
        self.assertIn("too long", self.said(client)[0]["error"])
        self.assertTrue(client.transport.disconnecting)

    def test_too_many(self) -> None:
        """
        There is room for so many clients, and when one goes there is room again.
        """
        clients = [LocalClient(self.port) for _ in range(MOST_CLIENTS)]
        late = LocalClient(self.port)
        self.assertIn("too many", self.said(late)[0]["error"])
        self.assertTrue(late.transport.disconnecting)
        late.close()
        clients[0].close()
        self.assertFalse(LocalClient(self.port).transport.disconnecting)

    def test_stop(self) -> None:
        """
        At the end nobody is held.
        """
        client = LocalClient(self.port)
        self.factory.stop()
        self.assertTrue(client.transport.disconnected)


class AccountingTests(SynchronousTestCase):
    """
    What is told of who comes and what they want.
    """

    def test_told(self) -> None:
        """
        A client that comes was let in by the system; each command is authorised, and of one that does not exist it
        cannot be told.
        """
        records: list[AccountingRecord] = []
        factory = ControlFactory(ControlCommands(), Clock(), records.append, lambda: 1700000002.5)
        client = LocalClient(LocalPort("/run/control", factory, {}))
        client.write(b'{"command": "help"}\n{"command": "halp"}\nnonsense\n')
        came, *asked = records
        self.assertEqual(came, AccountingRecord(AccountingKind.AUTHENTICATION, 1700000002.5, "control", "", "", 1))
        self.assertEqual(
            [(each.kind, each.result, each.command, each.role) for each in asked],
            [
                (AccountingKind.AUTHORIZATION, 1, "help", "operator"),
                (AccountingKind.AUTHORIZATION, -1, "halp", "operator"),
                (AccountingKind.AUTHORIZATION, -1, "", "operator"),
            ],
        )

    def test_user(self) -> None:
        """
        The system knows whose process is at the other end.
        """
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)

        class _Transport:
            def getHandle(self) -> socket.socket:
                return one

        self.assertEqual(module._user(_Transport()), str(os.getuid()))
