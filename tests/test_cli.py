"""
The command line, as far as no reactor has to run; whole runs are in
``tests/integration/test_demo.py``.
"""

import io
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx import cli
from momentum_tx.spool.files import DirectoryFiles


class CommandLineCase(SynchronousTestCase):
    """
    What is printed is caught.
    """

    def setUp(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def exits(self, *arguments: str) -> int:
        """
        The exit status of an invocation.
        """
        try:
            return cli.main(arguments)
        except SystemExit as stop:
            assert isinstance(stop.code, int)
            return stop.code


class CommandLineTests(CommandLineCase):
    """
    What a user types.
    """

    def test_help(self) -> None:
        """
        The help names every command; what is for our own tests stays hidden.
        """
        self.assertEqual(self.exits("--help"), 0)
        for name in cli.COMMANDS:
            self.assertIn(name, self.out.getvalue())
            self.assertEqual(self.exits(name, "--help"), 0)
        self.assertNotIn("--drop-every", self.out.getvalue())

    def test_version(self) -> None:
        """
        The version is one line.
        """
        self.assertEqual(self.exits("--version"), 0)
        self.assertRegex(self.out.getvalue(), r"\Amomentum-tx (\d+\.\d+\.\d+|not installed)\n\Z")

    def test_bad_usage(self) -> None:
        """
        Bad usage exits with 2 and one line that says why.
        """
        for arguments in ((), ("dance",), ("demo", "--messages", "0"), ("demo", "--messages", "many")):
            self.assertEqual(self.exits(*arguments), 2)
            self.assertIn("momentum-tx", self.err.getvalue().splitlines()[-1])
            self.assertIn("error:", self.err.getvalue().splitlines()[-1])

    def test_configuration_missing(self) -> None:
        """
        A configuration that cannot be read is one line and exit status 1.
        """
        self.assertEqual(self.exits("check", "--config", "nowhere.toml"), 1)
        self.assertEqual(self.err.getvalue(), "momentum-tx: nowhere.toml: cannot be read: No such file or directory\n")

    def test_policy_from(self) -> None:
        """
        Where no policy is looked for, a place to fetch it from is a mistake.
        """
        self.assertEqual(self.exits("tls", "explain", "--policy-from", "127.0.0.1:8443", "a.example"), 1)
        self.assertEqual(
            self.err.getvalue(),
            "momentum-tx: --policy-from: no policy is looked for: use_mta_sts is off for a.example\n",
        )

    def test_doubts(self) -> None:
        """
        What is doubtful is a warning, and no reason not to start.
        """
        path, state = Path(self.mktemp()), self.mktemp()
        path.write_text(f'[global]\nsmtp_listen = []\nstate_dir = "{state}"\nmessage_expiration = 60\n')
        self.assertEqual(self.exits("config", "check", "--config", str(path)), 0)
        (line,) = self.err.getvalue().splitlines()
        self.assertTrue(line.startswith(f"momentum-tx: warning: {path}:4: global.message_expiration: mail that fails"))

    def test_running(self) -> None:
        """
        Beside a service that runs the configuration is checked all the same: what is doubtful
        is told before what is taken.
        """
        path, state = Path(self.mktemp()), self.mktemp()
        path.write_text(f'[global]\nsmtp_listen = []\nstate_dir = "{state}"\nmessage_expiration = 60\n')
        files = DirectoryFiles(f"{state}/spool")
        files.lock()
        self.addCleanup(files.unlock)
        self.assertEqual(self.exits("config", "check", "--config", str(path)), 1)
        first, second = self.err.getvalue().splitlines()
        self.assertIn("warning: ", first)
        self.assertIn("another running instance has this spool", second)

    def test_unplumbed(self) -> None:
        """
        An address of a binding that this machine has not is a warning: the
        service would start, and mail of that binding wait.
        """
        path, state = Path(self.mktemp()), self.mktemp()
        path.write_text(
            f'[global]\nsmtp_listen = []\nstate_dir = "{state}"\n[binding.b1]\nbind_address = "203.0.113.77"\n'
        )
        self.assertEqual(self.exits("check", "--config", str(path)), 0)
        self.assertEqual(
            self.err.getvalue(),
            f"momentum-tx: warning: {path}:5: binding.b1.bind_address: 203.0.113.77 is not configured on this host;"
            " its mail waits until it is\n",
        )
        self.assertIn("is good", self.out.getvalue())

    def test_configuration_bad(self) -> None:
        """
        Every mistake in a configuration is a line of its own, with its place.
        """
        path = Path(self.mktemp())
        path.write_text("[global]\nretry_intervall = 5\ntls = 7\n")
        self.assertEqual(self.exits("check", "--config", str(path)), 1)
        first, second = self.err.getvalue().splitlines()
        self.assertTrue(first.startswith(f"momentum-tx: {path}:2: global.retry_intervall: unknown option"))
        self.assertTrue(second.startswith(f"momentum-tx: {path}:3: global.tls:"))
        self.assertEqual(self.out.getvalue(), "")


class ConfigTests(CommandLineCase):
    """
    ``momentum-tx config``.
    """

    TEXT = """
[domain."example.com"]
retry_interval = 60
[binding.b1]
[binding.b1.host."mx1.example.com"]
outbound_throttle_messages = "60/min"
[host."mx1.example.com"]
max_outbound_connections = 3
"""

    def setUp(self) -> None:
        super().setUp()
        self.path = self.mktemp()
        Path(self.path).write_text(self.TEXT, encoding="utf-8")

    def said(self, *arguments: str) -> list[str]:
        """
        The lines of a command that goes well.
        """
        action, *others = arguments
        self.assertEqual(self.exits("config", action, "--config", self.path, *others), 0, self.err.getvalue())
        return self.out.getvalue().splitlines()

    def test_explain(self) -> None:
        """
        The value comes first, then where it was set.
        """
        lines = self.said("explain", "--domain", "example.com", "--binding", "b1", "retry_interval")
        self.assertEqual(lines[:2], ["60.0", f'set in [domain."example.com"] at {self.path}:3'])

    def test_explain_no_domain(self) -> None:
        """
        What is no domain has no options, and is bad usage.
        """
        arguments = ("--config", self.path, "--domain", "...", "retry_interval")
        self.assertEqual(self.exits("config", "explain", *arguments), 2)
        self.assertIn("argument --domain: is not a domain name", self.err.getvalue())

    def test_explain_host(self) -> None:
        """
        Options of an exchanger are explained by its name.
        """
        self.assertEqual(self.said("explain", "--host", "mx1.example.com", "max_outbound_connections")[0], "3")

    def test_explain_host_of_binding(self) -> None:
        """
        What a binding has for an exchanger is explained by both names.
        """
        lines = self.said("explain", "--host", "mx1.example.com", "--binding", "b1", "outbound_throttle_messages")
        self.assertEqual(lines[0], '"60/min"')

    def test_dump(self) -> None:
        """
        What is in force is printed as a file.
        """
        lines = self.said("dump")
        self.assertIn('[host."mx1.example.com"]', lines)
        self.assertIn("retry_interval = 1200.0", lines)

    def test_mistakes(self) -> None:
        """
        An option, a binding or a file that does not exist is one clear line and exit status 1.
        """
        for arguments, reason in (
            (("--config", self.path, "retry_intervall"), "nearest: retry_interval"),
            (("--config", self.path, "--binding", "b2", "tls"), "there is no binding b2"),
            (("--config", self.path + ".not", "tls"), "cannot be read"),
        ):
            self.assertEqual(self.exits("config", "explain", *arguments), 1)
            self.assertIn(reason, self.err.getvalue().splitlines()[-1])
        self.assertEqual(self.exits("config"), 2)
