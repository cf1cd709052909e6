"""
Tests of :mod:`momentum_tx.hooks.outbound`.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.interface import InterfaceClass

from momentum_tx.errors import StartupError
from momentum_tx.hooks.outbound import OutboundHooks
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.interfaces.hooks import (
    IBindingGroupChooseBinding,
    ICheckOutboundConnThrottle,
    IConnectionGoal,
    IVetoHostConnection,
)

from .test_loggers import Logger


@implementer(IConnectionGoal, IVetoHostConnection)
class GoalAndVeto:
    """
    Fulfils two contracts.
    """

    def connection_goal(self, dr: object, binding_slot: int, queued: int, goal: int) -> int:
        return goal

    def veto_host_connection(self, host: str, dr: object, binding_slot: int, max_conns: int, cur_conns: int) -> bool:
        return False


class OutboundHooksTests(SynchronousTestCase):
    """
    The hook points of a service.
    """

    def setUp(self) -> None:
        self.hooks = OutboundHooks()

    def test_every_contract(self) -> None:
        """
        Every hook contract has its point, under Momentum's name and in the shape its page tells.
        """
        declared = set()
        for path in Path(contracts.__file__).parent.glob("*hooks.py"):
            for name, contract in vars(import_module(f"momentum_tx.interfaces.{path.stem}")).items():
                if isinstance(contract, InterfaceClass) and name not in ("Interface", "ILoggingInfrastructure"):
                    declared.add(contract)
        self.assertEqual({point.interface for point in self.hooks.points}, declared)
        for contract in declared:
            (name,) = contract.names()
            point = getattr(self.hooks, name)
            self.assertIs(point.interface, contract)
            self.assertEqual(point.name, name)
            self.assertIn(f"Shape: *{type(point).__name__.lower()}*", " ".join(contract.getDoc().split()))
            self.assertEqual(contract.__name__.lower(), "i" + name.replace("_", ""))

    def test_several(self) -> None:
        """
        A provider is put into the chain of every hook whose contract it provides, and into no other.
        """
        one, two = GoalAndVeto(), GoalAndVeto()
        self.hooks.register_last(one)
        self.hooks.register_first(two)
        self.assertEqual(self.hooks.connection_goal.providers, (two, one))
        self.assertEqual(self.hooks.veto_host_connection.providers, (two, one))
        self.assertEqual(sum(map(bool, self.hooks.points)), 2)

    def test_none(self) -> None:
        """
        An object that provides no contract is refused, with a hint.
        """
        for register in (self.hooks.register_first, self.hooks.register_last):
            error = self.assertRaises(StartupError, register, object())
            self.assertIn("is @implementer missing?", str(error))

    def test_wrong(self) -> None:
        """
        A wrong signature is refused by the name of the hook.
        """

        @implementer(IConnectionGoal)
        class Wrong:
            def connection_goal(self, goal: int) -> int:  # type: ignore[override]
                return goal

        error = self.assertRaises(StartupError, self.hooks.register_last, Wrong())
        self.assertIn("hook connection_goal:", str(error))
        self.assertFalse(self.hooks.connection_goal)

    def test_freeze(self) -> None:
        """
        Freezing closes every chain.
        """
        self.hooks.freeze()
        for register in (self.hooks.register_first, self.hooks.register_last):
            self.assertRaises(StartupError, register, GoalAndVeto())
        self.assertRaises(StartupError, self.hooks.register_logger, Logger([]))
        self.assertFalse(any(self.hooks.points))

    def test_answers(self) -> None:
        """
        Goals and slots are whole numbers; throttle times may be fractions.
        """

        @implementer(IConnectionGoal, ICheckOutboundConnThrottle, IBindingGroupChooseBinding)
        class Fractions:
            def connection_goal(self, dr: object, binding_slot: int, queued: int, goal: int) -> Any:
                return goal + 0.5

            def check_outbound_conn_throttle(self, binding_id: int, dr: object, now: object, later: float) -> float:
                return later + 0.5

            def binding_group_choose_binding(self, msg: object, group: str) -> Any:
                return 1.5

        self.hooks.register_last(Fractions())
        nothing: Any = None
        with capturedLogs() as events:
            goal = self.hooks.connection_goal.fold(3, lambda hook, value: hook.connection_goal(nothing, 0, 1, value))
            slot = self.hooks.binding_group_choose_binding.override(
                lambda hook: hook.binding_group_choose_binding(nothing, "group")
            )
            later = self.hooks.check_outbound_conn_throttle.fold(
                7, lambda hook, value: hook.check_outbound_conn_throttle(0, nothing, None, value)
            )
        self.assertEqual((goal, slot, later), (3, None, 7.5))
        self.assertEqual(len(events), 2)

    def test_one_turn(self) -> None:
        """
        All points of a service take turns with each other.
        """
        self.assertEqual({id(point._turn) for point in self.hooks.points}, {id(self.hooks.turn)})
