"""
Says in every report whom to call.
"""

from zope.interface import implementer

from momentum_tx.dsn.rendering import Draft
from momentum_tx.interfaces.bounce_hooks import IGenerateRfc3464MessagePreamble
from momentum_tx.testing.bench import Bench


@implementer(IGenerateRfc3464MessagePreamble)
class WhomToCall:
    """
    Says in every report whom to call.
    """

    def generate_rfc3464_message_preamble(self, msg, action, draft):
        draft.headers.append(("X-Help-Desk", "ext. 4711"))
        draft.text += "\nOur help desk has the extension 4711.\n"
        return True


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(WhomToCall())
    draft = Draft([("Subject", "Mail not delivered")], "It failed.\n", [])
    assert bench.call("generate_rfc3464_message_preamble", bench.message(), "failed", draft)
    assert ("X-Help-Desk", "ext. 4711") in draft.headers
    assert draft.text.endswith("extension 4711.\n")


if __name__ == "__main__":
    demonstrate()
