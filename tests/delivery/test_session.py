"""
What happens in one session, as the peer and the operator see it.
"""

from momentum_tx.errors import LocalProtocolError
from momentum_tx.policy.session_notes import UNSPEAKABLE
from momentum_tx.queues.message import Reception
from momentum_tx.testing.peers import (
    CLOSE,
    RESET,
    SILENCE,
    TAKE_AND_BE_SILENT,
    TAKE_AND_CLOSE,
    Answer,
    Receiver,
    ReceiverSession,
    Step,
)
from momentum_tx.testing.wire import Cut, octet_by_octet
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

CAROL = "carol@example.com"

#: Every timeout has a value of its own, so that a wrong one shows.
TIMEOUTS = """
[global]
banner_timeout = 11
ehlo_timeout = 12
mailfrom_timeout = 13
rcptto_timeout = 14
data_timeout = 15
body_block_timeout = 16
body_timeout = 17
rset_timeout = 18
quit_timeout = 3
idle_timeout = 5
retry_interval = 600
"""


class SlowBodyTests(WorldCase):
    """
    Bodies that have to be read from disk.
    """

    CONFIG = "[global]\nidle_timeout = 0\nbody_cache_size = 0\nheartbeat = 0\n"

    def test_nothing_is_timed(self) -> None:
        """
        While we read a body no timer of the peer's runs: a slow disk with
        ``idle_timeout = 0`` neither ends the session nor keeps the reactor busy.
        """
        world = self.world(self.CONFIG)
        mx = world.exchanger("example.com")
        self.accept(world)
        world.threads.delay = 400.0
        world.until(lambda: bool(mx.open))
        before = world.clock.steps
        world.advance(1000)
        self.assertEqual((len(mx.ledger), mx.connections), (1, 1))
        self.assertLess(world.clock.steps - before, 1000)

    def test_stopped_meanwhile(self) -> None:
        """
        A message whose body is being read when the service stops, or delivery is
        suspended, is not attempted any more, and stays as it was.
        """
        for stop in (True, False):
            world = self.world(self.CONFIG)
            mx = world.exchanger("example.com")
            self.accept(world)
            world.threads.delay = 3.0
            world.until(lambda mx=mx: bool(mx.open))  # type: ignore[misc]
            world.advance(1)
            if stop:
                world.stop()
            else:
                world.reload(self.CONFIG + "suspend_delivery = true\n")
            world.advance(60)
            self.assertEqual((mx.ledger, mx.connections, self.kinds(world)), ([], 1, "R"))
            self.assertEqual([line[:4] for _, line in mx.commands], [b"EHLO", b"QUIT"])
            world.threads.delay = 0.0
            if stop:
                world.build()
                world.start()
            else:
                world.reload(self.CONFIG)
            world.advance(60)
            self.assertEqual((len(mx.ledger), self.kinds(world)), (1, "RD"))

    def test_idle_afterwards(self) -> None:
        """
        A session whose last message turned out not to fit its peer is idle, and
        leaves when that has lasted long enough.
        """
        world = self.world(self.CONFIG)
        mx = world.exchanger("example.com")
        mx.size = 100
        self.accept(world)
        world.advance(60)
        self.assertEqual(self.kinds(world), "RP")
        self.assertEqual(mx.open, [])


