"""
Has newsletters wait until nine in the morning when they become due at night.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IMailqInsertActive
from momentum_tx.testing.bench import Bench


@implementer(IMailqInsertActive)
class Morning:
    """
    Has newsletters wait until nine in the morning when they become due at night.
    """

    def mailq_insert_active(self, dr, msg, now):
        hour = now / 3600 % 24
        if msg.reception.campaign != "newsletter" or 9 <= hour < 21:
            return None
        return now + (9 - hour) % 24 * 3600


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Morning())
    midnight = 1_700_006_400.0
    letter = bench.message(campaign="newsletter")
    assert bench.call("mailq_insert_active", letter.domain, letter, midnight) == midnight + 9 * 3600
    assert bench.call("mailq_insert_active", letter.domain, letter, midnight + 10 * 3600) is None
    invoice = bench.message(campaign="invoice")
    assert bench.call("mailq_insert_active", invoice.domain, invoice, midnight) is None


if __name__ == "__main__":
    demonstrate()
