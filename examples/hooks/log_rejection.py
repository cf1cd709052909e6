"""
Keeps the replies to those who tried to relay through us.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogRejection
from momentum_tx.testing.bench import Bench

RELAYING_DENIED = 13


@implementer(ILogRejection)
class RelayAttempts:
    """
    Keeps the replies to those who tried to relay through us.
    """

    def __init__(self):
        self.seen = []

    def log_rejection(self, now, ac, ctx, phase, format, args):
        if phase == RELAYING_DENIED:
            self.seen.append((ac.peer, format % args))


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = RelayAttempts()
    bench = Bench(provider)
    known = {"code": "550", "command": "RCPT TO:<a@b.example>"}
    bench.call(
        "log_rejection", bench.now, bench.client("192.0.2.17"), known, 13, "%d %s", (550, "5.7.1 Relaying denied")
    )
    assert provider.seen == [("192.0.2.17", "550 5.7.1 Relaying denied")]


if __name__ == "__main__":
    demonstrate()
