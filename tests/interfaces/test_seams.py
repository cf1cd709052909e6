"""
Tests of :mod:`momentum_tx.interfaces.seams`.
"""

from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

from zope.interface import implementedBy

import momentum_tx
from momentum_tx.interfaces import seams

from . import contracts


class SeamContractTests(contracts.Documented):
    """
    The contracts of the seams, as their reader finds them.
    """

    module = seams

    def test_real_and_double(self) -> None:
        """
        Each seam has a real provider and a double, so that the whole service runs without the world.
        """
        real: set[Any] = set()
        double: set[Any] = set()
        for module in modules():
            for value in vars(module).values():
                if isinstance(value, type) and value.__module__ == module.__name__:
                    declared = set(implementedBy(value)) & set(self.contracts)
                    (double if ".testing." in module.__name__ else real).update(declared)
        self.assertEqual(set(self.contracts) - real, set())
        self.assertEqual(set(self.contracts) - double, set())


def modules() -> list[ModuleType]:
    """
    Every module of the package that can be a library: not the two that see the reactor and the command line.
    """
    found = [info.name for info in walk_packages(momentum_tx.__path__, "momentum_tx.")]
    return [import_module(name) for name in found if name.rpartition(".")[2] not in ("cli", "tap", "__main__")]
