"""
Keeps the ids of messages that took longer than an hour.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogDeliveryV1
from momentum_tx.testing.bench import Bench


@implementer(ILogDeliveryV1)
class SlowMail:
    """
    Keeps the ids of messages that took longer than an hour.
    """

    def __init__(self):
        self.slow = []

    def log_delivery_v1(self, msg, dr, now, note):
        if now is not None and now - msg.reception.creation_time > 3600:
            self.slow.append(msg.id)


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = SlowMail()
    bench = Bench(provider)
    early = bench.message()
    bench.advance(3601)
    late = bench.message()
    for message in (early, late):
        bench.call("log_delivery_v1", message, message.domain, bench.now, b"250 2.0.0 taken")
    assert provider.slow == [early.id]


if __name__ == "__main__":
    demonstrate()
