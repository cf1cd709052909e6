"""
Lets the mail of one tenant go by verified TLS only.
"""

from dataclasses import replace

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IGetOutboundTlsParameters
from momentum_tx.policy.tls import TLSParameters
from momentum_tx.testing.bench import Bench


@implementer(IGetOutboundTlsParameters)
class Confidential:
    """
    Lets the mail of one tenant go by verified TLS only.
    """

    tenant = "payroll"

    def get_outbound_tls_parameters(self, msg, params):
        if msg.reception.tenant != self.tenant or params.use == "implicit":
            return params
        return replace(params, use="required", verify="host")


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Confidential())
    wanted = TLSParameters(use="ifavailable")
    assert bench.call("get_outbound_tls_parameters", bench.message(tenant="news"), wanted) == wanted
    strict = bench.call("get_outbound_tls_parameters", bench.message(tenant="payroll"), wanted)
    assert (strict.use, strict.verify) == ("required", "host")


if __name__ == "__main__":
    demonstrate()
