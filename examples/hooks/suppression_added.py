"""
Tells a customer database which addresses are dead.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import ISuppressionAdded
from momentum_tx.suppression.entries import Suppressed
from momentum_tx.testing.bench import Bench


@implementer(ISuppressionAdded)
class Database:
    """
    Tells a customer database which addresses are dead.
    """

    def __init__(self):
        self.dead = {}

    def suppression_added(self, address, tenant, entry):
        self.dead[address] = entry.note


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Database()
    bench = Bench(provider)
    entry = Suppressed("bounce", 10, bench.now, 0.0, "550 5.1.1 no such user")
    bench.call("suppression_added", "lea@shop.example", "", entry)
    assert provider.dead == {"lea@shop.example": "550 5.1.1 no such user"}


if __name__ == "__main__":
    demonstrate()
