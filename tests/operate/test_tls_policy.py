"""
Tests of :mod:`momentum_tx.operate.tls_policy`.
"""

from __future__ import annotations

import json

from momentum_tx.delivery.dane import tlsa_name
from momentum_tx.operate.tls_policy import as_text, sentence
from momentum_tx.testing.world import World

from ..worlds import SENDER, WorldCase

DOMAIN, HOST = "example.com", "mx1.example.com"
CONFIG = "[global]\nuse_dane = true\nuse_mta_sts = true\n"
POLICY = f"version: STSv1\nmode: enforce\nmx: {HOST}\nmax_age: 86400\n".encode()


class ToldTests(WorldCase):
    """
    What a running service tells.
    """

    def sent(self, world: World) -> World:
        """
        A world that has sent a message.
        """
        world.send(SENDER, [f"a@{DOMAIN}"], world.message()).addErrback(lambda failure: None)
        world.advance(5)
        return world

    def test_unknown(self) -> None:
        """
        Of a domain that got no mail nothing is known, and nothing is asked for it.
        """
        world = self.world(CONFIG)
        said = world.service.tls_policy("nobody.example")
        self.assertEqual((said["routing"], said["exchangers"], said["mta_sts"]["policy"]), ("unknown", [], None))
        self.assertEqual(world.resolver.mx_asked, [])
        self.assertIn("no policy", as_text(said))
        self.assertRaises(ValueError, world.service.tls_policy, "nobody.example", "b9")

    def test_policy(self) -> None:
        """
        The policy, what it demands of which exchanger, and which it leaves out.
        """
        world = self.world(CONFIG)
        world.exchanger(DOMAIN).starttls = True
        world.exchanger(DOMAIN, 5)
        world.publish_policy(DOMAIN, POLICY, "7")
        said = self.sent(world).service.tls_policy(DOMAIN)
        self.assertEqual(json.loads(json.dumps(said)), said)
        self.assertEqual((said["mta_sts"]["obeyed"], said["mta_sts"]["policy"]["mode"]), (True, "enforce"))
        other, listed = said["exchangers"]
        self.assertEqual((other["left_out"], other["decision"]), ("it is not in the MTA-STS policy", None))
        self.assertEqual(listed["decision"]["demanded"]["names"], [HOST])
        text = as_text(said)
        for line in (
            "example.com, from binding default",
            "MTA-STS: enforce, id 7",
            "mx: mx1.example.com",
            "10 mx1.example.com (198.51.100.1)",
            "demanded: TLS, a certificate with the name mx1.example.com (by the MTA-STS policy)",
            "options alone: no TLS (by options)",
            "no TLSA: the domain's exchangers are not validated by DNSSEC",
            "left out: it is not in the MTA-STS policy",
        ):
            self.assertIn(line, text)

    def test_dane(self) -> None:
        """
        Records that were found, and how many of them can be used.
        """
        world = self.world(CONFIG)
        world.exchanger(DOMAIN).starttls = True
        world.resolver.signed.add(DOMAIN)
        world.resolver.tlsa[tlsa_name(HOST, 25)] = [(3, 1, 1, b"x" * 32), (1, 1, 1, b"x" * 32)]
        said = self.sent(world).service.tls_policy(DOMAIN)
        text = as_text(said)
        for line in (
            "validated by DNSSEC",
            "demanded: TLS, a certificate, or an issuer, of the TLSA records (by TLSA records)",
            "TLSA: 2 at mx1.example.com, usable: 3 1 1",
        ):
            self.assertIn(line, text)
        world.resolver.bogus.add(f"_tcp.{HOST}")
        world.advance(7200)
        text = as_text(self.sent(world).service.tls_policy(DOMAIN))
        self.assertIn("demanded: nothing is sent, mail waits", text)
        self.assertIn("TLSA: ", text)

    def test_skipped(self) -> None:
        """
        What an operator leaves out, by name or by address; others are not.
        """
        for skipped, left_out in (
            ('"192.0.2.0/24"', ""),
            ('"198.51.100.0/24"', "skip_hosts"),
            (f'"{HOST}"', "skip_hosts"),
        ):
            world = self.world(f"{CONFIG}skip_hosts = [{skipped}]\n")
            world.exchanger(DOMAIN)
            (exchanger,) = self.sent(world).service.tls_policy(DOMAIN)["exchangers"]
            self.assertEqual(exchanger["left_out"][:10], left_out)

    def test_problem(self) -> None:
        """
        What is wrong with a policy, and with the domain.
        """
        world = self.world(CONFIG)
        world.exchanger(DOMAIN)
        world.publish_policy(DOMAIN, b"rubbish")
        text = as_text(self.sent(world).service.tls_policy(DOMAIN))
        self.assertIn("problem: https://mta-sts.example.com/.well-known/mta-sts.txt: a line without a colon", text)

    def test_off(self) -> None:
        """
        Where policies are not looked for that is said.
        """
        world = self.world()
        world.exchanger(DOMAIN)
        text = as_text(self.sent(world).service.tls_policy(DOMAIN))
        self.assertIn("MTA-STS: not looked for", text)
        self.assertIn("nothing was decided yet", text)

    def test_sentences(self) -> None:
        """
        Every demand has its words.
        """
        for tls, verify, words in (
            ("no", "host", "no TLS (by options)"),
            ("ifavailable", "no", "TLS where it is offered (by options)"),
            ("ifavailable", "optional", "TLS where it is offered, a certificate with the name a or b, if it has one"),
            ("required", "ca", "TLS, a certificate of a trusted issuer"),
            ("implicit", "host", "TLS from the first octet, a certificate with the name a or b"),
        ):
            demanded = {"tls": tls, "verify": verify, "names": ["a", "b"], "by": "setting"}
            self.assertIn(words, sentence(demanded))
