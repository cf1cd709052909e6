"""
Counts requeues by domain.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IPreMailqMessageRequeue
from momentum_tx.testing.bench import Bench


@implementer(IPreMailqMessageRequeue)
class Requeues:
    """
    Counts requeues by domain.
    """

    def __init__(self):
        self.count = {}

    def pre_mailq_message_requeue(self, msg, now):
        self.count[msg.domain.domain] = self.count.get(msg.domain.domain, 0) + 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Requeues()
    bench = Bench(provider)
    bench.call("pre_mailq_message_requeue", bench.message("lea@shop.example"), bench.now)
    assert provider.count == {"shop.example": 1}


if __name__ == "__main__":
    demonstrate()
