"""
Tests of :mod:`momentum_tx.policy.curfew`.
"""

from datetime import UTC, datetime, timedelta
from math import inf
from random import Random
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.curfew import Phase, QuietHours, phase

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    """
    The wall time of a moment in UTC.
    """
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


class PhaseTests(SynchronousTestCase):
    """
    Whether it is quiet, and how long.
    """

    def quiet(self, texts: str | list[str], now: str, until: str | float) -> None:
        """
        It is quiet now, until then.
        """
        self.look(texts, now, True, until)

    def loud(self, texts: str | list[str], now: str, until: str) -> None:
        """
        It is not quiet now, until then.
        """
        self.look(texts, now, False, until)

    def look(self, texts: str | list[str], now: str, quiet: bool, until: str | float) -> None:
        """
        What holds at *now*.
        """
        hours = [QuietHours.parse(text) for text in ([texts] if isinstance(texts, str) else texts)]
        found = phase(hours, at(now))
        when = until if isinstance(until, float) else at(until)
        told = "never" if found.until == inf else str(datetime.fromtimestamp(found.until, UTC))
        self.assertEqual(found, Phase(quiet, when), f"{texts} at {now}: {found.quiet} until {told}")

    def test_everyDay(self) -> None:
        """
        Hours without days are those of every day, in UTC; the beginning belongs to them and the end does not.
        """
        self.loud("09:00-17:30", "2024-05-15T08:59:59", "2024-05-15T09:00:00")
        self.quiet("09:00-17:30", "2024-05-15T09:00:00", "2024-05-15T17:30:00")
        self.quiet("09:00-17:30", "2024-05-15T17:29:59", "2024-05-15T17:30:00")
        self.loud("09:00-17:30", "2024-05-15T17:30:00", "2024-05-16T09:00:00")

    def test_overMidnight(self) -> None:
        """
        Hours that end before they begin end on the day after; the days are those on which they begin.
        """
        hours = "mon-fri 22:00-07:00"
        self.loud(hours, "2024-05-13T06:59:00", "2024-05-13T22:00:00")
        self.quiet(hours, "2024-05-13T22:00:00", "2024-05-14T07:00:00")
        self.quiet(hours, "2024-05-14T06:59:59", "2024-05-14T07:00:00")
        self.loud(hours, "2024-05-14T07:00:00", "2024-05-14T22:00:00")
        # From Friday into Saturday it is quiet, and then no more until Monday.
        self.quiet(hours, "2024-05-18T03:00:00", "2024-05-18T07:00:00")
        self.loud(hours, "2024-05-18T07:00:00", "2024-05-20T22:00:00")

    def test_wholeDays(self) -> None:
        """
        A day may be quiet from midnight to midnight; days that follow each other make one.
        """
        for text in ("sat,sun 00:00-24:00", "sat-sun 00:00-00:00"):
            self.loud(text, "2024-05-17T23:59:59", "2024-05-18T00:00:00")
            self.quiet(text, "2024-05-18T00:00:00", "2024-05-20T00:00:00")
            self.loud(text, "2024-05-20T00:00:00", "2024-05-25T00:00:00")
        self.quiet("fri-mon 00:00-24:00", "2024-05-17T12:00:00", "2024-05-21T00:00:00")

    def test_always(self) -> None:
        """
        What never ends is known not to.
        """
        self.quiet("00:00-24:00", "2024-05-17T12:00:00", inf)
        self.quiet(["08:00-20:00", "20:00-08:00"], "2024-05-17T12:00:00", inf)

    def test_several(self) -> None:
        """
        Hours that meet or overlap are one, also those of different zones.
        """
        texts = ["mon-fri 22:00-24:00", "00:00-06:00", "05:00-09:00 Europe/Berlin"]
        self.quiet(texts, "2024-05-13T23:00:00", "2024-05-14T07:00:00")
        self.loud(texts, "2024-05-14T07:00:00", "2024-05-14T22:00:00")
        self.loud(texts, "2024-05-18T21:00:00", "2024-05-19T00:00:00")

    def test_zone(self) -> None:
        """
        Hours are those of the zone, summer and winter.
        """
        hours = "mon 08:00-09:00 Europe/Berlin"
        self.quiet(hours, "2024-07-15T06:00:00", "2024-07-15T07:00:00")
        self.quiet(hours, "2024-01-15T07:00:00", "2024-01-15T08:00:00")
        self.quiet("mon 00:30-01:00 Asia/Kolkata", "2024-07-14T19:00:00", "2024-07-14T19:30:00")

    def test_clockIsPutForward(self) -> None:
        """
        Quiet hours over the night are an hour shorter; a beginning or an end in the hour that is skipped comes
        when it is skipped.
        """
        self.quiet("22:00-07:00 Europe/Berlin", "2024-03-30T21:00:00", "2024-03-31T05:00:00")
        self.loud("02:30-05:00 Europe/Berlin", "2024-03-31T00:59:59", "2024-03-31T01:00:00")
        self.quiet("02:30-05:00 Europe/Berlin", "2024-03-31T01:00:00", "2024-03-31T03:00:00")
        self.quiet("22:00-02:30 Europe/Berlin", "2024-03-31T00:59:59", "2024-03-31T01:00:00")
        self.loud("22:00-02:30 Europe/Berlin", "2024-03-31T01:00:00", "2024-03-31T20:00:00")
        # Wholly within the hour: there are none that day.
        self.loud("02:10-02:50 Europe/Berlin", "2024-03-30T12:00:00", "2024-04-01T00:10:00")

    def test_clockIsPutBack(self) -> None:
        """
        Quiet hours over the night are an hour longer; where the clock shows a time twice they begin at the first
        and end at the second, and no hole is in them.
        """
        self.quiet("22:00-07:00 Europe/Berlin", "2024-10-26T20:00:00", "2024-10-27T06:00:00")
        self.quiet("02:30-05:00 Europe/Berlin", "2024-10-27T00:30:00", "2024-10-27T04:00:00")
        self.loud("02:30-05:00 Europe/Berlin", "2024-10-27T00:29:59", "2024-10-27T00:30:00")
        self.quiet("22:00-02:30 Europe/Berlin", "2024-10-27T00:00:00", "2024-10-27T01:30:00")
        self.loud("22:00-02:30 Europe/Berlin", "2024-10-27T01:30:00", "2024-10-27T21:00:00")

    def test_dayThatWasLeftOut(self) -> None:
        """
        A place that changes sides of the date line loses a day, and whatever is quiet on it.
        """
        self.loud("fri 10:00-12:00 Pacific/Apia", "2011-12-29T12:00:00", "2012-01-05T20:00:00")

    def test_clockOnTheWall(self) -> None:
        """
        At every minute of a year but in the hours in which the clock is put forward or back, it is quiet when the
        clock shows that it is, and the end that is told is the first minute at which it does not.
        """
        hours = [QuietHours.parse("mon-thu,sun 21:15-06:45 Europe/Berlin")]
        chance = Random(7)
        for _ in range(1000):
            now = at("2024-01-01T00:00:00") + 60.0 * chance.randrange(366 * 1440)
            shown = datetime.fromtimestamp(now, BERLIN)
            if shown.utcoffset() != datetime.fromtimestamp(now - 36000, BERLIN).utcoffset():
                continue
            minute = shown.hour * 60 + shown.minute
            day = shown if minute >= 1275 else shown - timedelta(days=1)
            quiet = (minute >= 1275 or minute < 405) and day.weekday() in (0, 1, 2, 3, 6)
            found = phase(hours, now)
            self.assertEqual(found.quiet, quiet, shown)
            self.assertGreater(found.until, now)
            self.assertIs(phase(hours, found.until - 1).quiet, quiet)
            self.assertIs(phase(hours, found.until).quiet, not quiet)


