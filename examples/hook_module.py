"""
A provider of two hooks, for who sends newsletters.

The service loads it when its configuration says so, with this directory in
``PYTHONPATH``::

    [global]
    hooks = ["hook_module:ListCare"]
"""

from twisted.logger import Logger
from zope.interface import implementer

from momentum_tx.interfaces.hooks import IConnectionGoal, ILogPermanentFailureV1

#: Connections to a domain that does not know us yet, and deliveries after which it does.
FEW = 2
KNOWN = 100


@implementer(IConnectionGoal, ILogPermanentFailureV1)
class ListCare:
    """
    Begins gently with every domain, and names the addresses to take off the list.
    """

    _log = Logger()

    def connection_goal(self, dr, binding_slot, queued, goal):
        """
        A fold: what is answered takes the place of *goal*.
        """
        return goal if dr.deliveries >= KNOWN else min(goal, FEW)

    def log_permanent_failure_v1(self, msg, dr, now, note):
        """
        A notice: nothing is answered.
        """
        if (note or msg.code).startswith(b"550 5.1.1"):
            self._log.info("take off the list: {recipient}", recipient=msg.recipient.decode("utf-8", "replace"))
