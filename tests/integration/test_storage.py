"""
A disk that is full, fails, is slow, or goes away under a service that runs: new mail is
refused for the moment, what was accepted arrives once, and it recovers by itself.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint

from .running import Sink, free_port, until
from .storage import FailingCalls, OwnDisk, StorageCase, Unprivileged, need_mounts
from .test_service import SHORT


class DestinationCase(StorageCase):
    """
    One destination, which may be closed for a time.
    """

    async def begin(self, options: str = "", closed: bool = False, disk: str = "", modes: bool = False) -> None:
        """
        Start the service.

        :param closed: whether the destination is.
        :param disk: how the service's own disk is mounted; empty for none.
        :param modes: whether the modes of files count for it.
        """
        self.sink_port = free_port()
        self.sink_ = Sink()
        if not closed:
            await self.open_sink()
        log = f'log_dir = "{self.directory}/log"\n'
        self.configure(f'[domain."d.test"]\nroutes = ["127.0.0.1:{self.sink_port}"]\n', SHORT + log + options)
        if disk or modes:
            arguments = ("--config", self.path)
            service: Any = (
                OwnDisk(self.directory, disk, *arguments) if disk else Unprivileged(self.directory, *arguments)
            )
            self.service = service
            self.addCleanup(service.kill)
            await service.ready(self.port)
        else:
            await self.start()

    async def open_sink(self) -> None:
        """
        Let the destination take mail.
        """
        listening: Any = await TCP4ServerEndpoint(reactor, self.sink_port, interface="127.0.0.1").listen(self.sink_)
        self.addCleanup(listening.stopListening)

    async def send_many(self, names: str, count: int, size: int = 200) -> int:
        """
        Send messages, ten at a time; how many were accepted.
        """
        before = len(self.accepted)
        for first in range(0, count, 10):
            numbers = range(first, min(count, first + 10))
            await gatherResults(
                [Deferred.fromCoroutine(self.send(f"{names}{number}@d.test", size)) for number in numbers]
            )
        return len(self.accepted) - before

    @property
    def pid(self) -> int:
        """
        Of the service.
        """
        pid: int = self.service._process.pid
        return pid

    async def until_accepted(self, names: str) -> None:
        """
        Wait until mail is taken again.
        """
        for number in range(120):
            if await self.send(f"{names}{number}@d.test"):
                return
            waiting: Deferred[None] = Deferred()
            real: Any = reactor
            real.callLater(0.5, waiting.callback, None)
            await waiting
        self.fail("mail is not taken again")


class FullDiskTests(DestinationCase):
    """
    No space left.
    """

    def setUp(self) -> None:
        need_mounts()
        super().setUp()

    async def test_full(self) -> None:
        """
        Mail is refused with 452 4.3.1, what was accepted is delivered all the same, and when
        there is space mail is taken again.
        """
        await self.begin(closed=True, disk="size=12m")
        await self.send_many("before", 30)
        self.assertEqual(len(self.accepted), 30)
        disk: Any = self.service
        filler = disk.inside("filler")
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        self.assertEqual(await self.send_many("full", 20, 200_000), 0)
        self.assertEqual({code for code, _ in self.refused.values()}, {452})
        self.assertTrue(all(text.startswith("4.3.1 ") for _, text in self.refused.values()), self.refused)
        await self.open_sink()
        await self.all_arrived(self.sink_)
        os.unlink(filler)
        await self.until_accepted("after")
        await self.all_arrived(self.sink_)
        await self.stop()
        self.settle_accounts(self.sink_.arrived)

    async def test_noInodes(self) -> None:
        """
        Where no file can be made the segment there is grows: mail goes on.
        """
        await self.begin("segment_size = 4096\n", disk="size=32m,nr_inodes=40")
        disk: Any = self.service
        made = 0
        try:
            while True:
                disk.inside(f"filler{made}").touch()
                made += 1
        except OSError:
            pass
        self.assertGreater(made, 10)
        await self.send_many("full", 60)
        self.assertGreater(len(self.accepted), 0)
        self.assertEqual({code for code, _ in self.refused.values()} - {452}, set())
        await self.all_arrived(self.sink_)
        for number in range(made):
            os.unlink(disk.inside(f"filler{number}"))
        await self.until_accepted("after")
        await self.all_arrived(self.sink_)
        await self.stop()
        self.settle_accounts(self.sink_.arrived)


class FailingDiskTests(DestinationCase):
    """
    System calls that fail.
    """

    async def test_readOnly(self) -> None:
        """
        A file system that has become read-only: no mail is taken, no dot leaves, and both go on
        when it can be written again.
        """
        await self.begin(closed=True)
        await self.send_many("before", 20)
        self.assertEqual(len(self.accepted), 20)
        failing = FailingCalls(self.pid, "pwritev,pwrite64,fdatasync,fsync,ftruncate,fallocate:error=EROFS")
        await failing.begun()
        self.assertEqual(await self.send_many("during", 10), 0)
        self.assertEqual({code // 100 for code, _ in self.refused.values()}, {4})
        await self.open_sink()
        await until(lambda: self.told("delivery pauses"), "the pause")
        self.assertEqual(self.sink_.arrived, [])
        await failing.end()
        await self.until_accepted("after")
        await self.all_arrived(self.sink_)
        await self.stop()
        self.settle_accounts(self.sink_.arrived)

    async def test_failedSyncs(self) -> None:
        """
        Syncs that fail: what they should have covered is written anew elsewhere, or refused.
        """
        await self.begin()
        await self.send_many("before", 10)
        failing = FailingCalls(self.pid, "fdatasync:error=EIO:when=1..40+3")
        await failing.begun()
        await self.send_many("during", 60)
        await failing.end()
        self.assertEqual({code // 100 for code, _ in self.refused.values()} - {4}, set())
        await self.until_accepted("after")
        await self.all_arrived(self.sink_)
        await self.stop()
        self.settle_accounts(self.sink_.arrived)

    async def test_unreadableBodies(self) -> None:
        """
        Bodies that cannot be read: the mail is kept, and delivered when they can be.
        """
        await self.begin("max_resident_messages = 0\n", closed=True)
        await self.send_many("before", 20)
        self.assertEqual(len(self.accepted), 20)
        failing = FailingCalls(self.pid, "pread64:error=EIO")
        await failing.begun()
        await self.open_sink()
        await until(lambda: failing.count >= 20, "tries to read")
        self.assertEqual(self.sink_.arrived, [])
        await failing.end()
        await self.all_arrived(self.sink_)
        self.assertEqual(self.logged("P"), [])
        self.assertGreaterEqual(len(self.logged("T")), 20)
        self.service.signal("TERM")
        self.assertEqual(await self.service.ended, 0)
        self.settle_accounts(self.sink_.arrived)

    async def test_slowSyncs(self) -> None:
        """
        Syncs that take a second: mail that comes meanwhile shares one, and deliveries go on.
        """
        await self.begin()
        await self.send_many("before", 5)
        slow = FailingCalls(self.pid, "fdatasync:delay_enter=1000000")
        await slow.begun()
        self.assertEqual(await self.send_many("slow", 60), 60)
        await self.all_arrived(self.sink_)
        self.assertLess(slow.count, 40)
        await slow.end()
        await self.stop()
        self.settle_accounts(self.sink_.arrived)


class VanishingTests(DestinationCase):
    """
    The directory goes away.
    """

    async def test_removed(self) -> None:
        """
        What cannot be found again after a restart is not confirmed: mail is refused, and the
        log says why.
        """
        await self.begin(closed=True)
        await self.send_many("before", 5)
        shutil.rmtree(os.path.join(self.directory, "state", "spool"))
        self.assertEqual(await self.send_many("gone", 10), 0)
        self.assertEqual({code // 100 for code, _ in self.refused.values()}, {4})
        await until(lambda: self.told("was removed"), "the reason")

    async def test_permissionLost(self) -> None:
        """
        A directory that may not be looked into any more: the segment there is grows, nothing
        that was accepted is lost, and when it may be looked into again mail goes on as before.
        """
        spool = os.path.join(self.directory, "state", "spool")
        await self.begin("segment_size = 4096\nmax_resident_messages = 0\n", closed=True, modes=True)
        await self.send_many("before", 20)
        self.assertEqual(len(self.accepted), 20)
        os.chmod(spool, 0)
        self.addCleanup(os.chmod, spool, 0o700)
        await self.send_many("during", 60)
        self.assertEqual({code for code, _ in self.refused.values()} - {452}, set())
        await self.open_sink()
        await until(lambda: self.told("Permission denied"), "the reason")
        os.chmod(spool, 0o700)
        await self.until_accepted("after")
        await self.all_arrived(self.sink_)
        self.service.signal("TERM")
        self.assertEqual(await self.service.ended, 0)
        self.settle_accounts(self.sink_.arrived)
