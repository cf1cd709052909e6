"""
Sends all mail of one domain to a test server.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IConfigFetchDomainRoutes
from momentum_tx.testing.bench import Bench


@implementer(IConfigFetchDomainRoutes)
class Staging:
    """
    Sends all mail of one domain to a test server.
    """

    def config_fetch_domain_routes(self, domain, routes):
        return ("127.0.0.1:2526",) if domain == "staging.example" else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Staging())
    assert bench.call("config_fetch_domain_routes", "staging.example", ()) == ("127.0.0.1:2526",)
    assert bench.call("config_fetch_domain_routes", "shop.example", ()) is None


if __name__ == "__main__":
    demonstrate()
