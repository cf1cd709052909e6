"""
Tests of :mod:`momentum_tx.logs.paniclog`.
"""

from ..worlds import WorldCase


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
