"""
Tests of :mod:`momentum_tx.dsn.lateness`: stories of mail that is late.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from momentum_tx.interfaces import bounce_hooks as contracts
from momentum_tx.testing.answers import TAKE_AND_CLOSE

from ..worlds import SENDER
from .test_notifier import ReportCase

HOUR = 3600.0
LATE = "[global]\ngenerate_delay_dsn = true\ndelay_dsn_retry_interval = 10800\ndelay_dsn_max_retry_interval = 86400\n"


class LatenessTests(ReportCase):
    """
    A receiver that says 450 for days.
    """

    def hours(self) -> list[float]:
        """
        When the sender was told, in hours.
        """
        return [(int(record["time"]) - int(self.began)) / HOUR for record in self.told_at()]

    def told_at(self) -> list[Any]:
        return [record for record in self.late_world.mainlog("R") if record["method"] == "internal"]

    def begin(self, config: str = LATE, **more: Any) -> None:
        self.late_world = self.open(config, **more)
        self.mx.refuse["bob@example.com"] = b"450 4.2.0 later"
        self.began = self.late_world.wall()
        self.accept(self.late_world)

    def test_schedule(self) -> None:
        """
        As published: after 3, 9, 21, 45 hours and then every 24, whatever the attempts do; and no
        more when it has arrived.
        """
        self.begin(LATE + "message_expiration = 2000000\n")
        world = self.late_world
        world.advance(70 * HOUR)
        self.assertEqual([int(each) for each in self.hours()], [3, 9, 21, 45, 69])
        report = self.reports()[0]
        self.assertEqual(report["Subject"], "Mail delayed, still being tried")
        self.assertIn("Action: delayed", report.as_string())
        self.assertIn("Will-Retry-Until: ", report.as_string())
        self.mx.refuse.clear()
        world.advance(100 * HOUR)
        self.assertEqual(len(self.reports()), 5)
        self.assertEqual((len(self.mx.ledger), len(world.service._lateness)), (1, 0))

    def test_off(self) -> None:
        """
        Without the option only who has asked is told.
        """
        self.begin("")
        world = self.late_world
        self.mx.refuse["lea@example.com"] = b"450 4.2.0 later"
        world.send(SENDER, ["lea@example.com"], world.message(), notify="DELAY")
        world.advance(2 * HOUR)
        (report,) = self.reports()
        self.assertIn("lea@example.com", report.as_string())

    def test_held(self) -> None:
        """
        Mail that an operator has to decide on is watched no more, and keeps nobody else's sender from
        being told.
        """
        self.begin(LATE + 'retry_interval = 600\nlost_final_reply = "hold"\n')
        world = self.late_world
        self.mx.refuse["lea@example.com"] = b"450 4.2.0 later"
        self.accept(world, ["lea@example.com"])
        world.advance(60)
        del self.mx.refuse["bob@example.com"]
        self.mx.on("dot", TAKE_AND_CLOSE, times=1)
        world.advance(HOUR)
        self.assertEqual(len(world.service.held()), 1)
        world.advance(10 * HOUR)
        self.assertEqual([int(each) for each in self.hours()], [3, 9])
        self.assertEqual(len(world.service._lateness), 1)

    def test_restart(self) -> None:
        """
        After a restart the moments that are still to come count, and none twice.
        """
        self.begin()
        world = self.late_world
        world.advance(4 * HOUR)
        world.crash()
        world.advance(8 * HOUR)
        self.assertEqual([int(each) for each in self.hours()], [3, 9])

    def test_given_up(self) -> None:
        """
        What has failed for ever is not late.
        """
        self.begin(LATE + "message_expiration = 14400\n")
        self.late_world.advance(30 * HOUR)
        self.assertEqual([report["Subject"] for report in self.reports()].count("Mail not delivered"), 1)
        self.assertEqual(len(self.reports()), 2)

    def test_hooks(self) -> None:
        """
        Hooks say whether, when, and by which way.
        """

        @implementer(contracts.IGenerateDelayDsn, contracts.INextDelayDsn, contracts.ISendNotification)
        class Opinion:
            told = 0

            def generate_delay_dsn(self, msg: Any, enabled: bool) -> bool:
                return True

            def next_delay_dsn(self, msg: Any, now: float, when: float) -> float:
                return now + 600.0

            def send_notification(self, msg: Any) -> bool:
                self.told += 1
                return self.told > 2

        opinion = Opinion()
        self.begin("", providers=[opinion])
        self.late_world.advance(HOUR)
        self.assertGreaterEqual(opinion.told, 5)
        self.assertEqual(len(self.reports()), 2)
