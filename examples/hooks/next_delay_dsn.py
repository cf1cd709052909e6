"""
Tells the senders of urgent mail after ten minutes, whatever the options say.
"""

from zope.interface import implementer

from momentum_tx.interfaces.bounce_hooks import INextDelayDsn
from momentum_tx.testing.bench import Bench


@implementer(INextDelayDsn)
class Urgent:
    """
    Tells the senders of urgent mail after ten minutes, whatever the options say.
    """

    def next_delay_dsn(self, msg, now, when):
        early = msg.reception.creation_time + 600
        return early if msg.reception.priority == "urgent" and now < early else None


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Urgent())
    urgent, other = bench.message(priority="urgent"), bench.message()
    when = bench.now + 3600
    assert bench.call("next_delay_dsn", urgent, bench.now, when) == bench.now + 600
    assert bench.call("next_delay_dsn", other, bench.now, when) is None


if __name__ == "__main__":
    demonstrate()
