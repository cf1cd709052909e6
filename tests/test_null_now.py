"""
Tests of ``now=None``, which stands for Momentum's NULL: whoever needs the time
then asks the clock, and a hook is handed what its caller gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.interface import InterfaceClass, Method

from momentum_tx.delivery.initiate import initiate_connection, open_connection
from momentum_tx.delivery.initiate_smtp import initiate_connection_smtp
from momentum_tx.errors import ConnectionNotInitiated
from momentum_tx.flags import ConnFlag
from momentum_tx.hooks.outbound import OutboundHooks
from momentum_tx.hooks.points import Fold, Notice
from momentum_tx.interfaces import hooks as contracts

from .delivery.dialing import BEGIN, REFUSED, World
from .logs.doubles import MainLogBase

ADDRESS = "198.51.100.1"
#: How far the worlds' clocks have run when something is asked of them.
LATER = 7.0


@implementer(
    contracts.ILogClientConnectionFailure,
    contracts.ILogClientConnectionSuccess,
    contracts.ILogAttemptV1,
    contracts.ILogDeliveryV1,
    contracts.ILogTransientFailureV1,
    contracts.ILogPermanentFailureV1,
    contracts.ILogReceptionV1,
    contracts.ILogRejection,
    contracts.ILogError,
    contracts.IMessageHeld,
    contracts.IPostInitiateConnectionSmtp,
    contracts.ICheckOutboundConnThrottle,
)
class Listener:
    """
    Provides every hook that is told the time, and remembers which time that was.
    """

    def __init__(self) -> None:
        self.heard: list[tuple[str, float | None]] = []

    def log_client_connection_failure(
        self, addr: Any, err: ConnFlag, dr: Any, binding_slot: int, now: float | None
    ) -> None:
        self.heard.append(("log_client_connection_failure", now))

    def log_client_connection_success(self, addr: Any, dr: Any, binding_slot: int, now: float | None) -> None:
        self.heard.append(("log_client_connection_success", now))

    def log_attempt_v1(self, msg: Any, dr: Any, now: float | None, note: bytes) -> None:
        self.heard.append(("log_attempt_v1", now))

    def log_delivery_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.heard.append(("log_delivery_v1", now))

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.heard.append(("log_transient_failure_v1", now))

    def log_permanent_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.heard.append(("log_permanent_failure_v1", now))

    def log_reception_v1(self, ac: Any, msg: Any, now: float | None, note: bytes | None) -> None:
        self.heard.append(("log_reception_v1", now))

    def log_rejection(
        self, now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        self.heard.append(("log_rejection", now))

    def log_error(self, now: float | None, level: str, text: str) -> None:
        self.heard.append(("log_error", now))

    def message_held(self, msg: Any, dr: Any, now: float | None, note: bytes) -> None:
        self.heard.append(("message_held", now))

    def post_initiate_connection_smtp(self, dr: Any, binding_slot: int, now: float | None, conn_fd: int) -> None:
        self.heard.append(("post_initiate_connection_smtp", now))

    def check_outbound_conn_throttle(self, binding_id: int, dr: Any, now: float | None, later: float) -> float:
        self.heard.append(("check_outbound_conn_throttle", now))
        return later


def methods(contract: InterfaceClass) -> Iterator[tuple[str, Method]]:
    """
    The methods of *contract* that are told the time.
    """
    for name, method in contract.namesAndDescriptions():
        if isinstance(method, Method) and "now" in method.getSignatureInfo()["positional"]:
            yield name, method


class HookPointTests(MainLogBase):
    """
    The chains, with real records.
    """

    def setUp(self) -> None:
        super().setUp()
        self.connect()
        self.hooks = OutboundHooks()
        self.listener = Listener()
        self.hooks.register_last(self.listener)

    def tell_all(self, now: float | None) -> set[str]:
        """
        Call every hook point that is told the time.

        :returns: their names.
        """
        hooks, message, dr, reception = self.hooks, self.message, self.dr, self.reception
        address, word = IPv4Address("TCP", ADDRESS, 25), ConnFlag.ERROR_CONNECT
        hooks.log_client_connection_failure.notify(
            lambda hook: hook.log_client_connection_failure(address, word, dr, 0, now)
        )
        hooks.log_client_connection_success.notify(lambda hook: hook.log_client_connection_success(address, dr, 0, now))
        hooks.log_attempt_v1.notify(lambda hook: hook.log_attempt_v1(message, dr, now, b"mx.example"))
        hooks.log_delivery_v1.notify(lambda hook: hook.log_delivery_v1(message, dr, now, None))
        hooks.log_transient_failure_v1.notify(lambda hook: hook.log_transient_failure_v1(message, dr, now, None))
        hooks.log_permanent_failure_v1.notify(lambda hook: hook.log_permanent_failure_v1(message, dr, now, None))
        hooks.log_reception_v1.notify(lambda hook: hook.log_reception_v1(reception, message, now, None))
        hooks.message_held.notify(lambda hook: hook.message_held(message, dr, now, b"451 lost"))
        hooks.log_error.notify(lambda hook: hook.log_error(now, "error", "what"))
        hooks.log_rejection.notify(lambda hook: hook.log_rejection(now, None, {}, 4, "%d %s", (550, "no")))
        hooks.post_initiate_connection_smtp.notify(lambda hook: hook.post_initiate_connection_smtp(dr, 0, now, -512))
        later = hooks.check_outbound_conn_throttle.fold(
            5.0, lambda hook, value: hook.check_outbound_conn_throttle(0, dr, now, value)
        )
        self.assertEqual(later, 5.0)
        return {name for name, _ in self.listener.heard}

    def test_none_arrives_as_none(self) -> None:
        """
        A provider gets ``None`` where the caller gave it, and the moment where it gave one.
        """
        for now in (None, 1700000000.25):
            self.listener.heard.clear()
            self.tell_all(now)
            self.assertEqual({heard for _, heard in self.listener.heard}, {now})

    def test_none_is_forgotten(self) -> None:
        """
        The story above calls each hook whose contract tells the time.
        """
        timed = {
            name
            for point in self.hooks.points
            if point.interface.__module__ == contracts.__name__
            for name, _ in methods(point.interface)
            if isinstance(point, (Notice, Fold))
        }
        self.assertEqual(self.tell_all(None), timed)
        self.assertIn("check_outbound_conn_throttle", timed)
        self.assertIn("post_initiate_connection_smtp", timed)

    def test_logger_as_a_unit(self) -> None:
        """
        Told through the hook points without a time, the mainlog writes every
        record with the time of its own clock; mail is delivered, not lost, for
        want of one.
        """
        self.hooks.register_logger(self.log)
        self.tell_all(None)
        self.assertEqual([line.split("@")[4] for line in self.lines()], ["D", "T", "P", "R"])
        self.assertEqual({line.split("@")[0] for line in self.lines()}, {"1700000010"})
        # Seconds in the system: from the reception at .5 to the clock's .5.
        seconds = [line.split("@")[at] for line, at in zip(self.lines()[:3], (10, 11, 11), strict=True)]
        self.assertEqual(seconds, ["10.000"] * 3)


class MainLogTests(MainLogBase):
    """
    The logger's own methods.
    """

    def test_every_method(self) -> None:
        """
        No method that may be called without a time minds that there is none.
        """
        self.connect()
        given = {"msg": self.message, "dr": self.dr, "ac": self.reception, "note": b"x", "ctx": {}, "phase": 4}
        given |= {"level": "error", "text": "what", "format": "no", "args": ()}
        called = []
        for name, method in methods(contracts.ILoggingInfrastructure):
            positional = method.getSignatureInfo()["positional"]
            getattr(self.log, name)(**{key: given.get(key) for key in positional})
            called.append(name)
        self.assertEqual(
            sorted(called),
            [
                "log_attempt",
                "log_delivery",
                "log_error",
                "log_permanent_failure",
                "log_reception",
                "log_rejection",
                "log_transient_failure",
            ],
        )
        self.assertEqual({line.split("@")[0] for line in self.lines()}, {"1700000010"})
        self.assertEqual(len(self.lines()), 4)
        self.assertEqual(len(self.diagnostics()), 2)

    def test_time_given(self) -> None:
        """
        A time that is given is not replaced by the clock's, not even the epoch.
        """
        self.connect()
        self.log.log_reception(self.reception, self.message, 0.0, None)
        self.log.log_delivery(self.message, self.dr, 0.0, None)
        self.log.log_transient_failure(self.message, self.dr, 0.0, None)
        self.log.log_permanent_failure(self.message, self.dr, 0.0, None)
        self.log.beat(0.0)
        self.assertEqual({line.split("@")[0] for line in self.lines()}, {"0"})

    def test_heartbeat(self) -> None:
        """
        A heartbeat asked for without a time has the clock's.
        """
        self.log.beat(None)
        self.assertEqual(self.lines(), ["1700000010@@@@M"])


class ConnectionFunctionTests(SynchronousTestCase):
    """
    The mission's calls, at a moment that only the clock knows.
    """

    def setUp(self) -> None:
        self.world = World()
        self.listener = Listener()
        self.world.hooks.register_last(self.listener)
        self.dr = self.world.domain("example.com", ADDRESS)
        self.world.clock.advance(LATER)

    def tearDown(self) -> None:
        self.world.clock.advance(10_000)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def times(self) -> set[float | None]:
        """
        Every time the hooks were told.
        """
        return {now for _, now in self.listener.heard}

    def test_initiate_connection(self) -> None:
        """
        The attempt begins at the clock's time, and success is told with the
        clock's time of its own moment.
        """
        handle = initiate_connection(self.dr, 0, None, self.world.finished, self.world.timed_out)
        self.assertEqual(handle.connection.start, BEGIN + LATER)
        self.assertEqual(handle.tries[0].start, BEGIN + LATER)
        self.world.clock.advance(1.0)
        self.world.dialer.dials[0].connect()
        self.assertEqual(self.world.endings()[0][3], BEGIN + LATER + 1.0)
        self.assertEqual(self.times(), {BEGIN + LATER + 1.0})
        handle.close()

    def test_initiate_connection_with_a_time(self) -> None:
        """
        A time that is given is the attempt's, not the clock's; zero is one.
        """
        handle = initiate_connection(self.dr, 0, 0.0, self.world.finished, self.world.timed_out)
        self.assertEqual(handle.connection.start, 0.0)
        handle.close()

    def test_initiate_connection_refused(self) -> None:
        """
        A failure at once is told with the clock's time, and the address that
        failed is left alone from then on for ``host_failure_retry``.
        """
        self.world.dialer.at_once[ADDRESS] = REFUSED
        begin: Callable[..., Any] = initiate_connection
        for _ in range(2):
            self.assertRaises(
                ConnectionNotInitiated, begin, self.dr, 0, None, self.world.finished, self.world.timed_out
            )
        self.assertEqual(self.listener.heard, [("log_client_connection_failure", BEGIN + LATER)] * 2)
        self.assertEqual(self.world.dialer.asked, [ADDRESS])

    def test_open_connection(self) -> None:
        """
        The Deferred form asks the clock by the same rule.
        """
        opening = open_connection(self.dr, 0, None)
        self.world.dialer.dials[0].connect()
        handle = self.successResultOf(opening)
        self.assertEqual(handle.connection.start, BEGIN + LATER)
        handle.close()

    def test_initiate_connection_smtp(self) -> None:
        """
        The hook is told the clock's time of the call.
        """
        self.assertEqual(initiate_connection_smtp(self.dr, 0, None), 0)
        self.assertEqual(
            self.listener.heard,
            [
                ("check_outbound_conn_throttle", BEGIN + LATER),
                ("post_initiate_connection_smtp", BEGIN + LATER),
            ],
        )
        self.world.dialer.dials[0].connect()
        self.world.opened[0].close()

    def test_initiate_connection_smtp_refused(self) -> None:
        """
        The message that pays for a failure is requeued by the clock's time.
        """
        message = self.world.message(self.dr)
        self.world.dialer.at_once[ADDRESS] = REFUSED
        self.assertEqual(initiate_connection_smtp(self.dr, 0, None), ConnFlag.ERROR_CONNECT_NETWORK)
        self.assertEqual(message.next_attempt, BEGIN + LATER + 1200)
        self.assertEqual(
            [name for name, _ in self.listener.heard],
            [
                "check_outbound_conn_throttle",
                "log_client_connection_failure",
                "log_transient_failure_v1",
                "post_initiate_connection_smtp",
            ],
        )
        self.assertEqual(self.times(), {BEGIN + LATER})
