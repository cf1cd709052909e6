"""
Tests of the documents: what they promise exists, what they link to is there,
and what they show runs.

That the tables of flags, stages and options are whole is tested where those
are (``test_flags``, ``test_stages``, ``config/test_reference``).
"""

import inspect
import io
import re
import runpy
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import TestCase, TestLoader, TestResult

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.interface import InterfaceClass, Method

import momentum_tx
from momentum_tx import OutboundHooks, testing
from momentum_tx.hooks.pages import hook_pages
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.testing import behaviours
from momentum_tx.testing.bench import Bench

ROOT = Path(__file__).parent.parent
DOC = ROOT / "doc"
HOOKS = DOC / "reference" / "hooks"
EXAMPLES = ROOT / "examples" / "hooks"

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
#: Where software of this kind is at home; any other absolute path is somebody's machine.
_COMMON = {"bin", "dev", "etc", "opt", "proc", "run", "srv", "sys", "usr", "var"}
_PATH = re.compile(r"(?<![\w./:<>~$%\\-])/([A-Za-z][\w.-]*)/")


def pages() -> list[Path]:
    """
    Every page a reader may open.
    """
    return sorted([*DOC.rglob("*.md"), *ROOT.glob("*.md")])


def title(page: Path) -> str:
    """
    How a failure names *page*.
    """
    return str(page.relative_to(ROOT))


def prose(text: str) -> str:
    """
    *text* without its code blocks.
    """
    return _BLOCK.sub("", text)


def blocks(page: Path, language: str) -> Iterator[str]:
    """
    The code blocks of *page* in a language.
    """
    for indent, found, code in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if found == language:
            yield "\n".join(line.removeprefix(indent) for line in code.split("\n"))


def run(page: Path) -> tuple[dict[str, Any], list[str]]:
    """
    Run the Python of *page*, block after block.

    :returns: the names it defines, and what the blocks printed that printed anything.
    """
    space: dict[str, Any] = {"__name__": page.stem}
    printed = []
    for number, code in enumerate(blocks(page, "python"), 1):
        with redirect_stdout(io.StringIO()) as output:
            exec(compile(code, f"{title(page)}, block {number}", "exec"), space)
        if output.getvalue():
            printed.append(output.getvalue())
    return space, printed


def anchors(page: Path) -> set[str]:
    """
    What may stand behind the ``#`` of a link to *page*.
    """
    found = set()
    for heading in _HEADING.findall(prose(page.read_text(encoding="utf-8"))):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """
    The relative links of *page*: as written, the file, the anchor.
    """
    for link in _LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        yield link, (page.parent / path).resolve() if path else page, anchor


def hook_interfaces() -> list[InterfaceClass]:
    """
    Every contract with one method, in all modules of contracts of hooks.
    """
    found = []
    for path in sorted(Path(contracts.__file__).parent.glob("*hooks.py")):
        module = import_module(f"momentum_tx.interfaces.{path.stem}")
        interfaces = [value for value in vars(module).values() if isinstance(value, InterfaceClass)]
        found += [each for each in interfaces if each.__module__ == module.__name__ and len(each.names()) == 1]
    return found


def arguments(interface: InterfaceClass, name: str) -> tuple[str, ...]:
    """
    The arguments of a contract's method.
    """
    method = interface[name]
    assert isinstance(method, Method)
    return tuple(method.getSignatureInfo()["positional"])


