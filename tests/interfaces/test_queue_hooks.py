"""
Tests of :mod:`momentum_tx.interfaces.queue_hooks`.  What pages need of them is
tested in ``hooks/test_pages`` and ``test_docs``.
"""

from momentum_tx.interfaces import queue_hooks

from . import contracts


class QueueHookContractTests(contracts.Documented):
    """
    The hook contracts about queues, as their reader finds them.
    """

    module = queue_hooks

    def test_one_method(self) -> None:
        """
        A hook is one method.
        """
        for contract in self.contracts:
            self.assertEqual(len(contract.names()), 1)
