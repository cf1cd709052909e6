"""
Knows which report is about which message.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import IPostGenerateRfc3464Message
from momentum_tx.testing.bench import Bench


@implementer(IPostGenerateRfc3464Message)
class Reports:
    """
    Knows which report is about which message.
    """

    def __init__(self):
        self.about = {}

    def post_generate_rfc3464_message(self, orig, bounce, action):
        self.about[bounce.batch_id] = orig.id


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Reports()
    bench = Bench(provider)
    message, report = bench.message(), bench.reception(sender="", recv_from="")
    bench.call("post_generate_rfc3464_message", message, report, "failed")
    assert provider.about == {report.batch_id: message.id}


if __name__ == "__main__":
    demonstrate()
