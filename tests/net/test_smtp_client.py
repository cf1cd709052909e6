"""
Tests for :mod:`momentum_tx.net.smtp_client`: the transport side of a session,
on a virtual connection, with the peer played by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.net.body_writer import BODY_SLICE
from momentum_tx.net.smtp_client import ISMTPClientListener, SMTPClientProtocol, stage_timeouts
from momentum_tx.policy.tls import TLSParameters
from momentum_tx.settings import PathSettings
from momentum_tx.smtp import events as ev
from momentum_tx.smtp.client import SMTPClientMachine
from momentum_tx.stages import Stage
from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.tls import ModelledTLS
from momentum_tx.testing.wire import Line, connect, octet_by_octet, whole
from momentum_tx.timers import Agenda

SETTINGS = PathSettings(
    banner_timeout=11.0,
    ehlo_timeout=12.0,
    mailfrom_timeout=13.0,
    rcptto_timeout=14.0,
    data_timeout=15.0,
    body_block_timeout=16.0,
    body_timeout=17.0,
    rset_timeout=18.0,
    starttls_timeout=19.0,
    quit_timeout=3.0,
    idle_timeout=5.0,
)


@implementer(ISMTPClientListener)
class Listener:
    """
    Remembers what it was told.
    """

    def __init__(self) -> None:
        self.events: list[ev.Event] = []
        self.told: list[tuple[str, Stage]] = []
        self.then: Callable[[ev.Event], object] = lambda event: None

    def machine_event(self, event: ev.Event) -> None:
        self.events.append(event)
        self.then(event)

    def tls_established(self) -> None:
        self.told.append(("tls", Stage.NOT_CONNECTED))

    def idle_timed_out(self) -> None:
        self.told.append(("idle", Stage.IDLE))

    def stage_timed_out(self, stage: Stage) -> None:
        self.told.append(("timeout", stage))

    def connection_ended(self, stage: Stage) -> None:
        self.told.append(("ended", stage))


class Peer(Protocol):
    """
    The other end.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard = b""
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.gone = True


class ClientCase(SynchronousTestCase):
    """
    A client protocol, its listener, and a peer.
    """

    split = False

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.agenda = Agenda(self.clock)
        self.line = Line(latency=0.0)
        if self.split:
            # Replies, that is; bodies go the other way and would take long.
            self.line.split = lambda data: octet_by_octet(data) if len(data) < 1000 else whole(data)
        self.machine = SMTPClientMachine()
        self.listener = Listener()
        self.protocol = SMTPClientProtocol(self.machine, self.agenda, SETTINGS, self.listener)
        self.peer = Peer()
        ours, theirs = connect(self.clock, self.line, ("192.0.2.1", 40000), ("198.51.100.7", 25))
        theirs.start(self.peer)
        ours.start(self.protocol)

    def tearDown(self) -> None:
        """
        When the connection is over no timer is left.
        """
        self.protocol.abort()
        self.clock.advance(1)
        self.assertEqual([name for name, _ in self.listener.told].count("ended"), 1)
        self.agenda.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def reply(self, *lines: bytes) -> list[type]:
        """
        The peer says *lines*; the kinds of events since.
        """
        before = len(self.listener.events)
        self.peer.transport.write(b"".join(line + b"\r\n" for line in lines))
        self.clock.advance(0)
        return [type(event) for event in self.listener.events[before:]]

    def ready(self, *offers: bytes) -> None:
        """
        The session is open and idle.
        """
        self.assertEqual(self.reply(b"220 hello"), [ev.Greeted])
        self.machine.hello(b"me.example")
        self.protocol.flush()
        self.clock.advance(0)
        lines = [b"250-" + offer for offer in offers]
        self.assertEqual(self.reply(b"250-peer", *lines, b"250 HELP"), [ev.Ready])

    def data_wanted(self) -> None:
        """
        A transaction has come to its body.
        """
        self.ready()
        self.machine.transaction(b"a@b.example", [b"c@d.example"])
        self.protocol.flush()
        self.assertEqual(self.reply(b"250 ok"), [])
        self.assertEqual(self.reply(b"250 ok"), [])
        self.assertEqual(self.reply(b"354 go"), [ev.BodyWanted])
        self.peer.heard = b""

    def timed_out(self, seconds: float) -> None:
        """
        The deadline is *seconds* from now.
        """
        self.clock.advance(seconds - 0.01)
        self.assertEqual(self.listener.told, [])
        self.clock.advance(0.02)
        self.assertTrue(self.listener.told)


