"""
Tries greylisted mail again after exactly five minutes.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IEcMessageSetNextAttempt
from momentum_tx.testing.bench import Bench


@implementer(IEcMessageSetNextAttempt)
class Greylisted:
    """
    Tries greylisted mail again after exactly five minutes.
    """

    def ec_message_set_next_attempt(self, msg, now, when):
        return now + 300.0 if b"greylist" in msg.code.lower() else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Greylisted())
    message = bench.message(code=b"451 4.7.1 Greylisted")
    assert bench.call("ec_message_set_next_attempt", message, bench.now, bench.now + 1200) == bench.now + 300
    assert bench.call("ec_message_set_next_attempt", bench.message(), bench.now, bench.now + 1200) is None


if __name__ == "__main__":
    demonstrate()