class PageTests(SynchronousTestCase):
    """
    Every page.
    """

    def test_links(self) -> None:
        """
        No relative link leads nowhere, neither to a page nor to a heading.
        """
        broken = []
        for page in pages():
            for link, target, anchor in links(page):
                if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
                    broken.append(f"{title(page)}: {link}")
        self.assertEqual(broken, [])

    def test_reachable(self) -> None:
        """
        Whoever begins at the index, or with the tutorial, comes to every page.
        """
        seen: set[Path] = set()
        waiting = [DOC / "index.md", *(DOC / "tutorial").glob("*.md")]
        while waiting:
            page = waiting.pop()
            if page not in seen and page.suffix == ".md" and page.exists():
                seen.add(page)
                waiting += [target for _, target, _ in links(page)]
        fragments = set((DOC / "news").glob("*.*.md"))
        self.assertEqual([title(page) for page in DOC.rglob("*.md") if page not in seen | fragments], [])

    def test_python_compiles(self) -> None:
        """
        What is shown as Python is Python.
        """
        for page in pages():
            for number, code in enumerate(blocks(page, "python"), 1):
                compile(code, f"{title(page)}, block {number}", "exec")

    def test_no_machine(self) -> None:
        """
        No page names a path of the machine it was written on.
        """
        strange = []
        for page in pages():
            for found in _PATH.finditer(page.read_text(encoding="utf-8")):
                if found[1] not in _COMMON:
                    strange.append(f"{title(page)}: {found[0]}")
        self.assertEqual(strange, [])

    def test_decisions(self) -> None:
        """
        No two decisions have one number, and each says context, decision and consequences.
        """
        decisions = sorted((DOC / "explanation" / "decisions").glob("[0-9]*.md"))
        # Numbers are given out before pages are written, so that there may be gaps for a while.
        self.assertEqual(len({page.name[:4] for page in decisions}), len(decisions))
        for page in decisions:
            headings = _HEADING.findall(page.read_text(encoding="utf-8"))[1:]
            self.assertEqual(headings, ["Context", "Decision", "Consequences"], title(page))

    def test_news(self) -> None:
        """
        A fragment of the news is named after its issue and kind.
        """
        for fragment in (DOC / "news").glob("*.md"):
            if fragment.name != "README.md":
                self.assertRegex(fragment.name, r"^\d+\.(feature|bugfix|removal|doc|misc)\.md$")


class PublicAPITests(SynchronousTestCase):
    """
    The page of the public names.
    """

    PAGE = DOC / "reference" / "public-api.md"
    DOUBLES = "\n## The virtual world\n"

    def test_complete(self) -> None:
        """
        Every public name is on the page.
        """
        words = set(re.findall(r"\w+", self.PAGE.read_text(encoding="utf-8")))
        self.assertEqual([name for name in momentum_tx.__all__ if name not in words], [])

    def test_true(self) -> None:
        """
        Every name the tables document exists.
        """
        text = self.PAGE.read_text(encoding="utf-8").partition(self.DOUBLES)[0]
        named = re.findall(r"^\| `(\w+)", text, re.MULTILINE)
        self.assertGreater(len(named), 20)
        self.assertEqual([name for name in named if name not in momentum_tx.__all__], [])

    def test_doubles(self) -> None:
        """
        Every double the page names is in its module, and takes the arguments it says.
        """
        text = self.PAGE.read_text(encoding="utf-8").partition(self.DOUBLES)[2]
        rows = re.findall(r"^\| `(\w+)(\(.*\))?` \| `(\w+)` \|", text, re.MULTILINE)
        self.assertEqual(len(rows), len(re.findall(r"^\| `", text, re.MULTILINE)))
        self.assertGreater(len(rows), 9)
        for name, signature, module in rows:
            found = getattr(import_module(f"momentum_tx.testing.{module}"), name)
            if signature:
                given = [f"{each.name}={each.default!r}" for each in inspect.signature(found).parameters.values()]
                self.assertEqual(signature.replace('"', "'"), f"({', '.join(given)})", name)

    def test_front_page_of_doubles(self) -> None:
        """
        The front page of the doubles names every module there is, and no other.
        """
        directory = Path(testing.__path__[0])
        modules = {path.stem for path in directory.glob("*.py")} | {
            path.parent.name for path in directory.glob("*/__init__.py")
        }
        named = set(re.findall(r"`[\w ]*<?~?momentum_tx\.testing\.(\w+)>?`", testing.__doc__ or ""))
        self.assertEqual(named, modules - {"__init__"})


@implementer(ILogObserver)
class Complaints:
    """
    Keeps what was logged as an error.
    """

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) >= LogLevel.error:
            self.events.append(event)


