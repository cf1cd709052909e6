"""
Tests of :mod:`momentum_tx.policy.retry`.
"""

import random
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.reply_rules import ReplyRule
from momentum_tx.policy.retry import End, RetrySchedule, automatic_retries, spread
from momentum_tx.settings import PathSettings
from momentum_tx.stages import Stage

#: A wall time like any.
CREATED = 1_700_000_000.0


def schedule(**options: Any) -> RetrySchedule:
    """
    The schedule of a path with *options*.
    """
    return RetrySchedule.of(PathSettings(**options))


def life(of: RetrySchedule, attempt_takes: float = 0.0) -> tuple[list[float], End]:
    """
    The delays of a message whose every attempt fails as soon as it is due, and its end.

    :param attempt_takes: seconds from the time an attempt is due until it has failed.
    """
    now, failures = CREATED, 0
    delays: list[float] = []
    while True:
        now += attempt_takes
        failures += 1
        due = of.next_attempt(CREATED, failures, now)
        if isinstance(due, End):
            return delays, due
        delays.append(due - now)
        now = due


class WholeLifeTests(SynchronousTestCase):
    """
    Every delay of one message, from the first failure to the end.
    """

    def test_defaults(self) -> None:
        """
        Twenty minutes, doubling, twelve hours at most; the last attempt comes after the day is over.
        """
        self.assertEqual(life(schedule()), ([1200, 2400, 4800, 9600, 19200, 38400, 43200], End.TIME))

    def test_list(self) -> None:
        """
        Delays one by one; the last of them repeats until the message's life is over.
        """
        told = schedule(retry_intervals=("5m", "30m", "2h"), message_expiration=20_000)
        self.assertEqual(life(told), ([300, 1800, 7200, 7200, 7200], End.TIME))

    def test_list_and_count(self) -> None:
        """
        ``max_retries`` counts through the list as well, and ``auto`` leaves it to time.
        """
        intervals = ("5m", "30m")
        self.assertEqual(life(schedule(retry_intervals=intervals, max_retries=3)), ([300, 1800, 1800], End.RETRIES))
        for expiration in (1, 299, 300, 301, 2100, 2101, 5000, 86400):
            delays, end = life(schedule(retry_intervals=intervals, message_expiration=expiration))
            self.assertIs(end, End.TIME, expiration)
            self.assertGreaterEqual(sum(delays), expiration)

    def test_jitter(self) -> None:
        """
        Chance makes a delay longer by its share at the most, and never shorter.
        """
        told = schedule(retry_jitter=0.5, retry_interval=100)
        self.assertEqual([told.delay(1, draw) for draw in (0.0, 0.5, 1.0)], [100, 125, 150])
        self.assertEqual(told.next_attempt(CREATED, 2, CREATED, 1.0), CREATED + 300)
        self.assertEqual(schedule(retry_interval=100).delay(1, 1.0), 100)

    def test_by_reply(self) -> None:
        """
        The first rule that suits what was said gives the delay, counted by the message's failures whatever they
        were; the ordinary delays hold where none suits, and chance adds to all of them.
        """
        told = schedule(
            retry_by_reply=("450 4.7.x: 5m 10m", "4xx: 1h", "no_connection: 1m"), retry_interval=7, retry_jitter=1.0
        )
        grey, busy, full = b"450 4.7.1 Greylisted", b"421 4.3.2 Busy", b"452 4.2.2 Full"
        ours = b"451 4.4.1 [internal] No valid hosts"
        for failures, note, stage, delay in (
            (1, grey, Stage.AFTER_RCPT_TO, 300),
            (2, grey, Stage.AFTER_RCPT_TO, 600),
            (3, busy, Stage.AFTER_EHLO, 3600),
            (4, grey, Stage.AFTER_RCPT_TO, 600),
            (5, full, Stage.AFTER_RCPT_TO, 3600),
            (6, ours, Stage.NOT_CONNECTED, 60),
            (2, ours, Stage.UNKNOWN, 14),
            (3, b"", Stage.UNKNOWN, 28),
        ):
            self.assertEqual(told.delay(failures, 0.0, note, stage), delay, note)
            self.assertEqual(told.delay(failures, 0.5, note, stage), delay * 1.5, note)
        self.assertEqual(told.next_attempt(CREATED, 1, CREATED, 0.0, grey, Stage.AFTER_RCPT_TO), CREATED + 300)

    def test_by_reply_and_ends(self) -> None:
        """
        Age and count hold whatever was said.
        """
        told = schedule(retry_by_reply=("4xx: 1m",), max_retries=2, message_expiration=1000)
        said = (b"450 Not now", Stage.AFTER_RCPT_TO)
        self.assertEqual(told.next_attempt(CREATED, 2, CREATED + 999, 0.0, *said), CREATED + 1059)
        self.assertIs(told.next_attempt(CREATED, 3, CREATED + 999, 0.0, *said), End.RETRIES)
        self.assertIs(told.next_attempt(CREATED, 1, CREATED + 1000, 0.0, *said), End.TIME)

    def test_momentum_example(self) -> None:
        """
        Momentum's own example: five retries at a fixed interval of 1200 s end after 6000 s, doubling after 37200 s.
        """
        fixed = life(schedule(max_retry_interval=1200, max_retries=5))
        self.assertEqual(fixed, ([1200] * 5, End.RETRIES))
        doubling = life(schedule(max_retries=5))
        self.assertEqual(doubling, ([1200, 2400, 4800, 9600, 19200], End.RETRIES))
        self.assertEqual((sum(fixed[0]), sum(doubling[0])), (6000, 37200))

    def test_table(self) -> None:
        """
        Each option bends the schedule in its own way.
        """
        for options, delays, end in (
            ({"retry_interval": 6, "max_retry_interval": 30, "message_expiration": 90}, [6, 12, 24, 30, 30], End.TIME),
            ({"retry_interval": 500, "max_retry_interval": 100, "message_expiration": 350}, [100] * 4, End.TIME),
            ({"retry_interval": 100, "message_expiration": 300}, [100, 200], End.TIME),
            ({"retry_interval": 100, "message_expiration": 301}, [100, 200, 400], End.TIME),
            ({"retry_interval": 100, "message_expiration": 100}, [100], End.TIME),
            ({"retry_interval": 100, "message_expiration": 99}, [100], End.TIME),
            ({"max_retries": 0}, [], End.RETRIES),
            ({"max_retries": 1}, [1200], End.RETRIES),
            ({"max_retries": 1000}, [1200, 2400, 4800, 9600, 19200, 38400, 43200], End.TIME),
            ({"max_retries": "none"}, [1200, 2400, 4800, 9600, 19200, 38400, 43200], End.TIME),
            ({"never_retry": True}, [], End.RETRIES),
            ({"never_retry": True, "max_retries": "none"}, [], End.RETRIES),
            ({"never_retry": True, "max_retries": 7}, [], End.RETRIES),
            ({"retry_interval": 0.5, "max_retry_interval": 1, "max_retries": 4}, [0.5, 1, 1, 1], End.RETRIES),
        ):  # fmt: skip
            self.assertEqual(life(schedule(**options)), (delays, end), options)

    def test_own_end(self) -> None:
        """
        A message with an end of its own is given up when no further attempt comes before it; ``auto`` counts
        for that life, and a written count stays.
        """
        for options, expires, following in (
            ({"retry_interval": 100}, 100, End.TIME),
            ({"retry_interval": 100}, 100.5, 100),
            ({"retry_interval": 100, "message_expiration": 1}, 101, 100),
            ({"retry_interval": 100, "max_retries": 0}, 101, End.RETRIES),
            ({"retry_interval": 100, "max_retries": "none", "message_expiration": 1}, 101, 100),
        ):
            due = schedule(**options).next_attempt(CREATED, 1, CREATED, expires=CREATED + expires)
            self.assertEqual(due if isinstance(due, End) else due - CREATED, following, options)
        short = schedule(retry_interval=100, max_retry_interval=100, message_expiration=300)
        self.assertIs(short.next_attempt(CREATED, 5, CREATED + 299), End.RETRIES)
        self.assertEqual(short.next_attempt(CREATED, 9, CREATED + 800, expires=CREATED + 1000), CREATED + 900)
        self.assertIs(short.next_attempt(CREATED, 12, CREATED + 850, expires=CREATED + 1000), End.RETRIES)
        self.assertIs(short.next_attempt(CREATED, 1, CREATED + 10, expires=CREATED + 10), End.TIME)

    def test_slow_attempts(self) -> None:
        """
        The delay runs from the failure, so that a peer that takes an hour to refuse gets fewer attempts.
        """
        self.assertEqual(life(schedule(), 3600), ([1200, 2400, 4800, 9600, 19200, 38400], End.TIME))

    def test_age_comes_first(self) -> None:
        """
        A message that is too old and was tried too often is told the age, as Momentum does.
        """
        of = schedule(max_retries=2, message_expiration=100)
        self.assertIs(of.next_attempt(CREATED, 3, CREATED + 99.9), End.RETRIES)
        self.assertIs(of.next_attempt(CREATED, 3, CREATED + 100), End.TIME)
        self.assertIs(of.next_attempt(CREATED, 1, CREATED + 100), End.TIME)

    def test_clock_went_back(self) -> None:
        """
        A message from the future is not expired: it is kept.
        """
        self.assertEqual(schedule().next_attempt(CREATED, 1, CREATED - 9e6), CREATED - 9e6 + 1200)

    def test_hundred_thousand_failures(self) -> None:
        """
        No number of failures makes the delay longer than its limit, or overflows it.
        """
        of = schedule(max_retries="none")
        for failures in (7, 41, 1000, 2000, 10**9):
            self.assertEqual(of.delay(failures), 43200)

    def test_texts(self) -> None:
        """
        Each end has Momentum's words.
        """
        self.assertEqual(End.RETRIES.value, b"554 5.4.7 [internal] exceeded max retries without delivery")
        self.assertEqual(End.TIME.value, b"554 5.4.7 [internal] exceeded max time without delivery")
        self.assertEqual(End.EXPIRED.value, b"554 5.4.5 [internal] Delivery not attempted (message expired)")


