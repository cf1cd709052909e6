"""
Holds what goes to a competitor, until somebody has looked at it.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IEcMessageEnqueue
from momentum_tx.testing.bench import Bench


@implementer(IEcMessageEnqueue)
class Suspicious:
    """
    Holds what goes to a competitor, until somebody has looked at it.
    """

    def ec_message_enqueue(self, msg, now):
        return msg.recipient.endswith(b"@competitor.example")


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Suspicious())
    assert bench.call("ec_message_enqueue", bench.message("ceo@competitor.example"), bench.now)
    assert not bench.call("ec_message_enqueue", bench.message("lea@shop.example"), bench.now)


if __name__ == "__main__":
    demonstrate()
