"""
What the tests of the mainlog share: a file in memory, and a story to log.
"""

import errno
from typing import cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from momentum_tx.interfaces.services import IConnectionInitiator
from momentum_tx.logs.files import ILogFile
from momentum_tx.logs.mainlog import MainLog
from momentum_tx.queues.domain import Connection, DomainRecord
from momentum_tx.queues.message import Message, Reception
from momentum_tx.settings import GlobalSettings

NOW = 1700000002.75


@implementer(ILogFile)
class MemoryFile:
    """
    A log file in memory that can be told to fail.
    """

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.content = b""
        self.writes = 0
        self.reopened = 0
        self.closed = False
        #: Octets the disk still takes; ``None`` is any number.
        self.room: int | None = None
        self.refuses_to_reopen = False

    def open(self) -> None:
        self.closed = False

    def write(self, data: bytes) -> int:
        self.writes += 1
        kept = len(data)
        self.error = None
        if self.closed or (self.room is not None and self.room < len(data)):
            kept = data.rfind(b"\n", 0, self.room or 0) + 1
            self.error = OSError(errno.ENOSPC, "No space left on device")
        self.content += data[:kept]
        return kept

    def reopen(self) -> None:
        if self.refuses_to_reopen:
            raise OSError(errno.EACCES, "Permission denied")
        self.reopened += 1

    def close(self) -> None:
        self.closed = True


@implementer(ILogObserver)
class Told:
    """
    Keeps what the operator is told.
    """

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.events.append(event)


class MainLogBase(SynchronousTestCase):
    """
    A mainlog, not started, and one message to be logged.
    """

    def setUp(self) -> None:
        self.file = MemoryFile()
        self.clock = Clock()
        self.wall = 1700000010.5
        observer = Told()
        self.told = observer.events
        self.patch(MainLog, "_log", Logger(observer=observer))
        self.log = self.make(GlobalSettings())
        self.dr = DomainRecord("example.com", cast(IConnectionInitiator, None))
        self.reception = Reception(
            b"alice@sender.example",
            1700000000.5,
            4096,
            "00/00-00777-001F3556",
            "10/00-00777-001F3556",
            "esmtp",
            "192.0.2.1",
        )
        self.message = self.add(b"bob@example.com")

    def make(self, settings: GlobalSettings) -> MainLog:
        return MainLog(
            self.file, lambda: self.wall, settings, ["default", "b1"].__getitem__, ["default", "g"].__getitem__
        )

    def add(self, recipient: bytes) -> Message:
        message = self.reception.add("20/00-00777-001F3556", recipient)
        message.binding_slot = 1
        return message

    def connect(self) -> None:
        connection = Connection()
        connection.conn_id = "30/00-00777-001F3556"
        connection.address = "192.0.2.9"
        self.message.connection = connection

    def lines(self) -> list[str]:
        return self.file.content.decode().splitlines()

    def diagnostics(self) -> list[str]:
        return [str(event["log_format"]).format(**event) for event in self.told]
