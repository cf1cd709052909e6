"""
Nobody waits longer for a turn than promised, and that it is noticed when
somebody does.
"""

from __future__ import annotations

from typing import Any

from momentum_tx.queues.fair_queue import FairQueue
from momentum_tx.testing.fuzz.plan import Options, Plan, Step

from .stories import DOMAIN, StoryCase, mail, small_plan

#: One message after the other.
ONE: Options = {"max_outbound_connections": 1}


def crowd(*more: Step, **fields: Any) -> Plan:
    """
    Thirty letters of a tenant, and then three of another.
    """
    steps = [mail(number, said={"tenant": "many"}) for number in range(1, 31)]
    steps += [mail(number, at=1.1, said={"tenant": "few"}) for number in range(31, 34)]
    return small_plan(*steps, *more, settings={**ONE, **fields})


def first_come(queue: FairQueue) -> Any:
    """
    A bug: whoever was first goes on as long as he has mail.
    """
    found = next((each for each in queue._classes.values() if each.mail.live), None)
    if found is None:
        return None
    message = found.mail.pop()
    queue.live -= 1
    queue._turn(found)
    return message


class TurnWatchTests(StoryCase):
    """
    The promise, and who breaks it.
    """

    def test_kept_waiting(self) -> None:
        """
        A tenant with little mail waits until another has none.
        """
        fault = self.planted(crowd(), "kept waiting", FairQueue, "pop", first_come)
        self.assertIn("tenant='few'", fault.text)
        self.assertIn("of weight 1: its message 1 must go with turn 3, and this is turn 4", fault.text)

    def test_weights(self) -> None:
        """
        A class of little weight has to wait, and one of much has not.
        """
        plan = crowd(share_weights=["tenant:few=0.5"])
        fault = self.planted(plan, "kept waiting", FairQueue, "pop", first_come)
        self.assertIn("of weight 0.5: its message 1 must go with turn 4", fault.text)

    def test_new_weights(self) -> None:
        """
        Where weights have changed both count, and the greater need is not blamed.
        """
        options = {"share_weights": ["tenant:few=20", "tenant:many=0.1"]}
        self.innocent(crowd(Step(1.2, "reload", {"header": "global", "options": options})))

    def test_along(self) -> None:
        """
        Recipients that go in one transaction are turns that nobody could foresee.
        """
        steps = [mail(number, to=(DOMAIN,) * 8, said={"tenant": f"t{number % 3}"}) for number in range(1, 20)]
        self.innocent(small_plan(*steps, mail(20, at=1.1, said={"tenant": "few"}), settings=ONE))

    def test_free_of_charge(self) -> None:
        """
        A class that does not pay for what goes along has more than its share.
        """
        steps = [mail(number, to=(DOMAIN,) * 8, said={"tenant": "many"}) for number in range(1, 10)]
        steps += [mail(number, said={"tenant": "few"}) for number in range(10, 60)]
        plan = small_plan(*steps, settings=ONE)
        self.planted(plan, "kept waiting", FairQueue, "take", lambda queue, message: queue.drop(message))

    def test_empty_in_between(self) -> None:
        """
        A queue that was empty begins anew, and so does the account.
        """
        steps = [
            mail(number, at=at, said={"tenant": f"t{number % 2}"}) for number, at in enumerate((1.0, 1.0, 9.0, 9.0), 1)
        ]
        self.innocent(small_plan(*steps, settings=ONE))
