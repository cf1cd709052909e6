"""
Tests of :mod:`momentum_tx.operate.spool_sheet`.
"""

from __future__ import annotations

import hashlib
import json
from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.envelope import NO_TERMS, Notify, RecipientTerms, Terms
from momentum_tx.operate.spool_sheet import BadSheet, Restored, restore, sheet
from momentum_tx.operate.spool_state import Waiting
from momentum_tx.policy.lost_reply import LostReply
from momentum_tx.queues.message import Traits
from momentum_tx.spool.envelopes import Recipient
from momentum_tx.spool.records import Envelope, Intent, decode, decode_head
from momentum_tx.stages import Stage

BODY = b"Subject: x\r\n\r\nHello\r\n"
ENVELOPE = Envelope(
    b"from@example.org",
    1000.5,
    24,
    "00/00-00001-00000001",
    "00/01-00001-00000001",
    "esmtp",
    "127.0.0.1",
    True,
    True,
    (
        Recipient("00/01", b"a@example.com", "b1", 1000.5),
        Recipient("00/02", "\u00e4@example.com".encode(), "", 2000.0),
        Recipient("00/03", b"c@example.com", "b2", 3000.0),
    ),
    Traits("t", "c", "p"),
    Terms(
        900.0, 9000.0, b"id \xff", "HDRS", True, False, {1: RecipientTerms(Notify.FAILURE | Notify.DELAY, b"rfc822;x")}
    ),
)


def waiting(index: int) -> Waiting:
    """
    A message of the envelope, as it was received.
    """
    of = ENVELOPE.recipients[index]
    return Waiting(of.id, of.recipient, of.binding, of.next_attempt)


def written(values: dict[str, Any]) -> Any:
    """
    What comes of a sheet that was written and read.
    """
    return json.loads(json.dumps(values))


class RoundTripTests(SynchronousTestCase):
    """
    A sheet, and what comes of it.
    """

    def back(self, *messages: tuple[int, Waiting], envelope: Envelope = ENVELOPE, body: bytes = BODY) -> Restored:
        """
        Write messages down, and read them.
        """
        return restore(written(sheet(77, envelope, body, messages)), body)

    def test_envelope(self) -> None:
        """
        All of the envelope comes back.
        """
        restored = self.back((0, waiting(0)), (1, waiting(1)))
        reception = restored.reception
        self.assertEqual(
            (
                reception.sender,
                reception.creation_time,
                reception.size,
                reception.batch_id,
                reception.conn_id,
                reception.recv_method,
                reception.recv_from,
                reception.eight_bit,
                reception.smtputf8,
                reception.traits,
            ),
            (*tuple(ENVELOPE)[:9], ENVELOPE.traits),
        )
        self.assertEqual(reception.terms, ENVELOPE.terms)
        self.assertEqual((restored.ids, restored.bindings), (["00/01", "00/02"], ["b1", ""]))
        self.assertEqual(restored.body, BODY)

    def test_someMessages(self) -> None:
        """
        What is said of a recipient stays his when others are left out.
        """
        reception = self.back((1, waiting(1))).reception
        (message,) = [message for message in reception.messages if message is not None]
        self.assertEqual((message.index, message.recipient), (0, "\u00e4@example.com".encode()))
        self.assertEqual((message.notify, message.orcpt), (Notify.FAILURE | Notify.DELAY, b"rfc822;x"))

    def test_plain(self) -> None:
        """
        Mail of which nothing is said shares what such mail shares.
        """
        envelope = ENVELOPE._replace(terms=NO_TERMS, traits=Traits(), sender=b"")
        reception = self.back((0, waiting(0)), envelope=envelope).reception
        self.assertIs(reception.terms, NO_TERMS)
        self.assertEqual(reception.sender, b"")

    def test_records(self) -> None:
        """
        The records say how each message stands: as it was received, requeued, held, in flight.
        """
        later, held, flies = waiting(0), waiting(1), waiting(2)
        later.retries, later.next_attempt, later.stage, later.code = 2, 5000.0, 5, b"451 \xff"
        held.next_attempt, held.ambiguous = inf, 1
        flies.intent = Intent((2,), LostReply.HOLD)
        restored = self.back((0, later), (1, held), (2, flies))
        kinds = [self._decoded(payload) for payload in restored.payloads(5)]
        self.assertEqual([kind for kind, _ in kinds], [1, 5, 7, 2])
        envelope, requeued, hold, intent = (meta for _, meta in kinds)
        # A hold is said by its own record: a program that knows of none must not deliver it.
        self.assertEqual([each.next_attempt for each in envelope.recipients], [5000.0, 1000.5, 3000.0])
        self.assertEqual((requeued.num_retries, requeued.next_attempt, requeued.code), (2, 5000.0, b"451 \xff"))
        self.assertEqual((hold.position, hold.next_attempt, hold.ambiguous, hold.stage), (1, inf, 1, Stage.UNKNOWN))
        self.assertEqual(intent, Intent((2,), LostReply.HOLD))
        self.assertEqual(len(self.back((0, waiting(0))).payloads(5)), 1)

    def _decoded(self, payload: bytes) -> tuple[int, Any]:
        head = decode_head(b"\xf5\xabJR" + bytes(4) + payload)
        self.assertEqual(head.key, 5)
        return head.kind, decode(head.kind, payload[-head.meta_length :])


