"""
Tests of :mod:`momentum_tx.logs.mainlog`: what the records say.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from momentum_tx.interfaces.hooks import ILoggingInfrastructure
from momentum_tx.interfaces.services import IConnectionInitiator
from momentum_tx.logs.files import ILogFile
from momentum_tx.logs.mainlog import MainLog
from momentum_tx.message.ids import decode
from momentum_tx.queues.domain import DomainRecord
from momentum_tx.queues.message import Reception
from momentum_tx.settings import UNBOUND, GlobalSettings
from momentum_tx.stages import Stage

from .doubles import NOW, MainLogBase, MemoryFile


class _Inbound:
    """
    What a rejection knows of the client.
    """

    conn_id = "10/00-00777-001F3556"
    peer = "192.0.2.66"


class RecordTests(MainLogBase):
    """
    The text of each record; the log is not started, so that each is written at once.
    """

    def test_provides(self) -> None:
        """
        It keeps the contract it declares, and so does the double of its file.
        """
        self.assertTrue(verifyObject(ILoggingInfrastructure, self.log))
        self.assertTrue(verifyObject(ILogFile, self.file))
        self.assertTrue(verifyClass(ILogFile, MemoryFile))

    def test_reception(self) -> None:
        """
        R carries the inbound connection id, both addresses in halves, and where the mail will leave from.
        """
        self.log.log_reception(self.reception, self.message, NOW, None)
        self.assertEqual(
            self.file.content,
            b"1700000002@20/00-00777-001F3556@00/00-00777-001F3556@10/00-00777-001F3556@R"
            b"@bob@example.com@alice@sender.example@192.0.2.1@4096@esmtp@g@b1\n",
        )

    def test_reception_in_process(self) -> None:
        """
        A bounce the application submitted has an unknown client, no sender, and perhaps no binding yet.
        """
        reception = Reception(b"", 1700000000.0, 10, "00/00-00777-001F3556")
        message = reception.add("20/00-00777-001F3556", b"postmaster")
        self.assertEqual(message.binding_slot, UNBOUND)
        self.log.log_reception(reception, message, NOW, None)
        self.assertEqual(
            self.file.content,
            b"1700000002@20/00-00777-001F3556@00/00-00777-001F3556@00/00-00000-00000000@R"
            b"@postmaster@@@@unknown@10@internal@@\n",
        )

    def test_delivery(self) -> None:
        """
        D carries the outbound connection id, octets, retries, seconds in the system, and the peer's address.
        """
        self.connect()
        self.message.transferred = 4200
        self.message.num_retries = 2
        self.log.log_delivery(self.message, self.dr, NOW, b"250 2.0.0 queued")
        self.assertEqual(
            self.file.content,
            b"1700000002@20/00-00777-001F3556@00/00-00777-001F3556@30/00-00777-001F3556@D"
            b"@example.com@4200@g@b1@2@2.250@192.0.2.9\n",
        )

    def test_delivery_without_connection(self) -> None:
        """
        A message handed over without SMTP has no connection and no address.
        """
        self.log.log_delivery(self.message, self.dr, NOW, None)
        fields = self.lines()[0].split("@")
        self.assertEqual((fields[3], fields[11]), ("00/00-00000-00000000", ""))

    def test_transient_failure(self) -> None:
        """
        T names the stage, and the reply is its last field, as it came.
        """
        self.connect()
        self.message.stage = Stage.AFTER_RCPT_TO
        self.log.log_transient_failure(self.message, self.dr, NOW, b"450 4.2.1 <bob@example.com> busy")
        self.assertEqual(
            self.file.content,
            b"1700000002@20/00-00777-001F3556@00/00-00777-001F3556@30/00-00777-001F3556@T"
            b"@example.com@0@g@b1@5@0@2.250@192.0.2.9@450 4.2.1 <bob@example.com> busy\n",
        )

    def test_permanent_failure_without_connection(self) -> None:
        """
        P without a connection has the id of none, no address, and the message's own text when no other is given.
        """
        self.message.stage = Stage.UNKNOWN
        self.message.num_retries = 7
        self.message.code = b"554 5.4.4 [internal] Domain Lookup Failed"
        self.log.log_permanent_failure(self.message, self.dr, NOW, None)
        self.assertEqual(
            self.file.content,
            b"1700000002@20/00-00777-001F3556@00/00-00777-001F3556@00/00-00000-00000000@P"
            b"@example.com@0@g@b1@22@7@2.250@@554 5.4.4 [internal] Domain Lookup Failed\n",
        )

    def test_connection_without_id(self) -> None:
        """
        A connection that never got an id is logged as none.
        """
        self.connect()
        assert self.message.connection is not None
        self.message.connection.conn_id = ""
        self.log.log_transient_failure(self.message, self.dr, NOW, b"")
        self.log.log_delivery(self.message, self.dr, NOW, b"")
        self.assertEqual([line.split("@")[3] for line in self.lines()], ["00/00-00000-00000000"] * 2)

    def test_empty_note(self) -> None:
        """
        An empty text given is an empty text, not the message's own.
        """
        self.message.code = b"old"
        self.log.log_transient_failure(self.message, self.dr, NOW, b"")
        self.assertTrue(self.lines()[0].endswith("@2.250@@"))

    def test_no_now(self) -> None:
        """
        Without a time the wall clock is asked.
        """
        self.log.log_reception(self.reception, self.message, None, None)
        self.log.log_delivery(self.message, self.dr, None, None)
        self.log.log_transient_failure(self.message, self.dr, None, None)
        self.log.log_permanent_failure(self.message, self.dr, None, None)
        self.log.beat(None)
        self.assertEqual({line.split("@")[0] for line in self.lines()}, {"1700000010"})
        self.assertEqual([line.split("@")[4] for line in self.lines()], ["R", "D", "T", "P", "M"])
        self.assertEqual(self.lines()[1].split("@")[10], "10.000")
        self.assertEqual(self.lines()[2].split("@")[11], "10.000")

    def test_clock_set_back(self) -> None:
        """
        A wall clock that was set back gives no negative age.
        """
        self.log.log_delivery(self.message, self.dr, 1600000000.0, None)
        self.log.log_transient_failure(self.message, self.dr, 1600000000.0, None)
        self.assertEqual([line.split("@")[i] for line, i in zip(self.lines(), (10, 11), strict=True)], ["0.000"] * 2)

    def test_heartbeat(self) -> None:
        """
        A heartbeat has its letter where all records have theirs.
        """
        self.log.beat(NOW)
        self.assertEqual(self.file.content, b"1700000002@@@@M\n")

    def test_attempt(self) -> None:
        """
        An attempt has no record of its own.
        """
        self.log.log_attempt(self.message, self.dr, NOW, b"mx1.example.com")
        self.assertEqual(self.file.content, b"")

    def test_switches(self) -> None:
        """
        Each kind of record can be switched off by itself, also while running.
        """
        for option, letter in (
            ("log_receptions", "R"),
            ("log_deliveries", "D"),
            ("log_transient_failures", "T"),
            ("log_permanent_failures", "P"),
        ):
            self.file.content = b""
            self.log.settings = replace(GlobalSettings(), **cast(Any, {option: False}))
            self.log.log_reception(self.reception, self.message, NOW, None)
            self.log.log_delivery(self.message, self.dr, NOW, None)
            self.log.log_transient_failure(self.message, self.dr, NOW, None)
            self.log.log_permanent_failure(self.message, self.dr, NOW, None)
            self.assertEqual("".join(line.split("@")[4] for line in self.lines()), "RDTP".replace(letter, ""))


class ReferenceTests(SynchronousTestCase):
    """
    The page about mainlog.
    """

    def test_examples(self) -> None:
        """
        The examples have the fields that their types have, and ids that can be read.
        """
        page = (Path(__file__).parent.parent.parent / "doc" / "reference" / "mainlog.md").read_text("utf-8")
        examples = [line.split("@", 13) for line in page.splitlines() if line.startswith("17000001")]
        self.assertEqual(
            [(fields[4], len(fields)) for fields in examples],
            [
                ("R", 14),
                ("R", 14),
                ("D", 12),
                ("T", 14),
                ("P", 14),
                ("M", 5),
            ],
        )
        for fields in examples[:-1]:
            self.assertEqual(decode(fields[1])[:2], (1700000100, 4242))
            self.assertEqual(decode(fields[2])[:2], (1700000100, 4242))
            decode(fields[3])


class HostileTests(MainLogBase):
    """
    What strangers write stays in its field and on its line.
    """

    def test_separator_in_local_part(self) -> None:
        """
        A quoted local part with ``@`` keeps its record at fourteen fields.
        """
        self.reception.sender = b'"x@y\\z"@sender.example'
        self.log.log_reception(self.reception, self.add(b'"a@b"@[IPv6:2001:db8::1]'), NOW, None)
        fields = self.lines()[0].split("@")
        self.assertEqual(len(fields), 14)
        self.assertEqual(fields[5:9], ['"a\\x40b"', "[IPv6:2001:db8::1]", '"x\\x40y\\\\z"', "sender.example"])

    def test_every_octet(self) -> None:
        """
        Whatever octet stands in an address, a domain, a name or a reply: one record is one line of the right fields.
        """
        log = MainLog(self.file, lambda: self.wall, GlobalSettings(), lambda slot: self.name, lambda slot: self.name)
        for octet in range(256):
            dirty = b"a%cb" % octet
            self.name = dirty.decode("latin-1")
            self.file.content = b""
            self.reception.sender = dirty + b"@" + b"s%cd" % octet
            self.reception.recv_from = self.name
            message = self.add(b"%b@r.%cd" % (dirty, octet))
            message.code = dirty
            dr = DomainRecord(self.name, cast(IConnectionInitiator, None))
            log.log_reception(self.reception, message, NOW, None)
            log.log_delivery(message, dr, NOW, dirty)
            log.log_permanent_failure(message, dr, NOW, None)
            self.assertEqual(self.file.content.count(b"\n"), 3)
            lines = self.lines()
            self.assertEqual(len(lines), 3)
            self.assertEqual([line.split("@")[4] for line in lines], ["R", "D", "P"])
            self.assertEqual([len(line.split("@", 13)) for line in lines], [14, 12, 14])
            self.assertEqual(lines[0].count("@"), 13)
            self.assertTrue(all(line.isprintable() for line in lines), lines)

    def test_forged_record(self) -> None:
        """
        A reply that contains a whole record does not become one.
        """
        note = b"550 no\r\n1700000002@20/00-00777-001F3556@@@D@victim.example@1@@@0@0.1@192.0.2.1"
        self.log.log_permanent_failure(self.message, self.dr, NOW, note)
        self.assertEqual(len(self.lines()), 1)
        self.assertTrue(self.lines()[0].endswith("@550 no  " + note[8:].decode()))


class DiagnosticsTests(MainLogBase):
    """
    What goes to the diagnostics instead.
    """

    def test_error(self) -> None:
        """
        An error keeps its level; an unknown level is an error.
        """
        for level in ("debug", "info", "notice", "warning", "error", "critical", "odd"):
            self.log.log_error(NOW, level, "spool is slow")
        self.assertEqual(
            [event["log_level"].name for event in self.told],
            ["debug", "info", "info", "warn", "error", "critical", "error"],
        )
        self.assertEqual(set(self.diagnostics()), {"spool is slow"})
        self.assertEqual({event["log_namespace"] for event in self.told}, {"momentum_tx.logs.mainlog.MainLog"})
        self.assertEqual(self.file.content, b"")

    def test_error_is_cleaned(self) -> None:
        """
        Text from outside neither formats nor breaks lines in the diagnostics.
        """
        self.log.log_error(NOW, "error", "{log_level} a\r\nb\ud800")
        self.assertEqual(self.diagnostics(), ["{log_level} a  b?"])

    def test_rejection(self) -> None:
        """
        A rejection tells who was refused what, on one line.
        """
        self.log.log_rejection(
            NOW, _Inbound(), {"sender": "a@b\r\n", "code": "550"}, 7, "relaying to %s denied", ("x",)
        )
        self.assertEqual(
            self.diagnostics(),
            [
                "rejected: relaying to x denied peer=192.0.2.66 conn_id=10/00-00777-001F3556 phase=7"
                " sender=a@b   code=550"
            ],
        )

    def test_rejection_with_a_bad_format(self) -> None:
        """
        A format that does not suit its values does not hide the rejection.
        """
        self.log.log_rejection(NOW, object(), {}, 0, "%d of %s", ("x",))
        self.assertEqual(self.diagnostics(), ["rejected: %d of %s ('x',) peer= conn_id=00/00-00000-00000000 phase=0 "])
