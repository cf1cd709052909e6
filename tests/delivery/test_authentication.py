"""
Authentication, as the peer, the operator and whoever has the credentials see it.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs, formatEvent
from zope.interface import implementer

from momentum_tx.interfaces.hooks import IOutboundSmtpAuthConfig
from momentum_tx.policy.credentials import Credentials
from momentum_tx.smtp.mechanisms import MECHANISMS
from momentum_tx.testing.behaviours import SlowAcceptance
from momentum_tx.testing.peers import SILENCE, Receiver
from momentum_tx.testing.sasl import Authenticating
from momentum_tx.testing.world import World

from ..worlds import WorldCase

BASE = """
[global]
retry_interval = 600
host_failure_retry = 120
idle_timeout = 5
max_outbound_connections = 1
outbound_smtp_auth_timeout = 7
outbound_smtp_auth_hold = 300
"""


@implementer(IOutboundSmtpAuthConfig)
class Purse:
    """
    Has the credentials, and remembers what it was asked.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int, str, bytes]] = []

    def outbound_smtp_auth_config(self, dr: Any, binding_slot: int, host: str, refused: bytes) -> Any:
        self.asked.append((dr.domain, binding_slot, host, refused))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class AuthCase(WorldCase):
    """
    A world with a peer that wants to know who we are.
    """

    USERS = {"lea": "hunter2"}

    def password(self, secret: str = "hunter2") -> str:
        """
        A file with a password.
        """
        path = self.mktemp()
        with open(path, "w") as file:
            file.write(secret + "\n")
        os.chmod(path, 0o600)
        return path

    def options(self, secret: str = "hunter2", more: str = 'tls = "required"\n') -> str:
        """
        A configuration with credentials.
        """
        return (
            f"{BASE}outbound_smtp_auth_user = 'lea'\noutbound_smtp_auth_pass_file = '{self.password(secret)}'\n{more}"
        )

    def peer(self, world: World, domain: str = "example.com", **habit: Any) -> tuple[Receiver, Authenticating]:
        """
        An exchanger that wants to know who we are.
        """
        mx = world.exchanger(domain)
        mx.starttls = True
        wants = Authenticating(self.USERS, **habit)
        mx.add(wants)
        return mx, wants

    def note(self, world: World) -> str:
        """
        The note of the last failure.
        """
        return self.last(world, "T")["note"]


