"""
Lets at most two connections at a time go to the hosts of one provider.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IVetoHostConnection
from momentum_tx.testing.bench import Bench


@implementer(IVetoHostConnection)
class Gentle:
    """
    Lets at most two connections at a time go to the hosts of one provider.
    """

    suffix = ".mail.example"

    def veto_host_connection(self, host, dr, binding_slot, max_conns, cur_conns):
        return host.endswith(self.suffix) and cur_conns >= 2


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Gentle())
    dr = bench.domain("shop.example")
    assert not bench.call("veto_host_connection", "mx1.mail.example", dr, 0, -1, 1)
    assert bench.call("veto_host_connection", "mx1.mail.example", dr, 0, -1, 2)
    assert not bench.call("veto_host_connection", "mx1.shop.example", dr, 0, -1, 2)


if __name__ == "__main__":
    demonstrate()
