"""
Tests of :mod:`momentum_tx.delivery.message_tls`: REQUIRETLS and ``TLS-Required: No``.
"""

from __future__ import annotations

from typing import Any

from momentum_tx.delivery.dane import tlsa_name
from momentum_tx.policy.session_notes import NOT_IN_POLICY, TLSA_NOT_MATCHED
from momentum_tx.policy.tls import TLSAssociation
from momentum_tx.testing.answers import Answer
from momentum_tx.testing.peer_session import ReceiverSession
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.tls import ModelledCertificate

from ..worlds import SENDER, WorldCase

ONE = "one.example"
BOB = f"bob@{ONE}"
HOST = f"mx1.{ONE}"
CONFIG = "[global]\nuse_dane = true\nuse_mta_sts = true\nidle_timeout = 30\nretry_interval = 600\n"
ENFORCE = f"version: STSv1\nmode: enforce\nmx: *.{ONE}\nmax_age: 604800\n".encode()
REQUIRED = "REQUIRETLS support required: "
MAIL = b"MAIL FROM:<a@sender.example>"
UNTRUSTED = ModelledCertificate(trusted=False)
RIGHT = (3, 1, 1, b"r" * 32)
WRONG = (3, 1, 1, b"w" * 32)


class MessageTLSCase(WorldCase):
    """
    A domain with a signed zone and one exchanger.
    """

    config = CONFIG

    def setUp(self) -> None:
        self.w = self.world(self.config)
        self.mx = self.exchanger()
        self.w.resolver.signed.add(ONE)

    def exchanger(self, preference: int = 10, *offers: bytes) -> Receiver:
        """
        An exchanger with TLS.
        """
        mx = self.w.exchanger(ONE, preference)
        mx.starttls = True
        mx.extensions = list(offers or (b"REQUIRETLS",))
        return mx

    def send(self, subject: str = "required", to: str = BOB, **said: Any) -> None:
        """
        A message, with REQUIRETLS unless something else is said.
        """
        fields = said.pop("fields", {})
        self.w.send(SENDER, [to], self.w.message(subject, **fields), **(said or {"require_tls": True})).addErrback(
            lambda failure: None
        )
        self.w.advance(2)

    def plain(self) -> None:
        """
        A message like any other.
        """
        self.send("plain", priority="")

    def arrived(self, mx: Receiver | None = None) -> list[tuple[str, bool]]:
        """
        Subject of each message an exchanger took, and whether it came by TLS.
        """
        found = []
        for taken in (mx or self.mx).ledger:
            subject = next(line for line in taken.content.split(b"\r\n") if line.startswith(b"Subject: "))
            found.append((subject[9:].decode(), taken.encrypted))
        return found

    def commands(self, mx: Receiver | None = None) -> list[bytes]:
        """
        The MAIL commands an exchanger heard.
        """
        return [line for _, line in (mx or self.mx).commands if line.startswith(b"MAIL")]


