"""
Lets one binding open its connections in the night only.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IMailQueueMaintain
from momentum_tx.testing.bench import Bench


@implementer(IMailQueueMaintain)
class AtNight:
    """
    Lets one binding open its connections in the night only.
    """

    slot = 1

    def mail_queue_maintain(self, dr, binding_slot, now, goal, reserve):
        hour = int(now // 3600) % 24
        return True if binding_slot == self.slot and 6 <= hour < 22 else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(AtNight())
    noon = 1_700_049_600 + 43_200 - 1_700_049_600 % 86_400
    dr = bench.domain("shop.example")
    assert bench.call("mail_queue_maintain", dr, 1, noon, 9, 0) is True
    assert bench.call("mail_queue_maintain", dr, 1, noon + 12 * 3600, 9, 0) is None
    assert bench.call("mail_queue_maintain", dr, 0, noon, 9, 0) is None


if __name__ == "__main__":
    demonstrate()
