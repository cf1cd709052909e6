"""
What happens in a story, step by step of its plan, and how everything is mended
in the end.
"""

from __future__ import annotations

import errno
from random import Random
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from ...delivery.initiate import open_connection
from ...errors import ConnectFailed, ConnectionNotInitiated, ConnectTimedOut, StartupError
from ...flags import ConnFlag
from ..dns import Fault
from ..files import MemoryFiles
from ..line import Cut, random_split, whole
from ..network import VirtualNetwork
from ..world import LISTENING
from .plan import Step
from .sources import SOURCE_6, SOURCES

if TYPE_CHECKING:
    from .stage import Stage

#: Seconds that the journal may take to write what waited in memory, once the disk takes it
#: again: it doubles its pauses up to half of this.
RECOVERY: Final = 60.0
#: Longest that a sync may take which began before the disk became fast again.
SLOWEST: Final = 20.0


class Events:
    """
    Does to the world of a stage what its plan says.

    :param stage: the story.
    :param chance: cuts reads, where a line is to be split at random.
    """

    def __init__(self, stage: Stage, chance: Random) -> None:
        self._stage = stage
        self._chance = chance
        self._overrides: dict[str, dict[str, Any]] = {}

    @property
    def _network(self) -> VirtualNetwork:
        return self._stage.world.network

    @property
    def _files(self) -> MemoryFiles:
        return self._stage.world.files

    def perform(self, step: Step) -> None:
        """
        Do what *step* says.
        """
        stage = self._stage
        stage.trace("step", step.kind, sorted(step.args.items()))
        stage.books.count(f"step {step.kind}")
        getattr(self, f"_do_{step.kind}")(**step.args)

    # Clients.

    def _do_mail(
        self,
        number: int,
        how: str,
        to: list[str],
        size: int,
        binding: str = "",
        group: str = "",
        eight: bool = False,
        said: dict[str, Any] | None = None,
    ) -> None:
        stage = self._stage
        fields = b""
        if binding:
            fields = b"X-Binding: %b\r\n" % binding.encode()
        elif group:
            fields = b"X-Binding-Group: %b\r\n" % group.encode()
        if how == "smtp":
            stage.clients.inject(number, to, size, fields, eight, said)
        elif stage.running and stage.ready:
            stage.clients.send(number, to, size, fields, eight, said)

    def _do_cancel(self, number: int) -> None:
        self._stage.clients.cancel(number)

    def _do_hang_up(self) -> None:
        self._network.sever(*LISTENING)

    # The network.

    def _do_refuse(self, host: str) -> None:
        self._network.refuse(host)

    def _do_silent(self, host: str) -> None:
        self._network.black_hole(host)

    def _do_unreachable(self, host: str) -> None:
        self._network.unreachable(host)

    def _do_forbid(self, host: str) -> None:
        self._network.forbid(host)

    def _do_restore(self, host: str) -> None:
        self._network.restore(host)

    def _do_sever(self, host: str, reset: bool) -> None:
        self._network.sever(host, reset=reset)

    def _do_cut(self, host: str, side: str, after: int, reset: bool) -> None:
        setattr(self._network.line(host), side, Cut(after, reset))

    def _do_mend_cut(self, host: str, side: str) -> None:
        setattr(self._network.line(host), side, None)

    def _do_line(self, host: str, line: dict[str, Any]) -> None:
        self.set_line(host, line)

    def set_line(self, host: str, attributes: dict[str, Any]) -> None:
        """
        The lines to a host are like this from now on.
        """
        line = self._network.line(host)
        for name, value in attributes.items():
            if name == "split":
                line.split = random_split(Random(self._chance.getrandbits(64)), value)
            else:
                setattr(line, name, value)

    def _do_unplumb(self, address: str) -> None:
        self._network.unplumb(address)

    def _do_plumb(self, address: str) -> None:
        self._plumb(address)

    def _plumb(self, *addresses: str) -> None:
        stage = self._stage
        stage.plumb(addresses)
        if stage.running and not stage.stopping and not stage.config().global_settings.binding_auto_replumb:
            # Who does not have it look by itself has to say so.
            self._reload()

    def _do_lack(self, flag: str) -> None:
        self._stage.lack(ConnFlag[flag])

    def _do_mend_lack(self) -> None:
        self._stage.lack(ConnFlag(0))

    def _do_tls(self, host: str, manner: str) -> None:
        self._stage.tls_faults[host] = manner
        self._stage.spoil_tls()

    def _do_mend_tls(self, host: str) -> None:
        self._stage.tls_faults.pop(host, None)
        self._stage.spoil_tls()

    # DNS.

    def _do_dns(self, fault: str, name: str, delay: float = 0.0, odd: str = "") -> None:
        stage, zone = self._stage, self._stage.world.resolver
        # Without the resolver of production nobody would give a silent server up.
        silence = Fault.SILENT if stage.plan.dns == "wire" else Fault.SERVFAIL
        if fault == "servfail":
            zone.faults[name] = Fault.SERVFAIL
        elif fault == "silent":
            zone.faults[name] = silence
        elif fault == "slow":
            zone.delays[name] = delay
        elif fault == "all_silent":
            zone.fault = silence
        elif fault == "all_slow":
            zone.delay = delay
        elif fault == "odd":
            zone.faults[name] = Fault[odd]
        elif fault == "lossy":
            stage.world.datagrams.loss = 0.3
        elif name in zone.mx:
            stage.books.gone.add(name)
            zone.mx.pop(name)

    def _do_mend_dns(self, fault: str, name: str, delay: float = 0.0, odd: str = "") -> None:
        zone = self._stage.world.resolver
        zone.faults.pop(name, None)
        zone.delays.pop(name, None)
        zone.fault, zone.delay = None, 0.0
        self._stage.world.datagrams.loss = 0.0
        self._stage.write_domain(name)

    # The disk.

    def _do_disk(self, operation: str, error: str, times: int, torn: bool) -> None:
        self._stage.trouble_begins()
        self._files.torn = torn
        self._files.fail(operation, getattr(errno, error), times)

    def _do_full_disk(self, room: int) -> None:
        self._stage.trouble_begins()
        self._files.capacity = None
        self._files.capacity = self._files.used() + room

    def _do_mend_disk(self) -> None:
        self._files.heal()
        self._files.torn = False
        self._files.capacity = None
        self._stage.trouble_ends(RECOVERY)

    def _do_slow_disk(self, delay: float) -> None:
        # Syncs under way keep the time they had.
        self._stage.trouble_begins()
        self._stage.slow_down(delay)
        self._stage.trouble_ends(SLOWEST)

    # Life and death.

    def _do_kill(self, operations: int, garbage: bool, down: float) -> None:
        self._stage.die(False, operations, garbage, down)

    def _do_power(self, operations: int, garbage: bool, down: float) -> None:
        self._stage.die(True, operations, garbage, down)

    def _do_stop(self, down: float) -> None:
        self._stage.stop(down)

    # The operator.

    def _do_reload(self, header: str, options: dict[str, Any]) -> None:
        self._overrides.setdefault(header, {}).update(options)
        self._reload()

    def _reload(self) -> None:
        stage = self._stage
        text = stage.plan.config_text(self._overrides)
        if not stage.running or stage.stopping:
            stage.world.config_text = text
            return
        try:
            stage.world.reload(text)
        except StartupError as error:
            stage.trace("reload refused", str(error))
            stage.books.count("reloads refused")

    def _do_bad_reload(self) -> None:
        stage = self._stage
        if not stage.running:
            return
        before = stage.config()
        try:
            stage.world.reload("[global]\nno_such_option = 1\n")
        except StartupError:
            pass
        if stage.config() is not before:
            stage.fault("reload", "a configuration with a mistake in it is in force")

    def _do_flush(self, domain: str) -> None:
        if self._stage.running:
            self._stage.world.service.flush(domain or None)

    def _do_release(self) -> None:
        stage = self._stage
        if stage.running and stage.ready and not stage.stopping:
            stage.world.service.release_held()

    def _do_rebind(self, domain: str, source: str, binding: str, group: str) -> None:
        stage = self._stage
        if not stage.running or not stage.ready or stage.stopping:
            return
        config, delivery = stage.config(), stage.world.service.delivery
        records = [dr for dr in delivery.records if domain in ("", dr.domain)]
        slots = [slot for slot in range(len(config.bindings)) if not source or slot == config.binding_slot(source)]
        wanted = [config.binding_slot(binding)] if binding else list(config.groups.get(group, ()))
        if group and not any(
            config.bindings[slot].group_weight and (slot or config.global_settings.default_binding != "none")
            for slot in config.groups[group]
        ):
            # Nobody may be chosen at random, so that everything stays.
            wanted = []
        meant = {
            message.recipient: (message, message.binding_slot, stage.books.parcels[message.recipient].attempts)
            for dr in records
            for message in dr.mail_queue.messages()
            if message.binding_slot in slots
        }
        rebinding = stage.world.service.rebind(domain or None, source or None, binding or None, group or None)

        stage.bindings.moved_at = stage.seconds()

        def rebound(count: int) -> None:
            stage.bindings.moved_at = stage.seconds()
            if stage.stopping:
                return
            stage.books.count("rebound")
            for recipient, (message, slot, attempts) in meant.items():
                parcel = stage.books.parcels[recipient]
                # What was in delivery meanwhile may have come back to where it was.
                untouched = message.place and parcel.attempts == attempts and not parcel.ended
                at = message.binding_slot
                if untouched and wanted and at not in wanted:
                    stage.fault("not rebound", f"{parcel}: from slot {slot} it was to go to {wanted}, and is at {at}")

        stage.trace("rebind", domain, source, binding, group)
        rebinding.addCallback(rebound)

    def _do_open(self, domain: str, slot: int, lasts: float, cancelled: bool) -> None:
        """
        Somebody opens a connection of his own, by the Deferred form of the call,
        and closes it, or gives it up.
        """
        stage, service = self._stage, self._stage.world.service
        record = service.delivery.records.find(domain) if stage.running and not stage.stopping else None
        if record is None or stage.suspended(slot, domain):
            return
        opening = open_connection(record, slot)
        later = stage.world.clock.callLater
        if cancelled:
            later(lasts, opening.cancel)
        opening.addCallbacks(lambda handle: later(lasts, handle.close), self._not_opened)

    def _not_opened(self, failure: Failure) -> None:
        failure.trap(CancelledError, ConnectFailed, ConnectionNotInitiated, ConnectTimedOut)
        self._stage.books.count(f"opening: {type(failure.value).__name__}")

    def _do_reopen(self) -> None:
        if self._stage.running:
            self._stage.world.service.reopen_logs()

    def _do_full_log(self) -> None:
        self._stage.world.log.full = True

    def _do_mend_log(self) -> None:
        self._stage.world.log.full = False

    def _do_clock(self, seconds: float) -> None:
        stage = self._stage
        stage.world.wall_offset += seconds
        # What was due at a certain time by the wall clock is due when it shows that.
        stage.set_back += max(0.0, -seconds)

    # The quiet.

    def mend(self) -> None:
        """
        The storm is over: everything works, and nobody wants anything unusual.
        """
        stage, network, zone = self._stage, self._network, self._stage.world.resolver
        stage.trace("mended")
        stage.storming = False
        for host in [*stage.receivers, LISTENING[0]]:
            network.restore(host)
            line = network.line(host)
            line.to_listener = line.to_dialer = None
            line.latency, line.bandwidth, line.jitter, line.linger = 0.001, 0.0, 0.0, 0.0
            line.window, line.split = 65536, whole
        network.kernel_patience = None
        self._plumb(*SOURCES, SOURCE_6)
        stage.receivers_behave()
        stage.lack(ConnFlag(0))
        stage.tls_faults.clear()
        stage.spoil_tls()
        zone.faults.clear()
        zone.delays.clear()
        zone.fault, zone.delay = None, 0.0
        stage.world.datagrams.loss = 0.0
        for domain in stage.plan.domains:
            stage.write_domain(domain.name)
        self._do_mend_disk()
        stage.slow_down(0.0)
        stage.live_on()
        self._do_mend_log()
        if self._overrides:
            self._overrides = {}
            self._reload()
