"""
Providers by name.
"""

import collections

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import ConfigError
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
