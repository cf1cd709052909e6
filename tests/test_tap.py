"""
Tests for :mod:`momentum_tx.tap`: what twistd is given.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from twisted.application.service import IService, ServiceMaker
from twisted.internet import reactor
from twisted.logger import LogLevel
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx import tap
from momentum_tx.settings import GlobalSettings
from momentum_tx.testing.logs import MemoryLogFile
from momentum_tx.testing.world import World
from twisted.plugins import momentum_tx_plugin


class TapCase(SynchronousTestCase):
    """
    A place for files, and the reactor as it was.
    """

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.makedirs(self.directory)
        self.stderr = io.StringIO()
        self.stdout = io.StringIO()
        self.patch(sys, "__stderr__", self.stderr)
        self.patch(sys, "stdout", self.stdout)
        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        # What makeService does to the global reactor must not outlive a test.
        seconds = vars(reactor).get("seconds")

        def restore() -> None:
            vars(reactor).pop("seconds", None)
            if seconds is not None:
                vars(reactor)["seconds"] = seconds

        self.addCleanup(restore)

    def configure(self, text: str) -> str:
        """
        A configuration with a state directory of its own on line 2.
        """
        path = os.path.join(self.directory, "momentum-tx.toml")
        Path(path).write_text(f'[global]\nstate_dir = "{self.directory}/state"\nsmtp_listen = []\n{text}')
        return path

    def options(self, *arguments: str) -> tap.Options:
        """
        A parsed command line.
        """
        options = tap.Options()
        options.parseOptions(list(arguments))
        return options

    def refused(self, *arguments: str) -> str:
        """
        The line with which the start is refused.
        """
        error = self.assertRaises(SystemExit, tap.makeService, self.options(*arguments))
        self.assertEqual(error.code, 1)
        # twistd in the background tells its parent of exceptions, and only of them.
        self.assertIsInstance(error, Exception)
        lines = self.stderr.getvalue().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertEqual(lines[0], f"momentum-tx: {error}")
        return lines[0]


class PluginTests(SynchronousTestCase):
    """
    What twistd finds.
    """

    def test_plugin(self) -> None:
        """
        The plugin names this module.
        """
        maker = momentum_tx_plugin.momentum_tx
        self.assertIsInstance(maker, ServiceMaker)
        self.assertEqual((maker.tapname, maker.module), ("momentum-tx", "momentum_tx.tap"))
        self.assertIs(maker.options, tap.Options)
        self.assertIs(maker.makeService, tap.makeService)


class OptionTests(TapCase):
    """
    The command line.
    """

    def test_defaults(self) -> None:
        """
        Nothing need be said.
        """
        options = self.options()
        self.assertEqual((options["config"], options["check"]), (None, 0))

    def test_unknown(self) -> None:
        """
        What is not known is refused.
        """
        self.assertRaises(usage.UsageError, self.options, "--no-such-option")
        self.assertRaises(usage.UsageError, self.options, "surplus")


class MakeServiceTests(TapCase):
    """
    ``makeService``.
    """

    def test_good(self) -> None:
        """
        A service, named, that knows its file; the reactor's clock no longer
        follows the system's.
        """
        path = self.configure("")
        service: Any = tap.makeService(self.options("--config", path))
        self.addCleanup(service.mainlog.log_close)
        verifyObject(IService, service)
        self.assertEqual((service.name, service.config_path), ("momentum-tx", path))
        real: Any = reactor
        self.assertIs(real.seconds, time.monotonic)
        self.assertFalse(service.running)

    def test_mistakes(self) -> None:
        """
        Each is one line: file, line, key, what is wrong.
        """
        for text, words in (
            ("retry_intervall = 5\n", ("momentum-tx.toml:4", "global.retry_intervall", "retry_interval")),
            ('retry_interval = "soon"\n', ("momentum-tx.toml:4", "global.retry_interval")),
            ("what is this\n", ("momentum-tx.toml:4",)),
            ('hooks = ["no_such_module:thing"]\n', ("momentum-tx.toml:4", "global.hooks", "no_such_module")),
            ('hooks = ["os:sep"]\n', ("momentum-tx.toml:4", "global.hooks", "os:sep")),
        ):
            path = self.configure(text)
            line = self.refused("--config", path)
            for word in words:
                self.assertIn(word, line)
            self.stderr.seek(0)
            self.stderr.truncate()

    def test_no_file(self) -> None:
        """
        A file that is not there is named.
        """
        self.assertIn("nowhere.toml: cannot be read", self.refused("--config", "nowhere.toml"))

    def test_unwritable(self) -> None:
        """
        A state directory that cannot be written is named with its line.
        """
        Path(self.directory, "state").write_text("a file")
        self.assertIn("momentum-tx.toml:2: global.state_dir: ", self.refused("--config", self.configure("")))

    def test_two_mistakes(self) -> None:
        """
        All mistakes of a file are told, a line each.
        """
        path = self.configure("one = 1\ntwo = 2\n")
        self.assertRaises(SystemExit, tap.makeService, self.options("--config", path))
        self.assertEqual(len(self.stderr.getvalue().splitlines()), 2)


class RunningTests(SynchronousTestCase):
    """
    The service that runs, in a virtual world.
    """

    def make(self, config_path: str | None = None) -> Any:
        """
        A service as twistd would run it, in place of the world's own.
        """
        self.world = world = World(start=False)
        own = world.service
        service = tap.TwistdService(world.process, own._config, world._seams(), world.wall, world._chance(), 1000)
        service.config_path = config_path
        self.stops = 0
        return service

    def test_hang_up(self) -> None:
        """
        SIGHUP reopens the log first, always; then the configuration is read,
        and a bad one is refused.
        """
        directory = self.mktemp()
        os.makedirs(directory)
        path = os.path.join(directory, "momentum-tx.toml")
        Path(path).write_text("[global]\nretry_interval = 77\n")
        service = self.make(path)
        reopened: list[MemoryLogFile] = []
        self.patch(service, "reopen_logs", lambda: reopened.append(self.world.log))
        service.hang_up()
        self.assertEqual(len(reopened), 1)
        # A worker reads it.
        self.assertEqual((self.world.threads.running, self.interval(service)), (1, 1200))
        self.world.advance(1)
        self.assertEqual(self.interval(service), 77)
        Path(path).write_text("[global]\nretry_interval = 0\n")
        service.hang_up()
        self.world.advance(1)
        self.assertEqual(len(reopened), 2)
        self.assertEqual(self.interval(service), 77)

    def test_panics(self) -> None:
        """
        What is critical in Twisted's log goes to paniclog, from a worker by way of the reactor's thread.
        """
        service = self.make()
        event = {"log_level": LogLevel.critical, "log_format": "all is lost", "log_time": 1700000002.5}
        self.patch(tap, "isInIOThread", lambda: True)
        service._heard({**event, "log_level": LogLevel.error})
        service._heard(event)
        self.patch(tap, "isInIOThread", lambda: False)
        handed: list[Any] = []
        service._reactor.callFromThread = lambda function, *arguments: handed.append((function, arguments))
        service._heard(event)
        (panics,) = [file for path, file in self.world.logs.items() if path.endswith("/paniclog")]
        self.assertEqual(panics.content, b"1700000002: all is lost\n")
        ((function, arguments),) = handed
        function(*arguments)
        self.assertEqual(panics.content, b"1700000002: all is lost\n" * 2)

    def interval(self, service: Any) -> float:
        """
        An option as it is in force.
        """
        found: float = service.configuration.path(0, "example.com").retry_interval
        return found

    def test_hang_up_again(self) -> None:
        """
        Signals that come while the configuration is read have it read once more, and what
        was written last is in force in the end.
        """
        directory = self.mktemp()
        os.makedirs(directory)
        path = os.path.join(directory, "momentum-tx.toml")
        Path(path).write_text("[global]\nretry_interval = 77\n")
        service = self.make(path)
        service.hang_up()
        service.hang_up()
        service.hang_up()
        self.assertEqual(self.world.threads.running, 1)
        self.world.threads.delay = 5
        self.world.advance(1)
        self.assertEqual((self.world.threads.running, self.interval(service)), (1, 77))
        Path(path).write_text("[global]\nretry_interval = 78\n")
        self.world.advance(5)
        self.assertEqual((self.world.threads.running, self.interval(service)), (0, 78))
        self.assertEqual(service.configuration.generation, 3)

    def test_hang_up_and_stop(self) -> None:
        """
        A configuration that was read when the service has stopped changes nothing.
        """
        directory = self.mktemp()
        os.makedirs(directory)
        path = os.path.join(directory, "momentum-tx.toml")
        Path(path).write_text("[global]\nretry_interval = 77\n")
        service = self.make(path)
        service.bind()
        service.hang_up()
        service.release()
        self.world.advance(1)
        self.assertEqual(self.interval(service), 1200)
        service.hang_up()
        self.assertEqual(self.world.threads.running, 0)

    def test_hang_up_without_a_file(self) -> None:
        """
        Without a file the logs are reopened, and that is all.
        """
        service = self.make()
        before = service._facilities.config
        service.hang_up()
        self.assertIs(service._facilities.config, before)

    def test_terminate(self) -> None:
        """
        SIGTERM stops the reactor, once.
        """
        service = self.make()

        class Stops:
            stopped = 0

            def stop(self) -> None:
                self.stopped += 1

        stops = service._reactor = Stops()
        service.terminate()
        service.terminate()
        self.assertEqual(stops.stopped, 1)

    def test_signals(self) -> None:
        """
        Both signals reach the reactor's thread, whatever it does when they come.
        """
        for number in (signal.SIGHUP, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        service = self.make()
        called: list[Any] = []

        class Calls:
            def callFromThread(self, function: Any) -> None:
                called.append(function)

        service._reactor = Calls()
        service._listen_to_signals()
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(called, [service.hang_up, service.terminate])


class CollectorTests(SynchronousTestCase):
    """
    What is done about the garbage collector's pauses.
    """

    def test_tuned(self) -> None:
        """
        What exists by then is looked at no more, and collections are rare, but there are some.
        """
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        gc.disable()
        tap._tune_collector()
        self.assertTrue(gc.isenabled())
        self.assertGreater(gc.get_freeze_count(), 1000)
        self.assertEqual(gc.get_threshold(), tap.COLLECTOR_THRESHOLD)


class _System:
    """
    A system with limits of its own.
    """

    def __init__(self, soft: int, hard: int, most: int = 1 << 40) -> None:
        self.limits = soft, hard
        self.most = most

    def getrlimit(self, what: int) -> tuple[int, int]:
        return self.limits

    def setrlimit(self, what: int, limits: tuple[int, int]) -> None:
        if limits[0] > self.most:
            raise ValueError("current limit exceeds maximum limit")
        self.limits = limits


class DescriptorTests(SynchronousTestCase):
    """
    How many descriptors the process may have.
    """

    def test_raised(self) -> None:
        """
        The limit is raised to the option, or to the hardest the system allows.
        """
        for wanted, hard, expected in ((50_000, 1 << 20, 50_000), (3_000_000, 1 << 20, 1 << 20), (4096, -1, 4096)):
            system = _System(1024, hard)
            settings = GlobalSettings(server_max_file_descriptors=wanted, server_max_outbound_connections=100)
            tap.raise_descriptors(settings, system)
            self.assertEqual(system.limits, (expected, hard))

    def test_tooFew(self) -> None:
        """
        It is said when the limits on connections cannot be reached, on both sides
        of the number.
        """
        settings = GlobalSettings(server_max_outbound_connections=3000, max_inbound_connections=1096)
        self.assertEqual(tap.raise_descriptors(settings, _System(1024, 4096)), "")
        text = tap.raise_descriptors(settings, _System(1024, 4095))
        self.assertIn("4095 file descriptors", text)
        self.assertIn("LimitNOFILE", text)

    def test_systemSaysNo(self) -> None:
        """
        A system that does not do what it says leaves the limit as it was.
        """
        system = _System(1024, -1, most=2000)
        self.assertIn("1024 file descriptors", tap.raise_descriptors(GlobalSettings(), system))
        self.assertEqual(system.limits, (1024, -1))
