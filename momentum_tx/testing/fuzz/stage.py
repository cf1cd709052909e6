"""
The world of a plan, and what happens in it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from twisted.internet.defer import Deferred

from ...errors import StartupError
from ...inject.in_process import Sending
from ...interfaces.services import IConfiguration, MXKind
from ...outcomes import Outcome
from ...queues.message import Message
from .. import behaviours
from ..behaviours import Behaviour
from ..dns import Fault
from ..files import MemoryFiles
from ..injection import Injection, inject
from ..peer_session import Answer, ReceiverSession
from ..peers import Receiver
from ..wire import Cut, random_split, whole
from ..world import LISTENING, World
from .attempts import AttemptWatch
from .books import SYNC_WINDOW, Books, Letter
from .edges import Edge, Ends, WireWatch
from .journal_watch import JournalWatch, survived
from .misbehaviour import make_provider
from .observer import Observer
from .plan import Domain, Host, Part, Plan, Step
from .trace import Trace

#: An address no stranger's DNS may lead to.
PROHIBITED: Final = "10.9.8.7"


class DotWatch(Behaviour):
    """
    Tells the books of every final dot.

    :param books: told.
    """

    def __init__(self, books: Books) -> None:
        self._books = books

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> None:
        if point == "dot" and session.sender is not None:
            self._books.dot(list(session.recipients))


class StagedWorld(World):
    """
    A world that tells when it has built a new process.

    :param stage: the story.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        plan = stage.plan
        super().__init__(
            plan.seed,
            plan.config_text(),
            start=False,
            dns="wire" if plan.dns == "wire" else "scripted",
            shuffled=plan.shuffled,
        )

    def build(self) -> None:
        super().build()
        self._stage.built(self)


