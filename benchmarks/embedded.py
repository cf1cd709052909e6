"""
The service in a process that does as it is told: it fills queues, delivers, and
keeps the time of its own reactor, without a client that would cost more than it.

Not run by hand: :class:`Embedded` starts it, with one line of JSON per order and
one per answer.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from harness import ROOT, Unusable, ended

#: Seconds between two ticks.
TICK: Final = 0.01
#: Receptions that may wait for the disk at once while queues are filled.
AT_ONCE: Final = 500
#: Longest time, seconds, that queues may need to come to rest.
LONGEST: Final = 3600.0
#: Of them in one turn of the reactor, as many as clients may hand in at once.
IN_ONE_TURN: Final = 20
FILLING: Final = b"0123456789abcdef" * 4 + b"\r\n"


# In the process that measures.


class Embedded:
    """
    A service that takes orders.

    :ivar process: of the service.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def tell(self, order: str, **options: Any) -> None:
        """
        Give an order; :meth:`answer` waits until it is carried out.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"order": order, **options}).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """
        What became of the oldest order that is open.

        :raises Unusable: the service has ended, or failed at it.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"failure": "the service has ended"}
        if "failure" in answer:
            raise Unusable(f"{answer['failure']}\n{self.log.read_text(errors='replace')[-2000:]}")
        return answer

    def do(self, order: str, **options: Any) -> dict[str, Any]:
        """
        Give an order and wait.
        """
        self.tell(order, **options)
        return self.answer()

    def reload(self, configuration: str) -> None:
        """
        Have it read another configuration.
        """
        (self.log.parent / "relay.toml").write_text(configuration)
        self.process.send_signal(signal.SIGHUP)


@contextmanager
def running_embedded(directory: Path, configuration: str) -> Iterator[Embedded]:
    """
    The service with that configuration; it is not :func:`started` yet.

    :param directory: where configuration and log are written.
    """
    (directory / "relay.toml").write_text(configuration)
    log = directory / "service.log"
    command = [sys.executable, __file__, "--config", str(directory / "relay.toml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        log.open("ab") as output,
        ended(
            subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
            )
        ) as process,
    ):
        yield Embedded(process, log)


# In the service's process.


