"""
Spools on the real disk, for the tests of the tools.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import sys
from dataclasses import replace
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.operate import spool as spool_command
from momentum_tx.operate.spool_files import look
from momentum_tx.operate.spool_reading import Reading, read
from momentum_tx.policy.lost_reply import LostReply
from momentum_tx.queues.message import HELD, Message, Reception
from momentum_tx.settings import GlobalSettings
from momentum_tx.spool.files import DirectoryFiles
from momentum_tx.spool.journal import JournalSpool
from momentum_tx.stages import Stage
from momentum_tx.testing.threads import InlineThreads

from ..spool import contract


def mail(name: str, *recipients: bytes) -> Reception:
    """
    A reception whose ids are its own.
    """
    made = contract.reception(*recipients, batch=name)
    for message in made.messages:
        assert message is not None
        message.id = f"{name}/{message.index}"
    return made


class SpoolOnDisk(contract.SpoolCase, SynchronousTestCase):
    """
    A journal in a directory of its own, and the command that looks at it.
    """

    settings = GlobalSettings(segment_size=4096)

    def setUp(self) -> None:
        self.clock = Clock()
        self.rng = random.Random(1)
        self.path = os.path.join(self.mktemp(), "spool")
        self.now = 2000.0
        self.out, self.err = io.StringIO(), io.StringIO()
        self.files: DirectoryFiles | None = None

    def make_spool(self) -> JournalSpool:
        self.files = DirectoryFiles(self.path)
        return JournalSpool(
            self.files,
            InlineThreads(self.clock),
            self.clock,
            contract.binding_name,
            contract.binding_slot,
            replace(self.settings),
            self.rng,
            65536,
        )

    def command(self, *arguments: str) -> int:
        """
        Run ``momentum-tx spool`` with *arguments*; what it prints is in ``out`` and ``err``.
        """
        for stream in (self.out, self.err):
            stream.seek(0)
            stream.truncate()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)
        parser = argparse.ArgumentParser()
        spool_command.arguments(parser)
        return spool_command.run(parser.parse_args(arguments), self.tools())

    def tools(self) -> spool_command.Tools:
        """
        What the command is given.
        """
        return spool_command.Tools(lambda: self.now, self.rng)

    def read_all(self, verify: bool = True) -> Reading:
        """
        All that is in the spool.
        """
        found = look(self.path)
        try:
            return read(found, verify, lambda done, total: None)
        finally:
            found.close()

    def segment(self, number: int = 1) -> Path:
        """
        The file of a segment.
        """
        return Path(self.path, f"{number:012d}.seg")

    def requeue(self, message: Message, due: float, text: bytes = b"451 later") -> None:
        """
        An attempt of *message* has failed, the next one is at *due*.
        """
        message.num_retries += 1
        message.next_attempt = due
        message.code = text
        message.stage = Stage.DURING_RCPT_TO
        self.spool.requeued(message)
        contract.settle(self.clock, step=0.01, turns=20)

    def one_of_each(self) -> list[Reception]:
        """
        Fill a running spool: mail that is due, that waits, that is held, that is in flight,
        that has ended, and one reception of several recipients.
        """
        due = self.keep(mail("due", b"due@a.example"))
        waits = self.keep(mail("waits", b"waits@b.example"))
        self.requeue(contract.first(waits), 5000.0)
        held = self.keep(mail("held", b"held@B.example"))
        contract.first(held).ambiguous = 1
        self.requeue(contract.first(held), HELD, b"nobody knows")
        flies = self.keep(mail("flies", b"flies@c.example"))
        self.spool.intent([contract.first(flies)], lambda error: None, LostReply.HOLD)
        ended = self.keep(mail("ended", b"ended@d.example"))
        self.spool.delivered(contract.first(ended), b"250 ok")
        several = self.keep(mail("several", b"one@a.example", b"two@a.example", b"three@e.example"))
        self.spool.failed(contract.first(several, 1), b"550 no")
        contract.first(several, 2).binding_slot = 2
        self.requeue(contract.first(several, 2), 1500.0)
        contract.settle(self.clock, step=0.05, turns=20)
        return [due, waits, held, flies, ended, several]
