"""
The whole service in a virtual world: its network, its peers, its disk and its
time.

::

    world = World()
    mx = world.exchanger("example.com")
    world.inject("a@sender.example", ["b@example.com"], world.message("hello"))
    world.advance(10)
    assert mx.ledger[0].recipients == (b"b@example.com",)
    world.stop()

A week of retries takes seconds; the same seed gives the same story.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, Literal, Unpack

from ..config.load import parse
from ..inject.in_process import Sending
from ..inject.wishes import Wishes
from ..interfaces.services import IResolver, MXKind
from ..logs.files import ILogFile
from ..net.resolver import DNS_PORT
from ..policy.mta_sts import policy_url
from ..queues.domain import DomainRecord
from ..seams import Seams
from ..service import OutboundService
from ..settings import GlobalSettings
from .clock import ProcessClock, VirtualClock
from .datagrams import Datagrams
from .dns import ScriptedResolver, Zone
from .files import MemoryFiles
from .https import ScriptedHTTPSFetch
from .injection import Injection, inject
from .logs import MemoryLogFile, MemoryLogNames, Record, parse_mainlog
from .nameserver import NAMESERVERS, NameServer, wire_resolver
from .network import VirtualNetwork
from .onlooker import ModelledOnlooker
from .peers import Receiver
from .reactor import VirtualReactor
from .summary import Summary, summarize
from .threads import InlineThreads
from .tls import ModelledTLS

#: Wall time at which a virtual world begins.
EPOCH: Final = 1_700_000_000.0
#: Our addresses; the first is the usual source.
ADDRESSES: Final = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "127.0.0.1", "2001:db8::1")
#: Where the service listens.
LISTENING: Final = ("127.0.0.1", 2525)
#: Process id of every service: in a container it is the same after each restart.
PID: Final = 1000
#: Longest time, seconds, that an injection or a stop is waited for.
PATIENCE: Final = 600.0


class World:
    """
    One service and everything around it.

    :param seed: of all chance in this world.
    :param config_text: the configuration, as TOML.
    :param providers: hook providers, registered with every service started here.
    :param start: whether the service is started at once; else :meth:`start` does it.
    :param dns: ``scripted`` for answers without a network; ``wire`` for the
        resolver of production and name servers for it to ask.
    :param shuffled: whether what is due at the same instant happens in an order
        that the seed chooses, as a real reactor promises none.
    :ivar clock: the time of everybody.
    :ivar service: the service that runs now.
    :ivar network: where everybody is.
    :ivar host: the service's own host on it.
    :ivar resolver: what DNS says; it outlives a crash.
    :ivar nameservers: the name servers that say it; none where DNS is scripted.
    :ivar datagrams: what becomes of UDP between those and the service.
    :ivar onlooker: looks at the service's thread, which blocks when a story says so.
    :ivar tls: the modelled TLS of the service.
    :ivar https: what the service fetches documents with.
    :ivar files: the disk of the spool.
    :ivar policy_files: the directory of MTA-STS policies.
    :ivar report_files: the directory of what is counted for reports on TLS.
    :ivar suppression_files: the directory of the suppression list.
    :ivar log: the file of mainlog; it outlives a crash.
    :ivar logs: all other logs, by path.
    """

    def __init__(
        self,
        seed: int = 0,
        config_text: str = "",
        providers: Sequence[object] = (),
        start: bool = True,
        dns: Literal["scripted", "wire"] = "scripted",
        shuffled: bool = False,
    ) -> None:
        self.clock = VirtualClock(Random(f"ties of {seed}") if shuffled else None)
        self.seed = seed
        self.random = Random(seed)
        self.config_text = config_text
        self.providers = list(providers)
        #: What is added to the wall clock: a step of the system's time.
        self.wall_offset = 0.0
        self.network = VirtualNetwork(self.clock, self._chance())
        self.client = self.network.host(*ADDRESSES)
        self.files = MemoryFiles()
        self.policy_files = MemoryFiles()
        self.report_files = MemoryFiles()
        self.suppression_files = MemoryFiles()
        self._documents: dict[str, Any] = {}
        self.log = MemoryLogFile()
        self.logs: dict[str, MemoryLogFile] = {}
        self.resolver = Zone()
        self.nameservers: list[NameServer] = []
        # Of its own seed, so that stories with a scripted DNS are the same without it.
        self.datagrams = Datagrams(self.network, Random(f"datagrams of {seed}"))
        if dns == "wire":
            self.nameservers = [NameServer(self.datagrams, self.resolver, address) for address in NAMESERVERS]
        self.log_names = MemoryLogNames(
            lambda path: self.log if path.endswith("/mainlog") else self.logs.get(path), self.wall
        )
        self._receivers = 0
        self.build()
        if start:
            self.start()

    def _chance(self) -> Random:
        return Random(self.random.getrandbits(64))

    def wall(self) -> float:
        """
        Wall time, epoch seconds.
        """
        return EPOCH + self.clock.seconds() + self.wall_offset

    # Life of the service.

    def build(self) -> None:
        """
        A new process with a new service, not started.
        """
        self.process = ProcessClock(self.clock)
        # The machine's addresses are the machine's: a new process finds them as they are.
        self.host = self.network.host(*ADDRESSES, plumb=False)
        self.threads = InlineThreads(self.process, self._chance())
        self.onlooker = ModelledOnlooker(self.process)
        self.tls = ModelledTLS(self.process)
        self.https = ScriptedHTTPSFetch(self.process, self._documents)
        self.reactor = VirtualReactor(self.process, self.host, self.datagrams)
        self.service = OutboundService(
            self.process,
            parse(self.config_text, "virtual.toml"),
            self._seams(),
            self.wall,
            self._chance(),
            PID,
        )
        for provider in self.providers:
            self.service.hooks.register_last(provider)

    def _seams(self) -> Seams:
        return Seams(
            dialer=self.host,
            listener=self.host,
            files=self._directory,
            threads=self.threads,
            computing=self.threads,
            onlooker=self.onlooker,
            tls=self.tls,
            resolver=self._resolver,
            https=lambda resolver, prohibited, settings: self.https,
            log_file=self._log_file,
            log_names=self.log_names,
            plumbed=self.network.plumbed,
            own_addresses=lambda: ADDRESSES,
            system_hostname=lambda: "mail.sender.example",
        )

    def _log_file(self, path: str, mode: int) -> ILogFile:
        return self.log if path.endswith("/mainlog") else self.logs.setdefault(path, MemoryLogFile())

    def _directory(self, path: str) -> MemoryFiles:
        own = {
            "mta-sts": self.policy_files,
            "tlsrpt": self.report_files,
            "suppression": self.suppression_files,
        }
        return own.get(path.rpartition("/")[2], self.files)

    def _resolver(self, settings: GlobalSettings) -> IResolver:
        if self.nameservers:
            return wire_resolver(self.reactor, self.nameservers, settings, self._chance())
        return ScriptedResolver(self.process, self.resolver)

    def start(self) -> None:
        """
        Start the service and wait until it takes mail.
        """
        self.service.privilegedStartService()
        self.service.startService()
        ready = self.service.when_ready()
        self.until(lambda: bool(ready.called))

    def reload(self, config_text: str) -> None:
        """
        Let the running service go on with another configuration; the next ones
        begin with it.

        :raises StartupError: it is bad; the old one stays in force.
        """
        old = self.service.configuration
        self.service.reconfigure(parse(config_text, "virtual.toml", old.generation + 1, old.bindings))
        self.config_text = config_text

    def stop(self) -> None:
        """
        Stop the service and wait until it has released everything.
        """
        stopped = self.service.stopService()
        self.until(lambda: bool(stopped.called))
        # What is still on the wire arrives.
        self.advance(1.0)

    def leftovers(self) -> list[object]:
        """
        What the service holds of the world: delayed calls, connections, ports,
        open files.  Nothing, once it has stopped.
        """
        held: list[object] = [*self.process.getDelayedCalls(), *self.host.open_transports()]
        held += [*self.reactor.open_ports, *self.reactor.connectors]
        opened = self.files.opened + self.policy_files.opened + self.report_files.opened
        opened += self.suppression_files.opened
        return held + [f"{opened} open files"] * bool(opened)

    def kill(self) -> None:
        """
        ``kill -9``: the service is gone between two of its steps.
        """
        self.process.die()
        self.reactor.die()
        self.host.kill()
        self.files = self.files.kill()
        self.policy_files = self.policy_files.kill()
        self.report_files = self.report_files.kill()
        self.suppression_files = self.suppression_files.kill()

    def crash(self) -> None:
        """
        :meth:`kill`, and a new service on what the kernel was given.
        """
        self.kill()
        self.build()
        self.start()

    def power_cut(self, garbage: bool = False) -> None:
        """
        The machine loses power, and a new service starts on what the disk has.

        :param garbage: see :meth:`~momentum_tx.testing.files.MemoryFiles.power_cut`.
        """
        files, policy_files, report_files = self.files, self.policy_files, self.report_files
        suppression_files = self.suppression_files
        self.kill()
        self.files = files.power_cut(self._chance(), garbage)
        self.policy_files = policy_files.power_cut(Random(f"policies of {self.seed}"), garbage)
        self.report_files = report_files.power_cut(Random(f"reports of {self.seed}"), garbage)
        self.suppression_files = suppression_files.power_cut(Random(f"suppression of {self.seed}"), garbage)
        self.build()
        self.start()

    # Time.

    def advance(self, seconds: float) -> None:
        """
        Let time pass; everything happens at its own moment.
        """
        self.clock.advance(seconds)

    def until(self, condition: Callable[[], bool], limit: float = PATIENCE) -> None:
        """
        Let time pass, step by step, until *condition* holds.

        :param limit: seconds after which :class:`AssertionError` is raised.
        """
        end = self.clock.seconds() + limit
        while not condition():
            due = self.clock.next_time()
            if due is None or due > end or not self.clock.step():
                raise AssertionError(f"it has not come about by {self.clock.seconds():g} s")

    # The neighbourhood.

    def receiver(self, address: str = "", port: int = 25) -> Receiver:
        """
        A receiver that no domain names yet.

        :param address: where; empty for the next free one.
        """
        self._receivers += 1
        return Receiver(self.network, address or f"198.51.100.{self._receivers}", port)

    def exchanger(self, domain: str, preference: int = 10, address: str = "", port: int = 25) -> Receiver:
        """
        A receiver that is one of the domain's mail exchangers.
        """
        receiver = self.receiver(address, port)
        known = self.resolver.mx.get(domain, ())
        records = [] if isinstance(known, (MXKind, Exception)) else list(known)
        name = f"mx{len(records) + 1}.{domain}"
        self.resolver.mx[domain] = [*records, (preference, name)]
        self.resolver.addresses[name] = [receiver.address]
        return receiver

    def publish_policy(self, domain: str, text: bytes, record: str = "1") -> None:
        """
        Let *domain* have an MTA-STS policy from now on.

        :param record: its id in DNS.
        """
        self.resolver.texts[f"_mta-sts.{domain}"] = [f"v=STSv1; id={record};".encode()]
        self.https.serve(policy_url(domain), text, headers={"Content-Type": "text/plain"})

    # Mail.

    @staticmethod
    def message(subject: str = "hello", body: str = "Hello.\r\n", **fields: str) -> bytes:
        """
        A message.

        :param fields: more header fields; an underscore stands for a hyphen.
        """
        lines = [f"Subject: {subject}", "From: a@sender.example"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def begin_injection(
        self,
        sender: str,
        recipients: Sequence[str],
        content: bytes,
        source: str = "127.0.0.1",
        parameters: Sequence[str] = (),
    ) -> Injection:
        """
        Begin to submit a message over SMTP; time has to pass.

        :param source: the client's address.
        :param parameters: what follows the path in MAIL, and in each RCPT.
        """
        return inject(self.client, LISTENING, sender, list(recipients), content, source, parameters)

    def inject(
        self,
        sender: str,
        recipients: Sequence[str],
        content: bytes,
        source: str = "127.0.0.1",
        parameters: Sequence[str] = (),
    ) -> bytes:
        """
        Submit a message over SMTP.

        :returns: the reply to the final dot, or the first refusal; empty if the
            listener hung up.
        """
        injection = self.begin_injection(sender, recipients, content, source, parameters)
        self.until(lambda: bool(injection.reply) or injection.over)
        return injection.reply

    def send(self, sender: str, recipients: Sequence[str], content: bytes, **said: Unpack[Wishes]) -> Sending:
        """
        Submit a message in process.
        """
        return self.service.send(sender, list(recipients), content, **said)

    # What can be seen.

    def mainlog(self, kinds: str = "RDTP") -> list[Record]:
        """
        Records of mainlog so far.

        :param kinds: the types wanted.
        """
        self.service.mainlog.flush()
        return [record for record in parse_mainlog(self.log.content) if record.kind in kinds]

    def summary(self) -> Summary:
        """
        What has become of all mail so far, in numbers; made to be printed.
        """
        elsewhere = [LISTENING, *[(address, DNS_PORT) for address in NAMESERVERS]]
        delivery = self.service.delivery
        return summarize(
            self.clock.seconds(), self.mainlog(), delivery.records, self.network, elsewhere, len(delivery.held)
        )

    def queued(self) -> int:
        """
        Messages that wait, active or delayed, for whatever domain.
        """
        return sum(dr.mail_queue.size() for dr in self.service.delivery.records)

    def domain(self, name: str) -> DomainRecord:
        """
        The record of a routing domain.

        :raises KeyError: there is none.
        """
        record = self.service.delivery.records.find(name)
        if record is None:
            raise KeyError(name)
        return record
