"""
Tests of :mod:`momentum_tx.interfaces.session_hooks`.  What pages need of them is
tested in ``hooks/test_pages`` and ``test_docs``.
"""

from momentum_tx.interfaces import session_hooks

from . import contracts


class SessionHookContractTests(contracts.Documented):
    """
    The hook contracts about sessions, as their reader finds them.
    """

    module = session_hooks

    def test_one_method(self) -> None:
        """
        A hook is one method.
        """
        for contract in self.contracts:
            self.assertEqual(len(contract.names()), 1)
