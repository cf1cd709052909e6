"""
Aims for one connection until a domain has taken its first message.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IConnectionGoal
from momentum_tx.testing.bench import Bench


@implementer(IConnectionGoal)
class SlowStart:
    """
    Aims for one connection until a domain has taken its first message.
    """

    def connection_goal(self, dr, binding_slot, queued, goal):
        return goal if dr.deliveries else min(goal, 1)


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(SlowStart())
    assert bench.call("connection_goal", bench.domain(deliveries=0), 0, 40, 9) == 1
    assert bench.call("connection_goal", bench.domain(deliveries=3), 0, 40, 9) == 9


if __name__ == "__main__":
    demonstrate()
