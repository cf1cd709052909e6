"""
Has no sender of a newsletter told of its failures: the program that sends it reads the log.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import IGenerateBounces
from momentum_tx.testing.bench import Bench


@implementer(IGenerateBounces)
class NoNewsletters:
    """
    Has no sender of a newsletter told of its failures: the program that sends it reads the log.
    """

    def generate_bounces(self, msg, enabled):
        return False if msg.reception.campaign == "newsletter" else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(NoNewsletters())
    assert bench.call("generate_bounces", bench.message(campaign="newsletter"), True) is False
    assert bench.call("generate_bounces", bench.message(campaign="invoice"), True) is None


if __name__ == "__main__":
    demonstrate()
