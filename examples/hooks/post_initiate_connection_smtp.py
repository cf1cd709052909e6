"""
Counts why no connection was initiated.
"""

from zope.interface import implementer

from momentum_tx import ConnFlag
from momentum_tx.interfaces.hooks import IPostInitiateConnectionSmtp
from momentum_tx.testing.bench import Bench


@implementer(IPostInitiateConnectionSmtp)
class Refusals:
    """
    Counts why no connection was initiated.
    """

    def __init__(self):
        self.causes = {}

    def post_initiate_connection_smtp(self, dr, binding_slot, now, conn_fd):
        if conn_fd < 0:
            cause = str(ConnFlag(-conn_fd))
            self.causes[cause] = self.causes.get(cause, 0) + 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Refusals()
    bench = Bench(provider)
    bench.call("post_initiate_connection_smtp", bench.domain(), 0, bench.now, 17)
    bench.call("post_initiate_connection_smtp", bench.domain(), 0, bench.now, -int(ConnFlag.ERROR_BIND))
    assert list(provider.causes.values()) == [1]


if __name__ == "__main__":
    demonstrate()
