"""
Knows how much mail waits for each reason.
"""

from collections import Counter

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IMessageState
from momentum_tx.testing.bench import Bench


@implementer(IMessageState)
class Reasons:
    """
    Knows how much mail waits for each reason.
    """

    def __init__(self):
        self.count = Counter()

    def message_state(self, msg, dr, now, state, about):
        self.count[about.get("reason", state)] += 1


def demonstrate():
    """
    Tell it what the service would.
    """
    provider = Reasons()
    bench = Bench(provider)
    message = bench.message()
    about = {"next_attempt": bench.now + 1200, "reason": "450 4.2.0 later"}
    bench.call("message_state", message, message.domain, bench.now, "delayed", about)
    bench.call("message_state", message, message.domain, bench.now, "requeued", {})
    assert provider.count == {"450 4.2.0 later": 1, "requeued": 1}


if __name__ == "__main__":
    demonstrate()
