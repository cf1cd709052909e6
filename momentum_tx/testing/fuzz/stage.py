"""
The world of a plan: receivers, DNS, and one process of the service after the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Final

from twisted.internet.defer import Deferred

from ...errors import StartupError
from ...flags import ConnFlag
from ...interfaces.services import IConfiguration, MXKind
from ...queues.message import Message
from ...settings import PathSettings
from .. import behaviours
from ..behaviours import Behaviour
from ..files import MemoryFiles
from ..peer_session import Answer
from ..peers import Receiver
from ..world import World
from .attempts import AttemptWatch
from .binding_watch import BindingWatch
from .books import SYNC_WINDOW, Books
from .clients import Clients
from .demands import DemandWatch
from .edges import LMTP_PORT, SMTP_PORT, Edge, Ends, WireWatch, suspended
from .events import Events
from .journal_watch import JournalWatch, survived
from .lookups import LookupWatch
from .misbehaviour import make_provider
from .observer import Observer
from .plan import Domain, Host, Part, Plan
from .said import SaidWatch
from .trace import Trace
from .transaction_watch import TransactionWatch
from .turns import TurnWatch

#: An address no stranger's DNS may lead to.
PROHIBITED: Final = "10.9.8.7"
#: Seconds until an operator starts a service anew that did not start, or cannot read its spool.
START_PAUSE: Final = 5.0
OPERATOR_PAUSE: Final = 30.0


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
        self.bindings = BindingWatch(self.books, self.seconds, fault)
        self.journal = JournalWatch(self.books)
        self.journal.at_operation = self._at_operation
        self.ends = Ends()
        self.wire = WireWatch(self.ends, self.trace, self.books.refusals)
        self.storming = True
        self.stopping = False
        self.running = False
        self.ready = False
        self.set_back = 0.0
        #: When the machine was given addresses that it had not.
        self.plumbed_at: dict[str, float] = {}
        #: Addresses whose TLS handshake fails or never ends: ``failing`` or ``silent``.
        self.tls_faults: dict[str, str] = {}
        self.clients = Clients(self, self.books)
        self.said = SaidWatch(self)
        self.events = Events(self, self._chance)
        self._lacking = ConnFlag(0)
        #: When the next process begins; ``None`` while there is one.
        self._start_at: float | None = None
        self._stopped: Deferred[None] | None = None
        self._readying: Deferred[None] | None = None
        self._down = 0.0
        self._for_good = False
        #: The disk as it was when the process died in the middle of a step.
        self._death: MemoryFiles | None = None
        #: How it is to die then: whether of a power cut, with garbage, for how long.
        self._dying: tuple[bool, bool, float] | None = None
        self._disk_delay = 0.0
        self._trouble_ends_at: float | None = None
        self.world = StagedWorld(self)
        self.world.network.watch = self.wire
        self.world.network.kernel_patience = plan.kernel_patience or None
        most = int(plan.settings.get("max_recipients_per_batch", PathSettings().max_recipients_per_batch))
        self._watch = TransactionWatch(self.books, most, fault)
        self.receivers: dict[str, Receiver] = {}
        self._seen: dict[str, int] = {}
        for host in plan.hosts:
            self._receiver(host)
        for domain in plan.domains:
            self.write_domain(domain.name)
        self.demands = DemandWatch(self)
        self._start()

    def seconds(self) -> float:
        """
        The time of the world.
        """
        return self.world.clock.seconds()

    def wall(self) -> float:
        """
        Wall time as the service has it: it follows the world's in its own time.
        """
        return self.world.service.delivery.facilities.wall.at(self.seconds())

    def config(self) -> IConfiguration:
        """
        The configuration in force.
        """
        return self.world.service.configuration

    def suspended(self, slot: int, domain: str) -> bool:
        """
        Whether mail waits: the configuration says so, or the machine has none of
        the addresses it may leave from.
        """
        config = self.config()
        lacking = bool(config.bindings[slot].bind_address) and self.lacks(slot) == config.bindings[slot].addresses
        return lacking or suspended(config, slot, domain, self.wall())

    def lacks(self, slot: int) -> tuple[str, ...]:
        """
        Addresses of a binding that the machine has not.
        """
        plumbed = self.world.network.plumbed
        return tuple(address for address in self.config().bindings[slot].addresses if not plumbed(address))

    def plumb(self, addresses: Iterable[str]) -> None:
        """
        The machine has these addresses again.
        """
        self.world.network.plumb(*addresses)
        self.plumbed_at.update(dict.fromkeys(addresses, self.seconds()))
        self.attempts.unplumbed.difference_update(addresses)

    # The world.

    def _receiver(self, host: Host) -> None:
        port = LMTP_PORT if host.extensions.get("lmtp") else SMTP_PORT
        receiver = Receiver(self.world.network, host.address, port, host.name.encode(), keep_commands=False)
        self.receivers[host.address] = receiver
        self._seen[host.address] = 0
        for name in ("pipelining", "starttls", "size", "max_messages", "lmtp", "chunking"):
            if name in host.extensions:
                setattr(receiver, name, host.extensions[name])
        if host.extensions.get("xclient"):
            receiver.xclient = (b"NAME", b"ADDR", b"PROTO", b"HELO")
        if host.extensions.get("plain"):
            receiver.extensions = []
        self.events.set_line(host.address, host.line)
        addresses = self.world.resolver.addresses
        known = addresses.get(host.name, ())
        if "rollup_mx" in self.plan.tables.get(f'host."{host.name}"', ()):
            # The name may be a routing domain: it exists, and has no mail of its own elsewhere.
            self.world.resolver.mx[host.name] = MXKind.NONE
        addresses[host.name] = [*(known if not isinstance(known, Exception) else ()), host.address]
        receiver.add(self._watch)
        receiver.add(*[self._behaviour(part) for part in host.behaviours])

    def _behaviour(self, part: Part) -> Behaviour:
        args = dict(part.args)
        if part.kind == "RecipientCap":
            args["reply"] = args["reply"].encode()
        if part.kind == "BrokenAt":
            answer = dict(args["answer"])
            answer["reply"] = answer.get("reply", "").encode()
            args["answer"] = Answer(**answer)
        if part.kind in ("BrokenAt", "CloseAtDot", "TemporaryFailures"):
            args["chance"] = Random(self._chance.getrandbits(64))
        made: Behaviour = getattr(behaviours, part.kind)(**args)
        return made

    def receivers_behave(self) -> None:
        """
        No receiver does anything unusual any more.
        """
        for receiver in self.receivers.values():
            receiver.behave()
            receiver.add(self._watch)
            receiver.max_messages = None

    def write_domain(self, name: str) -> None:
        """
        Have DNS say of a domain of the plan what it is to say.
        """
        for domain in self.plan.domains:
            if domain.name == name:
                self._write_domain(domain)

    def _write_domain(self, domain: Domain) -> None:
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
        self.edge = Edge(self.config, self.ends, self.fault, self.seconds, service.delivery.records.server, self.wall)
        self.wire.ours, self.wire.edge = world.host, self.edge
        self.journal.attach(world.files)
        self.journal.deaf = False
        self.stopping = self.ready = False
        world.threads.delay = self._disk_delay
        self.lack(self._lacking)
        self.spoil_tls()
        service.hooks.register_last(self.observer)
        service.hooks.register_last(self.edge)
        # The throttle has the last word: what the others say must not undo what it counts.
        for part in sorted(self.plan.providers, key=lambda part: part.kind == "throttle"):
            service.hooks.register_last(make_provider(self, part, Random(self._chance.getrandbits(64))))
        self.lookups = LookupWatch(service, self.seconds)
        TurnWatch(service, self.config, self.fault)
        self.attempts = AttemptWatch(service, self.books, self.observer, self.fault, self.lacks)

    def lack(self, flag: ConnFlag) -> None:
        """
        The kernel cannot do this for our process.
        """
        self._lacking = self.world.host.lacking = flag

    def spoil_tls(self) -> None:
        """
        Have :attr:`tls_faults` hold in the present process.
        """
        tls = self.world.tls
        tls.failing = {address for address, manner in self.tls_faults.items() if manner == "failing"}
        tls.silent = {address for address, manner in self.tls_faults.items() if manner == "silent"}

    def trouble_begins(self) -> None:
        """
        The disk begins to fail, or to be slow.
        """
        self.books.trouble_begins(SYNC_WINDOW + 2 * self._disk_delay)
        self._trouble_ends_at = None

    def trouble_ends(self, after: float) -> None:
        """
        The disk is mended, and everything is on it so many seconds later.
        """
        self._trouble_ends_at = self.seconds() + after

    def slow_down(self, delay: float) -> None:
        """
        Every call of the journal takes so many seconds.
        """
        self._disk_delay = self.world.threads.delay = delay

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
            self._begin_anew(START_PAUSE)
            return
        self._readying = service.when_ready()

    def _begin_anew(self, down: float) -> None:
        self.running = False
        if not self._for_good:
            self._start_at = self.seconds() + down

    def _bury(self) -> None:
        world = self.world
        self.observer.deaf = self.edge.deaf = self.journal.deaf = True
        self.clients.forsaken()
        # What the dead one was asked for comes to nothing.
        self._stopped = self._readying = None
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
            self.books.count("starts refused")
            self._begin_anew(START_PAUSE)
            return
        self._start()

    def _at_operation(self) -> None:
        """
        The process dies before an operation on its disk; what it still does in
        this step is not done.
        """
        self._death = self.world.files.kill()
        self.observer.deaf = self.edge.deaf = self.journal.deaf = True

    def die(self, power: bool, operations: int, garbage: bool, down: float) -> None:
        """
        The process is killed, or the machine loses power.

        :param operations: that the disk still takes; 0 for none, at once.
        :param garbage: whether a power cut may leave rubbish behind.
        :param down: seconds until the next process begins.
        """
        if not self.running:
            return
        self._dying = (power, garbage, down)
        if operations:
            self.journal.stop_at = self.journal.operations + operations
        else:
            self._die()

    def live_on(self) -> None:
        """
        The process does not die any more, if it was to.
        """
        self.journal.stop_at, self._dying = 0, None

    def _die(self) -> None:
        assert self._dying is not None
        (power, garbage, down), self._dying = self._dying, None
        world = self.world
        self.trace("dies", power)
        self.books.count("power cuts" if power else "kills")
        if power or self._death is not None or not self.ready:
            self.bindings.forget()
        else:
            self.bindings.ended(self.messages())
        files, self._death = self._death or world.files, None
        self.journal.stop_at = 0
        self._bury()
        if power:
            after = world.files = files.power_cut(Random(self._chance.getrandbits(64)), garbage)
        else:
            after = world.files = files.kill()
        window = SYNC_WINDOW + 2 * self._disk_delay if power else 0.0
        self.books.interrupted(lambda parcel: survived(parcel, after), window + 1e-6, power, self.ready)
        self._begin_anew(down)

    def after_step(self) -> None:
        """
        One step of the world is over: see what has come of it.
        """
        if self._death is not None:
            self._die()
            return
        for address, receiver in self.receivers.items():
            ledger = receiver.ledger
            seen = self._seen[address]
            if len(ledger) > seen:
                self._seen[address] = len(ledger)
                for taken in ledger[seen:]:
                    self.trace("taken", address, taken.connection, taken.content)
                    self.books.taken(address, taken)
                    self.demands.taken(address, taken)
        self.clients.look()
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
            self._begin_anew(OPERATOR_PAUSE)
            return
        self.ready = True
        self.trace("ready")
        self.books.restored(self.found())
        self.bindings.began(self.messages())
        for message in self.messages():
            self.said.kept(message)

    def found(self) -> dict[bytes, tuple[int, int]]:
        """
        Recipients of all messages the service has, and what each counts:
        ambiguous attempts, failures.
        """
        return {message.recipient: (message.ambiguous, message.num_retries) for message in self.messages()}

    def messages(self) -> Iterator[Message]:
        """
        Every message the service has: queued, or in a transaction.
        """
        delivery = self.world.service.delivery
        for dr in delivery.records:
            yield from dr.mail_queue.messages()
        for session in delivery.sessions:
            yield from session.messages
        yield from delivery.held

    def _have_stopped(self) -> None:
        self._stopped = None
        self.trace("stopped")
        left = [each for each in self.world.leftovers() if each not in self.world.host.open_transports()]
        if left:
            self.fault("leftovers", f"after a stop: {left}")
        if self.ready:
            self.bindings.ended(self.messages())
        self._bury()
        self.books.interrupted(lambda parcel: survived(parcel, self.world.files), 1e-6, ready=self.ready)
        self._begin_anew(self._down)

    def stop(self, down: float, for_good: bool = False) -> None:
        """
        Stop the service in order, unless it is stopping or down.

        :param down: seconds until the next process begins.
        :param for_good: whether none does.
        """
        if not self.running or self.stopping:
            return
        self._down, self._for_good = down, for_good
        self.stopping = self.edge.stopping = True
        self._stopped = self.world.service.stopService()

    def close(self) -> None:
        """
        The receivers close, with all they have planned.
        """
        for receiver in self.receivers.values():
            receiver.close()
