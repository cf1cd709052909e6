"""
Counts the connections that the maintainer begins.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IPostMailQueueMaintainDomain
from momentum_tx.testing.bench import Bench


@implementer(IPostMailQueueMaintainDomain)
class Begun:
    """
    Counts the connections that the maintainer begins.
    """

    def __init__(self):
        self.connections = 0

    def post_mail_queue_maintain_domain(self, dr, now, opened):
        self.connections += opened


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Begun()
    bench = Bench(provider)
    bench.call("post_mail_queue_maintain_domain", bench.domain("shop.example"), bench.now, 2)
    assert provider.connections == 2


if __name__ == "__main__":
    demonstrate()
