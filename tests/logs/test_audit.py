"""
Tests of :mod:`momentum_tx.logs.audit`.
"""

from __future__ import annotations

from momentum_tx.logs.audit import MOST_DOMAINS, OutboundAudit
from momentum_tx.settings import GlobalSettings

from ..worlds import WorldCase


class OutboundAuditTests(WorldCase):
    """
    What became of mail, counted in windows.
    """

    MONITORS = 'outbound_audit_monitors = ["60,3", "600,2"]\n'

    def test_windows(self) -> None:
        """
        Receptions, deliveries with their mean time, and failures stand in the
        window they happened in; older ones move back and are forgotten.
        """
        world = self.world("[global]\nretry_interval = 1000\n" + self.MONITORS)
        mx = world.exchanger("example.com")
        world.advance(60 - world.wall() % 60)
        self.accept(world, ["a@example.com", "b@example.com"])
        world.advance(5)
        mx.on("RCPT", b"450 4.2.0 Later", times=1)
        self.accept(world, ["c@example.com"])
        world.advance(5)
        mx.on("RCPT", b"550 5.1.1 Unknown", times=1)
        self.accept(world, ["d@example.com"])
        world.advance(5)
        now, _ = world.service.audit.show("example.com")
        self.assertEqual((now.size, now.offset), (60, 0))
        self.assertEqual((now.receptions, now.deliveries, now.transients, now.permanents), (4, 2, 1, 1))
        self.assertGreater(now.delivery_time, 0.0)
        self.assertTrue(str(now).startswith("example.com 60/0: r: 4 d: 2 dt: 0.0"), str(now))
        world.advance(60)
        self.accept(world, ["e@example.com"])
        world.advance(5)
        shown = [(each.size, each.offset, each.receptions) for each in world.service.audit.show("example.com")]
        self.assertEqual(shown, [(60, 0, 1), (60, 1, 4), (600, 0, 5)])
        world.advance(120)
        shown = [(each.size, each.offset, each.receptions) for each in world.service.audit.show("example.com")]
        self.assertEqual(shown[0], (60, 2, 1))
        self.assertEqual(len(shown), 2)

    def test_all_together(self) -> None:
        """
        Under ``*`` every domain counts; others are shown from the threshold on.
        """
        world = self.world("[global]\noutbound_audit_threshold = 3\n" + self.MONITORS.replace(', "600,2"', ""))
        world.exchanger("example.com")
        world.exchanger("example.net")
        self.accept(world, ["a@example.com"])
        self.accept(world, ["a@example.net", "b@example.net"])
        world.advance(3)
        shown = {each.domain: each.receptions for each in world.service.audit.show()}
        self.assertEqual(shown, {"*": 3, "example.net": 2})
        self.assertEqual(len(world.service.audit.show("example.com")), 1)
        world.service.audit.clear()
        self.assertEqual(world.service.audit.show(), [])

    def test_listed(self) -> None:
        """
        With a list only its domains are counted for themselves, with
        ``outbound_audit_monitor_domains`` off none is.
        """
        for options, expected in (
            ('outbound_audit_domainlist = ["example.net"]\n', {"*", "example.net"}),
            ("outbound_audit_monitor_domains = false\n", {"*"}),
        ):
            world = self.world("[global]\n" + self.MONITORS + options)
            world.exchanger("example.com")
            world.exchanger("example.net")
            self.accept(world, ["a@example.com"])
            self.accept(world, ["a@example.net"])
            world.advance(3)
            self.assertEqual({each.domain for each in world.service.audit.show()}, expected)

    def test_off(self) -> None:
        """
        Without monitors nothing is counted.
        """
        world = self.world()
        world.exchanger("example.com")
        self.accept(world, ["a@example.com"])
        world.advance(3)
        self.assertEqual(world.service.audit.show(), [])

    def test_bounded(self) -> None:
        """
        Of more domains than can be kept, the one heard of longest ago goes.
        """
        settings = GlobalSettings(outbound_audit_monitors=("60,1",))
        audit = OutboundAudit(lambda: settings, lambda: 0.0)
        for number in range(MOST_DOMAINS + 5):
            list(audit._present(f"d{number}", 0.0))
        self.assertLessEqual(len(audit._series), MOST_DOMAINS + 1)
        self.assertEqual(audit.show("d0"), [])
        self.assertEqual(len(audit.show(f"d{MOST_DOMAINS + 4}")), 1)
