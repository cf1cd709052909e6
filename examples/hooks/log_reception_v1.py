"""
Sums octets received, by the address of the client.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogReceptionV1
from momentum_tx.testing.bench import Bench


@implementer(ILogReceptionV1)
class Traffic:
    """
    Sums octets received, by the address of the client.
    """

    def __init__(self):
        self.octets = {}

    def log_reception_v1(self, ac, msg, now, note):
        source = ac.recv_from or "in process"
        self.octets[source] = self.octets.get(source, 0) + ac.size


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Traffic()
    bench = Bench(provider)
    for source in ("192.0.2.17", "192.0.2.17", ""):
        message = bench.message(recv_from=source, size=1000)
        bench.call("log_reception_v1", message.reception, message, bench.now, None)
    assert provider.octets == {"192.0.2.17": 2000, "in process": 1000}


if __name__ == "__main__":
    demonstrate()
