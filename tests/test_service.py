"""
The whole service: start, stop, crash, reload.
"""

import errno
import gc
from typing import ClassVar

from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from momentum_tx.config.load import parse
from momentum_tx.errors import ConfigError, LookupFailed, MessageRefused, StartupError
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.interfaces.records import IConnectionHandle, IDomainRecord, IMessage
from momentum_tx.interfaces.services import IResolver
from momentum_tx.outcomes import Verdict
from momentum_tx.service import OutboundService
from momentum_tx.settings import GlobalSettings
from momentum_tx.testing.peers import SILENCE, TAKE_AND_BE_SILENT, Answer
from momentum_tx.testing.world import ADDRESSES, LISTENING, World

from .worlds import BOB, SENDER, WorldCase

CAROL = "carol@example.com"


@implementer(contracts.ILogDeliveryV1)
class Watcher:
    """
    Remembers what was delivered.
    """

    def __init__(self) -> None:
        self.found: list[IMessage] = []

    def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self.found.append(msg)


@implementer(ILogObserver)
class Reader:
    """
    Remembers what the service logged, but for who provides which hook.
    """

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        text = str(formatEvent(event))
        if not text.startswith("hook provider "):
            self.said.append(text)


@implementer(contracts.ILogDeliveryV1)
class Named:
    """
    Is named by configurations, and counts what it is told.
    """

    said: ClassVar[list[str]] = []
    made = 0

    def __init__(self) -> None:
        Named.made += 1
        self.number = Named.made

    def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self.said.append(f"{self.number} delivery")

    def withdrawn(self) -> None:
        """
        Its end.
        """
        self.said.append(f"{self.number} end")


