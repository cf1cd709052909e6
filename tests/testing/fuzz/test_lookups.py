"""
The judge and mail that is given up because DNS fails.
"""

from __future__ import annotations

from momentum_tx.policy.lookup_failures import LookupFailures
from momentum_tx.testing.fuzz.plan import Options, Plan, Step

from .stories import DOMAIN, OTHER_DOMAIN, StoryCase, mail, small_plan

#: Look-ups are made again and again, and two failures are enough.
HASTY: Options = {"message_expiration": 5000.0, "dns_failures_to_purge": 2, "dns_failure_interval": 10.0}
#: Every message takes a look-up.
FORGETFUL: Options = {"max_dns_ttl": 1, "idle_timeout": 0.0}


class LookupWatchTests(StoryCase):
    """
    Failing look-ups of one domain, and of all.
    """

    def plan(self, others: bool, **settings: float) -> Plan:
        """
        Mail for a domain whose look-ups fail for long.

        :param others: whether those of another domain are answered meanwhile.
        """
        steps = [Step(0.0, "dns", {"fault": "servfail", "name": DOMAIN}), mail(at=1.0)]
        steps.append(Step(200.0, "mend_dns", {"fault": "servfail", "name": DOMAIN}))
        if others:
            steps += [mail(number, at=5.0 * number, to=(OTHER_DOMAIN,)) for number in range(2, 30)]
        return small_plan(
            *steps, settings={**HASTY, **FORGETFUL, **settings}, domains=(DOMAIN, OTHER_DOMAIN), storm=200.0
        )

    def test_given_up(self) -> None:
        """
        It is given up when there is a witness, and the judge knows why.
        """
        player = self.player(self.plan(True))
        self.assertEqual(player.stage.books.counts["given up for DNS"], 1)

    def test_without_witness(self) -> None:
        """
        Who gives it up while nobody was answered has no cause.
        """
        self.planted(self.plan(False), "failed without cause", LookupFailures, "count", lambda *args: True)

    def test_too_soon(self) -> None:
        """
        Nor has he who counts failures that lie close to each other.
        """
        count = LookupFailures.count

        def hasty(self: LookupFailures, health: object, now: float, interval: float) -> bool:
            return count(self, health, now, 0.0)  # type: ignore[arg-type]

        plan = self.plan(True, dns_failure_interval=150.0)
        self.planted(plan, "failed without cause", LookupFailures, "count", hasty)
