"""
Tests for :mod:`momentum_tx.net.dane`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.interfaces.services import TLSARecord
from momentum_tx.net.dane import MAX_CHAIN, presented_names, problem_of, strongest, usable
from momentum_tx.policy.tls import EXPIRED, HOST_MISMATCH, NOT_TRUSTED, TLSA_INVALID

from .pki import NOW, Identity, issue

NAMES = ("mx.example.com", "example.com")
ROOT = issue("Root", authority=True)
MIDDLE = issue("Middle", ROOT, authority=True)
SERVER = issue("mx.example.com", MIDDLE)
OTHER = issue("mx.example.com")

UNMATCHED = "none of 1 TLSA records matches what the server has shown"


def record(usage: int, selector: int, matching: int, of: Identity) -> TLSARecord:
    """
    The TLSA record of an identity.
    """
    data = of.spki if selector else of.der
    digest = {0: lambda data: data, 1: lambda data: hashlib.sha256(data).digest()}
    return TLSARecord(usage, selector, matching, digest.get(matching, lambda it: hashlib.sha512(it).digest())(data))


class DaneCase(SynchronousTestCase):
    """
    What a server shows, and what is said of it.
    """

    def kind(
        self,
        records: Sequence[TLSARecord],
        chain: Sequence[x509.Certificate] = SERVER.chain,
        names: Sequence[str] = NAMES,
        now: Any = NOW,
    ) -> str:
        """
        The kind of the problem; empty if there is none.
        """
        self.assertEqual(usable(records), tuple(records))
        problem = problem_of(chain, records, names, now)
        if problem is None:
            return ""
        self.assertTrue(problem[1])
        return problem[0]


class EndEntityTests(DaneCase):
    """
    Usage 3: the server's own certificate or key (RFC 7672 section 3.1.1).
    """

    def test_every_form(self) -> None:
        """
        Certificate and key are known by themselves and by both digests.
        """
        for selector in (0, 1):
            for matching in (0, 1, 2):
                self.assertEqual(self.kind([record(3, selector, matching, SERVER)]), "", (selector, matching))
                self.assertEqual(self.kind([record(3, selector, matching, OTHER)]), TLSA_INVALID)

    def test_names_and_dates(self) -> None:
        """
        What it is called, how old it is, and who has signed it do not count (T05).
        """
        old = issue("elsewhere.example", days=(-300, -200))
        self.assertEqual(self.kind([record(3, 1, 1, old)], old.chain), "")

    def test_rolled(self) -> None:
        """
        While keys change one record that matches is enough (T09).
        """
        self.assertEqual(self.kind([record(3, 1, 1, OTHER), record(3, 1, 1, SERVER)]), "")

    def test_only_its_own(self) -> None:
        """
        A record for the certificate of an issuer, said to be the server's, is none.
        """
        self.assertEqual(self.kind([record(3, 1, 1, MIDDLE)]), TLSA_INVALID)

    def test_nothing_shown(self) -> None:
        """
        A server without a certificate is nobody.
        """
        self.assertEqual(self.kind([record(3, 1, 1, SERVER)], []), NOT_TRUSTED)


class TrustAnchorTests(DaneCase):
    """
    Usage 2: an issuer (RFC 7672 section 3.1.2).
    """

    def test_every_form(self) -> None:
        """
        Root or intermediate, by certificate, key or digest.
        """
        for anchor in (ROOT, MIDDLE):
            for selector in (0, 1):
                for matching in (0, 1, 2):
                    self.assertEqual(self.kind([record(2, selector, matching, anchor)]), "", (selector, matching))

    def test_partial(self) -> None:
        """
        An intermediate is enough though nobody shows what is above it.
        """
        self.assertEqual(self.kind([record(2, 0, 1, MIDDLE)], [SERVER.certificate, MIDDLE.certificate]), "")

    def test_whole_not_shown(self) -> None:
        """
        What a record has whole need not be shown; a digest is of nothing then.
        """
        shown = [SERVER.certificate]
        self.assertEqual(self.kind([record(2, 0, 0, MIDDLE)], shown), "")
        self.assertEqual(self.kind([record(2, 1, 0, MIDDLE)], shown), "")
        self.assertEqual(self.kind([record(2, 0, 1, MIDDLE)], shown), TLSA_INVALID)

    def test_bare_keys(self) -> None:
        """
        A whole key is an anchor for what it has signed, of whatever kind it is.
        """
        keys = (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate())
        for key in keys:
            root = issue("Root", authority=True, key=key)
            server = issue("mx.example.com", root)
            self.assertEqual(self.kind([record(2, 1, 0, root)], [server.certificate]), "")
            self.assertEqual(self.kind([record(2, 1, 0, root)], [SERVER.certificate]), TLSA_INVALID)

    def test_name(self) -> None:
        """
        The certificate has to carry one of the names (T05).
        """
        anchor = [record(2, 1, 1, ROOT)]
        for alternatives, kind in (
            (["other.example", "example.com"], ""),
            (["*.example.com"], ""),
            (["other.example"], HOST_MISMATCH),
        ):
            self.assertEqual(self.kind(anchor, issue("mx.example.com", MIDDLE, alternatives).chain), kind)

    def test_common_name(self) -> None:
        """
        The common name counts where there is no other.
        """
        anchor = [record(2, 1, 1, ROOT)]
        self.assertEqual(self.kind(anchor, issue("mx.example.com", MIDDLE, []).chain), "")
        self.assertEqual(self.kind(anchor, issue("nobody.example", MIDDLE, []).chain), HOST_MISMATCH)

    def test_dates(self) -> None:
        """
        One that is over, or not yet valid, will not do, of the server or of an issuer (T05).
        """
        anchor = [record(2, 1, 1, ROOT)]
        early = NOW - timedelta(days=60)
        self.assertEqual(self.kind(anchor, issue("mx.example.com", MIDDLE, days=(-30, -1)).chain), EXPIRED)
        self.assertEqual(self.kind(anchor, now=early), EXPIRED)
        self.assertEqual(self.kind(anchor, now=early.replace(tzinfo=None)), EXPIRED)
        old = issue("Middle", ROOT, authority=True, days=(-30, -1))
        self.assertEqual(self.kind(anchor, issue("mx.example.com", old).chain), EXPIRED)

    def test_zone(self) -> None:
        """
        The same moment told in another time zone is the same.
        """
        last = issue("mx.example.com", MIDDLE, days=(-1, 1))
        moment = (NOW + timedelta(hours=23)).astimezone(timezone(timedelta(hours=9)))
        self.assertEqual(self.kind([record(2, 1, 1, ROOT)], last.chain, now=moment), "")

    def test_not_signed(self) -> None:
        """
        To show an anchor is not to be signed by it.
        """
        forged = [OTHER.certificate, MIDDLE.certificate, ROOT.certificate]
        self.assertEqual(self.kind([record(2, 1, 1, ROOT)], forged), NOT_TRUSTED)
        namesake = issue("Middle", authority=True)
        forged = [issue("mx.example.com", namesake).certificate, MIDDLE.certificate]
        self.assertEqual(self.kind([record(2, 1, 1, MIDDLE)], forged), NOT_TRUSTED)

    def test_no_authority(self) -> None:
        """
        Who may not sign others is no issuer.
        """
        impostor = issue("mx2.example.com", MIDDLE)
        forged = issue("mx.example.com", impostor)
        self.assertEqual(self.kind([record(2, 1, 1, ROOT)], forged.chain), NOT_TRUSTED)

    def test_the_server_is_no_issuer(self) -> None:
        """
        Its own certificate is no anchor, though it is self-signed.
        """
        self.assertEqual(self.kind([record(2, 1, 1, OTHER)], OTHER.chain), TLSA_INVALID)

    def test_either(self) -> None:
        """
        Beside an anchor that does not match, its own record does.
        """
        self.assertEqual(self.kind([record(2, 1, 1, OTHER), record(3, 1, 1, SERVER)]), "")

    def test_long(self) -> None:
        """
        Of a chain without end no more than a few certificates are looked at.
        """
        chain = [SERVER.certificate] + [OTHER.certificate] * MAX_CHAIN + list(SERVER.issuers)
        self.assertEqual(self.kind([record(2, 1, 1, ROOT)], chain), TLSA_INVALID)


class UsableTests(SynchronousTestCase):
    """
    Records that mean something to a mail client.
    """

    def test_unusable(self) -> None:
        """
        Usages 0 and 1, unknown numbers, wrong lengths and rubbish are left out (T10).
        """
        digest = b"x" * 32
        bad = [
            TLSARecord(0, 1, 1, digest),
            TLSARecord(1, 1, 1, digest),
            TLSARecord(4, 1, 1, digest),
            TLSARecord(255, 1, 1, digest),
            TLSARecord(3, 2, 1, digest),
            TLSARecord(3, 1, 3, digest),
            TLSARecord(3, 7, 9, digest),
            TLSARecord(3, 1, 1, digest[1:]),
            TLSARecord(3, 1, 2, digest),
            TLSARecord(2, 0, 0, b"no certificate"),
            TLSARecord(3, 1, 0, b"no key"),
            TLSARecord(3, 1, 0, b""),
            TLSARecord(3, 0, 0, SERVER.spki),
        ]
        good = record(3, 1, 1, SERVER)
        self.assertEqual(usable([*bad, good, good]), (good,))

    def test_half_readable(self) -> None:
        """
        A certificate in a record that only one of our two libraries can read is of no use,
        and no reason to break: another record beside it counts, and it alone is none.
        """
        spoilt = ROOT.der.replace(b"Root", b"\xff\xfeot")
        x509.load_der_x509_certificate(spoilt)
        half, good = TLSARecord(2, 0, 0, spoilt), record(2, 0, 0, ROOT)
        self.assertEqual(usable([half, good]), (good,))
        # Whoever asks with it all the same gets a verdict.
        self.assertEqual(problem_of(SERVER.chain, [half], NAMES, NOW), (TLSA_INVALID, UNMATCHED))
        self.assertIsNone(problem_of(SERVER.chain, [half, good], NAMES, NOW))

    def test_half_readable_chain(self) -> None:
        """
        Nor is such a certificate in what the server has shown.
        """
        spoilt = x509.load_der_x509_certificate(ROOT.der.replace(b"Root", b"\xff\xfeot"))
        problem = problem_of((*SERVER.chain, spoilt), [record(2, 0, 0, ROOT)], NAMES, NOW)
        self.assertEqual(problem and problem[0], NOT_TRUSTED)

    def test_strongest(self) -> None:
        """
        A weaker digest does not count beside a stronger one for the same use
        (RFC 7671 section 9); what is written whole always does.
        """
        weak, strong, whole = (record(3, 1, matching, SERVER) for matching in (1, 2, 0))
        other = record(3, 0, 1, SERVER)
        anchor = record(2, 1, 1, ROOT)
        self.assertEqual(strongest([weak, strong, whole, other, anchor]), (strong, whole, other, anchor))
        self.assertEqual(strongest([weak, whole]), (weak, whole))
        problem = problem_of(SERVER.chain, [weak, record(3, 1, 2, OTHER)], NAMES, NOW)
        self.assertEqual(problem and problem[0], TLSA_INVALID)

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(
        st.lists(
            st.builds(
                TLSARecord,
                st.integers(0, 255) | st.sampled_from([2, 3]),
                st.integers(0, 255) | st.sampled_from([0, 1]),
                st.integers(0, 255) | st.sampled_from([0, 1, 2]),
                st.binary(max_size=80) | st.binary(min_size=32, max_size=32) | st.sampled_from([SERVER.der, ROOT.spki]),
            ),
            max_size=6,
        )
    )
    def test_any(self, records: list[TLSARecord]) -> None:
        """
        Whatever stands in DNS, nothing worse happens than a verdict, and no rubbish lets
        another server pass.
        """
        found = usable(records)
        self.assertTrue(set(found) <= set(records))
        for each in found:
            self.assertIn((each.usage in (2, 3), each.selector in (0, 1), each.matching in (0, 1, 2)), {(True,) * 3})
        if found:
            self.assertIsNotNone(problem_of(OTHER.chain, found, NAMES, NOW))


class PresentedNamesTests(SynchronousTestCase):
    """
    What a certificate calls its server.
    """

    def test_names(self) -> None:
        """
        Alternative names replace the common name.
        """
        self.assertEqual(
            presented_names(issue("cn.example", None, ["a.example", "*.b.example"]).certificate)[1:], ("*.b.example",)
        )
        self.assertEqual(presented_names(issue("cn.example", None, []).certificate), ("cn.example",))
