"""
Tests of :mod:`momentum_tx.delivery.tls_telling`: what is told of the TLS of sessions.
"""

from __future__ import annotations

import gzip
import json

from zope.interface import implementer

from momentum_tx.delivery.dane import tlsa_name
from momentum_tx.errors import DeliveryError, LookupFailed
from momentum_tx.interfaces.hooks import ISmtpTlsReporting
from momentum_tx.policy.mta_sts import policy_url
from momentum_tx.policy.tls import TLSAssociation
from momentum_tx.policy.tls_report import TLSOutcome
from momentum_tx.testing.tls import ModelledCertificate
from momentum_tx.testing.world import World

from ..worlds import SENDER, WorldCase

DOMAIN = "example.com"
HOST = "mx1.example.com"
RIGHT = (3, 1, 1, b"r" * 32)
TLS = '[global]\ntls = "ifavailable"\n'
DANE = "[global]\nuse_dane = true\n"
STS = "[global]\nuse_mta_sts = true\n"
POLICY = b"version: STSv1\r\nmode: %b\r\nmx: *.example.com\r\nmax_age: 604800\r\n"


@implementer(ISmtpTlsReporting)
class Watcher:
    """
    Remembers data points.
    """

    def __init__(self) -> None:
        self.seen: list[dict[str, object]] = []

    def smtp_tls_reporting(self, data: dict[str, object]) -> None:
        self.seen.append(data)


class TellingCase(WorldCase):
    """
    What the stories need.
    """

    def telling(self, config: str, starttls: bool = True, certificate: ModelledCertificate | None = None) -> World:
        """
        A world with one exchanger, and every outcome that is told in it.
        """
        self.watcher = Watcher()
        world = self.world(config, providers=[self.watcher])
        self.mx = world.exchanger(DOMAIN)
        self.mx.starttls = starttls
        self.mx.certificate = certificate
        self.outcomes: list[TLSOutcome] = []
        reports = world.service.reports
        told = reports.told

        def heard(outcome: TLSOutcome) -> None:
            self.outcomes.append(outcome)
            told(outcome)

        world.service.delivery.facilities.tls_told = heard
        return world

    def sign(self, world: World, *records: tuple[int, int, int, bytes]) -> None:
        """
        Let everything about the domain be validated, and publish TLSA records.
        """
        world.resolver.signed.add(DOMAIN)
        world.resolver.tlsa[tlsa_name(HOST, 25)] = records

    def send(self, world: World, domain: str = DOMAIN, seconds: float = 5.0) -> list[tuple[str, str]]:
        """
        Send a message, and see of which policies what was told.
        """
        self.outcomes.clear()
        world.send(SENDER, [f"bob@{domain}"], world.message()).addErrback(lambda failure: None)
        world.advance(seconds)
        return [(each.policy.kind, each.failure) for each in self.outcomes]


