"""
Counts failures by result.
"""

from collections import Counter

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ISmtpTlsReporting
from momentum_tx.testing.bench import Bench


@implementer(ISmtpTlsReporting)
class Failures:
    """
    Counts failures by result.
    """

    def __init__(self):
        self.seen = Counter()

    def smtp_tls_reporting(self, data):
        if data["type"] == 0:
            self.seen[data["result-type"]] += 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Failures()
    bench = Bench(provider)
    bench.call("smtp_tls_reporting", {"epoch": 1, "type": 1, "policy": {}})
    bench.call("smtp_tls_reporting", {"epoch": 2, "type": 0, "policy": {}, "result-type": "certificate-expired"})
    assert provider.seen == {"certificate-expired": 1}


if __name__ == "__main__":
    demonstrate()
