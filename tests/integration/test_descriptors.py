"""
A service that may open few files: mail waits for descriptors and does not fail for the
want of them, and clients are served again when there are some.
"""

from __future__ import annotations

import socket

from twisted.internet.defer import Deferred, gatherResults

from .running import until
from .test_service import ServiceCase

#: Descriptors the process may have; some twenty are its own.
FEW = 64


class FewDescriptorsTests(ServiceCase):
    """
    ``twistd momentum-tx`` with sixty-four descriptors.
    """

    def configure_few(self, port: int, domains: int) -> None:
        """
        Every domain has a connection of its own.
        """
        routes = "".join(f'[domain."d{number}.test"]\nroutes = ["127.0.0.1:{port}"]\n' for number in range(domains))
        # One message that was delayed would arrive too late for the test.
        options = f"server_max_file_descriptors = {FEW}\nretry_interval = 3600\n"
        self.configure(routes, f"{options}migrate_connections_between_sibling_domains = false\n")

    async def test_outbound(self) -> None:
        """
        Mail for far more domains than there are descriptors arrives, each at its first
        attempt.
        """
        sink, port = await self.sink()
        self.configure_few(port, 200)
        await self.start()
        mail = [(f"bob@d{number}.test", b"Subject: one\n\nHello.\n") for number in range(200)]
        await gatherResults([Deferred.fromCoroutine(self.inject_all(mail[at::4])) for at in range(4)])
        await until(lambda: len(sink.arrived) == 200, "delivery")
        await until(lambda: len(self.records("D")) == 200, "records")
        self.assertEqual(self.records("T"), [])
        self.assertIn(b"Too many open files", self.service.out)
        await self.stop()

    async def test_inbound(self) -> None:
        """
        Clients that take all descriptors keep mail waiting, and the next client is turned
        away; when they leave, both are served.
        """
        sink, port = await self.sink()
        self.configure_few(port, 1)
        service = await self.start()
        hogs: list[socket.socket] = []
        injector = await self.inject([("bob@d0.test", b"Subject: one\n\nHello.\n")])
        while True:
            hog = socket.create_connection(("127.0.0.1", self.port), 5)
            hogs.append(hog)
            self.addCleanup(hog.close)
            hog.settimeout(5)
            if not hog.recv(4):
                # The process has none left: the system's connection is closed at once.
                break
            self.assertLess(len(hogs), FEW)
        self.assertGreater(len(hogs), FEW // 4)
        await injector.done
        for each in hogs:
            each.close()
        await service.ready(self.port)
        await self.inject_all([("carol@d0.test", b"Subject: two\n\nHello.\n")])
        await until(lambda: len(sink.arrived) == 2, "delivery")
        self.assertEqual(self.records("T"), [])
        await self.stop()
