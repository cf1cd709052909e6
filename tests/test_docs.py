"""
Tests of the documents: what they promise exists, what they link to is there,
and what they show runs.

That the tables of flags, stages and options are whole is tested where those
are (``test_flags``, ``test_stages``, ``config/test_reference``).
"""

import inspect
import io
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import TestCase, TestLoader, TestResult

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.interface import InterfaceClass, Method
from zope.interface.verify import verifyObject

import momentum_tx
from momentum_tx import ConnFlag, OutboundHooks, Stage, testing
from momentum_tx.delivery.handle import ConnectionHandle
from momentum_tx.hooks.points import Exchange, Fold, HookPoint, Notice, Override, Veto
from momentum_tx.hooks.waiting import Inquiry
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.interfaces.services import IConnectionInitiator
from momentum_tx.policy.tls import TLSParameters
from momentum_tx.queues.domain import DomainRecord
from momentum_tx.queues.message import Reception
from momentum_tx.smtp.arguments import CommandArguments
from momentum_tx.smtp.extensions import NO_EXTENSIONS
from momentum_tx.testing import behaviours
from momentum_tx.testing.tls import ModelledFacts

ROOT = Path(__file__).parent.parent
DOC = ROOT / "doc"
HOOKS = DOC / "reference" / "hooks"

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
    Every contract with one method.
    """
    found = [value for value in vars(contracts).values() if isinstance(value, InterfaceClass)]
    return [each for each in found if each.__module__ == contracts.__name__ and len(each.names()) == 1]


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


@implementer(IConnectionInitiator)
class NoConnections:
    """
    Opens none.
    """

    def initiate_connection(
        self,
        dr: Any,
        binding: int,
        now: float | None,
        finish_connect_func: Callable[[Any, ConnFlag, float], object],
        timeout_func: Callable[[Any, float], object],
        user_data: object = None,
    ) -> Any:
        raise NotImplementedError

    def initiate_connection_smtp(self, dr: Any, binding: int, now: float | None) -> ConnFlag:
        raise NotImplementedError


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


class InboundSession:
    """
    What ``log_rejection`` is shown of a client.
    """

    conn_id = "20/00-04242-461F3556"
    peer = "192.0.2.17"


class ClientSession:
    """
    A session that is about to take mail.
    """

    extensions = NO_EXTENSIONS
    encrypted = True
    message = None

    def __init__(self, handle: ConnectionHandle) -> None:
        self.handle = handle


class HookPageTests(SynchronousTestCase):
    """
    The pages of the hooks.
    """

    def setUp(self) -> None:
        initiator = NoConnections()
        verifyObject(IConnectionInitiator, initiator)
        self.dr = DomainRecord("shop.example", initiator)
        self.reception = Reception(b"news@letters.example", 1700000000.0, 1234, "10/00-04242-461F3556")
        self.message = self.reception.add("00/00-04242-461F3556", b"lea@shop.example")
        self.handle = ConnectionHandle(self.dr, 1, None)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(self.socket.close)
        self.complaints = Complaints()
        globalLogPublisher.addObserver(self.complaints)
        self.addCleanup(globalLogPublisher.removeObserver, self.complaints)

    def sample(self, name: str, point: str) -> object:
        """
        A value for an argument of that name of a hook.
        """
        values: dict[str, object] = {
            "ac": self.reception,
            "after": Stage.TLS_HANDSHAKE,
            "addr": IPv4Address("TCP", "198.51.100.25", 25),
            "args": CommandArguments(b"SIZE=10") if point.startswith("smtp_client") else (550, "5.7.1 Relaying denied"),
            "binding_id": 1,
            "binding_slot": 1,
            "content": b"From: news@letters.example\r\n\r\nHello.\r\n",
            "conn_fd": -int(ConnFlag.ERROR_BIND),
            "ctx": {"code": "550", "command": "RCPT TO:<a@b.example>"},
            "cur_conns": 2,
            "dest": self.dr,
            "data": {"epoch": 1, "type": 0, "policy": {}, "result-type": "certificate-expired"},
            "domain": "letters.example",
            "dr": self.dr,
            "err": ConnFlag.ERROR_CONNECT_TIMEOUT | ConnFlag.ACTION_REQUEUE1,
            "facts": ModelledFacts(verified="host"),
            "fd": self.socket.fileno(),
            "format": "%d %s",
            "goal": 9,
            "group": "marketing",
            "handle": self.handle,
            "host": "mx1.mail.example",
            "later": 0.0,
            "max_conns": -1,
            "msg": self.message,
            "note": b"550 5.1.1 no such user",
            "now": 1700007200.0,
            "params": TLSParameters(use="ifavailable"),
            "phase": 13,
            "preverify_ok": True,
            "queued": 40,
            "refused": b"535 5.7.8 expired",
            "session": ClientSession(self.handle),
            "src": self.dr,
        }
        return values[name]

    def call(self, point: HookPoint[Any], names: tuple[str, ...]) -> object:
        """
        Call a hook as the service does.
        """
        values = [
            InboundSession() if (point.name, name) == ("log_rejection", "ac") else self.sample(name, point.name)
            for name in names
        ]
        called = []

        def ask(provider: Any) -> Any:
            called.append(provider)
            return getattr(provider, point.name)(*values)

        answer: object = None
        if isinstance(point, Notice):
            point.notify(ask)
        elif isinstance(point, Veto):
            answer = point.vetoed(ask)
        elif isinstance(point, Override):
            answer = point.override(ask)
        elif isinstance(point, Exchange):
            answer = list(point.each(ask))
        elif isinstance(point, Inquiry):
            answer = point.inquire(ask, Clock(), 10.0)
        else:
            assert isinstance(point, Fold)
            answer = point.fold(values[-1], lambda provider, value: ask(provider))
        self.assertEqual(called, list(point.providers))
        return answer

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

    def test_arguments(self) -> None:
        """
        Each page gives interface, signature and shape, and has a row for every argument.
        """
        points = {point.name: point for point in OutboundHooks().points}
        for interface in hook_interfaces():
            (name,) = interface.names()
            text = (HOOKS / f"{name}.md").read_text(encoding="utf-8")
            names = arguments(interface, name)
            self.assertIn(f"`momentum_tx.interfaces.hooks.{interface.__name__}`", text, name)
            self.assertIn(f"`{name}({', '.join(names)}) -> ", text, name)
            self.assertIn(f"| shape | *{type(points[name]).__name__.lower()}*:", text, name)
            rows = re.findall(r"^\| `(\w+)` \|", text.partition("## Arguments")[2], re.MULTILINE)
            self.assertEqual(tuple(rows), names, name)
            for heading in ("When it is", "Answer", "Default", "Threading", "Example"):
                self.assertIn(f"\n## {heading}", text, name)

    def test_examples(self) -> None:
        """
        The example of each page is a whole provider: it is accepted, and survives being called.
        """
        for interface in hook_interfaces():
            (name,) = interface.names()
            hooks = OutboundHooks()
            for provider in self.providers(HOOKS / f"{name}.md", interface):
                hooks.register_last(provider)
            point = getattr(hooks, name)
            self.assertTrue(point, name)
            self.call(point, arguments(interface, name))
            self.assertEqual(self.complaints.events, [], name)

    def test_what_examples_answer(self) -> None:
        """
        The examples that decide something decide what their text says.
        """
        answers = {}
        for name in ("connection_goal", "veto_host_connection", "connection_post_bind", "check_outbound_conn_throttle"):
            hooks = OutboundHooks()
            interface = getattr(hooks, name).interface
            for provider in self.providers(HOOKS / f"{name}.md", interface):
                hooks.register_last(provider)
            point = getattr(hooks, name)
            answers[name] = [self.call(point, arguments(interface, name)) for _ in range(2)]
        self.assertEqual(
            answers,
            {
                "connection_goal": [1, 1],
                "veto_host_connection": [True, True],
                "connection_post_bind": [False, False],
                "check_outbound_conn_throttle": [0.0, 1700007201.0],
            },
        )
        self.assertEqual(self.socket.getsockopt(socket.IPPROTO_IP, socket.IP_TOS), 8)

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
        hooks = OutboundHooks()
        (logger,) = self.providers(page, contract)
        hooks.register_logger(logger)
        told = [point for point in hooks.points if point]
        self.assertEqual(len(told), 7)
        for point in told:
            self.call(point, arguments(point.interface, point.name))
        hooks.log_error(None, "error", "a text")
        hooks.close_loggers()
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
