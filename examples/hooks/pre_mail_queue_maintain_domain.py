"""
Knows which domains are looked after.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IPreMailQueueMaintainDomain
from momentum_tx.testing.bench import Bench


@implementer(IPreMailQueueMaintainDomain)
class Passes:
    """
    Knows which domains are looked after.
    """

    def __init__(self):
        self.count = {}

    def pre_mail_queue_maintain_domain(self, dr, now):
        self.count[dr.domain] = self.count.get(dr.domain, 0) + 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Passes()
    bench = Bench(provider)
    bench.call("pre_mail_queue_maintain_domain", bench.domain("shop.example"), bench.now)
    assert provider.count == {"shop.example": 1}


if __name__ == "__main__":
    demonstrate()
