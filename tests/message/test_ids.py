"""
Tests of :mod:`momentum_tx.message.ids`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.message.ids import IDS_PER_SECOND, NO_ID, MessageIds, decode


class _Wall:
    """
    A wall clock that is set by hand.
    """

    def __init__(self, time: float) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time


class FormTests(SynchronousTestCase):
    """
    The text of an id.
    """

    def test_published_sample(self) -> None:
        """
        Time, process id and counter of Momentum's own sample give its text.
        """
        ids = MessageIds(_Wall(1254219116.9), 2001)
        self.assertEqual(ids.next(), "00/00-02001-C6DD1CA4")

    def test_counter_digits(self) -> None:
        """
        The counter is written last digit first, with a slash in the middle.
        """
        ids = MessageIds(_Wall(1700000000.0), 1)
        made = ids.next_batch(0x1236)
        self.assertEqual([id[:5] for id in made[:3]], ["00/00", "10/00", "20/00"])
        self.assertEqual(made[0x10][:5], "01/00")
        self.assertEqual(made[0x1234][:5], "43/21")

    def test_large_pid(self) -> None:
        """
        A process id of seven digits keeps its last five.
        """
        ids = MessageIds(_Wall(1700000000.0), 4194303)
        self.assertEqual(ids.next(), "00/00-94303-001F3556")

    def test_after_2106(self) -> None:
        """
        The seconds are cut to 32 bits when they no longer fit.
        """
        ids = MessageIds(_Wall(float(2**32 + 5)), 1)
        self.assertEqual(ids.next(), "00/00-00001-50000000")

    def test_no_id(self) -> None:
        """
        The id that means "none" has the shape of one and is all zero.
        """
        self.assertEqual(decode(NO_ID), (0, 0, 0))

    def test_decode(self) -> None:
        """
        An id can be read back.
        """
        ids = MessageIds(_Wall(1700000000.0), 777)
        made = ids.next_batch(70000)
        self.assertEqual(decode(made[0xABCD]), (1700000000, 777, 0xABCD))
        self.assertEqual(decode("CD/BA-02001-C6DD1CA4"), (1254219116, 2001, 0xABDC))

    def test_not_an_id(self) -> None:
        """
        Text of another shape is refused, other scripts' digits included.
        """
        for text in (
            "",
            "00/00-02001-C6DD1CA",
            "00/00-02001-C6DD1CA4\n",
            "00/00-02001-c6dd1ca4",
            "0000-02001-C6DD1CA4",
            "00/00-0200x-C6DD1CA4",
            "00/00-0200\u0663-C6DD1CA4",
        ):
            self.assertRaises(ValueError, decode, text)


class UniquenessTests(SynchronousTestCase):
    """
    No id is made twice.
    """

    def setUp(self) -> None:
        self.wall = _Wall(1700000000.0)
        self.ids = MessageIds(self.wall, 1)

    def test_busy_second(self) -> None:
        """
        More than 65536 ids within one second differ: the embedded second moves on.
        """
        made = self.ids.next_batch(2 * IDS_PER_SECOND + 10)
        self.assertEqual(len(set(made)), len(made))
        seconds = [decode(id)[0] - 1700000000 for id in (made[0], made[65535], made[65536], made[-1])]
        self.assertEqual(seconds, [0, 0, 1, 2])

    def test_clock_catches_up(self) -> None:
        """
        When the clock reaches the second that was borrowed, its values are not used again.
        """
        made = set(self.ids.next_batch(IDS_PER_SECOND + 100))
        self.wall.time += 1.0
        made.update(self.ids.next_batch(IDS_PER_SECOND))
        self.wall.time += 1.0
        made.update(self.ids.next_batch(IDS_PER_SECOND))
        self.assertEqual(len(made), 3 * IDS_PER_SECOND + 100)

    def test_clock_steps_back(self) -> None:
        """
        A clock that is set back by an hour and runs on repeats no id.
        """
        made = self.ids.next_batch(40000)
        self.wall.time -= 3600.0
        made += self.ids.next_batch(40000)
        self.wall.time += 3600.0
        made += self.ids.next_batch(60000)
        self.assertEqual(len(set(made)), len(made))

    def test_all_uses_share_the_counter(self) -> None:
        """
        Message ids and connection ids differ from each other too.
        """
        made = [
            self.ids.next(),
            self.ids.generate_connection_id(1700000000),
            self.ids.next(),
            self.ids.generate_connection_id(1699999999),
        ]
        self.assertEqual([id[:5] for id in made], ["00/00", "10/00", "20/00", "30/00"])
        self.assertEqual({decode(id)[0] for id in made}, {1700000000})

    def test_given_second(self) -> None:
        """
        A connection id embeds the second it is given, if it is not in the past of other ids.
        """
        self.assertEqual(decode(self.ids.generate_connection_id(1700000007))[0], 1700000007)
        self.assertEqual(decode(self.ids.next())[0], 1700000007)

    def test_quick_restart(self) -> None:
        """
        A process that starts anew in the same second with the same process id
        does not make the ids it finds in its spool.
        """
        old = self.ids.next_batch(5)
        again = MessageIds(self.wall, 1)
        for id in old:
            again.seen(id)
        again.seen("00/00-00002-FFFFFFFF")
        made = again.next_batch(IDS_PER_SECOND)
        self.assertEqual(set(old) & set(made), set())
        self.assertEqual(decode(made[0])[0], 1700000001)

    def test_seen_in_mid_life(self) -> None:
        """
        An old id that is found while ids are made already costs nothing.
        """
        old = self.ids.next()
        self.wall.time += 10.0
        first = self.ids.next()
        self.ids.seen(old)
        second = self.ids.next()
        self.assertEqual(decode(first)[0], decode(second)[0])
