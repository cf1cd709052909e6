"""
The journal: what it promises when nothing fails.
"""

import random
from dataclasses import replace

from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.settings import GlobalSettings
from momentum_tx.spool.journal import JournalSpool
from momentum_tx.testing.files import MemoryFiles
from momentum_tx.testing.threads import InlineThreads

from ..logs.doubles import Told
from . import contract


class JournalCase(contract.SpoolCase):
    """
    A journal on files in memory.
    """

    settings = GlobalSettings(segment_size=4096, body_cache_size=1 << 20)
    reserve = 65536

    def setUp(self) -> None:
        self.clock = Clock()
        self.rng = random.Random(1)
        self.files = MemoryFiles()

    def make_spool(self) -> JournalSpool:
        self.threads = InlineThreads(self.clock, self.rng)
        return JournalSpool(
            self.files,
            self.threads,
            self.clock,
            contract.binding_name,
            contract.binding_slot,
            self.settings,
            self.rng,
            self.reserve,
        )


class JournalContractTests(JournalCase, contract.SpoolContract, SynchronousTestCase):
    """
    The battery.
    """


class UncachedContractTests(JournalCase, contract.SpoolContract, SynchronousTestCase):
    """
    The battery without any body in memory.
    """

    settings = replace(JournalCase.settings, body_cache_size=0)


class UnsafeContractTests(JournalCase, contract.SpoolContract, SynchronousTestCase):
    """
    The battery with ``durability = "unsafe"``.
    """

    settings = replace(JournalCase.settings, durability="unsafe")

    def test_warned(self) -> None:
        """
        Whoever runs it so is told at every start; with the default nobody is.
        """
        for durability, warnings in (("unsafe", 1), ("group", 0)):
            self.settings = replace(self.settings, durability=durability)
            told = Told()
            self.patch(JournalSpool, "_log", Logger(observer=told))
            self.open()
            self.stop()
            self.assertEqual(
                len([event for event in told.events if "is lost if the power fails" in event["log_format"]]), warnings
            )
