"""
Tests of :mod:`momentum_tx.hooks.loggers`.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from momentum_tx.errors import StartupError
from momentum_tx.hooks.outbound import OutboundHooks
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.interfaces.hooks import (
    ILogReopen,
)


@implementer(contracts.ILoggingInfrastructure)
class Logger:
    """
    Keeps what it is told, and raises if it was made to.
    """

    def __init__(self, told: list[tuple[Any, ...]], broken: bool = False) -> None:
        self._told = told
        self._broken = broken

    def _note(self, *what: Any) -> None:
        self._told.append(what)
        if self._broken:
            raise RuntimeError("disk full")

    def log_error(self, now: float | None, level: str, text: str) -> None:
        self._note("error", now, level, text)

    def log_reception(self, ac: Any, msg: Any, now: float | None, note: bytes | None) -> None:
        self._note("reception", ac, msg, now, note)

    def log_attempt(self, msg: Any, dr: Any, now: float | None, note: bytes) -> None:
        self._note("attempt", msg, dr, now, note)

    def log_transient_failure(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self._note("transient", msg, dr, now, note)

    def log_permanent_failure(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self._note("permanent", msg, dr, now, note)

    def log_delivery(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self._note("delivery", msg, dr, now, note)

    def log_rejection(
        self, now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        self._note("rejection", now, ac, ctx, phase, format, args)

    def log_reopen(self) -> None:
        self._note("reopen")

    def log_close(self) -> None:
        self._note("close")


class LoggerTests(SynchronousTestCase):
    """
    A whole logger, registered as a unit.
    """

    def setUp(self) -> None:
        self.hooks = OutboundHooks()
        self.told: list[tuple[Any, ...]] = []

    def test_every_event(self) -> None:
        """
        Each of a logger's methods hears of the hook of its name, with the arguments unchanged.
        """
        self.hooks.register_logger(Logger(self.told))
        msg, dr, ac = Any, Any, Any
        m: Any = msg
        for name, arguments in (
            ("log_reception_v1", (ac, m, 1.5, None)),
            ("log_attempt_v1", (m, dr, None, b"host")),
            ("log_delivery_v1", (m, dr, 2.5, b"250 ok")),
            ("log_transient_failure_v1", (m, dr, 3.5, b"451 no")),
            ("log_permanent_failure_v1", (m, dr, 4.5, None)),
            ("log_rejection", (5.5, ac, {"code": "550"}, 3, "%s", ("x",))),
            ("log_reopen", ()),
        ):
            point = getattr(self.hooks, name)
            point.notify(lambda provider, name=name, arguments=arguments: getattr(provider, name)(*arguments))
            event = name.removeprefix("log_").removesuffix("_v1").removesuffix("_failure")
            self.assertEqual(self.told.pop(), (event, *arguments))
        self.assertEqual(self.told, [])

    def test_unheard(self) -> None:
        """
        Of what a logger says it does nothing at, it is not told; of all else it is.
        """
        logger = Logger(self.told)
        logger.unheard = ("log_attempt_v1", "log_reopen")  # type: ignore[attr-defined]
        self.hooks.register_logger(logger)
        self.assertFalse(self.hooks.log_attempt_v1 or self.hooks.log_reopen)
        self.hooks.log_delivery_v1.tell(Any, Any, 2.5, b"250 ok")
        self.assertEqual(self.told, [("delivery", Any, Any, 2.5, b"250 ok")])

    def test_after_others(self) -> None:
        """
        A logger goes behind what was registered before it, and is called by its own name in the log.
        """

        @implementer(ILogReopen)
        class Plain:
            def log_reopen(self) -> None: ...

        plain = Plain()
        self.hooks.register_last(plain)
        broken = Logger(self.told, broken=True)
        self.hooks.register_logger(broken)
        first, second = self.hooks.log_reopen.providers
        self.assertIs(first, plain)
        self.assertEqual(repr(second), repr(broken))
        self.hooks.log_reopen.notify(lambda provider: provider.log_reopen())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_errors_and_end(self) -> None:
        """
        Every logger hears of errors and of the end, also behind one that is broken.
        """
        self.hooks.tell_error(1.0, "warning", "to nobody")
        self.hooks.close_loggers()
        others: list[tuple[Any, ...]] = []
        self.hooks.register_logger(Logger(self.told, broken=True))
        self.hooks.register_logger(Logger(others))
        self.hooks.tell_error(2.0, "critical", "no space left")
        self.hooks.close_loggers()
        self.assertEqual(self.told, [("error", 2.0, "critical", "no space left"), ("close",)])
        self.assertEqual(others, self.told)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_wrong(self) -> None:
        """
        A logger that lacks a method is refused by name, and hears of nothing.
        """

        @implementer(contracts.ILoggingInfrastructure)
        class Half:  # type: ignore[misc]
            def __init__(self) -> None:
                self.told: list[str] = []

            def log_error(self, now: float | None, level: str, text: str) -> None:
                self.told.append(text)

        half: Any = Half()
        error = self.assertRaises(StartupError, self.hooks.register_logger, half)
        self.assertIn(repr(half), str(error))
        self.assertIn("log_reception", str(error))
        self.hooks.tell_error(1.0, "error", "text")
        self.assertEqual(half.told, [])
        self.assertFalse(any(self.hooks.points))

    def test_too_late(self) -> None:
        """
        A logger that comes after the start is refused, and hears of nothing, not even of errors.
        """
        self.hooks.freeze()
        self.assertRaises(StartupError, self.hooks.register_logger, Logger(self.told))
        self.hooks.tell_error(1.0, "error", "text")
        self.hooks.close_loggers()
        self.assertEqual(self.told, [])