class StartTests(WorldCase):
    """
    Starting, and refusing to.
    """

    def refused(self, world: World) -> str:
        """
        Why *world*'s service does not start.
        """
        return str(self.assertRaises(StartupError, world.service.privilegedStartService))

    def test_listens(self) -> None:
        """
        It listens where the configuration says.
        """
        world = self.world()
        (address,) = world.service.listening()
        self.assertEqual((address.host, address.port), LISTENING)

    def test_port_in_use(self) -> None:
        """
        A port that somebody has is told with the option and the port.
        """
        world = World(start=False)
        world.network.listen(*LISTENING, world.exchanger("example.com"))
        text = self.refused(world)
        self.assertIn("global.smtp_listen", text)
        self.assertIn("in use", text)

    def test_no_endpoint(self) -> None:
        """
        A listener that is no endpoint description is told as such.
        """
        text = self.refused(World(config_text='[global]\nsmtp_listen = ["carrier-pigeon:1"]\n', start=False))
        self.assertIn("is no endpoint description", text)

    def test_nameless_host(self) -> None:
        """
        A host whose own name is none that mail can carry needs the option.
        """
        for name in ("", "b\xfcro", "two words", "a\nb"):
            seams = World(start=False)._seams()
            seams.system_hostname = lambda name=name: name  # type: ignore[misc]
            error = self.assertRaises(StartupError, OutboundService, Clock(), parse("", "mail.toml"), seams)
            self.assertIn(f"global.hostname: this host calls itself {name!r}", str(error))

    def test_no_resolv_conf(self) -> None:
        """
        A file of name servers that cannot be read is named with its place.
        """

        def resolver(settings: GlobalSettings) -> IResolver:
            raise FileNotFoundError(2, "No such file or directory")

        seams = World(start=False)._seams()
        seams.resolver = resolver
        config = parse('[global]\nresolv_conf = "/etc/dns.conf"\n', "mail.toml")
        error = self.assertRaises(StartupError, OutboundService, Clock(), config, seams)
        self.assertEqual(
            str(error), "mail.toml:2: global.resolv_conf: /etc/dns.conf cannot be read: No such file or directory"
        )

    def test_spool_in_use(self) -> None:
        """
        A spool that another instance has is refused.
        """
        world = World(start=False)
        world.files.lock()
        self.assertIn("another running instance", self.refused(world))

    def test_hook_that_is_not_there(self) -> None:
        """
        A provider in the configuration that cannot be loaded is named.
        """
        error = self.assertRaises(ConfigError, World, config_text='[global]\nhooks = ["no.such:thing"]\n')
        self.assertIn("global.hooks: no.such:thing", str(error))

    def test_clients_wait_for_the_spool(self) -> None:
        """
        A client that comes while the spool is read is greeted when it is done.
        """
        world = self.world(start=False)
        world.threads.delay = 1.0
        world.service.privilegedStartService()
        world.service.startService()
        injection = world.begin_injection(SENDER, [BOB], world.message())
        world.advance(0.5)
        self.assertEqual(injection.replies, [])
        world.advance(30)
        self.assertEqual(injection.reply[:3], b"250")

    def test_starts_again_with_what_was_left(self) -> None:
        """
        Mail that waited at a stop is delivered after the next start, at its
        time, and its retries are remembered.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now", times=2)
        self.accept(world)
        world.advance(1300)
        world.stop()
        self.assertEqual(world.leftovers(), [])
        world.advance(1000)
        world.build()
        world.start()
        world.advance(1300)
        self.assertEqual(self.last(world, "D")["retries"], "2")
        self.assertEqual(len(mx.ledger), 1)

    def test_stop_before_start(self) -> None:
        """
        A service that never started stops at once.
        """
        world = World(start=False)
        self.successResultOf(world.service.stopService())
        self.assertEqual(world.leftovers(), [])


class StopTests(WorldCase):
    """
    Stopping.
    """

    def test_reception_stops(self) -> None:
        """
        From the moment of the stop no client is served, idle ones are told 421.
        """
        world = self.world()
        world.exchanger("example.com")
        injection = world.begin_injection(SENDER, [BOB], world.message())
        world.until(lambda: bool(injection.replies))
        world.stop()
        self.assertTrue(injection.over)
        late = world.begin_injection(SENDER, [BOB], world.message())
        world.advance(1)
        self.assertEqual((late.replies, late.over), ([], True))

    def test_send_is_refused(self) -> None:
        """
        So is the embedding application.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("dot", Answer(b"250 2.0.0 Taken", after=10.0))
        self.accept(world)
        world.advance(2)
        world.service.stopService()
        refused = self.failureResultOf(world.send(SENDER, [BOB], world.message()), MessageRefused).value
        self.assertIsInstance(refused, MessageRefused)
        self.assertTrue(str(refused).startswith("421 4.3.2"))

    def test_idle_sessions_quit(self) -> None:
        """
        Sessions without a transaction say QUIT.
        """
        world = self.world("[global]\nidle_timeout = 600\n")
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        world.stop()
        self.assertEqual(self.verbs(mx)[-1], b"QUIT")

    def test_running_transaction_ends(self) -> None:
        """
        A transaction under way is finished within ``shutdown_grace``; the
        others wait for the next start.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\n")
        mx = world.exchanger("example.com")
        mx.on("dot", Answer(b"250 2.0.0 Taken", after=10.0))
        self.accept(world, subject="one")
        self.accept(world, subject="two")
        world.advance(2)
        began = world.clock.seconds()
        world.stop()
        self.assertLess(world.clock.seconds() - began, 15)
        self.assertEqual(len(mx.ledger), 1)
        self.assertEqual(self.kinds(world), "RRD")
        mx.behave()
        world.build()
        world.start()
        world.advance(60)
        self.assertEqual(sorted(mx.copies().values()), [1, 1])
        self.assertEqual(self.kinds(world), "RRDD")

    def test_grace_is_over(self) -> None:
        """
        Past the dot and unanswered when the grace is over: recorded as
        ambiguous, and sent again by the next process, as it has to be.
        """
        world = self.world("[global]\nshutdown_grace = 20\n")
        mx = world.exchanger("example.com")
        mx.on("dot", TAKE_AND_BE_SILENT, times=1)
        self.accept(world)
        world.advance(2)
        began = world.clock.seconds()
        world.stop()
        self.assertGreaterEqual(world.clock.seconds() - began, 20)
        self.assertEqual(self.kinds(world), "RT")
        world.build()
        watcher = Watcher()
        world.service.hooks.register_last(watcher)
        world.start()
        world.advance(1300)
        self.assertEqual([message.ambiguous for message in watcher.found], [1])
        self.assertEqual(len(mx.ledger), 2)

    def test_before_the_dot_nothing_happened(self) -> None:
        """
        A transaction that is not past the dot when the grace is over is no
        failure: the message is tried at the next start, as if for the first time.
        """
        world = self.world("[global]\nshutdown_grace = 5\n")
        mx = world.exchanger("example.com")
        mx.on("MAIL", SILENCE, times=1)
        self.accept(world)
        world.advance(2)
        world.stop()
        self.assertEqual(self.kinds(world), "R")
        world.build()
        world.start()
        world.advance(1)
        self.assertEqual(self.last(world, "D")["retries"], "0")

    def test_while_connecting(self) -> None:
        """
        A connect under way is given up at once.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.network.black_hole(mx.address)
        self.accept(world)
        world.advance(1)
        began = world.clock.seconds()
        world.stop()
        self.assertLess(world.clock.seconds() - began, 3)
        self.assertEqual(self.kinds(world), "R")

    def test_while_dns_is_asked(self) -> None:
        """
        So is a lookup.
        """
        world = self.world()
        world.exchanger("example.com")
        world.resolver.silent = True
        self.accept(world)
        world.advance(1)
        world.stop()
        self.assertEqual(self.kinds(world), "R")
        self.assertEqual(world.leftovers(), [])

    def test_message_at_the_door(self) -> None:
        """
        A client whose message is being synced at the stop still gets its answer.
        """
        world = self.world()
        world.exchanger("example.com")
        world.threads.delay = 1.0
        injection = world.begin_injection(SENDER, [BOB], world.message())
        world.until(lambda: b"354" in b"".join(injection.replies))
        world.advance(0.2)
        world.stop()
        self.assertEqual(injection.reply[:3], b"250")

    def test_twice(self) -> None:
        """
        A second stop waits for the first.
        """
        world = self.world()
        first, second = world.service.stopService(), world.service.stopService()
        world.advance(5)
        self.successResultOf(first)
        self.successResultOf(second)


