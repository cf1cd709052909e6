"""
Counts the connections that are begun, by binding slot.
"""

from zope.interface import implementer

from momentum_tx.interfaces.session_hooks import IIncOutboundConnThrottle
from momentum_tx.testing.bench import Bench


@implementer(IIncOutboundConnThrottle)
class Begun:
    """
    Counts the connections that are begun, by binding slot.
    """

    def __init__(self):
        self.count = {}

    def inc_outbound_conn_throttle(self, binding_id, dr):
        self.count[binding_id] = self.count.get(binding_id, 0) + 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Begun()
    bench = Bench(provider)
    bench.call("inc_outbound_conn_throttle", 1, bench.domain())
    assert provider.count == {1: 1}


if __name__ == "__main__":
    demonstrate()