class AutomaticTests(SynchronousTestCase):
    """
    ``max_retries = auto``.
    """

    def test_table(self) -> None:
        """
        As many retries as it takes to pass the message's life.
        """
        for interval, longest, expiration, retries in (
            (1200, 43200, 86400, 7),
            (1200, 43200, 604800, 19),
            (1200, 1200, 86400, 73),
            (60, 300, 1200, 6),
            (100, 1000, 300, 2),
            (100, 1000, 301, 3),
            (100, 1000, 50, 1),
            (100, 10, 95, 10),
            (0.01, 1e9, 1, 7),
        ):
            self.assertEqual(automatic_retries(interval, longest, expiration), retries, (interval, longest, expiration))

    def test_time_decides(self) -> None:
        """
        In ordinary running the count never ends a message: it lives as long as with no limit at all.
        """
        source = random.Random(5)
        for _ in range(500):
            options = {
                "retry_interval": source.randint(1, 5000),
                "max_retry_interval": source.randint(1, 50000),
                "message_expiration": source.randint(1, 700000),
            }
            automatic, unlimited = life(schedule(**options)), life(schedule(max_retries="none", **options))
            self.assertEqual(automatic, unlimited, options)
            self.assertIs(automatic[1], End.TIME, options)

    def test_short_delays_by_reply(self) -> None:
        """
        A peer that has a message tried every minute does not use its retries up before its time, whatever else is
        said in between.
        """
        rules = tuple(ReplyRule.parse(text) for text in ("450: 1m 1h", "421: 1h 1m"))
        self.assertEqual(automatic_retries(1200, 43200, 3600, (), rules), 60 + 1)
        self.assertEqual(automatic_retries(1200, 43200, 3600, (7200.0,), rules), 60 + 1)
        self.assertEqual(automatic_retries(10, 20, 3600, (), rules), 180 + 1)
        self.assertEqual(automatic_retries(10, 20, 3600, (7.0,), rules), 514 + 1)

    def test_flushes_consume(self) -> None:
        """
        An operator who has a message tried again and again uses its retries up before its time.
        """
        of = schedule()
        for failures in range(1, 8):
            self.assertNotIsInstance(of.next_attempt(CREATED, failures, CREATED + failures), End)
        self.assertIs(of.next_attempt(CREATED, 8, CREATED + 8), End.RETRIES)

    def test_quick(self) -> None:
        """
        A life of centuries at intervals of milliseconds is counted without walking through it.
        """
        self.assertGreater(automatic_retries(0.01, 0.01, 1e10), 10**11)


