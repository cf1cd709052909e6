"""
Asks a peer that can for a return path of its own for each recipient.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ISmtpClientMailfromArgs
from momentum_tx.testing.bench import Bench


@implementer(ISmtpClientMailfromArgs)
class Verp:
    """
    Asks a peer that can for a return path of its own for each recipient.
    """

    def smtp_client_mailfrom_args(self, session, args):
        if b"VERP" in session.extensions.keywords:
            args.add(b"XVERP")


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Verp())
    args = bench.arguments(b"SIZE=1234")
    assert not bench.call("smtp_client_mailfrom_args", bench.session(offers="SIZE\nVERP"), args)
    assert b"XVERP" in args
    args = bench.arguments(b"SIZE=1234")
    bench.call("smtp_client_mailfrom_args", bench.session(offers="SIZE"), args)
    assert b"XVERP" not in args


if __name__ == "__main__":
    demonstrate()