class TextTests(SynchronousTestCase):
    """
    How quiet hours are written.
    """

    def test_days(self) -> None:
        """
        Days are single, in rows, also over the end of the week, and in lists; capitals do not matter.
        """
        for text, days in (
            ("mon", "x......"),
            ("mon-wed", "xxx...."),
            ("sat-mon", "x....xx"),
            ("Mon,Wed-Thu,SUN", "x.xx..x"),
            ("tue-tue", ".x....."),
            ("tue-mon", "xxxxxxx"),
        ):
            found = QuietHours.parse(f"{text} 10:00-11:00")
            self.assertEqual("".join("x" if day else "." for day in found.days), days, text)

    def test_wrong(self) -> None:
        """
        What means no hours is refused with the reason.
        """
        for text, reason in (
            ("", "not of the form"),
            ("mon-fri", "not of the form"),
            ("10:00", "not of the form"),
            ("mon tue 10:00-11:00", "not of the form"),
            ("10:00-11:00 Europe/Berlin now", "not of the form"),
            ("Europe/Berlin 10:00-11:00", "names days"),
            ("monday 10:00-11:00", "names days"),
            ("mon- 10:00-11:00", "names days"),
            ("mon, 10:00-11:00", "names days"),
            ("10:00-11:60", "time of day"),
            ("10:00-24:01", "time of day"),
            ("25:00-11:00", "time of day"),
            ("9:00-11:00", "time of day"),
            ("24:00-11:00", "24:00"),
            ("10:00-11:00 Europe/Atlantis", "no time zone that this machine knows"),
            ("10:00-11:00 ../../etc/passwd", "no time zone that this machine knows"),
            ("10:00-11:00 Europe", "no time zone that this machine knows"),
        ):
            error = self.assertRaises(ValueError, QuietHours.parse, text)
            self.assertIn(reason, str(error), text)
