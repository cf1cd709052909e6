"""
Makes and reads golden spools: directories as a released format has written them.

``python -m tests.spool.golden NAME`` makes ``tests/spool/golden/NAME`` with the code of
today, once and for ever; an old one is never made anew.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet.task import Clock

from momentum_tx.envelope import Notify, RecipientTerms, Terms
from momentum_tx.policy.lost_reply import LostReply
from momentum_tx.queues.message import HELD, Message, Reception, Traits
from momentum_tx.settings import GlobalSettings
from momentum_tx.spool import records
from momentum_tx.spool.journal import JournalSpool
from momentum_tx.spool.records import decode_segment_header, frame
from momentum_tx.stages import Stage
from momentum_tx.testing.files import MemoryFiles
from momentum_tx.testing.threads import InlineThreads

from . import contract

#: Where they are.
DIRECTORY: Final = Path(__file__).with_name("golden")
#: What a service finds in one, and the digests of its files.
EXPECTED: Final = "expected.json"


def journal(files: MemoryFiles, clock: Clock) -> JournalSpool:
    """
    A spool on *files*.
    """
    return JournalSpool(
        files,
        InlineThreads(clock),
        clock,
        contract.binding_name,
        contract.binding_slot,
        GlobalSettings(segment_size=4096),
        random.Random(11),
        4096,
    )


def loaded(path: Path) -> MemoryFiles:
    """
    The segments of a golden spool, in memory.
    """
    files = MemoryFiles()
    for file in sorted(path.glob("*.seg")):
        files.put(file.name, file.read_bytes())
    return files


def digests(path: Path) -> dict[str, str]:
    """
    Of its segments.
    """
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.glob("*.seg"))}


def described(message: Message, body: bytes) -> dict[str, Any]:
    """
    All of a message that must be found, as values that JSON can write.
    """
    of = message.reception
    terms = of.terms
    return {
        "key": of.key,
        "sender": of.sender.decode("latin-1"),
        "received": of.creation_time,
        "size": of.size,
        "batch_id": of.batch_id,
        "conn_id": of.conn_id,
        "recv_method": of.recv_method,
        "recv_from": of.recv_from,
        "eight_bit": of.eight_bit,
        "smtputf8": of.smtputf8,
        "traits": list(of.traits),
        "terms": [terms.not_before, terms.expires, terms.envid.decode("latin-1"), terms.ret],
        "safety": [terms.require_tls, terms.tls_optional],
        "id": message.id,
        "index": message.index,
        "recipient": message.recipient.decode("latin-1"),
        "notify": int(message.notify),
        "orcpt": message.orcpt.decode("latin-1"),
        "binding": contract.binding_name(message.binding_slot),
        "retries": message.num_retries,
        "next_attempt": str(message.next_attempt),
        "code": message.code.decode("latin-1"),
        "stage": int(message.stage),
        "ambiguous": message.ambiguous,
        "body": hashlib.sha256(body).hexdigest(),
    }


def found(files: MemoryFiles) -> list[dict[str, Any]]:
    """
    What a service finds at its start.
    """
    clock = Clock()
    spool = journal(files, clock)
    messages: list[Message] = []

    def take(batch: Sequence[Any]) -> None:
        messages.extend(batch)

    spool.start(take)
    contract.settle(clock)
    told = []
    for message in messages:
        bodies: list[Any] = [spool.body(message.reception)]
        if not isinstance(bodies[0], bytes):
            bodies.pop().addCallback(bodies.append)
            contract.settle(clock)
        told.append(described(message, bodies[0]))
    spool.stop()
    contract.settle(clock, step=0.01, turns=20)
    return sorted(told, key=lambda each: (each["key"], each["index"]))


class Maker:
    """
    Leads the life that a golden spool is left by.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.files = MemoryFiles()
        self.spool = journal(self.files, self.clock)
        self.spool.start(lambda batch: None)
        self.settle()

    def settle(self) -> None:
        """
        Let everything become durable.
        """
        contract.settle(self.clock, step=0.01, turns=30)

    def keep(self, name: str, *recipients: bytes, body: bytes = contract.BODY, **more: Any) -> Reception:
        """
        Receive a message.
        """
        made = Reception(
            b"from@example.org", 1000.5, len(body), name, "00/01-00001-00000001", "esmtp", "127.0.0.1", **more
        )
        for number, recipient in enumerate(recipients):
            made.add(f"{name}/{number}", recipient).binding_slot = number % 3
        self.spool.receive(made, body)
        self.settle()
        return made

    def requeue(self, message: Message, due: float, code: bytes) -> None:
        """
        An attempt has failed.
        """
        message.num_retries += 1
        message.next_attempt, message.code, message.stage = due, code, Stage.DURING_RCPT_TO
        self.spool.requeued(message)
        self.settle()

    def live(self) -> MemoryFiles:
        """
        All kinds and versions of records, over several segments.
        """
        first = contract.first
        moved = self.keep("moved", b"done@i.example", b"waits@i.example")
        self.spool.delivered(first(moved, 0), b"250 2.0.0 ok")
        self.requeue(first(moved, 1), 6000.0, b"451 4.7.1 come back")
        for number in range(5):
            passing = self.keep(f"passing{number}", b"passes@j.example", body=b"z\r\n" * 400)
            self.spool.delivered(first(passing), b"250 2.0.0 ok")
        plain = self.keep("plain", b"plain@a.example")
        self.requeue(first(plain), 5000.0, b"451 4.3.0 later")
        traits = self.keep("traits", b"traits@b.example", traits=Traits("tenant", "campaign", "high"))
        self.spool.intent([first(traits)], lambda error: None)
        of = {
            0: RecipientTerms(Notify.SUCCESS | Notify.DELAY, b"rfc822;o+x@c.example"),
            2: RecipientTerms(Notify.NEVER),
        }
        terms = Terms(1100.0, 9000.0, b"envid \xff", "HDRS", True, False, of)
        several = self.keep("several", b"one@c.example", b"two@c.example", b"three@d.example", terms=terms)
        self.spool.delivered(first(several, 1), b"250 2.0.0 ok")
        large = self.keep(
            "large", "gr\u00f6\u00dfe@e.example".encode(), body=b"x\xff\r\n" * 1500, smtputf8=True, eight_bit=True
        )
        large_message = first(large)
        large_message.ambiguous = 2
        self.requeue(large_message, HELD, b"451 4.4.2 nobody knows")
        ended = self.keep("ended", b"ended@f.example", body=b"y\r\n" * 1000)
        self.spool.failed(first(ended), b"550 5.1.1 no such user")
        both = self.keep("both", b"hold@g.example", b"assume@g.example")
        self.spool.intent([first(both, 0)], lambda error: None, LostReply.HOLD)
        self.spool.intent([first(both, 1)], lambda error: None, LostReply.ASSUME_DELIVERED)
        self.settle()
        told = self.keep("told", b"told@k.example", b"waits@k.example")
        report = Reception(b"", 1000.5, 6, "report", "00/01-00001-00000001", "internal", "")
        report.add("report/0", b"from@example.org")
        self.spool.receive(report, b"told\r\n", [first(told, 0)])
        self.settle()
        refused = self.keep("refused", b"refused@h.example")
        name = self.files.names()[-1]
        octets = self.files.octets(name)
        salt = decode_segment_header(octets).salt
        self.files.put(name, octets + frame(records.encode_withdrawn(refused.key), salt))
        # As a kill leaves it.
        return self.files.kill()


def make(path: Path) -> None:
    """
    Write a golden spool.

    :raises FileExistsError: there is one.
    """
    path.mkdir(parents=True)
    files = Maker().live()
    for name in files.names():
        if name.endswith(".seg"):
            (path / name).write_bytes(files.octets(name))
    expected = {"files": digests(path), "messages": found(loaded(path))}
    (path / EXPECTED).write_text(json.dumps(expected, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    make(DIRECTORY / sys.argv[1])
