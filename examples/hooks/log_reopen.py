"""
Counts rotations; a real provider closes its file and opens the name again.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogReopen
from momentum_tx.testing.bench import Bench


@implementer(ILogReopen)
class Rotation:
    """
    Counts rotations; a real provider closes its file and opens the name again.
    """

    def __init__(self):
        self.rotations = 0

    def log_reopen(self):
        self.rotations += 1


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Rotation()
    Bench(provider).call("log_reopen")
    assert provider.rotations == 1


if __name__ == "__main__":
    demonstrate()
