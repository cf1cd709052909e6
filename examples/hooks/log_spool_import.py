"""
Counts what an import has brought, and what it has not.
"""

from collections import Counter

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import ILogSpoolImport
from momentum_tx.testing.bench import Bench


@implementer(ILogSpoolImport)
class ImportCount:
    """
    Counts what an import has brought, and what it has not.
    """

    def __init__(self):
        self.results = Counter()

    def log_spool_import(self, msg, original_id, now, spool, result):
        self.results[result] += 1


def demonstrate():
    """
    Ask it what the command would.
    """
    provider = ImportCount()
    bench = Bench(provider)
    bench.call("log_spool_import", None, "00/00-04242-461F3556", bench.now, "/var/spool/mail", 1)
    bench.call("log_spool_import", None, "10/00-04242-461F3556", bench.now, "/var/spool/mail", 3)
    assert provider.results == {1: 1, 3: 1}


if __name__ == "__main__":
    demonstrate()
