"""
Sends the mail of one tenant by way of its own relay.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IConfigGetMessageRoutingDomain
from momentum_tx.testing.bench import Bench


@implementer(IConfigGetMessageRoutingDomain)
class Relay:
    """
    Sends the mail of one tenant by way of its own relay.
    """

    relays = {"acme": "relay.acme.example"}

    def config_get_message_routing_domain(self, msg, domain):
        return self.relays.get(msg.reception.tenant)


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Relay())
    message = bench.message(tenant="acme")
    assert bench.call("config_get_message_routing_domain", message, "shop.example") == "relay.acme.example"
    assert bench.call("config_get_message_routing_domain", bench.message(), "shop.example") is None


if __name__ == "__main__":
    demonstrate()
