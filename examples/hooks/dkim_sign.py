"""
Signs a tenant's mail with the tenant's own key, and all other mail as configured.
"""

from zope.interface import implementer

from momentum_tx import DKIMSignature
from momentum_tx.interfaces.hooks import IDkimSign
from momentum_tx.testing.bench import Bench


@implementer(IDkimSign)
class PerTenant:
    """
    Signs a tenant's mail with the tenant's own key, and all other mail as configured.
    """

    keyfiles = {"acme": "/etc/keys/acme.pem"}

    def dkim_sign(self, ac, content, domain):
        keyfile = self.keyfiles.get(ac.tenant)
        return [DKIMSignature(domain, "t1", keyfile=keyfile)] if keyfile and domain else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(PerTenant())
    content = b"From: news@acme.example\r\n\r\nHello.\r\n"
    (signature,) = bench.call("dkim_sign", bench.reception(tenant="acme"), content, "acme.example")
    assert (signature.domain, signature.selector) == ("acme.example", "t1")
    assert bench.call("dkim_sign", bench.reception(tenant="other"), content, "other.example") is None


if __name__ == "__main__":
    demonstrate()
