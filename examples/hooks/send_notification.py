"""
Tells a chat room instead of the sender.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import ISendNotification
from momentum_tx.testing.bench import Bench


@implementer(ISendNotification)
class ChatRoom:
    """
    Tells a chat room instead of the sender.
    """

    def __init__(self):
        self.said = []

    def send_notification(self, msg):
        self.said.append(f"mail of {msg.reception.sender.decode()} to {msg.recipient.decode()} is late")
        return True


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = ChatRoom()
    bench = Bench(provider)
    assert bench.call("send_notification", bench.message("lea@shop.example", sender="max@letters.example"))
    assert provider.said == ["mail of max@letters.example to lea@shop.example is late"]


if __name__ == "__main__":
    demonstrate()
