"""
Tells our own relay the tenant of each recipient.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ISmtpClientRcpttoArgs
from momentum_tx.testing.bench import Bench


@implementer(ISmtpClientRcpttoArgs)
class Tagged:
    """
    Tells our own relay the tenant of each recipient.
    """

    def smtp_client_rcptto_args(self, session, msg, args):
        if b"XTENANT" in session.extensions.keywords and msg.reception.tenant:
            args.add(b"XTENANT", msg.reception.tenant.encode("ascii"))


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Tagged())
    args = bench.arguments()
    bench.call("smtp_client_rcptto_args", bench.session(offers="XTENANT"), bench.message(tenant="acme"), args)
    assert args.fetch(b"XTENANT") == b"acme"


if __name__ == "__main__":
    demonstrate()
