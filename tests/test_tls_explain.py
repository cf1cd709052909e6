"""
Tests of :mod:`momentum_tx.tls_explain`; real servers are in :mod:`tests.integration.test_dane`.
"""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx import cli
from momentum_tx.delivery.dane import tlsa_name
from momentum_tx.errors import LookupFailed, StartupError
from momentum_tx.interfaces.services import MXKind
from momentum_tx.operate.tls_policy import as_text
from momentum_tx.policy.mta_sts import KeptPolicy, dump_kept, parse_policy
from momentum_tx.testing.tls import ModelledCertificate
from momentum_tx.testing.world import World
from momentum_tx.tls_explain import PATIENCE, Explanation, harmless

from .worlds import WorldCase

DOMAIN, HOST, OTHER = "example.com", "mx1.example.com", "mx2.example.com"
CONFIG = "[global]\nuse_dane = true\nuse_mta_sts = true\n"
POLICY = f"version: STSv1\nmode: enforce\nmx: {HOST}\nmax_age: 86400\n".encode()


class ExplanationTests(WorldCase):
    """
    A service that is asked and never started.
    """

    def setUp(self) -> None:
        self.w = World(1, CONFIG, start=False)
        self.mx = self.w.exchanger(DOMAIN)
        self.mx.starttls = True

    def explain(self, config: str = CONFIG, connect: bool = False, seconds: float = 20, domain: str = DOMAIN) -> Any:
        """
        What is found.
        """
        self.w.config_text = config
        self.w.build()
        making = Explanation(self.w.process, self.w.service, domain, 0).make(connect)
        self.w.advance(seconds)
        return self.successResultOf(making)

    def test_nothing_wanted(self) -> None:
        """
        Also where nobody wants anything it is said what options do.
        """
        said = self.explain("[global]\ntls = 'ifavailable'\n")
        self.assertIn("demanded: TLS where it is offered (by options)", as_text(said))
        self.assertNotIn("shown", said["exchangers"][0])
        self.assertEqual(self.mx.connections, 0)

    def test_policies(self) -> None:
        """
        The exchangers, the policy, and TLSA records are looked up now, and none of it is
        kept.
        """
        self.w.exchanger(DOMAIN)
        self.w.publish_policy(DOMAIN, POLICY)
        self.w.resolver.signed.add(DOMAIN)
        self.w.resolver.tlsa[tlsa_name(HOST, 25)] = [(3, 1, 1, b"x" * 32)]
        said = self.explain()
        first, second = said["exchangers"]
        self.assertEqual((first["decision"]["demanded"]["by"], second["decision"]), ("dane", None))
        self.assertEqual(said["mta_sts"]["policy"]["mode"], "enforce")
        self.assertIn("left out: it is not in the MTA-STS policy", as_text(said))

    def test_slow(self) -> None:
        """
        It waits for a policy longer than mail would.
        """
        self.w.publish_policy(DOMAIN, POLICY)
        self.w.config_text = CONFIG
        self.w.build()
        self.w.https.held = True
        making = Explanation(self.w.process, self.w.service, DOMAIN, 0).make(False)
        self.w.advance(30)
        self.assertNoResult(making)
        self.w.https.release()
        self.w.advance(5)
        self.assertEqual(self.successResultOf(making)["mta_sts"]["policy"]["mode"], "enforce")

    def test_connect(self) -> None:
        """
        What exchangers show is judged by what is demanded of them.
        """
        self.w.publish_policy(DOMAIN, POLICY)
        for certificate, acceptable, line in (
            (None, True, "mail would go"),
            (ModelledCertificate(names=("x.example",)), False, "mail would not go there"),
        ):
            self.mx.certificate = certificate
            said = self.explain(connect=True)
            self.assertIs(said["exchangers"][0]["shown"]["acceptable"], acceptable)
            self.assertIn(f"shown: {line}\n", as_text(said))
        self.mx.starttls = False
        shown = self.explain(connect=True)["exchangers"][0]["shown"]
        self.assertEqual((shown["acceptable"], "STARTTLS" in shown["error"]), (False, True))
        self.w.resolver.texts.clear()
        said = self.explain(connect=True)
        self.assertTrue(said["exchangers"][0]["shown"]["acceptable"])
        self.assertIn("shown: mail would go in clear\n", as_text(said))
        self.assertEqual(self.mx.ledger, [])

    def test_failing(self) -> None:
        """
        Of one that does not come as far as TLS it is said whether mail would go in clear, as
        options want it; where nobody answers, none goes.
        """
        versions = self.mx.tls_versions
        for options, offers, handshake, connects in (
            ("tls = 'no'\ntls_verify = 'host'\ntls_ifavailable_fallback = false\n", True, True, False),
            ("tls = 'ifavailable'\n", True, True, False),
            ("tls = 'ifavailable'\ntls_ifavailable_fallback = false\n", True, False, False),
            ("tls = 'required'\n", False, False, False),
        ):
            self.mx.up()
            self.mx.starttls = False
            self.judged(options, offers)
            self.mx.starttls = True
            self.mx.on("STARTTLS", b"454 4.7.0 not now", times=1)
            self.judged(options, handshake)
            self.mx.tls_versions = ()
            self.judged(options, handshake)
            self.mx.tls_versions = versions
            self.mx.down()
            self.judged(options, connects)

    def judged(self, options: str, goes: bool) -> None:
        """
        See whether mail would go.
        """
        said = self.explain(f"[global]\n{options}", connect=True)
        self.assertIs(said["exchangers"][0]["shown"]["acceptable"], goes, options)
        self.assertIn("mail would go in clear" if goes else "mail would not go there", as_text(said))

    def test_prohibited(self) -> None:
        """
        No address is connected to that mail must not go to.
        """
        self.w.resolver.addresses[HOST] = ["127.0.0.1"]
        said = self.explain(connect=True)
        (exchanger,) = said["exchangers"]
        self.assertEqual((exchanger["addresses"], exchanger["shown"]["acceptable"]), ([], False))

    def test_no_exchangers(self) -> None:
        """
        A domain that cannot be looked up says why.
        """
        self.w.resolver.mx[DOMAIN] = LookupFailed("SERVFAIL")
        said = self.explain(seconds=PATIENCE + 5)
        self.assertEqual(said["exchangers"], [])
        self.assertIn("SERVFAIL", said["problem"])

    def test_no_mail(self) -> None:
        """
        A domain that is not there, takes no mail, or leads into our network is told as its
        mail would be.
        """
        for answer, problem in (
            (MXKind.NXDOMAIN, "554 5.4.4 [internal] Domain Lookup Failed"),
            (MXKind.NULL, "550 5.4.4 [internal] NULL MX domain does not accept mail"),
            ([(10, "inside.example")], "551 5.4.6 [internal] Private/Loopback Address"),
        ):
            self.w.resolver.mx[DOMAIN] = answer
            self.w.resolver.addresses["inside.example"] = ["127.0.0.1"]
            self.assertIn(f"  problem: {problem}\n", as_text(self.explain()))

    def test_gateway(self) -> None:
        """
        Where a gateway takes the mail it is explained what that has to have.
        """
        self.w.resolver.addresses["gate.example"] = [self.mx.address]
        said = self.explain(f'{CONFIG}[domain."{DOMAIN}"]\ngateway = "gate.example"\n')
        self.assertEqual(said["domain"], "gate.example")
        self.assertEqual([each["host"] for each in said["exchangers"]], ["gate.example"])

    def test_kept(self) -> None:
        """
        What a service keeps on disk is told, where it can be read and is not over.
        """
        directory = self.mktemp()
        Path(directory).mkdir()
        config = f'{CONFIG}mta_sts_policy_store = "{directory}"\n'
        for age, found in ((0, True), (90000, False)):
            kept = KeptPolicy(DOMAIN, "1", self.w.wall() - age, POLICY, parse_policy(POLICY))
            Path(directory, f"{DOMAIN}.sts").write_bytes(dump_kept(kept))
            said = self.explain(config)
            self.assertEqual(said["mta_sts"]["kept"] is not None, found)
            self.assertEqual("kept on disk: enforce" in as_text(said), found)

    def finish(self, world: World) -> None:
        """
        There is nothing to stop.
        """


class HarmlessTests(SynchronousTestCase):
    """
    What the command may not do.
    """

    def test_files(self) -> None:
        """
        Nobody gets a directory, and logs go nowhere.
        """
        seams = harmless(World(1, start=False)._seams())
        self.assertRaises(StartupError, seams.files("/x").lock)
        log = seams.log_file("/x", 0o600)
        log.open()
        self.assertEqual(log.write(b"gone\n"), 5)

    def test_arguments(self) -> None:
        """
        A domain is needed, and has to be one.
        """
        parser = cli.parser()
        options = parser.parse_args(["tls", "explain", "--json", "Example.COM"])
        self.assertEqual((options.domain, options.json, options.connect), ("example.com", True, False))
        self.patch(sys, "stderr", StringIO())
        for bad in (["tls"], ["tls", "explain"], ["tls", "explain", "a b"]):
            self.assertRaises(SystemExit, parser.parse_args, bad)
