"""
The spool in memory.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.spool.memory import MemoryRecords, MemorySpool

from . import contract


class MemorySpoolTests(contract.SpoolContract, SynchronousTestCase):
    """
    The battery; there is nothing else to it.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.kept = MemoryRecords()

    def make_spool(self) -> MemorySpool:
        return MemorySpool(self.clock, contract.binding_name, contract.binding_slot, self.kept)