class AcceptedTests(AuthCase):
    """
    Sessions that are who they say.
    """

    def test_strongest(self) -> None:
        """
        Inside TLS the strongest mechanism that both know is used, once a session, before any mail.
        """
        world = self.world(self.options())
        mx, wants = self.peer(world)
        self.accept(world)
        self.accept(world)
        world.advance(30)
        self.assertEqual((len(mx.ledger), mx.connections), (2, 1))
        self.assertEqual((wants.used, wants.accepted, wants.refused), (["SCRAM-SHA-256"], ["lea"], 0))
        lines = [line[:4] for _, line in mx.commands]
        self.assertEqual(lines[:4], [b"EHLO", b"STAR", b"EHLO", b"AUTH"])
        self.assertEqual(lines.count(b"AUTH"), 1)

    def test_each(self) -> None:
        """
        Each mechanism works from the first word to the last, tokens where it takes one.
        """
        for name in MECHANISMS:
            world = self.world(self.options(more=f'tls = "required"\noutbound_smtp_auth_type = ["{name.lower()}"]\n'))
            mx, wants = self.peer(world, mechanisms=[each.encode() for each in MECHANISMS])
            self.accept(world)
            world.advance(5)
            self.assertEqual((wants.used, wants.accepted, len(mx.ledger)), ([name], ["lea"], 1), name)

    def test_nobody_asked(self) -> None:
        """
        A session without credentials says nothing of the kind, and neither does one that must not.
        """
        for config in (BASE, self.options(more='tls = "required"\noutbound_smtp_auth = "no"\n')):
            world = self.world(config)
            mx, wants = self.peer(world, clear=True)
            self.accept(world)
            world.advance(5)
            self.assertEqual((wants.used, mx.ledger), ([], []))
            self.assertIn(b"MAIL", self.verbs(mx))

    def test_scopes(self) -> None:
        """
        Credentials are those of the narrowest table; other mail knows of none.
        """
        world = self.world(
            f"{BASE}tls = 'required'\n[domain.'relay.example']\noutbound_smtp_auth_user = 'lea'\n"
            f"outbound_smtp_auth_pass_file = '{self.password()}'\n"
            f"[binding.other.domain.'relay.example']\noutbound_smtp_auth_user = 'bob'\n"
            f"outbound_smtp_auth_pass_file = '{self.password('builder')}'\n"
        )
        self.USERS = {"lea": "hunter2", "bob": "builder"}
        relay, wants = self.peer(world, "relay.example")
        free = world.exchanger("free.example")
        free.starttls = True
        self.accept(world, ["x@relay.example"])
        self.accept(world, ["x@relay.example"], X_Binding="other")
        self.accept(world, ["x@free.example"])
        world.advance(5)
        self.assertEqual(sorted(wants.accepted), ["bob", "lea"])
        self.assertEqual((len(relay.ledger), len(free.ledger)), (2, 1))
        self.assertNotIn(b"AUTH", self.verbs(free))

    def test_in_the_clear(self) -> None:
        """
        Without TLS only what does not show the password is said, unless an operator wants the rest too.
        """
        for more, mechanisms, used in (
            ("", [b"PLAIN", b"LOGIN", b"CRAM-MD5"], ["CRAM-MD5"]),
            ("", [b"SCRAM-SHA-256", b"PLAIN"], ["SCRAM-SHA-256"]),
            ("", [b"PLAIN", b"LOGIN"], []),
            ("outbound_smtp_auth_in_clear = true\n", [b"PLAIN", b"LOGIN"], ["PLAIN"]),
            ('tls = "ifavailable"\n', [b"PLAIN", b"LOGIN"], []),
        ):
            world = self.world(self.options(more=more))
            mx, wants = self.peer(world, mechanisms=mechanisms, clear=True)
            mx.starttls = False
            self.accept(world)
            world.advance(5)
            self.assertEqual((wants.used, len(mx.ledger)), (used, len(used)))
            self.assertFalse([line for _, line in mx.commands if not used and line[:4] in (b"AUTH", b"MAIL")])
            if not used:
                self.assertIn("451 4.7.11 [internal] AUTH required but not safe without TLS", self.note(world))


class NotOfferedTests(AuthCase):
    """
    Peers that do not want to know.
    """

    def test_required(self) -> None:
        """
        Mail waits, and says why; another exchanger is tried before that.
        """
        for mechanisms in ([], [b"NTLM"]):
            world = self.world(self.options())
            mx, _ = self.peer(world, mechanisms=mechanisms)
            other, _ = self.peer(world, mechanisms=mechanisms)
            self.accept(world)
            world.advance(20)
            self.assertEqual((mx.connections, other.connections, mx.ledger + other.ledger), (1, 1, []))
            self.assertIn("451 4.7.6 [internal] AUTH required but not advertised", self.note(world))
            self.assertEqual((self.kinds(world), self.last(world, "T")["stage"]), ("RT", "23"))
            self.assertNotIn(b"MAIL", self.verbs(mx))

    def test_another(self) -> None:
        """
        If another exchanger wants to know, it gets the mail.
        """
        world = self.world(self.options())
        first = world.exchanger("example.com")
        first.starttls = True
        second, _ = self.peer(world)
        self.accept(world)
        world.advance(20)
        self.assertEqual((self.kinds(world), first.ledger, len(second.ledger)), ("RD", [], 1))

    def test_if_available(self) -> None:
        """
        Where that is good enough, mail goes without.
        """
        for mechanisms, encrypted in (((), True), ((b"PLAIN",), False)):
            world = self.world(self.options(more='outbound_smtp_auth = "ifavailable"\ntls = "ifavailable"\n'))
            mx = world.exchanger("example.com")
            mx.starttls = encrypted
            if mechanisms:
                mx.extensions.append(b"AUTH PLAIN")
            self.accept(world)
            world.advance(5)
            self.assertEqual(len(mx.ledger), 1)
            self.assertNotIn(b"AUTH", self.verbs(mx))

    def test_helo(self) -> None:
        """
        A peer that only knows HELO offers nothing.
        """
        world = self.world(self.options(more="outbound_smtp_auth_in_clear = true\n"))
        mx, _ = self.peer(world, clear=True)
        mx.on("EHLO", b"502 what?")
        self.accept(world)
        world.advance(5)
        self.assertIn("AUTH required but not advertised", self.note(world))


