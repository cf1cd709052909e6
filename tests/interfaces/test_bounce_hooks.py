"""
Tests of :mod:`momentum_tx.interfaces.bounce_hooks`.  What pages need of them is
tested in ``hooks/test_pages`` and ``test_docs``.
"""

from momentum_tx.interfaces import bounce_hooks

from . import contracts


class BounceHookContractTests(contracts.Documented):
    """
    The hook contracts about reports, as their reader finds them.
    """

    module = bounce_hooks

    def test_one_method(self) -> None:
        """
        A hook is one method.
        """
        for contract in self.contracts:
            self.assertEqual(len(contract.names()), 1)
