"""
What is said behind MAIL FROM, RCPT TO and XCLIENT: by whom, and what becomes of it
where the peer stumbles over it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ISmtpClientMailfromArgs, ISmtpClientRcpttoArgs, ISmtpClientXclientArgs
from momentum_tx.smtp.arguments import CommandArguments
from momentum_tx.testing.peers import CLOSE, SILENCE, Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase

CAROL = "carol@example.com"
DAVE = "dave@example.com"
CONFIG = "[global]\nmax_outbound_connections = 1\nretry_interval = 6000\nidle_timeout = 60\nrset_timeout = 9\n"


@implementer(ISmtpClientMailfromArgs, ISmtpClientRcpttoArgs, ISmtpClientXclientArgs)
class Args:
    """
    Does with arguments what it was made to do.
    """

    def __init__(
        self,
        mail: Callable[[Any], Any] = lambda args: None,
        rcpt: Callable[[Any, Any], Any] = lambda msg, args: None,
        xclient: Callable[[Any], Any] = lambda args: None,
    ) -> None:
        self.mail, self.rcpt, self.xclient = mail, rcpt, xclient

    def smtp_client_mailfrom_args(self, session: Any, args: Any) -> Any:
        assert session.message is not None
        assert isinstance(args, CommandArguments)
        return self.mail(args)

    def smtp_client_rcptto_args(self, session: Any, msg: Any, args: Any) -> Any:
        return self.rcpt(msg, args)

    def smtp_client_xclient_args(self, session: Any, args: Any) -> Any:
        return self.xclient(args)


class ArgumentCase(WorldCase):
    """
    A world with somebody who has a say.
    """

    def told(self, args: Args, config: str = CONFIG) -> tuple[World, Receiver]:
        """
        A world and its peer.
        """
        world = self.world(config, providers=[args])
        mx = world.exchanger("example.com")
        mx.size = 1000000
        return world, mx

    def lines(self, mx: Receiver, verb: bytes) -> list[bytes]:
        """
        What was said with a verb.
        """
        return [line for _, line in mx.commands if line.startswith(verb)]


class HookTests(ArgumentCase):
    """
    The three hooks.
    """

    def test_added(self) -> None:
        """
        What is added is said, what is deleted is not, for each recipient by itself.
        """

        def mail(args: Any) -> None:
            args.delete(b"SIZE")
            args.add(b"XVERP", b"x")

        def rcpt(msg: Any, args: Any) -> None:
            if msg.recipient == CAROL.encode():
                args.add(b"XCAROL")

        world, mx = self.told(Args(mail, rcpt))
        self.accept(world, [BOB, CAROL])
        world.advance(5)
        self.assertEqual(self.lines(mx, b"MAIL"), [b"MAIL FROM:<a@sender.example> XVERP=x"])
        self.assertEqual(self.lines(mx, b"RCPT"), [b"RCPT TO:<bob@example.com>", b"RCPT TO:<carol@example.com> XCAROL"])
        self.assertEqual(len(self.taken(mx)), 2)

    def test_failed(self) -> None:
        """
        Whoever says no, raises, or says what cannot be said, has the message fail for now with Momentum's note.
        """
        for does, note in (
            (lambda args: True, "MAIL FROM argument hook failed"),
            (lambda args: 1 / 0, "MAIL FROM argument hook failed"),
            (lambda args: args.add(b"A B"), "MAIL FROM argument hook failed"),
            (lambda args: args.add(b"X", b"y" * 2000), "MAIL FROM arguments too long"),
        ):
            world, mx = self.told(Args(does))
            self.accept(world)
            world.advance(5)
            self.assertEqual((self.kinds(world), mx.ledger), ("RT", []))
            self.assertEqual(self.last(world, "T")["note"], f"451 4.4.2 [internal] {note}")
            self.assertEqual(self.lines(mx, b"MAIL"), [])
            self.flushLoggedErrors(ZeroDivisionError, ValueError)

    def test_one_recipient(self) -> None:
        """
        Of several recipients only those fail of whom nothing can be said; where that is all of them nothing is said.
        """
        for does, note in (
            (lambda args: True, "RCPT TO argument hook failed"),
            (lambda args: args.add(b"X", b"y" * 2000), "RCPT TO arguments too long"),
        ):
            world, mx = self.told(Args(rcpt=lambda msg, args: does(args) if b"carol" in msg.recipient else None))  # noqa: B023
            self.accept(world, [BOB, CAROL, DAVE])
            world.advance(5)
            self.assertEqual(self.taken(mx), [BOB.encode(), DAVE.encode()])
            self.assertEqual(sorted(self.kinds(world)), ["D", "D", "R", "R", "R", "T"])
            self.assertEqual(self.last(world, "T")["note"], f"451 4.4.2 [internal] {note}")
            self.accept(world, [CAROL])
            world.advance(5)
            self.assertEqual((self.kinds(world).count("T"), len(self.lines(mx, b"MAIL"))), (2, 1))

    def test_xclient(self) -> None:
        """
        The attributes of a client may be changed, and mail kept from going without.
        """

        def rename(args: Any) -> None:
            args.add(b"NAME", b"client.example")
            args.delete(b"HELO")

        config = CONFIG + 'xclient = "ifavailable"\n'
        world, mx = self.told(Args(xclient=rename), config)
        mx.xclient = (b"NAME", b"ADDR", b"HELO")
        self.accept(world)
        world.advance(5)
        self.assertEqual(self.lines(mx, b"XCLI"), [b"XCLIENT NAME=client.example ADDR=127.0.0.1"])
        self.assertEqual(len(mx.ledger), 1)
        for does in (lambda args: True, lambda args: [args.delete(name) for name in list(args)] and None):
            world, mx = self.told(Args(xclient=does), config)
            mx.xclient = (b"NAME", b"ADDR", b"HELO")
            self.accept(world)
            world.advance(5)
            self.assertEqual((self.lines(mx, b"XCLI"), mx.ledger), ([], []))
            self.assertEqual(self.last(world, "T")["note"], "451 4.4.2 [internal] XCLIENT argument hook failed")

    def test_xclient_too_long(self) -> None:
        """
        What makes more of a client than a command may have, or no command at all, fails the message for now, wherever
        its content comes from: it is not under way for ever.
        """

        def meddle(args: Any) -> None:
            args._found[b"NAME"] = b"two\rlines"

        long, senseless = "XCLIENT arguments too long", "envelope does not fit into commands"
        for config in (CONFIG, CONFIG + "body_cache_size = 0\n"):
            for does, note in ((lambda args: args.add(b"NAME", b"y" * 600), long), (meddle, senseless)):
                with self.subTest(config=config, note=note):
                    world, mx = self.told(Args(xclient=does), config + 'xclient = "ifavailable"\n')
                    mx.xclient = (b"NAME", b"ADDR", b"HELO")
                    self.accept(world)
                    world.advance(30)
                    self.assertEqual((self.lines(mx, b"XCLI"), mx.ledger), ([], []))
                    self.assertIn(note, self.last(world, "T")["note"])
                    self.assertEqual(world.domain("example.com").in_flight, 0)
                    self.flushLoggedErrors()


class StumblingTests(ArgumentCase):
    """
    Peers that do not take the parameters they offer (M03).
    """

    def stumbles(self, code: bytes = b"555 5.5.4 no parameters", config: str = CONFIG) -> tuple[World, Receiver]:
        """
        A peer that refuses MAIL with anything behind the path.
        """
        world = self.world(config)
        mx = world.exchanger("example.com")
        mx.size = 1000000
        mx.on("MAIL", lambda session, line: code if line[-1:] != b">" else None)
        return world, mx

    def test_once_more(self) -> None:
        """
        The message goes once more without them, in the same session, and that is one attempt.
        """
        for code in (b"555 5.5.4 no parameters", b"501 5.5.4 what?"):
            world, mx = self.stumbles(code)
            self.accept(world, [BOB, CAROL])
            self.accept(world)
            world.advance(5)
            self.assertEqual((self.kinds(world).count("D"), self.kinds(world).count("T"), mx.connections), (3, 0, 1))
            verbs = [verb for verb in self.verbs(mx) if verb in (b"MAIL", b"RSET", b"DATA")]
            self.assertEqual(verbs, [b"MAIL", b"DATA", b"RSET", b"MAIL", b"DATA"] * 2)
            dr = world.domain("example.com")
            self.assertEqual((dr.attempts, dr.in_flight), (3, 0))

    def test_for_ever(self) -> None:
        """
        A peer that refuses without them too has refused, and so has one that refused what was said without any.
        """
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        mx.size = 1000000
        mx.on("MAIL", b"555 5.5.4 never")
        self.accept(world)
        world.advance(5)
        self.assertEqual((self.kinds(world), len(self.lines(mx, b"MAIL"))), ("RP", 2))
        self.assertEqual(self.last(world, "P")["note"], "555 5.5.4 never")
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        mx.on("MAIL", b"555 5.5.4 never")
        self.accept(world)
        world.advance(5)
        self.assertEqual((self.kinds(world), len(self.lines(mx, b"MAIL"))), ("RP", 1))

    def test_other_refusals(self) -> None:
        """
        No other refusal has anything to do with parameters.
        """
        for code, kinds in (
            (b"550 5.7.1 no", "RP"),
            (b"553 5.1.8 no", "RP"),
            (b"451 later", "RT"),
            (b"452 full", "RT"),
        ):
            world, mx = self.stumbles(code)
            self.accept(world)
            world.advance(5)
            self.assertEqual((self.kinds(world), len(self.lines(mx, b"MAIL"))), (kinds, 1))

    def test_recipients(self) -> None:
        """
        Recipients that are refused for what is said behind their path go once more without, the others with.
        """
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        mx.extensions.append(b"DSN")
        mx.on("RCPT", lambda session, line: b"555 5.5.4 no" if b"carol" in line and line[-1:] != b">" else None)
        world.send("a@sender.example", [BOB, CAROL], world.message(), notify=["failure", "failure"])
        world.advance(5)
        self.assertEqual(self.taken(mx), [BOB.encode(), CAROL.encode()])
        self.assertEqual((self.kinds(world), mx.connections), ("RRDD", 1))
        self.assertIn(b"RCPT TO:<carol@example.com>", self.lines(mx, b"RCPT"))
        self.assertEqual(world.domain("example.com").attempts, 2)

    def test_forgetting(self) -> None:
        """
        A peer that does not forget the first try, or goes away meanwhile, costs the message its attempt.
        """
        for answer in (b"500 what?", CLOSE, SILENCE, b"421 enough"):
            world, mx = self.stumbles()
            mx.on("RSET", answer)
            self.accept(world)
            world.advance(60)
            self.assertEqual((self.kinds(world), mx.ledger), ("RT", []), answer)
            self.assertEqual(world.domain("example.com").in_flight, 0)

    def test_stopped(self) -> None:
        """
        A service that stops in between has the message as it was.
        """
        world, mx = self.stumbles()
        mx.on("RSET", SILENCE)
        self.accept(world)
        world.advance(5)
        world.stop()
        self.assertEqual((self.kinds(world), mx.ledger), ("R", []))

    def test_must_be_said(self) -> None:
        """
        Content that is not to go undeclared is made fit to go without, and an address that cannot be said without
        SMTPUTF8 fails.
        """
        world, mx = self.stumbles(config=CONFIG + 'transform_8bitmime_content = "strict"\n')
        world.inject(
            "a@sender.example",
            [BOB],
            world.message(body="Grüße\r\n", MIME_Version="1.0", Content_Type="text/plain; charset=utf-8"),
        )
        world.advance(5)
        (taken,) = mx.ledger
        self.assertTrue(taken.content.isascii())
        self.assertIn(b"Gr=C3=BC=C3=9Fe", taken.content)
        self.assertEqual([line[-1:] for line in self.lines(mx, b"MAIL")], [b"E", b">"])