class SpreadTests(SynchronousTestCase):
    """
    Moments that lie apart.
    """

    def test_apart(self) -> None:
        """
        However many there are and wherever the count begins, no stretch of the time is left out or crowded.
        """
        for first, many in ((0, 2), (1, 7), (5, 100), (10**9, 1000)):
            moments = sorted(spread(first + number, 60.0) for number in range(many))
            gaps = [after - before for before, after in pairwise([*moments, moments[0] + 60.0])]
            self.assertTrue(moments[0] >= 0.0 and moments[-1] < 60.0)
            self.assertLess(max(gaps), 2 * 60.0 / many)
            self.assertGreater(min(gaps), 0.3 * 60.0 / many)

    def test_none(self) -> None:
        """
        Without a time to spread over there is one moment, which is now.
        """
        self.assertEqual({spread(number, 0.0) for number in range(100)}, {0.0})

    def test_added(self) -> None:
        """
        What is added to the delay is left out where it would cost a message with an end of its own the attempt.
        """
        said = (0.0, b"", Stage.UNKNOWN)
        self.assertEqual(schedule().next_attempt(CREATED, 1, CREATED, *said, CREATED + 1300, 99), CREATED + 1299)
        self.assertEqual(schedule().next_attempt(CREATED, 1, CREATED, *said, CREATED + 1300, 100), CREATED + 1200)
        self.assertIs(schedule().next_attempt(CREATED, 1, CREATED, *said, CREATED + 1200, 100), End.TIME)
