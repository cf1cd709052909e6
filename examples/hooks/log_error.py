"""
Wakes somebody up when mail stands still.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogError
from momentum_tx.testing.bench import Bench


@implementer(ILogError)
class Pager:
    """
    Wakes somebody up when mail stands still.
    """

    def __init__(self):
        self.pages = []

    def log_error(self, now, level, text):
        if level == "critical":
            self.pages.append(text)


def demonstrate():
    """
    Tell it what the service would.
    """
    provider = Pager()
    bench = Bench(provider)
    bench.call("log_error", bench.now, "warning", "192.0.2.9, source of binding news, is not configured")
    bench.call("log_error", bench.now, "critical", "no intent can be recorded, delivery pauses")
    assert provider.pages == ["no intent can be recorded, delivery pauses"]


if __name__ == "__main__":
    demonstrate()