class WithoutPolicyTests(TellingCase):
    """
    Domains that want nothing.
    """

    def test_encrypted(self) -> None:
        """
        TLS that came about is a success, whatever the certificate; who met whom is told.
        """
        world = self.telling(TLS, certificate=ModelledCertificate(expired=True))
        self.assertEqual(self.send(world), [("no-policy-found", "")])
        (found,) = self.outcomes
        self.assertEqual(
            (found.domain, found.policy.domain, found.sending_ip, found.mx_host, found.mx_helo, found.receiving_ip),
            (DOMAIN, DOMAIN, "192.0.2.1", HOST, "mx.peer.example", self.mx.address),
        )
        self.assertEqual(self.watcher.seen, [])

    def test_not_offered(self) -> None:
        """
        An exchanger without STARTTLS, or one that refuses it, gets mail in clear and counts as a failure.
        """
        world = self.telling(TLS, starttls=False)
        self.assertEqual(self.send(world), [("no-policy-found", "starttls-not-supported")])
        world = self.telling(TLS)
        self.mx.on("STARTTLS", b"454 4.7.0 Not now")
        self.assertEqual(self.send(world), [("no-policy-found", "starttls-not-supported")])
        self.assertEqual([each.encrypted for each in self.mx.ledger], [False])

    def test_handshake(self) -> None:
        """
        A handshake that fails is told once, and that it is not tried again as well.
        """
        world = self.telling(TLS)
        world.tls.failing.add(HOST)
        found = self.send(world, seconds=120)
        self.assertEqual(set(found), {("no-policy-found", "validation-failure")})
        self.assertEqual([each.encrypted for each in self.mx.ledger], [False])
        self.assertEqual({each.sending_ip for each in self.outcomes}, {"192.0.2.1"})
        reasons = [each.reason for each in self.outcomes]
        self.assertEqual((reasons[0], reasons[-1]), ("the handshake failed", "a handshake failed before"))

    def test_nothing_wanted(self) -> None:
        """
        Where TLS is not wanted there is nothing to tell; nor of connections that did not come about.
        """
        self.assertEqual(self.send(self.telling("[global]\ntls = 'no'\n")), [])
        world = self.telling(TLS)
        world.network.refuse(self.mx.address)
        self.assertEqual(self.send(world), [])

    def test_operator(self) -> None:
        """
        Where an operator says where mail goes, and for reports themselves, nothing is told.
        """
        world = self.telling(TLS + f'[domain."example.com"]\nroutes = ["{HOST}"]\n')
        self.assertEqual(self.send(world), [])
        self.assertEqual(len(self.mx.ledger), 1)
        world = self.telling("[global]\ntlsrpt = true\ntls = 'ifavailable'\n")
        world.send(SENDER, ["bob@example.com"], world.message(), binding="tlsrpt")
        world.advance(5)
        self.assertEqual((self.outcomes, [each.encrypted for each in self.mx.ledger]), ([], [True]))

    def test_rolled_up(self) -> None:
        """
        A session for a set of domains is nobody's.
        """
        for more in ("rollup_by_mx_set = true\n", f'[host."{HOST}"]\nrollup_mx = true\n'):
            world = self.telling(TLS + more)
            world.resolver.mx["other.example"] = world.resolver.mx[DOMAIN]
            for domain in (DOMAIN, "other.example"):
                world.send(SENDER, [f"bob@{domain}"], world.message())
            world.advance(5)
            self.assertEqual((len(self.mx.ledger), self.outcomes), (2, []), more)


class DANETests(TellingCase):
    """
    TLSA records.
    """

    def test_success(self) -> None:
        """
        A certificate that matches is a success under the records, and nothing is said of other policies.
        """
        world = self.telling(DANE, certificate=ModelledCertificate(tlsa=(TLSAssociation(*RIGHT),)))
        self.sign(world, RIGHT)
        self.assertEqual(self.send(world), [("tlsa", "")])
        policy = self.outcomes[0].policy
        self.assertEqual((policy.domain, policy.strings), (HOST, ("3 1 1 " + "72" * 32,)))
        self.assertEqual([point["type"] for point in self.watcher.seen], [1])

    def test_mismatch(self) -> None:
        """
        One that does not is a failure of the kind that verification found.
        """
        world = self.telling(DANE)
        self.sign(world, RIGHT)
        ((kind, failure),) = self.send(world)
        self.assertEqual((kind, self.mx.ledger), ("tlsa", []))
        self.assertIn(failure, ("validation-failure", "tlsa-invalid", "certificate-not-trusted"))
        self.assertTrue(self.outcomes[0].reason)

    def test_unusable(self) -> None:
        """
        Records that nobody can use are a failure, though mail is delivered.
        """
        world = self.telling(DANE)
        self.sign(world, (1, 1, 1, b"x" * 32))
        self.assertEqual(self.send(world), [("tlsa", "tlsa-invalid")])
        self.assertEqual([each.encrypted for each in self.mx.ledger], [True])

    def test_stripped(self) -> None:
        """
        An exchanger with records and without STARTTLS.
        """
        world = self.telling(DANE, starttls=False)
        self.sign(world, RIGHT)
        self.assertEqual(self.send(world), [("tlsa", "starttls-not-supported")])

    def test_no_answer(self) -> None:
        """
        Records that cannot be had.
        """
        world = self.telling(DANE)
        self.sign(world)
        world.resolver.tlsa[tlsa_name(HOST, 25)] = LookupFailed("SERVFAIL")
        self.assertEqual(self.send(world), [("tlsa", "dnssec-invalid")])
        self.assertEqual(self.outcomes[0].policy.domain, HOST)


