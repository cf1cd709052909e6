"""
Tests of :mod:`momentum_tx.reports.daily`: stories of several days.
"""

from __future__ import annotations

import gzip
import json
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import dkim as dkimpy
from zope.interface import implementer

from momentum_tx.errors import DeliveryError, LookupFailed
from momentum_tx.interfaces.hooks import ISmtpTlsReporting
from momentum_tx.policy.tls_report import DAY, AppliedPolicy, TLSOutcome, day_of
from momentum_tx.reports import daily
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import EPOCH, World

from ..message.dkim_keys import key, pem
from ..worlds import WorldCase

ON = '[global]\ntlsrpt = true\ntlsrpt_organization = "Sender Ltd"\ntlsrpt_from = "tls@sender.example"\n'
PROMPT = ON + "tlsrpt_max_delay = 0\n"
STS = AppliedPolicy("sts", "example.com", ("version: STSv1",), ("mx1.example.com",))
GOOD = TLSOutcome("example.com", STS, "", "", "192.0.2.1", "mx1.example.com", "mx", "198.51.100.1")
BAD = TLSOutcome("example.com", STS, "certificate-expired", "expired", "192.0.2.1", "mx1.example.com")
POST = "https://reports.example.com/v1"
#: Seconds from the beginning of a world to the end of its first day, and the longest delay of a report.
REST: float = DAY - EPOCH % DAY
SPREAD = 14_400.0


@implementer(ISmtpTlsReporting)
class Watcher:
    """
    Remembers data points.
    """

    def __init__(self) -> None:
        self.seen: list[dict[str, object]] = []

    def smtp_tls_reporting(self, data: dict[str, object]) -> None:
        self.seen.append(data)


class DailyCase(WorldCase):
    """
    What the stories need.
    """

    def daily(self, config: str = ON, rua: str = POST) -> World:
        """
        A world with a domain that wants reports.
        """
        world = self.world(config)
        if rua:
            world.resolver.texts["_smtp._tls.example.com"] = [f"v=TLSRPTv1; rua={rua}".encode()]
        world.https.serve(POST, b"")
        return world

    def tell(self, world: World, *outcomes: TLSOutcome) -> None:
        """
        Sessions happen.
        """
        for outcome in outcomes:
            world.service.reports.told(outcome)

    def posted(self, world: World) -> list[dict[str, Any]]:
        """
        The reports that were posted.
        """
        for url, kind, _ in world.https.posted:
            self.assertEqual((url, kind), (POST, "application/tlsrpt+gzip"))
        return [json.loads(gzip.decompress(body)) for _, _, body in world.https.posted]

    def mailed(self, receiver: Receiver) -> list[tuple[Any, dict[str, Any]]]:
        """
        The reports that were mailed: the mail, and the report in it.
        """
        found = []
        for taken in receiver.ledger:
            mail = message_from_bytes(taken.content, policy=default)
            (_, part) = mail.iter_parts()
            found.append((mail, json.loads(gzip.decompress(part.get_content()))))
        return found


