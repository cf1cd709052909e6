"""
Tests for :mod:`momentum_tx.delivery.mta_sts`.
"""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config import load as config_load
from momentum_tx.delivery import mta_sts
from momentum_tx.delivery.mta_sts import (
    FETCH_ERROR,
    FETCH_TIMEOUT,
    FIRST_WAIT,
    INVALID,
    LONGEST_PAUSE,
    MAX_POLICY,
    PAUSE,
    REFRESH,
    ROUND,
    SLICE,
    SLICE_PAUSE,
    WEBPKI_INVALID,
    STSPolicies,
)
from momentum_tx.delivery.sts_store import STSStore
from momentum_tx.errors import DeliveryError
from momentum_tx.policy.mta_sts import KeptPolicy, answered_policy, policy_url
from momentum_tx.testing.dns import Fault, ScriptedResolver
from momentum_tx.testing.files import MemoryFiles
from momentum_tx.testing.https import ScriptedHTTPSFetch
from momentum_tx.testing.threads import InlineThreads
from momentum_tx.timers import Agenda
from momentum_tx.wall import STEP, WallClock

DOMAIN = "example.com"
URL = policy_url(DOMAIN)
WEEK = 7 * 86400
ENFORCE = b"version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n"
TESTING = ENFORCE.replace(b"enforce", b"testing")
NONE = b"version: STSv1\nmode: none\nmax_age: 604800\n"


class STSCase(SynchronousTestCase):
    """
    Policies of one process after the other.
    """

    config = "[global]\nuse_mta_sts = true\n"

    def setUp(self) -> None:
        self.clock = Clock()
        self.step = 0.0
        self.resolver = ScriptedResolver(self.clock)
        self.https = ScriptedHTTPSFetch(self.clock)
        self.files = MemoryFiles()
        self.changed: list[str] = []
        self.begin()

    def begin(self) -> None:
        """
        A new process.
        """
        agenda = Agenda(self.clock)
        self.threads = InlineThreads(self.clock, Random(1))
        self.store = STSStore(self.files, self.threads)
        configuration = config_load.parse(self.config)
        self.wall = WallClock(self.clock, lambda: 1_700_000_000.0 + self.clock.seconds() + self.step, agenda)
        self.sts = STSPolicies(self.resolver, self.https, agenda, self.wall, lambda: configuration, self.store)
        self.sts.changed = self.changed.append
        self.agenda = agenda

    def end(self) -> None:
        """
        The process ends in order.
        """
        self.sts.stop()
        self.wall.stop()
        self.clock.advance(0)
        self.threads.stop()
        self.store.close()
        self.agenda.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.files = self.files.kill()

    def publish(self, text: bytes = ENFORCE, record: str = "1", kind: str = "text/plain", status: int = 200) -> None:
        """
        Let the domain have a policy.
        """
        self.resolver.texts[f"_mta-sts.{DOMAIN}"] = [f"v=STSv1; id={record};".encode()]
        self.https.serve(URL, text, status, {"Content-Type": kind})

    def look(self, domain: str = DOMAIN) -> str:
        """
        The mode of the policy that mail of *domain* has, once that can be said; empty without one.
        """
        waiting = self.sts.ready(domain)
        self.clock.advance(0)
        self.clock.advance(0)
        if waiting is not None:
            self.successResultOf(waiting)
        return self.mode(domain)

    def mode(self, domain: str = DOMAIN) -> str:
        """
        The mode of the policy that is known; empty without one.
        """
        kept = self.sts.known(domain)
        return "" if kept is None else kept.policy.mode


