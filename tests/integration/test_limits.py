"""
Limits as the receivers see them: the service in a process of its own, sinks on
several loopback addresses, and what they have written down.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone

from .running import Sink, SinkProtocol, until
from .test_service import ServiceCase


class _Watched(SinkProtocol):
    """
    Takes its time for a message, and notes when everything happened.
    """

    factory: WatchedSink

    def connectionMade(self) -> None:
        self.factory.note("open")
        super().connectionMade()

    def connectionLost(self, reason: Any = ConnectionDone) -> None:
        self.factory.note("close")

    def lineReceived(self, line: bytes) -> None:
        if not self.in_data and line[:4].upper() == b"MAIL":
            self.factory.note("MAIL")
        if self.in_data and line == b".":
            clock: Any = reactor
            self.pauseProducing()
            clock.callLater(self.factory.pause, self._go_on, line)
            return
        super().lineReceived(line)

    def _go_on(self, line: bytes) -> None:
        super().lineReceived(line)
        self.resumeProducing()


class WatchedSink(Sink):
    """
    A sink with a diary.

    :param pause: seconds a message takes it.
    """

    protocol = _Watched

    def __init__(self, pause: float) -> None:
        super().__init__()
        self.pause = pause
        #: (time, what) of everything that happened.
        self.diary: list[tuple[float, str]] = []

    def note(self, what: str) -> None:
        """
        Something has happened now.
        """
        clock: Any = reactor
        self.diary.append((clock.seconds(), what))

    def most_open(self) -> int:
        """
        Most connections at once.
        """
        count = most = 0
        for _, what in self.diary:
            count += {"open": 1, "close": -1}.get(what, 0)
            most = max(most, count)
        return most

    def most_within(self, what: str, seconds: float) -> int:
        """
        The most that happened in any window of *seconds*.
        """
        times = [when for when, each in self.diary if each == what]
        return max(sum(1 for other in times if when <= other < when + seconds) for when in times)


class LimitTests(ServiceCase):
    """
    What three receivers have in their own logs.
    """

    async def sinks(self, pause: float) -> tuple[list[WatchedSink], int]:
        """
        Sinks on 127.0.0.1 to 127.0.0.3, all at one port.
        """
        found: list[WatchedSink] = []
        number = 0
        for last in (1, 2, 3):
            sink = WatchedSink(pause)
            listening = await TCP4ServerEndpoint(reactor, number, interface=f"127.0.0.{last}").listen(sink)
            self.addCleanup(listening.stopListening)
            number = listening.getHost().port
            found.append(sink)
        return found, number

    def routes(self, port: int, extra: str = "") -> str:
        """
        One domain for each sink.
        """
        return extra + "".join(
            f'[domain."d{last}.example"]\nroutes = ["127.0.0.{last}:{port}"]\n' for last in (1, 2, 3)
        )

    async def run_with(self, options: str, tables: str, pause: float, count: int) -> list[WatchedSink]:
        """
        Send *count* messages to each domain and wait until all have arrived.
        """
        sinks, port = await self.sinks(pause)
        self.configure(self.routes(port, tables), options)
        await self.start()
        messages = [(f"r{n}@d{last}.example", b"Subject: x\n\nx\n") for n in range(count) for last in (1, 2, 3)]
        await self.inject_all(messages)
        await until(lambda: sum(len(sink.arrived) for sink in sinks) == 3 * count, "all mail")
        await self.stop()
        return sinks

    async def test_connections(self) -> None:
        """
        Each receiver sees no more connections than its domain may have, and all
        together no more than the server; each domain has its share.
        """
        sinks = await self.run_with(
            "max_outbound_connections = 4\nserver_max_outbound_connections = 6\n"
            "server_reserve_outbound_connections = 0\n",
            "",
            0.05,
            40,
        )
        for sink in sinks:
            # What we have closed may not have arrived when the next one does.
            self.assertLessEqual(sink.most_open(), 5)
        together = WatchedSink(0)
        together.diary = sorted((entry for sink in sinks for entry in sink.diary), key=lambda entry: entry[0])
        self.assertLessEqual(together.most_open(), 7)
        self.assertEqual([len(sink.arrived) for sink in sinks], [40, 40, 40])

    async def test_rates(self) -> None:
        """
        A receiver gets no more messages, and no more connections, than the
        throttles of its domain allow; one that two domains share holds for both
        together.
        """
        sinks = await self.run_with(
            "",
            "[domain.'/^d[12]/']\noutbound_throttle_messages = \"1/0.1s\"\n"
            '[binding.default.domain."d3.example"]\noutbound_throttle_connections = "1/0.2s"\n'
            "max_deliveries_per_connection = 2\n",
            0.0,
            15,
        )
        both = WatchedSink(0)
        both.diary = sorted(sinks[0].diary + sinks[1].diary, key=lambda entry: entry[0])
        self.assertLessEqual(both.most_within("MAIL", 1.0), 11)
        self.assertLessEqual(sinks[2].most_within("open", 1.0), 6)
        self.assertGreaterEqual(sum(1 for _, what in sinks[2].diary if what == "open"), 8)