class CrashTests(WorldCase):
    """
    ``kill -9`` and power cuts.
    """

    def story(self, world: World) -> None:
        """
        Two messages, one of them with two recipients, to a peer that greylists.
        """
        world.resolver.delay = 0.01
        mx = world.exchanger("example.com")
        mx.greylist(1)
        self.clients = [
            world.begin_injection(SENDER, [BOB, CAROL], world.message("one")),
            world.begin_injection(SENDER, [BOB], world.message("two", body="x" * 60 + "\r\n" * 20)),
        ]
        self.mx = mx

    def promised(self) -> set[tuple[bytes, bytes]]:
        """
        (recipient, subject) of everything that was answered with 250.
        """
        owed = (((BOB, CAROL), b"one"), ((BOB,), b"two"))
        return {
            (recipient.encode(), subject)
            for client, (recipients, subject) in zip(self.clients, owed, strict=True)
            if client.reply[:3] == b"250"
            for recipient in recipients
        }

    def steps(self) -> int:
        """
        The steps of the story until all is quiet for a while.
        """
        world = World(3, "[global]\nretry_interval = 60\n")
        self.story(world)
        steps = 0
        while world.clock.seconds() < 70 and world.clock.step():
            steps += 1
        world.stop()
        return steps

    def ended_at_every_step(self, power: bool) -> None:
        """
        End the process after every single step of the story.
        """
        total = self.steps()
        self.assertGreater(total, 100)
        for steps in range(total):
            world = World(3, "[global]\nretry_interval = 60\n")
            self.story(world)
            for _ in range(steps):
                world.clock.step()
            promised = self.promised()
            if power:
                world.power_cut(garbage=steps % 2 == 0)
            else:
                world.crash()
            world.advance(200)
            copies = self.mx.copies()
            self.assertEqual(promised - set(copies), set(), f"lost when ended after {steps} steps")
            # A crash between dot and record may repeat a message, once.
            self.assertLessEqual(max(copies.values(), default=0), 2, f"after {steps} steps")
            self.assertEqual(world.queued(), 0)
            world.stop()
            self.assertEqual(world.leftovers(), [])

    def test_killed_at_every_step(self) -> None:
        """
        Whatever was answered 250 is delivered, at whichever step the process is
        killed.
        """
        self.ended_at_every_step(False)

    def test_power_cut_at_every_step(self) -> None:
        """
        The same for a power cut.
        """
        self.ended_at_every_step(True)

    def test_killed_behind_the_dot(self) -> None:
        """
        Killed between the dot and its reply: the next process knows that the
        attempt was made and may have succeeded.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("dot", Answer(b"250 2.0.0 Taken", after=5.0), times=1)
        self.accept(world)
        world.advance(2)
        world.kill()
        world.build()
        watcher = Watcher()
        world.service.hooks.register_last(watcher)
        world.start()
        world.advance(2000)
        self.assertEqual([message.ambiguous for message in watcher.found], [1])

    def test_week(self) -> None:
        """
        A week of mail to a peer with moods, with a crash every day: nothing is
        lost, and what is doubled was ambiguous.
        """
        world = self.world(seed=5)
        mx = world.exchanger("example.com")
        moods: list[bytes | Answer | None] = [
            b"451 4.3.0 Later",
            b"421 4.3.2 Bye",
            TAKE_AND_BE_SILENT,
            Answer(then="close"),
            None,
            None,
            None,
        ]
        chance = world.random
        mx.on("dot", lambda session, line: chance.choice(moods))
        at_mail: list[bytes | None] = [b"450 4.3.2 Busy", None, None]
        mx.on("MAIL", lambda session, line: chance.choice(at_mail))
        sent = 0
        for _ in range(7):
            for _ in range(12):
                sent += 1
                self.accept(world, [f"user{sent}@example.com"], subject=str(sent))
                world.advance(7200 - 60)
            world.crash()
        mx.behave()
        world.advance(86400)
        delivered = {taken.recipients[0] for taken in mx.ledger}
        addresses = {record["id"]: record["local"].encode() + b"@example.com" for record in world.mainlog("R")}
        given_up = {addresses[record["id"]] for record in world.mainlog("P")}
        self.assertEqual(len(delivered | given_up), sent)
        self.assertEqual(world.queued(), 0)


class ReloadTests(WorldCase):
    """
    Reading the configuration anew.
    """

    def written(self, text: str) -> str:
        """
        A file with *text*.
        """
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_error_keeps_the_old_one(self) -> None:
        """
        A bad file is refused whole, with every mistake, and nothing changes.
        """
        world = self.world("[global]\nretry_interval = 60\n")
        for text in (
            "[global]\nretry_interval = 120\nretry_intervall = 3\n",
            "not toml at all",
            '[global]\nretry_interval = 120\n[binding.b1]\nbind_address = "here"\n',
        ):
            self.assertRaises(StartupError, world.service.reload, self.written(text))
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now", times=1)
        self.accept(world)
        world.advance(70)
        self.assertEqual(self.kinds(world), "RTD")

    def test_new_options_hold(self) -> None:
        """
        A good file holds for attempts from now on; a session finishes on what
        it began with.
        """
        world = self.world("[global]\nmax_deliveries_per_connection = 1\n")
        mx = world.exchanger("example.com")
        world.service.reload(self.written("[global]\nmax_deliveries_per_connection = 0\n"))
        for number in range(3):
            self.accept(world, subject=str(number))
        world.advance(10)
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 1, 1])

    def test_looked_at_once(self) -> None:
        """
        Mail whose suspension is lifted leaves at once, not at the next regular pass.
        """
        suspended = '[domain."example.com"]\nsuspend_delivery = true\n'
        world = self.world(suspended)
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(60)
        self.assertEqual((len(mx.ledger), mx.connections), (0, 0))
        world.service.reload(self.written(""))
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)

    def test_doubts(self) -> None:
        """
        What is doubtful in a file is logged at the start and at every reload.
        """
        reader = Reader()
        globalLogPublisher.addObserver(reader)
        self.addCleanup(globalLogPublisher.removeObserver, reader)
        world = self.world("[global]\nbody_timeout = 5\n")
        world.reload("[global]\nidle_timeout = 400\n")
        world.reload("")
        self.assertEqual(
            [text.partition(": ")[2].partition(":")[0] for text in reader.said],
            ["global.body_timeout", "global.idle_timeout"],
        )

    def test_unplumbed_binding(self) -> None:
        """
        A new binding whose address the machine has not is taken, is named with
        its place, and delivers when the machine has it.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        self.assertEqual(world.service.unplumbed(), [])
        world.reload(
            '[binding.b1]\nbind_address = "192.0.2.2"\n[binding_group.g.binding.b2]\nbind_address = "203.0.113.9"\n'
        )
        (text,) = world.service.unplumbed()
        self.assertTrue(text.startswith("virtual.toml:4: binding.b2.bind_address: 203.0.113.9 is not configured"), text)
        world.network.unplumb("192.0.2.2")
        self.assertEqual(len(world.service.unplumbed()), 2)
        self.accept(world, X_Binding="b1")
        world.advance(100)
        self.assertEqual((len(mx.ledger), world.mainlog("TP")), (0, []))
        world.network.plumb("192.0.2.2")
        world.advance(61)
        self.assertEqual([taken.source for taken in mx.ledger], ["192.0.2.2"])

    def test_hooks(self) -> None:
        """
        Providers come and go with the file that names them, in the middle of a session too; one that cannot be had
        keeps everything as it was, and a stop is an end like any other.
        """
        Named.said.clear()
        Named.made = 0
        text = "[global]\nidle_timeout = 60\n"
        named = text + 'hooks = ["tests.test_service:Named"]\n'
        world = self.world(named)
        mx = world.exchanger("example.com")

        def said() -> list[str]:
            Named.said.clear()
            self.accept(world)
            world.advance(2)
            return list(Named.said)

        self.assertEqual(said(), ["1 delivery"])
        self.assertRaises(
            ConfigError, world.service.reload, self.written('[global]\nhooks = ["tests.test_service:Nobody"]\n')
        )
        self.assertEqual(said(), ["1 delivery"])
        world.service.reload(self.written(named))
        self.assertEqual(Named.said[-1], "1 end")
        self.assertEqual(said(), ["2 delivery"])
        world.service.reload(self.written(text))
        self.assertEqual(said(), [])
        world.service.reload(self.written(named))
        self.assertEqual(said(), ["3 delivery"])
        self.assertEqual([taken.connection for taken in mx.ledger], [1] * 5)
        world.stop()
        self.assertEqual(Named.said[-1], "3 end")

    def test_new_binding(self) -> None:
        """
        A binding that is new can be chosen at once; one that is gone is refused.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.service.reload(self.written('[binding.b1]\nbind_address = "192.0.2.2"\n'))
        self.accept(world, X_Binding="b1")
        world.advance(1)
        self.assertEqual(mx.ledger[0].source, "192.0.2.2")
        error = self.assertRaises(ConfigError, world.service.reload, self.written(""))
        self.assertIn("b1", str(error))

    def test_flush(self) -> None:
        """
        Mail that waits for its time is tried at once when it is flushed, that of one
        domain or of all, and the attempt counts as a retry.
        """
        world = self.world()
        receivers = [world.exchanger(domain) for domain in ("example.com", "example.net")]
        for receiver in receivers:
            receiver.on("RCPT", b"451 4.2.1 Not now", times=1)
        self.accept(world, ["bob@example.com", "bob@example.net"])
        world.advance(10)
        self.assertEqual(self.kinds(world), "RRTT")
        self.assertEqual([world.service.flush("example.org"), world.service.flush("example.com")], [0, 1])
        world.advance(10)
        self.assertEqual([len(receiver.ledger) for receiver in receivers], [1, 0])
        self.assertEqual(world.mainlog("D")[0]["retries"], "1")
        self.assertEqual(world.service.flush(), 1)
        world.advance(10)
        self.assertEqual([len(receiver.ledger) for receiver in receivers], [1, 1])

    def test_flush_in_slices(self) -> None:
        """
        A flush of very much mail takes turns with everything else, and all of it is tried.
        """
        world = self.world()
        world.resolver.mx["example.com"] = LookupFailed("SERVFAIL")
        for _ in range(5):
            world.send("a@sender.example", [f"r{number}@example.com" for number in range(100)], world.message())
        world.advance(10)
        dr = world.domain("example.com")
        self.assertEqual(dr.mail_queue.delayed_size(), 500)
        self.assertEqual(world.service.flush(), 500)
        # Nothing has moved yet: a pass takes its slice, and others have their turn.
        self.assertEqual((dr.mail_queue.active_size(), dr.mail_queue.delayed_size()), (0, 500))
        world.advance(1)
        retries = [message.num_retries for message in dr.mail_queue.messages()]
        self.assertEqual(retries, [2] * 500)

    def test_slots_are_kept(self) -> None:
        """
        A configuration that would give a binding's mail to another source is
        refused, however it was made.
        """
        world = self.world('[binding.b1]\nbind_address = "192.0.2.1"\n[binding.b2]\nbind_address = "192.0.2.2"\n')
        before = world.service.configuration
        text = '[binding.b2]\nbind_address = "192.0.2.2"\n[binding.b1]\nbind_address = "192.0.2.1"\n'
        for new in (parse(text), parse(text, generation=2), parse("", generation=2)):
            self.assertRaises(StartupError, world.service.reconfigure, new)
        self.assertIs(world.service.configuration, before)
        world.service.reconfigure(parse(text, "mx.toml", 2, before.bindings))

    def test_logs(self) -> None:
        """
        ``reopen_logs`` opens mainlog anew.
        """
        world = self.world()
        world.service.reopen_logs()
        self.assertEqual(world.log.reopened, 1)


class HookTests(WorldCase):
    """
    Providers that fail.
    """

    def test_all_raise(self) -> None:
        """
        Providers of every notice that raise do not hurt the mail, nor one
        another.
        """

        @implementer(
            contracts.ILogAttemptV1,
            contracts.ILogClientConnectionSuccess,
            contracts.ILogDeliveryV1,
            contracts.IPostInitiateConnectionSmtp,
            contracts.IIncOutboundConnections,
            contracts.IDecOutboundConnections,
        )
        class Broken:
            """
            Raises at everything.
            """

            def log_attempt_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
                raise RuntimeError("attempt")

            def log_client_connection_success(
                self, addr: object, dr: IDomainRecord, binding_slot: int, now: float | None
            ) -> None:
                raise RuntimeError("success")

            def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
                raise RuntimeError("delivery")

            def post_initiate_connection_smtp(
                self, dr: IDomainRecord, binding_slot: int, now: float | None, conn_fd: int
            ) -> None:
                raise RuntimeError("initiate")

            def inc_outbound_connections(self, handle: IConnectionHandle) -> None:
                raise RuntimeError("inc")

            def dec_outbound_connections(self, handle: IConnectionHandle) -> None:
                raise RuntimeError("dec")

        told: list[str] = []

        @implementer(contracts.ILogDeliveryV1)
        class Good:
            """
            Comes after the broken one.
            """

            def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
                told.append(msg.id)

        world = self.world(providers=[Broken(), Good()])
        world.exchanger("example.com")
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(20)
        (outcome,) = self.successResultOf(sending)
        self.assertIs(outcome.verdict, Verdict.DELIVERED)
        self.assertEqual(len(told), 1)
        texts = sorted(str(failure.value) for failure in self.flushLoggedErrors(RuntimeError))
        self.assertEqual(texts, ["attempt", "dec", "delivery", "inc", "initiate", "success"])

    def test_coroutines(self) -> None:
        """
        A provider that answers a notice with a coroutine is named in the log, and
        the interpreter has nothing to complain of.
        """

        @implementer(contracts.ILogReceptionV1, contracts.ILogAttemptV1)
        class Waiting:
            """
            Answers what nobody awaits.
            """

            async def log_reception_v1(  # type: ignore[override]
                self, ac: object, msg: object, now: float | None, note: bytes | None
            ) -> None:
                raise AssertionError("nobody awaits this")

            async def log_attempt_v1(  # type: ignore[override]
                self, msg: object, dr: object, now: float | None, note: bytes
            ) -> None:
                raise AssertionError("nor this")

        reader = Reader()
        globalLogPublisher.addObserver(reader)
        self.addCleanup(globalLogPublisher.removeObserver, reader)
        world = self.world(providers=[Waiting()])
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        gc.collect()
        self.assertEqual(len(mx.ledger), 1)
        self.assertEqual([text.split(":")[0] for text in reader.said], ["hook log_reception_v1", "hook log_attempt_v1"])
        self.assertEqual(self.flushWarnings(), [])

    def test_order_of_a_delivery(self) -> None:
        """
        A delivery is told in this order: connection, attempt, delivery.
        """
        told: list[str] = []

        @implementer(contracts.ILogAttemptV1, contracts.ILogClientConnectionSuccess, contracts.ILogDeliveryV1)
        class Watcher:
            """
            Remembers.
            """

            def log_attempt_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
                told.append(f"attempt {note.decode()}")

            def log_client_connection_success(
                self, addr: object, dr: IDomainRecord, binding_slot: int, now: float | None
            ) -> None:
                told.append("connected")

            def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
                told.append(f"delivered {(note or b'').decode()}")

        world = self.world(providers=[Watcher()])
        world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        self.assertEqual(told, ["connected", "attempt mx1.example.com [198.51.100.1]", "delivered 250 2.0.0 Taken"])


class SpoolTests(WorldCase):
    """
    A disk that cannot be read.
    """

    def test_unreadable(self) -> None:
        """
        A spool that cannot be read at the start takes no mail and delivers none,
        and says so to clients.
        """
        reader = Reader()
        globalLogPublisher.addObserver(reader)
        self.addCleanup(globalLogPublisher.removeObserver, reader)
        world = self.world(start=False)
        world.files.fail("names", errno.EIO, times=-1)
        world.start()
        self.assertEqual(world.inject(SENDER, [BOB], world.message())[:3], b"451")
        (text,) = (text for text in reader.said if "nothing is received or delivered" in text)
        self.assertIn("/spool cannot be read", text)

    def test_lookup_failures_do_not_stop_others(self) -> None:
        """
        One domain in trouble does not delay the rest.
        """
        world = self.world()
        world.resolver.mx["example.com"] = LookupFailed("SERVFAIL")
        mx = world.exchanger("example.net")
        self.accept(world, [BOB, "eve@example.net"])
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)

    def test_addresses(self) -> None:
        """
        The world's own addresses are no destinations.
        """
        world = self.world()
        world.resolver.addresses["example.com"] = [ADDRESSES[0]]
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.kinds(world), "RP")

    def test_listener_errors_are_ours(self) -> None:
        """
        Twisted's own exception does not leave the service.
        """
        world = World(start=False)
        world.network.unplumb("127.0.0.1")
        error = self.assertRaises(StartupError, world.service.privilegedStartService)
        self.assertNotIsInstance(error, CannotListenError)