class SessionTests(WorldCase):
    """
    The ordinary course of a session.
    """

    def test_message_after_message(self) -> None:
        """
        Mail that comes while a session is open goes over it, and no second EHLO is said.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        self.accept(world, subject="one")
        world.advance(2)
        self.accept(world, subject="two")
        world.advance(2)
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 1])
        self.assertEqual(self.verbs(mx).count(b"EHLO"), 1)

    def test_idle_timeout(self) -> None:
        """
        A session without mail says QUIT after ``idle_timeout``, five seconds.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        self.accept(world)
        world.until(lambda: bool(mx.ledger))
        world.advance(4.9)
        self.assertNotIn(b"QUIT", self.verbs(mx))
        world.advance(0.2)
        self.assertEqual(self.verbs(mx)[-1], b"QUIT")
        self.assertEqual(mx.open, [])

    def test_quit_unanswered(self) -> None:
        """
        A peer that does not answer QUIT is left after ``quit_timeout``.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("QUIT", SILENCE)
        self.accept(world)
        world.advance(5 + 4.5)
        self.assertEqual(len(mx.open), 1)
        world.advance(1)
        self.assertEqual(mx.open, [])
        self.assertEqual(self.kinds(world), "RD")

    def test_reset_after_refusal(self) -> None:
        """
        After a transaction that was refused the session goes on with RSET, and
        the next message is delivered on the same connection.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("MAIL", b"550 5.7.1 Not from you", times=1)
        self.accept(world, subject="one")
        world.advance(1)
        self.accept(world, subject="two")
        world.advance(1)
        self.assertEqual(self.kinds(world), "RPRD")
        self.assertEqual(self.verbs(mx)[-4:], [b"RSET", b"MAIL", b"RCPT", b"DATA"])
        self.assertEqual(mx.connections, 1)

    def test_reset_refused(self) -> None:
        """
        A peer that refuses RSET is left; the next message has a new connection.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"550 5.1.1 Nobody", times=1)
        mx.on("RSET", b"500 What?")
        self.accept(world, subject="one")
        self.accept(world, subject="two")
        world.advance(20)
        self.assertEqual(sorted(self.kinds(world)), sorted("RPRD"))
        self.assertEqual([taken.connection for taken in mx.ledger], [2])

    def test_max_deliveries_per_connection(self) -> None:
        """
        After two deliveries the session says QUIT and another one goes on.
        """
        world = self.world("[global]\nmax_deliveries_per_connection = 2\nmax_outbound_connections = 1\n")
        mx = world.exchanger("example.com")
        for number in range(5):
            self.accept(world, subject=str(number))
        world.advance(10)
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 1, 2, 2, 3])
        self.assertEqual(self.verbs(mx, 1)[-1], b"QUIT")

    def test_max_recipients_per_connection(self) -> None:
        """
        RCPT commands are counted over the whole connection.
        """
        world = self.world("[global]\nmax_recipients_per_connection = 3\nmax_outbound_connections = 1\n")
        mx = world.exchanger("example.com")
        self.accept(world, [f"user{number}@example.com" for number in range(7)])
        world.advance(10)
        self.assertEqual([len(taken.recipients) for taken in mx.ledger], [3, 3, 1])
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 2, 3])

    def test_max_recipients_per_batch(self) -> None:
        """
        A transaction takes at most ``max_recipients_per_batch`` recipients; the
        others follow on the same connection.
        """
        world = self.world("[global]\nmax_recipients_per_batch = 3\nmax_outbound_connections = 1\n")
        mx = world.exchanger("example.com")
        self.accept(world, [f"user{number}@example.com" for number in range(7)])
        world.advance(10)
        self.assertEqual([(taken.connection, len(taken.recipients)) for taken in mx.ledger], [(1, 3), (1, 3), (1, 1)])

    def test_without_pipelining(self) -> None:
        """
        A peer that does not offer PIPELINING hears one command at a time.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.pipelining = False
        heard: list[int] = []
        mx.on("RCPT", lambda session, line: heard.append(len(mx.commands)))
        mx.on("DATA", lambda session, line: heard.append(len(mx.commands)))
        mx.on("MAIL", Answer(b"250 2.1.0 Ok", after=1.0))
        self.accept(world)
        world.advance(1)
        self.assertEqual(heard, [])
        world.advance(1)
        self.assertEqual(heard, [3, 4])
        self.assertEqual(self.taken(mx), [BOB.encode()])

    def test_helo(self) -> None:
        """
        A peer that does not know EHLO is greeted with HELO and gets its mail.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("EHLO", b"502 What?")
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.verbs(mx)[:2], [b"EHLO", b"HELO"])
        self.assertEqual(self.kinds(world), "RD")

    def test_octet_by_octet(self) -> None:
        """
        A peer whose replies arrive one octet at a time is understood as well.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.network.line(mx.address).split = octet_by_octet
        self.accept(world, [BOB, CAROL])
        world.advance(1)
        self.assertEqual(self.taken(mx), [BOB.encode(), CAROL.encode()])
        self.assertEqual(self.kinds(world), "RRDD")

    def test_ehlo_names(self) -> None:
        """
        ``ehlo_hostname`` is taken literally, or is the sender's domain.
        """
        for option, said in (("out.sender.example", b"out.sender.example"), ("__message__", b"sender.example")):
            world = self.world(f'[global]\nehlo_hostname = "{option}"\n')
            mx = world.exchanger("example.com")
            self.accept(world)
            world.advance(1)
            self.assertEqual(mx.ledger[0].helo, said)

    def test_hello_name_of_a_binding(self) -> None:
        """
        Each binding says its own name; a member that has none says its group's.
        """
        world = self.world(
            '[binding.b1]\nehlo_hostname = "b1.sender.example"\n'
            '[binding_group.g]\nehlo_hostname = "g.sender.example"\n'
            "[binding_group.g.binding.b2]\n"
            '[binding_group.g.binding.b3]\nehlo_hostname = "b3.sender.example"\n'
            '[binding_group.g.binding.b3.domain."example.net"]\nehlo_hostname = "net.sender.example"\n'
        )
        mx, net = world.exchanger("example.com"), world.exchanger("example.net")
        for name in ("b1", "b2", "b3", "default"):
            self.accept(world, X_Binding=name)
            world.advance(1)
        self.accept(world, ["bob@example.net"], X_Binding="b3")
        world.advance(1)
        said = [taken.helo.partition(b".")[0] for taken in [*mx.ledger, *net.ledger]]
        self.assertEqual(said, [b"b1", b"g", b"b3", b"mail", b"net"])

    def test_too_large(self) -> None:
        """
        A message larger than SIZE allows is not offered, and given up.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.size = 100
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.last(world, "P")["note"], "552 5.3.4 [internal] message is larger than the peer accepts")
        self.assertNotIn(b"MAIL", self.verbs(mx))

    def test_dots(self) -> None:
        """
        Lines that begin with a dot arrive as they were.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        content = world.message(body=".\r\n..\r\n.dot\r\nend\r\n")
        world.inject(SENDER, [BOB], content)
        world.advance(1)
        self.assertTrue(mx.ledger[0].content.endswith(content))

    def test_large_body_to_slow_reader(self) -> None:
        """
        A body of a megabyte reaches a peer that pauses now and then, whole, and
        never more than the window and a slice is on its way.
        """
        world = self.world("[global]\nbody_block_timeout = 30\n")
        mx = world.exchanger("example.com")
        line = world.network.line(mx.address)
        line.window = 10_000
        line.latency = 0.2
        body = "".join(f"line {number} {'x' * 60}\r\n" for number in range(15_000))
        content = world.message(body=body)
        sending = world.send(SENDER, [BOB], content)
        world.advance(5)
        self.assertEqual(mx.ledger, [])
        world.advance(300)
        self.assertTrue(mx.ledger[0].content.endswith(content))
        self.successResultOf(sending)

    def test_reader_that_stops(self) -> None:
        """
        A peer that stops reading in the middle of a body is left after
        ``body_block_timeout``, and the message is tried again; nobody thinks
        that it may have been taken.
        """
        world = self.world(TIMEOUTS)
        mx = world.exchanger("example.com")

        def stop_reading(session: ReceiverSession, line: bytes) -> None:
            session.transport.pauseProducing()

        mx.on("body", stop_reading, times=1)
        sending = world.send(SENDER, [BOB], world.message(body="0123456789\r\n" * 50_000))
        world.advance(16.5)
        failure = self.last(world, "T")
        self.assertEqual(failure["note"], "451 4.4.2 [internal] send BODY failed")
        self.assertEqual(failure["stage"], "8")
        world.advance(700)
        (outcome,) = self.successResultOf(sending)
        self.assertFalse(outcome.ambiguous)
        self.assertEqual(self.taken(mx), [BOB.encode()])


