"""
Tests of :mod:`momentum_tx.dsn.rendering`: what is written is read by the parser
of the standard library, and by one that knows nothing of us and is used on the
bounces of the whole world.
"""

import email
import email.policy
from email.message import EmailMessage
from typing import Any

from flufl.bounce import all_failures
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.dsn.original import Extent, original_part
from momentum_tx.dsn.rendering import assemble, draft
from momentum_tx.dsn.report import Action, Report, Told

PLAIN = b"From: a@b.example\r\nSubject: lunch\r\nMessage-ID: <1@b.example>\r\n\r\nSee you.\r\n"


def report(*told: Told, to: bytes = b"news@letters.example", **fields: Any) -> Report:
    return Report(
        to,
        "mailer-daemon@mail.sender.example",
        "mail.sender.example",
        "00/00-01234-001F3556",
        1700000000.0,
        1699990000.0,
        "00/00-01234-001F3555",
        told,
        **fields,
    )


def written(told: Report, content: bytes = PLAIN, extent: Extent = Extent.HEADERS) -> bytes:
    return assemble(told, draft(told, original_part(content, extent), "<1@b.example>"))


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def groups(content: bytes) -> list[dict[str, str]]:
    """
    The groups of fields that programs read.
    """
    for part in email.message_from_bytes(content).walk():
        if part.get_content_type() == "message/delivery-status":
            payload: Any = part.get_payload()
            return [{name: " ".join(value.split()) for name, value in group.items()} for group in payload]
    raise AssertionError("there are none")


def plain(message: EmailMessage) -> str:
    """
    What people read.
    """
    body = message.get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text.replace("\r\n", "\n")


FAILED = Told(
    b"lea@shop.example",
    Action.FAILED,
    "5.1.1",
    b"550 5.1.1 <lea@shop.example>: Recipient address rejected: User unknown in virtual mailbox table",
    orcpt=b"rfc822;Lea+x@shop.example",
    remote_mta="mx.shop.example",
    last_attempt=1699999999.0,
)
DELAYED = Told(
    b"max@shop.example", Action.DELAYED, "4.4.1", b"451 4.4.1 [internal] No valid hosts", True, retry_until=1700600000.0
)


