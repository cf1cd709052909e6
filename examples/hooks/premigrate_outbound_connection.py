"""
Knows how many sessions each domain has.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import (
    IDecOutboundConnections,
    IIncOutboundConnections,
    IPremigrateOutboundConnection,
)
from momentum_tx.testing.bench import Bench


@implementer(IDecOutboundConnections, IIncOutboundConnections, IPremigrateOutboundConnection)
class ByDomain:
    """
    Knows how many sessions each domain has.
    """

    def __init__(self):
        self.open = {}

    def inc_outbound_connections(self, handle):
        self._count(handle.dr, 1)

    def dec_outbound_connections(self, handle):
        self._count(handle.dr, -1)

    def premigrate_outbound_connection(self, handle, src, dest):
        self._count(src, -1)
        self._count(dest, 1)

    def _count(self, dr, change):
        self.open[dr.domain] = self.open.get(dr.domain, 0) + change


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = ByDomain()
    bench = Bench(provider)
    one, other = bench.domain("one.example"), bench.domain("other.example")
    handle = bench.handle(one)
    bench.call("inc_outbound_connections", handle)
    bench.call("premigrate_outbound_connection", handle, one, other)
    assert provider.open == {"one.example": 0, "other.example": 1}


if __name__ == "__main__":
    demonstrate()
