"""
Tests of :mod:`momentum_tx.operate.tls_probe`.
"""

from __future__ import annotations

from typing import Any

from momentum_tx.operate.tls_probe import PATIENCE, ProbeFailed, TLSProbe
from momentum_tx.policy.tls import TLSParameters
from momentum_tx.testing.tls import ModelledCertificate

from ..worlds import WorldCase


class ProbeTests(WorldCase):
    """
    Exchangers that are looked at.
    """

    def setUp(self) -> None:
        self.w = self.world()
        self.mx = self.w.receiver()
        self.mx.starttls = True
        self.facilities = self.w.service.delivery.facilities

    def look(self, use: str = "required", verify: str = "host", address: str = "") -> Any:
        """
        The look, under way.
        """
        parameters = TLSParameters(use=use, verify=verify, names=("mx.example.com",), sni="mx.example.com")
        probe = TLSProbe(self.facilities, self.facilities.config.path(0, "example.com"), parameters)
        return probe.look(address or self.mx.address, 25, "", self.facilities.dialer)

    def failure(self, looking: Any, seconds: float = 5) -> str:
        """
        Why a look came to nothing.
        """
        self.w.advance(seconds)
        failed = self.failureResultOf(looking, ProbeFailed)
        self.assertEqual(self.mx.open, [])
        return str(failed.value)

    def test_shown(self) -> None:
        """
        What it shows is told, and judged by what is wanted; no mail is begun, and nothing
        stays open.
        """
        for certificate, verified, problem in (
            (ModelledCertificate(), "host", ""),
            (ModelledCertificate(names=("other.example",)), "ca", "not for mx.example.com"),
        ):
            self.mx.certificate = certificate
            looking = self.look()
            self.w.advance(5)
            facts = self.successResultOf(looking)
            self.assertEqual(facts.verified, verified)
            self.assertIn(problem, facts.problem)
            self.assertEqual(self.mx.open, [])

    def test_not_wanted(self) -> None:
        """
        Also where no TLS is wanted it is seen what would be shown.
        """
        looking = self.look("no", "no")
        self.w.advance(5)
        self.assertEqual(self.successResultOf(looking).version, "TLSv1.3")

    def test_implicit(self) -> None:
        """
        Where TLS is wanted from the first octet the handshake comes before anything else.
        """
        self.mx.implicit_tls = True
        looking = self.look("implicit")
        self.w.advance(5)
        self.assertEqual(self.successResultOf(looking).verified, "host")
        self.assertEqual(self.mx.open, [])
        self.w.tls.failing.add("mx.example.com")
        self.assertIn("TLS negotiation failed", self.failure(self.look("implicit")))

    def test_no_tls(self) -> None:
        """
        One that does not offer STARTTLS, or refuses it, says so in the end.
        """
        self.mx.starttls = False
        self.assertIn("STARTTLS required but not advertised", self.failure(self.look()))
        self.mx.starttls = True
        self.mx.on("STARTTLS", b"454 4.7.0 not now")
        self.assertIn("454 4.7.0 not now", self.failure(self.look()))

    def test_handshake(self) -> None:
        """
        A handshake that fails is no success.
        """
        self.w.tls.failing.add("mx.example.com")
        self.assertIn("TLS negotiation failed", self.failure(self.look()))

    def test_refused(self) -> None:
        """
        Nobody there, or nobody who wants us.
        """
        self.mx.on("connect", b"554 5.7.1 go away", 1)
        self.assertIn("554 5.7.1 go away", self.failure(self.look()))
        self.mx.on("connect", b"421 4.3.2 later")
        self.assertIn("421", self.failure(self.look()))
        self.mx.down()
        self.assertIn("cannot connect", self.failure(self.look()))

    def test_silence(self) -> None:
        """
        One that keeps silent costs a minute.
        """
        self.w.tls.silent.add("mx.example.com")
        looking = self.look()
        self.w.advance(PATIENCE / 2)
        self.assertNoResult(looking)
        self.assertTrue(self.failure(looking, PATIENCE))

    def test_cancelled(self) -> None:
        """
        Whoever loses interest leaves nothing open.
        """
        for seconds in (0, 5):
            self.w.tls.silent.add("mx.example.com")
            looking = self.look()
            looking.addErrback(lambda failure: None)
            self.w.advance(seconds)
            looking.cancel()
            self.w.advance(1)
            self.assertEqual(self.mx.open, [])
