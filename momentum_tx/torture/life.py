"""
One life: the real service, watched, in a process of its own, from the start to
the point at which it is killed or the stop it is told.

It gets its order from the process that judges, over a pipe, and answers in the
trace.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure
from zope.interface import implementer

from ..config import load as config_load
from ..interfaces.hooks import ILogDeliveryV1
from ..interfaces.seams import IJournalFiles
from ..seams import real_seams
from ..service import OutboundService
from ..spool.files import DirectoryFiles
from . import mail
from .points import Point
from .watch import Fault, FileTrace, Trace, Watch, WatchedFiles

if TYPE_CHECKING:
    from ..interfaces.records import IDomainRecord, IMessage

#: Around the watched files, nearer to the service; tests plant faults of the service there.
Wrap = Callable[[IJournalFiles], IJournalFiles]

#: Octets of a segment: a few messages, so that a short story has many segments.
SEGMENT_SIZE: Final = 4096

_CONFIG: Final = """
[global]
state_dir = {directory}
hostname = "service.torture.test"
smtp_listen = ["tcp:0:interface=127.0.0.1"]
nameservers = ["127.0.0.1:{port}"]
routes = ["127.0.0.1:{port}"]
segment_size = {segment_size}
# Nobody has time.
retry_interval = 0.05
max_retry_interval = 0.2
host_failure_retry = 0
delayed_queue_scan_interval = 0.05
mx_failures_to_delay = 0
max_outbound_connections = 4
idle_timeout = 1
quit_timeout = 1
shutdown_grace = 3

[domain."{mute}"]
lost_final_reply = "hold"

[domain."{trusted}"]
lost_final_reply = "assume_delivered"
"""


@dataclass(frozen=True, slots=True)
class Order:
    """
    What a life is to be.

    :ivar directory: where the service keeps its files.
    :ivar trace: path of the trace.
    :ivar port: of the receiver, on loopback.
    :ivar point: where to die; empty for nowhere.
    :ivar faults: steps that fail, see :class:`~momentum_tx.torture.watch.Fault`.
    """

    directory: str
    trace: str
    port: int
    point: str = ""
    faults: Sequence[Sequence[Any]] = ()


def configuration(order: Order) -> str:
    """
    What the service is told, as TOML.
    """
    escaped = order.directory.replace("\\", "\\\\").replace('"', '\\"')
    return _CONFIG.format(
        directory=f'"{escaped}"', port=order.port, segment_size=SEGMENT_SIZE, mute=mail.MUTE, trusted=mail.TRUSTED
    )


def die() -> NoReturn:
    """
    End as by ``kill -9``.
    """
    os.kill(os.getpid(), signal.SIGKILL)
    # Never reached: the signal cannot be waited for, nor taken otherwise.
    os._exit(1)


@implementer(ILogDeliveryV1)
class Witness:
    """
    Notes of which deliveries the service has told, when the turn in which it
    did is over: then their outcome has to be on record.

    :param later: calls in the next turn.
    """

    def __init__(self, trace: Trace, later: Callable[..., object], watch: Watch) -> None:
        self._trace = trace
        self._later = later
        self._watch = watch

    def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        See :class:`~momentum_tx.interfaces.hooks.ILogDeliveryV1`.
        """
        # The first is run in the turn at whose end the record is written, perhaps before it is.
        self._later(0, self._later, 0, self._settled, msg.recipient.decode("latin-1"))

    def _settled(self, recipient: str) -> None:
        # With a disk that fails outcomes wait in memory.
        if not self._watch.failing:
            self._trace.note("settled", recipient=recipient)


def live(reactor: Any, order: Order, wrap: Wrap | None = None) -> None:
    """
    Run the service until it is told to stop (SIGTERM), or dies.

    :param reactor: the real one, its clock monotonic.
    :param wrap: see :data:`Wrap`.
    """
    trace = FileTrace(order.trace)
    with open(os.path.join(os.path.dirname(order.trace), "service.log"), "a", encoding="utf-8") as log:
        globalLogBeginner.beginLoggingTo([textFileLogObserver(log)], redirectStandardIO=False)
        try:
            _run(reactor, order, trace, wrap)
        except Exception as error:
            trace.note("complaint", text=f"the service did not start: {error}")
            raise


def _run(reactor: Any, order: Order, trace: FileTrace, wrap: Wrap | None) -> None:
    point = Point.parse(order.point) if order.point else None
    watch = Watch(trace, die, point, [Fault(*fault) for fault in order.faults])
    seams = real_seams(reactor)

    def files(path: str) -> IJournalFiles:
        if os.path.basename(path) != "spool":
            return DirectoryFiles(path)
        watched: IJournalFiles = WatchedFiles(DirectoryFiles(path), watch)
        return wrap(watched) if wrap is not None else watched

    seams.files = files
    service = OutboundService(reactor, config_load.parse(configuration(order), "<torture>"), seams)
    service.hooks.register_last(Witness(trace, reactor.callLater, watch))
    service.privilegedStartService()
    (address,) = service.listening()

    def ready(_: object) -> None:
        trace.note("port", port=address.port)

    def failed(failure: Failure) -> None:
        trace.note("complaint", text=failure.getErrorMessage())

    def begin() -> None:
        service.startService()
        service.when_ready().addCallbacks(ready, failed)
        signal.signal(signal.SIGTERM, lambda number, frame: reactor.callFromThread(reactor.stop))
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)

    reactor.callWhenRunning(begin)
    reactor.run()
    trace.note("stopped")
