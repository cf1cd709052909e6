"""
Tests of :mod:`momentum_tx.suppression.register`: stories of whole services.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from momentum_tx.errors import ConfigError
from momentum_tx.interfaces.bounce_hooks import ISuppressionAdded, ISuppressionCheck
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

GONE = b"550 5.1.1 No such user"


class SuppressionTests(WorldCase):
    """
    Whom nobody writes to any more.
    """

    def open(self, mode: str = "fail", more: str = "", **arguments: Any) -> World:
        world = self.world(f'[global]\nsuppression = "{mode}"\n{more}', **arguments)
        self.mx = world.exchanger("example.com")
        self.mx.refuse["bob@example.com"] = GONE
        world.advance(1)
        return world

    def bounce(self, world: World) -> None:
        self.accept(world)
        world.advance(10)
        self.assertEqual(len(world.service.suppression), 1)
        self.mx.refuse.clear()

    def test_failed(self) -> None:
        """
        Who does not exist is not written to again, without a connection, a report or a word to the peer.
        """
        world = self.open(reports=True)
        home = world.exchanger("sender.example")
        self.bounce(world)
        self.accept(world, [BOB, "Lea@example.com"])
        world.advance(30)
        self.assertEqual([taken.recipients for taken in self.mx.ledger], [(b"Lea@example.com",)])
        self.assertEqual(world.mainlog("P")[-1]["note"], "554 5.7.1 [internal] recipient suppressed")
        self.assertEqual(len(home.ledger), 1)

    def test_refused(self) -> None:
        """
        At RCPT TO, in whatever letters the address is written.
        """
        world = self.open("refuse")
        self.bounce(world)
        self.assertEqual(world.inject(SENDER, ["BOB@Example.COM"], world.message())[:9], b"550 5.7.1")
        self.accept(world, ["lea@example.com"])

    def test_waiting(self) -> None:
        """
        Mail that waits is not sent when its recipient is entered meanwhile.
        """
        world = self.open()
        self.mx.refuse["bob@example.com"] = b"450 4.2.0 later"
        self.accept(world)
        world.advance(10)
        self.mx.refuse.clear()
        world.service.suppression.enter([{"address": "@example.com", "reason": "complaint"}])
        world.advance(7200)
        self.assertEqual((len(self.mx.ledger), len(world.mainlog("P")), world.queued()), (0, 1, 0))

    def test_off(self) -> None:
        """
        By default nobody is left out, and nothing is entered.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.refuse["bob@example.com"] = GONE
        self.accept(world)
        world.advance(10)
        mx.refuse.clear()
        self.accept(world)
        world.advance(10)
        self.assertEqual((len(mx.ledger), len(world.service.suppression)), (1, 0))

    def test_kept(self) -> None:
        """
        The list outlives a crash, and an entry's time runs out.
        """
        world = self.open(more='suppress_rules = ["10: 1 for 86400"]\n')
        self.bounce(world)
        world.advance(1)
        world.power_cut()
        self.accept(world)
        world.advance(3600)
        self.assertEqual(len(self.mx.ledger), 0)
        world.advance(86_400)
        self.accept(world)
        world.advance(10)
        self.assertEqual(len(self.mx.ledger), 1)

    def test_tenant(self) -> None:
        """
        A bounce may count for the tenant whose mail it was.
        """
        world = self.open(more="suppress_by_tenant = true\n")
        self.accept(world, [BOB], **{"X-Tenant": "acme"})
        world.advance(10)
        self.mx.refuse.clear()
        for tenant in ("acme", "other"):
            self.accept(world, [BOB], **{"X-Tenant": tenant})
        world.advance(10)
        self.assertEqual((len(self.mx.ledger), len(world.mainlog("P"))), (1, 2))

    def test_hooks(self) -> None:
        """
        A hook hears of what is entered, and lets mail out.
        """

        @implementer(ISuppressionAdded, ISuppressionCheck)
        class Opinion:
            def __init__(self) -> None:
                self.added: list[Any] = []

            def suppression_added(self, address: str, tenant: str, entry: Any) -> None:
                self.added.append((address, entry.reason, entry.code))

            def suppression_check(self, recipient: bytes, tenant: str, entry: Any) -> bool:
                return False

        opinion = Opinion()
        world = self.open(providers=[opinion])
        self.bounce(world)
        self.accept(world)
        world.advance(10)
        self.assertEqual((opinion.added, len(self.mx.ledger)), ([("bob@example.com", "bounce", 10)], 1))

    def test_operator(self) -> None:
        """
        Entries are shown, listed, entered and taken off; a wrong one enters nothing.
        """
        suppression = self.open().service.suppression
        entries = [{"address": f"u{number}@shop.example", "note": "by hand"} for number in range(3)]
        entered: list[int] = []
        suppression.enter(entries).addCallback(entered.append)
        self.assertEqual(suppression.listed(1, 1)["entries"][0]["address"], "u1@shop.example")
        self.assertEqual((suppression.listed()["total"], suppression.show("nobody@shop.example")), (3, None))
        shown = suppression.show("U1@shop.example")
        assert shown is not None
        self.assertEqual(shown["note"], "by hand")
        self.assertRaises(ValueError, suppression.enter, [{"address": "x@shop.example"}, {"address": "nonsense"}])
        suppression.remove("u1@shop.example")
        self.assertEqual((len(suppression), suppression.show("u1@shop.example")), (2, None))

    def test_wrong_rule(self) -> None:
        """
        A rule that is none keeps a service from starting, and at a reload leaves those before.
        """
        with self.assertRaises(ConfigError) as caught:
            self.world('[global]\nsuppress_rules = ["ten"]\n')
        self.assertIn("global.suppress_rules: 'ten' is no rule", str(caught.exception))
        world = self.open()
        world.reload('[global]\nsuppression = "fail"\nsuppress_rules = ["ten"]\n')
        self.bounce(world)