class RequiredTests(MessageTLSCase):
    """
    REQUIRETLS (T17).
    """

    def failed(self, kind: str, text: str) -> None:
        """
        The message has not been sent, and what was said of that.
        """
        self.assertEqual([line for line in self.commands() if b"REQUIRETLS" in line], [])
        status = "554 5.7.30" if kind == "P" else "451 4.7.30"
        self.assertEqual(self.last(self.w, kind)["note"][: len(status)], status)
        self.assertIn(REQUIRED + text, self.last(self.w, kind)["note"])

    def test_dnssec(self) -> None:
        """
        It goes where DNSSEC leads, with a certificate of that name, and the peer is told.
        """
        self.send()
        self.assertEqual(self.arrived(), [("required", True)])
        self.assertEqual(self.commands(), [MAIL + b" REQUIRETLS"])

    def test_dane(self) -> None:
        """
        Or where TLSA records prove who the peer is.
        """
        self.w.resolver.tlsa[tlsa_name(HOST, 25)] = [RIGHT]
        self.mx.certificate = ModelledCertificate(trusted=False, tlsa=(TLSAssociation(*RIGHT),))
        self.send()
        self.assertEqual(self.arrived(), [("required", True)])

    def test_mta_sts(self) -> None:
        """
        Or where an MTA-STS policy in force does, without DNSSEC.
        """
        self.w.resolver.signed.clear()
        self.w.publish_policy(ONE, ENFORCE, "1")
        self.send()
        self.assertEqual(self.arrived(), [("required", True)])
        self.w.publish_policy("two.example", ENFORCE.replace(b"enforce", b"testing").replace(b"one", b"two"), "1")
        other = self.w.exchanger("two.example")
        other.starttls, other.extensions = True, [b"REQUIRETLS"]
        self.send(to="eve@two.example")
        self.assertEqual(other.ledger, [])
        self.assertIn("5.7.30", self.last(self.w, "P")["note"])

    def test_route(self) -> None:
        """
        Or where an operator has written it should go.
        """
        self.w.resolver.signed.clear()
        self.w.reload(CONFIG + f'[domain."{ONE}"]\nroutes = ["{HOST}"]\n')
        self.send()
        self.assertEqual(self.arrived(), [("required", True)])

    def test_word_of_dns(self) -> None:
        """
        An exchanger that only DNS names gets nothing, whatever it can show; other mail it does.
        """
        self.w.resolver.signed.clear()
        self.send()
        self.failed("P", "neither DNSSEC nor an MTA-STS policy")
        self.plain()
        self.assertEqual([subject for subject, _ in self.arrived()], ["plain"])

    def test_not_offered(self) -> None:
        """
        Nor does one that does not promise the same; the session goes on with other mail, and nobody is blamed.
        """
        self.mx.extensions = []
        self.send()
        self.failed("P", "it does not offer REQUIRETLS")
        self.plain()
        self.assertEqual([subject for subject, _ in self.arrived()], ["plain"])
        self.assertEqual(self.mx.connections, 1)
        self.assertEqual(self.w.domain(ONE).contact_failing_since, 0.0)

    def test_offered_in_clear(self) -> None:
        """
        What was offered before TLS is no offer (RFC 8689 2).
        """

        def offer(session: ReceiverSession, line: bytes) -> Answer:
            return Answer(b"250 mx" if session.encrypted else b"250-mx\r\n250-REQUIRETLS\r\n250 STARTTLS")

        self.mx.on("EHLO", offer)
        self.send()
        self.failed("P", "it does not offer REQUIRETLS")

    def test_no_tls(self) -> None:
        """
        One without STARTTLS will not do; one whose handshake fails is only out of order.
        """
        self.mx.starttls = False
        self.send()
        self.failed("P", "there is no TLS")
        self.mx.starttls = True
        self.w.tls.failing.add(HOST)
        self.w.advance(60)
        self.send()
        self.failed("T", "there is no TLS")
        self.w.tls.failing.clear()
        self.w.advance(8000)
        self.assertEqual(self.arrived(), [("required", True)])

    def test_certificate(self) -> None:
        """
        A certificate that proves nothing is waited out, and other mail is none the worse for it.
        """
        for certificate in (
            UNTRUSTED,
            ModelledCertificate(expired=True),
            ModelledCertificate(names=("other.example",)),
        ):
            self.setUp()
            self.mx.certificate = certificate
            self.send()
            self.failed("T", "its certificate does not prove who it is")
            self.plain()
            self.assertEqual([subject for subject, _ in self.arrived()], ["plain"])
            self.mx.certificate = None
            self.w.advance(700)
            self.assertEqual(self.arrived()[1:], [("required", True)])

    def test_next_host(self) -> None:
        """
        The next exchanger is asked, also one of less preference; other mail stays with the best.
        """
        second = self.exchanger(20)
        self.mx.extensions = []
        self.send()
        self.assertEqual((self.arrived(), self.arrived(second)), ([], [("required", True)]))
        self.w.advance(60)
        self.plain()
        self.assertEqual(([subject for subject, _ in self.arrived()], len(second.ledger)), (["plain"], 1))
        self.assertEqual((self.kinds(self.w).count("T"), self.kinds(self.w).count("P")), (0, 0))

    def test_no_host(self) -> None:
        """
        Where none of them may, it fails, once all were asked.
        """
        second = self.exchanger(20)
        self.mx.extensions = second.extensions = []
        self.send()
        self.assertEqual((self.mx.connections, second.connections), (1, 1))
        self.failed("P", "it does not offer REQUIRETLS")
        # It is learnt from one of them that this has changed.
        self.mx.extensions = [b"REQUIRETLS"]
        self.w.advance(60)
        self.send()
        self.assertEqual(self.arrived(), [("required", True)])

    def test_next_host_is_down(self) -> None:
        """
        While one that might do is out of order, it waits for it.
        """
        second = self.exchanger(20)
        self.mx.extensions = []
        self.w.network.refuse(second.address)
        self.send()
        self.assertEqual((self.kinds(self.w), self.arrived()), ("RT", []))
        self.w.network.restore(second.address)
        self.w.advance(3000)
        self.assertEqual((self.arrived(second), self.kinds(self.w).count("P")), ([("required", True)], 0))

    def test_some_out_of_order(self) -> None:
        """
        If one lacks it and another only has a bad certificate, it waits.
        """
        second = self.exchanger(20)
        self.mx.extensions, second.certificate = [], UNTRUSTED
        self.send()
        self.assertEqual((self.kinds(self.w), second.ledger), ("RT", []))
        second.certificate = None
        self.w.advance(700)
        self.assertEqual(self.arrived(second), [("required", True)])

    def test_open_connection(self) -> None:
        """
        A connection that was opened without looking at certificates does not serve it; one that was opened
        for it serves others as well.
        """
        self.plain()
        self.send()
        self.assertEqual((self.arrived(), self.mx.connections), ([("plain", False), ("required", True)], 2))
        self.plain()
        self.send()
        self.assertEqual((len(self.arrived()), self.mx.connections), (4, 2))

    def test_among_others(self) -> None:
        """
        Among other mail nothing is lost, nothing waits for ever, and what does not ask for it is not told to.
        """
        second = self.exchanger(20)
        self.mx.extensions = []
        for number in range(20):
            self.w.send(SENDER, [f"u{number}@{ONE}"], self.w.message(f"p{number}")).addErrback(lambda _: None)
            self.w.send(
                SENDER, [f"r{number}@{ONE}"], self.w.message(f"r{number}"), require_tls=True, campaign="safe"
            ).addErrback(lambda _: None)
        self.w.advance(120)
        everything = sorted(subject for mx in (self.mx, second) for subject, _ in self.arrived(mx))
        self.assertEqual(everything, sorted(f"{kind}{number}" for kind in "pr" for number in range(20)))
        self.assertEqual([subject for subject, _ in self.arrived() if subject.startswith("r")], [])
        self.assertEqual(sum(b"REQUIRETLS" in line for line in self.commands(second)), 20)

    def test_behind_a_dot(self) -> None:
        """
        Where messages follow one another without waiting it has no advantage: it is looked at all the same.
        """
        self.w.reload(CONFIG + "overlap_transactions = true\n")
        self.mx.on("dot", Answer(b"250 2.0.0 Taken", after=0.5))
        for kind in ("plain", "required", "plain", "plain"):
            self.w.send(SENDER, [BOB], self.w.message(kind), require_tls=kind == "required").addErrback(lambda _: None)
        self.w.advance(20)
        self.assertEqual(sorted(subject for subject, _ in self.arrived()), ["plain", "plain", "plain", "required"])
        self.assertIn(("required", True), self.arrived())

    def test_behind_a_dot_without(self) -> None:
        """
        There as well a peer that does not promise the same hears nothing of it.
        """
        self.w.reload(CONFIG + "overlap_transactions = true\nmax_outbound_connections = 1\n")
        self.mx.extensions = []
        for kind in ("plain", "required", "plain"):
            self.w.send(SENDER, [BOB], self.w.message(kind), require_tls=kind == "required").addErrback(lambda _: None)
        self.w.advance(20)
        self.assertEqual([subject for subject, _ in self.arrived()], ["plain", "plain"])
        self.failed("P", "it does not offer REQUIRETLS")

    def test_stricter_setting(self) -> None:
        """
        What an operator wants besides holds as well.
        """
        for verify in ("ca", "host"):
            self.w.reload(CONFIG + f'tls = "required"\ntls_verify = "{verify}"\n')
            self.send()
            self.w.advance(60)
        self.assertEqual(self.arrived(), [("required", True)] * 2)