class LookTests(STSCase):
    """
    How a policy is found.
    """

    def test_found(self) -> None:
        """
        A record in DNS leads to the policy, which is fetched once, within the limits of
        the RFC, and told of.
        """
        self.publish()
        self.assertEqual(self.look(), "enforce")
        self.assertEqual((self.https.asked, self.https.limits), ([URL], (FETCH_TIMEOUT, MAX_POLICY)))
        self.assertEqual((FETCH_TIMEOUT, MAX_POLICY), (60.0, 65536))
        self.clock.advance(3600)
        self.assertEqual(self.look(), "enforce")
        self.assertEqual((self.https.asked, self.changed), ([URL], [DOMAIN]))
        known = self.sts.known(DOMAIN)
        assert known is not None
        # The text of thousands of policies has no place in memory.
        self.assertEqual((known.record, known.text), ("1", b""))
        self.end()

    def test_none(self) -> None:
        """
        Without a valid record nothing is fetched: none, two, a broken one, or one at the end
        of too many aliases (T15).
        """
        self.publish()
        name = f"_mta-sts.{DOMAIN}"
        good = self.resolver.texts[name]
        assert not isinstance(good, Exception)
        for texts in ([], [*good, *good], [b"v=STSv1; id=1; ;"]):
            self.resolver.texts[name] = texts
            self.assertEqual(self.look(), "")
            self.assertIn("no valid record", self.sts.problem(DOMAIN)[1])
        self.resolver.texts["end.example"] = good
        for links, found in ((6, ""), (5, "enforce")):
            self.resolver.aliases = {name: f"a{links}.example", "a1.example": "end.example"}
            self.resolver.aliases |= {f"a{n}.example": f"a{n - 1}.example" for n in range(2, links + 1)}
            self.resolver.aliases[name] = f"a{links - 1}.example"
            self.assertEqual(self.look(), found, links)
        self.end()

    def test_bad_answers(self) -> None:
        """
        A policy host that redirects, fails, or serves something else has no policy; what it
        did is known, and it is not asked at once again (T15).
        """
        for number, (text, status, kind, problem, word) in enumerate(
            (
                (ENFORCE, 301, "text/plain", INVALID, "status 301"),
                (ENFORCE, 200, "text/html", INVALID, "text/html"),
                (b"rubbish", 200, "text/plain", INVALID, "without a colon"),
                (b"x" * (MAX_POLICY + 1), 200, "text/plain", FETCH_ERROR, "more than 65536"),
            )
        ):
            self.begin()
            self.publish(text, str(number), kind, status)
            with capturedLogs() as events:
                self.assertEqual(self.look(), "")
                self.assertEqual(self.look(), "")
            self.assertEqual([word in formatEvent(event) for event in events], [True])
            self.assertEqual(self.sts.problem(DOMAIN)[0], problem)
            self.assertEqual(len(self.https.asked), number + 1)
            self.end()

    def test_pauses(self) -> None:
        """
        Between two fetches that fail there is a pause, which doubles up to an hour.
        """
        self.publish()
        self.https.fail(URL, DeliveryError("SSL: certificate verify failed"))
        times = []
        for second in range(0, 4 * 3600, 10):
            before = len(self.https.asked)
            self.look()
            if len(self.https.asked) > before:
                times.append(second)
            self.clock.advance(10)
        self.assertEqual(times[:5], [0, PAUSE, 3 * PAUSE, 7 * PAUSE, 15 * PAUSE])
        self.assertEqual(times[6] - times[5], LONGEST_PAUSE)
        self.assertEqual(self.sts.problem(DOMAIN), (WEBPKI_INVALID, "SSL: certificate verify failed"))
        self.publish()
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual((self.look(), self.sts.problem(DOMAIN)), ("enforce", ("", "")))
        self.end()

    def test_dns_fails(self) -> None:
        """
        Where DNS says nothing mail goes on without a policy, or with the one that is known.
        """
        self.publish()
        self.resolver.faults[f"_mta-sts.{DOMAIN}"] = Fault.SERVFAIL
        self.assertEqual(self.look(), "")
        self.assertIn("SERVFAIL", self.sts.problem(DOMAIN)[1])
        self.resolver.faults.clear()
        self.look()
        self.resolver.faults[f"_mta-sts.{DOMAIN}"] = Fault.SERVFAIL
        self.clock.advance(86400)
        self.assertEqual(self.look(), "enforce")
        self.end()

    def test_once(self) -> None:
        """
        Whoever wants to know at the same time waits for the same fetch; one that loses
        interest hurts nobody.
        """
        self.publish()
        self.https.held = True
        waiting = [self.sts.ready(DOMAIN) for _ in range(3)]
        self.clock.advance(0)
        first, second, third = (each for each in waiting if each is not None)
        second.addErrback(lambda failure: None)
        second.cancel()
        self.assertNoResult(first)
        self.https.release()
        self.successResultOf(first)
        self.successResultOf(third)
        self.assertEqual(self.https.asked, [URL])
        self.end()


