"""
Knows what one partner means by a code of its own.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import ISmtpErrorClassify
from momentum_tx.testing.bench import Bench


@implementer(ISmtpErrorClassify)
class Partner:
    """
    Knows what one partner means by a code of its own.
    """

    def smtp_error_classify(self, response, domain):
        return 22 if domain == "partner.example" and "E-4711" in response else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Partner())
    assert bench.call("smtp_error_classify", "554 E-4711", "partner.example") == 22
    assert bench.call("smtp_error_classify", "554 E-4711", "other.example") is None


if __name__ == "__main__":
    demonstrate()
