"""
Commands by name: what may be asked, with what arguments, and what is answered.

A request is an object of JSON, ``{"command": NAME, "arguments": {...}}``, and so is
its answer: ``{"ok": true, "result": ...}`` or ``{"ok": false, "error": TEXT}``.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from inspect import isawaitable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..errors import DeliveryError

#: Octets of an answer; a longer one is an error instead.
LONGEST_ANSWER: Final = 64 * 1024 * 1024


class Refused(Exception):
    """
    A command cannot be carried out; the text is for whoever asked.
    """


@dataclass(frozen=True, slots=True)
class Command:
    """
    One command.

    :ivar name: words, such as ``logs reopen``.
    :ivar carry_out: called with the arguments by name; answers with what JSON can say,
        with octets and dataclasses, or with a Deferred of it.
    :ivar help: the first line of its docstring.
    """

    name: str
    carry_out: Callable[..., Any]
    help: str


class ControlCommands:
    """
    The commands of one service.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self.add("help", self._help)

    def add(self, name: str, carry_out: Callable[..., Any]) -> None:
        """
        Understand the command *name*.

        :param carry_out: see :class:`Command`; its docstring is the command's help.
        :raises ValueError: there is a command of that name.
        """
        if name in self._commands:
            raise ValueError(f"there is a command {name} already")
        text = inspect.cleandoc(carry_out.__doc__ or "")
        self._commands[name] = Command(name, carry_out, " ".join(text.partition("\n\n")[0].split()))

    def _help(self) -> dict[str, str]:
        """
        What may be asked.
        """
        return {name: command.help for name, command in sorted(self._commands.items())}

    def asked(self, request: bytes) -> tuple[str, bool]:
        """
        What *request*, one line, asks for, and whether there is such a command.
        """
        try:
            name, _ = _parsed(request)
        except Refused:
            return "", False
        return name, name in self._commands

    def answer(self, request: bytes) -> Deferred[bytes]:
        """
        Carry out what *request*, one line, asks for.

        :returns: the answer, one line without its end; never fails.
        """
        return Deferred.fromCoroutine(self._answer(request))

    async def _answer(self, request: bytes) -> bytes:
        name = ""
        try:
            name, arguments = _parsed(request)
            result = await self._carried_out(name, arguments)
            answer = json.dumps({"ok": True, "result": result}, default=_plain).encode()
            if len(answer) > LONGEST_ANSWER:
                raise Refused("the answer is too long; ask for less")
        except (Refused, DeliveryError, ValueError, OSError) as error:
            return json.dumps({"ok": False, "error": str(error)}).encode()
        except Exception as error:
            self._log.failure("the command {name} raised", name=name)
            text = f"{name}: {type(error).__name__}: {error}; the log of the service says where"
            return json.dumps({"ok": False, "error": text}).encode()
        return answer

    async def _carried_out(self, name: str, arguments: dict[str, Any]) -> Any:
        command = self._commands.get(name)
        if command is None:
            raise Refused(f"there is no command {name!r}; help lists those there are")
        try:
            inspect.signature(command.carry_out).bind(**arguments)
        except TypeError as error:
            raise Refused(f"{name}: {error}") from None
        result = command.carry_out(**arguments)
        return await result if isawaitable(result) else result


def _parsed(request: bytes) -> tuple[str, dict[str, Any]]:
    try:
        found = json.loads(request)
    except (ValueError, RecursionError):
        raise Refused("the request is not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("command"), str):
        raise Refused('the request is no object with a "command"')
    arguments = found.get("arguments", {})
    if not isinstance(arguments, dict):
        raise Refused('"arguments" is no object')
    return found["command"], arguments


def _plain(value: object) -> object:
    """
    What JSON says of *value*, which it does not know.
    """
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "backslashreplace")
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Sequence, Set)):
        return list(value)
    raise Refused(f"the answer has a {type(value).__name__} in it, which nobody can be shown")
