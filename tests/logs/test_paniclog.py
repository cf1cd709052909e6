"""
Tests of :mod:`momentum_tx.logs.paniclog`.
"""

from twisted.logger import LogLevel
from twisted.python.failure import Failure

from momentum_tx.logs.paniclog import PanicLog
from momentum_tx.settings import GlobalSettings

from ..worlds import WorldCase
from .doubles import NOW, MemoryFile


class PanicLogTests(WorldCase):
    """
    What an operator must know.
    """

    def content(self, config: str = "") -> str:
        world = self.world(config)
        world.service.hooks.tell_error(1700000000.9, "critical", "the disk\nis gone")
        world.advance(120)
        (content,) = [bytes(log.content) for path, log in world.logs.items() if path.endswith("/paniclog")]
        return content.decode()

    def test_record(self) -> None:
        """
        A time and a text, one line each; no heartbeat.
        """
        self.assertEqual(self.content(), "1700000000: the disk is gone\n")
        self.flushLoggedErrors()

    def test_off(self) -> None:
        """
        Without log_errors nothing is written.
        """
        self.assertEqual(self.content("[global]\nlog_errors = false\n"), "")
        self.flushLoggedErrors()

    def test_observes(self) -> None:
        """
        What is critical in Twisted's log is written with its failure, what is not or was told already is not.
        """
        file = MemoryFile()
        log = PanicLog(file, lambda: NOW, GlobalSettings)
        event = {
            "log_level": LogLevel.critical,
            "log_namespace": "momentum_tx.hooks.points",
            "log_time": NOW,
            "log_format": "{what} raised",
            "what": "a provider",
            "log_failure": Failure(ValueError("no\nnumber")),
        }
        log.observe(event)
        log.observe({**event, "log_level": LogLevel.error})
        log.observe({**event, "log_namespace": "momentum_tx.logs.mainlog"})
        self.assertEqual(file.content, b"1700000002: a provider raised: ValueError: no number\n")
