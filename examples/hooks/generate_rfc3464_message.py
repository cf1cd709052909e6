"""
Sends one tenant no report on failures, and everybody else ours.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import IGenerateRfc3464Message
from momentum_tx.testing.bench import Bench


@implementer(IGenerateRfc3464Message)
class OwnReports:
    """
    Sends one tenant no report on failures, and everybody else ours.
    """

    def generate_rfc3464_message(self, msg, action):
        return b"" if action == "failed" and msg.reception.tenant == "acme" else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(OwnReports())
    assert bench.call("generate_rfc3464_message", bench.message(tenant="acme"), "failed") == b""
    assert bench.call("generate_rfc3464_message", bench.message(tenant="other"), "failed") is None


if __name__ == "__main__":
    demonstrate()
