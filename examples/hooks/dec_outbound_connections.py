"""
Counts connections that ended without a delivery, by host.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IDecOutboundConnections
from momentum_tx.testing.bench import Bench


@implementer(IDecOutboundConnections)
class Idlers:
    """
    Counts connections that ended without a delivery, by host.
    """

    def __init__(self):
        self.fruitless = {}

    def dec_outbound_connections(self, handle):
        connection = handle.connection
        if not connection.deliveries:
            self.fruitless[connection.host_name] = self.fruitless.get(connection.host_name, 0) + 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Idlers()
    bench = Bench(provider)
    bench.call("dec_outbound_connections", bench.handle(host="mx1.shop.example", deliveries=0))
    bench.call("dec_outbound_connections", bench.handle(host="mx2.shop.example", deliveries=7))
    assert provider.fruitless == {"mx1.shop.example": 1}


if __name__ == "__main__":
    demonstrate()