class StoryTests(DailyCase):
    """
    Days that pass.
    """

    def test_two_days(self) -> None:
        """
        After each day there is one report on it, of that day's sessions, within four hours of its end.
        """
        world = self.daily()
        self.tell(world, GOOD, GOOD, BAD)
        world.advance(REST - 1)
        self.assertEqual(self.posted(world), [])
        world.advance(1 + SPREAD)
        self.tell(world, GOOD)
        (first,) = self.posted(world)
        world.advance(DAY)
        _, second = self.posted(world)
        self.assertEqual(
            first["date-range"], {"start-datetime": "2023-11-14T00:00:00Z", "end-datetime": "2023-11-14T23:59:59Z"}
        )
        self.assertEqual(second["date-range"]["start-datetime"], "2023-11-15T00:00:00Z")
        self.assertEqual(first["organization-name"], "Sender Ltd")
        self.assertEqual(first["contact-info"], "tls@sender.example")
        self.assertEqual(first["report-id"], "20231114.example.com@sender.example")
        for report, good, bad in ((first, 2, 1), (second, 1, 0)):
            (policy,) = report["policies"]
            self.assertEqual(
                policy["summary"], {"total-successful-session-count": good, "total-failure-session-count": bad}
            )
        self.assertEqual(first["policies"][0]["failure-details"][0]["result-type"], "certificate-expired")
        world.advance(3 * DAY)
        self.assertEqual(len(self.posted(world)), 2)
        self.assertEqual(len(world.service.reports.counts), 0)

    def test_nobody_asks(self) -> None:
        """
        A domain without a record gets no report, and is not asked again for that day.
        """
        world = self.daily(rua="")
        self.tell(world, GOOD)
        world.advance(REST + SPREAD + 1)
        self.assertEqual((self.posted(world), len(world.service.reports.counts)), ([], 0))

    def test_by_mail(self) -> None:
        """
        A report is mailed through our own queue, signed where there is a key, by a binding of its own.
        """
        path = Path(self.mktemp()).absolute()
        path.write_bytes(pem("ed25519"))
        path.chmod(0o600)
        world = self.daily(ON + f'[dkim."sender.example".selector.s]\nkeyfile = "{path}"\n', "mailto:r@reports.example")
        self.assertEqual(world.service.configuration.warnings, [])
        mx = world.exchanger("reports.example")
        self.tell(world, BAD)
        world.advance(REST + SPREAD + 1)
        ((mail, report),) = self.mailed(mx)
        self.assertEqual(mail["TLS-Report-Domain"], "example.com")
        self.assertEqual(report["policies"][0]["summary"]["total-failure-session-count"], 1)
        self.assertEqual(mx.ledger[0].recipients, (b"r@reports.example",))
        self.assertEqual(self.last(world, "D")["binding"], "tlsrpt")
        record = key("ed25519").record().encode()
        self.assertTrue(dkimpy.verify(mx.ledger[0].content, dnsfunc=lambda name, timeout=5: record))

    def test_broken_tls(self) -> None:
        """
        A report arrives at the very domain whose policy nobody can fulfil, while its other mail waits.
        """
        world = self.daily(PROMPT + "use_mta_sts = true\n", "mailto:tls@example.com")
        mx = world.exchanger("example.com")
        world.publish_policy("example.com", b"version: STSv1\nmode: enforce\nmx: mx1.example.com\nmax_age: 604800\n")
        self.accept(world)
        world.advance(REST + 60)
        ((_, report),) = self.mailed(mx)
        sts = report["policies"][0]
        self.assertEqual(sts["policy"]["policy-type"], "sts")
        self.assertEqual({each["result-type"] for each in sts["failure-details"]}, {"starttls-not-supported"})
        self.assertEqual(world.queued(), 1)
        # The session that took it is not in the next one.
        world.advance(DAY)
        reports = [report for _, report in self.mailed(mx)]
        kinds = {policy["policy"]["policy-type"] for report in reports for policy in report["policies"]}
        self.assertEqual((len(reports), kinds), (2, {"sts"}))

    def test_everywhere(self) -> None:
        """
        Who names several addresses gets it at each, once, although one fails at first.
        """
        world = self.daily(PROMPT, f"mailto:r@reports.example,{POST},mailto:s@reports.example")
        mx = world.exchanger("reports.example")
        world.https.fail(POST, DeliveryError("nobody is there"))
        self.tell(world, BAD)
        world.advance(REST + 60)
        self.assertEqual((len(mx.ledger), len(world.https.posted)), (2, 1))
        world.https.serve(POST, b"")
        world.advance(400)
        self.assertEqual((len(mx.ledger), len(world.https.posted)), (2, 2))
        world.advance(DAY)
        self.assertEqual((len(mx.ledger), len(world.https.posted)), (2, 2))

    def test_retries(self) -> None:
        """
        What fails is tried again, more and more slowly, for a day; then it is given up.
        """
        for answer in (503, 429, DeliveryError("certificate expired")):
            world = self.daily()
            if isinstance(answer, int):
                world.https.serve(POST, b"", status=answer)
            else:
                world.https.fail(POST, answer)
            self.tell(world, GOOD)
            world.advance(REST + 2 * DAY)
            tried = len(world.https.posted)
            self.assertTrue(20 <= tried <= 30, tried)
            self.assertEqual(len(world.service.reports.counts), 0)

    def test_refused(self) -> None:
        """
        An address that refuses the report for ever is told once.
        """
        world = self.daily()
        world.https.serve(POST, b"", status=403)
        self.tell(world, GOOD)
        world.advance(REST + DAY)
        self.assertEqual(len(world.https.posted), 1)

    def test_dns_fails(self) -> None:
        """
        While nobody can say where the report shall go, it waits.
        """
        world = self.daily()
        texts = world.resolver.texts["_smtp._tls.example.com"]
        world.resolver.texts["_smtp._tls.example.com"] = LookupFailed("SERVFAIL")
        self.tell(world, GOOD)
        world.advance(REST + SPREAD + 1)
        self.assertEqual(self.posted(world), [])
        world.resolver.texts["_smtp._tls.example.com"] = texts
        world.advance(7200)
        self.assertEqual(len(self.posted(world)), 1)

    def test_crash(self) -> None:
        """
        What was counted outlives a crash and a power cut, but for the last minute; what
        was sent is not sent again.
        """
        world = self.daily(rua=f"{POST},mailto:r@reports.example")
        mx = world.exchanger("reports.example")
        self.tell(world, GOOD, BAD)
        world.advance(70)
        self.tell(world, GOOD)
        world.crash()
        self.tell(world, GOOD)
        world.advance(70)
        world.power_cut(garbage=True)
        world.https.fail(POST, DeliveryError("down"))
        world.advance(REST + SPREAD)
        self.assertEqual(len(mx.ledger), 1)
        world.crash()
        world.https.serve(POST, b"")
        world.advance(2 * 3600)
        (report,) = self.posted(world)[-1:]
        self.assertEqual(
            report["policies"][0]["summary"], {"total-successful-session-count": 2, "total-failure-session-count": 1}
        )
        world.advance(DAY)
        self.assertEqual(len(mx.ledger), 1)

    def test_stop(self) -> None:
        """
        A stop keeps everything, up to the last session.
        """
        world = self.daily()
        self.tell(world, GOOD)
        world.stop()
        world.build()
        world.start()
        world.advance(REST + SPREAD)
        self.assertEqual(len(self.posted(world)), 1)

    def test_stop_while_loading(self) -> None:
        """
        Nor is anything lost by a stop, or by a minute that passes, before what is kept was read.
        """
        for wait in (0.0, 200.0):
            world = self.daily()
            self.tell(world, GOOD, GOOD)
            world.stop()
            world.build()
            world.threads.delay = 150.0
            world.service.privilegedStartService()
            world.service.startService()
            world.advance(0)
            self.tell(world, GOOD)
            world.advance(wait)
            self.assertEqual(len(list(world.service.reports.counts.before(day_of(EPOCH) + 1))), 1)
            world.service.stopService()
            world.advance(2000)
            world.build()
            world.start()
            world.advance(REST + SPREAD)
            (report,) = self.posted(world)
            self.assertEqual(report["policies"][0]["summary"]["total-successful-session-count"], 3)

    def test_stop_while_sending(self) -> None:
        """
        A report that is under way when the service stops is sent after the next start.
        """
        world = self.daily(PROMPT)
        world.https.held = True
        self.tell(world, GOOD)
        world.advance(REST + 10)
        self.assertEqual(world.https.waiting, [POST])
        world.stop()
        self.assertEqual(world.leftovers(), [])
        world.build()
        world.start()
        world.advance(3600)
        self.assertEqual(len(self.posted(world)), 1)

    def many(self, config: str) -> World:
        """
        A world with a hundred domains that want reports, and sessions with each.
        """
        world = self.daily(config)
        for number in range(100):
            domain = f"d{number}.example"
            world.resolver.texts[f"_smtp._tls.{domain}"] = [f"v=TLSRPTv1; rua={POST}".encode()]
            self.tell(world, TLSOutcome(domain, AppliedPolicy("no-policy-found", domain)))
        return world

    def test_spread(self) -> None:
        """
        Reports to many domains are spread over the hours.
        """
        world = self.many(ON)
        world.advance(REST)
        for hour in range(4):
            before = len(world.https.posted)
            world.advance(3600)
            self.assertTrue(10 <= len(world.https.posted) - before <= 40, hour)
        world.advance(10)
        domains = {each["policies"][0]["policy"]["policy-domain"] for each in self.posted(world)}
        self.assertEqual((len(domains), len(world.https.posted)), (100, 100))

    def test_kept_in_slices(self) -> None:
        """
        What is counted of many domains is written a few at a time, all of it, and counts after a crash.
        """
        self.patch(daily, "SAVED_AT_ONCE", 7)
        world = self.many(PROMPT)
        world.advance(70)
        world.crash()
        world.advance(1)
        self.assertEqual(len(world.service.reports.counts), 100)
        world.advance(REST)
        self.assertEqual(len(world.https.posted), 100)

    def test_at_once(self) -> None:
        """
        Never more than ten are under way.
        """
        world = self.many(PROMPT)
        world.https.held = True
        world.advance(REST + 10)
        self.assertEqual(len(world.https.waiting), 10)
        world.https.release()
        world.advance(10)
        self.assertEqual(len(world.https.posted), 100)


