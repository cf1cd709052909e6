"""
The journal: what it promises when nothing fails.
"""

import random
from dataclasses import replace

from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import SpoolError
from momentum_tx.policy.lost_reply import LostReply
from momentum_tx.queues.message import HELD
from momentum_tx.settings import GlobalSettings
from momentum_tx.spool.journal import JournalSpool
from momentum_tx.spool.records import SEGMENT_HEADER
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


class ReadingBackTests(JournalCase, SynchronousTestCase):
    """
    Bodies that are not in memory come from the disk, whole or not at all.
    """

    settings = replace(JournalCase.settings, body_cache_size=0)

    def test_everyOctet(self) -> None:
        """
        Whatever octet of a reception the disk has lost, its body is reported as
        unreadable; a wrong one is never handed out.
        """
        self.open()
        kept = self.keep(contract.reception())
        (name,) = self.files.names()
        octets = self.files.octets(name)
        for at in range(SEGMENT_HEADER, len(octets)):
            self.files.put(name, octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :])
            reading = self.spool.body(kept)
            contract.settle(self.clock)
            self.assertIn(name, str(self.failureResultOf(reading, SpoolError).value))
        self.files.put(name, octets)
        self.assertEqual(self.read(kept), contract.BODY)
        self.stop()

    def test_another(self) -> None:
        """
        A body that is not the reception's own is not handed out.
        """
        self.open()
        one, two = (self.keep(contract.reception(batch=batch)) for batch in ("one", "two"))
        one.spool, two.spool = two.spool, one.spool
        reading = self.spool.body(one)
        contract.settle(self.clock)
        self.assertIn("of another reception", str(self.failureResultOf(reading, SpoolError).value))
        one.spool, two.spool = two.spool, one.spool
        self.stop()


class ResidentTests(JournalCase, SynchronousTestCase):
    """
    How much is in memory can be asked for.
    """

    def test_untilTheEnd(self) -> None:
        """
        A body is in memory from its sync on, and leaves it with the last message.
        """
        self.open()
        kept = self.keep(contract.reception(b"a@example.com", b"b@example.com"))
        self.assertEqual(self.spool.resident, (1, len(contract.BODY)))
        self.spool.delivered(contract.first(kept, 0), b"250 ok")
        self.assertEqual(self.spool.resident, (1, len(contract.BODY)))
        self.spool.failed(contract.first(kept, 1), b"550 no")
        self.assertEqual(self.spool.resident, (0, 0))
        self.stop()


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


class SyncedIntentTests(JournalCase, SynchronousTestCase):
    """
    Intents that must be known after a power cut.
    """

    def test_synced_first(self) -> None:
        """
        The dot may leave when the intent is synced, and no sooner; an ordinary one is not waited for.
        """
        self.open()
        kept = self.keep(contract.reception(b"a", b"b"))
        self.threads.delay = 5.0
        answers: list[str] = []
        self.spool.intent([contract.first(kept)], lambda error: answers.append(f"held {error}"), LostReply.HOLD)
        self.spool.intent([contract.first(kept, 1)], lambda error: answers.append(f"ordinary {error}"))
        self.clock.advance(0)
        self.assertEqual(answers, ["ordinary None"])
        self.clock.advance(4.9)
        self.assertEqual(answers, ["ordinary None"])
        self.clock.advance(0.2)
        self.assertEqual(answers, ["ordinary None", "held None"])
        self.files = self.files.power_cut(random.Random(1))
        self.assertEqual([message.next_attempt for message in self.open()], [HELD, 1000.5])
        self.stop()

    def test_unsafe(self) -> None:
        """
        Where nothing is synced, nothing is waited for.
        """
        self.settings = GlobalSettings(durability="unsafe", i_accept_loss=True)
        self.open()
        kept = self.keep(contract.reception(b"a"))
        answers: list[Exception | None] = []
        self.spool.intent([contract.first(kept)], answers.append, LostReply.HOLD)
        self.clock.advance(0)
        self.assertEqual(answers, [None])
        self.stop()
