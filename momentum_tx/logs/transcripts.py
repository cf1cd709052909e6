"""
The dialogues of attempts that failed, or took long: the last ones in memory,
and all of them in a log of their own where that is wanted.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from ..outcomes import Verdict
from ..settings import GlobalSettings
from ..smtp.transcript import Transcript, printable

if TYPE_CHECKING:
    from ..stages import Stage
    from .files import ILogFile


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What an attempt meant for one message.

    :ivar id: the message.
    :ivar recipient: its forward path.
    :ivar verdict: what was decided.
    :ivar stage: what the note answers.
    :ivar note: reply or internal text.
    """

    id: str
    recipient: bytes
    verdict: Verdict
    stage: Stage
    note: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One attempt that failed or took long.

    :ivar time: wall time of its end, epoch seconds.
    :ivar seconds: how long it took.
    :ivar domain: the routing domain.
    :ivar binding: name of the binding.
    :ivar host: name of the mail exchanger.
    :ivar address: its address.
    :ivar port: its port.
    :ivar conn_id: id of the connection, as in mainlog.
    :ivar note: why the connection would not do; empty where messages were attempted.
    :ivar stage: what the connection waited for at that.
    :ivar messages: what it meant for each message; none where the connection failed before one was taken.
    :ivar ambiguous: whether the peer may have taken what it did not answer for.
    :ivar transcript: what was said.
    """

    time: float
    seconds: float
    domain: str
    binding: str
    host: str
    address: str
    port: int
    conn_id: str
    note: bytes
    stage: Stage
    messages: tuple[Answer, ...]
    ambiguous: bool
    transcript: Transcript

    def as_json(self) -> dict[str, Any]:
        """
        The attempt as one record of the log.
        """
        return {
            "time": round(self.time, 3),
            "seconds": round(self.seconds, 3),
            "conn_id": self.conn_id,
            "domain": self.domain,
            "binding": self.binding,
            "host": self.host,
            "address": self.address,
            "port": self.port,
            "note": printable(self.note),
            "stage": int(self.stage),
            "ambiguous": self.ambiguous,
            "messages": [
                {
                    "id": answer.id,
                    "recipient": printable(answer.recipient),
                    "verdict": answer.verdict.value,
                    "stage": int(answer.stage),
                    "note": printable(answer.note),
                }
                for answer in self.messages
            ],
            "transcript": self.transcript.lines(),
        }


class Transcripts:
    """
    Keeps the attempts that failed or took long.

    :param settings: gives the options in force.
    :param file: opens the log; called when the first record goes there.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Callable[[], GlobalSettings] = GlobalSettings,
        file: Callable[[], ILogFile] | None = None,
    ) -> None:
        self._settings = settings
        self._make_file = file
        self._file: ILogFile | None = None
        self._failing = False
        self._kept: deque[Attempt] = deque()
        #: Records that could not be written.
        self.lost = 0

    def keep(self, attempt: Attempt) -> None:
        """
        Remember *attempt*, and write it if ``transcriptlog`` says so.
        """
        settings = self._settings()
        kept = self._kept
        kept.append(attempt)
        while len(kept) > settings.transcripts_kept:
            kept.popleft()
        if settings.transcriptlog and self._make_file is not None:
            self._write(json.dumps(attempt.as_json(), ensure_ascii=False, separators=(",", ":")))

    def find(self, message_id: str = "", domain: str = "", host: str = "", conn_id: str = "") -> Sequence[Attempt]:
        """
        The attempts in memory, the last one first.

        :param message_id: only those of this message.
        :param domain: only those of this routing domain.
        :param host: only those with a mail exchanger of this name or address.
        :param conn_id: only those of this connection, as in mainlog.
        """
        return [
            attempt
            for attempt in reversed(self._kept)
            if (not message_id or any(answer.id == message_id for answer in attempt.messages))
            and (not domain or attempt.domain == domain)
            and (not host or host in (attempt.host, attempt.address))
            and (not conn_id or attempt.conn_id == conn_id)
        ]

    def _write(self, line: str) -> None:
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        error: OSError | None = None
        if self._file is None and self._make_file is not None:
            try:
                file = self._make_file()
                file.open()
                self._file = file
            except OSError as failure:
                error = failure
        if self._file is not None:
            error = None if self._file.write(data) == len(data) else self._file.error
        if error is None:
            self._failing = False
            return
        self.lost += 1
        if not self._failing:
            self._failing = True
            self._log.error("transcriptlog cannot be written and loses records until it can: {error}", error=error)

    def log_reopen(self) -> None:
        """
        The log was moved away: go on in a new one (hook ``log_reopen``).
        """
        if self._file is not None:
            try:
                self._file.reopen()
            except OSError as error:
                self._log.error("transcriptlog cannot be opened anew and goes on in the old file: {error}", error=error)

    def close(self) -> None:
        """
        Give the file back; harmless twice.
        """
        file, self._file = self._file, None
        if file is not None:
            file.close()
