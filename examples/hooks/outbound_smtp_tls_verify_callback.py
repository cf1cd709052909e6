"""
Knows some exchangers by their certificates, whoever signed those.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IOutboundSmtpTlsVerifyCallback
from momentum_tx.policy.tls import TLSParameters
from momentum_tx.testing.bench import Bench
from momentum_tx.testing.tls import ModelledFacts


@implementer(IOutboundSmtpTlsVerifyCallback)
class Pinned:
    """
    Knows some exchangers by their certificates, whoever signed those.
    """

    digests = {"mx.partner.example": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}

    def outbound_smtp_tls_verify_callback(self, handle, params, facts, preverify_ok):
        pinned = self.digests.get(handle.connection.host_name)
        return None if pinned is None else facts.certificate_digest == pinned


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Pinned())
    wanted, facts = TLSParameters(use="required", verify="host"), ModelledFacts(verified="")
    ask = ("outbound_smtp_tls_verify_callback",)
    # Its certificate is another one.
    assert bench.call(*ask, bench.handle(host="mx.partner.example"), wanted, facts, True) is False
    assert bench.call(*ask, bench.handle(host="mx1.shop.example"), wanted, facts, True) is None


if __name__ == "__main__":
    demonstrate()