class TimeoutTests(WorldCase):
    """
    A peer that falls silent, at every stage, on both sides of the deadline.
    """

    def silent(self, point: str, seconds: float, note: str, stage: str, then: Answer = SILENCE) -> None:
        """
        At *point* the peer keeps silent: a moment before the deadline nothing
        has happened, a moment after it the message failed with *note*; and a
        peer that answers in time has no failure.
        """
        world = self.world(TIMEOUTS)
        mx = world.exchanger("example.com")
        mx.pipelining = False
        at: list[float] = []

        def mark(session: ReceiverSession, line: bytes) -> Answer:
            at.append(world.clock.seconds())
            return then

        mx.on(point, mark, times=1)
        self.accept(world)
        world.until(lambda: bool(at))
        # Our timer starts when the command is written, a latency before the peer has it.
        world.advance(seconds - 0.1)
        self.assertEqual(self.kinds(world), "R")
        world.advance(0.2)
        failure = self.last(world, "T")
        self.assertEqual((failure["note"], failure["stage"]), ("451 4.4.2 [internal] " + note, stage))
        self.assertEqual(mx.open, [])

        patient = self.world(TIMEOUTS)
        slow = patient.exchanger("example.com")
        slow.pipelining = False
        usual = {
            "connect": b"220 hello",
            "EHLO": b"250 hello",
            "MAIL": b"250 ok",
            "RCPT": b"250 ok",
            "DATA": b"354 go",
            "dot": b"250 ok",
        }
        slow.on(point, Answer(usual[point], after=seconds - 0.1))
        self.accept(patient)
        patient.advance(seconds + 1)
        self.assertEqual(self.kinds(patient), "RD")

    def test_banner(self) -> None:
        """
        No greeting within ``banner_timeout``.
        """
        self.silent("connect", 11, "no banner", "12")

    def test_ehlo(self) -> None:
        """
        No reply to EHLO within ``ehlo_timeout``.
        """
        self.silent("EHLO", 12, "no HELO/EHLO response", "11")

    def test_mail(self) -> None:
        """
        No reply to MAIL within ``mailfrom_timeout``.
        """
        self.silent("MAIL", 13, "no MAIL FROM response", "3")

    def test_rcpt(self) -> None:
        """
        No reply to RCPT within ``rcptto_timeout``.
        """
        self.silent("RCPT", 14, "no RCPT TO response", "5")

    def test_data(self) -> None:
        """
        No reply to DATA within ``data_timeout``.
        """
        self.silent("DATA", 15, "no DATA response", "7")

    def test_dot(self) -> None:
        """
        No reply to the final dot within ``body_timeout``.
        """
        self.silent("dot", 17, "no BODY response", "9")

    def test_rset(self) -> None:
        """
        No reply to RSET within ``rset_timeout``: the session is over, and
        neither the next message nor the host suffers for it.
        """
        world = self.world(TIMEOUTS)
        mx = world.exchanger("example.com")
        mx.on("MAIL", b"550 5.7.1 No", times=1)
        mx.on("RSET", SILENCE, times=1)
        self.accept(world, subject="one")
        world.advance(1)
        self.accept(world, subject="two")
        world.advance(16.5)
        self.assertEqual(self.kinds(world), "RPR")
        world.advance(1)
        self.assertEqual(self.kinds(world), "RPRD")
        self.assertEqual([taken.connection for taken in mx.ledger], [2])

    def test_dribbling(self) -> None:
        """
        A peer that sends an octet now and then gains no time.
        """
        world = self.world(TIMEOUTS)
        mx = world.exchanger("example.com")

        def dribble(session: ReceiverSession, line: bytes) -> Answer:
            for second in range(1, 60):
                world.clock.callLater(second, session.transport.write, b"2")
            return SILENCE

        mx.on("MAIL", dribble, times=1)
        mx.pipelining = False
        self.accept(world)
        world.advance(13.5)
        self.assertEqual(len(world.mainlog("T")), 1)
        world.advance(60)


