"""
Knows how many sessions each binding has, and the most it ever had.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IDecOutboundConnections, IIncOutboundConnections
from momentum_tx.testing.bench import Bench


@implementer(IIncOutboundConnections, IDecOutboundConnections)
class Concurrency:
    """
    Knows how many sessions each binding has, and the most it ever had.
    """

    def __init__(self):
        self.open = {}
        self.most = {}

    def inc_outbound_connections(self, handle):
        slot = handle.binding_slot
        self.open[slot] = self.open.get(slot, 0) + 1
        self.most[slot] = max(self.most.get(slot, 0), self.open[slot])

    def dec_outbound_connections(self, handle):
        self.open[handle.binding_slot] -= 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Concurrency()
    bench = Bench(provider)
    one, two = bench.handle(binding_slot=1), bench.handle(binding_slot=1)
    bench.call("inc_outbound_connections", one)
    bench.call("inc_outbound_connections", two)
    bench.call("dec_outbound_connections", one)
    assert (provider.open, provider.most) == ({1: 1}, {1: 2})


if __name__ == "__main__":
    demonstrate()
