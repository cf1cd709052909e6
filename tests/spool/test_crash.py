"""
The journal and sudden ends: kill -9 and power cuts, at every step.
"""

import errno
import random
from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.files import MemoryFiles

from . import contract
from .model import Model, Story
from .test_journal import JournalCase


class CrashPointTests(JournalCase, SynchronousTestCase):
    """
    A fixed story, ended before every single operation on the disk.
    """

    settings = replace(JournalCase.settings, segment_size=1024)
    reporting = False

    def _tell(self, model: Model) -> None:
        for _ in range(3):
            model.receive(2, 200)
        contract.settle(self.clock)
        model.intent()
        contract.settle(self.clock)
        for number in range(14):
            model.end(failed=bool(number % 3))
            model.intent()
            model.requeue()
            model.receive(1, 400)
            if self.reporting:
                model.report()
            if number % 2:
                self.clock.advance(0.1)
            contract.settle(self.clock)
        self.clock.advance(0.1)
        contract.settle(self.clock)

    def _pictures(self, garbage: bool) -> tuple[Model, list[tuple[MemoryFiles, dict[bytes, Story], bool]]]:
        self.setUp()
        self.open()
        model = Model(self, self.rng)
        pictures: list[tuple[MemoryFiles, dict[bytes, Story], bool]] = []
        rng = random.Random(7)

        def watch(operation: str, name: str) -> None:
            promises = model.picture()
            pictures.append((self.files.kill(), promises, True))
            for _ in range(3):
                pictures.append((self.files.power_cut(rng, garbage), promises, False))

        self.files.watch = watch
        self._tell(model)
        self.stop()
        watch("end", "")
        return model, pictures

    def _check_all(self, garbage: bool) -> None:
        model, pictures = self._pictures(garbage)
        self.assertGreater(len(pictures), 200)
        for files, promises, killed in pictures:
            self.files = files
            found = self.open()
            model.check(found, promises, killed)
            # The second start finds what the first one found.
            states = [contract.state(message) for message in found]
            self.assertCountEqual([contract.state(message) for message in self.restart()], states)
            self.stop()
            self.assertEqual(self.files.opened, 0)

    def test_every_step(self) -> None:
        """
        Before whatever operation the end comes: nothing confirmed is lost,
        nothing finished and synced comes back, retries are as they were, and
        starting again changes nothing.
        """
        self._check_all(False)

    def test_every_step_with_garbage(self) -> None:
        """
        The same where the disk shows octets that were never written.
        """
        self._check_all(True)
        self.flushLoggedErrors()

    def test_segments_go(self) -> None:
        """
        The story fills several segments, and when all its mail is done only
        the one in use is left.
        """
        self.open()
        model = Model(self, self.rng)
        self._tell(model)
        while model.live:
            model.end(False)
            self.clock.advance(0)
        self.clock.advance(0.1)
        contract.settle(self.clock)
        self.assertIn("unlink", [operation for operation, _ in self.files.calls])
        self.assertLessEqual(len(self.files.names()), 2)
        self.assertEqual(self.restart(), [])
        self.stop()
        self.assertEqual(len(self.files.names()), 1)


class ReportCrashPointTests(CrashPointTests):
    """
    The same story, in which failures end by their reports.
    """

    reporting = True


class RandomCrashTests(JournalCase, SynchronousTestCase):
    """
    Random stories with random ends, against the model.  The seeds out of order
    once found a fault.
    """

    settings = replace(JournalCase.settings, segment_size=700, body_cache_size=300)

    reporting = False

    def _life(self, seed: int, failing: bool) -> None:
        rng = self.rng = random.Random(seed)
        self.clock = Clock()
        self.files = MemoryFiles()
        model = Model(self, rng)
        model.reporting = self.reporting
        self.open()
        for _ in range(4):
            # A slow disk lets much happen while one sync runs.
            self.threads.delay = rng.choice([0.0, 0.02, 0.3])
            for _ in range(rng.randint(5, 60)):
                if failing and rng.random() < 0.05:
                    self._trouble(rng)
                model.step()
            killed = rng.random() < 0.4
            promises = model.picture()
            self.files = self.files.kill() if killed else self.files.power_cut(rng, rng.random() < 0.3)
            self.clock = Clock()
            found = self.open()
            model.check(found, promises, killed)
            model.restarted(found)
        self.stop()

    def _trouble(self, rng: random.Random) -> None:
        operation = rng.choice(["append", "append", "sync", "sync", "create", "unlink", "sync_names", "truncate"])
        number = rng.choice([errno.EIO, errno.ENOSPC, errno.EROFS])
        self.files.fail(operation, number, rng.randint(1, 3))
        self.files.torn = rng.random() < 0.3

    def test_many_lives(self) -> None:
        """
        Whatever is done and whenever the end comes, the promises hold.
        """
        for seed in (*range(300), 1468):
            self._life(seed, False)

    def test_many_lives_with_a_failing_disk(self) -> None:
        """
        Also when the disk fails now and then.
        """
        for seed in (*range(300), 536, 1258, 5288):
            self._life(seed, True)


class RandomReportTests(RandomCrashTests):
    """
    Random stories in which many failures end by their reports.
    """

    reporting = True
