"""
The judge knows on which binding mail was, and sees when a start has forgotten it.
"""

from __future__ import annotations

from momentum_tx.spool.journal import JournalSpool
from momentum_tx.testing.fuzz.plan import Plan, Step

from .stories import DOMAIN, StoryCase, mail, small_plan


def moved(end: Step) -> Plan:
    """
    Mail that waits goes to another binding, and then the process ends.
    """
    table = f'domain."{DOMAIN}"'
    return small_plan(
        Step(0.5, "reload", {"header": table, "options": {"suspend_delivery": True}}),
        mail(binding="b0"),
        Step(5.0, "rebind", {"domain": "", "source": "", "binding": "b1", "group": ""}),
        end,
        bindings=[("b0", ""), ("b1", "")],
    )


class BindingWatchTests(StoryCase):
    """
    A move to another binding that was not recorded.
    """

    def test_forgotten(self) -> None:
        """
        After a kill, and after a stop, the mail is where it was before.
        """
        for end in (
            Step(10.0, "kill", {"operations": 0, "garbage": False, "down": 1.0}),
            Step(10.0, "stop", {"down": 1.0}),
        ):
            fault = self.planted(moved(end), "binding lost", JournalSpool, "requeued", lambda spool, message: None)
            self.assertIn("is of slot 1, and was of 2", fault.text)

    def test_of_this_moment(self) -> None:
        """
        What was moved in the moment of the kill need not be on record.
        """
        self.patch(JournalSpool, "requeued", lambda spool, message: None)
        self.innocent(moved(Step(5.0, "kill", {"operations": 0, "garbage": False, "down": 1.0})))

    def test_power_cut(self) -> None:
        """
        Nor after a power cut, of which the journal's own tests speak.
        """
        self.patch(JournalSpool, "requeued", lambda spool, message: None)
        self.innocent(moved(Step(10.0, "power", {"operations": 0, "garbage": False, "down": 1.0})))
