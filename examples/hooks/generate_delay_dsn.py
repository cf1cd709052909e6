"""
Tells people that their mail is late, and no machine.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import IGenerateDelayDsn
from momentum_tx.testing.bench import Bench


@implementer(IGenerateDelayDsn)
class People:
    """
    Tells people that their mail is late, and no machine.
    """

    machines = (b"noreply@", b"alerts@")

    def generate_delay_dsn(self, msg, enabled):
        return not msg.reception.sender.startswith(self.machines)


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(People())
    assert bench.call("generate_delay_dsn", bench.message(sender="lea@letters.example"), False) is True
    assert bench.call("generate_delay_dsn", bench.message(sender="alerts@letters.example"), True) is False


if __name__ == "__main__":
    demonstrate()