class STSTests(TellingCase):
    """
    MTA-STS policies.
    """

    def policed(self, mode: bytes = b"enforce", certificate: ModelledCertificate | None = None) -> World:
        """
        A world whose domain has a policy.
        """
        world = self.telling(STS, certificate=certificate)
        world.publish_policy(DOMAIN, POLICY % mode)
        return world

    def test_success(self) -> None:
        """
        A good certificate is a success, with the lines and patterns of the policy.
        """
        world = self.policed()
        self.assertEqual(self.send(world), [("sts", "")])
        policy = self.outcomes[0].policy
        self.assertEqual(policy.strings, ("version: STSv1", "mode: enforce", "mx: *.example.com", "max_age: 604800"))
        self.assertEqual((policy.domain, policy.mx_hosts), (DOMAIN, ("*.example.com",)))

    def test_bad_certificate(self) -> None:
        """
        A bad one is a failure of its kind, also where it is delivered since the policy is only tested.
        """
        for mode, delivered in ((b"enforce", 0), (b"testing", 1)):
            world = self.policed(mode, ModelledCertificate(expired=True))
            self.assertEqual(self.send(world), [("sts", "certificate-expired")])
            self.assertEqual(len(self.mx.ledger), delivered)

    def test_set_aside(self) -> None:
        """
        Of a session for mail with ``TLS-Required: No``, which no policy holds, nothing is told.
        """
        world = self.policed(b"enforce", ModelledCertificate(expired=True))
        world.inject(SENDER, [f"bob@{DOMAIN}"], world.message(TLS_Required="No"))
        world.advance(30)
        self.assertEqual((len(self.mx.ledger), self.outcomes), (1, []))
        self.assertEqual(self.send(world), [("sts", "certificate-expired")])

    def test_not_listed(self) -> None:
        """
        An exchanger that the policy does not list: told of the session where that is only
        tested, and else once for each time that nobody may be connected to.
        """
        for mode, host in ((b"testing", HOST), (b"enforce", "")):
            world = self.telling(STS)
            world.publish_policy(DOMAIN, POLICY.replace(b"*.example.com", b"other.example") % mode)
            self.assertEqual(self.send(world), [("sts", "validation-failure")])
            self.assertEqual(self.outcomes[0].mx_host, host)
            self.assertIn("does not list", self.outcomes[0].reason)

    def test_no_policy(self) -> None:
        """
        A policy that cannot be had, whose host has no good certificate, or that is none.
        """
        for error, kind in (
            (DeliveryError("nobody answers"), "sts-policy-fetch-error"),
            (DeliveryError("Error: [('SSL routines', '', 'certificate verify failed')]"), "sts-webpki-invalid"),
            (None, "sts-policy-invalid"),
        ):
            world = self.policed()
            if error is None:
                world.publish_policy(DOMAIN, b"nonsense")
            else:
                world.https.fail(policy_url(DOMAIN), error)
            self.assertEqual(self.send(world)[0], ("sts", kind))
            self.assertEqual(self.watcher.seen[0]["result-type"], kind)

    def test_report(self) -> None:
        """
        It is all in the report of the day.
        """
        world = self.policed()
        world.reload(STS + "tlsrpt = true\n")
        world.resolver.texts[f"_smtp._tls.{DOMAIN}"] = [b"v=TLSRPTv1; rua=https://r.example/"]
        world.https.serve("https://r.example/", b"")
        self.send(world, seconds=30)
        self.mx.certificate = ModelledCertificate(names=("other.example",))
        self.send(world, seconds=30)
        world.advance(86400)
        report = json.loads(gzip.decompress(world.https.posted[0][2]))
        sts = next(each for each in report["policies"] if each["policy"]["policy-type"] == "sts")
        self.assertEqual(sts["policy"]["mx-host"], ["*.example.com"])
        self.assertEqual(sts["summary"]["total-successful-session-count"], 1)
        self.assertEqual(sts["failure-details"][0]["result-type"], "certificate-host-mismatch")