class PatienceTests(STSCase):
    """
    How long mail waits.
    """

    def test_hanging(self) -> None:
        """
        Mail waits so long for the first fetch and no longer, and what comes later not at
        all; the policy counts from when it is there (T15).
        """
        self.publish()
        self.https.held = True
        waiting = self.sts.ready(DOMAIN)
        assert waiting is not None
        self.clock.advance(FIRST_WAIT - 0.1)
        self.assertNoResult(waiting)
        self.clock.advance(0.2)
        self.successResultOf(waiting)
        self.assertIsNone(self.sts.ready(DOMAIN))
        self.https.release()
        self.assertEqual((self.mode(), self.changed), ("enforce", [DOMAIN]))
        self.end()

    def test_slow_disk(self) -> None:
        """
        A policy of an earlier process counts, however long the disk takes to give it out.
        """
        self.publish()
        self.look()
        self.end()
        self.begin()
        self.threads.delay = 2.5 * FIRST_WAIT
        waiting = self.sts.ready(DOMAIN)
        assert waiting is not None
        for _ in range(24):
            self.clock.advance(1)
        self.assertNoResult(waiting)
        self.clock.advance(1)
        self.successResultOf(waiting)
        self.assertEqual(self.mode(), "enforce")
        self.end()

    def test_hanging_for_good(self) -> None:
        """
        A fetch that never ends is given up after a minute, and not begun again at once.
        """
        self.publish()
        self.https.held = True
        self.sts.ready(DOMAIN)
        self.clock.pump([0.0, FIRST_WAIT, FETCH_TIMEOUT])
        self.assertEqual(self.sts.problem(DOMAIN)[0], FETCH_ERROR)
        self.assertIsNone(self.sts.ready(DOMAIN))
        self.assertEqual(len(self.https.asked), 1)
        self.end()

    def test_known(self) -> None:
        """
        For a domain whose policy is known nobody waits, whatever its host does.
        """
        self.publish()
        self.look()
        self.publish(TESTING, "2")
        self.https.held = True
        self.assertIsNone(self.sts.ready(DOMAIN))
        self.assertEqual(self.mode(), "enforce")
        self.https.release()
        self.assertEqual((self.mode(), self.changed), ("testing", [DOMAIN, DOMAIN]))
        self.end()

    def test_stop(self) -> None:
        """
        A service that stops waits for no fetch.
        """
        self.publish()
        self.https.held = True
        waiting = self.sts.ready(DOMAIN)
        self.clock.advance(0)
        self.assertEqual(self.https.waiting, [URL])
        self.end()
        assert waiting is not None
        self.successResultOf(waiting)
        self.assertEqual(self.https.waiting, [])
        self.assertIsNone(self.sts.ready("example.org"))


