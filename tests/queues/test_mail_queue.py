"""
Tests of :mod:`momentum_tx.queues.mail_queue`.
"""

import random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.envelope import Terms
from momentum_tx.interfaces.records import IMailQueue
from momentum_tx.queues.mail_queue import MailQueue
from momentum_tx.queues.message import Message, Reception, Traits, traits_of
from momentum_tx.queues.message_heap import MessageHeap


class MailQueueTests(SynchronousTestCase):
    """
    Active and delayed mail of one domain.
    """

    def setUp(self) -> None:
        self.queue = MailQueue()
        self.reception = Reception(b"alice@example.com", 0.0, 100, "b1")

    def message(self, next_attempt: float = 0.0, slot: int = 0) -> Message:
        number = len(self.reception.messages)
        message = self.reception.add(f"m{number}", b"r%d@example.com" % number)
        message.next_attempt = next_attempt
        message.binding_slot = slot
        return message

    def active(self, next_attempt: float = 0.0, slot: int = 0) -> Message:
        message = self.message(next_attempt, slot)
        self.queue.insert_active(message)
        return message

    def delayed(self, next_attempt: float = 0.0, slot: int = 0) -> Message:
        message = self.message(next_attempt, slot)
        self.queue.insert_delayed(message)
        return message

    def sizes(self) -> tuple[int, int, int]:
        return self.queue.active_size(), self.queue.delayed_size(), self.queue.size()

    def taken(self, slot: int) -> list[Message]:
        """
        All active mail of a slot, in the order a session gets it.
        """
        found = []
        while (message := self.queue.next_active(slot)) is not None:
            found.append(message)
        return found

    def test_delayed_one_by_one(self) -> None:
        """
        Who goes through the delayed mail meets each message that was there at the
        beginning and still is, whatever happens to the queue meanwhile.
        """
        flushed = [self.delayed(100.0 + number) for number in range(3)]
        self.queue.flush()
        waiting = [self.delayed(200.0 + number) for number in range(3)]
        self.active()
        met = []
        for message in self.queue.delayed():
            met.append(message)
            self.queue.remove(message)
            if len(met) == 1:
                self.queue.remove(flushed[2])
                self.queue.sweep(0.0, 1)
                self.delayed(1.0)
        self.assertEqual(sorted(message.id for message in met), sorted(each.id for each in [flushed[0], *waiting]))
        self.assertEqual(self.sizes(), (2, 1, 3))

    def test_walk(self) -> None:
        """
        A walk sees what is queued, active by slot, then flushed, then delayed, each once.
        """
        later = self.delayed(9.0)
        one, two = self.active(0.0, 1), self.active(5.0)
        self.assertEqual(list(self.queue.walk()), [two, one, later])
        self.queue.flush()
        last = self.delayed(3.0)
        for message in (one, two):
            self.queue.remove(message)
            self.queue.insert_active(message)
        self.assertEqual(list(self.queue.walk()), [two, one, later, last])
        self.assertEqual(self.sizes(), (2, 2, 4))

    def test_walk_while_things_move(self) -> None:
        """
        What is swept, or moved by who walks, comes up once all the same; what left
        does not, and what came does not either.
        """
        messages = [self.active(float(number)) for number in range(3)]
        messages += [self.delayed(float(number)) for number in range(3)]
        seen = []
        for message in self.queue.walk():
            seen.append(message)
            if message is messages[0]:
                self.queue.remove(message)
                message.binding_slot = 4
                self.queue.insert_active(message)
                self.queue.remove(messages[1])
                self.active(0.0)
                self.queue.sweep(1.0, 10)
            elif message is messages[3]:
                self.queue.remove(message)
                self.queue.insert_delayed(message)
        self.assertEqual(seen, [messages[0], *messages[2:]])

    def test_contract(self) -> None:
        """
        Hooks find everything the contract promises.
        """
        verifyObject(IMailQueue, self.queue)

    def test_shift(self) -> None:
        """
        When the clock is set, what waits is due so much later, in the order it was in: active, delayed, and flushed;
        what has never been tried and waits for a time that was named is due at that.
        """
        flushed = self.delayed(50.0)
        self.queue.flush()
        unreached = self.message(600.0)
        self.queue.insert_delayed(unreached, unreached=True)
        first, second = self.active(10.0), self.active(20.0, slot=1)
        soon, later = self.delayed(100.0), self.delayed(300.0)
        gone = self.delayed(150.0)
        self.queue.remove(gone)
        held = Reception(b"", 0.0, 1, "b", terms=Terms(not_before=250.0))
        named, tried = held.add("named", b"x@example.com"), held.add("tried", b"y@example.com")
        for message in (soon, later, tried):
            message.num_retries = 1
        for message in (named, tried):
            self.queue.insert_delayed(message)
        for seconds, order in ((200.0, [named, soon, tried, later]), (-190.0, [soon, named, tried, later])):
            self.queue.shift(seconds)
            self.assertEqual(self.queue.messages(), [first, second, flushed, *order, unreached])
        self.assertEqual([m.next_attempt for m in (first, second, flushed)], [20.0, 30.0, 60.0])
        self.assertEqual([m.next_attempt for m in (soon, later, named, tried)], [110.0, 310.0, 250.0, 260.0])
        self.assertEqual(unreached.next_attempt, 610.0)
        self.assertEqual(self.queue.sweep(110.0, 100), 2)
        self.assertEqual(self.queue.sweep(259.0, 100), 1)
        self.assertEqual(self.sizes(), (5, 3, 8))
        self.assertTrue(self.queue.remove(tried))
        self.assertEqual(self.queue.first_delayed(), later)

    def test_empty(self) -> None:
        """
        An empty queue answers every question with nothing.
        """
        queue = self.queue
        self.assertEqual(self.sizes(), (0, 0, 0))
        self.assertEqual(queue.active_size(3), 0)
        self.assertIs(queue.next_active(0), None)
        self.assertIs(queue.peek_active(0), None)
        self.assertIs(queue.first_delayed(), None)
        self.assertEqual((queue.active_slots(), queue.messages()), ([], []))
        self.assertEqual(queue.sweep(1e9, 100), 0)

    def test_order(self) -> None:
        """
        The longest due goes first; what is due together goes in the order it came.
        """
        late, early, same, also = (self.active(when) for when in (9.0, 1.0, 5.0, 5.0))
        self.assertIs(self.queue.peek_active(0), early)
        self.assertEqual(self.sizes(), (4, 0, 4))
        self.assertEqual(self.taken(0), [early, same, also, late])
        self.assertEqual(self.sizes(), (0, 0, 0))

    def test_slots(self) -> None:
        """
        Each binding slot has an active queue of its own; the delayed queue is one for all.
        """
        three, one, another = self.active(slot=3), self.active(slot=1), self.active(slot=3)
        self.delayed(50.0, slot=2)
        self.assertEqual(self.queue.active_slots(), [1, 3])
        self.assertEqual([self.queue.active_size(slot) for slot in (None, 1, 2, 3)], [3, 1, 0, 2])
        self.assertEqual(self.taken(3), [three, another])
        self.assertEqual(self.queue.active_slots(), [1])
        self.assertEqual(self.taken(1), [one])
        self.assertEqual(self.queue.active_slots(), [])
        self.assertEqual(self.sizes(), (0, 1, 1))

    def test_peek(self) -> None:
        """
        Looking at the first does not take it.
        """
        message = self.active()
        self.assertIs(self.queue.peek_active(0), message)
        self.assertIs(self.queue.peek_active(0), message)
        self.assertTrue(self.queue.is_active(message))
        self.assertIs(self.queue.peek_active(1), None)
        waiting = self.delayed(9.0)
        self.assertIs(self.queue.first_delayed(), waiting)
        self.assertEqual(self.sizes(), (1, 1, 2))

    def test_sweep(self) -> None:
        """
        A sweep moves what is due, each message to the queue of its slot, and leaves the rest.
        """
        due, later, exact, other = (self.delayed(*place) for place in ((5.0,), (11.0,), (10.0,), (2.0, 4)))
        self.assertEqual(self.queue.sweep(10.0, 100), 3)
        self.assertEqual(self.sizes(), (3, 1, 4))
        self.assertEqual(self.taken(0), [due, exact])
        self.assertEqual(self.taken(4), [other])
        self.assertIs(self.queue.first_delayed(), later)

    def test_sweep_in_slices(self) -> None:
        """
        A sweep moves no more than it was allowed, the longest due first.
        """
        messages = [self.delayed(float(when)) for when in range(10)]
        self.assertEqual([self.queue.sweep(100.0, 4) for _ in range(4)], [4, 4, 2, 0])
        self.assertEqual(self.queue.sweep(100.0, 0), 0)
        self.assertEqual(self.taken(0), messages)

    def test_flush(self) -> None:
        """
        After a flush the sweeps take what was delayed, in slices and in the order of
        its time; what is delayed afterwards keeps its time, however short.
        """
        later, sooner, due = self.delayed(30.0), self.delayed(20.0, 4), self.delayed(5.0)
        self.assertEqual(self.queue.flush(), 3)
        self.assertEqual(self.queue.flush(), 0)
        new = self.delayed(11.0)
        self.assertEqual(self.sizes(), (0, 4, 4))
        self.assertEqual(self.queue.messages(), [due, sooner, later, new])
        self.assertEqual(self.queue.sweep(10.0, 2), 2)
        self.assertEqual((self.taken(0), self.taken(4)), ([due], [sooner]))
        self.assertEqual((due.next_attempt, sooner.next_attempt, later.next_attempt), (5.0, 10.0, 30.0))
        self.assertIs(self.queue.first_delayed(), later)
        self.assertEqual(self.queue.sweep(10.0, 2), 1)
        self.assertIs(self.queue.first_delayed(), new)
        self.assertEqual(self.queue.flush(), 1)
        self.assertTrue(self.queue.remove(new))
        self.assertEqual((self.queue.sweep(10.0, 9), self.sizes()), (0, (1, 0, 1)))

    def test_one_place_only(self) -> None:
        """
        A queued message cannot be queued again, wherever it is; the queues stay as they were.
        """
        for message in (self.active(), self.delayed()):
            for insert in (self.queue.insert_active, self.queue.insert_delayed):
                error = self.assertRaises(ValueError, insert, message)
                self.assertIn(message.id, str(error))
        self.assertEqual(self.sizes(), (1, 1, 2))
        self.assertEqual(len(self.queue.messages()), 2)

    def test_one_queue_only(self) -> None:
        """
        A message that waits for one domain cannot be queued for another.
        """
        message = self.active()
        other = MailQueue()
        self.assertRaises(ValueError, other.insert_active, message)
        self.assertRaises(ValueError, other.insert_delayed, message)
        self.assertEqual(other.size(), 0)

    def test_moved_to_other_domain(self) -> None:
        """
        A message that was taken out here and queued for another domain comes up there alone.
        """
        message = self.active(1.0)
        waiting = self.active(0.0)
        self.queue.remove(message)
        other = MailQueue()
        first = self.message()
        other.insert_active(first)
        other.next_active(0)
        message.next_attempt = 0.0
        for queue in (other, MailQueue(), MailQueue()):
            queue.insert_active(message)
            self.assertEqual(self.queue.messages(), [waiting])
            self.assertEqual(queue.messages(), [message])
            queue.remove(message)
        other.insert_delayed(message)
        self.assertEqual(self.taken(0), [waiting])
        self.assertEqual(other.messages(), [message])

    def test_in_delivery(self) -> None:
        """
        A message a session has taken is in no queue, and can be put into either.
        """
        message = self.active()
        self.assertIs(self.queue.next_active(0), message)
        self.assertFalse(self.queue.is_active(message))
        self.assertFalse(self.queue.remove(message))
        message.next_attempt = 60.0
        self.queue.insert_delayed(message)
        self.assertFalse(self.queue.is_active(message))
        self.assertEqual(self.queue.messages(), [message])

    def test_remove(self) -> None:
        """
        A removed message is gone from its queue and never comes up again.
        """
        active = [self.active(float(when)) for when in range(3)]
        delayed = [self.delayed(float(when)) for when in range(3)]
        for message in (active[0], active[2], delayed[0], delayed[1]):
            self.assertTrue(self.queue.remove(message))
            self.assertFalse(self.queue.remove(message))
            self.assertFalse(self.queue.is_active(message))
        self.assertEqual(self.sizes(), (1, 1, 2))
        self.assertEqual(self.queue.messages(), [active[1], delayed[2]])
        self.assertIs(self.queue.first_delayed(), delayed[2])
        self.assertEqual(self.taken(0), [active[1]])

    def test_remove_last_of_slot(self) -> None:
        """
        A slot whose last message was removed no longer counts as having mail.
        """
        self.queue.remove(self.active(slot=5))
        self.assertEqual(self.queue.active_slots(), [])
        self.assertIs(self.queue.next_active(5), None)

    def test_moved(self) -> None:
        """
        A message that was removed and queued anew comes up once, at its new time.
        """
        first, second = self.active(1.0), self.active(2.0)
        self.queue.remove(first)
        first.next_attempt = 3.0
        self.queue.insert_active(first)
        self.assertEqual(self.queue.messages(), [second, first])
        self.assertEqual(self.taken(0), [second, first])

    def test_moved_to_same_time(self) -> None:
        """
        A message that was removed and queued anew for the same time lines up behind its equals.
        """
        first, second = self.delayed(1.0), self.delayed(1.0)
        self.queue.remove(first)
        self.queue.insert_delayed(first)
        self.assertEqual(self.queue.messages(), [second, first])
        self.queue.sweep(1.0, 10)
        self.assertEqual(self.taken(0), [second, first])

    def test_listed(self) -> None:
        """
        All mail is listed by slot, then the delayed, each by time; listing changes nothing.
        """
        delayed_late, delayed_early = self.delayed(9.0), self.delayed(8.0)
        two, one_late, one_early = self.active(1.0, 2), self.active(7.0, 1), self.active(6.0, 1)
        expected = [one_early, one_late, two, delayed_early, delayed_late]
        self.assertEqual(self.queue.messages(), expected)
        self.assertEqual(self.queue.messages(), expected)
        self.assertEqual(self.sizes(), (3, 2, 5))

    def classed(self, key: Traits, next_attempt: float = 0.0, slot: int = 0) -> Message:
        """
        An active message of a class.
        """
        message = Reception(b"", 0.0, 1, "b", traits=key).add("m", b"r")
        message.next_attempt = next_attempt
        message.binding_slot = slot
        self.queue.insert_active(message)
        return message

    def test_equal_classes_are_one(self) -> None:
        """
        Mail of one class is one class, be its names the same or only equal; there is nothing to share then.
        """
        sent = [self.classed(Traits("acme"), float(-when)) for when in range(3)]
        self.assertIsInstance(self.queue._active[0], MessageHeap)
        self.assertEqual(self.taken(0), sent[::-1])

    def test_classes_take_turns(self) -> None:
        """
        Mail of several classes in a slot takes turns; a slot that has been empty begins anew, in a plain heap.
        """
        bulk = [self.active(float(when)) for when in range(6)]
        urgent = [self.classed(Traits(priority="high"), 100.0 + when) for when in range(3)]
        other = [self.classed(Traits("acme"), when, slot=1) for when in (5.0, 4.0)]
        self.assertEqual(self.queue.active_slots(), [0, 1])
        self.assertEqual((self.queue.active_size(0), self.queue.active_size(1)), (9, 2))
        self.assertEqual(self.queue.messages(), [*bulk, *urgent, *other[::-1]])
        order = self.taken(0)
        self.assertEqual(order[1:6:2], urgent)
        self.assertEqual([*order[0:6:2], *order[6:]], bulk)
        self.assertEqual(self.taken(1), other[::-1])
        self.assertEqual(self.queue._active, {})
        self.active()
        self.assertIsInstance(self.queue._active[0], MessageHeap)

    def test_weights_by_slot(self) -> None:
        """
        A class may weigh otherwise on another binding, and otherwise from now on.
        """
        weights = {0: 3.0, 1: 1.0}
        self.queue = MailQueue(lambda slot, key: weights[slot] if key.tenant else 1.0)
        for slot in (0, 1):
            for _ in range(8):
                self.active(slot=slot)
                self.classed(Traits("acme"), slot=slot)
        for slot, expected in ((0, 3), (1, 2)):
            found = [self.queue.next_active(slot) for _ in range(4)]
            self.assertEqual(
                sum(message is not None and message.reception.tenant == "acme" for message in found), expected
            )
        weights[1] = 3.0
        self.queue.reweigh()
        found = [self.queue.next_active(1) for _ in range(4)]
        self.assertEqual(sum(message is not None and message.reception.tenant == "acme" for message in found), 3)

    def test_taken_out_of_turn(self) -> None:
        """
        What goes along with another message is a turn of its class, or two more in a row would follow.
        """
        first, second, third = (self.active() for _ in range(3))
        mine = [self.classed(Traits("acme")) for _ in range(3)]
        self.assertIs(self.queue.next_active(0), first)
        self.queue.take(second)
        self.assertFalse(self.queue.is_active(second))
        self.assertEqual(self.sizes(), (4, 0, 4))
        self.assertEqual(self.taken(0), [mine[0], mine[1], third, mine[2]])
        alone = self.active(slot=4)
        self.queue.take(alone)
        self.assertEqual(self.queue.active_slots(), [])

    def test_forgets_removed(self) -> None:
        """
        Mail that was removed does not stay in memory until the time it was due.
        """
        first = self.delayed(0.0)
        for when in range(1, 5000):
            self.queue.remove(self.delayed(float(when)))
            self.queue.remove(self.active(float(when), slot=9))
            self.assertLess(len(self.queue._delayed._entries), 70)
        self.assertEqual(self.queue._active, {})
        self.assertEqual(self.queue.messages(), [first])

    def test_forgets_most_of_many(self) -> None:
        """
        Removing mail from a long queue, in any order, leaves no more dead entries than live ones.
        """
        source = random.Random(7)
        messages = [self.active(source.random()) for _ in range(3000)]
        source.shuffle(messages)
        for message in messages[:2900]:
            self.queue.remove(message)
            heap = self.queue._active[0]
            assert isinstance(heap, MessageHeap)
            self.assertLessEqual(len(heap._entries), 2 * heap.live + 64)
        self.assertEqual(self.taken(0), sorted(messages[2900:], key=lambda message: message.next_attempt))


