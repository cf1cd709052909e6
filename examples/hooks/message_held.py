"""
Keeps a list of what somebody has to decide.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IMessageHeld
from momentum_tx.testing.bench import Bench


@implementer(IMessageHeld)
class Decisions:
    """
    Keeps a list of what somebody has to decide.
    """

    def __init__(self):
        self.wanted = {}

    def message_held(self, msg, dr, now, note):
        self.wanted[msg.id] = f"to {dr.domain}: {note.decode()}"


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Decisions()
    bench = Bench(provider)
    message = bench.message("lea@shop.example")
    bench.call("message_held", message, message.domain, bench.now, b"451 4.4.2 [internal] no reply to the final dot")
    assert provider.wanted[message.id].startswith("to shop.example: 451 4.4.2")


if __name__ == "__main__":
    demonstrate()
