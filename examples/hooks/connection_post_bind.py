"""
Marks the packets of one binding as bulk traffic.
"""

import socket

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IConnectionPostBind
from momentum_tx.testing.bench import Bench


@implementer(IConnectionPostBind)
class Mark:
    """
    Marks the packets of one binding as bulk traffic.
    """

    bulk_slot = 1

    def connection_post_bind(self, dr, binding_slot, fd, addr):
        if binding_slot == self.bulk_slot and ":" not in addr.host:
            ours = socket.socket(fileno=fd)
            try:
                # IPTOS_THROUGHPUT
                ours.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x08)
            finally:
                # The descriptor is not ours to close.
                ours.detach()
        return False


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Mark())
    with socket.socket() as ours:
        assert not bench.call("connection_post_bind", bench.domain(), 1, ours.fileno(), bench.address())
        assert ours.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x08


if __name__ == "__main__":
    demonstrate()
