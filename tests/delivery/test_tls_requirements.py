"""
Tests for :mod:`momentum_tx.delivery.tls_requirements`, and how a session waits for them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from momentum_tx.delivery.tls_requirements import TLSRequirements, as_set
from momentum_tx.errors import TLSUndecided
from momentum_tx.policy.tls import TLSParameters
from momentum_tx.settings import PathSettings

from ..worlds import WorldCase


class SettingsTests(WorldCase):
    """
    What the options want.
    """

    def wanted(self, config: str, host: str = "mx1.example.com") -> TLSParameters:
        """
        Of a connection to *host* for mail of ``example.com``.
        """
        world = self.world(config)
        world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        parameters = world.service._facilities.tls_requirements.parameters(
            world.domain("example.com"), 0, host, "198.51.100.1", None
        )
        assert isinstance(parameters, TLSParameters)
        return parameters

    def test_default(self) -> None:
        """
        Without options nothing is wanted; material is there for whoever wants more than they do.
        """
        found = self.wanted("")
        self.assertEqual((found.use, found.verify), ("no", "no"))
        self.assertEqual(as_set(PathSettings(tls_ca="/ca"), "mx", "mx").ca, "/ca")

    def test_names(self) -> None:
        """
        A certificate may be the exchanger's or the domain's; the exchanger is told
        which server is meant, by its name, if it has one.
        """
        found = self.wanted('[domain."example.com"]\ntls = "required"\n')
        expected = TLSParameters(
            use="required",
            names=("mx1.example.com", "example.com"),
            sni="mx1.example.com",
            ciphers="DEFAULT",
            protocols="+ALL",
        )
        self.assertEqual(found, expected)
        found = self.wanted('[global]\ntls = "ifavailable"\n', "198.51.100.1")
        self.assertEqual((found.use, found.sni), ("ifavailable", ""))

    def test_shared_queue(self) -> None:
        """
        Where domains share a queue only the exchanger's name is good for all of them.
        """
        world = self.world('[global]\ntls = "required"\ntls_verify = "host"\n')
        world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        dr, requirements = world.domain("example.com"), world.service.delivery.facilities.tls_requirements
        self.assertEqual(requirements.wished(dr, 0, "mx", None).names, ("mx", "example.com"))
        dr.rolled = True
        self.assertEqual(requirements.wished(dr, 0, "mx", None).names, ("mx",))

    def test_every_option(self) -> None:
        """
        Every option has its place.
        """
        found = self.wanted(
            '[global]\ntls = "ifavailable"\ntls_verify = "optional"\ntls_ifavailable_fallback = false\n'
            'tls_ciphers = "HIGH"\ntlsv13_ciphersuites = "TLS_AES_128_GCM_SHA256"\ntls_protocols = "+TLSv1.3"\n'
        )
        expected = TLSParameters(
            use="ifavailable",
            verify="optional",
            names=("mx1.example.com", "example.com"),
            sni="mx1.example.com",
            fallback=False,
            ciphers="HIGH",
            tlsv13_ciphersuites="TLS_AES_128_GCM_SHA256",
            protocols="+TLSv1.3",
        )
        self.assertEqual(found, expected)
        files = PathSettings(tls="required", tls_ca="/ca", tls_certificate="/own", tls_key="/key")
        found = as_set(files, "mx", "mx")
        self.assertEqual((found.ca, found.certificate, found.key, found.names), ("/ca", "/own", "/key", ("mx",)))


class WaitingTests(WorldCase):
    """
    A decision that takes a while.
    """

    def setUp(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answers: list[Deferred[TLSParameters]] = []

        def parameters(
            this: TLSRequirements, dr: Any, slot: int, host: str, address: str, message: Any, wished: Any
        ) -> Deferred[TLSParameters]:
            self.asked.append((dr.domain, slot, host, address, message.recipient))
            self.answers.append(Deferred())
            return self.answers[-1]

        self.patch(TLSRequirements, "parameters", parameters)
        self.world_ = world = self.world()
        self.mx = world.exchanger("example.com")
        self.mx.starttls = True
        self.accept(world)
        world.advance(1)

    def test_decided(self) -> None:
        """
        The session waits however long it takes, for it is not the peer that is slow;
        then it does what was decided.
        """
        world = self.world_
        self.assertEqual(self.asked, [("example.com", 0, "mx1.example.com", self.mx.address, b"bob@example.com")])
        world.advance(400)
        self.assertEqual(self.mx.ledger, [])
        self.answers[0].callback(TLSParameters(use="required", sni="base.example"))
        world.advance(1)
        self.assertEqual([taken.encrypted for taken in self.mx.ledger], [True])
        self.assertEqual(world.tls.upgrades, [("base.example", self.mx.address, "required")])

    def test_undecided(self) -> None:
        """
        Where nothing can be decided the session ends with the reason, and in order.
        """
        self.answers[0].errback(TLSUndecided(b"451 4.7.5 [internal] TLSA lookup failed"))
        self.world_.advance(1)
        self.assertEqual(self.mx.ledger, [])
        self.assertEqual(self.last(self.world_, "T")["note"], "451 4.7.5 [internal] TLSA lookup failed")
        self.assertEqual([line[:4] for _, line in self.mx.commands], [b"EHLO", b"QUIT"])

    def test_broken(self) -> None:
        """
        A fault of ours keeps mail waiting as well, and is logged.
        """
        self.answers[0].errback(KeyError("oops"))
        self.world_.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        note = self.last(self.world_, "T")["note"]
        self.assertEqual(note, "451 4.7.5 [internal] tls parameters cannot be determined")

    def test_peer_left(self) -> None:
        """
        A peer that does not wait for it has closed a session that sent nothing; what
        is decided afterwards is for nobody.
        """
        self.mx.down()
        self.world_.advance(1)
        self.answers[0].callback(TLSParameters(use="required"))
        self.world_.advance(1)
        self.assertEqual(self.last(self.world_, "T")["note"], "451 4.4.2 [internal] connection closed by remote host")
        self.assertEqual((self.world_.tls.upgrades, self.answers[0].result), ([], None))

    def test_stopped(self) -> None:
        """
        A service that stops does not wait for it either.
        """
        self.world_.stop()
        self.answers[0].callback(TLSParameters(use="required"))
        self.assertEqual((self.world_.tls.upgrades, self.answers[0].result), ([], None))
