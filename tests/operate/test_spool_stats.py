"""
Tests of :mod:`momentum_tx.operate.spool_stats`.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any

from momentum_tx.operate.spool_stats import _span

from ..spool import contract
from .spools import SpoolOnDisk


class StatsTests(SpoolOnDisk):
    """
    ``momentum-tx spool stats``.
    """

    def told(self, *arguments: str) -> dict[str, Any]:
        """
        What is said as JSON; as text, it is in ``out`` afterwards.
        """
        self.assertEqual(self.command("stats", self.path, "--json", *arguments), 0)
        told: dict[str, Any] = json.loads(self.out.getvalue())
        self.assertEqual(self.command("stats", self.path, *arguments), 0)
        return told

    def test_figures(self) -> None:
        """
        Messages by what they wait for, where to, from which binding, and since when.
        """
        self.open()
        self.one_of_each()
        self.stop()
        told = self.told()
        self.assertEqual(told["states"], {"active": 3, "delayed": 1, "held": 1, "in flight": 1})
        self.assertEqual((told["messages"], told["receptions"], told["ambiguous"]), (6, 5, 1))
        self.assertEqual(told["domains"], 4)
        domains = {each["name"]: each["messages"] for each in told["top_domains"]}
        self.assertEqual(domains, {"a.example": 2, "b.example": 2, "c.example": 1, "e.example": 1})
        self.assertEqual(told["bindings"], [{"name": "b1", "messages": 5}, {"name": "b2", "messages": 1}])
        # All were received at 1000.5, and now is 2000.
        self.assertEqual(told["ages"]["under an hour"], 6)
        self.assertEqual(sum(told["ages"].values()), 6)
        self.assertEqual(told["oldest"]["age"], 999.5)
        text = self.out.getvalue()
        for line in (
            "messages: 6 of 5 receptions, to 4 domains",
            "  held: 1",
            "  under an hour: 6",
            "oldest: 0:16:39 old",
        ):
            self.assertIn(f"{line}", text)

    def test_segments(self) -> None:
        """
        What keeps a segment: mail in it, or records about the mail of others.
        """
        self.settings = replace(self.settings, segment_size=4096)
        self.open()
        waits = self.keep(contract.reception(b"waits@b.example"), b"x" * 100)
        ended = self.keep(contract.reception(b"ended@b.example"), b"x" * 5000)
        self.requeue(contract.first(waits), 3000.0)
        self.spool.delivered(contract.first(ended), b"250")
        contract.settle(self.clock, step=0.05, turns=20)
        self.stop()
        first, second = self.told()["segments"]
        self.assertEqual((first["messages"], first["receptions"], first["records_about"]), (1, 1, []))
        self.assertEqual(first["live"] + first["dead"], first["octets"])
        self.assertGreater(first["dead"], 5000)
        self.assertEqual(first["oldest"], 1000.5)
        self.assertEqual((second["messages"], second["live"], second["records_about"]), (0, 0, [1]))
        text = self.out.getvalue()
        self.assertIn("kept by 1 messages in it", text)
        self.assertIn("kept by records about segments 1", text)

    def test_top(self) -> None:
        """
        Only the largest domains are named, if there are many.
        """
        self.open()
        for number in range(5):
            self.keep(contract.reception(*[b"u@d%d.example" % number] * (number + 1)))
        self.stop()
        told = self.told("--top", "2")
        self.assertEqual([each["name"] for each in told["top_domains"]], ["d4.example", "d3.example"])
        self.assertEqual(told["domains"], 5)

    def test_nothing(self) -> None:
        """
        An empty spool has no oldest message.
        """
        self.open()
        self.stop()
        told = self.told()
        self.assertEqual((told["messages"], told["oldest"], told["top_domains"]), (0, None, []))
        self.assertIn("kept by nothing", self.out.getvalue())

    def test_unreadableSegment(self) -> None:
        """
        That figures are not all there is shows the exit status, and standard error.
        """
        self.open()
        self.one_of_each()
        self.stop()
        octets = bytearray(self.segment().read_bytes())
        octets[6:8] = b"\x09\0"
        octets[8:12] = zlib.crc32(octets[:8]).to_bytes(4, "little")
        self.segment().write_bytes(octets)
        self.assertEqual(self.command("stats", self.path), 1)
        self.assertIn("kept by nothing that is known: it cannot be read whole\n", self.out.getvalue())
        self.assertIn(f"{self.segment().name}: cannot be read whole; `spool check` tells more", self.err.getvalue())

    def test_besideAService(self) -> None:
        """
        It is said that the figures are of one moment.
        """
        self.open()
        self.one_of_each()
        self.assertTrue(self.told()["running"])
        self.assertIn("of a service that is running", self.out.getvalue())
        self.stop()

    def test_spans(self) -> None:
        """
        Times that people can read.
        """
        told = [_span(seconds) for seconds in (-5.0, 59.9, 3600.0, 90061.0)]
        self.assertEqual(told, ["0:00:00", "0:00:59", "1:00:00", "1 d 1:01:01"])