class HookPageTests(SynchronousTestCase):
    """
    The pages of the hooks.
    """

    def setUp(self) -> None:
        self.complaints = Complaints()
        globalLogPublisher.addObserver(self.complaints)
        self.addCleanup(globalLogPublisher.removeObserver, self.complaints)

    def test_every_hook_has_a_page(self) -> None:
        """
        Each hook has a page and a row in the index, and there is no page of a hook that does not exist.
        """
        names = {next(iter(interface.names())) for interface in hook_interfaces()}
        self.assertEqual({point.name for point in OutboundHooks().points}, names)
        self.assertEqual({page.stem for page in HOOKS.glob("*.md")}, names | {"index"})
        rows = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", (HOOKS / "index.md").read_text("utf-8"), re.MULTILINE)
        shapes = {point.name: type(point).__name__.lower() for point in OutboundHooks().points}
        self.assertEqual(dict(rows), shapes)

    def test_generated(self) -> None:
        """
        Each page is what its contract and its example say now.
        """
        for name, text in hook_pages(EXAMPLES).items():
            self.assertEqual((HOOKS / f"{name}.md").read_text(encoding="utf-8"), text, name)

    def test_examples(self) -> None:
        """
        Each example is a provider of the hook, shows what it does, and is right about that.
        """
        interfaces = {point.name: point.interface for point in OutboundHooks().points}
        self.assertEqual({path.stem for path in EXAMPLES.glob("*.py")}, set(interfaces))
        for name, interface in interfaces.items():
            space = runpy.run_path(str(EXAMPLES / f"{name}.py"))
            providers = [
                value for value in space.values() if isinstance(value, type) and value.__module__ == "<run_path>"
            ]
            self.assertTrue([each for each in providers if interface.implementedBy(each)], name)
            space["demonstrate"]()
            self.assertEqual(self.complaints.events, [], name)

    def test_logger_example(self) -> None:
        """
        The page of the logging infrastructure names every method and argument, and its logger works.
        """
        page = DOC / "reference" / "logging_infrastructure.md"
        text = page.read_text(encoding="utf-8")
        contract = contracts.ILoggingInfrastructure
        for name in contract.names():
            names = ", ".join(f"`{each}`" for each in arguments(contract, name))
            self.assertIn(f"| `{name}` | {names + ' ' if names else ''}|", text)
        (logger,) = self.providers(page, contract)
        bench = Bench()
        bench.hooks.register_logger(logger)
        message = bench.message()
        dr, reception, now = message.domain, message.reception, bench.now
        bench.call("log_reception_v1", reception, message, now, None)
        bench.call("log_attempt_v1", message, dr, now, b"mx1.shop.example [198.51.100.25]")
        bench.call("log_transient_failure_v1", message, dr, now, b"450 4.2.0 later")
        bench.call("log_permanent_failure_v1", message, dr, now, b"550 5.1.1 no such user")
        bench.call("log_delivery_v1", message, dr, now, b"250 2.0.0 taken")
        bench.call("log_rejection", now, bench.client(), {"code": "550"}, 13, "%d %s", (550, "no"))
        bench.call("log_reopen")
        bench.hooks.tell_error(None, "error", "a text")
        bench.hooks.close_loggers()
        self.assertEqual(self.complaints.events, [])
        self.assertEqual(logger.counts, {"R": 1, "T": 1, "P": 1, "D": 1, "J": 1, "error": 1})

    def providers(self, page: Path, interface: InterfaceClass) -> list[Any]:
        """
        One of each class in the examples of *page* that fulfils *interface*.
        """
        space, _ = run(page)
        classes = [value for value in space.values() if isinstance(value, type) and value.__module__ == page.stem]
        return [each() for each in classes if interface.implementedBy(each)]


class PolicyPageTests(SynchronousTestCase):
    """
    The page on testing a policy.
    """

    PAGE = DOC / "howto" / "test-a-policy.md"

    def test_runs(self) -> None:
        """
        The stories of the page can be copied from it: they run, print what the
        page says they print, and the test case passes.
        """
        space, printed = run(self.PAGE)
        self.assertGreater(len(printed), 1)
        self.assertEqual(printed, list(blocks(self.PAGE, "text")))
        result = TestResult()
        for value in space.values():
            if isinstance(value, type) and value.__module__ == self.PAGE.stem and issubclass(value, TestCase):
                TestLoader().loadTestsFromTestCase(value).run(result)
        self.assertEqual((result.testsRun, result.errors, result.failures), (1, [], []))

    def test_behaviours(self) -> None:
        """
        Every behaviour there is has a place in the table, and no other.
        """
        rows = re.findall(r"^\| (`\w+\(.*?`) \|", self.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        named = [name for row in rows for name in re.findall(r"`(\w+)\(", row)]
        found = [value for value in vars(behaviours).values() if isinstance(value, type)]
        kinds = [value.__name__ for value in found if issubclass(value, behaviours.Behaviour)]
        self.assertEqual(sorted(named), sorted({*kinds} - {"Behaviour"}))
