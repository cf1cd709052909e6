"""
Gives a one-time password up after ten minutes.
"""

from dataclasses import replace

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IGetMsgExpirationParams
from momentum_tx.policy.retry import Expiration
from momentum_tx.testing.bench import Bench


@implementer(IGetMsgExpirationParams)
class OneTime:
    """
    Gives a one-time password up after ten minutes.
    """

    def get_msg_expiration_params(self, msg, params):
        if msg.reception.campaign != "otp":
            return params
        return replace(params, message_expiration=600.0, retry_interval=20.0)


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(OneTime())
    usual = Expiration(604_800.0, 1200.0, None)
    mine = bench.call("get_msg_expiration_params", bench.message(campaign="otp"), usual)
    assert (mine.message_expiration, mine.retry_interval) == (600.0, 20.0)
    assert bench.call("get_msg_expiration_params", bench.message(), usual) == usual


if __name__ == "__main__":
    demonstrate()
