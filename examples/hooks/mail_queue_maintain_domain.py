"""
Opens no connection at all for a domain that is being moved.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IMailQueueMaintainDomain
from momentum_tx.testing.bench import Bench


@implementer(IMailQueueMaintainDomain)
class Moving:
    """
    Opens no connection at all for a domain that is being moved.
    """

    domains = {"moving.example"}

    def mail_queue_maintain_domain(self, dr, now):
        return 0 if dr.domain in self.domains else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Moving())
    assert bench.call("mail_queue_maintain_domain", bench.domain("moving.example"), bench.now) == 0
    assert bench.call("mail_queue_maintain_domain", bench.domain("shop.example"), bench.now) is None


if __name__ == "__main__":
    demonstrate()
