"""
What every contract owes its reader.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Attribute
from zope.interface.interface import InterfaceClass, Method

#: "See" some other contract or function, whose arguments are the same.
REFERENCE = re.compile(r"[Ss]ee\s+:(?:class|func):`([\w.]+)`")


def contracts_of(module: ModuleType) -> list[InterfaceClass]:
    """
    The interfaces that *module* defines.
    """
    found = [value for value in vars(module).values() if isinstance(value, InterfaceClass)]
    return [interface for interface in found if interface.__module__ == module.__name__]


def methods_of(interface: InterfaceClass) -> Iterator[Method]:
    """
    The methods *interface* defines itself.
    """
    for _, description in interface.namesAndDescriptions():
        if isinstance(description, Method):
            yield description


def arguments_of(method: Method) -> list[str]:
    """
    Names of the arguments of *method*, stars left out.
    """
    info = method.getSignatureInfo()
    return [name for name in (*info["positional"], info["varargs"], info["kwargs"]) if name]


def documentation_of(name: str, module: ModuleType) -> str:
    """
    The docstrings of what *name*, in the contracts of *module* or with its full path, stands for.
    """
    path, _, last = name.rpartition(".")
    found = getattr(importlib.import_module(path) if path else module, last)
    if isinstance(found, InterfaceClass):
        return "\n".join(method.getDoc() for method in methods_of(found))
    return inspect.getdoc(found) or ""


class Documented(SynchronousTestCase):
    """
    The battery; a test of a module of contracts inherits it and names the module.
    """

    module: ModuleType

    def setUp(self) -> None:
        self.contracts = contracts_of(self.module)
        self.assertGreater(len(self.contracts), 3)

    def test_interfaces(self) -> None:
        """
        Each interface says what it is, in a sentence.
        """
        for interface in self.contracts:
            self.assertRegex(interface.getDoc(), r"^\s*[A-Z][^.]+\.", interface)

    def test_attributes(self) -> None:
        """
        Each attribute says what it holds, in words that end in a full stop.
        """
        for interface in self.contracts:
            for name, description in interface.namesAndDescriptions():
                if not isinstance(description, Method):
                    self.assertIsInstance(description, Attribute)
                    self.assertRegex(description.getDoc(), r"^[\S\s]+\.$", f"{interface}.{name}")

    def test_methods(self) -> None:
        """
        Each method says what it does before it lists its arguments.
        """
        for interface in self.contracts:
            for method in methods_of(interface):
                self.assertRegex(method.getDoc(), r"^\s*(?!:(param|returns|raises)\b)\S[^.]*[.:]", method)

    def test_arguments(self) -> None:
        """
        Each argument is described, there or where the text sends the reader; nothing is described that is no argument.
        """
        for interface in self.contracts:
            for method in methods_of(interface):
                where = f"{interface.__name__}.{method.getName()}"
                text = method.getDoc()
                arguments = arguments_of(method)
                described = re.findall(r":param (\w+):", text)
                self.assertEqual(set(described) - set(arguments), set(), where)
                self.assertEqual(sorted(set(described)), sorted(described), where)
                for reference in REFERENCE.findall(text):
                    described += re.findall(r":param (\w+):", documentation_of(reference, self.module))
                self.assertEqual(set(arguments) - set(described), set(), where)

    def test_no_self(self) -> None:
        """
        No method names ``self``, which would make every correct implementation a wrong one.
        """
        for interface in self.contracts:
            for method in methods_of(interface):
                self.assertNotIn("self", arguments_of(method))