class ModelTests(SynchronousTestCase):
    """
    The queues against plain lists.
    """

    def test_like_lists(self) -> None:
        """
        Whatever is inserted, taken, swept and removed, the queues hold what plain sorted lists would.
        """
        for seed in range(30):
            Model(self, seed).run(600)

    def test_several_classes(self) -> None:
        """
        So they do with mail of several classes; each class goes by time.
        """
        for seed in range(30):
            Model(self, seed, 1 + seed % 4).run(600)


class Model:
    """
    A mail queue kept as two dictionaries, sorted for every answer.
    """

    def __init__(self, case: SynchronousTestCase, seed: int, classes: int = 1) -> None:
        self.case = case
        self.random = random.Random(seed)
        self.queue = MailQueue(lambda slot, key: len(key.tenant) * (slot + 0.5))
        self.receptions = [Reception(b"", 0.0, 1, "b", traits=traits_of("x" * (n + 1), "", "")) for n in range(classes)]
        # What is in no queue, and the order of arrival of what is in one.
        self.loose: list[Message] = []
        self.active: dict[Message, int] = {}
        self.delayed: dict[Message, int] = {}
        self.arrivals = 0
        self.now = 0.0

    def run(self, steps: int) -> None:
        moves = (self.make, self.insert, self.insert, self.take, self.take_one, self.remove, self.sweep)
        for _ in range(steps):
            self.random.choice(moves)()
            self.compare()

    def make(self) -> None:
        reception = self.random.choice(self.receptions)
        self.loose.append(reception.add(f"m{len(reception.messages)}", b"r"))

    def insert(self) -> None:
        if not self.loose:
            return
        message = self.loose.pop(self.random.randrange(len(self.loose)))
        message.next_attempt = self.now + self.random.choice((-3, 0, 0, 1, 2, 5, 60))
        message.binding_slot = self.random.randrange(3)
        self.arrivals += 1
        if self.random.random() < 0.4:
            self.queue.insert_active(message)
            self.active[message] = self.arrivals
        else:
            self.queue.insert_delayed(message)
            self.delayed[message] = self.arrivals

    def take(self) -> None:
        slot = self.random.randrange(3)
        expected = self.queue.peek_active(slot)
        message = self.queue.next_active(slot)
        self.case.assertIs(message, expected)
        if message is not None:
            del self.active[message]
            self.loose.append(message)

    def take_one(self) -> None:
        if self.active:
            message = self.random.choice(list(self.active))
            self.queue.take(message)
            del self.active[message]
            self.loose.append(message)

    def remove(self) -> None:
        everything = [*self.loose, *self.active, *self.delayed]
        if not everything:
            return
        message = self.random.choice(everything)
        queued = message not in self.loose
        self.case.assertEqual(self.queue.remove(message), queued)
        if queued:
            self.active.pop(message, None)
            self.delayed.pop(message, None)
            self.loose.append(message)

    def sweep(self) -> None:
        self.now += self.random.choice((0, 1, 2))
        limit = self.random.choice((1, 3, 100))
        due = [message for message in self.listed(self.delayed) if message.next_attempt <= self.now][:limit]
        self.case.assertEqual(self.queue.sweep(self.now, limit), len(due))
        for message in due:
            del self.delayed[message]
            self.arrivals += 1
            self.active[message] = self.arrivals

    def listed(self, place: dict[Message, int], slot: int | None = None) -> list[Message]:
        found = [message for message in place if slot in (None, message.binding_slot)]
        return sorted(found, key=lambda message: (message.next_attempt, place[message]))

    def compare(self) -> None:
        case, queue = self.case, self.queue
        slots = sorted({message.binding_slot for message in self.active})
        by_slot = {slot: self.listed(self.active, slot) for slot in slots}
        waiting = self.listed(self.delayed)
        case.assertEqual(queue.active_slots(), slots)
        case.assertEqual(queue.messages(), [*(message for slot in slots for message in by_slot[slot]), *waiting])
        case.assertEqual((queue.active_size(), queue.delayed_size()), (len(self.active), len(self.delayed)))
        case.assertEqual(queue.size(), len(self.active) + len(self.delayed))
        for slot in range(3):
            mine = by_slot.get(slot, [])
            case.assertEqual(queue.active_size(slot), len(mine))
            firsts: dict[Reception, Message] = {}
            for message in mine:
                firsts.setdefault(message.reception, message)
            # Of each class the first may be next.
            case.assertIn(queue.peek_active(slot), list(firsts.values()) or [None])
        case.assertIs(queue.first_delayed(), waiting[0] if waiting else None)
        for message in self.loose:
            case.assertEqual(message.place, 0)
        for place, here in ((self.active, True), (self.delayed, False)):
            for message in place:
                case.assertEqual(queue.is_active(message), here)


