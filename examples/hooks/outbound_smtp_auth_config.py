"""
Shows a token that is fetched when there is none, or when the last one was refused.
"""

from twisted.internet.defer import succeed
from zope.interface import implementer

from momentum_tx.interfaces.hooks import IOutboundSmtpAuthConfig
from momentum_tx.policy.credentials import Credentials
from momentum_tx.testing.bench import Bench, result_of


@implementer(IOutboundSmtpAuthConfig)
class Tokens:
    """
    Shows a token that is fetched when there is none, or when the last one was refused.
    """

    token = None

    def outbound_smtp_auth_config(self, dr, binding_slot, host, refused):
        if self.token is not None and not refused:
            return self.token
        return self.fetch().addCallback(self.fetched)

    def fetch(self):
        return succeed("ya29.fresh")  # in earnest: a request to the authorisation server

    def fetched(self, text):
        self.token = Credentials("news@letters.example", text, token=True)
        return self.token


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Tokens()
    bench = Bench(provider)
    dr = bench.domain("relay.example")
    first = result_of(bench.call("outbound_smtp_auth_config", dr, 0, "mx.relay.example", b""))
    assert first.user == "news@letters.example" and first.token
    # The second session need not wait, until the peer has refused the token.
    assert bench.call("outbound_smtp_auth_config", dr, 0, "mx.relay.example", b"") is first
    anew = bench.call("outbound_smtp_auth_config", dr, 0, "mx.relay.example", b"535 5.7.8 expired")
    assert result_of(anew) is not first


if __name__ == "__main__":
    demonstrate()
