"""
Tells one partner by which binding a message came.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IBodyModify
from momentum_tx.testing.bench import Bench


@implementer(IBodyModify)
class Told:
    """
    Tells one partner by which binding a message came.
    """

    def body_modify(self, msg, content):
        if msg.domain.domain != "partner.example":
            return content
        return b"X-Binding-Slot: %d\r\n" % msg.binding_slot + content


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Told())
    content = b"Subject: x\r\n\r\nHello.\r\n"
    partner = bench.message("lea@partner.example", binding_slot=2)
    assert bench.call("body_modify", partner, content).startswith(b"X-Binding-Slot: 2\r\n")
    assert bench.call("body_modify", bench.message(), content) == content


if __name__ == "__main__":
    demonstrate()