class LifeTests(STSCase):
    """
    What is known, as time goes by (T16).
    """

    def test_changed_id(self) -> None:
        """
        Another id means another policy, which is fetched; the same id means the same.
        """
        self.publish()
        self.look()
        self.publish(TESTING, "1")
        self.assertEqual(self.look(), "enforce")
        self.publish(TESTING, "2")
        self.look()
        self.assertEqual((self.mode(), len(self.https.asked)), ("testing", 2))
        self.publish(NONE, "3")
        self.look()
        self.assertEqual(self.mode(), "none")
        self.end()

    def test_same_policy(self) -> None:
        """
        What is fetched anew and says the same is nobody's news, and lives longer.
        """
        self.publish()
        self.look()
        before = self.sts.known(DOMAIN)
        self.clock.advance(1000)
        self.publish(ENFORCE, "2")
        self.look()
        after = self.sts.known(DOMAIN)
        assert before is not None and after is not None
        self.assertEqual((after.expires - before.expires, self.changed), (1000, [DOMAIN]))
        self.end()

    def test_withdrawn(self) -> None:
        """
        A record that is gone, or a host that fails, leaves a policy in force until it is
        over, to the second (RFC 8461 section 5.1).
        """
        self.publish()
        self.look()
        self.resolver.texts.clear()
        self.https.fail(URL, DeliveryError("nobody there"))
        for seconds, mode in ((WEEK - 1, "enforce"), (2, "")):
            self.clock.advance(seconds)
            self.assertEqual(self.look(), mode)
        self.end()

    def test_expired(self) -> None:
        """
        One that is over is fetched again, and mail waits for that as for the first.
        """
        self.publish()
        self.look()
        self.clock.advance(WEEK + 1)
        self.https.held = True
        waiting = self.sts.ready(DOMAIN)
        assert waiting is not None
        self.assertNoResult(waiting)
        self.https.release()
        self.successResultOf(waiting)
        self.assertEqual(self.mode(), "enforce")
        self.end()

    def test_daily(self) -> None:
        """
        Once a day a policy is fetched anew though its id is the same, also where no mail
        comes; its life begins again.
        """
        self.publish()
        self.look()
        self.sts.start()
        for _ in range(int(3 * WEEK / ROUND)):
            self.clock.advance(ROUND)
            self.clock.advance(0)
        self.assertEqual(self.mode(), "enforce")
        self.assertIn(len(self.https.asked), (21, 22))
        self.end()

    def test_daily_fails(self) -> None:
        """
        A fetch of the day that fails is tried again later, and takes nothing away.
        """
        self.publish()
        self.look()
        self.clock.advance(REFRESH)
        self.https.fail(URL, DeliveryError("down"))
        self.assertEqual((self.look(), len(self.https.asked)), ("enforce", 2))
        self.publish()
        self.assertEqual((self.look(), len(self.https.asked)), ("enforce", 2))
        self.clock.advance(PAUSE)
        self.assertEqual((self.look(), len(self.https.asked)), ("enforce", 3))
        self.end()

    def test_restart(self) -> None:
        """
        The next process has the policy before DNS or its host say anything.
        """
        self.publish()
        self.look()
        self.clock.advance(5)
        self.end()
        self.resolver.faults[f"_mta-sts.{DOMAIN}"] = Fault.SERVFAIL
        self.changed.clear()
        self.begin()
        self.assertEqual((self.mode(), self.look()), ("", "enforce"))
        self.assertEqual((self.https.asked, self.changed), ([URL], [DOMAIN]))
        self.end()

    def test_restart_too_late(self) -> None:
        """
        What is over by then does not come back.
        """
        self.publish()
        self.look()
        self.end()
        self.resolver.texts.clear()
        self.clock.advance(WEEK + 1)
        self.begin()
        self.assertEqual(self.look(), "")
        self.end()

    def test_files_are_swept(self) -> None:
        """
        Policies that no mail has asked for since the start are fetched once a day as well.
        """
        self.publish()
        self.look()
        self.end()
        self.clock.advance(REFRESH)
        self.begin()
        self.sts.start()
        self.clock.pump([ROUND, 0, 0, 0])
        self.assertEqual((len(self.https.asked), self.mode()), (2, "enforce"))
        self.end()

    def test_clock_is_set(self) -> None:
        """
        A policy lives neither shorter nor longer because the wall clock was set.
        """
        self.publish()
        self.look()
        for step in (30 * 86400.0, -60 * 86400.0):
            self.step += step
            self.clock.pump([STEP, STEP])
            self.wall()
            self.clock.advance(0)
            self.assertEqual(self.look(), "enforce")
        self.resolver.texts.clear()
        self.clock.advance(WEEK - 100)
        self.assertEqual(self.look(), "enforce")
        self.clock.advance(100)
        self.assertEqual(self.look(), "")
        self.end()

    def test_clock_was_set_back_meanwhile(self) -> None:
        """
        A kept policy from the future lives no longer than one that was fetched now.
        """
        self.publish()
        self.look()
        self.end()
        self.step = -30 * 86400.0
        self.resolver.texts.clear()
        self.begin()
        self.assertEqual(self.look(), "enforce")
        self.clock.advance(WEEK + 1)
        self.assertEqual(self.look(), "")
        self.end()


