"""
Real storage in trouble: a disk of its own for a service, and system calls that fail.
"""

from __future__ import annotations

import os
import re
import smtplib
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet.threads import deferToThread

from .needs import REQUIRE_ALL, require
from .running import Program, Twistd, until
from .test_service import ServiceCase

#: Mounts a disk in memory where nobody else sees it, and becomes the service.
_MOUNT = 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"'


#: The service, without the directory that it keeps its process id in.
_TWISTD = [
    sys.executable,
    "-c",
    "from twisted.scripts.twistd import run; run()",
    "-n",
    "--pidfile=",
    "momentum-tx",
]
#: Root may do whatever the modes of files say; without these it may not.
_PRIVILEGES = "-dac_override,-dac_read_search"


class Unprivileged(Program):
    """
    ``twistd momentum-tx`` for which the modes of files count, whoever runs the tests.
    """

    def __init__(self, directory: str, *arguments: str) -> None:
        restrained = [require("setpriv"), f"--bounding-set={_PRIVILEGES}"] if os.geteuid() == 0 else []
        super().__init__([*restrained, *_TWISTD, *arguments], directory)

    ready = Twistd.ready


class OwnDisk(Program):
    """
    ``twistd momentum-tx`` whose state is on a disk of its own.

    :param options: of the mount: ``size=12m``.
    """

    def __init__(self, directory: str, options: str, *arguments: str) -> None:
        require("mount")
        self.state = f"{directory}/state"
        os.makedirs(self.state, exist_ok=True)
        twistd = [*_TWISTD, *arguments]
        super().__init__([require("unshare"), "-m", "sh", "-c", _MOUNT, "sh", options, self.state, *twistd], directory)

    ready = Twistd.ready

    def inside(self, *names: str) -> Path:
        """
        A path below its state, as it sees that itself.
        """
        pid = self._process.pid
        return Path(f"/proc/{pid}/root{self.state}", *names)


def need_mounts() -> None:
    """
    Skip, or fail where everything is required, if no disk can be mounted.
    """
    tried = subprocess.run(
        [require("unshare"), "-m", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, timeout=20
    )
    if tried.returncode:
        reason = f"no disk can be mounted here: {tried.stderr.decode(errors='replace').strip()}"
        if os.environ.get(REQUIRE_ALL) == "1":
            raise AssertionError(reason)
        raise SkipTest(reason)


class FailingCalls:
    """
    System calls of a process that fail or are slow until :meth:`end`.

    :param what: as ``strace -e inject=`` has it: ``fdatasync:error=EIO``.
    """

    def __init__(self, pid: int, what: str) -> None:
        calls = what.partition(":")[0]
        self._strace = Program(
            [require("strace"), "-f", "-qq", "-p", str(pid), "-e", f"trace={calls}", "-e", f"inject={what}"]
        )
        self._calls = re.compile(rb"(?:%s)\(" % calls.replace(",", "|").encode())
        self._pid = pid

    @property
    def count(self) -> int:
        """
        How many such calls there were.
        """
        return len(self._calls.findall(self._strace.err))

    async def begun(self) -> None:
        """
        Wait until every thread of the process is watched.
        """

        def watched() -> bool:
            if self._strace.status is not None:
                reason = f"system calls cannot be watched here: {self._strace.err.decode(errors='replace').strip()}"
                if os.environ.get(REQUIRE_ALL) == "1":
                    raise AssertionError(reason)
                raise SkipTest(reason)
            tasks = Path(f"/proc/{self._pid}/task")
            return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks.iterdir())

        await until(watched, "the watch")

    async def end(self) -> None:
        """
        Let the calls be as they are.
        """
        self._strace.signal("INT")
        if self._strace.status is None:
            await self._strace.ended


class StorageCase(ServiceCase):
    """
    A service, and a book of what it has promised.

    :ivar accepted: recipients whose message was answered 250.
    :ivar refused: recipients whose message was refused, with code and text.
    """

    timeout = 150

    def setUp(self) -> None:
        super().setUp()
        self.accepted: list[str] = []
        self.refused: dict[str, tuple[int, str]] = {}

    async def send(self, recipient: str, size: int = 200) -> bool:
        """
        Send a message; whether it was accepted.
        """
        answer = await deferToThread(self._send, recipient, size)
        if answer is None:
            self.accepted.append(recipient)
        else:
            self.refused[recipient] = answer
        return answer is None

    def _send(self, recipient: str, size: int) -> tuple[int, str] | None:
        line = "x" * 70 + "\r\n"
        content = f"Subject: {recipient}\r\n\r\n" + line * (size // len(line) + 1)
        with smtplib.SMTP("127.0.0.1", self.port, "injector.example", timeout=30) as client:
            try:
                client.sendmail("a@sender.example", [recipient], content)
            except smtplib.SMTPRecipientsRefused as error:
                ((code, text),) = error.recipients.values()
                return code, text.decode()
            except smtplib.SMTPResponseException as error:
                said: Any = error.smtp_error
                return error.smtp_code, said.decode() if isinstance(said, bytes) else said
        return None

    def settle_accounts(self, arrived: list[tuple[str, str, bytes]]) -> None:
        """
        All that was accepted arrived, once; nothing that was refused did.
        """
        got = sorted(recipient for recipient, _, _ in arrived)
        self.assertEqual(got, sorted(self.accepted))

    async def all_arrived(self, sink: Any, patience: float = 60.0) -> None:
        """
        Wait until as much has arrived as was accepted, then compare.
        """
        await until(lambda: len(sink.arrived) >= len(self.accepted), "all mail", patience)
        self.settle_accounts(sink.arrived)

    def logged(self, kind: str) -> list[str]:
        """
        Records of a kind in mainlog.
        """
        text = Path(self.directory, "log", "mainlog").read_text()
        return [line for line in text.splitlines() if line.split("@")[4:5] == [kind]]

    def told(self, text: str) -> bool:
        """
        Whether the service has logged *text*.
        """
        return text.encode() in self.service.out + self.service.err
