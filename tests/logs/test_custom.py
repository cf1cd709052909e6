"""
Tests of :mod:`momentum_tx.logs.custom`.
"""

from momentum_tx.errors import ConfigError
from momentum_tx.policy.log_format import MACROS

from ..worlds import WorldCase

EVERY = " ".join(
    f"{name}=<%{name}{{outbound_tls}}>" if kind == "name" else f"{name}=<%{name}>" for name, kind in MACROS.items()
)

CONFIG = f"""
[global]
custom_logger_reception_format = "R {EVERY}"
custom_logger_delivery_format = "D|%r@%R|%t{{%Y-%m-%dT%H:%M}}|%T{{0}}|%us{{3}}"
custom_logger_delivery_logfile = "delivered"
custom_logger_transient_failure_format = "T %C|%c|%n|%S|%s|%N|%H|%d"
custom_logger_permanent_failure_format = "P {EVERY} tenant=<%vctx_mess{{tenant}}>"

[domain."routed.example"]
gateway = "relay.example"
"""


class CustomLogTests(WorldCase):
    """
    Mail that takes each of the four ends, with every macro.
    """

    def test_records(self) -> None:
        """
        Every macro says what the message is; kinds of records share a file or have their own.
        """
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        mx.refuse["gone@example.com"] = b"550 5.1.1 No such user \xe2\x80\xa8 \x1b[31m"
        mx.refuse["late@example.com"] = b"450 4.2.0 later"
        self.accept(world, ["good@example.com", "gone@example.com", "late@example.com", "x@routed.example"])
        world.advance(30)
        logs = {path.rpartition("/")[2]: bytes(log.content).decode() for path, log in world.logs.items()}
        self.assertRegex(logs["delivered"], r"^D\|good@example\.com\|\d{4}-\d\d-\d\dT\d\d:\d\d\|\d+\|\d+\.\d{3}\n$")
        lines = logs["customlog"].splitlines()
        self.assertEqual(sorted(line[0] for line in lines), ["P", "R", "R", "R", "R", "T", "T"])
        (failed,) = [line for line in lines if line.startswith("P ")]
        (received,) = [line for line in lines if line.startswith("R ") and "r=<gone>" in line]
        for line, macros in (
            (
                failed,
                ("A=<>", "U=<>", "P=<>", "PG=<>", "b=<default>", "g=<default>", "c=<Invalid Recipient>", "C=<10>"),
            ),
            (failed, ("d=<example.com>", "H=<198.51.100.1>", "m=<a>", "M=<sender.example>", "mx=<mx1.example.com>")),
            (failed, ("N=<0>", "p=<esmtp>", "r=<gone>", "R=<example.com>", "S=<5>", "s=<after RCPT TO>")),
            (
                failed,
                ("vctx_conn=<no>", "vctx_mess=<no>", "tenant=<>", "n=<550 5.1.1 No such user \\xe2\\x80\\xa8 ?[31m>"),
            ),
            (received, ("c=<>", "C=<>", "H=<127.0.0.1>", "mx=<>", "OC=<>", "vctx_mess=<no>", "r=<gone>")),
        ):
            for macro in macros:
                self.assertIn(macro, line)
        for line in (failed, received):
            self.assertRegex(line, r" B=<[1-9]\d+> .* i=<[0-9A-F/-]+> .* BI=<[0-9A-F/-]+> CI=<[0-9A-F/-]+> ")
            self.assertRegex(line, r" t=<\d+> T=<\d+\.\d\d> us=<\d+\.\d{6}> ")
        self.assertRegex(failed, r" OC=<[0-9A-F/-]+> ")
        later = [line for line in lines if line.startswith("T ")]
        self.assertTrue(any("|450 4.2.0 later|5|after RCPT TO|" in line for line in later), later)
        self.assertEqual(sorted(line.rpartition("|")[2] for line in later), ["example.com", "relay.example"])
        (routed,) = [line for line in lines if line.startswith("R ") and "r=<x>" in line]
        self.assertIn(" d=<routed.example> ", routed)

    def test_nothing_asked_for(self) -> None:
        """
        Without a format there is no file.
        """
        world = self.world("")
        self.assertNotIn("customlog", {path.rpartition("/")[2] for path in world.logs})

    def test_refused_format(self) -> None:
        """
        A macro that is not known is refused with the line it stands in.
        """
        error = self.assertRaises(ConfigError, self.world, '[global]\ncustom_logger_delivery_format = "%t %q"\n')
        self.assertIn(":2: global.custom_logger_delivery_format: ", str(error))
        self.assertIn("'%q' begins with no macro", str(error))