class DialogueTests(ClientCase):
    """
    Bytes in both directions.
    """

    def test_contracts(self) -> None:
        """
        It listens for handshakes.
        """
        self.assertTrue(verifyObject(IHandshakeListener, self.protocol))
        self.assertTrue(verifyObject(ISMTPClientListener, self.listener))

    def test_events(self) -> None:
        """
        Replies become events, and requests are written by ``flush``.
        """
        self.ready()
        self.assertEqual(self.peer.heard, b"EHLO me.example\r\n")
        self.assertIs(self.protocol.stage, Stage.IDLE)

    def test_small_body(self) -> None:
        """
        A small body leaves at once, dots doubled, with the final dot.
        """
        self.data_wanted()
        self.assertEqual(self.protocol.send_body(b".x\r\n"), 5)
        self.assertIs(self.protocol.stage, Stage.READING_CONFIRMATION)
        self.clock.advance(0)
        self.assertEqual(self.peer.heard, b"..x\r\n.\r\n")
        self.assertEqual(self.reply(b"250 taken"), [ev.TransactionEnded])

    def test_large_body(self) -> None:
        """
        A large body leaves in slices, as fast as the peer reads, then the dot.
        """
        self.line.window = 20_000
        self.peer.transport.pauseProducing()
        self.data_wanted_paused()
        content = b"0123456789\r\n" * 80_000
        self.protocol.send_body(content)
        self.clock.advance(5)
        self.assertIs(self.protocol.stage, Stage.SENDING_BODY)
        self.peer.transport.resumeProducing()
        self.clock.advance(1)
        self.assertEqual(self.peer.heard, content + b".\r\n")
        self.assertIs(self.protocol.stage, Stage.READING_CONFIRMATION)

    def data_wanted_paused(self) -> None:
        """
        As :meth:`data_wanted`, the peer reading only then.
        """
        self.peer.transport.resumeProducing()
        self.data_wanted()
        self.peer.transport.pauseProducing()

    def test_exactly_one_slice(self) -> None:
        """
        Bodies around the size of a slice arrive whole.
        """
        self.data_wanted()
        for size in (BODY_SLICE - 1, BODY_SLICE, BODY_SLICE + 1, 2 * BODY_SLICE):
            content = b"x" * (size - 2) + b"\r\n"
            self.peer.heard = b""
            self.protocol.send_body(content)
            self.clock.advance(1)
            self.assertEqual(self.peer.heard, content + b".\r\n")
            self.reply(b"250 taken")
            self.machine.transaction(b"a@b.example", [b"c@d.example"])
            self.protocol.flush()
            self.reply(b"250 ok")
            self.reply(b"250 ok")
            self.reply(b"354 go")

    def test_refused_in_the_middle(self) -> None:
        """
        A body that is refused while it is sent stops there: were its dot to
        follow, the peer might take what has been settled as refused.
        """
        self.line.window = 20_000
        self.data_wanted_paused()
        self.listener.then = lambda event: self.protocol.leave()
        self.protocol.send_body(b"0123456789\r\n" * 100_000)
        self.clock.advance(1)
        self.assertEqual(self.reply(b"552 too much"), [ev.TransactionEnded])
        self.peer.transport.resumeProducing()
        self.clock.advance(1)
        self.assertNotIn(b"\r\n.\r\n", self.peer.heard)
        self.assertLess(len(self.peer.heard), 3 * BODY_SLICE)
        self.assertTrue(self.peer.gone)

    def test_tls(self) -> None:
        """
        The handshake is begun by the seam; its end is told, and EHLO is due.
        """
        tls = ModelledTLS(self.clock)
        self.ready(b"STARTTLS")
        self.machine.starttls()
        self.protocol.flush()
        self.assertEqual(self.reply(b"220 go"), [ev.TLSGoAhead])
        self.protocol.start_tls(tls, TLSParameters(use="required", sni="mx.example.com"))
        self.clock.advance(1)
        self.assertEqual(self.listener.told, [("tls", Stage.NOT_CONNECTED)])
        self.assertEqual(tls.upgrades, [("mx.example.com", "198.51.100.7", "required")])
        self.assertIs(self.protocol.stage, Stage.DURING_EHLO)
        self.machine.hello(b"me.example")
        self.protocol.flush()
        self.assertEqual(self.reply(b"250 peer"), [ev.Ready])


class OctetByOctetTests(DialogueTests):
    """
    The same with every octet a read of its own.
    """

    split = True