class SuspicionTests(SynchronousTestCase):
    """
    Sheets that somebody has edited, or made up.
    """

    def good(self) -> Any:
        """
        One that is good.
        """
        return written(sheet(77, ENVELOPE, BODY, [(0, waiting(0)), (1, waiting(1))]))

    def refused(self, values: Any, body: bytes = BODY) -> str:
        """
        Why it is not taken.
        """
        return str(self.assertRaises(BadSheet, restore, values, body))

    def test_everyField(self) -> None:
        """
        Without any field, or with nonsense in it, it is refused; never with another error.
        """
        nonsense: list[Any] = [
            None,
            True,
            -1,
            10**400,
            1e308,
            float("nan"),
            "x\r\ny",
            "\ud800",
            [],
            [[]],
            {},
            ["x"],
            [{}],
        ]
        for where in ((), ("content",), ("messages", 0)):
            for name in self._at(self.good(), where):
                values = self.good()
                del self._at(values, where)[name]
                if name not in ("key", "in_flight"):
                    self.refused(values)
                for value in nonsense:
                    values = self.good()
                    self._at(values, where)[name] = value
                    try:
                        restored = restore(values, BODY)
                    except BadSheet:
                        continue
                    # What is taken can be written.
                    self.assertTrue(restored.payloads(1))
        for value in nonsense:
            self.refused(value)

    def _at(self, values: Any, where: tuple[str | int, ...]) -> Any:
        for step in where:
            values = values[step]
        return values

    def test_reasons(self) -> None:
        """
        The reason says which field, and what is wrong with it.
        """
        for where, name, value, expected in (
            ((), "version", 2, "version 2; this program knows 1"),
            ((), "sender", "a b@example.com", "sender: malformed local part"),
            ((), "sender", "a>\r\nRCPT TO:<b@example.com", "sender has more than one line"),
            ((), "messages", [], "no messages"),
            ((), "ret", "ALL", "ret: 'ALL'"),
            ((), "smtputf8", False, "message 1: recipient: address needs SMTPUTF8"),
            ((), "received", -1.0, "received: -1.0 is no time"),
            (("messages", 1), "recipient", "", "message 1: recipient: address without a domain"),
            (("messages", 1), "id", "00/01", "two messages have the same id"),
            (("messages", 1), "id", "", "message 1: id: '' is none"),
            (("messages", 1), "stage", 200, "there is no stage 200"),
            (("messages", 1), "notify", ["SOON"], "notify: 'SOON' is none of NEVER"),
            (("messages", 1), "in_flight", "perhaps", "in_flight: 'perhaps' is none of retry"),
            (("messages", 1), "retries", -1, "retries: -1 is not between 0"),
            (("messages", 1), "binding", "b" * 300, "a name of 300 octets is too long"),
            (("content",), "octets", 5, "the content has 21 octets, the sheet says 5"),
        ):
            values = self.good()
            self._at(values, where)[name] = value
            self.assertIn(expected, self.refused(values))

    def test_content(self) -> None:
        """
        Content that is not what was exported, or could smuggle another message, is refused.
        """
        self.assertIn("SHA-256 differs", self.refused(self.good(), BODY[:-3] + b"!\r\n"))
        smuggled = b"Subject: x\r\n\r\n\n.\nMAIL FROM:<>\r\n"
        values = self.good()
        values["content"] = {"octets": len(smuggled), "sha256": hashlib.sha256(smuggled).hexdigest()}
        self.assertIn("bare LF", self.refused(values, smuggled))

    def test_postmaster(self) -> None:
        """
        The one recipient that needs no domain, and the sender that is none.
        """
        values = self.good()
        values["messages"][0]["recipient"] = "postmaster"
        values["sender"] = ""
        first = restore(values, BODY).reception.messages[0]
        assert first is not None
        self.assertEqual(first.recipient, b"postmaster")