class RenderingTests(SynchronousTestCase):
    """
    One report, read.
    """

    def test_header(self) -> None:
        """
        It says whom it is for and from, what it is about, and that no machine is to answer.
        """
        message = parsed(written(report(FAILED)))
        self.assertEqual(message["To"], "news@letters.example")
        self.assertEqual(message["From"], "Mail Delivery System <mailer-daemon@mail.sender.example>")
        self.assertEqual(message["Subject"], "Mail not delivered")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        self.assertEqual(message["In-Reply-To"], "<1@b.example>")
        self.assertEqual(message["Date"], "Tue, 14 Nov 2023 22:13:20 +0000")
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "delivery-status")

    def test_parts(self) -> None:
        """
        A text, the fields, and what goes back, in this order; without defects.
        """
        for extent, last in (
            (Extent.NONE, []),
            (Extent.HEADERS, ["text/rfc822-headers"]),
            (Extent.ALL, ["message/rfc822"]),
        ):
            message = parsed(written(report(FAILED), extent=extent))
            kinds = [part.get_content_type() for part in message.iter_parts()]
            self.assertEqual(kinds, ["text/plain", "message/delivery-status", *last])
            self.assertEqual([part.defects for part in message.walk()], [[] for _ in message.walk()])

    def test_fields(self) -> None:
        """
        What programs read, with Momentum's order within a recipient.
        """
        about, lea, max_ = groups(written(report(FAILED, DELAYED, envid=b"my id", received_from="192.0.2.17")))
        self.assertEqual(
            about,
            {
                "Original-Envelope-Id": "my id",
                "Arrival-Date": "Tue, 14 Nov 2023 19:26:40 +0000",
                "Reporting-MTA": "dns; mail.sender.example",
                "Received-From-MTA": "dns; 192.0.2.17",
            },
        )
        self.assertEqual(
            list(lea.items()),
            [
                ("Original-Recipient", "rfc822; Lea+x@shop.example"),
                ("Remote-MTA", "dns; mx.shop.example"),
                ("Diagnostic-Code", f"smtp; {FAILED.note.decode()}"),
                ("Action", "failed"),
                ("Final-Recipient", "rfc822; lea@shop.example"),
                ("Last-Attempt-Date", "Tue, 14 Nov 2023 22:13:19 +0000"),
                ("Status", "5.1.1"),
            ],
        )
        self.assertEqual(max_["Diagnostic-Code"], "X-Momentum-TX; 451 4.4.1 [internal] No valid hosts")
        self.assertEqual((max_["Action"], max_["Will-Retry-Until"]), ("delayed", "Tue, 21 Nov 2023 20:53:20 +0000"))

    def test_independent(self) -> None:
        """
        A program that reads everybody's bounces finds who failed for ever and who for now.
        """
        temporary, permanent = all_failures(email.message_from_bytes(written(report(FAILED, DELAYED))))
        self.assertEqual((temporary, permanent), ({b"max@shop.example"}, {b"Lea+x@shop.example"}))
        delivered = Told(b"lea@shop.example", Action.DELIVERED, "2.0.0", b"250 2.0.0 taken")
        self.assertEqual(all_failures(email.message_from_bytes(written(report(delivered)))), (set(), set()))

    def test_text(self) -> None:
        """
        People read who did not get it, what that means, and what was said, in lines that are not long.
        """
        text = plain(parsed(written(report(FAILED, DELAYED))))
        for words in (
            "could not be delivered to:\n\n    lea@shop.example\n",
            "Check how it is spelled",
            "The server mx.shop.example answered:\n\n    550 5.1.1 <lea@shop.example>: Recipient address",
            "has not been delivered yet to:\n\n    max@shop.example\n",
            "You need not do anything",
            "00/00-01234-001F3555",
        ):
            self.assertIn(words, text)
        self.assertTrue(all(len(line) <= 78 for line in text.splitlines()))

    def test_subjects(self) -> None:
        """
        Each kind of report has its subject.
        """
        subjects = {parsed(written(report(Told(b"a@b.example", each, "2.0.0"))))["Subject"] for each in Action}
        self.assertEqual(len(subjects), len(Action))

    def test_international(self) -> None:
        """
        Addresses beyond ASCII are told as they are, in parts that are encoded, so that the report
        goes where nobody knows SMTPUTF8; unless it is for such an address itself.
        """
        told = Told(
            "lärm@shop.example".encode(),
            Action.FAILED,
            "5.1.1",
            "550 5.1.1 kein lärm".encode(),
            orcpt="utf-8;lärm@büro.example".encode(),
        )
        content = written(report(told))
        self.assertTrue(content.isascii())
        message = parsed(content)
        kinds = [part.get_content_type() for part in message.iter_parts()]
        self.assertEqual(kinds[1], "message/global-delivery-status")
        fields = list(message.iter_parts())[1].as_bytes()
        self.assertIn(b"Final-Recipient: utf-8; l=C3=A4rm@shop.example", fields)
        self.assertIn(b"Original-Recipient: utf-8; l=C3=A4rm@b=C3=BCro.example", fields)
        self.assertIn("    lärm@shop.example\n", plain(message))
        content = written(report(FAILED, to="lärm@letters.example".encode()))
        self.assertIn("To: lärm@letters.example\r\n".encode(), content)

    def test_hostile(self) -> None:
        """
        Nothing that a peer or a sender has said ends a line, a field or a part that is ours.
        """
        told = Told(
            b"lea@shop.example",
            Action.FAILED,
            "5.0.0",
            b"550 no\r\nBcc: all@world.example\r\n\r\n--=_00.00.01234.001F3556.0--" + b"x" * 3000,
            orcpt=b"x;a\r\nb",
            remote_mta="mx\r\nX: y",
            fields={"X-Class": "10\r\n11", "Status": "5.1.1"},
        )
        body = b"Subject: x\r\n\r\n--=_00.00.01234.001F3556.0\r\n--=_00.00.01234.001F3556.1--\r\n"
        content = written(report(told, received_from="[\r\n]"), body, Extent.ALL)
        message = parsed(content)
        self.assertIsNone(message["Bcc"])
        self.assertEqual(len(list(message.iter_parts())), 3)
        about, fields = groups(content)
        self.assertNotIn("Received-From-MTA", about)
        self.assertNotIn("Remote-MTA", fields)
        self.assertEqual((fields["X-Class"], fields["Status"]), ("10 11", "5.1.1"))
        self.assertTrue(all(len(line) <= 998 for line in content.split(b"\r\n")))
        self.assertNotIn(b"\r", content.replace(b"\r\n", b""))
        self.assertNotIn(b"\n", content.replace(b"\r\n", b""))

    def test_changed(self) -> None:
        """
        A draft may be changed before it is put together; what cannot be written is refused.
        """
        told = report(FAILED)
        mine = draft(told, b"")
        mine.headers.append(("X-Team", "mail"))
        mine.text = "Tut mir leid, Lärm.\n"
        mine.status[1].append(("X-Class", "10"))
        message = parsed(assemble(told, mine))
        self.assertEqual(message["X-Team"], "mail")
        self.assertEqual(plain(message), "Tut mir leid, Lärm.\n")
        mine.headers.append(("X Team", "mail"))
        self.assertRaises(ValueError, assemble, told, mine)

    def test_message_id(self) -> None:
        """
        What is no message id is not referred to.
        """
        told = report(FAILED)
        for text in ("", "nonsense", "<a b@c>", "<a>\r\nX: y"):
            self.assertNotIn("References", dict(draft(told, b"", text).headers))
