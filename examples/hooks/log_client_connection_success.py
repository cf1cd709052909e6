"""
Remembers the last peer that each binding reached.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogClientConnectionSuccess
from momentum_tx.testing.bench import Bench


@implementer(ILogClientConnectionSuccess)
class LastPeer:
    """
    Remembers the last peer that each binding reached.
    """

    def __init__(self):
        self.peers = {}

    def log_client_connection_success(self, addr, dr, binding_slot, now):
        self.peers[binding_slot] = f"{addr.host}:{addr.port}"


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = LastPeer()
    bench = Bench(provider)
    bench.call("log_client_connection_success", bench.address("198.51.100.25"), bench.domain(), 2, bench.now)
    assert provider.peers == {2: "198.51.100.25:25"}


if __name__ == "__main__":
    demonstrate()
