"""
What a peer is told before a message: our name, and the client's.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery.introduction import Due, Introduction, ehlo_name
from momentum_tx.message.trace import received
from momentum_tx.queues.message import Reception
from momentum_tx.settings import PathSettings
from momentum_tx.testing.peers import CLOSE, RESET, SILENCE, Receiver, Step
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

OFFERED = (b"NAME", b"ADDR", b"PROTO", b"HELO")


def mail(address: str = "192.0.2.7", helo: str = "client.example") -> tuple[Reception, bytes]:
    """
    A reception from a client, and its content.
    """
    content = received(helo, address, "mta.example", "esmtp", "id", None, 0.0) + b"\r\n"
    return Reception(b"a@b.example", 0.0, len(content), "id", recv_method="esmtp", recv_from=address), content


class EhloNameTests(SynchronousTestCase):
    """
    ``ehlo_hostname``.
    """

    def test_names(self) -> None:
        """
        A name as written, our own, or the sender's domain where there is one that can be said.
        """
        for option, sender, name in (
            ("out.example", b"a@b.example", b"out.example"),
            ("__hostname__", b"a@b.example", b"mta.example"),
            ("__message__", b"a@b.example", b"b.example"),
            ("__message__", b"", b"mta.example"),
            ("__message__", "a@bücher.example".encode(), b"mta.example"),
            ("__message__", None, b"mta.example"),
        ):
            reception = None if sender is None else Reception(sender, 0.0, 0, "id")
            self.assertEqual(ehlo_name(PathSettings(ehlo_hostname=option), "mta.example", reception, "192.0.2.1"), name)

    def test_no_name(self) -> None:
        """
        Where this host has no name that means anything elsewhere, it is its address (RFC 5321 4.1.4).
        """
        for source, name in (("192.0.2.1", b"[192.0.2.1]"), ("2001:db8::1", b"[IPv6:2001:db8::1]")):
            for settings in (PathSettings(), PathSettings(ehlo_hostname="__message__")):
                reception = Reception(b"", 0.0, 0, "id")
                self.assertEqual(ehlo_name(settings, "localhost", reception, source), name)
        written = PathSettings(ehlo_hostname="[192.0.2.9]")
        self.assertEqual(ehlo_name(written, "localhost", None, "192.0.2.1"), b"[192.0.2.9]")


class IntroductionTests(SynchronousTestCase):
    """
    What has to be said before a message.
    """

    def told(self, introduction: Introduction, *client: str) -> None:
        """
        The peer is told of a client and believes it.
        """
        self.assertIs(introduction.due(*mail(*client), OFFERED), Due.TELL)
        introduction.taken()

    def test_no(self) -> None:
        """
        Nobody is told anything unless that is wanted.
        """
        self.assertFalse(Introduction("no").needed)
        self.assertTrue(Introduction("ifavailable").needed)
        self.assertTrue(Introduction("required").needed)

    def test_told(self) -> None:
        """
        A client is told of before its first message, and again after another one's.
        """
        introduction = Introduction("ifavailable")
        self.assertIs(introduction.due(*mail(), OFFERED), Due.TELL)
        self.assertEqual(introduction.words, b"NAME=[UNAVAILABLE] ADDR=192.0.2.7 PROTO=ESMTP HELO=client.example")
        introduction.taken()
        self.assertIs(introduction.due(*mail(), OFFERED), Due.NOTHING)
        self.told(introduction, "192.0.2.8")
        self.told(introduction, "192.0.2.7")
        self.told(introduction, "192.0.2.7", "other.example")

    def test_not_offered(self) -> None:
        """
        A peer that wants to know nothing gets the message, or where it has to know does not.
        """
        for offered in ((), (b"LOGIN",)):
            self.assertIs(Introduction("ifavailable").due(*mail(), offered), Due.NOTHING)
            self.assertIs(Introduction("required").due(*mail(), offered), Due.FAIL)

    def test_not_offered_any_more(self) -> None:
        """
        A peer that was told of one client, and wants to know of no other, is not given
        another one's mail on that connection; of the same it may have more.
        """
        introduction = Introduction("ifavailable")
        self.told(introduction)
        self.assertIs(introduction.due(*mail(), ()), Due.NOTHING)
        self.assertIs(introduction.due(*mail("192.0.2.8"), ()), Due.MOVE)
        introduction = Introduction("required")
        self.told(introduction)
        self.assertIs(introduction.due(*mail(), ()), Due.NOTHING)
        self.assertIs(introduction.due(*mail("192.0.2.8"), ()), Due.FAIL)

    def test_refused(self) -> None:
        """
        A peer that refuses is not asked again, unless it has to know; then it is asked
        for each message.
        """
        introduction = Introduction("ifavailable")
        introduction.due(*mail(), OFFERED)
        self.assertIs(introduction.refused(), Due.NOTHING)
        self.assertFalse(introduction.needed)
        introduction = Introduction("required")
        for _ in range(2):
            self.assertIs(introduction.due(*mail(), OFFERED), Due.TELL)
            self.assertIs(introduction.refused(), Due.FAIL)
            self.assertTrue(introduction.needed)

    def test_refused_after_another(self) -> None:
        """
        Where another client was accepted before, it is not known whom the peer takes us
        for after a refusal.
        """
        introduction = Introduction("ifavailable")
        self.told(introduction)
        introduction.due(*mail("192.0.2.8"), OFFERED)
        self.assertIs(introduction.refused(), Due.MOVE)
        introduction = Introduction("required")
        self.told(introduction)
        introduction.due(*mail("192.0.2.8"), OFFERED)
        self.assertIs(introduction.refused(), Due.FAIL)
        self.assertIs(introduction.due(*mail(), OFFERED), Due.TELL)


class SessionTests(WorldCase):
    """
    ``xclient``, as the peer and the operator see it.
    """

    def trusting(
        self, mode: str = "ifavailable", config: str = "", attributes: tuple[bytes, ...] = OFFERED
    ) -> tuple[World, Receiver]:
        """
        A world with a peer that wants to know of clients.
        """
        world = self.world(
            f'[global]\nxclient = "{mode}"\nmax_outbound_connections = 1\nretry_interval = 6000\nidle_timeout = 60\n'
            + config
        )
        mx = world.exchanger("example.com")
        mx.xclient = attributes
        return world, mx

    def from_client(self, world: World, source: str, subject: str = "x") -> None:
        """
        A client hands a message over.
        """
        self.assertEqual(world.inject(SENDER, [BOB], world.message(subject), source)[:3], b"250")
        world.advance(1)

    def test_told(self) -> None:
        """
        Before a message XCLIENT says who the client was, and the session begins anew
        with EHLO; a message of the same client needs neither.
        """
        world, mx = self.trusting(config='relay_hosts = ["192.0.2.0/24", "127.0.0.0/8"]\n')
        self.from_client(world, "127.0.0.1", "one")
        self.from_client(world, "127.0.0.1", "two")
        self.from_client(world, "192.0.2.2", "three")
        hello = [b"EHLO", b"XCLI", b"EHLO"]
        message = [b"MAIL", b"RCPT", b"DATA"]
        self.assertEqual(self.verbs(mx), [*hello, *message, *message, *hello[1:], *message])
        told = {b"NAME": b"[UNAVAILABLE]", b"PROTO": b"ESMTP", b"HELO": b"client.example"}
        self.assertEqual(
            [taken.told for taken in mx.ledger],
            [{**told, b"ADDR": address} for address in (b"127.0.0.1", b"127.0.0.1", b"192.0.2.2")],
        )
        self.assertEqual((self.kinds(world), mx.connections), ("RDRDRD", 1))

    def test_off(self) -> None:
        """
        By default nobody is told, whatever is offered.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.xclient = OFFERED
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.verbs(mx), [b"EHLO", b"MAIL", b"RCPT", b"DATA"])

    def test_in_process(self) -> None:
        """
        The application's own mail has no client.
        """
        world, mx = self.trusting()
        world.send(SENDER, [BOB], world.message())
        world.advance(1)
        self.assertEqual(mx.ledger[0].told[b"ADDR"], b"[UNAVAILABLE]")

    def test_new_offers(self) -> None:
        """
        What the peer offers for that client is what counts.
        """
        world, mx = self.trusting()
        mx.size = 100_000
        mx.on("XCLIENT", lambda session, line: setattr(mx, "size", 100))
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.last(world, "P")["note"][:9], "552 5.3.4")

    def test_not_offered(self) -> None:
        """
        Without the offer mail is delivered as ever, or waits where it is required; the
        session goes on to the next.
        """
        world, mx = self.trusting(attributes=())
        self.accept(world)
        world.advance(1)
        self.assertEqual((self.kinds(world), b"XCLI" in self.verbs(mx)), ("RD", False))
        world, mx = self.trusting("required", attributes=())
        self.accept(world, [BOB, "carol@example.com"])
        self.accept(world)
        world.advance(1)
        self.assertEqual((self.kinds(world).count("T"), mx.ledger, mx.connections), (3, [], 1))
        self.assertEqual(self.last(world, "T")["note"], "451 4.7.6 [internal] XCLIENT required but not advertised")

    def test_refused(self) -> None:
        """
        Refused, mail goes on without after another EHLO and it is not tried again on
        that connection, or the message waits where it is required.
        """
        world, mx = self.trusting()
        mx.on("XCLIENT", b"550 5.7.0 Not from you")
        self.accept(world, subject="one")
        world.advance(1)
        self.accept(world, subject="two")
        world.advance(1)
        self.assertEqual(
            self.verbs(mx), [b"EHLO", b"XCLI", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"MAIL", b"RCPT", b"DATA"]
        )
        self.assertEqual((self.kinds(world), mx.ledger[0].told), ("RDRD", {}))
        world, mx = self.trusting("required")
        mx.on("XCLIENT", b"450 4.7.0 Not now", times=1)
        self.accept(world, subject="one")
        world.advance(1)
        self.assertEqual(
            self.last(world, "T")["note"],
            "451 4.7.6 [internal] XCLIENT required but refused: 450 4.7.0 Not now",
        )
        self.accept(world, subject="two")
        world.advance(1)
        self.assertEqual((self.kinds(world), mx.connections), ("RTRD", 1))

    def test_another_client_refused(self) -> None:
        """
        A client that is refused after another was accepted gets a connection of its
        own; its mail never passes for the other's.
        """
        world, mx = self.trusting(config='relay_hosts = ["192.0.2.0/24", "127.0.0.0/8"]\n')
        mx.on("XCLIENT", b"550 5.7.0 Not that one", skip=1)
        self.from_client(world, "127.0.0.1")
        self.from_client(world, "192.0.2.2")
        world.advance(5)
        self.assertEqual([(taken.connection, b"ADDR" in taken.told) for taken in mx.ledger], [(1, True), (2, False)])
        self.assertEqual(self.kinds(world), "RDRD")

    def test_ehlo_refused_afterwards(self) -> None:
        """
        A peer that takes the client's name and then will not have it: the message waits.
        """
        world, mx = self.trusting()
        mx.on("EHLO", b"450 4.7.1 Not that client", skip=1)
        self.accept(world)
        world.advance(1)
        self.assertEqual((self.kinds(world), self.last(world, "T")["note"]), ("RT", "450 4.7.1 Not that client"))
        self.assertEqual(mx.open, [])

    def test_session_ends(self) -> None:
        """
        A session that ends while the client is told of: the message is tried again,
        and nobody thinks that it was sent.
        """
        steps: tuple[Step, ...] = (CLOSE, RESET, SILENCE, b"421 4.3.2 Enough", b"rubbish", b"354 Go on")
        for step in steps:
            world, mx = self.trusting(config="ehlo_timeout = 20\n")
            mx.on("XCLIENT", step, times=1)
            self.accept(world)
            world.advance(30)
            self.assertEqual(self.kinds(world), "RT", step)
            self.assertEqual((world.domain("example.com").in_flight, mx.open), (0, []), step)
            (message,) = world.domain("example.com").mail_queue.messages()
            self.assertEqual(message.ambiguous, 0)

    def test_stopped_meanwhile(self) -> None:
        """
        A service that is stopping sends nothing any more once the client is known.
        """
        world, mx = self.trusting()

        def stop(*_: object) -> None:
            world.service.stopService()

        mx.on("XCLIENT", stop, times=1)
        self.accept(world)
        world.advance(40)
        self.assertEqual((mx.ledger, self.kinds(world)), ([], "R"))
        world.build()
        world.start()
        world.advance(5)
        self.assertEqual(self.kinds(world), "RD")

    def test_tls(self) -> None:
        """
        It is told through TLS, which is not asked for a second time.
        """
        world, mx = self.trusting(config='tls = "required"\n')
        mx.starttls = True
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.verbs(mx), [b"EHLO", b"STAR", b"EHLO", b"XCLI", b"EHLO", b"MAIL", b"RCPT", b"DATA"])
        world, mx = self.trusting(config='tls = "ifavailable"\n')
        mx.starttls = True
        mx.on("STARTTLS", b"454 4.7.0 Not now")
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.verbs(mx).count(b"STAR"), 1)
        self.assertEqual(self.kinds(world), "RD")

    def test_lmtp(self) -> None:
        """
        LMTP can do it as well, with LHLO.
        """
        world = self.world('[global]\nxclient = "required"\ndelivery_method = "LMTP"\n')
        mx = world.exchanger("example.com", port=2003)
        mx.lmtp, mx.xclient = True, OFFERED
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.verbs(mx), [b"LHLO", b"XCLI", b"LHLO", b"MAIL", b"RCPT", b"DATA"])
