"""
Tests of :mod:`momentum_tx.delivery.tls_policies`: what mail does where domains want
TLS by DANE or MTA-STS.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from momentum_tx.delivery import mta_sts
from momentum_tx.delivery.dane import tlsa_name
from momentum_tx.delivery.mta_sts import FIRST_WAIT
from momentum_tx.delivery.tls_policies import TLSDecision
from momentum_tx.errors import DeliveryError, LookupFailed
from momentum_tx.interfaces.hooks import IOutboundSmtpTlsVerifyCallback
from momentum_tx.interfaces.services import MXKind
from momentum_tx.policy.mta_sts import policy_url
from momentum_tx.policy.session_notes import NOT_IN_POLICY, TLS_NOT_OFFERED, TLSA_UNKNOWN
from momentum_tx.policy.tls import TLSAssociation, TLSParameters
from momentum_tx.testing.dns import Fault
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.tls import ModelledCertificate

from ..worlds import SENDER, WorldCase

ONE, TWO = "one.example", "two.example"
HOST, OTHER = f"mx1.{ONE}", f"mx2.{ONE}"
BOTH = "[global]\nuse_dane = true\nuse_mta_sts = true\nhost_failure_retry = 60\n"
ENFORCE = f"version: STSv1\nmode: enforce\nmx: {HOST}\nmax_age: 604800\n".encode()
TESTING = ENFORCE.replace(b"enforce", b"testing")
NONE = ENFORCE.replace(b"enforce", b"none")
RIGHT = (3, 1, 1, b"r" * 32)
WRONG = (3, 1, 1, b"w" * 32)


class PolicyCase(WorldCase):
    """
    A domain, its exchanger, and a world that looks for what it wants.
    """

    config = BOTH

    def setUp(self) -> None:
        self.w = self.world(self.config)
        self.mx = self.exchanger()

    def exchanger(self, domain: str = ONE, preference: int = 10) -> Receiver:
        """
        An exchanger that offers STARTTLS.
        """
        mx = self.w.exchanger(domain, preference)
        mx.starttls = True
        return mx

    def sign(self, *records: tuple[int, int, int, bytes], host: str = HOST) -> None:
        """
        Sign the zone, and have these records for port 25 of *host*.
        """
        self.w.resolver.signed.add(ONE)
        self.w.resolver.tlsa[tlsa_name(host, 25)] = records

    def send(self, domain: str = ONE, count: int = 1) -> None:
        """
        Messages for *domain*, each a reception of its own.
        """
        for number in range(count):
            self.w.send(SENDER, [f"r{number}@{domain}"], self.w.message()).addErrback(lambda failure: None)
        self.w.advance(2)

    def encrypted(self, mx: Receiver | None = None) -> list[bool]:
        """
        For each message that an exchanger took whether it came by TLS.
        """
        return [each.encrypted for each in (mx or self.mx).ledger]

    def deferred(self) -> bytes:
        """
        Why the last message waits.
        """
        return self.last(self.w, "T")["note"].encode()

    def decision(self, domain: str = ONE, host: str = HOST) -> TLSDecision:
        """
        What was decided of an exchanger.
        """
        decisions = self.w.service.delivery.facilities.tls_policies.decisions(domain)
        (found,) = [each for each in decisions if each.host == host]
        return found


class DANETests(PolicyCase):
    """
    TLSA records.
    """

    def test_demanded(self) -> None:
        """
        Validated records demand TLS and a certificate that matches them, though no option
        wants any; they were looked up before the connection came about.
        """
        self.sign(RIGHT)
        self.w.tls.failing.add(HOST)
        self.w.resolver.delays[tlsa_name(HOST, 25)] = 0.01
        self.send()
        found = self.decision().demanded
        assert found is not None
        self.assertEqual((found.use, found.verify, found.origin, found.fallback), ("required", "dane", "dane", False))
        self.assertEqual([(each.usage, each.data) for each in found.tlsa], [(3, b"r" * 32)])
        self.assertEqual((found.sni, found.names), (HOST, ()))
        self.assertEqual(self.w.resolver.others_asked.count(f"TLSA {tlsa_name(HOST, 25)}"), 3)
        self.assertEqual(self.encrypted(), [])

    def test_issuer(self) -> None:
        """
        Where records name an issuer the names that will do are the exchanger's and the
        domain's (RFC 7672 section 3.2.3).
        """
        self.sign((2, 1, 1, b"i" * 32))
        self.send()
        found = self.decision().demanded
        assert found is not None
        self.assertEqual(found.names, (HOST, ONE))

    def test_certificates(self) -> None:
        """
        Who shows a certificate of the records gets mail, whatever it is called and however old
        it is; who shows another gets none, in clear or otherwise (T05, T09).
        """
        right = ModelledCertificate(("x.example",), trusted=False, expired=True, tlsa=(TLSAssociation(*RIGHT),))
        for records, certificate, goes in (
            ((RIGHT,), right, True),
            ((WRONG, RIGHT), right, True),
            ((WRONG,), right, False),
            ((RIGHT,), ModelledCertificate(), False),
        ):
            self.mx.ledger.clear()
            self.mx.certificate = certificate
            self.sign(*records)
            self.w.advance(3600)
            before = len(self.w.mainlog("T"))
            self.send()
            self.assertEqual((self.encrypted(), len(self.w.mainlog("T")) - before), ([True] * goes, not goes))
            self.w.service.flush()
            self.w.advance(60)
        self.assertEqual(self.encrypted(), [])

    def test_names_by_issuer(self) -> None:
        """
        A certificate of an issuer in the records needs a name and has to be valid (T05).
        """
        issuer = (2, 1, 1, b"i" * 32)
        self.sign(issuer)
        for names, expired, goes in (
            ((HOST,), False, True),
            ((ONE,), False, True),
            (("x.example",), False, False),
            ((HOST,), True, False),
        ):
            self.mx.ledger.clear()
            self.mx.certificate = ModelledCertificate(names, False, expired, tlsa=(TLSAssociation(*issuer),))
            self.w.advance(3600)
            self.send()
            self.assertEqual(self.encrypted()[:1], [True] * goes, names)

    def test_handshake(self) -> None:
        """
        A handshake that fails is no reason to go on in clear.
        """
        self.sign(RIGHT)
        self.w.tls.failing.add(HOST)
        self.send(count=2)
        self.w.advance(3600)
        self.assertEqual(self.encrypted(), [])

    def test_stripped(self) -> None:
        """
        An exchanger that does not offer STARTTLS gets nothing (T08).
        """
        self.sign(RIGHT)
        self.mx.starttls = False
        self.send()
        self.assertEqual((self.encrypted(), self.deferred()), ([], TLS_NOT_OFFERED))

    def test_unusable(self) -> None:
        """
        Records that nobody can use demand TLS, and nothing of the certificate (T10).
        """
        self.sign((1, 1, 1, b"x" * 32), (3, 7, 9, b"x" * 32))
        self.send()
        self.assertEqual(self.encrypted(), [True])
        found = self.decision().demanded
        assert found is not None
        self.assertEqual((found.use, found.verify), ("required", "no"))
        self.mx.starttls = False
        self.w.advance(3600)
        self.send()
        self.assertEqual((self.encrypted(), self.deferred()), ([True], TLS_NOT_OFFERED))

    def test_none(self) -> None:
        """
        Where it is certain that there are none the options decide.
        """
        self.w.resolver.signed.add(ONE)
        self.send()
        self.assertEqual(self.encrypted(), [False])
        self.assertIn("no validated TLSA records", self.decision().without_dane)

    def test_unsigned(self) -> None:
        """
        Records of a zone that is not signed mean nothing, wrong as they may be (T12); the
        exchanger's being signed is not enough if the domain is not.
        """
        self.sign(WRONG)
        self.w.resolver.signed.clear()
        self.send()
        self.assertEqual(self.encrypted(), [False])
        self.w.resolver.signed.add(HOST)
        self.w.advance(3600)
        self.send()
        self.assertEqual(self.encrypted(), [False, False])
        self.assertEqual(self.decision().without_dane, "the domain's exchangers are not validated by DNSSEC")

    def test_unknown(self) -> None:
        """
        What cannot be looked up is waited for, in clear or TLS nothing is sent; once it can
        be mail goes (T11).
        """
        for fault in (Fault.SERVFAIL, None):
            if fault is None:
                self.w.resolver.faults.clear()
                self.w.resolver.bogus.add(f"_tcp.{HOST}")
            else:
                self.w.resolver.faults[tlsa_name(HOST, 25)] = fault
            self.sign(RIGHT)
            self.w.advance(3600)
            self.send()
            self.assertEqual(self.encrypted(), [])
            self.assertIn(TLSA_UNKNOWN.decode(), [record["note"] for record in self.w.mainlog("T")][-2:])
            self.assertIsNone(self.decision().demanded)
            self.assertIn("SERVFAIL", self.decision().without_dane)
        self.w.resolver.bogus.clear()
        self.w.resolver.tlsa.clear()
        self.w.advance(3 * 3600)
        self.assertEqual(self.encrypted(), [False, False])

    def test_another_host(self) -> None:
        """
        Each exchanger counts for itself: where one cannot be used mail goes by the next,
        whatever that demands.
        """
        second = self.exchanger(preference=20)
        self.sign((1, 1, 1, b"x" * 32), host=OTHER)
        self.w.resolver.faults[tlsa_name(HOST, 25)] = Fault.SERVFAIL
        self.send()
        self.assertEqual((self.encrypted(), self.encrypted(second)), ([], [True]))

    def test_stricter_option(self) -> None:
        """
        An option that wants more than the records is obeyed.
        """
        self.w.reload(BOTH + 'tls = "required"\n')
        self.sign()
        self.mx.starttls = False
        self.send()
        self.assertEqual((self.encrypted(), self.deferred()), ([], TLS_NOT_OFFERED))

    def test_off(self) -> None:
        """
        Where it is not wanted no question is asked for it, and nothing demanded: for a
        domain, or a binding.
        """
        self.sign(RIGHT)
        for config, asked in (
            (f'{BOTH}[domain."{ONE}"]\nuse_dane = false\n', 0),
            (f"{BOTH}[binding.default]\nenable_dane = false\n", 1),
        ):
            self.w.reload(config)
            self.w.resolver.others_asked.clear()
            self.w.advance(3600)
            self.send()
            self.assertEqual(self.encrypted()[-1:], [False])
            self.assertEqual(self.w.resolver.others_asked.count(f"TLSA {tlsa_name(HOST, 25)}"), asked)

    def test_no_exchangers_by_force(self) -> None:
        """
        Who keeps MX records from us does not get the mail by the domain's own address.
        """
        own = self.w.receiver()
        self.w.resolver.mx[ONE] = LookupFailed("SERVFAIL")
        self.w.resolver.addresses[ONE] = [own.address]
        self.exchanger(TWO)
        for config, taken in ((BOTH, False), (BOTH.replace("use_dane = true", "use_dane = false"), True)):
            self.w.reload(config + "mx_failures_fallback_to_a = 1\nretry_interval = 60\nmax_retry_interval = 60\n")
            self.send(ONE)
            for _ in range(40):
                self.send(TWO)
                self.w.advance(100)
            self.assertEqual(bool(own.ledger), taken, config)

    def test_routes(self) -> None:
        """
        A host that an operator names counts as validated, its address must be.
        """
        relay = self.w.receiver()
        relay.starttls = True
        self.w.resolver.signed.add("relay.example")
        self.w.resolver.addresses["relay.example"] = [relay.address]
        self.w.resolver.tlsa[tlsa_name("relay.example", 2525)] = [(1, 1, 1, b"x" * 32)]
        self.w.resolver.tlsa[tlsa_name("relay.example", 25)] = [(1, 1, 1, b"x" * 32)]
        self.w.reload(f'{BOTH}[domain."{ONE}"]\nroutes = ["relay.example"]\n')
        self.send()
        self.assertEqual(self.encrypted(relay), [True])
        self.assertEqual(self.decision(host="relay.example").demanded.origin, "dane")  # type: ignore[union-attr]


class EnforceTests(PolicyCase):
    """
    MTA-STS policies with ``mode: enforce``.
    """

    def publish(self, text: bytes = ENFORCE, record: str = "1", domain: str = ONE) -> None:
        """
        Let a domain have a policy.
        """
        self.w.publish_policy(domain, text, record)

    def test_demanded(self) -> None:
        """
        TLS, and a certificate with the exchanger's own name, from the first message on.
        """
        self.publish()
        self.send()
        found = self.decision().demanded
        assert found is not None
        self.assertEqual(
            (found.use, found.verify, found.origin, found.fallback), ("required", "host", "mta-sts", False)
        )
        self.assertEqual((found.sni, found.names), (HOST, (HOST,)))
        self.assertEqual(self.encrypted(), [True])

    def test_stripped(self) -> None:
        """
        An exchanger that does not offer STARTTLS gets nothing (T08, T14).
        """
        self.publish()
        self.mx.starttls = False
        self.send()
        self.assertEqual((self.encrypted(), self.deferred()), ([], TLS_NOT_OFFERED))

    def test_certificates(self) -> None:
        """
        One with another name, of an unknown issuer, or that is over will not do, and none of
        this goes on in clear; by ``testing`` all of it does in TLS (T05, T14).
        """
        for bad in (
            ModelledCertificate(("x.example",)),
            ModelledCertificate((ONE,)),
            ModelledCertificate(trusted=False),
            ModelledCertificate(expired=True),
            ModelledCertificate(self_signed=True),
        ):
            self.mx.certificate = bad
            self.publish(ENFORCE)
            self.send()
            self.assertEqual(self.encrypted(), [])
            self.assertIn("451 4.7.5", "".join(record["note"] for record in self.w.mainlog("T")[-3:]))
            self.w.advance(400)
        self.publish(TESTING, "2")
        self.w.advance(400)
        self.send()
        self.assertEqual(set(self.encrypted()), {True})

    def test_handshake(self) -> None:
        """
        A handshake that fails is no reason to go on in clear; by ``testing`` it is one.
        """
        self.publish()
        self.w.tls.failing.add(HOST)
        self.send()
        self.assertEqual(self.encrypted(), [])
        self.publish(TESTING, "2")
        self.w.advance(3600 * 2)
        self.assertEqual(self.encrypted(), [False])

    def test_another_exchanger(self) -> None:
        """
        One that is not in the policy is not so much as connected to, though it is the best
        (T14).
        """
        self.publish(ENFORCE.replace(HOST.encode(), OTHER.encode()))
        second = self.exchanger(preference=20)
        self.send(count=3)
        self.assertEqual((self.mx.connections, len(self.encrypted(second))), (0, 3))

    def test_no_exchanger(self) -> None:
        """
        Where none is in the policy mail waits, and says why (T14); nobody counts that as
        failures of the hosts.
        """
        self.publish(ENFORCE.replace(HOST.encode(), b"mx.elsewhere.example"))
        self.send()
        self.assertEqual((self.mx.connections, self.deferred()), (0, NOT_IN_POLICY))

    def test_testing(self) -> None:
        """
        By ``testing`` it is tried and never insisted on (T14).
        """
        self.publish(TESTING.replace(HOST.encode(), b"mx.elsewhere.example"))
        self.send()
        self.mx.starttls = False
        self.w.advance(3600)
        self.send()
        self.assertEqual(self.encrypted(), [True, False])
        found = self.decision().demanded
        assert found is not None
        self.assertEqual((found.use, found.verify, found.fallback), ("ifavailable", "optional", True))

    def test_none(self) -> None:
        """
        ``none`` wants nothing (T14).
        """
        self.publish(NONE.replace(HOST.encode(), b"mx.elsewhere.example"))
        self.send()
        self.assertEqual(self.encrypted(), [False])

    def test_off(self) -> None:
        """
        Where it is not wanted nothing is asked, fetched or left out.
        """
        self.publish(ENFORCE.replace(HOST.encode(), b"mx.elsewhere.example"))
        self.w.reload("[global]\nuse_dane = true\n")
        self.send()
        self.assertEqual((self.encrypted(), self.w.https.asked), ([False], []))
        self.w.reload(f"{BOTH}[binding.default]\nenable_mta_sts = false\n")
        self.w.advance(3600)
        self.send()
        self.assertEqual((self.encrypted(), len(self.w.https.asked)), ([False, False], 1))

    def test_own_way(self) -> None:
        """
        Where an operator sends the mail his own way the policy does not matter.
        """
        relay = self.w.receiver()
        self.w.resolver.addresses["relay.example"] = [relay.address]
        self.publish()
        for line in ('routes = ["relay.example"]', 'gateway = "relay.example"'):
            self.w.reload(f'{BOTH}[domain."{ONE}"]\n{line}\n')
            self.send()
        self.assertEqual(self.encrypted(relay), [False, False])

    def test_implicit(self) -> None:
        """
        A domain without MX records is its own exchanger for the policy too.
        """
        own = self.w.receiver()
        own.starttls = True
        self.w.resolver.mx[TWO] = MXKind.NONE
        self.w.resolver.addresses[TWO] = [own.address]
        self.publish(ENFORCE.replace(HOST.encode(), TWO.encode()), domain=TWO)
        self.send(TWO)
        self.assertEqual(self.encrypted(own), [True])
        self.publish(ENFORCE, "2", TWO)
        self.w.advance(3600)
        self.send(TWO)
        self.assertEqual((self.encrypted(own), self.deferred()), ([True], NOT_IN_POLICY))

    def test_hanging(self) -> None:
        """
        A policy host that hangs keeps mail for ten seconds, for there may be no policy;
        other domains do not notice (T15).
        """
        other = self.exchanger(TWO)
        self.publish()
        self.w.https.held = True
        self.send()
        self.send(TWO)
        self.assertEqual((self.encrypted(), self.encrypted(other)), ([], [False]))
        self.w.advance(FIRST_WAIT)
        self.assertEqual(self.encrypted(), [False])
        self.w.https.release()
        self.send()
        self.assertEqual(self.encrypted(), [False, True])

    def test_at_once(self) -> None:
        """
        The policy is looked for while the exchangers are, not after them.
        """
        self.publish()
        self.w.resolver.delays[ONE] = 5.0
        self.w.https.held = True
        self.send()
        self.assertEqual(self.w.https.waiting, [policy_url(ONE)])
        self.w.advance(4)
        self.assertEqual(self.encrypted(), [])
        self.w.https.release()
        self.w.advance(2)
        self.assertEqual(self.encrypted(), [True])

    def test_sessions_end(self) -> None:
        """
        A connection from before the policy was known serves no mail after.
        """
        self.w.reload(BOTH + "idle_timeout = 300\n")
        self.publish()
        self.w.https.held = True
        self.send()
        self.w.advance(FIRST_WAIT)
        self.w.https.release()
        self.send(count=2)
        self.assertEqual(self.encrypted(), [False, True, True])

    def test_switched_on(self) -> None:
        """
        When an operator begins to ask for policies, mail waits for those of domains that had
        mail before, and connections from then end.
        """
        self.publish()
        quiet = "[global]\nidle_timeout = 300\n"
        self.w.reload(quiet)
        self.send()
        self.w.reload(quiet + "use_mta_sts = true\n")
        self.send()
        self.assertEqual(self.encrypted(), [False, True])
        connections = self.mx.connections
        self.w.reload(quiet + "use_mta_sts = true\nretry_interval = 600\n")
        self.send()
        self.assertEqual((self.encrypted(), self.mx.connections), ([False, True, True], connections))

    def test_old_connections(self) -> None:
        """
        A connection is used for an hour at most, so that a domain that has always mail is
        looked at now and then.
        """
        for config, most in ((f"{BOTH}idle_timeout = 600\n", 3700.0), ("[global]\nidle_timeout = 600\n", 1e9)):
            self.w.reload(config)
            self.w.advance(700)
            self.mx.ledger.clear()
            for _ in range(80):
                self.send()
                self.w.advance(98)
            spans: dict[int, list[float]] = {}
            for taken in self.mx.ledger:
                spans.setdefault(taken.connection, []).append(taken.at)
            self.assertEqual(len(self.mx.ledger), 80)
            longest = max(times[-1] - times[0] for times in spans.values())
            self.assertEqual((longest > 3000, longest < most, len(spans) > 1), (True, True, most < 1e9), spans)

    def test_changed(self) -> None:
        """
        What waits because of a policy goes once there is another: it is looked for after
        each failure, though its owner has forgotten to change the id (T16).
        """
        self.publish()
        self.mx.starttls = False
        self.send()
        self.assertEqual(self.encrypted(), [])
        self.w.advance(400)
        self.publish(NONE)
        self.w.advance(3600 * 2)
        self.assertEqual(self.encrypted(), [False])

    def test_before_it_fails_for_ever(self) -> None:
        """
        Mail whose last attempt fails of a policy is tried once more if a newer one is being
        fetched, and fails otherwise (RFC 8461 section 5.1).
        """
        self.w.reload(BOTH + "max_retries = 0\n")
        self.publish()
        self.send()
        self.assertEqual(self.encrypted(), [True])
        self.mx.starttls = False
        self.w.advance(400)
        self.publish(NONE)
        self.w.https.held = True
        self.send()
        self.assertEqual(self.kinds(self.w)[-1], "T")
        self.w.https.release()
        self.w.advance(200)
        self.assertEqual(self.encrypted(), [True, False])
        self.publish(ENFORCE, "2")
        self.w.advance(400)
        self.send()
        self.w.advance(400)
        self.w.https.fail(policy_url(ONE), DeliveryError("down"))
        self.w.https.held = True
        self.send()
        self.w.https.release()
        self.w.advance(600)
        self.assertEqual(self.kinds(self.w)[-1], "P")

    def test_forgotten(self) -> None:
        """
        A policy that has made room for those of other domains is known again before any mail goes, though
        the exchangers are known still.
        """
        self.patch(mta_sts, "MOST_DOMAINS", 2)
        self.w.publish_policy(ONE, ENFORCE, "1")
        self.send()
        self.assertEqual(self.encrypted(), [True])
        self.mx.starttls = False
        for other in ("a.example", "b.example"):
            self.exchanger(other)
            self.send(other)
        self.w.advance(120)
        sts = self.w.service.delivery.facilities.sts
        assert sts is not None
        self.assertFalse(sts.looked(ONE))
        self.send()
        self.assertEqual((self.encrypted(), self.deferred()), ([True], TLS_NOT_OFFERED))

    def test_restart(self) -> None:
        """
        The policy outlives the process, also one that dies, and a loss of power (T16).
        """
        self.publish()
        self.send()
        self.w.resolver.texts.clear()
        self.mx.starttls = False
        for end in (self.w.crash, self.w.power_cut):
            end()
            self.send()
            self.assertEqual((self.encrypted(), self.deferred()), ([True], TLS_NOT_OFFERED))

    def test_and_dane(self) -> None:
        """
        With TLSA records those alone say who the peer is, while the policy still leaves
        exchangers out (RFC 8461 section 2).
        """
        second = self.exchanger(preference=20)
        self.sign((2, 1, 1, b"i" * 32), host=OTHER)
        self.publish(ENFORCE.replace(HOST.encode(), OTHER.encode()))
        self.send()
        self.assertEqual(self.mx.connections, 0)
        found = self.decision(host=OTHER).demanded
        assert found is not None
        self.assertEqual((found.verify, found.origin), ("dane", "dane"))
        self.sign((1, 1, 1, b"i" * 32), host=OTHER)
        self.w.advance(3600)
        self.send()
        found = self.decision(host=OTHER).demanded
        assert found is not None
        self.assertEqual((found.use, found.verify, found.names), ("required", "host", (OTHER,)))
        self.assertGreater(second.connections, 1)


class SharedQueueTests(PolicyCase):
    """
    Domains with the same exchangers, of which one has a policy.
    """

    config = BOTH + "rollup_by_mx_set = true\n"

    def setUp(self) -> None:
        super().setUp()
        self.w.resolver.mx[TWO] = [(10, HOST)]
        self.shared = ENFORCE

    def queues(self) -> list[str]:
        """
        The routing domains of what was delivered.
        """
        return [record["domain"] for record in self.w.mainlog("D")]

    def test_alone(self) -> None:
        """
        A domain with a policy keeps its own queue; the others share, and go as they like.
        """
        self.w.publish_policy(TWO, ENFORCE)
        self.send(ONE)
        self.send(TWO)
        self.assertEqual(self.queues()[1], TWO)
        self.assertNotEqual(self.queues()[0], ONE)
        self.assertEqual(self.encrypted(), [False, True])

    def test_found_later(self) -> None:
        """
        What is in the shared queue when a policy becomes known goes by the policy, and mail
        of the others beside it as before, also where one message has recipients of both.
        """
        self.w.resolver.ttl = 10**6
        self.w.publish_policy(TWO, ENFORCE)
        self.w.https.held = True
        self.send(ONE)
        self.send(TWO)
        self.w.advance(FIRST_WAIT)
        self.assertEqual(self.encrypted(), [False, False])
        self.mx.down()
        both = [f"a@{ONE}", f"b@{TWO}"]
        self.w.send(SENDER, both, self.w.message()).addErrback(lambda failure: None)
        for domain in (ONE, TWO, TWO, ONE):
            self.send(domain)
        self.w.https.release()
        self.mx.up()
        self.w.advance(4 * 3600)
        taken = sorted(
            (path.rpartition(b"@")[2].decode(), each.encrypted)
            for each in self.mx.ledger[2:]
            for path in each.recipients
        )
        self.assertEqual(taken, [(ONE, False)] * 3 + [(TWO, True)] * 3)
        self.assertEqual(self.queues().count(TWO), 3)

    def test_not_blocked(self) -> None:
        """
        A policy that cannot be fulfilled keeps nobody else's mail (the mistake of another
        server).
        """
        self.w.publish_policy(TWO, ENFORCE.replace(HOST.encode(), b"mx.elsewhere.example"))
        self.send(TWO)
        self.send(ONE, count=3)
        self.assertEqual(self.encrypted(), [False, False, False])
        self.assertEqual(self.deferred(), NOT_IN_POLICY)

    def test_one_reception(self) -> None:
        """
        Recipients of one message, of whom some have a policy, are parted.
        """
        self.w.publish_policy(TWO, ENFORCE)
        self.w.send(SENDER, [f"a@{ONE}", f"b@{TWO}", f"c@{ONE}"], self.w.message()).addErrback(lambda failure: None)
        self.w.advance(2)
        self.assertEqual(
            sorted((each.encrypted, each.recipients) for each in self.mx.ledger),
            [(False, (b"a@one.example", b"c@one.example")), (True, (b"b@two.example",))],
        )

    def test_dane(self) -> None:
        """
        A domain whose exchangers are validated keeps its own queue, so that what they demand
        is not forgotten.
        """
        self.sign((1, 1, 1, b"x" * 32))
        self.send(ONE)
        self.send(TWO)
        self.assertEqual(self.queues()[0], ONE)
        self.assertNotEqual(self.queues()[1], TWO)
        self.assertEqual(self.encrypted(), [True, False])


class SharedConnectionTests(PolicyCase):
    """
    Domains that might go on with each other's connections.
    """

    config = BOTH + "idle_timeout = 300\n"

    def setUp(self) -> None:
        super().setUp()
        self.w.resolver.mx[TWO] = [(10, HOST)]

    def test_without(self) -> None:
        """
        Without policies they do.
        """
        self.send(ONE)
        self.send(TWO)
        self.assertEqual((len(self.mx.ledger), self.mx.connections), (2, 1))

    def test_policy(self) -> None:
        """
        A connection that was opened without the demands of a policy is none for mail that
        has them, nor the other way round.
        """
        for with_policy in (ONE, TWO):
            self.w.publish_policy(with_policy, ENFORCE)
            for domain in (ONE, TWO):
                self.send(domain)
            self.w.resolver.texts.clear()
            self.w.advance(8 * 86400)
            self.assertEqual(self.encrypted()[-2:], [with_policy == ONE, with_policy == TWO])

    def test_hook(self) -> None:
        """
        Nor one that a hook has let pass for the one domain.
        """

        @implementer(IOutboundSmtpTlsVerifyCallback)
        class Lenient:
            def outbound_smtp_tls_verify_callback(
                self, handle: Any, parameters: TLSParameters, facts: Any, verified: bool
            ) -> bool | None:
                return True if handle.dr.domain == ONE else None

        self.w = self.world(self.config, providers=[Lenient()])
        self.mx = self.exchanger()
        self.w.resolver.mx[TWO] = [(10, HOST)]
        self.mx.certificate = ModelledCertificate(("stranger.example",))
        for domain in (ONE, TWO):
            self.w.publish_policy(domain, ENFORCE)
            self.send(domain)
        self.assertEqual([each.recipients for each in self.mx.ledger], [(b"r0@one.example",)])

    def test_dane_alike(self) -> None:
        """
        Where both demand the same they do share.
        """
        self.sign((1, 1, 1, b"x" * 32))
        self.w.resolver.signed.add(TWO)
        self.send(ONE)
        self.send(TWO)
        self.assertEqual((self.encrypted(), self.mx.connections), ([True, True], 1))