class RefusedTests(AuthCase):
    """
    Peers that do not believe us.
    """

    def test_waits(self) -> None:
        """
        Whatever the refusal: mail waits and is never bounced, the route is left alone for a while, one message says
        why, and the operator is told; then one session tries again.
        """
        for code in (
            b"535 5.7.8 wrong",
            b"534 5.7.9 too weak",
            b"432 4.7.12 change it",
            b"454 4.7.0 later",
            b"500 what?",
        ):
            world = self.world(self.options())
            mx, wants = self.peer(world)
            mx.on("AUTH", code)
            with capturedLogs() as events:
                for _ in range(5):
                    self.accept(world)
                world.advance(250)
            self.assertEqual((self.kinds(world).count("T"), self.kinds(world).count("P")), (1, 0))
            record = self.last(world, "T")
            self.assertIn(f"451 4.7.8 [internal] AUTH SCRAM-SHA-256 refused: {code.decode()}", record["note"])
            self.assertEqual(record["stage"], "23")
            self.assertEqual(self.verbs(mx).count(b"AUTH"), 1)
            self.assertEqual(self.verbs(mx)[-1], b"QUIT")
            told = [formatEvent(event) or "" for event in events]
            (line,) = [line for line in told if "waits for 300 s" in line]
            self.assertIn("example.com from binding default", line)
            suspension = world.service.delivery.facilities.suspension
            self.assertIn("AUTH", suspension.reason(0, "example.com", world.wall()))
            world.advance(100)
            self.assertEqual(self.verbs(mx).count(b"AUTH"), 2)
            self.assertEqual(wants.accepted, [])

    def test_corrected(self) -> None:
        """
        When the password was corrected and the configuration read anew, mail goes at once; so it does on a flush
        when the peer has come to its senses.
        """
        world = self.world(self.options("wrong"))
        mx, wants = self.peer(world)
        self.accept(world)
        world.advance(10)
        self.assertEqual((wants.refused, mx.ledger), (1, []))
        world.reload(self.options())
        self.accept(world)
        world.advance(10)
        self.assertEqual((wants.accepted, len(mx.ledger)), (["lea"], 1))
        self.USERS = {"lea": "changed"}
        world = self.world(self.options())
        mx, wants = self.peer(world)
        self.accept(world)
        world.advance(10)
        wants.users = {"lea": "hunter2"}
        world.advance(10)
        self.assertEqual(mx.ledger, [])
        world.service.flush("example.com")
        world.advance(10)
        self.assertEqual(len(mx.ledger), 1)

    def test_many_sessions(self) -> None:
        """
        A burst of sessions does not try a wrong password more often than there are connections at once.
        """
        world = self.world(self.options("wrong") + "[domain.'example.com']\nmax_outbound_connections = 8\n")
        _, wants = self.peer(world)
        for _ in range(400):
            self.accept(world)
        world.advance(290)
        self.assertLessEqual(wants.refused, 8)
        self.assertGreater(wants.refused, 0)

    def test_many_domains(self) -> None:
        """
        Domains behind one peer do not try the same wrong password one after the other.
        """
        world = self.world(self.options("wrong"))
        mx, wants = self.peer(world)
        for number in range(20):
            world.resolver.mx[f"d{number}.example"] = [(10, "mx1.example.com")]
            self.accept(world, [f"x@d{number}.example"])
            world.advance(5)
        self.assertEqual((wants.refused, mx.ledger), (1, []))
        self.assertEqual(self.kinds(world).count("T"), 20)
        world.advance(150)
        self.assertEqual(wants.refused, 1)

    def test_others_go_on(self) -> None:
        """
        What is held is one domain on one binding; the rest goes on.
        """
        world = self.world(self.options() + "[domain.'free.example']\noutbound_smtp_auth = 'no'\n")
        mx, _ = self.peer(world)
        mx.on("AUTH", b"535 no")
        free = world.exchanger("free.example")
        free.starttls = True
        self.accept(world)
        self.accept(world, ["x@free.example"])
        world.advance(10)
        self.assertEqual((mx.ledger, len(free.ledger)), ([], 1))

    def test_one_of_many(self) -> None:
        """
        A peer that refuses one more session while others of us are in good standing has enough of them, that is all.
        """
        world = self.world(self.options() + "[domain.'example.com']\nmax_outbound_connections = 4\n")
        mx, wants = self.peer(world)
        mx.on("AUTH", b"454 4.7.0 too many", skip=1)
        mx.add(SlowAcceptance(1.0))
        for _ in range(60):
            self.accept(world)
        world.advance(70)
        self.assertEqual((len(mx.ledger), self.kinds(world).count("T")), (60, 0))
        self.assertGreater(self.verbs(mx).count(b"AUTH"), 1)
        self.assertEqual(len(wants.accepted), 1)

    def test_impostor(self) -> None:
        """
        A server that says all is well and cannot show that it knows the password gets no mail; a challenge that makes
        no sense is cancelled.
        """
        for answer, reason, last in (
            (b"235 welcome", "did not show that it knows the password", b"QUIT"),
            (b"334 no sense", "not base64", b"QUIT"),
        ):
            world = self.world(self.options())
            mx, _ = self.peer(world)
            mx.on("AUTH", answer)
            mx.on("*", b"501 fine")
            self.accept(world)
            world.advance(10)
            self.assertIn("451 4.7.0 [internal] AUTH failed: SCRAM-SHA-256", self.note(world))
            self.assertIn(reason, self.note(world))
            self.assertEqual((mx.ledger, self.verbs(mx)[-1]), ([], last))
            self.assertEqual(b"*" in self.verbs(mx), answer.startswith(b"334"))

    def test_silent(self) -> None:
        """
        A peer that does not answer has as long as the option says.
        """
        world = self.world(self.options())
        mx, _ = self.peer(world)
        mx.on("AUTH", SILENCE)
        self.accept(world)
        world.advance(6)
        self.assertEqual(self.kinds(world), "R")
        world.advance(2)
        self.assertIn("451 4.4.2 [internal] no AUTH response", self.note(world))

    def test_secret(self) -> None:
        """
        Neither the password nor what is made of it is in a log, a record, a transcript or a repr.
        """
        for more in ("", "outbound_smtp_auth_type = ['LOGIN']\n", "outbound_smtp_auth_type = ['XOAUTH2']\n"):
            self.USERS = {"lea": "other"}
            world = self.world(self.options(more='tls = "required"\n' + more))
            names = [name.encode() for name in MECHANISMS]
            mx, wants = self.peer(world, mechanisms=names)
            with capturedLogs() as events:
                self.accept(world)
                world.advance(10)
            self.assertEqual(wants.refused, 1)
            lines = [line for _, line in mx.commands]
            begin = next(at for at, line in enumerate(lines) if line[:5] == b"AUTH ")
            said = [word for line in lines[begin : lines.index(b"QUIT")] for word in line.split(b" ") if len(word) > 15]
            texts = [str(events), repr(world.service.configuration.path(0, "example.com")), str(world.mainlog())]
            kept = world.service.delivery.facilities.transcripts
            texts.append("\n".join(line for attempt in kept.find() for line in attempt.transcript.lines()))
            for text in texts:
                self.assertNotIn("hunter2", text)
                self.assertNotIn("aHVudGVyMg", text)
                for word in said:
                    self.assertNotIn(word.decode(), text)


