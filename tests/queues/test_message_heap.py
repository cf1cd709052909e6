"""
Tests of :mod:`momentum_tx.queues.message_heap`; more are in ``test_mail_queue``.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.queues.message import Message, Reception, Traits
from momentum_tx.queues.message_heap import MessageHeap


class MessageHeapTests(SynchronousTestCase):
    """
    Messages in the order in which they are due.
    """

    def setUp(self) -> None:
        self.heap = MessageHeap(Traits("acme"))
        self.reception = Reception(b"", 0.0, 1, "b")
        self.tickets = 0

    def push(self, due: float) -> Message:
        message = self.reception.add("m", b"r")
        message.next_attempt = due
        self.tickets += 2
        self.heap.push(self.tickets, message)
        return message

    def test_order(self) -> None:
        """
        By time, and first come first out among equals; looking takes nothing.
        """
        late, early, same = self.push(2.0), self.push(1.0), self.push(1.0)
        self.assertEqual(list(self.heap), [early, same, late])
        self.assertIs(self.heap.first(), early)
        self.assertEqual([self.heap.pop() for _ in range(4)], [early, same, late, None])
        self.assertEqual(self.heap.live, 0)

    def test_taken_from_the_middle(self) -> None:
        """
        What is dropped or taken never comes up, and leaves no more behind than the heap can bear.
        """
        messages = [self.push(float(when)) for when in range(500)]
        for message in messages[1:250]:
            self.heap.drop(message)
        for message in messages[250:]:
            self.heap.take(message)
        self.assertEqual((self.heap.live, list(self.heap)), (1, messages[:1]))
        self.assertLess(len(self.heap._entries), 70)

    def test_shift(self) -> None:
        """
        All are due so much later but those that are not to be; nothing comes up that was taken.
        """
        messages = [self.push(float(when)) for when in (10, 20, 30, 40)]
        self.heap.drop(messages[0])
        self.heap.shift(15.0, lambda message: message is messages[3])
        self.assertEqual([message.next_attempt for message in self.heap], [35.0, 40.0, 45.0])
        self.heap.shift(-1.0)
        self.assertEqual([message.next_attempt for message in self.heap], [34.0, 39.0, 44.0])
        self.assertEqual([self.heap.pop() for _ in range(4)], [messages[1], messages[3], messages[2], None])

    def test_slim(self) -> None:
        """
        A queue costs no dictionary, and knows its class.
        """
        self.assertFalse(hasattr(self.heap, "__dict__"))
        self.assertEqual(self.heap.key, ("acme", "", ""))
        self.assertIsNone(MessageHeap().key)
