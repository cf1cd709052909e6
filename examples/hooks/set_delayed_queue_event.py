"""
Looks after one domain every second.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import ISetDelayedQueueEvent
from momentum_tx.testing.bench import Bench


@implementer(ISetDelayedQueueEvent)
class Impatient:
    """
    Looks after one domain every second.
    """

    def set_delayed_queue_event(self, dr, now, when):
        return min(when, now + 1.0) if dr.domain == "partner.example" else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Impatient())
    partner = bench.domain("partner.example")
    assert bench.call("set_delayed_queue_event", partner, bench.now, bench.now + 20) == bench.now + 1
    assert bench.call("set_delayed_queue_event", bench.domain(), bench.now, bench.now + 20) is None


if __name__ == "__main__":
    demonstrate()
