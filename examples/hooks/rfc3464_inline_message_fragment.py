"""
Sends nothing back of what is confidential.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import IRfc3464InlineMessageFragment
from momentum_tx.testing.bench import Bench


@implementer(IRfc3464InlineMessageFragment)
class Confidential:
    """
    Sends nothing back of what is confidential.
    """

    def rfc3464_inline_message_fragment(self, msg, action):
        if msg.reception.tenant != "payroll":
            return None
        return b"Content-Type: text/plain; charset=us-ascii\r\n\r\nThe message is confidential.\r\n"


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Confidential())
    part = bench.call("rfc3464_inline_message_fragment", bench.message(tenant="payroll"), "failed")
    assert part.endswith(b"confidential.\r\n")
    assert bench.call("rfc3464_inline_message_fragment", bench.message(tenant="news"), "failed") is None


if __name__ == "__main__":
    demonstrate()
