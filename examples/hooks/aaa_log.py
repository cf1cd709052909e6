"""
Remembers who has asked the service to flush its queues.
"""

from zope.interface import implementer

from momentum_tx.accounting import AccountingKind, AccountingRecord
from momentum_tx.interfaces.queue_hooks import IAaaLog
from momentum_tx.testing.bench import Bench


@implementer(IAaaLog)
class Flushers:
    """
    Remembers who has asked the service to flush its queues.
    """

    def __init__(self):
        self.users = []

    def aaa_log(self, record):
        if record.kind is AccountingKind.AUTHORIZATION and record.command == "flush":
            self.users.append(record.user)


def demonstrate():
    """
    Ask it what the service would.
    """
    provider = Flushers()
    bench = Bench(provider)
    bench.call("aaa_log", AccountingRecord(AccountingKind.AUTHENTICATION, bench.now, "control", "", "1001", 1))
    bench.call(
        "aaa_log",
        AccountingRecord(AccountingKind.AUTHORIZATION, bench.now, "control", "", "1001", 1, "flush", "operator"),
    )
    assert provider.users == ["1001"]


if __name__ == "__main__":
    demonstrate()
