"""
Tells twistd of its subcommand ``momentum-tx``.

The package itself is named and not imported: this file is read whenever
anybody runs any ``twistd`` of the machine.
"""

from twisted.application.service import ServiceMaker

momentum_tx = ServiceMaker(
    "Momentum outbound delivery",
    "momentum_tx.tap",
    "Receive mail, keep it, and deliver it from its own addresses.",
    "momentum-tx",
)