class ReleaseTests(SynchronousTestCase):
    """
    Mail that waits for nothing but that its domain can be reached.
    """

    def setUp(self) -> None:
        self.queue = MailQueue()

    def message(self, due: float) -> Message:
        """
        A message that is due at a time.
        """
        reception = Reception(b"a@sender.example", 0.0, 100, "batch")
        message = reception.add(f"id{due}", b"b@example.com")
        message.binding_slot = 0
        message.next_attempt = due
        return message

    def test_onlyThatMail(self) -> None:
        """
        A release takes what could not be delivered for want of a peer, and
        leaves what has another reason to wait.
        """
        put_off, unreached = self.message(500.0), self.message(600.0)
        self.queue.insert_delayed(put_off)
        self.queue.insert_delayed(unreached, unreached=True)
        self.assertEqual(self.queue.release(), 1)
        self.assertEqual(self.queue.release(), 0)
        self.assertEqual(self.queue.delayed_size(), 2)
        self.assertEqual(self.queue.sweep(10.0, 10), 1)
        self.assertIs(self.queue.next_active(0), unreached)
        self.assertIs(self.queue.first_delayed(), put_off)

    def test_inTheirTime(self) -> None:
        """
        Without a release both kinds are due in their time, the earlier first.
        """
        later, sooner = self.message(20.0), self.message(10.0)
        self.queue.insert_delayed(later)
        self.queue.insert_delayed(sooner, unreached=True)
        self.assertIs(self.queue.first_delayed(), sooner)
        self.assertEqual(self.queue.messages(), [sooner, later])
        self.assertEqual(self.queue.sweep(15.0, 10), 1)
        self.assertIs(self.queue.next_active(0), sooner)
        self.assertIs(self.queue.first_delayed(), later)

    def test_removed(self) -> None:
        """
        Each can be taken out wherever it stands, also while a release or a flush
        is under way.
        """
        messages = [self.message(float(due)) for due in range(1, 9)]
        for index, message in enumerate(messages[:4]):
            self.queue.insert_delayed(message, unreached=bool(index % 2))
        self.queue.release()
        for index, message in enumerate(messages[4:6]):
            self.queue.insert_delayed(message, unreached=bool(index % 2))
        self.queue.flush()
        for index, message in enumerate(messages[6:]):
            self.queue.insert_delayed(message, unreached=bool(index % 2))
        for left, message in zip(range(7, -1, -1), messages, strict=True):
            self.assertTrue(self.queue.remove(message))
            self.assertFalse(self.queue.remove(message))
            self.assertEqual((self.queue.size(), len(self.queue.messages())), (left, left))
