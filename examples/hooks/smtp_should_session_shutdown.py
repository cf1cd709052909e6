"""
Uses a connection to one partner for a single message.
"""

from zope.interface import implementer

from momentum_tx.interfaces.session_hooks import ISmtpShouldSessionShutdown
from momentum_tx.testing.bench import Bench


@implementer(ISmtpShouldSessionShutdown)
class OneEach:
    """
    Uses a connection to one partner for a single message.
    """

    def smtp_should_session_shutdown(self, session):
        return session.handle.dr.domain == "partner.example"


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(OneEach())
    partner = bench.session(bench.handle(bench.domain("partner.example")))
    assert bench.call("smtp_should_session_shutdown", partner)
    assert not bench.call("smtp_should_session_shutdown", bench.session())


if __name__ == "__main__":
    demonstrate()
