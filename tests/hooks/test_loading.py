"""
Providers by name.
"""

import collections
from importlib.metadata import EntryPoint

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import ConfigError
from momentum_tx.hooks import loading
from momentum_tx.hooks.loading import load_provider


class LoadingTests(SynchronousTestCase):
    """
    From a name in the configuration to an object.
    """

    def test_object(self) -> None:
        """
        An object is taken as it is, wherever in the module it lies; a class is called.
        """
        self.assertIs(load_provider("collections:abc.Mapping.get", "a.toml:3"), collections.abc.Mapping.get)
        self.assertEqual(load_provider("collections:OrderedDict", "a.toml:3"), collections.OrderedDict())

    def test_mistakes(self) -> None:
        """
        Whoever wrote the name learns where it stands and what is wrong with it.
        """
        for name, reason in (
            ("collections", "is not package.module:object"),
            ("no_such_module:thing", "ModuleNotFoundError"),
            ("collections:nothing", "AttributeError"),
        ):
            error = self.assertRaises(ConfigError, load_provider, name, "a.toml:3")
            self.assertIn("a.toml:3: global.hooks: ", str(error))
            self.assertIn(reason, str(error))


class EntryPointTests(SynchronousTestCase):
    """
    What installed packages offer.
    """

    def setUp(self) -> None:
        offered = [
            EntryPoint("two", "acme:Two", loading.GROUP),
            EntryPoint("one", "acme:One", loading.GROUP),
        ]

        def entry_points(group: str) -> list[EntryPoint]:
            self.assertEqual(group, loading.GROUP)
            return offered

        self.patch(loading, "entry_points", entry_points)

    def test_named(self) -> None:
        """
        What is named is taken, in that order; all in the order of their names; nothing where nothing is named.
        """
        for names, found in (
            ((), []),
            (("two",), ["acme:Two"]),
            (("*",), ["acme:One", "acme:Two"]),
            (("two", "*"), ["acme:Two", "acme:One"]),
        ):
            self.assertEqual(loading.entry_points_of(names, "x:1"), found)

    def test_unknown(self) -> None:
        """
        A name that nobody offers is refused, with those there are.
        """
        with self.assertRaises(ConfigError) as caught:
            loading.entry_points_of(["three"], "x:1")
        self.assertEqual(
            str(caught.exception),
            "x:1: global.hook_entry_points: no installed package offers 'three'; there are: one, two",
        )
