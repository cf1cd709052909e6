"""
Tells our own relay, inside TLS, whose account this is.
"""

from zope.interface import implementer

from momentum_tx import ExchangeFailed, Stage
from momentum_tx.interfaces.hooks import ISmtpClientState
from momentum_tx.testing.bench import Bench


@implementer(ISmtpClientState)
class Accounted:
    """
    Tells our own relay, inside TLS, whose account this is.
    """

    def smtp_client_state(self, session, after):
        if after is Stage.TLS_HANDSHAKE and session.handle.dr.domain == "relay.example":
            return self.account(session)
        return None

    def account(self, session):
        reply = yield b"XACCOUNT letters"
        if reply.code != 250:
            raise ExchangeFailed(f"the relay wants no mail of this account: {reply.code}")


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Accounted())
    session = bench.session(bench.handle(bench.domain("relay.example")), encrypted=True)
    (words,) = bench.call("smtp_client_state", session, Stage.TLS_HANDSHAKE)
    assert next(words) == b"XACCOUNT letters"
    assert bench.call("smtp_client_state", session, Stage.AFTER_EHLO) == []


if __name__ == "__main__":
    demonstrate()
