"""
``momentum-tx torture``: on the service as it is, and on services with faults that it must find.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from momentum_tx.torture.points import Point
from momentum_tx.torture.run import Result, Torture, Wishes

from ..torture.plants import nursery
from .running import Program

CLI = "import sys; from momentum_tx.cli import main; sys.exit(main())"


class CommandTests(TestCase):
    """
    The command, as operators start it.
    """

    timeout = 120

    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)

    async def torture(self, *arguments: str) -> Program:
        """
        Run it to its end.
        """
        program = Program([sys.executable, "-c", CLI, "torture", "--directory", self.directory, *arguments])
        await program.ended
        return program

    async def test_counted(self) -> None:
        """
        Every story is told without a kill, the first points are hit, nothing is lost or sent twice
        without need, and nothing is left.
        """
        program = await self.torture("--points", "15", "--json")
        self.assertEqual((program.status, program.err), (0, b""), program.out)
        said = json.loads(program.out)
        self.assertEqual(set(said["steps"]), {"traffic", "recovery", "broken disk", "full disk"})
        for kind in ("reception", "intent", "delivered", "failed", "requeued", "held"):
            self.assertIn(f"append {kind} in append", said["steps"]["traffic"])
        for kind in ("append octets in set_aside", "truncate", "rename in put_away", "unlink in remove"):
            self.assertIn(kind, said["steps"]["recovery"])
        self.assertGreater(said["kills"], 8)
        self.assertEqual((said["total"]["lost"], said["total"]["outside"]), (0, 0))
        self.assertEqual(os.listdir(self.directory), [])

    async def test_only(self) -> None:
        """
        One point, as a report names it.
        """
        program = await self.torture("--only", "traffic: append delivered in append: amid: 1")
        self.assertEqual(program.status, 0, program.out + program.err)
        self.assertIn(b"1 processes killed", program.out)


class PlantTests(TestCase):
    """
    A service with a fault, killed at one point.
    """

    timeout = 120

    async def find(self, plant: str, point: str) -> Result:
        """
        What is found.
        """
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        real: Any = reactor
        wishes = Wishes(points=1, minutes=0, seed=1, only=Point.parse(point), cycle_seed=1)
        result = await Torture(real, directory, nursery(plant), 1, wishes, lambda result, planned: None).run()
        self.assertEqual(result.kills, 1)
        if not result.good:
            # What shows how it came is kept.
            (kept,) = result.failing
            self.assertIn("trace", os.listdir(kept.directory))
        return result

    async def test_none(self) -> None:
        """
        Without a fault nothing is found where the others are.
        """
        for point in ("append delivered in append: after: 3", "append reception in append: before: 2"):
            result = await self.find("PlantedFile", f"traffic: {point}")
            self.assertEqual(dict(+result.total()) | {"in_window": 0}, {"in_window": 0})

    async def test_forgottenOutcomes(self) -> None:
        """
        A spool that does not write outcomes has mail sent twice of which others were told.
        """
        result = await self.find("ForgetsOutcomes", "traffic: append delivered in append: after: 3")
        self.assertGreater(result.total()["outside"], 0)

    async def test_answeredFirst(self) -> None:
        """
        A spool that answers before it writes loses mail, and is seen to have answered too early.
        """
        result = await self.find("AnswersFirst", "traffic: append reception in append: before: 1")
        self.assertGreater(result.total()["lost"], 0)
        self.assertGreater(result.total()["early"], 0)

    async def test_dotFirst(self) -> None:
        """
        A spool that lets the dot leave before the intent is written is seen to do so.
        """
        result = await self.find("DotsFirst", "traffic: append delivered in append: before: 2")
        self.assertGreater(result.total()["early"], 0)

    async def test_lastRecordSkipped(self) -> None:
        """
        A start that passes over the last record sends that mail again, whose end was on record.
        """
        outside = 0
        for number in (1, 2, 3, 1, 2, 3):
            # What a write ends with, where it is of several records, is for chance to say: not every kill shows it.
            result = await self.find("SkipsTheLast", f"traffic: append delivered in append: after: {number}")
            outside += result.total()["outside"]
            if outside:
                break
        self.assertGreater(outside, 0)
