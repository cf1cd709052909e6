"""
Tests of :mod:`momentum_tx.interfaces.hooks`.
"""

from momentum_tx.interfaces import hooks

from . import contracts


class HookContractTests(contracts.Documented):
    """
    The hook contracts, as their reader finds them.
    """

    module = hooks

    def test_one_method(self) -> None:
        """
        A hook is one method, named as Momentum's page, and the text says which page that is.
        """
        for contract in self.contracts:
            if contract is hooks.ILoggingInfrastructure:
                continue
            (name,) = contract.names()
            self.assertRegex(contract.getDoc(), rf"Source:[\s\S]*(hook\s+``{name}``|ours)")
            kinds = "notice|veto|override|fold|exchange|inquiry"
            self.assertRegex(contract.getDoc(), rf"Hook: [\s\S]*Shape:\s+\*({kinds})\*")

    def test_logger(self) -> None:
        """
        A logger's method takes what the hook of its name takes, in the same order.
        """
        by_name = {
            name: contract
            for contract in self.contracts
            for name in contract.names()
            if contract is not hooks.ILoggingInfrastructure
        }
        for method in contracts.methods_of(hooks.ILoggingInfrastructure):
            name = method.getName()
            if name not in ("log_error", "log_close"):
                contract = by_name.get(f"{name}_v1") or by_name[name]
                (hook,) = contracts.methods_of(contract)
                self.assertEqual(contracts.arguments_of(method), contracts.arguments_of(hook), name)
