"""
Marks the mail of a test system.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IFinalValidation
from momentum_tx.testing.bench import Bench


@implementer(IFinalValidation)
class Marked:
    """
    Marks the mail of a test system.
    """

    def final_validation(self, ac, content):
        return b"X-System: staging\r\n" + content if ac.tenant == "staging" else content


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Marked())
    content = b"Subject: x\r\n\r\nHello.\r\n"
    assert bench.call("final_validation", bench.reception(tenant="staging"), content).startswith(b"X-System")
    assert bench.call("final_validation", bench.reception(), content) == content


if __name__ == "__main__":
    demonstrate()