class Stage:
    """
    One story under way.

    :param plan: the whole of it.
    :param fault: told of (rule, text) when something must not be.
    :param keep_trace: whether the trace's lines are kept.
    :ivar storming: whether things still go wrong on purpose.
    :ivar stopping: the service was asked to stop.
    :ivar running: there is a service that was started and has not stopped.
    :ivar ready: it has read its spool.
    :ivar set_back: seconds by which the wall clock was put back, in all.
    """

    world: StagedWorld

    def __init__(self, plan: Plan, fault: Callable[[str, str], object], keep_trace: bool = False) -> None:
        self.plan = plan
        self.fault = fault
        self._chance = Random(f"stage of {plan.seed}")
        self.trace = Trace(self.seconds, keep_trace)
        self.books = Books(fault, self.seconds)
        self.journal = JournalWatch(self.books)
        self.journal.at_operation = self._at_operation
        self.ends = Ends()
        self.wire = WireWatch(self.ends, self.trace, self.books.refusals)
        self.storming = True
        self.stopping = False
        self.running = False
        self.ready = False
        self.set_back = 0.0
        self.sent_by_hooks = 0
        self.overrides: dict[str, dict[str, Any]] = {}
        self._letters = 0
        self._injections: list[tuple[Letter, Injection]] = []
        self._sendings: dict[int, Sending] = {}
        #: When the next process begins; ``None`` while there is one.
        self._start_at: float | None = None
        self._stopped: Deferred[None] | None = None
        self._readying: Deferred[None] | None = None
        self._down = 0.0
        self._for_good = False
        #: The disk as it was when the process died in the middle of a step.
        self._death: MemoryFiles | None = None
        self._dying: Step | None = None
        self._disk_delay = 0.0
        self._trouble_ends_at: float | None = None
        self.world = StagedWorld(self)
        self.world.network.watch = self.wire
        self.receivers: dict[str, Receiver] = {}
        self._seen: dict[str, int] = {}
        for host in plan.hosts:
            self._receiver(host)
        for domain in plan.domains:
            self._domain(domain)
        self._start()

    def seconds(self) -> float:
        """
        The time of the world.
        """
        return self.world.clock.seconds()

    def config(self) -> IConfiguration:
        """
        The configuration in force.
        """
        return self.world.service.configuration

    # The world.

    def _receiver(self, host: Host) -> None:
        receiver = Receiver(self.world.network, host.address, name=host.name.encode(), keep_commands=False)
        self.receivers[host.address] = receiver
        self._seen[host.address] = 0
        for name in ("pipelining", "starttls", "size", "max_messages"):
            if name in host.extensions:
                setattr(receiver, name, host.extensions[name])
        if host.extensions.get("plain"):
            receiver.extensions = []
        self._set_line(host.address, host.line)
        addresses = self.world.resolver.addresses
        known = addresses.get(host.name, ())
        addresses[host.name] = [*(known if not isinstance(known, Exception) else ()), host.address]
        receiver.add(DotWatch(self.books))
        receiver.add(*[self._behaviour(part) for part in host.behaviours])

    def _behaviour(self, part: Part) -> Behaviour:
        args = dict(part.args)
        if part.kind == "BrokenAt":
            answer = dict(args["answer"])
            answer["reply"] = answer.get("reply", "").encode()
            args["answer"] = Answer(**answer)
        if part.kind in ("BrokenAt", "CloseAtDot", "TemporaryFailures"):
            args["chance"] = Random(self._chance.getrandbits(64))
        made: Behaviour = getattr(behaviours, part.kind)(**args)
        return made

    def _set_line(self, address: str, attributes: dict[str, Any]) -> None:
        line = self.world.network.line(address)
        for name, value in attributes.items():
            if name == "split":
                line.split = random_split(Random(self._chance.getrandbits(64)), value)
            else:
                setattr(line, name, value)

    def _domain(self, domain: Domain) -> None:
        zone = self.world.resolver
        if domain.kind in ("mx", "routes"):
            zone.mx[domain.name] = list(domain.exchangers)
        elif domain.kind == "null":
            zone.mx[domain.name] = MXKind.NULL
        elif domain.kind == "prohibited":
            zone.mx[domain.name] = [(10, f"mx.{domain.name}")]
            zone.addresses[f"mx.{domain.name}"] = [PROHIBITED]
        elif domain.kind == "address" and domain.exchangers:
            known = zone.addresses.get(domain.exchangers[0][1], ())
            zone.addresses[domain.name] = list(known) if not isinstance(known, Exception) else []

    def built(self, world: StagedWorld) -> None:
        """
        A new process: the judge sits down at all its edges.
        """
        self.world = world
        service = world.service
        self.observer = Observer(self.books, self.trace)
        self.edge = Edge(self.config, self.ends, self.fault)
        self.wire.ours, self.wire.edge = world.host, self.edge
        self.journal.attach(world.files)
        self.journal.deaf = False
        self.stopping = self.ready = False
        world.threads.delay = self._disk_delay
        service.hooks.register_last(self.observer)
        service.hooks.register_last(self.edge)
        for part in self.plan.providers:
            service.hooks.register_last(make_provider(self, part, Random(self._chance.getrandbits(64))))
        self.attempts = AttemptWatch(service, self.books, self.observer, self.fault)

    # Life of the service.

    def _start(self) -> None:
        self._start_at = None
        self.running = True
        service = self.world.service
        try:
            service.privilegedStartService()
            service.startService()
        except StartupError as error:
            # An address that is not plumbed, a disk that refuses: an operator would try again.
            self.trace("start refused", str(error))
            self.books.count("starts refused")
            self._bury()
            self._begin_anew(5.0)
            return
        self._readying = service.when_ready()

    def _begin_anew(self, down: float) -> None:
        self.running = False
        if not self._for_good:
            self._start_at = self.seconds() + down

    def _bury(self) -> None:
        world = self.world
        self.observer.deaf = self.edge.deaf = self.journal.deaf = True
        for sending in self._sendings.values():
            # Nobody waits for it any more.
            sending.addErrback(lambda _: None)
        self._sendings.clear()
        world.kill()
        self.ends.open.clear()

    def next_start(self) -> float | None:
        """
        When the next process begins; ``None`` while there is one.
        """
        return self._start_at

    def start_again(self) -> None:
        """
        It is time for the next process.
        """
        self.trace("start")
        try:
            self.world.build()
        except StartupError as error:
            self.trace("start refused", str(error))
            self._begin_anew(5.0)
            return
        self._start()

    def _at_operation(self) -> None:
        """
        The process dies before an operation on its disk; what it still does in
        this step is not done.
        """
        self._death = self.world.files.kill()
        self.observer.deaf = self.edge.deaf = self.journal.deaf = True

    def _die(self, step: Step) -> None:
        world, books = self.world, self.books
        power = step.kind == "power"
        self.trace("dies", step.kind)
        books.count("power cuts" if power else "kills")
        files = self._death or world.files
        self._death = self._dying = None
        self.journal.stop_at = 0
        self._bury()
        delay = self._disk_delay
        if power:
            world.files = files.power_cut(Random(self._chance.getrandbits(64)), bool(step.args.get("garbage")))
        else:
            world.files = files.kill()
        after = world.files
        window = (SYNC_WINDOW + 2 * delay) if power else 0.0
        books.interrupted(lambda parcel: survived(parcel, after), window + 1e-6)
        self._begin_anew(float(step.args.get("down", 0.0)))

    def after_step(self) -> None:
        """
        One step of the world is over: see what has come of it.
        """
        if self._death is not None and self._dying is not None:
            self._die(self._dying)
            return
        for address, receiver in self.receivers.items():
            ledger = receiver.ledger
            seen = self._seen[address]
            if len(ledger) > seen:
                self._seen[address] = len(ledger)
                for taken in ledger[seen:]:
                    self.trace("taken", address, taken.connection, taken.content)
                    self.books.taken(address, taken)
        if self._injections:
            self._look_at_injections()
        if self._readying is not None and self._readying.called:
            self._have_read()
        if self._stopped is not None and self._stopped.called:
            self._have_stopped()
        if self._trouble_ends_at is not None and self.seconds() >= self._trouble_ends_at:
            self._trouble_ends_at = None
            self.books.trouble = False

    def _have_read(self) -> None:
        self._readying = None
        service = self.world.service
        if self.stopping:
            # It was stopped before it had read everything.
            return
        if service.receiver.closed is not None:
            # The spool cannot be read: it says so and does nothing, until an operator starts it again.
            self.trace("unreadable")
            self.books.count("spools that could not be read")
            self._bury()
            self._begin_anew(30.0)
            return
        self.ready = True
        self.trace("ready")
        self.books.restored(self.found())

    def found(self) -> dict[bytes, int]:
        """
        Recipients of all messages the service has, and how often each counts
        itself ambiguous.
        """
        found: dict[bytes, int] = {}
        for message in self.messages():
            found[message.recipient] = message.ambiguous
        return found

    def messages(self) -> Iterator[Message]:
        """
        Every message the service has: queued, or in a transaction.
        """
        delivery = self.world.service.delivery
        for dr in delivery.records:
            yield from dr.mail_queue.messages()
        for session in delivery.sessions:
            yield from session.messages

    def _have_stopped(self) -> None:
        self._stopped = None
        self.trace("stopped")
        left = [each for each in self.world.leftovers() if each not in self.world.host.open_transports()]
        if left:
            self.fault("leftovers", f"after a stop: {left}")
        self._bury()
        self.books.interrupted(lambda parcel: survived(parcel, self.world.files), 1e-6)
        self._begin_anew(self._down)

    def _look_at_injections(self) -> None:
        waiting = []
        for letter, injection in self._injections:
            if injection.reply:
                if injection.reply[:1] == b"2":
                    self.trace("accepted", letter.number)
                    self.books.accepted(letter)
                else:
                    self.trace("refused", letter.number, injection.reply)
                    self.books.refused(letter)
            elif injection.over:
                letter.state = "unknown"
                self.trace("unknown", letter.number)
            else:
                waiting.append((letter, injection))
        self._injections = waiting

    # Mail.

    def _letter(self, number: int, domains: list[str], size: int) -> Letter:
        sender = f"s{number}@sender.example"
        recipients = [f"r{number}x{index}@{domain}" for index, domain in enumerate(domains)]
        # Lines that begin with dots, and one that is only a dot.
        body = (f".{number}\r\n.\r\n..two\r\n" + "0123456789.abcdef\r\n" * (size // 19)).encode()
        content = b"Subject: letter %d\r\n\r\n%b" % (number, body)
        letter = Letter(number, sender.encode(), content, tuple(recipient.encode() for recipient in recipients))
        self._letters = max(self._letters, number)
        self.books.offered(letter)
        return letter

    def send_from_hook(self, chance: Random) -> None:
        """
        A hook provider sends a message of its own.
        """
        number = max(self._letters, 10_000) + 1
        self._call(self._letter(number, [chance.choice(self.plan.domains).name], 100), b"")

    def _call(self, letter: Letter, fields: bytes) -> None:
        number = letter.number
        sending = self.world.service.send(letter.sender, letter.recipients, fields + letter.content)
        self._sendings[number] = sending

        def accepted(_: str) -> None:
            if not self.observer.deaf:
                self.trace("accepted", number)
                self.books.accepted(letter)

        def refused(_: object) -> None:
            if not self.observer.deaf and letter.state == "offered":
                self.trace("refused", number)
                self.books.refused(letter)

        def ended(outcomes: list[Outcome]) -> None:
            if not self.observer.deaf:
                self.trace("sent", number, *[outcome.verdict.name for outcome in outcomes])
                self.books.sent(letter, outcomes)

        sending.accepted.addCallbacks(accepted, refused)
        sending.addCallbacks(ended, lambda _: None)

    # What happens.

    def perform(self, step: Step) -> None:
        """
        Do what a step of the plan says.
        """
        self.trace("step", step.kind, sorted(step.args.items()))
        self.books.count(f"step {step.kind}")
        getattr(self, f"_do_{step.kind}")(step)

    def _do_mail(self, step: Step) -> None:
        args = step.args
        if args["how"] == "call" and not (self.running and self.ready):
            return
        letter = self._letter(args["number"], args["to"], args["size"])
        fields = b""
        if args.get("binding"):
            fields = b"X-Binding: %b\r\n" % args["binding"].encode()
        elif args.get("group"):
            fields = b"X-Binding-Group: %b\r\n" % args["group"].encode()
        if args["how"] == "call":
            self._call(letter, fields)
            return
        recipients = [recipient.decode() for recipient in letter.recipients]
        injection = inject(
            self.world.client, LISTENING, letter.sender.decode(), recipients, fields + letter.content, "127.0.0.1"
        )
        self._injections.append((letter, injection))

    def _do_cancel(self, step: Step) -> None:
        sending = self._sendings.get(step.args["number"])
        if sending is not None and not sending.called:
            sending.cancel()

    def _do_hang_up(self, step: Step) -> None:
        self.world.network.sever(LISTENING[0], LISTENING[1])

    def _do_refuse(self, step: Step) -> None:
        self.world.network.refuse(step.args["host"])

    def _do_silent(self, step: Step) -> None:
        self.world.network.black_hole(step.args["host"])

    def _do_unreachable(self, step: Step) -> None:
        self.world.network.unreachable(step.args["host"])

    def _do_restore(self, step: Step) -> None:
        self.world.network.restore(step.args["host"])

    def _do_sever(self, step: Step) -> None:
        self.world.network.sever(step.args["host"], reset=step.args["reset"])

    def _do_cut(self, step: Step) -> None:
        cut = Cut(step.args["after"], step.args["reset"])
        setattr(self.world.network.line(step.args["host"]), step.args["side"], cut)

    def _do_mend_cut(self, step: Step) -> None:
        setattr(self.world.network.line(step.args["host"]), step.args["side"], None)

    def _do_line(self, step: Step) -> None:
        self._set_line(step.args["host"], step.args["line"])

    def _do_unplumb(self, step: Step) -> None:
        self.world.network.unplumb(step.args["address"])

    def _do_plumb(self, step: Step) -> None:
        self.world.network.plumb(step.args["address"])

    def _do_dns(self, step: Step) -> None:
        zone, fault, name = self.world.resolver, step.args["fault"], step.args["name"]
        # Without the resolver of production nobody would give a silent server up.
        silence = Fault.SILENT if self.plan.dns == "wire" else Fault.SERVFAIL
        if fault == "servfail":
            zone.faults[name] = Fault.SERVFAIL
        elif fault == "silent":
            zone.faults[name] = silence
        elif fault == "slow":
            zone.delays[name] = step.args["delay"]
        elif fault == "all_silent":
            zone.fault = silence
        elif fault == "all_slow":
            zone.delay = step.args["delay"]
        elif name in zone.mx:
            self.books.gone.add(name)
            zone.mx.pop(name)

    def _do_mend_dns(self, step: Step) -> None:
        zone, name = self.world.resolver, step.args["name"]
        zone.faults.pop(name, None)
        zone.delays.pop(name, None)
        zone.fault, zone.delay = None, 0.0
        for domain in self.plan.domains:
            if domain.name == name:
                self._domain(domain)

    def _trouble_begins(self) -> None:
        self.books.trouble_begins(SYNC_WINDOW + 2 * self._disk_delay)

    def _do_disk(self, step: Step) -> None:
        args = step.args
        self._trouble_begins()
        self.world.files.torn = args["torn"]
        self.world.files.fail(args["operation"], getattr(errno, args["error"]), args["times"])

    def _do_full_disk(self, step: Step) -> None:
        files = self.world.files
        self._trouble_begins()
        files.capacity = None
        files.capacity = files.used() + step.args["room"]

    def _do_mend_disk(self, step: Step) -> None:
        files = self.world.files
        files.heal()
        files.torn = False
        files.capacity = None
        # What waited in memory is written when the journal next tries: it doubles its pauses up to 30 s.
        self._trouble_ends_at = self.seconds() + 60.0

    def _do_slow_disk(self, step: Step) -> None:
        delay = step.args["delay"]
        # Syncs under way keep the time they had.
        self._trouble_begins()
        self._disk_delay = self.world.threads.delay = delay
        self._trouble_ends_at = self.seconds() + 20.0

    def _do_kill(self, step: Step) -> None:
        if not self.running:
            return
        if step.args["operations"]:
            self._dying = step
            self.journal.stop_at = self.journal.operations + step.args["operations"]
        else:
            self._die(step)

    _do_power = _do_kill

    def _do_stop(self, step: Step) -> None:
        if self.running and self._stopped is None:
            self._down = step.args["down"]
            self.stop()

    def stop(self, for_good: bool = False) -> None:
        """
        Stop the service in order.

        :param for_good: whether no process follows.
        """
        self._for_good = for_good
        self.stopping = self.edge.stopping = True
        self._stopped = self.world.service.stopService()

    def _do_reload(self, step: Step) -> None:
        self.overrides.setdefault(step.args["header"], {}).update(step.args["options"])
        self._reload()

    def _reload(self) -> None:
        text = self.plan.config_text(self.overrides)
        if not self.running or self._stopped is not None:
            self.world.config_text = text
            return
        try:
            self.world.reload(text)
        except StartupError as error:
            self.trace("reload refused", str(error))
            self.books.count("reloads refused")

    def _do_bad_reload(self, step: Step) -> None:
        if not self.running:
            return
        before = self.config()
        try:
            self.world.reload("[global]\nno_such_option = 1\n")
        except StartupError:
            pass
        if self.config() is not before:
            self.fault("reload", "a configuration with a mistake in it is in force")

    def _do_flush(self, step: Step) -> None:
        if self.running:
            self.world.service.flush(step.args["domain"] or None)

    def _do_reopen(self, step: Step) -> None:
        if self.running:
            self.world.service.reopen_logs()

    def _do_full_log(self, step: Step) -> None:
        self.world.log.full = True

    def _do_mend_log(self, step: Step) -> None:
        self.world.log.full = False

    def _do_clock(self, step: Step) -> None:
        seconds = step.args["seconds"]
        self.world.wall_offset += seconds
        # What was due at a certain time by the wall clock is due when it shows that.
        self.set_back += max(0.0, -seconds)

    # The quiet.

    def mend(self) -> None:
        """
        The storm is over: everything works, and nobody wants anything unusual.
        """
        self.trace("mended")
        self.storming = False
        network, zone = self.world.network, self.world.resolver
        for host in self.plan.hosts:
            network.restore(host.address)
            line = network.line(host.address)
            line.to_listener = line.to_dialer = None
            line.latency, line.bandwidth, line.jitter, line.linger = 0.001, 0, 0.0, 0.0
            line.window, line.split = 65536, whole
            receiver = self.receivers[host.address]
            receiver.behave()
            receiver.add(DotWatch(self.books))
            receiver.max_messages = None
        network.plumb(*[address for _, address in self.plan.bindings if address])
        zone.faults.clear()
        zone.delays.clear()
        zone.fault, zone.delay = None, 0.0
        for domain in self.plan.domains:
            self._domain(domain)
        self.journal.stop_at, self._dying = 0, None
        self._do_mend_disk(Step(0.0, "mend_disk"))
        self._disk_delay = self.world.threads.delay = 0.0
        self.world.log.full = False
        if self.overrides:
            self.overrides = {}
            self._reload()

    @property
    def waiting(self) -> bool:
        """
        Whether a client still waits for its answer.
        """
        return bool(self._injections)

    def close(self) -> None:
        """
        The receivers close, with all they have planned.
        """
        for receiver in self.receivers.values():
            receiver.close()
