"""
Counts the attempts of each domain that ran out of time.
"""

from zope.interface import implementer

from momentum_tx import ConnFlag
from momentum_tx.interfaces.hooks import ILogClientConnectionFailure
from momentum_tx.testing.bench import Bench


@implementer(ILogClientConnectionFailure)
class TimeoutCounter:
    """
    Counts the attempts of each domain that ran out of time.
    """

    def __init__(self):
        self.timeouts = {}

    def log_client_connection_failure(self, addr, err, dr, binding_slot, now):
        if err & ConnFlag.ERROR_CONNECT_TIMEOUT:
            self.timeouts[dr.domain] = self.timeouts.get(dr.domain, 0) + 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = TimeoutCounter()
    bench = Bench(provider)
    dr = bench.domain("shop.example")
    late = ConnFlag.ERROR_CONNECT_TIMEOUT | ConnFlag.ACTION_REQUEUE1
    bench.call("log_client_connection_failure", bench.address(), late, dr, 0, bench.now)
    bench.call("log_client_connection_failure", None, ConnFlag.ERROR_NO_MXS_REACHABLE, dr, 0, None)
    assert provider.timeouts == {"shop.example": 1}


if __name__ == "__main__":
    demonstrate()
