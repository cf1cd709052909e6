"""
One report: its JSON, its names, and the mail it travels in.  Pure.

Source: RFC 8460 sections 4.4, 4.5, 5.1 and 5.3.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from ..policy.tls_report import DAY
from .counts import DomainCounts, PolicyCounts

#: Media type of a report that is packed (RFC 8460 6.4).
MEDIA_TYPE: Final = "application/tlsrpt+gzip"

_DETAIL: Final = (
    "result-type",
    "sending-mta-ip",
    "receiving-mx-hostname",
    "receiving-mx-helo",
    "receiving-ip",
    "failure-reason-code",
)


@dataclass(frozen=True, slots=True)
class Reporter:
    """
    Who reports.

    :ivar organization: its name.
    :ivar contact: address of whoever answers questions.
    :ivar sender: address that reports are mailed from.
    :ivar name: domain name that stands for it.
    """

    organization: str
    contact: str
    sender: str
    name: str


@dataclass(frozen=True, slots=True)
class Report:
    """
    What is told to one domain of one day.

    :ivar day: number of the day since 1970, UTC.
    :ivar domain: the domain.
    :ivar reporter: who reports.
    """

    day: int
    domain: str
    reporter: Reporter

    @property
    def id(self) -> str:
        """
        Its identity: the same whenever it is made again.
        """
        return f"{self._date(self.day):%Y%m%d}.{self.domain}@{self.reporter.name}"

    @property
    def file_name(self) -> str:
        """
        Name of the packed report (RFC 8460 5.1).
        """
        begin = self.day * DAY
        return f"{self.reporter.name}!{self.domain}!{begin}!{begin + DAY - 1}.json.gz"

    @property
    def subject(self) -> str:
        """
        Subject of the mail (RFC 8460 5.3).
        """
        return f"Report Domain: {self.domain} Submitter: {self.reporter.name} Report-ID: <{self.id}>"

    @staticmethod
    def _date(day: int) -> datetime:
        return datetime.fromtimestamp(day * DAY, UTC)

    def data(self, counts: DomainCounts) -> dict[str, Any]:
        """
        What the JSON says.
        """
        begin = self._date(self.day)
        return {
            "organization-name": self.reporter.organization,
            "date-range": {
                "start-datetime": f"{begin:%Y-%m-%dT00:00:00Z}",
                "end-datetime": f"{begin:%Y-%m-%dT23:59:59Z}",
            },
            "contact-info": self.reporter.contact,
            "report-id": self.id,
            "policies": [_policy(each) for each in counts.policies.values()],
        }

    def packed(self, counts: DomainCounts) -> bytes:
        """
        The report, gzipped; the same octets whenever it is made again.
        """
        text = json.dumps(self.data(counts), ensure_ascii=False, separators=(",", ":"))
        return gzip.compress(text.encode(), mtime=0)

    def mail(self, address: str, packed: bytes, now: float) -> bytes:
        """
        The message that takes a report to an address (RFC 8460 5.3).

        :param address: the recipient.
        :param packed: the report.
        :param now: wall time.
        """
        reporter = self.reporter
        boundary = f"tlsrpt-{self.day}-{len(packed)}"
        text = base64.encodebytes(packed).replace(b"\n", b"\r\n")
        head = [
            f"From: {reporter.sender}",
            f"To: {address}",
            # One name on each line: domain names may be long, and a line may not.
            f"Subject: Report Domain: {self.domain}\r\n Submitter: {reporter.name}\r\n Report-ID: <{self.id}>",
            f"Date: {format_datetime(datetime.fromtimestamp(int(now), UTC))}",
            f"Message-ID: <{self.id}>",
            f"TLS-Report-Domain: {self.domain}",
            f"TLS-Report-Submitter: {reporter.name}",
            # Whoever passes it on may do so without TLS as well (RFC 8689 5).
            "TLS-Required: No",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="{boundary}"',
            "",
            f"--{boundary}",
            'Content-Type: text/plain; charset="us-ascii"',
            "Content-Transfer-Encoding: 7bit",
            "",
            "This is an aggregate TLS report (RFC 8460).",
            "",
            f"Domain: {self.domain}",
            f"Day: {self._date(self.day):%Y-%m-%d} (UTC)",
            f"Submitter: {reporter.name}",
            "",
            f"--{boundary}",
            f"Content-Type: {MEDIA_TYPE}",
            "Content-Transfer-Encoding: base64",
            f'Content-Disposition: attachment;\r\n filename="{self.file_name}"',
            "",
            "",
        ]
        return "\r\n".join(head).encode() + text + f"\r\n--{boundary}--\r\n".encode()


def _policy(counts: PolicyCounts) -> dict[str, Any]:
    policy: dict[str, Any] = {"policy-type": counts.policy.kind}
    if counts.policy.strings:
        policy["policy-string"] = list(counts.policy.strings)
    policy["policy-domain"] = counts.policy.domain
    if counts.policy.mx_hosts:
        policy["mx-host"] = list(counts.policy.mx_hosts)
    said: dict[str, Any] = {
        "policy": policy,
        "summary": {"total-successful-session-count": counts.good, "total-failure-session-count": counts.bad},
    }
    if counts.details:
        said["failure-details"] = [
            {name: value for name, value in zip(_DETAIL, detail, strict=True) if value}
            | {"failed-session-count": count}
            for detail, count in counts.details.items()
        ]
    return said
