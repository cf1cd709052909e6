"""
The reference pages of the hooks, written from their contracts and from their
examples in ``examples/hooks``.

A contract's docstring begins with ``Hook: ...  Shape: *...*.``; its paragraphs
that begin with ``Default:``, ``Source:`` and ``See also:`` are what they say, and
whatever stands between is for the reader.  The docstring of its method says when
the hook is called, what the arguments are and what an answer does.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .outbound import OutboundHooks
from .points import Notice
from .waiting import Inquiry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .points import HookPoint

#: What becomes of answers and of whoever raises, by the name of the shape.
_SHAPES: Final = {
    "notice": "every provider is told, in order; one that raises is logged and the next is told",
    "veto": "providers are asked in order until one says no; one that raises, or answers something that is neither a"
    ' boolean, a number nor `None`, counts as "no"',
    "override": "providers are asked in order until one answers something else than `None`; one that raises, or answers"
    " with the wrong type, is logged and the default is used",
    "fold": "every provider is asked in turn and given the value so far; one that raises, or answers with the wrong"
    " type, is logged and leaves the value as it was",
    "inquiry": "providers are asked in order until one has something, and may take their time; one that raises, fails,"
    " or answers something else has failed the question",
    "exchange": "providers speak one after the other, each to its end; one that raises, or answers something that is"
    " neither a generator nor `None`, ends the session",
}

_THREADING: Final = (
    "In the reactor's thread, one provider at a time, so that a provider needs no lock. It must not block"
)
_TOLD: Final = (
    f"{_THREADING}. It may call anything, `initiate_connection` included; notices that arise while it runs are told"
    " after it has returned."
)
_ASKED: Final = (
    f"{_THREADING}, and it is not waited for: what the method returns is the answer. It may call neither"
    " `initiate_connection` nor `initiate_connection_smtp` (`HookReentered` is raised)."
)
_WAITED_FOR: Final = (
    f"{_THREADING}; what takes time is a Deferred or an `async def`. It may call neither `initiate_connection` nor"
    " `initiate_connection_smtp` (`HookReentered` is raised)."
)
_SPEAKING: Final = f"{_THREADING}, and neither may a step of the generator; to wait, the generator yields a Deferred."

_FIELD: Final = re.compile(r"^:(param \w+|returns|raises \w+):\s*", re.MULTILINE)
_ROLE: Final = re.compile(r":\w+:`~?([^`]+)`")
_LINK: Final = re.compile(r"`([^`<]+?)\s*<([^`>]+)>`_")
_CODE: Final = re.compile(r"``(.+?)``", re.DOTALL)


class HookPage:
    """
    The page of one hook.

    :param point: the hook.
    :param names: names of all hooks, which become links.
    :raises ValueError: its contract does not say what a page needs.
    """

    def __init__(self, point: HookPoint[Any], names: Iterable[str]) -> None:
        self._point = point
        self._names = frozenset(names) - {point.name}
        self._interface = point.interface
        self._head: list[str] = []
        self._said: dict[str, str] = {}
        self._read_contract(inspect.cleandoc(self._interface.__doc__ or ""))
        method = inspect.cleandoc(self._interface[point.name].__doc__ or "")
        self._when, self._fields = _fields_of(method)
        if not self._when:
            raise ValueError(f"{self._interface.__name__}: its method does not say when it is called")

    def _read_contract(self, text: str) -> None:
        for paragraph in re.split(r"\n\s*\n", text):
            word, colon, rest = paragraph.partition(":")
            if colon and word in ("Hook", "Default", "Source", "See also"):
                self._said[word] = rest.strip()
            else:
                self._head.append(paragraph)
        shaped = re.fullmatch(r"(.+?)\s+Shape: \*(\w+)\*(.*)", " ".join(self._said.get("Hook", "").split()))
        if shaped is None or "Source" not in self._said:
            raise ValueError(f"{self._interface.__name__}: its docstring has no Hook, no Shape or no Source")
        self._summary, self._shape, self._more = shaped.groups()
        if self._shape not in _SHAPES or self._shape != type(self._point).__name__.lower():
            raise ValueError(
                f"{self._interface.__name__}: it says {self._shape}, and is a {type(self._point).__name__}"
            )

    def text(self, example: str) -> str:
        """
        The page in Markdown.

        :param example: the module that shows the hook.
        """
        name = self._point.name
        parts = [f"# {name}", self._prose(self._summary[0].upper() + self._summary[1:])]
        parts += [self._prose(paragraph) for paragraph in self._head]
        parts.append(self._facts())
        told = "told" if isinstance(self._point, Notice) else "asked"
        parts += [f"## When it is {told}", self._prose(self._when)]
        parts += ["## Arguments", self._arguments()]
        parts += ["## Answer", self._answer()]
        parts += ["## Default", self._default()]
        parts += ["## Threading", self._threading()]
        parts += ["## Example", f"`examples/hooks/{name}.py`, which can be run:", f"```python\n{example.strip()}\n```"]
        see = self._said.get("See also", "")
        links = f"{self._prose(see).rstrip('.')}; " if see else ""
        parts.append(f"See also: {links}[how to write a hook](../../howto/write-a-hook.md).")
        return "\n\n".join(part for part in parts if part) + "\n"

    def _facts(self) -> str:
        interface, name = self._interface, self._point.name
        _, answer = self._signature()
        arguments = ", ".join(each for each, _ in self._signature()[0])
        more = self._prose(self._more, cell=True).rstrip(".")
        more = f" {more}" if more else ""
        rows = [
            ("interface", f"`{interface.__module__}.{interface.__name__}`"),
            ("method", f"`{name}({arguments}) -> {answer}`".replace("|", "\\|")),
            ("shape", f"*{self._shape}*{more}: {_SHAPES[self._shape]}"),
            ("source", self._prose(self._said["Source"], cell=True)),
        ]
        return "\n".join(["| | |", "| --- | --- |", *(f"| {title} | {text} |" for title, text in rows)])

    def _signature(self) -> tuple[list[tuple[str, str]], str]:
        """
        The arguments with their types, and the type of the answer, as they are written.
        """
        module = ast.parse(inspect.getsource(sys.modules[self._interface.__module__]))
        for node in module.body:
            if isinstance(node, ast.ClassDef) and node.name == self._interface.__name__:
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name == self._point.name:
                        written = [(each.arg, _type(each.annotation)) for each in method.args.args]
                        return written, _type(method.returns)
        raise ValueError(f"{self._interface.__name__}: its source is not to be found")

    def _arguments(self) -> str:
        written, _ = self._signature()
        if not written:
            return "None."
        rows = ["| argument | type | meaning |", "| --- | --- | --- |"]
        for name, kind in written:
            meaning = self._fields.get(f"param {name}")
            if meaning is None:
                raise ValueError(f"{self._interface.__name__}: its argument {name} is not explained")
            shown = kind.replace("|", "\\|")
            rows.append(f"| `{name}` | `{shown}` | {_sentence(self._prose(meaning, cell=True))} |")
        return "\n".join(rows)

    def _answer(self) -> str:
        if "returns" in self._fields:
            return _sentence(self._prose(self._fields["returns"]))
        return "None: whatever is returned is ignored."

    def _default(self) -> str:
        if "Default" in self._said:
            return _sentence(self._prose(self._said["Default"]))
        if isinstance(self._point, Notice):
            return "Without a provider nobody is told, and the call costs one test."
        raise ValueError(f"{self._interface.__name__}: it does not say what happens by default")

    def _threading(self) -> str:
        if isinstance(self._point, Notice):
            return _TOLD
        if isinstance(self._point, Inquiry):
            return _WAITED_FOR
        return _SPEAKING if self._shape == "exchange" else _ASKED

    def _prose(self, text: str, cell: bool = False) -> str:
        """
        A docstring's text in Markdown; in a *cell* of a table it is one line.
        """
        text = _LINK.sub(lambda found: f"[{' '.join(found[1].split())}]({found[2]})", text)
        text = _ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2]}`", text)
        text = _CODE.sub(self._code, text)
        if cell:
            text = " ".join(text.split()).replace("|", "\\|")
        return text

    def _code(self, found: re.Match[str]) -> str:
        code = " ".join(found[1].split())
        return f"[{code}]({code}.md)" if code in self._names else f"`{code}`"


def _fields_of(text: str) -> tuple[str, dict[str, str]]:
    """
    A method's docstring: what stands before its fields, and those.
    """
    first = _FIELD.search(text)
    if first is None:
        return text.strip(), {}
    fields: dict[str, str] = {}
    pieces = _FIELD.split(text[first.start() :])
    for name, value in zip(pieces[1::2], pieces[2::2], strict=True):
        fields[name] = inspect.cleandoc(value).strip()
    return text[: first.start()].strip(), fields


def _type(annotation: ast.expr | None) -> str:
    return "None" if annotation is None else ast.unparse(annotation)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:]


def hook_pages(examples: Path) -> dict[str, str]:
    """
    Every page by the name of its hook.

    :param examples: the directory that has a module for each.
    :raises ValueError: a contract does not say what its page needs.
    :raises OSError: an example is missing.
    """
    points = OutboundHooks().points
    names = [point.name for point in points]
    return {
        point.name: HookPage(point, names).text((examples / f"{point.name}.py").read_text(encoding="utf-8"))
        for point in points
    }


if __name__ == "__main__":
    # python -m momentum_tx.hooks.pages doc/reference/hooks
    directory = Path(sys.argv[1])
    for name, text in hook_pages(directory.parents[2] / "examples" / "hooks").items():
        (directory / f"{name}.md").write_text(text, encoding="utf-8")
