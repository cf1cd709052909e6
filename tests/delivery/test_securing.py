"""
Tests for :mod:`momentum_tx.delivery.securing`: how a session comes by TLS, what it is
content with, and what happens if it is not.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from zope.interface import implementer

from momentum_tx.config.report import toml_value
from momentum_tx.delivery.session import Session
from momentum_tx.interfaces.hooks import IGetOutboundTlsParameters, IOutboundSmtpTlsVerifyCallback
from momentum_tx.policy.tls import MODERN, TLSParameters
from momentum_tx.testing.answers import RESET
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.tls import ModelledCertificate
from momentum_tx.testing.world import World

from ..net.certificates import authority
from ..worlds import WorldCase

WRONG_NAME = ModelledCertificate(names=("other.example",))
EXPIRED = ModelledCertificate(expired=True)
SELF_SIGNED = ModelledCertificate(self_signed=True, trusted=False)
UNTRUSTED = ModelledCertificate(trusted=False)

NOT_NAMED = "451 4.7.5 [internal] SSL certificate subject does not match host"
NO_CHAIN = "451 4.7.5 [internal] remote node SSL certificate not signed by a valid CA"
FAILED = "451 4.7.5 [internal] TLS negotiation failed"


class TLSCase(WorldCase):
    """
    A world whose mail goes by TLS.
    """

    def tls_world(self, *providers: object, **options: object) -> World:
        """
        Hooks, and options of everybody.
        """
        lines = [f"{name} = {toml_value(value)}" for name, value in options.items()]
        return self.world("\n".join(["[global]", "host_failure_retry = 600", *lines]), providers=providers)

    def mx(self, world: World, **fields: Any) -> Receiver:
        """
        An exchanger of ``example.com``.
        """
        mx = world.exchanger("example.com")
        mx.starttls = True
        for name, value in fields.items():
            setattr(mx, name, value)
        return mx

    def said(self, mx: Receiver, connection: int = 1) -> list[str]:
        """
        What was said on one connection.
        """
        return [line.split(b" ")[0].split(b":")[0].decode() for number, line in mx.commands if number == connection]


class CertificateTests(TLSCase):
    """
    Which certificate goes with which option.
    """

    def outcome(self, verify: str, certificate: ModelledCertificate | None, tls: str = "required") -> str:
        """
        ``tls`` or ``clear`` if the message got there, else the note it was requeued with.
        """
        world = self.tls_world(tls=tls, tls_verify=verify, tls_ca="")
        mx = self.mx(world, certificate=certificate, implicit_tls=tls == "implicit", starttls=tls != "implicit")
        if tls == "implicit":
            mx.close()
            world.resolver.mx.clear()
            mx = world.exchanger("example.com", port=465)
            mx.certificate, mx.implicit_tls = certificate, True
        self.accept(world)
        world.advance(20)
        if mx.ledger:
            return "tls" if mx.ledger[0].encrypted else "clear"
        self.assertNotIn("MAIL", self.said(mx))
        return self.last(world, "T")["note"]

    def test_table(self) -> None:
        """
        Every kind of certificate with every kind of verification, however strictly TLS is
        wanted: who wants it verified never gets mail to anybody else, in clear or not.
        """
        for verify, expected in (
            ("no", ("tls", "tls", "tls", "tls", "tls")),
            ("optional", ("tls", "tls", "tls", "tls", "tls")),
            ("ca", ("tls", "tls", NO_CHAIN, NO_CHAIN, NO_CHAIN)),
            ("host", ("tls", NOT_NAMED, NO_CHAIN, NO_CHAIN, NO_CHAIN)),
        ):
            shown = (None, WRONG_NAME, EXPIRED, SELF_SIGNED, UNTRUSTED)
            for tls in ("ifavailable", "required", "implicit"):
                found = tuple(self.outcome(verify, certificate, tls) for certificate in shown)
                self.assertEqual(found, expected, (tls, verify))

    def test_names(self) -> None:
        """
        The exchanger's name or the domain's.
        """
        for name, expected in (
            ("mx1.example.com", "tls"),
            ("*.example.com", "tls"),
            ("example.com", "tls"),
            ("mx2.example.com", NOT_NAMED),
        ):
            self.assertEqual(self.outcome("host", ModelledCertificate(names=(name,))), expected)

    def test_told(self) -> None:
        """
        A session that does not go on ends in order: QUIT, and the reason is given to mail.
        """
        world = self.tls_world(tls="required", tls_verify="host")
        mx = self.mx(world, certificate=WRONG_NAME)
        self.accept(world)
        world.advance(20)
        self.assertEqual(self.said(mx), ["EHLO", "STARTTLS", "QUIT"])
        record = self.last(world, "T")
        self.assertEqual(record["note"], NOT_NAMED)

    def test_transcript(self) -> None:
        """
        What was negotiated is kept with what was said.
        """
        world = self.tls_world(tls="required", tls_verify="host")
        self.mx(world)
        transcripts: list[Any] = []
        establish = Session.tls_established

        def established(session: Session) -> None:
            transcripts.append(session.transcript)
            establish(session)

        self.patch(Session, "tls_established", established)
        self.accept(world)
        world.advance(5)
        (transcript,) = transcripts
        lines = [line for line in transcript.lines() if "TLS: " in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("TLSv1.3 TLS_AES_256_GCM_SHA384 X25519 verified by host as mx1.example.com", lines[0])

    def test_next_exchanger(self) -> None:
        """
        The address has failed like any other, and the message goes by the next exchanger
        in the same attempt.
        """
        world = self.tls_world(tls="required", tls_verify="host")
        bad, good = self.mx(world, certificate=WRONG_NAME), self.mx(world)
        world.resolver.mx["example.com"] = [(10, "mx1.example.com"), (20, "mx2.example.com")]
        for number in range(2):
            self.accept(world, subject=str(number))
            world.advance(20)
        self.assertEqual(world.mainlog("T"), [])
        self.assertEqual((bad.connections, bad.ledger), (1, []))
        self.assertEqual([taken.encrypted for taken in good.ledger], [True, True])

    def test_stripped(self) -> None:
        """
        Where STARTTLS is not offered, mail waits if TLS is required or a certificate is to
        be verified; else it goes in clear.
        """
        needed = "451 4.7.6 [internal] STARTTLS required but not advertised"
        for tls, verify, expected in (
            ("ifavailable", "no", "clear"),
            ("ifavailable", "optional", "clear"),
            ("ifavailable", "ca", needed),
            ("ifavailable", "host", needed),
            ("required", "no", needed),
            ("no", "host", "clear"),
        ):
            world = self.tls_world(tls=tls, tls_verify=verify)
            mx = self.mx(world, starttls=False)
            self.accept(world)
            world.advance(20)
            found = self.last(world, "T")["note"] if not mx.ledger else "clear"
            self.assertEqual(found, expected, (tls, verify))


class FactsTests(TLSCase):
    """
    What is known of a session afterwards.
    """

    def test_facts(self) -> None:
        """
        Version, cipher, group, digest, and how it was verified or why not, as
        ``msg.connection.tls`` for hooks; nothing of a session in clear.
        """
        heard: list[Any] = []

        class Heard:
            def log_delivery_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
                heard.append(msg.connection.tls)

        for verify, certificate, expected in (
            ("host", None, ("host", "mx1.example.com", "", "")),
            ("optional", WRONG_NAME, ("ca", "", "certificate-host-mismatch", "the certificate is not for")),
            ("no", WRONG_NAME, ("", "", "", "")),
        ):
            world = self.tls_world(tls="required", tls_verify=verify)
            self.mx(world, certificate=certificate)
            world.service.hooks.log_delivery_v1.set_named([Heard()])  # type: ignore[list-item]
            self.accept(world)
            world.advance(5)
            facts = heard.pop()
            self.assertEqual((facts.version, facts.cipher[:4], facts.group), ("TLSv1.3", "TLS_", "X25519"))
            self.assertEqual(len(facts.certificate_digest), 64)
            self.assertEqual((facts.verified, facts.name, facts.problem_kind), expected[:3])
            self.assertEqual(facts.problem[:26], expected[3])
        world = self.tls_world(tls="ifavailable")
        self.mx(world, starttls=False)
        world.service.hooks.log_delivery_v1.set_named([Heard()])  # type: ignore[list-item]
        self.accept(world)
        world.advance(5)
        self.assertEqual(heard, [None])


class FallbackTests(TLSCase):
    """
    Handshakes that fail.
    """

    def test_small_hello(self) -> None:
        """
        A peer that cannot take a large first message gets a small one, on a new
        connection at once, and from then on; that is TLS all the same.
        """
        for tls in ("ifavailable", "required"):
            world = self.tls_world(tls=tls, idle_timeout=0.5)
            mx = self.mx(world)
            world.tls.failing_large.add(mx.address)
            for number in range(2):
                self.accept(world, subject=str(number))
                world.advance(5)
            self.assertEqual([(taken.connection, taken.encrypted) for taken in mx.ledger], [(2, True), (3, True)])
            self.assertEqual([small for _, small in world.tls.wanted], [False, True, True])
            self.assertEqual(world.mainlog("T"), [])

    def test_no_fallback(self) -> None:
        """
        Without ``tls_ifavailable_fallback`` a failed handshake, or a refusal, keeps mail
        waiting, and it is tried with TLS again.
        """
        world = self.tls_world(tls="ifavailable", tls_ifavailable_fallback=False, retry_interval=700.0)
        mx = self.mx(world)
        world.tls.failing.add(mx.address)
        self.accept(world)
        world.advance(60)
        self.assertEqual((self.last(world, "T")["note"], mx.ledger), (FAILED, []))
        world.tls.failing.clear()
        mx.on("STARTTLS", b"454 4.7.0 Not now", times=1)
        world.advance(700)
        self.assertEqual(self.last(world, "T")["note"], "451 4.7.5 [internal] no tls go-ahead")
        self.assertEqual((len(world.mainlog("T")), mx.ledger), (2, []))
        world.advance(1500)
        self.assertEqual([taken.encrypted for taken in mx.ledger], [True])

    def test_no_fallback_still_clear(self) -> None:
        """
        A peer that does not offer STARTTLS at all gets its mail in clear nevertheless.
        """
        world = self.tls_world(tls="ifavailable", tls_ifavailable_fallback=False)
        mx = self.mx(world, starttls=False)
        self.accept(world)
        world.advance(5)
        self.assertEqual([taken.encrypted for taken in mx.ledger], [False])

    def test_verified(self) -> None:
        """
        Who wants a certificate verified does not go on in clear when the handshake fails.
        """
        world = self.tls_world(tls="ifavailable", tls_verify="ca")
        mx = self.mx(world)
        world.tls.failing.add(mx.address)
        self.accept(world)
        world.advance(60)
        self.assertEqual((self.last(world, "T")["note"], mx.ledger), (FAILED, []))
        self.assertEqual(mx.connections, 2)

    def test_old_versions(self) -> None:
        """
        A peer that knows old versions only: in clear by default, by TLS where that version
        is asked for, and not at all where TLS is required.
        """
        for options, expected in (
            ({"tls": "ifavailable"}, [False]),
            ({"tls": "ifavailable", "tls_protocols": "+ALL +TLSv1.1 +TLSv1"}, [True]),
            ({"tls": "required"}, []),
        ):
            world = self.tls_world(**options)
            mx = self.mx(world, tls_versions=("TLSv1", "TLSv1.1"))
            self.accept(world)
            world.advance(20)
            self.assertEqual([taken.encrypted for taken in mx.ledger], expected, options)
        self.assertNotIn("TLSv1.1", MODERN)

    def test_ends_inside(self) -> None:
        """
        A peer that hangs up inside TLS has not failed of TLS: under a policy or not,
        nothing is sent in clear.
        """
        for tls in ("ifavailable", "required"):
            world = self.tls_world(tls=tls)
            mx = self.mx(world)
            mx.on("EHLO", RESET, skip=1)
            self.accept(world)
            world.advance(60)
            self.assertEqual((len(world.mainlog("T")), mx.ledger, mx.connections), (1, [], 1))


class ImplicitTests(TLSCase):
    """
    TLS from the first octet.
    """

    def setUp(self) -> None:
        self.w = self.tls_world(tls="implicit")
        self.exchanger = self.w.exchanger("example.com", port=465)
        self.exchanger.implicit_tls = True

    def test_delivered(self) -> None:
        """
        Mail goes to port 465; neither STARTTLS nor a second EHLO is said.
        """
        self.accept(self.w)
        self.w.advance(5)
        self.assertEqual([taken.encrypted for taken in self.exchanger.ledger], [True])
        self.assertEqual(self.said(self.exchanger)[:2], ["EHLO", "MAIL"])
        self.assertEqual(self.w.tls.upgrades, [("mx1.example.com", self.exchanger.address, "implicit")])

    def test_not_twice(self) -> None:
        """
        A peer that offers STARTTLS inside TLS is not taken up on it.
        """
        self.exchanger.extensions = [b"STARTTLS"]
        self.accept(self.w)
        self.w.advance(5)
        self.assertNotIn("STARTTLS", self.said(self.exchanger))
        self.assertEqual(len(self.exchanger.ledger), 1)

    def test_port(self) -> None:
        """
        Any other port that was written stays.
        """
        world = self.tls_world(tls="implicit", remote_smtp_port=2465)
        mx = world.exchanger("example.com", port=2465)
        mx.implicit_tls = True
        self.accept(world)
        world.advance(5)
        self.assertEqual(len(mx.ledger), 1)

    def test_clear_peer(self) -> None:
        """
        A peer that greets in clear, or never shakes hands, gets no mail, in clear or otherwise.
        """
        self.exchanger.implicit_tls = False
        self.w.tls.silent.add(self.exchanger.address)
        self.accept(self.w)
        self.w.advance(200)
        self.assertEqual((self.exchanger.ledger, self.exchanger.commands), ([], []))
        self.assertIn(self.last(self.w, "T")["note"][:15], ("451 4.7.5 [inte", "451 4.5.0 [inte"))

    def test_without_ehlo(self) -> None:
        """
        TLS from the first octet needs no EHLO.
        """
        world = self.tls_world(tls="implicit", delivery_method="SMTP")
        mx = world.exchanger("example.com", port=465)
        mx.implicit_tls = True
        self.accept(world)
        world.advance(5)
        self.assertEqual(self.said(mx)[:2], ["HELO", "MAIL"])
        self.assertEqual([taken.encrypted for taken in mx.ledger], [True])

    def test_fails(self) -> None:
        """
        A failed handshake is tried with a small first message, and then mail waits.
        """
        self.w.tls.failing.add(self.exchanger.address)
        self.accept(self.w)
        self.w.advance(20)
        self.assertEqual(self.last(self.w, "T")["note"], FAILED)
        self.assertEqual((self.exchanger.connections, self.exchanger.commands), (2, []))


class MaterialTests(TLSCase):
    """
    Our own certificate.
    """

    def test_reload(self) -> None:
        """
        What the files hold is there from the start; a reload reads them anew, and new
        connections go by that.
        """
        path = os.path.abspath(self.mktemp())
        for issuer in ("One", "Two"):
            with open(path, "wb") as file:
                file.write(authority(issuer).pem)
            if issuer == "One":
                world = self.tls_world(tls="required", tls_verify="ca", tls_ca=path)
            else:
                world.reload(world.config_text)
            self.assertEqual(dict(world.tls.files), {path: authority(issuer).pem})
        mx = self.mx(world)
        self.accept(world)
        world.advance(5)
        self.assertEqual([taken.encrypted for taken in mx.ledger], [True])

    def test_cannot_begin(self) -> None:
        """
        Where the material is not to be had no mail is sent, the peer is not blamed for
        TLS, and an operator is told.
        """
        told: list[str] = []
        world = self.tls_world(tls="ifavailable")
        mx = self.mx(world)
        self.patch(world.service.hooks, "tell_error", lambda now, level, text: told.append(text))

        def impossible(*wanted: object) -> None:
            raise ValueError("no such file")

        self.patch(world.tls, "upgrade", impossible)
        self.accept(world)
        world.advance(20)
        self.assertEqual(mx.ledger, [])
        self.assertEqual(self.last(world, "T")["note"], "451 4.7.5 [internal] tls parameters cannot be determined")
        self.assertEqual(told, ["TLS to mx1.example.com cannot begin: no such file"])
        self.assertEqual(mx.connections, 1)


@implementer(IGetOutboundTlsParameters)
class BySubject:
    """
    Has mail of some tenants go by verified TLS.
    """

    def __init__(self, **wanted: Any) -> None:
        self.wanted = wanted
        self.asked: list[str] = []

    def get_outbound_tls_parameters(self, msg: Any, params: TLSParameters) -> TLSParameters:
        self.asked.append(msg.recipient.decode())
        return replace(params, **self.wanted) if msg.recipient.startswith(b"x") else params


class ParametersHookTests(TLSCase):
    """
    ``get_outbound_tls_parameters``.
    """

    def test_each_its_own(self) -> None:
        """
        Messages that want different things go on different connections, those that want
        the same on one; none is given up, and no retry is counted.
        """
        hook = BySubject(use="required")
        world = self.tls_world(hook, tls="no", max_outbound_connections=1)
        mx = self.mx(world)
        for name in ("a", "b", "x1", "x2", "c"):
            world.send("a@sender.example", [f"{name}@example.com"], world.message(name))
        world.advance(20)
        self.assertEqual(
            {each.recipients[0].partition(b"@")[0]: each.encrypted for each in mx.ledger},
            {b"a": False, b"b": False, b"x1": True, b"x2": True, b"c": False},
        )
        first = [each.recipients[0][:1] for each in mx.ledger if each.connection == 1]
        self.assertEqual(first, [b"a", b"b"])
        for number in range(1, mx.connections + 1):
            self.assertEqual(len({each.encrypted for each in mx.ledger if each.connection == number}), 1)
        self.assertEqual(world.mainlog("TP"), [])

    def test_one_reception(self) -> None:
        """
        Recipients of one message that want different things are no batch.
        """
        world = self.tls_world(BySubject(use="required"), tls="no", max_outbound_connections=1)
        mx = self.mx(world)
        self.accept(world, ["a@example.com", "x@example.com", "b@example.com"])
        world.advance(20)
        found = {each.encrypted: set(each.recipients) for each in mx.ledger}
        self.assertEqual(found, {False: {b"a@example.com", b"b@example.com"}, True: {b"x@example.com"}})

    def test_idle(self) -> None:
        """
        Nor does one go on a connection that is idle, if that is another's; the same is used again.
        """
        world = self.tls_world(BySubject(verify="host"), tls="required", idle_timeout=60.0)
        mx = self.mx(world)
        for name in ("a", "b", "x", "x2"):
            self.accept(world, [f"{name}@example.com"])
            world.advance(2)
        self.assertEqual([each.connection for each in mx.ledger], [1, 1, 2, 2])

    def test_implicit(self) -> None:
        """
        It may have TLS begin with the first octet.
        """
        world = self.tls_world(BySubject(use="implicit"), remote_smtp_port=2465)
        mx = world.exchanger("example.com", port=2465)
        mx.implicit_tls = True
        self.accept(world, ["x@example.com"])
        world.advance(5)
        self.assertEqual([each.encrypted for each in mx.ledger], [True])

    def test_fickle(self) -> None:
        """
        A hook that never answers twice the same keeps no mail up: a session sends what it was opened for.
        """

        class Fickle(BySubject):
            def get_outbound_tls_parameters(self, msg: Any, params: TLSParameters) -> TLSParameters:
                self.asked.append("")
                return replace(params, sni=f"n{len(self.asked)}.example")

        world = self.tls_world(implementer(IGetOutboundTlsParameters)(Fickle)(), tls="required")
        mx = self.mx(world)
        for _ in range(3):
            self.accept(world)
        world.advance(30)
        self.assertEqual(len(mx.ledger), 3)

    def test_wrong(self) -> None:
        """
        One that raises, wants what there is not, or answers with something else has had no say.
        """
        for wrong in (
            lambda params: replace(params, use="maybe"),
            lambda params: {"use": "no"},
            lambda params: replace(params, verify="dane"),
        ):

            @implementer(IGetOutboundTlsParameters)
            class Wrong:
                def get_outbound_tls_parameters(self, msg: Any, params: TLSParameters) -> Any:
                    return wrong(params)  # noqa: B023

            world = self.tls_world(Wrong(), tls="required")
            mx = self.mx(world)
            self.accept(world)
            world.advance(5)
            self.assertEqual([each.encrypted for each in mx.ledger], [True])
        self.assertTrue(self.flushLoggedErrors(ValueError))

    def test_origin(self) -> None:
        """
        It is kept who wanted it.
        """
        world = self.tls_world(BySubject(use="required"), tls="ifavailable")
        self.mx(world)
        self.accept(world, ["a@example.com", "x@example.com"])
        world.advance(5)
        self.assertEqual({wanted.origin for wanted, _ in world.tls.wanted}, {"setting", "hook"})

    def test_siblings(self) -> None:
        """
        A connection of another domain is gone on with only if that message would have had it.
        """
        for second, connections in (("b@two.example", 1), ("x@two.example", 2)):
            world = self.tls_world(BySubject(use="required"), tls="no")
            mx = world.receiver()
            mx.starttls = True
            world.resolver.addresses["mx.shared.example"] = [mx.address]
            for domain in ("one.example", "two.example"):
                world.resolver.mx[domain] = [(10, "mx.shared.example")]
            for recipient in ("a@one.example", second):
                self.accept(world, [recipient])
                world.advance(2)
            self.assertEqual(mx.connections, connections)
            self.assertEqual(len(mx.ledger), 2)


class VerifyHookTests(TLSCase):
    """
    ``outbound_smtp_tls_verify_callback``.
    """

    def outcome(self, answer: object, certificate: ModelledCertificate | None, verify: str = "host") -> str:
        """
        ``tls`` if the message got there, else its note.
        """
        asked: list[Any] = []
        self.asked = asked

        @implementer(IOutboundSmtpTlsVerifyCallback)
        class Says:
            def outbound_smtp_tls_verify_callback(
                self, handle: Any, params: TLSParameters, facts: Any, preverify_ok: bool
            ) -> Any:
                asked.append((handle.connection.host_name, params.verify, facts.verified, preverify_ok))
                if isinstance(answer, Exception):
                    raise answer
                return answer

        world = self.tls_world(Says(), tls="required", tls_verify=verify)
        mx = self.mx(world, certificate=certificate)
        self.accept(world)
        world.advance(20)
        return "tls" if mx.ledger else str(self.last(world, "T")["note"])

    asked: list[Any]

    def test_table(self) -> None:
        """
        It may overrule the verdict either way, or have no opinion; one that raises has none.
        """
        for answer, good, bad in (
            (None, "tls", NOT_NAMED),
            (True, "tls", "tls"),
            (False, FAILED, NOT_NAMED),
            (ValueError("oops"), "tls", NOT_NAMED),
            ("yes", "tls", NOT_NAMED),
        ):
            self.assertEqual(self.outcome(answer, None), good, answer)
            self.assertEqual(self.asked, [("mx1.example.com", "host", "host", True)])
            self.assertEqual(self.outcome(answer, WRONG_NAME), bad, answer)
            self.assertEqual(self.asked, [("mx1.example.com", "host", "ca", False)])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_optional(self) -> None:
        """
        It is asked where verification is optional, and not where there is none.
        """
        self.assertEqual(self.outcome(False, WRONG_NAME, "optional"), FAILED)
        self.assertEqual(self.outcome(False, WRONG_NAME, "no"), "tls")
        self.assertEqual(self.asked, [])


class NeighbourTests(TLSCase):
    """
    Two domains at the same exchanger, one of which demands what it does not have.
    """

    def neighbours(self, more: str = "") -> tuple[World, Receiver]:
        """
        ``example.com`` demands a certificate, ``example.org`` nothing.
        """
        world = self.world(
            f'[domain."example.com"]\ntls = "required"\ntls_verify = "host"\n{more}\n'
            "[global]\nhost_failure_retry = 600\n"
        )
        mx = self.mx(world, certificate=WRONG_NAME)
        world.resolver.mx["example.org"] = world.resolver.mx["example.com"]
        return world, mx

    def test_unharmed(self) -> None:
        """
        The one waits and tries again; the other notices nothing, however often that
        was.
        """
        world, mx = self.neighbours("retry_intervals = ['60s']")
        for number in range(4):
            self.accept(world, ["bob@example.com"], subject=f"demanding {number}")
            world.advance(2)
            self.accept(world, ["eve@example.org"], subject=f"content {number}")
            world.advance(2)
            self.assertEqual(len(mx.ledger), number + 1)
        self.assertEqual({record["domain"] for record in world.mainlog("T")}, {"example.com"})
        self.assertEqual({recipient for taken in mx.ledger for recipient in taken.recipients}, {b"eve@example.org"})

    def test_shunned(self) -> None:
        """
        The one leaves the host alone for ``host_failure_retry``; what was tried in
        vain counts for its own ``mx_failures_to_delay`` and for nobody else's.
        """
        world, mx = self.neighbours("mx_failures_to_delay = 3\nretry_intervals = ['10s']")
        self.accept(world, ["bob@example.com"])
        world.advance(300)
        self.assertEqual(mx.connections, 1)
        notes = [record["note"] for record in world.mainlog("T")]
        self.assertEqual(notes[0], NOT_NAMED)
        peer, records = (mx.address, 25), world.service.delivery.records
        self.assertEqual(records.failures(peer), 0)
        self.assertGreater(records.failures(peer, "example.com"), 3)
        self.assertTrue(records.down(peer, 0, world.wall(), 600, "example.com"))
        self.assertFalse(records.down(peer, 0, world.wall(), 600, "example.org"))

    def test_mended(self) -> None:
        """
        When the host has what is demanded the mail goes, and nothing is held against
        it any more.
        """
        world, mx = self.neighbours("retry_intervals = ['60s']")
        self.accept(world, ["bob@example.com"])
        world.advance(10)
        mx.certificate = ModelledCertificate(names=("mx1.example.com",))
        world.advance(1500)
        self.assertEqual(self.kinds(world)[-1], "D")
        self.assertEqual(world.service.delivery.records.failures((mx.address, 25), "example.com"), 0)

    def test_broken_handshake(self) -> None:
        """
        The same where the handshake itself fails.
        """
        world, mx = self.neighbours()
        mx.on("TLS", RESET)
        self.accept(world, ["bob@example.com"])
        world.advance(5)
        self.accept(world, ["eve@example.org"])
        world.advance(5)
        self.assertEqual({record["domain"] for record in world.mainlog("T")}, {"example.com"})
        self.assertEqual(len(mx.ledger), 1)
