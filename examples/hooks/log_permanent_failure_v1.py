"""
Collects recipients that do not exist, so that nobody writes to them again.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogPermanentFailureV1
from momentum_tx.testing.bench import Bench


@implementer(ILogPermanentFailureV1)
class Suppression:
    """
    Collects recipients that do not exist, so that nobody writes to them again.
    """

    def __init__(self):
        self.gone = set()

    def log_permanent_failure_v1(self, msg, dr, now, note):
        text = note if note is not None else msg.code
        if text.startswith(b"550 5.1.1"):
            self.gone.add(msg.recipient)


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Suppression()
    bench = Bench(provider)
    gone, full = bench.message("nobody@shop.example"), bench.message("max@shop.example", code=b"552 5.2.2 full")
    bench.call("log_permanent_failure_v1", gone, gone.domain, bench.now, b"550 5.1.1 no such user")
    bench.call("log_permanent_failure_v1", full, full.domain, bench.now, None)
    assert provider.gone == {b"nobody@shop.example"}


if __name__ == "__main__":
    demonstrate()
