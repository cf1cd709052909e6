"""
The floors of the package, read from its source.

A module imports from floors below its own, or from its own package; nothing
else keeps a package of this size free of circles.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

import momentum_tx

PACKAGE: Final = Path(momentum_tx.__file__).parent
TESTS: Final = Path(__file__).parent

#: The floor of every package and of every module that is in none.
FLOORS: Final = {
    "flags": 0,
    "stages": 0,
    "accounting": 1,
    "envelope": 1,
    "errors": 1,
    "outcomes": 1,
    "settings": 1,
    "units": 1,
    "usage": 1,
    "interfaces": 2,
    "policy": 2,
    "smtp": 3,
    "queues": 3,
    "classify": 2,
    "config": 3,
    "message": 3,
    "timers": 3,
    "wall": 3,
    "control": 4,
    "hooks": 4,
    "net": 4,
    "spool": 4,
    "logs": 4,
    "turns": 4,
    "delivery": 5,
    "inject": 5,
    # It names what touches the world, and uses nothing of it.
    "seams": 5,
    "dsn": 6,
    "suppression": 6,
    # It reads files that a configuration names.
    "classification": 5,
    "loggers": 6,
    "reports": 6,
    "operate": 7,
    "service": 8,
    # It makes a service, and starts none.
    "tls_explain": 9,
    # Its virtual world runs the whole service.
    "testing": 9,
    # It runs the service as well.
    "demo": 10,
    "torture": 10,
    "tap": 11,
    "cli": 11,
}
#: The front page of the whole package passes on names of floors 0 and 1.
FRONT_PAGE_FLOOR: Final = 1
#: The highest floor on which Twisted is not known at run time.
PURE: Final = 3
#: The modules that see the global reactor, the clocks and the sources of chance.
EDGE: Final = frozenset({"tap", "cli"})
#: The most lines of a module that is no contract.
MOST_LINES: Final = 500

#: Callables that read a clock or wait on one.
CLOCKS: Final = frozenset(
    {
        "asyncio.sleep",
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "time.clock_gettime",
        "time.gmtime",
        "time.localtime",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
        "time.sleep",
        "time.strftime",
        "time.time",
        "time.time_ns",
    }
)
#: Whatever they draw nobody can repeat.  ``random.Random(seed)`` is not among them.
CHANCE: Final = ("os.urandom", "random.", "secrets.", "uuid.uuid1", "uuid.uuid4")
#: Where a source of chance of one's own is made: the one default of the composition.
MAKES_CHANCE: Final = {"seams": "random.SystemRandom", "service": "random.SystemRandom"}

#: Names of Twisted that take the global reactor without being asked to.
REACTOR_TAKERS: Final = frozenset(
    {
        "twisted.internet.reactor",
        "twisted.internet.task.LoopingCall",
        "twisted.internet.task.coiterate",
        "twisted.internet.task.cooperate",
        "twisted.internet.task.react",
        "twisted.internet.threads.blockingCallFromThread",
        "twisted.internet.threads.callMultipleInThread",
        "twisted.internet.threads.deferToThread",
    }
)

#: Modules that have no test module of their own, and why.
TESTED_ELSEWHERE: Final = {
    "testing/proxies": "met by every story of test_proxied and test_egress",
    "accounting": "fields only; logs/test_acctlog writes every kind",
    "delivery/facilities": "fields only; the tests of everything in delivery fill it",
    "delivery/handle": "made, held and closed by attempts: test_initiate",
    "delivery/opening": "the first half of a session: test_session",
    "delivery/speaking": "lets others speak in a session: test_conversation",
    "logs/fields": "logs/test_mainlog and the tests of each log",
    "logs/gathered": "logs/test_mainlog_writing",
    "inject/validation": "delivery/test_asking tells its stories",
    "hooks/turn": "hooks/test_points and test_providers",
    "suppression/composition": "suppression/test_register makes whole services",
    "dsn/writer": "dsn/test_notifier tells its stories",
    "loggers": "composition; test_service and the tests of each logger",
    "operate/commands": "half of the service: test_service and the tests of each command",
    "delivery/securing": "how a session comes by TLS: test_sessions",
    "interfaces/hooks": "contracts: every provider and double is verified where it is tested",
    "interfaces/records": "contracts, as above",
    "interfaces/seams": "contracts, as above",
    "interfaces/services": "contracts, as above",
    "settings/custom_logs": "declarations: test_option looks at every class",
    "settings/dkim": "declarations, as above",
    "settings/limits": "fields only; config/test_limits settles them",
    "settings/scopes": "declarations, as above",
    "settings/hooks": "declarations, as above",
    "settings/logs": "declarations, as above",
    "settings/reports": "declarations, as above",
    "settings/service": "declarations, as above",
    "settings/suppression": "declarations, as above",
    "smtp/dialogue": "the client's machine without its words: test_client",
    "smtp/events": "fields only; test_client and test_server compare them",
    "smtp/reception": "fields only; test_server compares them",
    "spool/entries": "inside the journal: contract.py, test_journal and test_crash",
    "spool/envelopes": "a part of the records: test_records",
    "spool/fields": "a part of the records: test_records",
    "spool/jobs": "inside the journal: contract.py, test_journal, test_recovery and test_crash",
    "spool/ends": "a part of the records: test_records",
    "spool/moved": "a part of the records: test_records",
    "spool/replay": "inside the journal, as above",
    "spool/segments": "inside the journal, as above",
    "spool/writer": "inside the journal, as above",
    "testing/answers": "fields only; test_peers and test_peer_session give every one of them",
    "testing/onlooker": "test_turns looks with it, and verifies it",
    "torture/lane": "tells whole stories: integration/test_torture",
    "torture/life": "runs in a process that is killed: integration/test_torture",
    "torture/nursery": "a process of its own: integration/test_torture",
    "torture/peers": "both ends of every story: integration/test_torture",
    "torture/run": "all stories: integration/test_torture",
    "testing/fuzz/__main__": "two lines; test_command and test_play run it in processes of its own",
}
#: Test modules that are about no single module, and what about.
ABOUT_SEVERAL: Final = {
    "layers": "all of them",
    "packaging": "what is built and installed",
    "docs": "the documents",
    "public_api": "what embedders import",
    "compliance": "the page of what standards ask",
    "every_ending": "hooks, logs and reports of one message together",
    "null_now": "every hook, logger method and call that may be given no time",
    "smtp/both_ends": "the client machine against the server machine",
    "spool/crash": "the journal, ended at every step",
    "spool/golden": "spools of every released format",
    "delivery/isolation": "what domains in trouble cost the others, whichever part of delivery it would be",
}
#: Directories of tests whose modules are named by behaviour.
NAMED_BY_BEHAVIOUR: Final = frozenset({"integration"})


@dataclass(frozen=True)
class Import:
    """
    One imported name.

    :ivar name: dotted, absolute.
    :ivar line: where.
    :ivar for_types: whether only type checkers follow it.
    """

    name: str
    line: int
    for_types: bool


@dataclass(frozen=True)
class Source:
    """
    One module as written.

    :ivar path: relative to the package, without the suffix: ``net/tls``.
    """

    path: str
    text: str

    @property
    def top(self) -> str:
        """
        The package or module that has the floor.
        """
        return self.path.partition("/")[0]

    @property
    def dotted(self) -> str:
        """
        The name it is imported by.
        """
        return ".".join(["momentum_tx", *self.path.split("/")]).removesuffix(".__init__")

    @property
    def floor(self) -> int:
        """
        The floor it is on.
        """
        return FRONT_PAGE_FLOOR if self.path == "__init__" else FLOORS[self.top]

    def tree(self) -> ast.Module:
        """
        The module, parsed.
        """
        return ast.parse(self.text)

    def imports(self) -> Iterator[Import]:
        """
        Every import, wherever in the module it stands.
        """
        here = ["momentum_tx", *self.path.split("/")[:-1]]
        tree = self.tree()
        typed = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
            for statement in node.body
            for inner in ast.walk(statement)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, node.lineno, id(node) in typed)
            elif isinstance(node, ast.ImportFrom):
                base = here[: len(here) - node.level + 1] if node.level else []
                start = ".".join([*base, *([node.module] if node.module else [])])
                for alias in node.names:
                    yield Import(f"{start}.{alias.name}", node.lineno, id(node) in typed)

    def calls(self) -> Iterator[tuple[str, int]]:
        """
        Dotted names of what is called, as far as imports tell.
        """
        tree = self.tree()
        origin: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    origin[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                for alias in node.names:
                    origin[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                first, dot, rest = ast.unparse(node.func).partition(".")
                if first in origin:
                    yield origin[first] + dot + rest, node.lineno


def sources() -> list[Source]:
    """
    Every module of the package.
    """
    return [
        Source(path.relative_to(PACKAGE).with_suffix("").as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def owner(name: str) -> str | None:
    """
    Which package or module of ours *name* is of; ``""`` is the front page, and
    ``None`` somebody else's.
    """
    first, _, rest = name.partition(".")
    if first != "momentum_tx":
        return None
    top = rest.partition(".")[0]
    return top if top in FLOORS else ""


def wrong_ways(source: Source) -> Iterator[str]:
    """
    The imports of *source* that do not go down.

    What only type checkers follow may go sideways, to the same floor, since no
    circle can come of it; it may not go up either.  The front page of the whole
    package alone may name everything to type checkers: it loads on demand.
    """
    front = source.path == "__init__"
    for found in source.imports():
        there = owner(found.name)
        if there is None or (there == source.top and not front) or (front and found.for_types):
            continue
        if there == "":
            yield f"{source.path}:{found.line}: {found.name} is taken from the front page"
            continue
        floor = FLOORS[there]
        allowed = floor <= source.floor if found.for_types or front else floor < source.floor
        if not allowed:
            yield f"{source.path}:{found.line}: {found.name} is on floor {floor}, this is floor {source.floor}"


def loaded_with(modules: list[str], unwanted: str) -> list[str]:
    """
    Which of *modules*, imported one after the other by a fresh interpreter,
    bring *unwanted* or something in it along; the first is the culprit.
    """
    program = (
        "import importlib, json, sys\n"
        "modules, unwanted = json.load(sys.stdin)\n"
        "guilty = []\n"
        "for name in modules:\n"
        "    importlib.import_module(name)\n"
        "    if any((loaded + '.').startswith(unwanted + '.') for loaded in sys.modules):\n"
        "        guilty.append(name)\n"
        "        break\n"
        "print(json.dumps(guilty))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([modules, unwanted]),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        timeout=120,
    )
    if ended.returncode:
        raise AssertionError(ended.stderr)
    guilty: list[str] = json.loads(ended.stdout)
    return guilty


class DirectionTests(SynchronousTestCase):
    """
    Imports go down.
    """

    def test_everyPackageHasAFloor(self) -> None:
        """
        Whoever adds a package says on which floor it is.
        """
        tops = {source.top for source in sources()} - {"__init__"}
        self.assertEqual(sorted(tops - set(FLOORS)), [])

    def test_down(self) -> None:
        """
        Every import leads to a lower floor or stays in its package.
        """
        self.assertEqual([line for source in sources() for line in wrong_ways(source)], [])

    def test_wrongWaysAreSeen(self) -> None:
        """
        Up, sideways, through the front page, inside a function, relative or
        absolute: each is reported.
        """
        for text in (
            "from ..delivery import session",
            "from .. import logs",
            "def f():\n    from momentum_tx.spool.journal import JournalSpool",
            "import momentum_tx.service",
            "from momentum_tx import ConnFlag",
            "from ..hooks.outbound import OutboundHooks",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..delivery.session import Session",
        ):
            self.assertEqual(len(list(wrong_ways(Source("net/example", text)))), 1, text)

    def test_rightWaysPass(self) -> None:
        """
        Down, within the package, and sideways for types alone.
        """
        text = (
            "from typing import TYPE_CHECKING\n"
            "from ..flags import ConnFlag\n"
            "from ..smtp import client as machine\n"
            "from . import tls\n"
            "from .tls import OpenSSLUpgrade\n"
            "import momentum_tx.timers\n"
            "if TYPE_CHECKING:\n"
            "    from ..spool.journal import JournalSpool\n"
        )
        self.assertEqual(list(wrong_ways(Source("net/example", text))), [])

    def test_frontPagesImportNothing(self) -> None:
        """
        Importing a package loads none of its modules; only the whole package's
        front page passes names on, and that of the settings, which is one list of
        options to everybody else.
        """
        for source in sources():
            if source.path.endswith("/__init__") and source.path != "settings/__init__":
                taken = [found.name for found in source.imports() if not found.name.startswith("__future__")]
                self.assertEqual(taken, [], source.path)


class WorldTests(SynchronousTestCase):
    """
    What touches the world is handed in.
    """

    def test_lowerFloorsLoadNoTwisted(self) -> None:
        """
        Floors 0 to 3 are of use without Twisted: importing any of them does
        not load it.
        """
        pure = [source.dotted for source in sources() if source.floor <= PURE]
        self.assertGreater(len(pure), 20)
        self.assertEqual(loaded_with(pure, "twisted"), [])
        self.assertEqual(loaded_with(["momentum_tx.service"], "twisted"), ["momentum_tx.service"])

    def test_onlyTheEdgeLoadsTheReactor(self) -> None:
        """
        An application may install its reactor after importing anything of
        ours but what belongs to the command line.
        """
        inner = [source.dotted for source in sources() if source.top not in EDGE]
        self.assertEqual(loaded_with(inner, "twisted.internet.reactor"), [])

    def test_nobodyTakesTheReactor(self) -> None:
        """
        The global reactor is not imported inside a function either, nor through
        one of Twisted's shorthands for it.
        """
        taken = [
            f"{source.path}:{found.line}: {found.name}"
            for source in sources()
            if source.top not in EDGE
            for found in source.imports()
            if found.name in REACTOR_TAKERS and not found.for_types
        ]
        called = [
            f"{source.path}:{line}: {name}"
            for source in sources()
            if source.top not in EDGE
            for name, line in source.calls()
            if name in REACTOR_TAKERS
        ]
        self.assertEqual(taken + called, [])

    def test_nobodyReadsAClock(self) -> None:
        """
        A week of retries passes in seconds under a virtual clock, since nobody
        looks at a real one.
        """
        read = [
            f"{source.path}:{line}: {name}"
            for source in sources()
            if source.top not in EDGE
            for name, line in source.calls()
            if name in CLOCKS
        ]
        self.assertEqual(read, [])

    def test_nobodyDrawsChance(self) -> None:
        """
        With a seeded source every run can be repeated.
        """
        drawn = [
            f"{source.path}:{line}: {name}"
            for source in sources()
            if source.top not in EDGE
            for name, line in source.calls()
            if name.startswith(CHANCE) and name != "random.Random" and name != MAKES_CHANCE.get(source.top)
        ]
        self.assertEqual(drawn, [])


class ShapeTests(SynchronousTestCase):
    """
    What every module has in common.
    """

    def test_docstring(self) -> None:
        """
        Every module says in its docstring what it is about, quotes on lines of
        their own.
        """
        for source in sources():
            said = ast.get_docstring(source.tree(), clean=False)
            self.assertTrue(said and said.startswith("\n") and said.strip(), source.path)

    def test_length(self) -> None:
        """
        A module that has grown beyond 500 lines has a second subject.
        """
        long = {
            source.path: lines
            for source in sources()
            if source.top != "interfaces" and (lines := source.text.count("\n")) > MOST_LINES
        }
        self.assertEqual(long, {})


class TwinTests(SynchronousTestCase):
    """
    Who changes a module finds its tests under the same name.
    """

    # A failure names every module.
    maxDiff = None

    def setUp(self) -> None:
        self.modules = {source.path for source in sources() if not source.path.endswith("__init__")}
        self.tests = {
            path.relative_to(TESTS).with_name(path.stem.removeprefix("test_")).as_posix()
            for path in TESTS.rglob("test_*.py")
        }

    def subject(self, test: str) -> str | None:
        """
        The module a test module is about: of the same name, or the longest
        that is followed by an underscore.
        """
        fitting = [module for module in self.modules if test == module or test.startswith(module + "_")]
        return max(fitting, key=len, default=None)

    def test_everyModuleHasTests(self) -> None:
        """
        A module without a test module is listed above with the reason.
        """
        tested = {self.subject(test) for test in self.tests}
        self.assertEqual(sorted(self.modules - tested - set(TESTED_ELSEWHERE)), [])

    def test_everyTestModuleHasAModule(self) -> None:
        """
        A test module that is about no module of its name is listed above with
        its subject.
        """
        homeless = [
            test
            for test in sorted(self.tests - set(ABOUT_SEVERAL))
            if test.partition("/")[0] not in NAMED_BY_BEHAVIOUR and self.subject(test) is None
        ]
        self.assertEqual(homeless, [])

    def test_exceptionsExist(self) -> None:
        """
        An exception goes with the module it was made for.
        """
        self.assertEqual(sorted(set(TESTED_ELSEWHERE) - self.modules), [])
