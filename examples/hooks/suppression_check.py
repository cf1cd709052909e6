"""
Lets invoices through to addresses that bounced, but not to those that complained.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import ISuppressionCheck
from momentum_tx.suppression.entries import Suppressed
from momentum_tx.testing.bench import Bench


@implementer(ISuppressionCheck)
class Invoices:
    """
    Lets invoices through to addresses that bounced, but not to those that complained.
    """

    def suppression_check(self, recipient, tenant, entry):
        return False if tenant == "invoices" and entry.reason == "bounce" else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Invoices())
    bounced = Suppressed("bounce", 10, bench.now, 0.0, "550 5.1.1 no such user")
    assert bench.call("suppression_check", b"lea@shop.example", "invoices", bounced) is False
    assert bench.call("suppression_check", b"lea@shop.example", "news", bounced) is None
    assert (
        bench.call("suppression_check", b"lea@shop.example", "invoices", bounced._replace(reason="complaint")) is None
    )


if __name__ == "__main__":
    demonstrate()
