"""
Tells the name of a client that we know by another way.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ISmtpClientXclientArgs
from momentum_tx.testing.bench import Bench


@implementer(ISmtpClientXclientArgs)
class Named:
    """
    Tells the name of a client that we know by another way.
    """

    names = {b"192.0.2.17": b"app1.letters.example"}

    def smtp_client_xclient_args(self, session, args):
        name = self.names.get(args.fetch(b"ADDR"))
        if name is not None and b"NAME" in session.extensions.xclient:
            args.add(b"NAME", name)


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Named())
    args = bench.arguments(b"ADDR=192.0.2.17")
    bench.call("smtp_client_xclient_args", bench.session(offers="XCLIENT ADDR NAME"), args)
    assert args.fetch(b"NAME") == b"app1.letters.example"


if __name__ == "__main__":
    demonstrate()
