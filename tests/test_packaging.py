"""
What is packed, installed and found by twistd, as far as a checkout tells.

The packages themselves are built, unpacked and installed by ``.ci/run``.
"""

import ast
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = ROOT / "momentum_tx"
PLUGIN: Final = ROOT / "twisted" / "plugins" / "momentum_tx_plugin.py"

#: What is imported under another name than it is installed by.
INSTALLED_AS: Final = {
    "flufl": "flufl.bounce",
    "OpenSSL": "pyopenssl",
    "dkim": "dkimpy",
    "dns": "dnspython",
    "service_identity": "service-identity",
    "zope": "zope.interface",
}
#: Parts of what Twisted or our other requirements bring along.
BROUGHT_ALONG: Final = {"cryptography": "pyopenssl", "constantly": "twisted", "incremental": "twisted"}


def setup_arguments() -> dict[str, ast.expr]:
    """
    What setup.py hands to ``setup``, unevaluated.
    """
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "setup":
            return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    raise AssertionError("setup.py calls no setup")


def setup_value(name: str) -> Any:
    """
    A literal argument of ``setup``.
    """
    return ast.literal_eval(setup_arguments()[name])


def required(requirements: list[str]) -> set[str]:
    """
    Names of distributions, without versions and extras.
    """
    return {re.split(r"[\[<>=~! ]", text, maxsplit=1)[0].lower() for text in requirements}


def distributions(directory: Path) -> set[str]:
    """
    Names of the distributions that the modules of *directory* import.
    """
    found = set()
    for path in directory.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            found |= {name.partition(".")[0] for name in names}
    found -= {*sys.stdlib_module_names, "momentum_tx", "tests"}
    return {INSTALLED_AS.get(name, BROUGHT_ALONG.get(name, name)).lower() for name in found}


class SetupTests(SynchronousTestCase):
    """
    Tests for what setup.py says.
    """

    def test_packages(self) -> None:
        """
        Every package of the tree is installed, and no other top-level one.
        """
        packages = ast.unparse(setup_arguments()["packages"])
        self.assertEqual(
            packages, "[*find_packages(include=['momentum_tx', 'momentum_tx.*']), 'twisted.plugins']", packages
        )
        # find_packages sees what has an __init__.
        directories = {path.parent for path in PACKAGE.rglob("*.py")}
        self.assertEqual([path for path in directories if not (path / "__init__.py").exists()], [])

    def test_pluginsDirectoryIsNoPackage(self) -> None:
        """
        Installed, ours lies among Twisted's own plugins: an ``__init__`` of
        ours would overwrite theirs.
        """
        self.assertEqual([path.name for path in (ROOT / "twisted").rglob("*.py")], [PLUGIN.name])

    def test_typed(self) -> None:
        """
        Type checkers of our users read our annotations.
        """
        self.assertTrue((PACKAGE / "py.typed").exists())
        self.assertEqual(
            setup_value("package_data"), {"momentum_tx": ["py.typed", "classify/rules/*.toml", "logs/*.json"]}
        )

    def test_version(self) -> None:
        """
        The version is a calendar's, and written once.
        """
        version = setup_value("version")
        self.assertRegex(version, r"\A\d\d\.(1[0-2]|[1-9])\.\d+\Z")
        twice = [path for path in PACKAGE.rglob("*.py") if version in path.read_text(encoding="utf-8")]
        self.assertEqual(twice, [])

    def test_requirements(self) -> None:
        """
        Whatever the package imports is installed with it, and nothing else.
        """
        self.assertEqual(distributions(PACKAGE), required(setup_value("install_requires")))

    def test_testRequirements(self) -> None:
        """
        Whatever the tests import beyond that is in the extra ``test``.
        """
        extra = required(setup_value("extras_require")["test"])
        self.assertEqual(distributions(ROOT / "tests") - required(setup_value("install_requires")) - extra, set())

    def test_commands(self) -> None:
        """
        The command that is installed starts a function that exists.
        """
        for command in setup_value("entry_points")["console_scripts"]:
            name, _, target = command.partition(" = ")
            module, _, function = target.partition(":")
            path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
            self.assertTrue(path.exists(), f"{name}: there is no {path.name}")
            defined = [
                node.name
                for node in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(node, ast.FunctionDef)
            ]
            self.assertIn(function, defined, name)


class PluginTests(SynchronousTestCase):
    """
    Tests for what twistd finds.
    """

    def test_importsNothingOfOurs(self) -> None:
        """
        twistd loads every plugin of every package whenever it runs: ours costs
        it one module.
        """
        tree = ast.parse(PLUGIN.read_text(encoding="utf-8"))
        imported = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        self.assertEqual(imported, ["from twisted.application.service import ServiceMaker"])

    def test_serviceMaker(self) -> None:
        """
        ``twistd momentum-tx`` is known, and leads to a module of ours.
        """
        makers: list[Any] = [value for value in runpy.run_path(str(PLUGIN)).values() if IServiceMaker.providedBy(value)]
        self.assertEqual([maker.tapname for maker in makers], ["momentum-tx"])
        (maker,) = makers
        self.assertTrue(IPlugin.providedBy(maker))
        verifyObject(IServiceMaker, maker)
        self.assertEqual(maker.module, "momentum_tx.tap")
        self.assertTrue(maker.options().getSynopsis())


class ManifestTests(SynchronousTestCase):
    """
    Tests for what goes into the source distribution.
    """

    def lines(self) -> Iterator[tuple[str, list[str]]]:
        for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines():
            word, *rest = line.split()
            yield word, rest

    def test_complete(self) -> None:
        """
        Tests, documents, examples and benchmarks travel with the source.
        """
        grafted = [name for word, names in self.lines() if word == "graft" for name in names]
        self.assertEqual(sorted(grafted), ["benchmarks", "doc", "examples", "tests"])
        included = [name for word, names in self.lines() if word == "include" for name in names]
        for name in (*grafted, *included):
            self.assertTrue(list(ROOT.glob(name)), f"there is no {name}")

    def test_noCaches(self) -> None:
        """
        A list of plugins made on our machine hides those of yours: it is
        neither packed nor kept under version control.
        """
        excluded = [name for word, names in self.lines() if word == "global-exclude" for name in names]
        self.assertIn("dropin.cache", excluded)
        ignored = ROOT / ".gitignore"
        if ignored.exists():
            self.assertIn("dropin.cache", ignored.read_text(encoding="utf-8").splitlines())