class Ticks:
    """
    Asks to be called every 10 ms, and notes how late it was; listens to the garbage collector, too.

    :param clock: the reactor.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        #: Milliseconds too late, and of them what this thread has worked since the last tick at the most.
        self.late: list[float] = []
        self.own: list[float] = []
        #: Longest collection, milliseconds of processor time.
        self.collector = 0.0
        self._due = 0.0
        self._worked = 0.0
        self._collecting = 0.0

    def _collected(self, phase: str, about: dict[str, int]) -> None:
        now = time.thread_time()
        if phase == "start":
            self._collecting = now
        else:
            self.collector = max(self.collector, 1000 * (now - self._collecting))

    def begin(self) -> None:
        """
        The first tick is due in 10 ms.
        """
        gc.callbacks.append(self._collected)
        self._due = time.monotonic() + TICK
        self._worked = time.thread_time()
        self._clock.callLater(TICK, self._tick)

    def _tick(self) -> None:
        now, worked = time.monotonic(), time.thread_time()
        late = max(0.0, now - self._due)
        self.late.append(1000 * late)
        self.own.append(1000 * min(late, worked - self._worked))
        self._due, self._worked = now + TICK, worked
        self._clock.callLater(TICK, self._tick)

    def take(self) -> dict[str, Any]:
        """
        What was noted since the last time.
        """
        taken = {"late": self.late, "own": self.own, "collector": self.collector}
        self.late, self.own, self.collector = [], [], 0.0
        return taken


class Orders:
    """
    Carries out orders.

    :param reactor: runs.
    :param service: not started.
    """

    def __init__(self, reactor: Any, service: Any) -> None:
        self._reactor = reactor
        self._service = service
        self._ticks = Ticks(reactor)

    def start(self, options: dict[str, Any]) -> Generator[Any, Any, dict[str, Any]]:
        """
        Start the service, and wait until its spool is read; with ``ticks`` they begin before.
        """
        began = time.monotonic()
        if options.get("ticks"):
            self._ticks.begin()
        self._service.privilegedStartService()
        self._service.startService()
        yield self._service.when_ready()
        return {"seconds": time.monotonic() - began}

    def ticks(self, _: dict[str, Any]) -> Generator[Any, Any, dict[str, Any]]:
        """
        Hand over what the ticks have noted.
        """
        yield None
        return self._ticks.take()

    def fill(self, options: dict[str, Any]) -> Generator[Any, Any, dict[str, Any]]:
        """
        Put mail into queues where it stays: ``messages`` of them, in turn for ``domains``
        domains whose name begins with ``name``; with ``later`` none is tried before tomorrow.
        Returns when all has come to rest.
        """
        from momentum_tx.interfaces.services import Submission

        began = time.monotonic()
        body = FILLING * max(1, options["size"] // len(FILLING))
        later = time.time() + 86400 if options.get("later") else 0.0
        waiting: list[Any] = []
        for number in range(options["messages"]):
            submission = Submission(
                b"bounces+%07d@news.example" % number,
                (f"customer{number:07}@{options['name']}{number % options['domains']:06}.example".encode(),),
                b"Subject: news %d\r\n\r\n" % number + body,
                not_before=later,
            )
            waiting.append(self._service.receiver.receive(submission))
            if len(waiting) % IN_ONE_TURN == 0:
                yield self._pause(0)
            if len(waiting) == AT_ONCE:
                for each in waiting:
                    yield each
                waiting.clear()
        for each in waiting:
            yield each
        until = time.monotonic() + LONGEST
        while (found := self._queued(options["name"], options["delayed"])) != options["messages"]:
            if time.monotonic() > until:
                raise Unusable(f"{found:,} messages have come to rest, not {options['messages']:,}")
            yield self._pause(0.2)
        return {"seconds": time.monotonic() - began}

    def _queued(self, name: str, delayed: bool) -> int:
        queues = [dr.mail_queue for dr in self._service.delivery.records if dr.domain.startswith(name)]
        return sum(queue.delayed_size() if delayed else queue.active_size() for queue in queues)

    def gone(self, options: dict[str, Any]) -> Generator[Any, Any, dict[str, Any]]:
        """
        Wait until no mail is left for domains whose name begins with ``name``, at the most
        for ``longest`` seconds.
        """
        until = time.monotonic() + options["longest"]
        while left := self._queued(options["name"], True) + self._queued(options["name"], False):
            if time.monotonic() > until:
                raise Unusable(f"{left:,} messages have not ended in {options['longest']:g} s")
            yield self._pause(0.2)
        return {}

    def _pause(self, seconds: float) -> Any:
        from twisted.internet.task import deferLater

        return deferLater(self._reactor, seconds)

    def idle(self, options: dict[str, Any]) -> Generator[Any, Any, dict[str, Any]]:
        """
        Do nothing of one's own for so many ``seconds``.
        """
        spent, began = time.process_time(), time.monotonic()
        yield self._pause(options["seconds"])
        return {"cpu": (time.process_time() - spent) / (time.monotonic() - began)}

    def deliver(self, options: dict[str, Any]) -> Generator[Any, Any, dict[str, Any]]:
        """
        Send ``messages``, at most ``window`` at once, in turn to ``domains`` domains and from
        ``bindings`` bindings (0: the default one), and wait until all are delivered.
        """
        from twisted.internet.defer import Deferred

        done: Any = Deferred()
        total, domains, bindings = options["messages"], options["domains"], options["bindings"]
        content = b"Subject: news\r\n\r\n" + FILLING * max(1, options["size"] // len(FILLING))
        names = [f"you@{options['name']}{number:06}.example" for number in range(domains)]
        sources = [f"b{number:04}" for number in range(bindings)] or [""]
        begun = delivered = 0

        def send() -> None:
            nonlocal begun
            number = begun
            begun += 1
            sending = self._service.send(
                "news@sender.example", [names[number % domains]], content, binding=sources[number % len(sources)]
            )
            sending.addCallbacks(ended, failed)

        def ended(outcomes: Any) -> None:
            nonlocal delivered
            if outcomes[0].verdict.name != "DELIVERED":
                if not done.called:
                    done.errback(Unusable(f"a message was not delivered: {outcomes[0]}"))
                return
            delivered += 1
            if begun < total:
                # Not at once, so that no chain of sendings hangs on each other's stack.
                self._reactor.callLater(0, send)
            elif delivered == total:
                done.callback(None)

        def failed(failure: Any) -> None:
            if not done.called:
                done.errback(failure)

        spent, began = time.process_time(), time.monotonic()
        for _ in range(min(options["window"], total)):
            send()
        yield done
        return {
            "cpu": time.process_time() - spent,
            "seconds": time.monotonic() - began,
            "connections": self._service.delivery.records.connections,
        }

    def stop(self, _: dict[str, Any]) -> Generator[Any, Any, dict[str, Any]]:
        """
        Stop the service and end.
        """
        yield self._service.stopService()
        # The answer is to leave before.
        self._reactor.callLater(0.2, self._reactor.stop)
        return {}


def obey(config: str) -> None:
    """
    Run the service, and carry out the orders of standard input one after the other.
    """
    from twisted.internet import reactor
    from twisted.internet.defer import inlineCallbacks
    from twisted.internet.stdio import StandardIO
    from twisted.protocols.basic import LineReceiver
    from twisted.python.log import startLogging

    from momentum_tx import tap

    startLogging(sys.stderr, setStdout=False)
    clock: Any = reactor
    options: Any = tap.Options()
    options.parseOptions(["--config", config])
    orders = Orders(reactor, tap.makeService(options))

    class Ear(LineReceiver):
        delimiter = b"\n"

        def lineReceived(self, line: bytes) -> None:
            order = json.loads(line)
            carry_out: Callable[..., Any] = inlineCallbacks(getattr(orders, order["order"]))
            carry_out(order).addCallbacks(self._say, self._fail)

        def _say(self, answer: dict[str, Any]) -> None:
            self.sendLine(json.dumps(answer).encode())

        def _fail(self, failure: Any) -> None:
            self.sendLine(json.dumps({"failure": failure.getTraceback()}).encode())

        def connectionLost(self, reason: Any = None) -> None:
            if clock.running:
                clock.callLater(1, lambda: os._exit(1))

    # Whatever else writes to standard output must not be taken for an answer.
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    talk: Any = StandardIO
    clock.callWhenRunning(lambda: talk(Ear(), stdout=answers.fileno()))
    clock.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The service, for a benchmark that tells it what to do.")
    parser.add_argument("--config", required=True)
    obey(parser.parse_args().config)