class OptionalTests(MessageTLSCase):
    """
    ``TLS-Required: No`` (T18).
    """

    def optional(self, **said: Any) -> None:
        """
        A message that had rather arrive.
        """
        self.send("optional", fields={"TLS_Required": "No"}, **(said or {"priority": ""}))

    def test_dane(self) -> None:
        """
        TLSA records that do not match keep it no longer; TLS is used all the same, and other mail waits.
        """
        self.w.resolver.tlsa[tlsa_name(HOST, 25)] = [WRONG]
        self.optional()
        self.assertEqual(self.arrived(), [("optional", True)])
        self.plain()
        self.assertEqual(len(self.arrived()), 1)
        self.assertEqual(self.last(self.w, "T")["note"].encode(), TLSA_NOT_MATCHED)

    def test_no_answer(self) -> None:
        """
        Nor does a look-up that fails.
        """
        self.w.resolver.bogus.add("_tcp." + HOST)
        self.optional()
        self.assertEqual(self.arrived(), [("optional", True)])

    def test_stripped(self) -> None:
        """
        Nor an exchanger that has no TLS any more.
        """
        self.w.publish_policy(ONE, ENFORCE, "1")
        self.mx.starttls = False
        self.optional()
        self.assertEqual(self.arrived(), [("optional", False)])

    def test_another_exchanger(self) -> None:
        """
        Nor one that is not in the domain's policy.
        """
        self.w.publish_policy(ONE, ENFORCE.replace(b"*.one", b"mx.elsewhere"), "1")
        self.plain()
        self.assertEqual((self.arrived(), self.last(self.w, "T")["note"].encode()), ([], NOT_IN_POLICY))
        self.optional()
        self.assertEqual(self.arrived(), [("optional", True)])

    def test_nobody_follows(self) -> None:
        """
        A connection to such an exchanger that was opened for it, and came too late, takes nobody else's
        mail, whatever certificate it shows; that goes by an exchanger of the policy.
        """
        stranger = self.exchanger(5)
        self.w.publish_policy(ONE, ENFORCE.replace(b"*.one", b"mx1.one"), "1")
        self.plain()
        self.w.advance(60)
        self.w.send(SENDER, [BOB], self.w.message("optional", TLS_Required="No")).addErrback(lambda failure: None)
        # Before that one is taken; each wants a connection, and it is still the first.
        self.w.advance(0.015)
        for number in range(6):
            self.w.send(SENDER, [f"r{number}@{ONE}"], self.w.message("plain")).addErrback(lambda failure: None)
        self.w.advance(60)
        self.assertGreater(stranger.connections, 1)
        self.assertEqual(self.arrived(stranger), [("optional", True)])
        self.assertEqual(self.arrived(), [("plain", True)] * 7)

    def test_setting(self) -> None:
        """
        What our own operator wants holds for it too.
        """
        self.w.reload(CONFIG + 'tls = "required"\n')
        self.mx.starttls = False
        self.optional()
        self.assertEqual(self.arrived(), [])

    def test_no_policy(self) -> None:
        """
        Without policies it is a message like any other, on any connection.
        """
        self.w.resolver.signed.clear()
        self.plain()
        self.optional()
        self.plain()
        self.assertEqual((len(self.arrived()), self.mx.connections), (3, 1))

    def test_both(self) -> None:
        """
        Next to REQUIRETLS it says nothing.
        """
        self.mx.extensions = []
        self.optional(require_tls=True)
        self.assertEqual(self.arrived(), [])
        self.assertIn("5.7.30", self.last(self.w, "P")["note"])
