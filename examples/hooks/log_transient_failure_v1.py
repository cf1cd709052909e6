"""
Counts what looks like greylisting, by domain.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogTransientFailureV1
from momentum_tx.testing.bench import Bench


@implementer(ILogTransientFailureV1)
class Greylisted:
    """
    Counts what looks like greylisting, by domain.
    """

    def __init__(self):
        self.count = {}

    def log_transient_failure_v1(self, msg, dr, now, note):
        text = note if note is not None else msg.code
        if msg.num_retries == 0 and b"greylist" in text.lower():
            self.count[dr.domain] = self.count.get(dr.domain, 0) + 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Greylisted()
    bench = Bench(provider)
    for tries in (0, 1):
        message = bench.message("lea@shop.example", num_retries=tries)
        bench.call("log_transient_failure_v1", message, message.domain, bench.now, b"451 4.7.1 Greylisted")
    assert provider.count == {"shop.example": 1}


if __name__ == "__main__":
    demonstrate()
