"""
Counts new mail by binding slot.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IPostValidateSetBinding
from momentum_tx.testing.bench import Bench


@implementer(IPostValidateSetBinding)
class Bindings:
    """
    Counts new mail by binding slot.
    """

    def __init__(self):
        self.count = {}

    def post_validate_set_binding(self, msg):
        self.count[msg.binding_slot] = self.count.get(msg.binding_slot, 0) + 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Bindings()
    bench = Bench(provider)
    bench.call("post_validate_set_binding", bench.message(binding_slot=2))
    assert provider.count == {2: 1}


if __name__ == "__main__":
    demonstrate()