class LossTests(WorldCase):
    """
    Connections that end in the middle.
    """

    def lost(self, point: str, step: Step, ambiguous: bool, stage: str) -> None:
        """
        The peer ends the connection at *point*; the message is delivered by the
        next attempt.
        """
        world = self.world("[global]\nretry_interval = 600\n")
        mx = world.exchanger("example.com")
        mx.pipelining = False
        mx.on(point, step, times=1)
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(1)
        failure = self.last(world, "T")
        self.assertEqual(failure["note"], "451 4.4.2 [internal] connection closed by remote host")
        self.assertEqual(failure["stage"], stage)
        world.advance(700)
        (outcome,) = self.successResultOf(sending)
        self.assertEqual(outcome.ambiguous, ambiguous)
        self.assertEqual(self.kinds(world), "RTD")
        copies = 2 if isinstance(step, Answer) and step.take else 1
        self.assertEqual(len(mx.ledger), copies)

    def test_closed(self) -> None:
        """
        Closed before the final dot: transient, and surely not taken.
        """
        for point, stage in (("MAIL", "3"), ("RCPT", "5"), ("DATA", "7")):
            for step in (CLOSE, RESET):
                self.lost(point, step, False, stage)

    def test_closed_behind_the_dot(self) -> None:
        """
        Closed behind the final dot: transient, resent, and the outcome says
        that there may be two copies.
        """
        self.lost("dot", CLOSE, True, "9")
        self.lost("dot", TAKE_AND_CLOSE, True, "9")

    def test_silent_behind_the_dot(self) -> None:
        """
        A peer that takes a message and never says so gets it again.
        """
        world = self.world(TIMEOUTS)
        mx = world.exchanger("example.com")
        mx.on("dot", TAKE_AND_BE_SILENT, times=1)
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(700)
        (outcome,) = self.successResultOf(sending)
        self.assertTrue(outcome.ambiguous)
        self.assertEqual(len(mx.ledger), 2)

    def test_refused_behind_the_dot(self) -> None:
        """
        A reply to the dot is an answer, whatever it says: nothing is ambiguous.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("dot", b"451 4.3.0 Disk full", times=1)
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(1300)
        (outcome,) = self.successResultOf(sending)
        self.assertFalse(outcome.ambiguous)
        self.assertEqual(len(mx.ledger), 1)

    def test_421_behind_the_dot(self) -> None:
        """
        So is 421.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("dot", b"421 4.3.2 Going down", times=1)
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(1)
        self.assertEqual(self.last(world, "T")["note"], "421 4.3.2 Going down")
        world.advance(1300)
        (outcome,) = self.successResultOf(sending)
        self.assertFalse(outcome.ambiguous)

    def test_closed_while_idle(self) -> None:
        """
        A peer that closes an idle session does no harm; the next message has a
        new connection and no failure.
        """
        world = self.world("[global]\nidle_timeout = 60\n")
        mx = world.exchanger("example.com")
        self.accept(world, subject="one")
        world.advance(1)
        mx.open[0].transport.loseConnection()
        world.advance(1)
        self.accept(world, subject="two")
        world.advance(1)
        self.assertEqual(self.kinds(world), "RDRD")
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 2])

    def test_dismissed_while_idle(self) -> None:
        """
        So does one that says 421 to an idle session.
        """
        world = self.world("[global]\nidle_timeout = 60\n")
        mx = world.exchanger("example.com")
        self.accept(world, subject="one")
        world.advance(1)
        mx.open[0].transport.write(b"421 4.4.2 Idle too long\r\n")
        mx.open[0].transport.loseConnection()
        world.advance(1)
        self.accept(world, subject="two")
        world.advance(1)
        self.assertEqual(self.kinds(world), "RDRD")

    def test_closed_just_as_mail_comes(self) -> None:
        """
        A used connection that closes while MAIL is on its way says nothing
        about the message: it goes to a new connection, without a failure.
        """
        world = self.world("[global]\nidle_timeout = 60\n")
        mx = world.exchanger("example.com")
        self.accept(world, subject="one")
        world.advance(1)
        mx.on("MAIL", CLOSE, times=1)
        self.accept(world, subject="two")
        world.advance(2)
        self.assertEqual(self.kinds(world), "RDRD")
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 2])

    def test_421_at_mail_of_a_used_connection(self) -> None:
        """
        A peer that takes three messages per connection and then says 421 at
        MAIL gets the others on new connections, without a failure.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\n")
        mx = world.exchanger("example.com")
        mx.max_messages = 3
        for number in range(8):
            self.accept(world, subject=str(number))
        world.advance(30)
        self.assertEqual(sorted(self.kinds(world)), sorted("RD" * 8))
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 1, 1, 2, 2, 2, 3, 3])

    def test_421_at_the_first_mail(self) -> None:
        """
        421 at the first MAIL of a connection is a failure of the message, or
        this would never end.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("MAIL", b"421 4.3.2 No", times=1)
        self.accept(world)
        world.advance(10)
        self.assertEqual(self.kinds(world), "RT")
        world.advance(1300)
        self.assertEqual(self.kinds(world), "RTD")

    def test_closed_while_the_body_is_read(self) -> None:
        """
        A peer that accepts EHLO and closes before we have the body from disk
        is a failure of the message, and is not asked again and again.
        """
        world = self.world("[global]\nbody_cache_size = 0\n")
        mx = world.exchanger("example.com")
        mx.on("EHLO", Answer(b"250 mx", "close"), times=1)
        world.threads.delay = 0.05
        self.accept(world)
        world.advance(10)
        self.assertEqual(self.kinds(world), "RT")
        self.assertEqual(mx.connections, 1)
        world.advance(1300)
        self.assertEqual(self.kinds(world), "RTD")

    def test_protocol_violation(self) -> None:
        """
        A peer that answers nonsense is left, the message is kept, and the note
        says what it did.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("DATA", b"banana", times=1)
        self.accept(world)
        world.advance(1)
        self.assertIn("[internal] protocol error", self.last(world, "T")["note"])
        world.advance(1300)
        self.assertEqual(self.kinds(world), "RTD")

    def test_cut_in_the_body(self) -> None:
        """
        A connection that breaks in the middle of the body is no delivery, and
        not ambiguous: the dot never left.
        """
        world = self.world("[global]\nretry_interval = 600\n")
        mx = self.cut(world)
        sending = world.send(SENDER, [BOB], world.message(body="0123456789\r\n" * 20_000))
        world.advance(10)
        self.assertEqual(self.last(world, "T")["stage"], "8")
        world.network.line(mx.address).to_listener = None
        world.advance(700)
        (outcome,) = self.successResultOf(sending)
        self.assertFalse(outcome.ambiguous)
        self.assertEqual(len(mx.ledger), 1)

    def cut(self, world: World) -> Receiver:
        """
        A receiver to which every connection breaks after 100,000 octets.
        """
        mx = world.exchanger("example.com")
        world.network.line(mx.address).to_listener = Cut(100_000)
        return mx


class OneReadTests(WorldCase):
    """
    A reply and the end of the session arrive together, as one read.
    """

    def one_connection(self) -> tuple[World, Receiver]:
        """
        A world with one connection per domain, whose EHLO takes a second: all
        six messages of :meth:`six` wait for it.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\nretry_interval = 600\n")
        mx = world.exchanger("example.com")
        mx.on("EHLO", Answer(b"250-mx\r\n250 PIPELINING", after=1.0), times=1)
        return world, mx

    def six(self, world: World) -> None:
        """
        Inject six messages.
        """
        for number in range(6):
            self.accept(world, subject=str(number))

    def assert_nothing_pends(self, world: World) -> None:
        """
        No message is in limbo, and no connection is counted that does not exist.
        """
        dr = world.domain("example.com")
        self.assertEqual((dr.in_flight, dr.connections, world.service.delivery.records.connections), (0, {}, 0))

    def test_taken_and_dismissed(self) -> None:
        """
        "250, and now 421" behind the dot: the message is delivered, the others
        go over new connections without a failure.
        """
        world, mx = self.one_connection()
        mx.on("dot", b"250 2.0.0 Taken\r\n421 4.3.2 Goodbye", times=2)
        self.six(world)
        world.advance(60)
        self.assertEqual(self.kinds(world), "RRRRRRDDDDDD")
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 2, 3, 3, 3, 3])
        self.assert_nothing_pends(world)

    def test_taken_and_babble(self) -> None:
        """
        Whatever follows the reply to the dot ends the session; the message is
        delivered once and no other is lost.
        """
        for tail in (b"250 2.0.0 Another", b"25", b"banana"):
            world, mx = self.one_connection()
            mx.on("dot", b"250 2.0.0 Taken\r\n" + tail, times=1)
            self.six(world)
            world.advance(30)
            self.assertEqual(self.kinds(world)[:7], "RRRRRRD")
            self.assertEqual(world.queued(), 5)
            self.assert_nothing_pends(world)
            world.advance(3600)
            self.assertEqual(len(world.mainlog("D")), 6)
            self.assertEqual(set(mx.copies().values()), {1})

    def test_refused_and_babble(self) -> None:
        """
        A refusal with something behind it counts for its message, and only for it.
        """
        for point, code, kind in (("MAIL", b"451", "T"), ("DATA", b"550", "P")):
            world, mx = self.one_connection()
            mx.pipelining = False
            mx.behave()
            mx.on("EHLO", Answer(b"250 mx", after=1.0), times=1)
            mx.on(point, code + b" No\r\n250 Another", times=1)
            self.six(world)
            world.advance(5)
            self.assertEqual(self.kinds(world)[:7], "RRRRRR" + kind)
            self.assert_nothing_pends(world)
            world.advance(3600)
            self.assertEqual(len(world.mainlog("D")), 6 if kind == "T" else 5)

    def test_greeted_and_dismissed(self) -> None:
        """
        A peer that accepts us and dismisses us in one breath has refused us: a
        message is requeued with its words, and it is not asked again at once.
        """
        for point, reply in (("connect", b"220 mx"), ("EHLO", b"250 mx")):
            world, mx = self.one_connection()
            mx.behave()
            mx.on(point, Answer(reply + b"\r\n421 4.3.2 Goodbye", "close"))
            self.accept(world)
            world.advance(60)
            self.assertEqual(self.kinds(world), "RT")
            self.assertEqual(self.last(world, "T")["note"], "421 4.3.2 Goodbye")
            self.assertEqual(mx.connections, 1)
            self.assertEqual(self.flushLoggedErrors(), [])
            self.assert_nothing_pends(world)

    def test_envelope_that_is_no_command(self) -> None:
        """
        An address that fits in no command, wherever it came from, keeps its
        message and stops nobody else's.
        """
        world, mx = self.one_connection()
        service = world.service
        reception = Reception(b"a@sender.example", world.wall(), 12, "00/00-00000-00000001")
        message = reception.add("00/00-00000-00000002", b"x" * 600 + b"@example.com")
        message.binding_slot = 0
        kept = service.spool.receive(reception, b"Subject: x\r\n")
        world.until(lambda: bool(kept.called))
        service.delivery.enqueue([message])
        self.accept(world)
        world.advance(30)
        self.assertEqual(len(mx.ledger), 1)
        self.assertEqual(world.queued(), 1)
        self.assertEqual(self.last(world, "T")["note"], UNSPEAKABLE.decode())
        self.assert_nothing_pends(world)
        self.assertEqual(len(self.flushLoggedErrors(LocalProtocolError)), 1)
