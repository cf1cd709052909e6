"""
States that somebody puts into a session, as they, the peer and the operator see it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogLevel, capturedLogs
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.delivery.conversation import MOST_TURNS
from momentum_tx.errors import ExchangeFailed, StartupError
from momentum_tx.flags import ConnFlag
from momentum_tx.hooks.states import INSERT_AFTER
from momentum_tx.interfaces.hooks import ILogClientConnectionFailure, ISmtpClientState
from momentum_tx.interfaces.records import IClientSession
from momentum_tx.smtp.replies import Reply
from momentum_tx.stages import Stage
from momentum_tx.testing.peers import CLOSE, SILENCE, Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase

Words = Generator[Any, Any, None]
CONFIG = """
[global]
retry_interval = 600
host_failure_retry = 120
custom_state_timeout = 9
idle_timeout = 5
max_outbound_connections = 1
"""


class StateCase(WorldCase):
    """
    A world with states.
    """

    def with_states(
        self, *states: tuple[Stage, Callable[[Any], Words]], config: str = CONFIG
    ) -> tuple[World, Receiver]:
        """
        A world whose sessions have states, and a peer that knows their verbs.
        """
        world = self.world(config, start=False)
        for after, state in states:
            world.service.hooks.register_smtp_client_state(state, after)
        world.start()
        mx = world.exchanger("example.com")
        for verb in ("XONE", "XTWO", "XTLS"):
            mx.on(verb, b"250 fine")
        return world, mx

    def heard(self, mx: Receiver) -> list[bytes]:
        """
        First words of what the peer heard.
        """
        return [line.split(b" ")[0] for _, line in mx.commands]


def says(*lines: bytes) -> Callable[[Any], Words]:
    """
    A state that says *lines*, whatever is answered.
    """

    def state(session: Any) -> Words:
        for line in lines:  # noqa: UP028 (a tuple cannot be sent the replies)
            yield line

    return state


class PlacesTests(StateCase):
    """
    Where a state can be put in.
    """

    def test_everywhere(self) -> None:
        """
        A state speaks at its place: after the greeting, after EHLO, inside TLS, when the session is about to take
        mail, and before each message.
        """
        config = CONFIG + 'tls = "ifavailable"\n'
        world, mx = self.with_states(*[(after, says(b"XONE %d" % after)) for after in INSERT_AFTER], config=config)
        mx.starttls = True
        self.accept(world)
        self.accept(world)
        world.advance(30)
        place = {after: b"XONE %d" % after for after in INSERT_AFTER}
        lines = [line if line[:1] == b"X" else line[:4] for line in (line for _, line in mx.commands)]
        message = [place[Stage.AFTER_XCLIENT], b"MAIL", b"RCPT", b"DATA"]
        self.assertEqual(
            lines,
            [
                place[Stage.READING_BANNER],
                b"EHLO",
                place[Stage.AFTER_EHLO],
                b"STAR",
                b"EHLO",
                place[Stage.TLS_HANDSHAKE],
                place[Stage.AUTHENTICATION],
                *message,
                *message,
                b"QUIT",
            ],
        )
        self.assertEqual((len(mx.ledger), mx.connections), (2, 1))

    def test_in_order(self) -> None:
        """
        States of one place speak one after the other, in the order of their registration.
        """
        world, mx = self.with_states(
            (Stage.AFTER_EHLO, says(b"XONE", b"XONE")),
            (Stage.AFTER_EHLO, says(b"XTWO")),
            (Stage.AUTHENTICATION, says()),
        )
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.heard(mx)[:4], [b"EHLO", b"XONE", b"XONE", b"XTWO"])
        self.assertEqual(len(mx.ledger), 1)

    def test_without_tls(self) -> None:
        """
        A state for the inside of TLS does not speak in the clear.
        """
        world, mx = self.with_states((Stage.TLS_HANDSHAKE, says(b"XTLS")))
        self.accept(world)
        world.advance(1)
        self.assertNotIn(b"XTLS", self.heard(mx))
        self.assertEqual(len(mx.ledger), 1)

    def test_no_place(self) -> None:
        """
        Anywhere else nothing can be put in, and who tries is told where it can.
        """
        world = self.world(start=False)
        for after in set(Stage) - set(INSERT_AFTER):
            error = self.assertRaises(
                StartupError, world.service.hooks.register_smtp_client_state, says(b"XONE"), after
            )
            self.assertIn("Stage.AFTER_EHLO", str(error))

    def test_provider(self) -> None:
        """
        A provider of the hook is asked at each place, sees the session, and is told the replies.
        """
        told: list[object] = []

        @implementer(ISmtpClientState)
        class Relay:
            def smtp_client_state(self, session: IClientSession, after: Stage) -> Words | None:
                verifyObject(IClientSession, session)
                recipient = session.message.recipient if session.message is not None else None
                told.append(
                    (after, session.handle.dr.domain, session.extensions.pipelining, session.encrypted, recipient)
                )
                return self.talk() if after is Stage.AFTER_EHLO else None

            def talk(self) -> Words:
                told.append((yield b"XONE"))

        world = self.world(CONFIG, providers=[Relay()])
        mx = world.exchanger("example.com")
        mx.on("XONE", b"250-one\r\n250 two")
        self.accept(world)
        world.advance(1)
        self.assertEqual(
            told,
            [
                (Stage.READING_BANNER, "example.com", False, False, None),
                (Stage.AFTER_EHLO, "example.com", True, False, None),
                Reply(250, (b"one", b"two")),
                (Stage.AUTHENTICATION, "example.com", True, False, None),
                (Stage.AFTER_XCLIENT, "example.com", True, False, BOB.encode()),
            ],
        )

    def test_deferred(self) -> None:
        """
        A state may wait for a Deferred, and is given its result, or its failure.
        """
        result: Deferred[bytes] = Deferred()
        told: list[object] = []

        def state(session: Any) -> Words:
            told.append((yield succeed(b"at once")))
            try:
                yield fail(KeyError("x"))
            except KeyError:
                told.append("failed")
            told.append((yield (yield result)).code)

        world, mx = self.with_states((Stage.AUTHENTICATION, state))
        self.accept(world)
        world.advance(5)
        self.assertEqual((mx.ledger, self.heard(mx)), ([], [b"EHLO"]))
        result.callback(b"XTWO")
        world.advance(1)
        self.assertEqual((told, len(mx.ledger)), ([b"at once", "failed", 250], 1))

    def test_migration(self) -> None:
        """
        While there is a state no connection goes on with another domain's mail; without it would.
        """
        for states, connections in (((), 1), (((Stage.AFTER_EHLO, says()),), 2)):
            world, mx = self.with_states(*states)
            world.resolver.mx["other.example"] = [(10, "mx1.example.com")]
            self.accept(world)
            world.advance(1)
            self.accept(world, ["c@other.example"])
            world.advance(1)
            self.assertEqual((len(mx.ledger), mx.connections), (2, connections))


class FailureTests(StateCase):
    """
    What becomes of mail whose session has a state that fails.
    """

    def failing(
        self, state: Callable[[Any], Words], why: bytes, after: Stage = Stage.AFTER_EHLO, errors: int = 0
    ) -> None:
        """
        Mail waits with the reason, the session ends in order, another exchanger is tried before that.
        """
        with capturedLogs() as events:
            world, mx = self.with_states((after, state))
            other = world.exchanger("example.com", 20)
            for verb in ("XONE", "XTWO"):
                other.on(verb, b"250 fine")
            self.accept(world)
            world.advance(60)
        self.assertEqual(len([event for event in events if event["log_level"] >= LogLevel.error]), errors, events)
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(self.kinds(world), "RT")
        record = self.last(world, "T")
        self.assertIn(why, record["note"].encode())
        self.assertIn("[internal] custom state failed", record["note"])
        self.assertEqual(mx.ledger + other.ledger, [])
        self.assertEqual(self.heard(mx)[-1], b"QUIT")
        if after is Stage.AFTER_XCLIENT:
            self.assertEqual((mx.connections, other.connections), (1, 0))
        else:
            self.assertEqual((mx.connections, other.connections), (1, 1))

    def test_refused(self) -> None:
        """
        A state that is not passed says why, without noise in the log; before a message it costs an attempt of it.
        """

        def state(session: Any) -> Words:
            reply = yield b"XONE"
            raise ExchangeFailed(f"they said {reply.code}\n")

        for after in INSERT_AFTER:
            if after is not Stage.TLS_HANDSHAKE:
                self.failing(state, b"they said 250?", after)

    def test_raises(self) -> None:
        """
        One that raises something else is out of order, which is logged for each session.
        """

        def state(session: Any) -> Words:
            yield b"XONE"
            raise ZeroDivisionError("a secret")

        self.failing(state, b"ZeroDivisionError", errors=2)

    def test_nonsense(self) -> None:
        """
        So is one that says what cannot be said.
        """
        for said in (b"XONE\r\nXTWO", b"X" * 13000, "XONE", None, 5):
            self.failing(says(said), b"custom state failed", errors=2)  # type: ignore[arg-type]

    def test_endless(self) -> None:
        """
        So is one that never ends.
        """
        self.failing(says(*[b"XONE"] * (MOST_TURNS + 1)), b"no end after 100 turns", errors=2)
        world, mx = self.with_states((Stage.AFTER_EHLO, says(*[b"XONE"] * MOST_TURNS)))
        self.accept(world)
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)

    def test_no_generator(self) -> None:
        """
        So is a provider that raises when it is asked, or answers with something else.
        """
        self.failing(lambda session: 1 / 0, b"a provider is out of order", errors=2)  # type: ignore[arg-type,return-value]
        self.failing(lambda session: [b"XONE"], b"a provider is out of order", errors=2)  # type: ignore[arg-type,return-value]

    def test_peer(self) -> None:
        """
        A peer that breaks off, keeps silent, dismisses us, or breaks the protocol in the middle has failed as
        anywhere else; the state is closed.
        """
        for answer, note in (
            (CLOSE, "connection closed by remote host"),
            (SILENCE, "no response in custom state"),
            (b"421 later", "421 later"),
            (b"nonsense", "protocol error"),
            (b"250 a\r\n250 b", "protocol error"),
        ):
            ends: list[object] = []

            def state(session: Any, ends: list[object] = ends) -> Words:
                try:
                    yield b"XBAD"
                    yield b"XWORSE"
                finally:
                    ends.append("closed")

            world, mx = self.with_states((Stage.AFTER_EHLO, state))
            mx.on("XBAD", answer)
            self.accept(world)
            world.advance(30)
            record = self.last(world, "T")
            self.assertIn(note, record["note"])
            self.assertEqual((record["stage"], ends), ("24", ["closed"]))
            self.assertNotIn(b"XWORSE", self.heard(mx))

    def test_before_a_message(self) -> None:
        """
        A peer that keeps silent before a message costs the message its attempt, on a fresh connection.
        """
        world, mx = self.with_states((Stage.AFTER_XCLIENT, says(b"XBAD")))
        mx.on("XBAD", SILENCE)
        self.accept(world)
        world.advance(30)
        self.assertEqual(self.kinds(world), "RT")
        self.assertIn("no response in custom state", self.last(world, "T")["note"])

    def test_deferred_never_fires(self) -> None:
        """
        A Deferred that takes too long is cancelled, and the session ends.
        """
        cancelled: list[object] = []
        never: Deferred[None] = Deferred(lambda _: cancelled.append("cancelled"))

        def state(session: Any) -> Words:
            yield never

        world, _ = self.with_states((Stage.AUTHENTICATION, state))
        self.accept(world)
        world.advance(8.5)
        self.assertEqual(cancelled, [])
        world.advance(1)
        self.assertEqual(cancelled, ["cancelled"])
        self.assertIn("no response in custom state", self.last(world, "T")["note"])

    def test_stopped_meanwhile(self) -> None:
        """
        A service that stops does not wait for a state.
        """
        never: Deferred[None] = Deferred()
        closed: list[object] = []

        def state(session: Any) -> Words:
            try:
                yield never
            finally:
                closed.append(True)

        world, _ = self.with_states((Stage.AUTHENTICATION, state))
        self.accept(world)
        world.advance(1)
        before = world.clock.seconds()
        world.stop()
        self.assertEqual(closed, [True])
        self.assertLess(world.clock.seconds() - before, 8)

    def test_stops_the_service(self) -> None:
        """
        One that has the service stop is closed like any other, says nothing more, and waits for nothing.
        """
        for following in (lambda: b"XONE", Deferred, lambda: None):
            closed: list[bool] = []
            cancelled: list[Any] = []

            def stops(
                session: Any, following: Any = following, closed: Any = closed, cancelled: Any = cancelled
            ) -> Words:
                world.service.stopService()  # noqa: B023
                said = following()
                if isinstance(said, Deferred):
                    said.addErrback(cancelled.append)
                try:
                    if said is not None:
                        yield said
                finally:
                    closed.append(True)

            world, mx = self.with_states((Stage.AFTER_EHLO, stops))
            self.accept(world)
            world.advance(60)
            self.assertEqual((self.heard(mx), mx.open, closed), ([b"EHLO"], [], [True]))
            self.assertEqual(len(cancelled), following is Deferred)
            self.assertEqual(self.kinds(world), "R")

    def test_close_raises(self) -> None:
        """
        One that raises while it is closed hurts nobody.
        """

        def state(session: Any) -> Words:
            try:
                yield b"XBAD"
            except GeneratorExit:
                raise KeyError("x") from None

        with capturedLogs() as events:
            world, mx = self.with_states((Stage.AFTER_EHLO, state))
            mx.on("XBAD", CLOSE, times=1)
            mx.on("XBAD", b"250 ok")
            self.accept(world)
            world.advance(2000)
        self.assertEqual(len([event for event in events if event["log_level"] >= LogLevel.error]), 1)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(len(mx.ledger), 1)


class NoticeTests(StateCase):
    """
    A state among the hooks.
    """

    def test_notices_wait(self) -> None:
        """
        What happens while a state runs is told when its step is over.
        """
        order: list[str] = []

        @implementer(ILogClientConnectionFailure)
        class Told:
            def log_client_connection_failure(
                self, addr: object, err: ConnFlag, dr: object, binding_slot: int, now: float | None
            ) -> None:
                order.append("told")

        def state(session: Any) -> Words:
            point = world.service.hooks.log_client_connection_failure
            point.notify(
                lambda provider: provider.log_client_connection_failure(None, ConnFlag(0), session.handle.dr, 0, None)
            )
            order.append("said")
            yield b"XONE"

        world = self.world(CONFIG, start=False, providers=[Told()])
        world.service.hooks.register_smtp_client_state(state, Stage.AFTER_EHLO)
        world.start()
        mx = world.exchanger("example.com")
        mx.on("XONE", b"250 fine")
        self.accept(world)
        world.advance(1)
        self.assertEqual(order, ["said", "told"])
