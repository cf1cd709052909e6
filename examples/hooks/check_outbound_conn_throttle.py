"""
Opens at most one connection a second for each domain.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ICheckOutboundConnThrottle
from momentum_tx.testing.bench import Bench


@implementer(ICheckOutboundConnThrottle)
class OnePerSecond:
    """
    Opens at most one connection a second for each domain.
    """

    def __init__(self):
        self.opened = {}

    def check_outbound_conn_throttle(self, binding_id, dr, now, later):
        if now is None:
            return later
        free = self.opened.get(dr.domain, 0.0) + 1.0
        if free > now:
            return max(later, free)
        if later <= now:
            self.opened[dr.domain] = now
        return later


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(OnePerSecond())
    dr = bench.domain("shop.example")
    assert bench.call("check_outbound_conn_throttle", 0, dr, bench.now, 0.0) == 0.0
    assert bench.call("check_outbound_conn_throttle", 0, dr, bench.now, 0.0) == bench.now + 1
    bench.advance(1)
    assert bench.call("check_outbound_conn_throttle", 0, dr, bench.now, 0.0) == 0.0


if __name__ == "__main__":
    demonstrate()
