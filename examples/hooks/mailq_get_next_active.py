"""
Sends the smallest of the first few messages first.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IMailqGetNextActive
from momentum_tx.testing.bench import Bench


@implementer(IMailqGetNextActive)
class SmallFirst:
    """
    Sends the smallest of the first few messages first.
    """

    def mailq_get_next_active(self, dr, binding_slot, handle, waiting):
        return min(waiting, key=lambda msg: msg.reception.size, default=None)


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(SmallFirst())
    dr = bench.domain("shop.example")
    large, small = bench.message(dr=dr, size=9000), bench.message(dr=dr, size=100)
    assert bench.call("mailq_get_next_active", dr, 0, bench.handle(dr), [large, small]) is small


if __name__ == "__main__":
    demonstrate()
