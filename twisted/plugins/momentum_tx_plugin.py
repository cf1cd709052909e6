"""
Makes ``twistd momentum-tx`` known.  Imports nothing of ours: twistd loads every
plugin of every package each time it runs.
"""

from twisted.application.service import ServiceMaker

momentum_tx = ServiceMaker(
    "Momentum outbound delivery",
    "momentum_tx.tap",
    "Receive mail, keep it, and deliver it from its own addresses.",
    "momentum-tx",
)