class TimerTests(ClientCase):
    """
    The clock.
    """

    def test_banner(self) -> None:
        """
        The greeting.
        """
        self.timed_out(11)
        self.assertEqual(self.listener.told[0], ("timeout", Stage.READING_BANNER))
        self.clock.advance(1)
        self.assertTrue(self.peer.gone)

    def test_ehlo(self) -> None:
        """
        EHLO.
        """
        self.reply(b"220 hello")
        self.machine.hello(b"me.example")
        self.protocol.flush()
        self.timed_out(12)
        self.assertEqual(self.listener.told[0], ("timeout", Stage.AFTER_EHLO))

    def test_every_reply_of_a_transaction(self) -> None:
        """
        Each reply has a deadline of its own, which starts when the one before
        was read.
        """
        self.ready()
        self.machine.transaction(b"a@b.example", [b"c@d.example"])
        self.protocol.flush()
        self.clock.advance(12.9)
        self.reply(b"250 ok")
        self.clock.advance(13.9)
        self.reply(b"250 ok")
        self.timed_out(15)
        self.assertEqual(self.listener.told[0], ("timeout", Stage.AFTER_DATA))

    def test_dribbling(self) -> None:
        """
        A piece of a reply, or a line of one that goes on, moves no deadline.
        """
        self.ready()
        self.machine.transaction(b"a@b.example", [b"c@d.example"])
        self.protocol.flush()
        for _ in range(12):
            self.clock.advance(1)
            self.peer.transport.write(b"250-still\r\n")
        self.timed_out(1)
        self.assertEqual(self.listener.told[0], ("timeout", Stage.AFTER_MAIL_FROM))

    def test_body_without_progress(self) -> None:
        """
        A peer that takes nothing more of a body; every slice moves the deadline.
        """
        self.line.window = BODY_SLICE
        self.data_wanted()
        self.peer.transport.pauseProducing()
        self.protocol.send_body(b"0123456789\r\n" * 30_000)
        self.line.latency = 0.1
        self.clock.advance(15)
        self.peer.transport.resumeProducing()
        self.clock.advance(0.05)
        self.peer.transport.pauseProducing()
        self.clock.advance(0.05)
        self.assertIs(self.protocol.stage, Stage.SENDING_BODY)
        self.timed_out(16)
        self.assertEqual(self.listener.told[0], ("timeout", Stage.SENDING_BODY))

    def test_confirmation(self) -> None:
        """
        The reply to the dot.
        """
        self.data_wanted()
        self.protocol.send_body(b"x\r\n")
        self.timed_out(17)
        self.assertEqual(self.listener.told[0], ("timeout", Stage.READING_CONFIRMATION))

    def test_idle(self) -> None:
        """
        An idle session is told of, not closed: its owner decides.
        """
        self.ready()
        self.timed_out(5)
        self.assertEqual(self.listener.told, [("idle", Stage.IDLE)])
        self.assertFalse(self.peer.gone)

    def test_handshake(self) -> None:
        """
        A handshake that never ends.
        """
        tls = ModelledTLS(self.clock)
        tls.silent.add("mx.example.com")
        self.ready(b"STARTTLS")
        self.machine.starttls()
        self.protocol.flush()
        self.reply(b"220 go")
        self.protocol.start_tls(tls, TLSParameters(use="required", sni="mx.example.com"))
        self.timed_out(19)
        self.assertEqual(self.listener.told[0], ("timeout", Stage.TLS_HANDSHAKE))

    def test_defaults(self) -> None:
        """
        Where it is unset the greeting has EHLO's time and DATA has RCPT's.
        """
        timeouts = stage_timeouts(PathSettings(ehlo_timeout=1.0, rcptto_timeout=2.0))
        self.assertEqual((timeouts[Stage.READING_BANNER], timeouts[Stage.AFTER_DATA]), (1.0, 2.0))


class EndTests(ClientCase):
    """
    Ends of a connection.
    """

    def test_quit(self) -> None:
        """
        QUIT is said; an answer ends the session at once.
        """
        self.ready()
        self.listener.then = lambda event: self.protocol.leave()
        self.protocol.quit()
        self.protocol.quit()
        self.assertEqual(self.reply(b"221 bye"), [ev.QuitDone])
        self.clock.advance(0)
        self.assertEqual(self.peer.heard.count(b"QUIT"), 1)
        self.assertTrue(self.peer.gone)

    def test_quit_unanswered(self) -> None:
        """
        Without an answer it is over after ``quit_timeout``; that is no timeout
        of a stage.
        """
        self.ready()
        self.protocol.quit()
        self.timed_out(3)
        self.assertEqual([name for name, _ in self.listener.told], ["ended"])

    def test_leave_a_peer_that_does_not_read(self) -> None:
        """
        Leaving a peer that does not read ends after ``quit_timeout`` as well.
        """
        self.line.window = 1000
        self.data_wanted()
        self.peer.transport.pauseProducing()
        self.protocol.send_body(b"0123456789\r\n" * 1000)
        self.protocol.leave()
        self.timed_out(3)

    def test_lost(self) -> None:
        """
        A connection that ends says what was awaited.
        """
        self.ready()
        self.machine.transaction(b"a@b.example", [b"c@d.example"])
        self.protocol.flush()
        self.peer.transport.abortConnection()
        self.clock.advance(1)
        self.assertEqual(self.listener.told, [("ended", Stage.AFTER_MAIL_FROM)])

    def test_lost_in_the_body(self) -> None:
        """
        A connection that ends in the middle of a large body.
        """
        self.line.window = 1000
        self.data_wanted()
        self.peer.transport.pauseProducing()
        self.protocol.send_body(b"0123456789\r\n" * 100_000)
        self.peer.transport.abortConnection()
        self.clock.advance(1)
        self.assertEqual(self.listener.told, [("ended", Stage.SENDING_BODY)])

    def test_after_the_end(self) -> None:
        """
        Nothing that is asked afterwards does anything.
        """
        self.peer.transport.abortConnection()
        self.clock.advance(1)
        self.protocol.leave()
        self.protocol.abort()
        self.protocol.quit()
        self.clock.advance(100)
        self.assertEqual(len(self.listener.told), 1)
