"""
Tests of :mod:`momentum_tx.queues.fair_queue`.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.queues.fair_queue import FairQueue
from momentum_tx.queues.message import NO_TRAITS, Message, Reception, Traits, traits_of
from momentum_tx.queues.message_heap import MessageHeap


class Shared:
    """
    A fair queue whose classes are named by one word each.

    :param weights: weight by name.
    """

    def __init__(self, weights: dict[str, float]) -> None:
        self.weights = weights
        self.tickets = 0
        self.queue = FairQueue(lambda key: self.weights[key.tenant], MessageHeap(NO_TRAITS))

    def send(self, name: str, due: float = 0.0) -> Message:
        """
        Queue a message of a class.
        """
        message = Reception(b"", 0.0, 1, "b", traits=traits_of(name, "", "")).add("m", b"r")
        message.next_attempt = due
        self.tickets += 2
        self.queue.push(self.tickets, message)
        return message

    def fill(self, names: Iterable[str], count: int) -> None:
        """
        Queue *count* messages of each class.
        """
        for name in names:
            for _ in range(count):
                self.send(name)

    def turn(self) -> str:
        """
        The class of the message whose turn it is; empty if there is none.
        """
        expected = self.queue.first()
        message = self.queue.pop()
        assert message is expected
        return message.reception.tenant if message is not None else "nobody"

    def turns(self, count: int) -> list[str]:
        """
        The classes of the next messages.
        """
        return [self.turn() for _ in range(count)]


def shared(**weights: float) -> Shared:
    """
    A queue that knows these classes.
    """
    return Shared({"": 1.0, **weights})


def gaps(order: list[str], name: str) -> list[int]:
    """
    Turns from each turn of a class to its next one.
    """
    at = [index for index, each in enumerate(order) if each == name]
    return [after - before for before, after in pairwise(at)]


class Ideal:
    """
    The server that serves all classes at once, each at the speed of its weight, in exact arithmetic: the
    measure of what the queue may do.  It knows nothing of virtual time.
    """

    def __init__(self, weights: dict[str, int]) -> None:
        self.weights = weights
        #: By class: messages that came, and messages (parts included) that were served.
        self.came: Counter[str] = Counter()
        self.served: defaultdict[str, Fraction] = defaultdict(Fraction)
        self.turn = 0

    def serve(self) -> dict[str, list[Fraction]]:
        """
        One turn.

        :returns: times at which messages were finished, in their order, by class.
        """
        finished: dict[str, list[Fraction]] = {name: [] for name in self.weights}
        time, end = Fraction(self.turn), Fraction(self.turn + 1)
        self.turn += 1
        while time < end:
            busy = [name for name in self.weights if self.served[name] < self.came[name]]
            total = sum(self.weights[name] for name in busy)
            if not total:
                break
            # Until the next message of any class is finished.
            step = min((int(self.served[name]) + 1 - self.served[name]) * total / self.weights[name] for name in busy)
            step = min(Fraction(step), end - time)
            time += step
            for name in busy:
                before = int(self.served[name])
                self.served[name] += step * self.weights[name] / total
                if int(self.served[name]) > before:
                    finished[name].append(time)
        return finished


class PromiseTests(SynchronousTestCase):
    """
    What the queue promises, against the ideal server and against the numbers that are published.
    """

    def against_ideal(self, seed: int) -> None:
        """
        Play a random story; no message may be taken before the ideal server has begun with it, nor after it
        has finished it.
        """
        rng = random.Random(seed)
        names = [f"c{number}" for number in range(rng.choice((2, 3, 5, 9, 60)))]
        weights = {name: rng.choice((1, 1, 1, 2, 3, 7, rng.randint(1, 40))) for name in names}
        one = Shared({"": 1.0, **weights})
        ideal = Ideal(weights)
        taken: dict[str, list[int]] = {name: [] for name in names}
        finished: dict[str, int] = dict.fromkeys(names, 0)
        burst = rng.choice((1, 5, 40))
        for turn in range(400):
            if rng.random() < rng.choice((0.1, 0.5, 0.9)):
                name = rng.choice(names)
                for _ in range(rng.randint(1, burst)):
                    one.send(name)
                    ideal.came[name] += 1
            name = one.turn()
            if name == "nobody":
                self.assertEqual(sum(ideal.came.values()), sum(map(len, taken.values())))
            else:
                self.assertLessEqual(len(taken[name]), ideal.served[name], (seed, turn))
                taken[name].append(turn)
            for name, times in ideal.serve().items():
                for time in times:
                    self.assertLessEqual(len(taken[name]) and taken[name][finished[name]], time, (seed, turn))
                    finished[name] += 1

    def test_against_ideal(self) -> None:
        """
        Every message is taken after the ideal server began with it and before that has finished it, whoever comes
        and goes.
        """
        for seed in range(40):
            self.against_ideal(seed)

    @given(st.lists(st.integers(1, 60), min_size=2, max_size=12), st.integers(0, 2**32), st.integers(1, 8))
    @settings(max_examples=60, deadline=None)
    def test_published(self, weights: list[int], seed: int, connections: int) -> None:
        """
        A class that gets mail has its k-th message leave at most ``ceil(k * W / w) + C`` turns later, with C
        connections that take a message each when they have delivered the one before; two of its turns are less
        than ``2 * W / w + C`` apart.
        """
        rng = random.Random(seed)
        one = Shared({"": 1.0, **{f"c{number}": float(weight) for number, weight in enumerate(weights)}})
        others = [f"c{number}" for number in range(1, len(weights))]
        total, weight = sum(weights), weights[0]
        one.fill(others, total)
        one.turns(rng.randint(0, total))
        under_way = deque(one.turns(connections))
        one.fill(["c0"], total)
        delivered: list[str] = []
        for _ in range(total):
            # The others' mail comes and goes; W counts all of them.
            one.fill(rng.sample(others, rng.randint(0, len(others))), rng.randint(0, 2))
            delivered.append(under_way.popleft())
            under_way.append(one.turn())
        at = [number for number, name in enumerate(delivered, 1) if name == "c0"]
        for k, number in enumerate(at, 1):
            self.assertLessEqual(number, ceil(Fraction(k * total, weight)) + connections)
        self.assertGreaterEqual(len(at), (total - connections) * weight // total)
        for gap in gaps(delivered, "c0"):
            self.assertLess(gap, Fraction(2 * total, weight) + connections)

    def test_whatever_happens(self) -> None:
        """
        The promise holds where mail is taken away, goes along with other mail, and weights change: with W of all
        classes there are, their greatest weights, and a batch of each.
        """
        for seed in range(100):
            rng = random.Random(seed)
            weights: dict[str, float] = {f"c{number}": float(rng.randint(1, 20)) for number in range(5)}
            one = Shared({"": 1.0, **weights, "mine": 4.0})
            most = {name: max(weight, 20.0) for name, weight in weights.items()}
            total, along = sum(most.values()) + 4.0, rng.choice((1, 2, 5))
            queued: list[Message] = []
            waited = served = 0
            one.fill(["mine"], 400)
            for _ in range(1500):
                dice = rng.random()
                if dice < 0.4 or not queued:
                    queued += [one.send(rng.choice(list(weights))) for _ in range(rng.randint(1, 4))]
                elif dice < 0.5:
                    one.queue.drop(queued.pop(rng.randrange(len(queued))))
                elif dice < 0.52:
                    one.weights[rng.choice(list(weights))] = float(rng.randint(1, 20))
                    one.queue.reweigh()
                else:
                    message = one.queue.pop()
                    assert message is not None
                    waited += 1
                    if message.reception.tenant == "mine":
                        served += 1
                        self.assertLessEqual(waited, ceil(served * total / 4.0) + 1 + 6 * (along - 1), seed)
                        continue
                    queued.remove(message)
                    mates = [each for each in queued if each.reception.traits == message.reception.traits]
                    for mate in mates[: rng.randrange(along)]:
                        one.queue.take(mate)
                        queued.remove(mate)
                        waited += 1
            self.assertGreater(served, 10)

    def test_long_run(self) -> None:
        """
        Over any length of time classes that have mail all along get turns by their weights, to within two.
        """
        for seed in range(20):
            rng = random.Random(seed)
            weights = {f"c{number}": rng.randint(1, 30) for number in range(rng.randint(2, 12))}
            one = Shared({"": 1.0, **weights})
            one.fill(weights, 2000)
            order = one.turns(2000)
            total = sum(weights.values())
            for start in range(0, 2000, 130):
                for end in range(start, 2001, 310):
                    seen = Counter(order[start:end])
                    for name, weight in weights.items():
                        self.assertLess(abs(seen[name] - (end - start) * weight / total), 2.0)

    def test_fractions_of_a_thousandth(self) -> None:
        """
        Weights count in thousandths; what is smaller counts as one, so that every class has its turn.
        """
        one = shared(dust=1e-9, tiny=0.001, half=0.5)
        one.fill(["dust", "tiny", "half"], 3000)
        self.assertEqual(Counter(one.turns(1004)), {"half": 1000, "tiny": 2, "dust": 2})


class FairQueueTests(SynchronousTestCase):
    """
    What the senders of mail see.
    """

    def test_turns(self) -> None:
        """
        Classes of one weight take turns; what is left of one goes in a row.
        """
        one = shared(a=1, b=1)
        one.fill("a", 4)
        one.fill("b", 2)
        self.assertEqual(one.turns(7), ["a", "b", "a", "b", "a", "a", "nobody"])

    def test_spread(self) -> None:
        """
        A heavy class has every second turn among ten light ones, and neither it nor they go in a row.
        """
        light = [f"light{number}" for number in range(10)]
        one = shared(heavy=10, **dict.fromkeys(light, 1))
        one.fill(["heavy", *light], 100)
        order = one.turns(200)
        self.assertEqual(set(gaps(order, "heavy")), {2})
        for name in light:
            self.assertEqual(set(gaps(order, name)), {20})

    def test_newcomer(self) -> None:
        """
        Whoever comes late to a long queue waits for one round, not for the queue, and gets nothing for the time it
        was not there.
        """
        one = shared(bulk=3, late=1)
        one.fill(["bulk"], 1000)
        one.turns(400)
        one.fill(["late"], 100)
        order = one.turns(40)
        self.assertLessEqual(order.index("late"), 4)
        self.assertEqual(Counter(order), {"bulk": 30, "late": 10})

    def test_one_by_one(self) -> None:
        """
        Who sends one message after the other, each when the last has gone, gets the share of its weight and no more.
        """
        one = shared(bulk=3, drop=1)
        one.fill(["bulk"], 1000)
        order = []
        waits = False
        for _ in range(400):
            if not waits:
                one.send("drop")
                waits = True
            order.append(one.turn())
            waits = order[-1] != "drop"
        self.assertEqual(Counter(order), {"bulk": 300, "drop": 100})

    def test_passing_classes(self) -> None:
        """
        Classes that come with one message each and never again leave by the next turn but one, and the rest of the
        turns to those that stay; nothing is left of them.
        """
        names = [f"passing{number}" for number in range(200)]
        one = shared(bulk=1, **dict.fromkeys(names, 1))
        one.fill(["bulk"], 1000)
        order = []
        for name in names:
            one.send(name)
            order += one.turns(2)
            self.assertIn(name, order[-2:])
        self.assertEqual(order.count("bulk"), 200)
        one.turns(2)
        self.assertEqual(len(one.queue), 1)

    def test_forgets(self) -> None:
        """
        A class without mail is forgotten when its last turn is paid for, and at once if it was none.
        """
        one = shared(bulk=1, a=1, b=1)
        one.fill(["bulk"], 10)
        gone = one.send("a")
        one.send("b")
        self.assertEqual(len(one.queue), 3)
        one.queue.drop(gone)
        self.assertEqual(len(one.queue), 2)
        self.assertEqual(one.turns(2), ["bulk", "b"])
        one.turns(2)
        self.assertEqual(len(one.queue), 1)

    def test_forgets_one_that_was_ahead(self) -> None:
        """
        A class whose mail is taken away after a turn it has not paid for yet is forgotten later.
        """
        one = shared(bulk=1, a=1)
        gone = [one.send("a"), one.send("a")]
        one.fill(["bulk"], 10)
        self.assertEqual(one.turn(), "a")
        one.queue.drop(gone[1])
        self.assertEqual(len(one.queue), 2)
        one.turns(2)
        self.assertEqual((len(one.queue), one.queue.live), (1, 8))

    def test_order_within(self) -> None:
        """
        Within a class the longest due goes first, and what is due together in the order it came.
        """
        one = shared(a=1, b=1)
        late, early, same, also = (one.send("a", when) for when in (9.0, 1.0, 5.0, 5.0))
        other = one.send("b", 3.0)
        self.assertEqual(list(one.queue), [early, other, same, also, late])
        taken = [one.queue.pop() for _ in range(6)]
        self.assertEqual(taken, [early, other, same, also, late, None])
        self.assertEqual((one.queue.live, one.queue.first()), (0, None))

    def test_shift(self) -> None:
        """
        When all mail is due later, turns and order stay what they were.
        """
        one = shared(a=1, b=1)
        early, other, late = one.send("a", 1.0), one.send("b", 3.0), one.send("a", 9.0)
        one.queue.shift(100.0)
        self.assertEqual([message.next_attempt for message in one.queue], [101.0, 103.0, 109.0])
        self.assertEqual([one.queue.pop() for _ in range(4)], [early, other, late, None])

    def test_takes_over(self) -> None:
        """
        The mail that was there first is a class like the others.
        """
        mail = MessageHeap(Traits("a"))
        first = Reception(b"", 0.0, 1, "b", traits=Traits("a")).add("m", b"r")
        mail.push(2, first)
        one = shared(a=1, b=1)
        one.queue = FairQueue(lambda key: 1.0, mail)
        one.tickets = 2
        one.fill("ab", 2)
        self.assertEqual((one.queue.live, one.turns(5)), (5, ["a", "b", "a", "b", "a"]))

    def test_removed_first(self) -> None:
        """
        Mail that was removed has no turn; when everything else has had more than its share nobody waits for that.
        """
        one = shared(a=1, b=1)
        mine = [one.send("a") for _ in range(3)]
        others = [one.send("b") for _ in range(3)]
        for message in (*mine[:2], *others):
            one.queue.drop(message)
        self.assertEqual(one.turns(2), ["a", "nobody"])
        one.send("b")
        ahead = [one.send("a") for _ in range(9)]
        for message in ahead[1:8]:
            one.queue.take(message)
        self.assertEqual(one.turns(4), ["b", "a", "a", "nobody"])

    def test_reweighed(self) -> None:
        """
        New weights count from the next turn on.
        """
        one = shared(a=1, b=1)
        one.fill("ab", 300)
        self.assertEqual(Counter(one.turns(100)), {"a": 50, "b": 50})
        one.queue.reweigh()
        one.weights["a"] = 4.0
        one.queue.reweigh()
        self.assertEqual(Counter(one.turns(100)), {"a": 80, "b": 20})
        one.weights["a"] = 0.25
        one.queue.reweigh()
        self.assertEqual(Counter(one.turns(100)), {"a": 20, "b": 80})

    def test_reweighed_debt(self) -> None:
        """
        A class that has had a turn more than its share pays the same part of a turn with its new weight.
        """
        one = shared(a=1, b=9)
        one.fill("ab", 100)
        order = one.turns(2)
        self.assertIn("a", order)
        one.weights["a"] = 9.0
        one.queue.reweigh()
        self.assertIn("a", one.turns(3))

    def test_for_ever(self) -> None:
        """
        A queue that is never empty stays exact, however many turns it has seen.
        """
        one = shared(a=0.001, b=0.002)
        one.fill("ab", 50)
        order = []
        for _ in range(3000):
            order.append(one.turn())
            one.send(order[-1])
        self.assertLess(one.queue._virtual, 66000.0)
        self.assertEqual(Counter(order), {"a": 1000, "b": 2000})
        self.assertEqual(set(gaps(order, "a")), {3})

    def test_slim(self) -> None:
        """
        Neither the queue nor a class costs a dictionary of attributes.
        """
        one = shared(a=1)
        one.send("a")
        for record in (one.queue, *one.queue._classes.values()):
            self.assertFalse(hasattr(record, "__dict__"))
