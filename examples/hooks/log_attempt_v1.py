"""
Remembers the last hundred attempts, for a debugging session.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogAttemptV1
from momentum_tx.testing.bench import Bench


@implementer(ILogAttemptV1)
class Trace:
    """
    Remembers the last hundred attempts, for a debugging session.
    """

    def __init__(self):
        self.lines = []

    def log_attempt_v1(self, msg, dr, now, note):
        text = note.decode("utf-8", "backslashreplace")
        self.lines.append(f"{msg.id} try {msg.num_retries + 1} for {dr.domain}: {text}")
        del self.lines[:-100]


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Trace()
    bench = Bench(provider)
    message = bench.message("lea@shop.example", num_retries=1)
    bench.call("log_attempt_v1", message, message.domain, bench.now, b"450 4.2.0 come back later")
    assert provider.lines == [f"{message.id} try 2 for shop.example: 450 4.2.0 come back later"]


if __name__ == "__main__":
    demonstrate()
