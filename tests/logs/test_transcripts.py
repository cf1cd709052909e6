"""
Tests for :mod:`momentum_tx.logs.transcripts`.
"""

from __future__ import annotations

import errno
import json

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.logs.transcripts import Answer, Attempt, Transcripts
from momentum_tx.outcomes import Verdict
from momentum_tx.settings import GlobalSettings
from momentum_tx.smtp.transcript import Transcript
from momentum_tx.stages import Stage
from momentum_tx.testing.logs import MemoryLogFile


def attempt(number: int = 1, domain: str = "example.com", host: str = "mx.example.com") -> Attempt:
    """
    An attempt for one message.
    """
    transcript = Transcript(0.0)
    transcript.heard(0.5, b"550 \x07 no\r\n")
    answer = Answer(f"id-{number}", b"b\xff@c", Verdict.PERMANENT, Stage.AFTER_RCPT_TO, b"550 \x07 no")
    return Attempt(
        1000.0, 0.5, domain, "b1", host, "192.0.2.1", 25, "conn", b"", Stage.UNKNOWN, (answer,), False, transcript
    )


class MemoryTests(SynchronousTestCase):
    """
    What is kept in memory.
    """

    def test_find(self) -> None:
        """
        By message, domain, host name or address; the last one first.
        """
        kept = Transcripts()
        first, second, third = attempt(1), attempt(2, "example.org"), attempt(1, host="mx2.example.com")
        for each in (first, second, third):
            kept.keep(each)
        self.assertEqual(kept.find(), [third, second, first])
        self.assertEqual(kept.find("id-1"), [third, first])
        self.assertEqual(kept.find(domain="example.org"), [second])
        self.assertEqual(kept.find("id-1", host="mx2.example.com"), [third])
        self.assertEqual(kept.find(host="192.0.2.1"), [third, second, first])
        self.assertEqual(kept.find("id-3"), [])

    def test_bound(self) -> None:
        """
        No more than ``transcripts_kept``, also after it was lowered.
        """
        settings = [GlobalSettings(transcripts_kept=3)]
        kept = Transcripts(lambda: settings[0])
        for number in range(5):
            kept.keep(attempt(number))
        self.assertEqual([each.messages[0].id for each in kept.find()], ["id-4", "id-3", "id-2"])
        settings[0] = GlobalSettings(transcripts_kept=0)
        kept.keep(attempt())
        self.assertEqual(kept.find(), [])


class FileTests(SynchronousTestCase):
    """
    transcriptlog.
    """

    def setUp(self) -> None:
        self.file = MemoryLogFile()
        self.kept = Transcripts(lambda: GlobalSettings(transcriptlog=True), lambda: self.file)

    def test_record(self) -> None:
        """
        One line of JSON, printable whatever strangers wrote.
        """
        self.kept.keep(attempt())
        self.kept.keep(attempt(2))
        lines = self.file.content.decode("ascii").splitlines()
        self.assertEqual(len(lines), 2)
        record = json.loads(lines[0])
        self.assertEqual(
            record,
            {
                "time": 1000.0,
                "seconds": 0.5,
                "conn_id": "conn",
                "domain": "example.com",
                "binding": "b1",
                "host": "mx.example.com",
                "address": "192.0.2.1",
                "port": 25,
                "note": "",
                "stage": 22,
                "ambiguous": False,
                "messages": [
                    {
                        "id": "id-1",
                        "recipient": "b\\xff@c",
                        "verdict": "permanent",
                        "stage": 5,
                        "note": "550 \\x07 no",
                    }
                ],
                "transcript": ["0.500 < 550 \\x07 no"],
            },
        )

    def test_off(self) -> None:
        """
        Nothing is opened where it is not wanted.
        """
        opened: list[MemoryLogFile] = []

        def make() -> MemoryLogFile:
            opened.append(MemoryLogFile())
            return opened[-1]

        Transcripts(GlobalSettings, make).keep(attempt())
        self.assertEqual(opened, [])

    def test_full_disk(self) -> None:
        """
        What cannot be written is counted and told of once; mail goes on.
        """
        self.file.full = True
        self.kept.keep(attempt())
        self.kept.keep(attempt())
        self.assertEqual(self.kept.lost, 2)
        self.file.full = False
        self.kept.keep(attempt())
        self.assertEqual(self.file.content.count(b"\n"), 1)

    def test_no_file(self) -> None:
        """
        A log that cannot even be opened is tried again with the next record.
        """

        def make() -> MemoryLogFile:
            raise PermissionError(errno.EACCES, "denied")

        kept = Transcripts(lambda: GlobalSettings(transcriptlog=True), make)
        kept.keep(attempt())
        self.assertEqual(kept.lost, 1)
        self.assertEqual(len(kept.find()), 1)

    def test_reopen(self) -> None:
        """
        It is opened anew with the other logs, and given back at the end.
        """
        self.kept.log_reopen()
        self.kept.keep(attempt())
        self.kept.log_reopen()
        self.kept.close()
        self.kept.close()
        self.assertEqual((self.file.reopened, self.file.closed), (1, True))