class SwitchTests(DailyCase):
    """
    Reports on and off.
    """

    def test_off(self) -> None:
        """
        Without ``tlsrpt`` nothing is counted, kept or sent, and there is no binding for it.
        """
        world = self.daily("")
        self.tell(world, GOOD)
        world.advance(REST + DAY)
        self.assertEqual((self.posted(world), world.report_files.names()), ([], []))
        self.assertIsNone(world.service.configuration.binding_slot("tlsrpt"))
        # Sessions need not even tell.
        self.assertIsNone(world.service.delivery.facilities.tls_told)

    def test_reload(self) -> None:
        """
        A reload begins to count, and ends it: half a day is not reported.
        """
        world = self.daily("")
        world.reload(ON)
        self.tell(world, GOOD)
        world.advance(70)
        world.reload("")
        world.advance(70)
        world.reload(ON)
        self.tell(world, BAD)
        world.advance(REST + SPREAD)
        (report,) = self.posted(world)
        self.assertEqual(
            report["policies"][0]["summary"], {"total-successful-session-count": 0, "total-failure-session-count": 1}
        )

    def test_hook(self) -> None:
        """
        ``smtp_tls_reporting`` is told of domains that have a policy, also while no reports are sent.
        """
        watcher = Watcher()
        for config in ("", ON):
            world = self.world(config, providers=[watcher])
            self.tell(world, BAD, TLSOutcome("a.example", AppliedPolicy("no-policy-found", "a.example")), GOOD)
            self.assertEqual([point["type"] for point in watcher.seen], [0, 1])
            self.assertEqual(watcher.seen[0]["result-type"], "certificate-expired")
            watcher.seen.clear()

    def test_bound(self) -> None:
        """
        Beyond ``tlsrpt_max_domains`` further domains are not counted, and the log says so once.
        """
        world = self.daily(ON + "tlsrpt_max_domains = 2\n")
        for number in range(9):
            self.tell(world, TLSOutcome(f"{number}.example", STS))
        self.assertEqual(len(world.service.reports.counts), 2)

    def test_default_names(self) -> None:
        """
        Without names of its own the service reports as its host.
        """
        world = self.daily("[global]\ntlsrpt = true\n")
        self.tell(world, GOOD)
        world.advance(REST + SPREAD)
        (report,) = self.posted(world)
        self.assertEqual(
            (report["organization-name"], report["contact-info"]), ("mail.sender.example", "tlsrpt@mail.sender.example")
        )

    def test_step_of_the_clock(self) -> None:
        """
        A step of the wall clock over the day's end has the report sent in minutes.
        """
        world = self.daily(PROMPT)
        self.tell(world, GOOD)
        world.wall_offset = DAY
        world.advance(700)
        self.assertEqual(len(self.posted(world)), 1)
        self.assertEqual(day_of(world.wall()), day_of(EPOCH) + 1)
