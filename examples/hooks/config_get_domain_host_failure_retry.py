"""
Comes back to a partner's host after ten seconds.
"""

from zope.interface import implementer

from momentum_tx.interfaces.session_hooks import IConfigGetDomainHostFailureRetry
from momentum_tx.testing.bench import Bench


@implementer(IConfigGetDomainHostFailureRetry)
class Soon:
    """
    Comes back to a partner's host after ten seconds.
    """

    def config_get_domain_host_failure_retry(self, domain, seconds):
        return 10.0 if domain == "partner.example" else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Soon())
    assert bench.call("config_get_domain_host_failure_retry", "partner.example", 120.0) == 10.0
    assert bench.call("config_get_domain_host_failure_retry", "shop.example", 120.0) is None


if __name__ == "__main__":
    demonstrate()
