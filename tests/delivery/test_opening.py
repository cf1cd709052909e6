"""
The beginning of a session with a peer that bears our own name.
"""

from __future__ import annotations

from dataclasses import replace

from momentum_tx.seams import Seams
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase

#: What the virtual host calls itself.
OURS = b"mail.sender.example"
CONFIG = "[global]\nretry_interval = 600\nidle_timeout = 5\nmax_outbound_connections = 1\n"


class OwnNameTests(WorldCase):
    """
    ``peer_with_own_name`` (C15).
    """

    def mirrored(self, policy: str = "", more: str = "", name: bytes = OURS) -> tuple[World, Receiver]:
        """
        A world whose exchanger calls itself what we call ourselves.
        """
        option = f'peer_with_own_name = "{policy}"\n' if policy else ""
        world = self.world(CONFIG + option + more)
        mx = world.exchanger("example.com")
        mx.name = name
        return world, mx

    def test_defer(self) -> None:
        """
        Nothing is said to ourselves but QUIT; mail waits, and says why.
        """
        for name in (OURS, b"MAIL.Sender.Example", OURS + b"."):
            world, mx = self.mirrored(name=name)
            self.accept(world)
            world.advance(20)
            self.assertEqual((self.kinds(world), self.verbs(mx)), ("RT", [b"QUIT"]))
            record = self.last(world, "T")
            self.assertEqual(
                (record["note"], record["stage"]),
                (
                    "451 4.4.6 [internal] mail loops back to ourselves: the peer calls itself mail.sender.example",
                    "12",
                ),
            )

    def test_in_the_answer_to_ehlo(self) -> None:
        """
        A name that comes with the answer to EHLO, inside TLS as well, is as good.
        """
        world, mx = self.mirrored(more='tls = "ifavailable"\n')
        mx.on("connect", b"220 welcome")
        self.accept(world)
        world.advance(20)
        self.assertEqual((self.kinds(world), self.verbs(mx)), ("RT", [b"EHLO", b"QUIT"]))
        self.assertEqual(self.last(world, "T")["stage"], "11")

    def test_by_the_name_in_ehlo(self) -> None:
        """
        The name that a domain is told for ours is ours too; that of a message's sender is not.
        """
        world, mx = self.mirrored(more='ehlo_hostname = "out.sender.example"\n', name=b"out.sender.example")
        self.accept(world)
        world.advance(20)
        self.assertEqual((self.kinds(world), self.verbs(mx)), ("RT", [b"QUIT"]))
        world, mx = self.mirrored(more='ehlo_hostname = "__message__"\n', name=b"sender.example")
        self.accept(world)
        world.advance(20)
        self.assertEqual(len(mx.ledger), 1)

    def test_the_next(self) -> None:
        """
        Another exchanger gets the mail, whatever the policy.
        """
        for policy in ("defer", "fail"):
            world, mx = self.mirrored(policy)
            second = world.exchanger("example.com", 20)
            self.accept(world)
            world.advance(20)
            self.assertEqual((self.kinds(world), mx.ledger, len(second.ledger)), ("RD", [], 1))

    def test_fail(self) -> None:
        """
        Where that is wanted all that waits fails at once, and nothing for other domains.
        """
        world, mx = self.mirrored("fail")
        other = world.exchanger("other.example")
        self.accept(world, [BOB, "d@example.com", "c@other.example"])
        world.advance(20)
        self.assertEqual(sorted(self.kinds(world)), ["D", "P", "P", "R", "R", "R"])
        self.assertIn("554 5.4.6 [internal] mail loops back to ourselves", self.last(world, "P")["note"])
        self.assertEqual((mx.ledger, len(other.ledger)), ([], 1))

    def test_ignore(self) -> None:
        """
        Where nobody minds, it is sent.
        """
        world, mx = self.mirrored("ignore")
        self.accept(world)
        world.advance(20)
        self.assertEqual(len(mx.ledger), 1)

    def test_named_by_an_operator(self) -> None:
        """
        A relay that an operator has written may well be on this very host, and bear its name.
        """
        world, mx = self.mirrored(more='[domain."example.org"]\ngateway = "mx1.example.com"\n')
        world.resolver.mx["mx1.example.com"] = []
        self.accept(world, ["d@example.org"])
        world.advance(20)
        self.assertEqual(len(mx.ledger), 1)

    def test_nameless(self) -> None:
        """
        A peer without a name, or with part of ours, is somebody else.
        """
        for name in (b"", b"sender.example", b"mail.sender.example.net", b"[192.0.2.1]"):
            world, mx = self.mirrored(name=name)
            self.accept(world)
            world.advance(20)
            self.assertEqual(len(mx.ledger), 1, name)


class Unnamed(World):
    """
    A world whose host does not know its name.
    """

    def _seams(self) -> Seams:
        return replace(super()._seams(), system_hostname=lambda: "localhost")


class NoNameTests(WorldCase):
    """
    A host without a name of any use to others (E11).
    """

    def test_address(self) -> None:
        """
        It says the address that the connection leaves from.
        """
        world = Unnamed(1, CONFIG + '[binding.second]\nbind_address = "192.0.2.2"\n')
        self.addCleanup(self.finish, world)
        mx = world.exchanger("example.com")
        self.accept(world)
        self.accept(world, X_Binding="second")
        world.advance(20)
        self.assertEqual(sorted(taken.helo for taken in mx.ledger), [b"[192.0.2.1]", b"[192.0.2.2]"])
