"""
What reports a sender wants, from a client by way of us to Postfix, and the report that
Postfix writes.
"""

from __future__ import annotations

import smtplib
import tempfile
from pathlib import Path

from twisted.internet.threads import deferToThread

from . import peers
from .running import until
from .test_service import SHORT, ServiceCase


class PostfixReportTests(ServiceCase):
    """
    Postfix offers DSN, and does what it is asked.
    """

    timeout = 90

    def inject_with(self, sender: str, mail: list[str], recipients: list[tuple[str, list[str]]]) -> None:
        """
        Send a message to the service; blocks.
        """
        with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as client:
            client.ehlo("app.example")
            self.assertTrue(client.has_extn("dsn"))
            self.assertEqual(client.mail(sender, mail)[0], 250)
            for recipient, said in recipients:
                self.assertEqual(client.rcpt(recipient, said)[0], 250)
            self.assertEqual(client.data(b"Subject: watched\r\n\r\nAll of it.\r\n")[0], 250)

    async def test_success(self) -> None:
        """
        Of two recipients one is to be reported on: the report names our id, and the recipient as it was
        first written; it leaves the message out, as was asked, and says nothing of the other.
        """
        directory = tempfile.TemporaryDirectory(prefix="momentum-tx-peer-")
        self.addCleanup(directory.cleanup)
        with peers.postfix(Path(directory.name)) as peer:
            self.configure(f'[domain."postfix.test"]\nroutes = ["127.0.0.1:{peer.port}"]\n', SHORT)
            await self.start()
            await deferToThread(
                self.inject_with,
                "b@postfix.test",
                ["RET=HDRS", "ENVID=order+2047+2B11"],
                [
                    ("c@postfix.test", ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Old+2Bname@first.example"]),
                    ("b@postfix.test", ["NOTIFY=NEVER"]),
                ],
            )
            await until(lambda: len(peer.messages()) >= 3, f"a message, its copy and a report: {peer.log}", 30)
            await self.stop()
            (report,) = [content for content in peer.messages() if b"multipart/report" in content]
            self.assertIn(b"Original-Envelope-Id: order+2047+2B11", report.replace(b"order 47+11", b"order+2047+2B11"))
            self.assertIn(b"Original-Recipient: rfc822;Old", report)
            self.assertIn(b"name@first.example", report)
            self.assertEqual(report.count(b"Final-Recipient:"), 1)
            self.assertNotIn(b"All of it.", report)
