"""
Tests of :mod:`momentum_tx.queues.places`.
"""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.queues.places import Places


class PlacesTests(SynchronousTestCase):
    """
    Who gets a place under a limit.
    """

    def setUp(self) -> None:
        self.places: Places[str] = Places(1)

    def test_bothSidesOfTheLimit(self) -> None:
        """
        As many as there are places, and not one more.
        """
        self.places.most = 2
        self.places.take("a")
        self.assertTrue(self.places.open_to("a"))
        self.places.take("a")
        self.assertFalse(self.places.open_to("a"))
        self.places.leave()
        self.assertTrue(self.places.open_to("b"))

    def test_offeredIsTaken(self) -> None:
        """
        A place that is offered to one is free to no other, however quick.
        """
        self.places.wait("small", 0)
        self.assertEqual(self.places.offer(), ["small"])
        self.assertFalse(self.places.open_to("big"))
        self.assertTrue(self.places.open_to("small"))
        self.places.take("small")
        self.assertFalse(self.places.open_to("small"))
        self.assertFalse(self.places.answer("small"))

    def test_fewestFirst(self) -> None:
        """
        Whoever has the fewest connections is next; among equals the one that
        has waited longest.
        """
        self.places.wait("big", 30)
        self.places.wait("one", 0)
        self.places.wait("two", 0)
        self.places.wait("some", 2)
        self.places.most = 4
        self.assertEqual(self.places.offer(), ["one", "two", "some", "big"])

    def test_waitingTwice(self) -> None:
        """
        Who asks again keeps its turn; with another number of connections it
        gets the turn of that number.
        """
        self.places.wait("a", 1)
        self.places.wait("b", 1)
        self.places.wait("a", 1)
        self.assertEqual(self.places.next(), ("a", 1))
        self.places.wait("a", 2)
        self.assertEqual(self.places.next(), ("b", 1))
        self.assertEqual(self.places.waiting, 2)

    def test_declined(self) -> None:
        """
        A place that its guest does not want is left for the next.
        """
        self.places.wait("gone", 0)
        self.places.wait("next", 0)
        self.assertEqual(self.places.offer(), ["gone"])
        self.assertEqual(self.places.offer(), [])
        self.assertTrue(self.places.answer("gone"))
        self.assertEqual(self.places.offer(), ["next"])

    def test_forgotten(self) -> None:
        """
        Who wants nothing any more is offered nothing.
        """
        self.places.wait("a", 0)
        self.places.forget("a")
        self.places.forget("a")
        self.assertEqual(self.places.offer(), [])
        self.assertIsNone(self.places.next())

    def test_reserve(self) -> None:
        """
        Places beyond the limit go only to those who have none.
        """
        self.places.take("big")
        self.places.wait("big", 1)
        self.places.wait("small", 0)
        self.assertEqual(self.places.offer(2, 0), ["small"])
        self.assertFalse(self.places.open_to("small"))
        self.assertTrue(self.places.open_to("small", 2))

    def test_limitLowered(self) -> None:
        """
        An offer does not lift anybody above a limit that has become lower.
        """
        self.places.wait("a", 0)
        self.places.offer()
        self.places.most = 0
        self.assertFalse(self.places.open_to("a"))

    def test_neverExceededAndNobodyStarves(self) -> None:
        """
        Whatever is taken, left and declined, the limit holds, and a guest that
        keeps waiting is offered a place before anybody with more connections.
        """
        random = Random(3)
        self.places.most = 5
        held = dict.fromkeys("abcdefgh", 0)
        for _ in range(5000):
            who = random.choice(sorted(held))
            deed = random.random()
            if deed < 0.5:
                if self.places.open_to(who):
                    self.places.take(who)
                    held[who] += 1
                else:
                    self.places.wait(who, held[who])
            elif held[who]:
                held[who] -= 1
                self.places.leave()
                for guest in self.places.offer():
                    if random.random() < 0.5 and self.places.open_to(guest):
                        self.places.take(guest)
                        held[guest] += 1
                    else:
                        self.places.answer(guest)
            self.assertEqual(self.places.taken, sum(held.values()))
            self.assertLessEqual(self.places.taken, 5)
