"""
Tests of what :mod:`momentum_tx` itself offers.
"""

import inspect
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import momentum_tx
from momentum_tx import errors, flags

ROOT = Path(__file__).parent.parent


def run(program: str) -> str:
    """
    What *program* prints in an interpreter of its own.
    """
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    if ended.returncode:
        raise AssertionError(ended.stderr)
    return ended.stdout.strip()


class PublicAPITests(SynchronousTestCase):
    """
    The front page of the package.
    """

    def test_loads_no_twisted(self) -> None:
        """
        A script that only wants to name a flag does not pay for Twisted.
        """
        program = (
            "import sys, momentum_tx\n"
            "str(momentum_tx.ConnFlag.ERROR_BIND), momentum_tx.Stage(9), momentum_tx.Outcome\n"
            "print(sorted(name for name in sys.modules if name.partition('.')[0] in ('twisted', 'zope', 'OpenSSL')))"
        )
        self.assertEqual(run(program), "[]")

    def test_no_reactor(self) -> None:
        """
        Naming all there is installs no reactor: the application chooses its own.
        """
        program = (
            "import sys, momentum_tx\n"
            "for name in momentum_tx.__all__: getattr(momentum_tx, name)\n"
            "print('twisted.internet.reactor' in sys.modules)"
        )
        self.assertEqual(run(program), "False")

    def test_every_name_exists(self) -> None:
        """
        ``from momentum_tx import *`` works, and every name is the one of the module that defines it.
        """
        for name in momentum_tx.__all__:
            found = getattr(momentum_tx, name)
            if inspect.isclass(found) or inspect.isfunction(found):
                self.assertEqual(found.__name__, name)
                self.assertIs(getattr(sys.modules[found.__module__], name), found)
        self.assertEqual(len(set(momentum_tx.__all__)), len(momentum_tx.__all__))
        self.assertEqual(run("from momentum_tx import *\nprint(initiate_connection.__name__)"), "initiate_connection")

    def test_momentums_names(self) -> None:
        """
        The mission's calls, the fourteen flags and every error are here.
        """
        named = set(momentum_tx.__all__)
        self.assertLessEqual(
            {
                "initiate_connection",
                "initiate_connection_smtp",
                "open_connection",
                "h_to_c",
                "connection_address",
                "default_connection_goal",
                "CONN_ERROR",
            },
            named,
        )
        words = {name for name in vars(flags) if name.startswith(("CONN_ACTION_", "CONN_ERROR_"))}
        self.assertEqual(len(words), 14)
        self.assertLessEqual(words, named)
        raised = {
            name
            for name, value in vars(errors).items()
            if inspect.isclass(value) and issubclass(value, Exception) and not name.startswith("_")
        }
        self.assertLessEqual(raised, named)

    def test_listed_before_loading(self) -> None:
        """
        ``dir()`` tells of everything, loaded or not, so that a prompt completes it.
        """
        listed = run("import momentum_tx; print(' '.join(dir(momentum_tx)))").split()
        self.assertLessEqual(set(momentum_tx.__all__), set(listed))

    def test_unknown_name(self) -> None:
        """
        A name that does not exist is an :class:`AttributeError` that says so.
        """
        name = "initiate_conection"
        with self.assertRaises(AttributeError) as caught:
            getattr(momentum_tx, name)
        self.assertIn(name, str(caught.exception))

    def test_submodules(self) -> None:
        """
        Modules are imported as ever, those with the name of something public too.
        """
        self.assertEqual(run("from momentum_tx import hooks; print(hooks.__name__)"), "momentum_tx.hooks")
