"""
Sends mail to one recipient from the same source each time.
"""

from zlib import crc32

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IBindingGroupChooseBinding
from momentum_tx.testing.bench import Bench


@implementer(IBindingGroupChooseBinding)
class Faithful:
    """
    Sends mail to one recipient from the same source each time.
    """

    slots = {"marketing": (1, 2)}

    def binding_group_choose_binding(self, msg, group):
        slots = self.slots.get(group)
        return slots[crc32(msg.recipient) % len(slots)] if slots else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Faithful())
    message = bench.message("lea@shop.example")
    slot = bench.call("binding_group_choose_binding", message, "marketing")
    assert slot in (1, 2)
    assert slot == bench.call("binding_group_choose_binding", bench.message("lea@shop.example"), "marketing")
    assert bench.call("binding_group_choose_binding", message, "transactional") is None


if __name__ == "__main__":
    demonstrate()
