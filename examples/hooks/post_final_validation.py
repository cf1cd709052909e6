"""
Knows the largest message that was taken.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IPostFinalValidation
from momentum_tx.testing.bench import Bench


@implementer(IPostFinalValidation)
class Largest:
    """
    Knows the largest message that was taken.
    """

    def __init__(self):
        self.size = 0

    def post_final_validation(self, ac, content):
        self.size = max(self.size, len(content))


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Largest()
    bench = Bench(provider)
    bench.call("post_final_validation", bench.reception(), b"Subject: x\r\n\r\nHello.\r\n")
    assert provider.size == 22


if __name__ == "__main__":
    demonstrate()
