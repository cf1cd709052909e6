"""
Knows the most recipients that a message had.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import ISwapOutMulti
from momentum_tx.testing.bench import Bench


@implementer(ISwapOutMulti)
class Widest:
    """
    Knows the most recipients that a message had.
    """

    def __init__(self):
        self.most = 0

    def swap_out_multi(self, ac, messages):
        self.most = max(self.most, len(messages))


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Widest()
    bench = Bench(provider)
    reception = bench.reception()
    messages = [bench.message(f"u{number}@shop.example", reception=reception) for number in range(3)]
    bench.call("swap_out_multi", reception, messages)
    assert provider.most == 3


if __name__ == "__main__":
    demonstrate()
