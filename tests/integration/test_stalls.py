"""
A hook that blocks the reactor's thread, found by its name in the service log.
"""

from __future__ import annotations

from pathlib import Path

from .running import until
from .test_service import SHORT, ServiceCase

BLOCKING = """
import time

from momentum_tx.interfaces.hooks import ILogReceptionV1
from zope.interface import implementer


def wait_for_somebody():
    time.sleep(0.3)


@implementer(ILogReceptionV1)
class Blocking:
    def log_reception_v1(self, ac, msg, now, note):
        wait_for_somebody()
"""


class StallTests(ServiceCase):
    """
    ``debug_slow_turns`` under ``twistd``.
    """

    async def test_hook(self) -> None:
        """
        The report names the function that blocked and how long it took; what did not
        block, and waiting for events, are not reported.
        """
        Path(self.directory, "blocking.py").write_text(BLOCKING)
        sink, port = await self.sink()
        self.configure(
            f'routes = ["127.0.0.1:{port}"]\n', SHORT + 'debug_slow_turns = 0.1\nhooks = ["blocking:Blocking"]\n'
        )
        await self.start()
        await self.inject_all([("bob@one.example", b"Subject: one\n\nHello.\n")])
        await until(lambda: sink.arrived, "delivery")
        await until(lambda: b"wait_for_somebody" in self.service.out, "a report")
        await self.stop()
        (report,) = [part for part in self.service.out.split(b"a turn of the reactor took ")[1:] if b"blocking" in part]
        self.assertRegex(report, rb"^\d+\.\d{3} s \(debug_slow_turns\), 0\.\d{3} s of processor time")
        # What is outside the reactor's loop is left out.
        self.assertNotIn(b"twistd.py", report)
        self.assertRegex(report, rb"blocking\.py:\d+ wait_for_somebody: time\.sleep\(0\.3\)")
