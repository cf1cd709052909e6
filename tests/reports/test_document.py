"""
Tests of :mod:`momentum_tx.reports.document`.
"""

import gzip
import json
from email import message_from_bytes
from email.policy import default

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.tls_report import AppliedPolicy, TLSOutcome
from momentum_tx.reports.counts import DomainCounts
from momentum_tx.reports.document import Report, Reporter
from momentum_tx.smtp.body import check_content

#: 1 April 2016.
DAY = 16892
REPORTER = Reporter("Company-X", "sts-reporting@company-x.example", "tlsrpt@company-x.example", "company-x.example")
REPORT = Report(DAY, "company-y.example", REPORTER)
STS = AppliedPolicy(
    "sts",
    "company-y.example",
    ("version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"),
    ("*.mail.company-y.example",),
)

#: The report of RFC 8460 appendix B, but for its id and the optional link to more information, which are whoever
#: reports', and with mx-host as a list, as its text has it and not the example.
EXAMPLE = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "20160401.company-y.example@company-x.example",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
                "policy-domain": "company-y.example",
                "mx-host": ["*.mail.company-y.example"],
            },
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:0012::1",
                    "receiving-mx-hostname": "mx1.mail.company-y.example",
                    "failed-session-count": 100,
                },
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "2001:db8:abcd:0013::1",
                    "receiving-mx-hostname": "mx2.mail.company-y.example",
                    "receiving-ip": "203.0.113.56",
                    "failed-session-count": 200,
                },
                {
                    "result-type": "validation-failure",
                    "sending-mta-ip": "198.51.100.62",
                    "receiving-ip": "203.0.113.58",
                    "receiving-mx-hostname": "mx-backup.mail.company-y.example",
                    "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
                    "failed-session-count": 3,
                },
            ],
        }
    ],
}


def counted() -> DomainCounts:
    """
    What the example counts.
    """
    counts = DomainCounts()
    ours, domain = "company-y.example", "mail.company-y.example"
    for outcome, times in (
        (TLSOutcome(ours, STS), 5326),
        (TLSOutcome(ours, STS, "certificate-expired", "", "2001:db8:abcd:0012::1", f"mx1.{domain}"), 100),
        (
            TLSOutcome(
                ours, STS, "starttls-not-supported", "", "2001:db8:abcd:0013::1", f"mx2.{domain}", "", "203.0.113.56"
            ),
            200,
        ),
        (
            TLSOutcome(
                ours,
                STS,
                "validation-failure",
                "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
                "198.51.100.62",
                f"mx-backup.{domain}",
                "",
                "203.0.113.58",
            ),
            3,
        ),
    ):
        for _ in range(times):
            counts.count(outcome)
    return counts


class DocumentTests(SynchronousTestCase):
    """
    The JSON.
    """

    def test_example(self) -> None:
        """
        The example of RFC 8460 appendix B, field by field.
        """
        self.assertEqual(REPORT.data(counted()), EXAMPLE)

    def test_no_policy(self) -> None:
        """
        Without a policy there are neither lines nor exchangers, and without failures no details.
        """
        counts = DomainCounts()
        counts.count(TLSOutcome("a.example", AppliedPolicy("no-policy-found", "a.example")))
        (policy,) = Report(DAY, "a.example", REPORTER).data(counts)["policies"]
        self.assertEqual(
            policy,
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "a.example"},
                "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0},
            },
        )

    def test_packed(self) -> None:
        """
        It is packed, and the same octets whenever it is packed again.
        """
        packed = REPORT.packed(counted())
        self.assertEqual(json.loads(gzip.decompress(packed)), EXAMPLE)
        self.assertEqual(packed, REPORT.packed(counted()))

    def test_names(self) -> None:
        """
        The file is named after who reports, on whom, and on which seconds (RFC 8460 5.1).
        """
        self.assertEqual(REPORT.file_name, "company-x.example!company-y.example!1459468800!1459555199.json.gz")


class MailTests(SynchronousTestCase):
    """
    The mail it travels in.
    """

    def test_mail(self) -> None:
        """
        A multipart/report of type tlsrpt, with the subject and fields of RFC 8460 5.3,
        and the report in its second part.
        """
        packed = REPORT.packed(counted())
        content = REPORT.mail("reports@company-y.example", packed, 1459560000.0)
        self.assertIsNone(check_content(content))
        mail = message_from_bytes(content, policy=default)
        self.assertEqual(mail.defects, [])
        self.assertEqual(
            mail["Subject"],
            "Report Domain: company-y.example Submitter: company-x.example"
            " Report-ID: <20160401.company-y.example@company-x.example>",
        )
        for name, value in (
            ("From", "tlsrpt@company-x.example"),
            ("To", "reports@company-y.example"),
            ("Message-ID", "<20160401.company-y.example@company-x.example>"),
            ("Date", "Sat, 02 Apr 2016 01:20:00 +0000"),
            ("TLS-Report-Domain", "company-y.example"),
            ("TLS-Report-Submitter", "company-x.example"),
            ("TLS-Required", "No"),
            ("Auto-Submitted", "auto-generated"),
            ("MIME-Version", "1.0"),
        ):
            self.assertEqual(mail[name], value)
        self.assertEqual(mail.get_content_type(), "multipart/report")
        self.assertEqual(mail["Content-Type"].params["report-type"], "tlsrpt")
        text, report = mail.iter_parts()
        self.assertEqual(text.get_content_type(), "text/plain")
        self.assertIn("Day: 2016-04-01 (UTC)", text.get_content())
        self.assertEqual(report.get_content_type(), "application/tlsrpt+gzip")
        self.assertEqual(report.get_filename(), REPORT.file_name)
        self.assertEqual(report.get_content(), packed)

    def test_long_names(self) -> None:
        """
        With the longest names no line is longer than a server takes.
        """
        name = ".".join(["a" * 61] * 4)
        report = Report(DAY, name, Reporter("x", "a@b.example", f"tlsrpt@{name}", name))
        content = report.mail(f"r@{name}", report.packed(counted()), 0.0)
        self.assertIsNone(check_content(content))
        self.assertLess(max(map(len, content.split(b"\r\n"))), 998)
        mail = message_from_bytes(content, policy=default)
        self.assertEqual(str(mail["Subject"]).split(), report.subject.split())
