"""
What the demo shows.
"""

import io

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.demo.accounting import Report, Row
from momentum_tx.demo.screen import (
    BAR,
    LiveScreen,
    Picture,
    PlainScreen,
    SilentScreen,
    Standing,
    bar_parts,
    glyphs,
    table,
)

PICTURE = Picture(
    (Standing("good.demo", "takes everything", 100, 90, 0), Standing("down.demo", "nobody listens", 10, 0, 4)),
    12.34,
    3.21,
)


class BarTests(SynchronousTestCase):
    """
    How a bar is divided.
    """

    def test_whole(self) -> None:
        """
        A bar is always as wide as it should be, and what exists can be seen.
        """
        for delivered in (0, 1, 7, 1000):
            for failed in (0, 1, 30, 2000):
                for waiting in (0, 1, 11, 1500):
                    one = Standing("a", "b", delivered + failed + waiting, delivered, failed)
                    parts = bar_parts(one, BAR)
                    self.assertEqual(sum(parts), BAR, one)
                    if delivered + failed + waiting:
                        exist = [count > 0 for count in (delivered, failed, waiting)]
                        self.assertEqual([part > 0 for part in parts], exist, one)

    def test_early_delivery(self) -> None:
        """
        What was delivered before the injector read its 250 makes no negative number.
        """
        self.assertEqual(Standing("a", "b", 3, 5, 0).waiting, 0)

    def test_glyphs(self) -> None:
        """
        A terminal that knows no blocks gets letters.
        """
        self.assertEqual(glyphs("utf-8"), ("█", "▓", "░"))
        for encoding in ("ascii", "latin-1", None, "nonsense"):
            self.assertEqual(glyphs(encoding), ("#", "x", "."))


class ScreenTests(SynchronousTestCase):
    """
    The three kinds of screens.
    """

    def test_silent(self) -> None:
        """
        Nothing is shown.
        """
        screen = SilentScreen()
        screen.begin("hello")
        screen.show(PICTURE)
        screen.end()

    def test_plain(self) -> None:
        """
        One line for the moment, without any control character.
        """
        out = io.StringIO()
        screen = PlainScreen(out)
        screen.begin("hello")
        screen.show(PICTURE)
        screen.end()
        self.assertEqual(out.getvalue(), "hello\n   3 s  110 injected, 90 delivered (12/s), 16 waiting, 4 failed\n")

    def test_live(self) -> None:
        """
        Each picture is drawn over the last, and the cursor comes back, once.
        """
        out = io.StringIO()
        screen = LiveScreen(out, 79, False)
        screen.begin("hello")
        screen.show(PICTURE)
        first = out.getvalue()
        self.assertTrue(first.startswith("\x1b[?25lhello\n"))
        drawn = len(screen.lines(PICTURE))
        screen.show(PICTURE)
        self.assertTrue(out.getvalue().removeprefix(first).startswith(f"\x1b[{drawn}A"))
        screen.end()
        screen.end()
        self.assertEqual(out.getvalue().count("\x1b[?25h"), 1)

    def test_width(self) -> None:
        """
        No line is wider than the terminal, for then it could not be drawn over.
        """
        for width in (20, 40, 60, 79, 200):
            screen = LiveScreen(io.StringIO(), width, False)
            for line in screen.lines(PICTURE):
                self.assertLessEqual(len(line), width)

    def test_colour(self) -> None:
        """
        Colours are used only where they are wanted.
        """
        plain = LiveScreen(io.StringIO(), 79, False).lines(PICTURE)
        coloured = LiveScreen(io.StringIO(), 79, True).lines(PICTURE)
        self.assertFalse(any("\x1b" in line for line in plain))
        self.assertTrue(any("\x1b[32m" in line for line in coloured))


class TableTests(SynchronousTestCase):
    """
    The table at the end.
    """

    def test_good(self) -> None:
        """
        A row per receiver, the total, and one sentence.
        """
        row = Row("good.demo", 10, 9, 2, 1, 0, 0, 0, 123.4)
        total = Row("total", 10, 9, 2, 1, 0, 0, 0, None)
        lines = table(Report((row,), total, ())).splitlines()
        self.assertEqual(
            lines[0].split(),
            ["receiver", "injected", "delivered", "retried", "failed", "lost", "doubled", "unclear", "per", "second"],
        )
        self.assertEqual(lines[1].split(), ["good.demo", "10", "9", "2", "1", "0", "0", "0", "123"])
        self.assertEqual(lines[3].split(), ["total", "10", "9", "2", "1", "0", "0", "0", "-"])
        self.assertEqual(len({len(line) for line in lines[:4]}), 1)
        self.assertEqual(lines[-1], "Every message is accounted for, exactly once.")

    def test_bad(self) -> None:
        """
        Every problem is named.
        """
        total = Row("total", 10, 9, 2, 0, 1, 0, 0, None)
        lines = table(Report((), total, ("1 lost: x", "another"))).splitlines()
        self.assertEqual(lines[-3:], ["Not every message is accounted for:", "  1 lost: x", "  another"])
