"""
Has a table of what became of everything.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IMsgDispose
from momentum_tx.testing.bench import Bench


@implementer(IMsgDispose)
class Ends:
    """
    Has a table of what became of everything.
    """

    def __init__(self):
        self.ends = {}

    def msg_dispose(self, msg, delivered):
        self.ends[msg.id] = "delivered" if delivered else "failed"


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Ends()
    bench = Bench(provider)
    message = bench.message()
    bench.call("msg_dispose", message, True)
    assert provider.ends == {message.id: "delivered"}


if __name__ == "__main__":
    demonstrate()
