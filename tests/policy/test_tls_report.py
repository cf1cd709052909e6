"""
Tests of :mod:`momentum_tx.policy.tls_report`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.tls_report import (
    DANE,
    DAY,
    MOST_TARGETS,
    STS,
    AppliedPolicy,
    TLSOutcome,
    day_of,
    due,
    is_plain_address,
    next_try,
    report_targets,
)


class TargetTests(SynchronousTestCase):
    """
    Where a domain wants its reports.
    """

    def test_examples(self) -> None:
        """
        The records of RFC 8460 3.1, several addresses, blanks and extensions.
        """
        for text, targets in (
            (b"v=TLSRPTv1;rua=mailto:reports@example.com", ("mailto:reports@example.com",)),
            (b"v=TLSRPTv1; rua=https://r.example.com/v1/tlsrpt", ("https://r.example.com/v1/tlsrpt",)),
            (
                b"v=TLSRPTv1 ; rua=mailto:a@b.example , https://c.example/ ;",
                ("mailto:a@b.example", "https://c.example/"),
            ),
            (b"v=TLSRPTv1; ext=1; rua=mailto:a%2Bb@c.example; x=y", ("mailto:a+b@c.example",)),
            (b"v=TLSRPTv1; rua=mailto:a@b.example,mailto:a@b.example", ("mailto:a@b.example",)),
        ):
            self.assertEqual(report_targets([text]), targets, text)

    def test_one_record(self) -> None:
        """
        Other texts do not count; two records of ours are none.
        """
        ours = b"v=TLSRPTv1; rua=mailto:a@b.example"
        self.assertEqual(report_targets([b"hello", ours, b"v=spf1 -all"]), ("mailto:a@b.example",))
        for texts in (
            [],
            [b"v=TLSRPTv2; rua=mailto:a@b.example"],
            [ours, ours],
            [b"v=TLSRPTv1x; rua=mailto:a@b.example"],
        ):
            self.assertEqual(report_targets(texts), (), texts)

    def test_unusable(self) -> None:
        """
        What is no address that we would use is passed over: other schemes, headers
        that a stranger wants in our mail, addresses that would end a line.
        """
        for uri in (
            b"http://c.example/",
            b"ftp://c.example/",
            b"mailto:",
            b"mailto:nobody",
            b"mailto:a@b.example%0D%0ABcc:%20x@y.example",
            b"mailto:a@b.example%2Cc@d.example",
            b"mailto:a%20b@c.example",
            b"https://",
            b"https://c.example/ x",
            b"https://[::1",
            "https://c.example/ä".encode(),
            b"\xff\xfe",
        ):
            self.assertEqual(report_targets([b"v=TLSRPTv1; rua=" + uri]), (), uri)
        self.assertEqual(report_targets([b"v=TLSRPTv1; rua=mailto:a@b.example?subject=x"]), ("mailto:a@b.example",))

    def test_bound(self) -> None:
        """
        Nobody has us send hundreds of reports.
        """
        rua = b",".join(b"mailto:%d@b.example" % number for number in range(50))
        self.assertEqual(len(report_targets([b"v=TLSRPTv1; rua=" + rua])), MOST_TARGETS)

    def test_plain_addresses(self) -> None:
        """
        What an operator may write as our own address.
        """
        for text, good in (
            ("tlsrpt@example.com", True),
            ("a.b+c@x.example", True),
            ("a b@x.example", False),
            ("a@", False),
        ):
            self.assertIs(is_plain_address(text), good)


class TimeTests(SynchronousTestCase):
    """
    When reports are sent.
    """

    def test_due(self) -> None:
        """
        After the day's end, within the spread, at the same moment whenever it is asked, and not all at once.
        """
        day = day_of(1_700_000_000.0)
        moments = [due(day, f"{number}.example", "us", 14400.0) for number in range(200)]
        self.assertTrue(all((day + 1) * DAY < each <= (day + 1) * DAY + 14401 for each in moments))
        self.assertEqual(moments[7], due(day, "7.example", "us", 14400.0))
        self.assertNotEqual(moments[7], due(day, "7.example", "them", 14400.0))
        hours = [
            sum(hour * 3600 <= each - (day + 1) * DAY - 1 < (hour + 1) * 3600 for each in moments) for hour in range(4)
        ]
        self.assertGreater(min(hours), 30)
        self.assertEqual(due(day, "a.example", "us", 0.0), (day + 1) * DAY + 1)

    def test_next_try(self) -> None:
        """
        Soon at first, then every hour, until a day after the day's end.
        """
        end = 10 * DAY
        self.assertEqual(
            [next_try(9, tries, end) for tries in (1, 2, 3, 4, 5, 50)],
            [end + wait for wait in (300, 900, 1800, 3600, 3600, 3600)],
        )
        self.assertEqual(next_try(9, 9, end + DAY - 3600), end + DAY)
        self.assertIsNone(next_try(9, 9, end + DAY - 3599))


class DataPointTests(SynchronousTestCase):
    """
    What the hook is told.
    """

    def test_success(self) -> None:
        """
        A success is of type 1 and has neither result nor reason.
        """
        policy = AppliedPolicy(STS, "example.com", ("version: STSv1", "mode: enforce"), ("*.example.com",))
        outcome = TLSOutcome("example.com", policy, "", "", "192.0.2.1", "mx.example.com", "mx", "198.51.100.1")
        self.assertEqual(
            outcome.data_point(1_700_000_000.9),
            {
                "epoch": 1_700_000_000,
                "type": 1,
                "policy": {
                    "policy-type": "sts",
                    "policy-domain": "example.com",
                    "policy-string": ["version: STSv1", "mode: enforce"],
                    "mx-host": ["*.example.com"],
                },
                "sending-mta-ip": "192.0.2.1",
                "receiving-mx-hostname": "mx.example.com",
                "receiving-ip": "198.51.100.1",
            },
        )

    def test_failure(self) -> None:
        """
        A failure is of type 0, and says why; what is not known is left out.
        """
        outcome = TLSOutcome("example.com", AppliedPolicy(DANE, "mx.example.com"), "dnssec-invalid", "SERVFAIL")
        self.assertEqual(
            outcome.data_point(5.0),
            {
                "epoch": 5,
                "type": 0,
                "policy": {"policy-type": "tlsa", "policy-domain": "mx.example.com"},
                "result-type": "dnssec-invalid",
                "failure-reason-code": "SERVFAIL",
            },
        )
