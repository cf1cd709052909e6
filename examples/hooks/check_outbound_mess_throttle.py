"""
Sends one domain at most one message a second.
"""

from zope.interface import implementer

from momentum_tx.interfaces.session_hooks import ICheckOutboundMessThrottle
from momentum_tx.testing.bench import Bench


@implementer(ICheckOutboundMessThrottle)
class OnePerSecond:
    """
    Sends one domain at most one message a second.
    """

    def __init__(self):
        self.next = {}

    def check_outbound_mess_throttle(self, binding_id, dr, now, later):
        return max(later, self.next.get(dr.domain, 0.0))

    def sent(self, dr, now):
        self.next[dr.domain] = now + 1.0


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = OnePerSecond()
    bench = Bench(provider)
    dr = bench.domain("shop.example")
    assert bench.call("check_outbound_mess_throttle", 0, dr, bench.now, 0.0) == 0.0
    provider.sent(dr, bench.now)
    assert bench.call("check_outbound_mess_throttle", 0, dr, bench.now, 0.0) == bench.now + 1


if __name__ == "__main__":
    demonstrate()