class SuspicionTests(STSCase):
    """
    Mail that fails because of a policy (RFC 8461 section 5.1).
    """

    def test_looked_at_anew(self) -> None:
        """
        The policy is fetched though its id is the same, since somebody may have forgotten to
        change that; until it is there nothing is settled.
        """
        self.publish()
        self.look()
        self.clock.advance(PAUSE)
        self.publish(NONE)
        self.https.held = True
        self.sts.suspect(DOMAIN)
        self.assertTrue(self.sts.unsettled(DOMAIN))
        self.https.release()
        self.assertFalse(self.sts.unsettled(DOMAIN))
        self.assertEqual(self.mode(), "none")
        self.end()

    def test_not_at_once(self) -> None:
        """
        A policy that was fetched a moment ago, or could not be, is not fetched for each
        message that fails.
        """
        self.publish()
        self.look()
        self.clock.advance(PAUSE - 1)
        self.sts.suspect(DOMAIN)
        self.assertEqual((len(self.https.asked), self.sts.unsettled(DOMAIN)), (1, False))
        self.https.fail(URL, DeliveryError("down"))
        self.clock.advance(1)
        for _ in range(3):
            self.sts.suspect(DOMAIN)
            self.assertFalse(self.sts.unsettled(DOMAIN))
        self.assertEqual((len(self.https.asked), self.mode()), (2, "enforce"))
        self.end()


class BoundTests(STSCase):
    """
    What strangers may make us do.
    """

    def test_fetches(self) -> None:
        """
        No more than so many hosts are asked at once.
        """
        self.https.held = True
        for number in range(30):
            self.resolver.texts[f"_mta-sts.d{number}.example"] = [b"v=STSv1; id=1;"]
            self.sts.check(f"d{number}.example")
        self.clock.advance(0)
        for _ in range(30):
            self.clock.advance(0)
        self.assertEqual(len(self.https.waiting), 20)
        self.https.release()
        self.assertEqual(len(self.https.asked), 30)
        self.end()

    def test_old_policies(self) -> None:
        """
        However many policies on disk are old, they are looked at in small numbers.
        """
        policy = answered_policy(200, "text/plain", ENFORCE)
        for number in range(3 * SLICE):
            self.store.save(KeptPolicy(f"d{number}.example", "1", self.wall() - REFRESH, ENFORCE, policy))
        self.clock.advance(0)
        self.sts.start()
        self.resolver.silent = True
        self.clock.pump([ROUND, 0, 0])
        looking = []
        for _ in range(4):
            looking.append(sum(self.sts.looking(f"d{number}.example") for number in range(3 * SLICE)))
            self.clock.advance(SLICE_PAUSE)
        self.assertEqual(looking, [SLICE, 2 * SLICE, 3 * SLICE, 3 * SLICE])
        self.end()

    def test_room(self) -> None:
        """
        A domain that is being looked at is not forgotten; when it is done its turn comes.
        """
        self.patch(mta_sts, "MOST_DOMAINS", 2)
        self.resolver.silent = True
        names = [f"d{number}.example" for number in range(4)]
        for name in names[:3]:
            self.sts.check(name)
            self.clock.pump([0, 0])
        self.assertEqual([name for name in names if self.sts.looked(name)], names[:3])
        self.resolver.silent = False
        self.sts.stop()
        self.sts.check(names[3])
        self.assertEqual([name for name in names if self.sts.looked(name)], names[2:])
        self.end()

    def test_domains(self) -> None:
        """
        No more than so many domains are remembered; one that is forgotten is found on disk.
        """
        self.patch(mta_sts, "MOST_DOMAINS", 2)
        self.publish()
        self.look()
        for domain in ("a.example", "b.example"):
            self.look(domain)
        self.assertEqual((self.mode(), self.look()), ("", "enforce"))
        self.assertEqual(self.https.asked, [URL])
        self.end()
