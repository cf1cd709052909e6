"""
Whom nobody writes to any more: addresses and domains that are left out, because they
bounced, complained, or an operator says so.

* :mod:`~momentum_tx.suppression.entries`: what is known of one; open it first.
* :mod:`~momentum_tx.suppression.rules`: what puts an address on the list.
* :mod:`~momentum_tx.suppression.register`: the list in memory, and who asks it.
* :mod:`~momentum_tx.suppression.store`: the list on disk.
* :mod:`~momentum_tx.suppression.composition`: all of it, of one service.
"""
