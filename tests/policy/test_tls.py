"""
Tests for :mod:`momentum_tx.policy.tls`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.tls import (
    CLEAR,
    TLSAssociation,
    TLSParameters,
    acceptable,
    is_address,
    same_session,
    spoken,
    stricter,
    told,
    versions,
)

RECORD = TLSAssociation(3, 1, 1, b"x" * 32)


@dataclass
class Facts:
    """
    As much of a session as is looked at.
    """

    name: str = ""
    verified: str = ""
    problem_kind: str = ""
    problem: str = ""
    version: str = ""
    cipher: str = ""
    group: str = ""


class ParametersTests(SynchronousTestCase):
    """
    What can be wanted.
    """

    def test_words(self) -> None:
        """
        Values that mean nothing are refused when they are made, a hook's too.
        """
        wrong: list[dict[str, Any]] = [{"use": "maybe"}, {"verify": "yes"}, {"use": "required", "verify": "dane"}]
        for each in wrong:
            self.assertRaises(ValueError, TLSParameters, **each)
        TLSParameters(use="required", verify="dane", tlsa=(RECORD,))

    def test_mandatory(self) -> None:
        """
        With two of the four uses mail waits rather than go in clear.
        """
        found = {use: TLSParameters(use=use).mandatory for use in ("no", "ifavailable", "required", "implicit")}
        self.assertEqual(found, {"no": False, "ifavailable": False, "required": True, "implicit": True})

    def test_secret(self) -> None:
        """
        A key that was given as text is in no log.
        """
        self.assertNotIn("hush", repr(TLSParameters(key="-----BEGIN PRIVATE KEY----- hush")))


class StricterTests(SynchronousTestCase):
    """
    Who wants more prevails, in each respect.
    """

    setting = TLSParameters(
        use="ifavailable", names=("mx.a.test", "a.test"), sni="mx.a.test", ca="ours", certificate="c", ciphers="HIGH"
    )

    def test_same(self) -> None:
        """
        Whoever wants the same changes nothing; nor does one who wants nothing.
        """
        self.assertEqual(stricter(self.setting, self.setting), self.setting)
        self.assertEqual(stricter(self.setting, CLEAR), self.setting)

    def test_policy(self) -> None:
        """
        A policy of the domain that asks for more decides on use and names; the
        operator's material stays.
        """
        policy = TLSParameters(use="required", verify="host", names=("mx.a.test",), origin="mta-sts", ca="theirs")
        both = stricter(self.setting, policy)
        expected = replace(self.setting, use="required", verify="host", names=("mx.a.test",), origin="mta-sts")
        self.assertEqual(both, expected)

    def test_setting(self) -> None:
        """
        A setting that asks for more than the policy stays as it is.
        """
        setting = replace(self.setting, use="required", verify="host", fallback=False)
        weaker = TLSParameters(use="ifavailable", verify="optional", names=("mx.a.test",), origin="mta-sts")
        self.assertEqual(stricter(setting, weaker), setting)

    def test_both_names(self) -> None:
        """
        Where both want a name only those will do that both take.
        """
        setting = replace(self.setting, use="required", verify="host")
        policy = TLSParameters(use="required", verify="host", names=("mx.a.test",), origin="mta-sts")
        self.assertEqual(stricter(setting, policy).names, ("mx.a.test",))

    def test_dane(self) -> None:
        """
        Associations come with their name for SNI, and use ``implicit`` is never lost.
        """
        dane = TLSParameters(use="required", verify="dane", tlsa=(RECORD,), sni="base.test", origin="dane")
        setting = replace(self.setting, use="implicit", verify="host")
        both = stricter(setting, dane)
        found = both.use, both.verify, both.tlsa, both.sni, both.origin
        self.assertEqual(found, ("implicit", "dane", (RECORD,), "base.test", "dane"))

    def test_fallback(self) -> None:
        """
        Mail goes in clear only where both allow it.
        """
        self.assertFalse(stricter(self.setting, replace(self.setting, fallback=False)).fallback)


class VersionsTests(SynchronousTestCase):
    """
    The option ``tls_protocols``.
    """

    def test_table(self) -> None:
        """
        Momentum's words; what is no longer safe only where it is asked for by name.
        """
        for text, expected in (
            ("", "1.2 1.3"),
            ("+ALL", "1.2 1.3"),
            ("all", "1.2 1.3"),
            ("+ALL -TLSv1", "1.2 1.3"),
            ("+ALL -TLSv1.3", "1.2"),
            ("-TLSv1.2", "1.3"),
            ("-SSLv3, -SSLv2", "1.2 1.3"),
            ("+TLSv1.3", "1.3"),
            ("TLSv1.2:TLSv1.3", "1.2 1.3"),
            ("+ALL +TLSv1.1", "1.1 1.2 1.3"),
            ("+all +tlsv1.0 +tlsv1.1", "1 1.1 1.2 1.3"),
            ("+TLSv1", "1"),
            ("+TLSv1 -ALL +TLSv1.2", "1.2"),
        ):
            found = " ".join(version.removeprefix("TLSv") for version in versions(text))
            self.assertEqual(found, expected, text)

    def test_mistakes(self) -> None:
        """
        Unknown words, nothing left, and a gap are mistakes.
        """
        for text, expected in (
            ("+TLSv2", "+TLSv2; there are"),
            ("+SSLv3", "names no protocol version"),
            ("+", "names no protocol version"),
            ("-ALL", "leaves no protocol version"),
            ("+TLSv1.1 +TLSv1.3", "between two others"),
        ):
            error = self.assertRaises(ValueError, versions, text)
            self.assertIn(expected, str(error))

    def test_verified(self) -> None:
        """
        Where a certificate is verified nothing is spoken that is no longer safe.
        """
        old = TLSParameters(use="required", protocols="+ALL +TLSv1.1")
        self.assertEqual(spoken(old), ("TLSv1.1", "TLSv1.2", "TLSv1.3"))
        self.assertEqual(spoken(replace(old, verify="host")), ("TLSv1.2", "TLSv1.3"))
        self.assertRaises(ValueError, spoken, replace(old, verify="ca", protocols="TLSv1"))


class SameSessionTests(SynchronousTestCase):
    """
    Who may go on with a connection that somebody else opened.
    """

    used = TLSParameters(use="required", verify="host", names=("mx.test", "a.test"), sni="mx.test")

    def same(self, facts: Facts | None = None, **wanted: Any) -> bool:
        anything: Any = facts
        return same_session(self.used, replace(self.used, **wanted), anything)

    def test_different(self) -> None:
        """
        Any difference that a handshake would show keeps connections apart.
        """
        facts = Facts("mx.test")
        for name, value in (
            ("use", "ifavailable"),
            ("verify", "ca"),
            ("sni", "b.test"),
            ("fallback", False),
            ("ca", "x"),
            ("certificate", "x"),
            ("key", "x"),
            ("ciphers", "x"),
            ("tlsv13_ciphersuites", "x"),
            ("protocols", "x"),
        ):
            self.assertFalse(self.same(facts, **{name: value}), name)
        self.assertTrue(self.same(facts, origin="mta-sts"))

    def test_names(self) -> None:
        """
        The name the certificate was found to carry must be one that the other would
        have taken; where no name is looked for, names are no matter.
        """
        self.assertTrue(self.same(Facts("mx.test"), names=("mx.test", "b.test")))
        self.assertFalse(self.same(Facts("a.test"), names=("mx.test", "b.test")))
        self.assertFalse(self.same(None, names=("mx.test", "b.test")))
        self.used = replace(self.used, verify="ca")
        self.assertTrue(self.same(Facts(), names=("b.test",)))

    def test_clear(self) -> None:
        """
        Without TLS nothing else matters.
        """
        self.assertTrue(same_session(CLEAR, TLSParameters(sni="b.test"), None))
        self.assertFalse(same_session(CLEAR, TLSParameters(use="ifavailable"), None))


class ToldTests(SynchronousTestCase):
    """
    What people read.
    """

    def test_told(self) -> None:
        """
        What was negotiated, how far it was verified, and why no further.
        """
        facts: Any = Facts("mx.test", "host", version="TLSv1.3", cipher="AES", group="X25519")
        self.assertEqual(told(facts), "TLSv1.3 AES X25519 verified by host as mx.test")
        facts = Facts(version="TLSv1.2", cipher="AES", problem="it has expired")
        self.assertEqual(told(facts), "TLSv1.2 AES; it has expired")


class AcceptableTests(SynchronousTestCase):
    """
    Who is content with what.
    """

    def test_table(self) -> None:
        """
        Associations are content with nothing else, and nothing else with them.
        """
        for verify, verified in (
            ("no", ("", "ca", "host", "dane")),
            ("optional", ("", "ca", "host", "dane")),
            ("ca", ("ca", "host")),
            ("host", ("host",)),
            ("dane", ("dane",)),
        ):
            parameters = TLSParameters(use="required", verify=verify, tlsa=(RECORD,))
            found: Any = [Facts("", each) for each in ("", "ca", "host", "dane")]
            self.assertEqual(tuple(each.verified for each in found if acceptable(parameters, each)), verified)


class AddressTests(SynchronousTestCase):
    """
    What is sent for SNI.
    """

    def test_address(self) -> None:
        """
        A name is, an address is not.
        """
        self.assertEqual(
            [is_address(name) for name in ("192.0.2.1", "2001:db8::1", "mx1.example.test", "1.test")],
            [True, True, False, False],
        )