class HookTests(AuthCase):
    """
    Whoever has the credentials.
    """

    TLS = BASE + 'tls = "required"\n'

    def test_asked(self) -> None:
        """
        It is asked once a session, for the domain, binding and host; with what it says the session authenticates.
        """
        purse = Purse(Credentials("lea", "hunter2"))
        world = self.world(self.TLS, providers=[purse])
        mx, wants = self.peer(world)
        self.accept(world)
        self.accept(world)
        world.advance(5)
        self.assertEqual(purse.asked, [("example.com", 0, "mx1.example.com", b"")])
        self.assertEqual((wants.accepted, len(mx.ledger)), (["lea"], 2))

    def test_options(self) -> None:
        """
        Where it has none the options count; where they have none either nothing is said.
        """
        for config, accepted in ((self.options(), ["lea"]), (self.TLS, [])):
            world = self.world(config, providers=[Purse(succeed(None), None)])
            _, wants = self.peer(world)
            self.accept(world)
            world.advance(5)
            self.assertEqual(wants.accepted, accepted)

    def test_later(self) -> None:
        """
        A token may have to be fetched; meanwhile nothing is said, and when it has come it is used.
        """
        token: Deferred[Credentials] = Deferred()
        world = self.world(self.TLS, providers=[Purse(token)])
        mx, wants = self.peer(world, mechanisms=[b"PLAIN", b"OAUTHBEARER"])
        self.accept(world)
        world.advance(5)
        self.assertEqual(self.verbs(mx), [b"EHLO", b"STAR", b"EHLO"])
        token.callback(Credentials("lea", "hunter2", token=True))
        world.advance(1)
        self.assertEqual((wants.used, len(mx.ledger)), (["OAUTHBEARER"], 1))

    def test_renewed(self) -> None:
        """
        It is told what was said of the last credentials, so that it can renew them; until some are accepted.
        """
        old, new = Credentials("lea", "expired", token=True), Credentials("lea", "hunter2", token=True)
        purse = Purse(old, new)
        world = self.world(self.TLS, providers=[purse])
        mx, wants = self.peer(world, mechanisms=[b"XOAUTH2"])
        self.accept(world)
        world.advance(290)
        self.assertEqual((len(purse.asked), wants.refused), (1, 1))
        world.advance(400)
        self.assertEqual(purse.asked[1][3], b"535 5.7.8 Authentication credentials invalid")
        self.assertEqual(len(mx.ledger), 1)
        self.accept(world)
        world.advance(10)
        self.assertEqual(purse.asked[2][3], b"")

    def test_out_of_order(self) -> None:
        """
        If it has none because something is wrong, mail waits; it does not go without, nor with other credentials.
        """
        for answer in (KeyError("x"), "lea:hunter2", fail(KeyError("x")), succeed("lea")):
            world = self.world(self.options(), providers=[Purse(answer)])
            mx, wants = self.peer(world)
            self.accept(world)
            world.advance(3)
            self.assertEqual((wants.used, mx.ledger), ([], []))
            self.assertIn("451 4.7.0 [internal] no credentials for AUTH", self.note(world))
            self.flushLoggedErrors(KeyError)

    def test_too_late(self) -> None:
        """
        It is waited for no longer than for the peer.
        """
        never: Deferred[Credentials] = Deferred()
        cancelled: list[object] = []
        never.addErrback(cancelled.append)
        world = self.world(self.TLS, providers=[Purse(never)])
        self.peer(world)
        self.accept(world)
        world.advance(8)
        self.assertEqual(len(cancelled), 1)
        self.assertIn("no credentials for AUTH", self.note(world))

    def test_migration(self) -> None:
        """
        A connection that was opened with somebody's credentials carries nobody else's mail.
        """
        world = self.world(self.TLS, providers=[Purse(Credentials("lea", "hunter2"))])
        mx, wants = self.peer(world)
        world.resolver.mx["other.example"] = [(10, "mx1.example.com")]
        self.accept(world)
        world.advance(1)
        self.accept(world, ["c@other.example"])
        world.advance(1)
        self.assertEqual((len(mx.ledger), len(wants.accepted)), (2, 2))
