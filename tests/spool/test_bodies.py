"""
Tests of :mod:`momentum_tx.spool.bodies`: how much mail is held in memory.
"""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import SpoolError
from momentum_tx.queues.message import Message, Packed, Reception
from momentum_tx.spool.bodies import Bodies

from . import contract


class BodiesTests(SynchronousTestCase):
    """
    Room for one hundred octets, in however many bodies.
    """

    def setUp(self) -> None:
        self.reads: list[tuple[Reception, Deferred[bytes]]] = []
        self.bodies = Bodies(1000, 100, self._read)
        self._key = 0

    def _read(self, reception: Reception) -> Deferred[bytes]:
        reading: Deferred[bytes] = Deferred()
        self.reads.append((reception, reading))
        return reading

    def _held(self, size: int) -> Reception:
        made = contract.reception()
        self._key += 1
        made.key = self._key
        self.bodies.hold(made, bytes(size))
        return made

    def _in_memory(self, *receptions: Reception) -> list[bool]:
        return [self.bodies.holds(reception) for reception in receptions]

    def test_bound(self) -> None:
        """
        Memory holds no more octets than it may; the oldest body leaves first.
        """
        one, two, three = self._held(50), self._held(50), self._held(1)
        self.assertEqual(self._in_memory(one, two, three), [False, True, True])
        four = self._held(99)
        self.assertEqual(self._in_memory(two, three, four), [False, True, True])

    def test_larger_than_all(self) -> None:
        """
        A body that is larger than the bound is not held at all; it takes no
        room from others, before or after.
        """
        before, large = self._held(0), self._held(101)
        self.assertEqual(self._in_memory(before, large), [True, False])
        self.assertEqual(self._in_memory(self._held(50), self._held(50)), [True, True])

    def test_used_lately(self) -> None:
        """
        A body that was asked for stays longer than one that was not.
        """
        one, two = self._held(50), self._held(50)
        self.assertEqual(self.bodies.get(one), bytes(50))
        three = self._held(50)
        self.assertEqual(self._in_memory(one, two, three), [True, False, True])

    def test_dropped(self) -> None:
        """
        A body that is not wanted any more makes room.
        """
        one, two = self._held(60), self._held(40)
        self.bodies.drop(one)
        self.bodies.drop(one)
        self.assertEqual(self._in_memory(one, two, self._held(60)), [False, True, True])

    def test_one_read_for_all(self) -> None:
        """
        Who asks while a body is read waits for the same read; one who gives up
        takes nothing from the others, and afterwards the body is held.
        """
        one, _ = self._held(60), self._held(60)
        waiting = [self.bodies.get(one) for _ in range(3)]
        self.assertEqual(len(self.reads), 1)
        first, second, third = (waiter for waiter in waiting if isinstance(waiter, Deferred))
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.reads[0][1].callback(bytes(60))
        self.assertEqual([self.successResultOf(waiter) for waiter in (first, third)], [bytes(60)] * 2)
        self.assertEqual(self.bodies.get(one), bytes(60))

    def test_failed_read(self) -> None:
        """
        A read that fails fails for all who wait, and the next one tries again.
        """
        one = self._held(101)
        waiting = [self.bodies.get(one) for _ in range(2)]
        self.reads[0][1].errback(SpoolError("unreadable"))
        for waiter in waiting:
            assert isinstance(waiter, Deferred)
            self.failureResultOf(waiter, SpoolError)
        again = self.bodies.get(one)
        self.reads[1][1].callback(b"now")
        assert isinstance(again, Deferred)
        self.assertEqual(self.successResultOf(again), b"now")

    def test_done_while_read(self) -> None:
        """
        A body whose last message ended while it was read is not held.
        """
        one = self._held(101)
        waiter = self.bodies.get(one)
        one.done(contract.first(one))
        self.bodies.drop(one)
        self.reads[0][1].callback(b"late")
        assert isinstance(waiter, Deferred)
        self.assertEqual(self.successResultOf(waiter), b"late")
        self.assertEqual(self._in_memory(one), [False])

    def test_count(self) -> None:
        """
        There is a bound for the number of bodies besides, and it counts from when it is changed.
        """
        self.bodies.most = 2
        made = [self._held(1) for _ in range(3)]
        self.assertEqual(self._in_memory(*made), [False, True, True])
        self.assertEqual(self.bodies.resident, (2, 2))
        self.bodies.most = 1
        self.bodies.shrink()
        self.assertEqual(self._in_memory(*made), [False, False, True])
        self.bodies.most = 0
        self.bodies.shrink()
        self.assertEqual(self._in_memory(*made, self._held(0)), [False] * 4)
        self.assertEqual(self.bodies.resident, (0, 0))

    def _queued(self, of: Reception, waits: bool = False, let_go: bool = False) -> Message:
        message = contract.first(of)
        message.place = 2
        self.bodies.queued(message, waits, let_go)
        return message

    def test_waits(self) -> None:
        """
        What waits for its time makes room before what is due, however lately it was used.
        """
        one, two = self._held(50), self._held(50)
        self._queued(one)
        self._queued(two, waits=True)
        three = self._held(50)
        self.assertEqual(self._in_memory(one, two, three), [True, False, True])

    def test_let_go(self) -> None:
        """
        What nobody needs in memory leaves it though there is room, and leaves the room.
        """
        one, two = self._held(50), self._held(50)
        self._queued(one, let_go=True)
        self.assertEqual(self._in_memory(one, two, self._held(50)), [False, True, True])

    def test_packed(self) -> None:
        """
        A queued message is packed as long as its body is not in memory, and no longer.
        """
        one, two, three = self._held(40), self._held(40), self._held(101)
        resident, waiting = self._queued(one), self._queued(two, waits=True)
        absent = self._queued(three)
        self.assertEqual([type(message) for message in (resident, waiting, absent)], [Message, Message, Packed])
        self._held(60)
        self.assertEqual([type(message) for message in (resident, waiting, absent)], [Message, Packed, Packed])
        waiter = self.bodies.get(absent.reception)
        self.reads[0][1].callback(bytes(10))
        assert isinstance(waiter, Deferred)
        self._queued(absent.reception)
        self.assertEqual([type(message) for message in (resident, waiting, absent)], [Packed, Packed, Message])

    def test_packed_while_read(self) -> None:
        """
        Mail that was queued again while its body was read, and ended then, leaves nothing behind.
        """
        one = self._held(101)
        waiter = self.bodies.get(one)
        one.unfinished = 1
        message = self._queued(one)
        self.assertIsNot(message.reception, one)
        message.reception.done(message)
        self.bodies.drop(message.reception)
        self.reads[0][1].callback(b"late")
        assert isinstance(waiter, Deferred)
        self.assertEqual(self.successResultOf(waiter), b"late")
        self.assertEqual(self.bodies.resident, (0, 0))

    def test_in_delivery(self) -> None:
        """
        A message in delivery is left as it is, whatever becomes of its body.
        """
        one = self._held(50)
        self._held(60)
        self.assertEqual(self._in_memory(one), [False])
        self.assertIsInstance(contract.first(one), Message)
        self.assertNotIsInstance(contract.first(one), Packed)
