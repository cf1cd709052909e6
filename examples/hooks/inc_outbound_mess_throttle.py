"""
Counts what is sent, by domain.
"""

from zope.interface import implementer

from momentum_tx.interfaces.session_hooks import IIncOutboundMessThrottle
from momentum_tx.testing.bench import Bench


@implementer(IIncOutboundMessThrottle)
class Sent:
    """
    Counts what is sent, by domain.
    """

    def __init__(self):
        self.count = {}

    def inc_outbound_mess_throttle(self, binding_id, dr):
        self.count[dr.domain] = self.count.get(dr.domain, 0) + 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Sent()
    bench = Bench(provider)
    bench.call("inc_outbound_mess_throttle", 0, bench.domain("shop.example"))
    assert provider.count == {"shop.example": 1}


if __name__ == "__main__":
    demonstrate()
