"""
Addresses of every kind on the wire, those beyond ASCII among them.
"""

from momentum_tx.errors import MessageRefused
from momentum_tx.outcomes import Verdict
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

NO_UTF8 = b"553 5.6.7 [internal] SMTPUTF8 required but not advertised"
JOERG = "jörg@example.com"
UTF8 = (b"8BITMIME", b"SMTPUTF8")
PLAIN_TEXT = b"Subject: x\r\n\r\nx\r\n"
UTF8_HEADER = "Subject: grüße\r\n\r\nx\r\n".encode()


class InternationalCase(WorldCase):
    """
    One peer, and what it hears.
    """

    def peer(self, world: World, *extensions: bytes, domain: str = "example.com") -> Receiver:
        """
        The exchanger of a domain.
        """
        mx = world.exchanger(domain)
        mx.extensions = list(extensions)
        return mx

    def heard(self, mx: Receiver) -> list[bytes]:
        """
        The MAIL and RCPT commands.
        """
        return [line for _, line in mx.commands if line[:4] in (b"MAIL", b"RCPT")]

    def notes(self, world: World, recipients: list[str], content: bytes, sender: str = SENDER) -> list[bytes]:
        """
        What becomes of each recipient.
        """
        sending = world.send(sender, recipients, content)
        world.advance(5)
        return [outcome.note for outcome in self.successResultOf(sending)]


class OfferedTests(InternationalCase):
    """
    A peer with SMTPUTF8.
    """

    def test_local_part(self) -> None:
        """
        The parameter, and the address as it was written; recipients in ASCII go along.
        """
        world = self.world()
        mx = self.peer(world, *UTF8)
        self.notes(world, [BOB, JOERG], PLAIN_TEXT)
        self.assertEqual(
            self.heard(mx),
            [
                b"MAIL FROM:<a@sender.example> SMTPUTF8",
                b"RCPT TO:<bob@example.com>",
                "RCPT TO:<jörg@example.com>".encode(),
            ],
        )

    def test_header(self) -> None:
        """
        A header in UTF-8 needs it as well, and its octets are declared.
        """
        world = self.world("[global]\nsend_8bitmime = 'no'\ntransform_8bitmime_content = 'strip'\n")
        mx = self.peer(world, *UTF8)
        self.notes(world, [BOB], UTF8_HEADER)
        self.assertEqual(self.heard(mx)[0], b"MAIL FROM:<a@sender.example> BODY=8BITMIME SMTPUTF8")
        self.assertTrue(mx.ledger[0].content.endswith(UTF8_HEADER))

    def test_domain(self) -> None:
        """
        Mail that needs it has its domains as they were written; mail that does not, in A-labels.
        """
        world = self.world()
        mx = self.peer(world, *UTF8, domain="xn--bcher-kva.example")
        self.notes(world, ["bob@bücher.example"], UTF8_HEADER)
        self.notes(world, ["bob@bücher.example"], PLAIN_TEXT, "a@bücher.example")
        self.assertEqual(
            self.heard(mx),
            [
                b"MAIL FROM:<a@sender.example> BODY=8BITMIME SMTPUTF8",
                "RCPT TO:<bob@bücher.example>".encode(),
                b"MAIL FROM:<a@xn--bcher-kva.example>",
                b"RCPT TO:<bob@xn--bcher-kva.example>",
            ],
        )

    def test_asked_for(self) -> None:
        """
        A client that asks for SMTPUTF8 gets it, for it may know more than we look at.
        """
        world = self.world()
        mx = self.peer(world, *UTF8)
        self.assertEqual(world.inject(SENDER, [BOB], PLAIN_TEXT, parameters=["SMTPUTF8"])[:3], b"250")
        world.advance(5)
        self.assertEqual(self.heard(mx)[0], b"MAIL FROM:<a@sender.example> SMTPUTF8")

    def test_not_asked_for(self) -> None:
        """
        A client that writes UTF-8 into its header without asking gets what it got so far.
        """
        for extensions in (UTF8, UTF8[:1], ()):
            world = self.world()
            mx = self.peer(world, *extensions)
            self.assertEqual(world.inject(SENDER, [BOB], UTF8_HEADER)[:3], b"250")
            world.advance(5)
            self.assertEqual(self.heard(mx)[0], b"MAIL FROM:<a@sender.example>" + b" BODY=8BITMIME" * bool(extensions))
            self.assertTrue(mx.ledger[0].content.endswith(UTF8_HEADER))


class NotOfferedTests(InternationalCase):
    """
    A peer without SMTPUTF8.
    """

    def test_local_part(self) -> None:
        """
        The recipient that needs it fails, alone; the others go in one transaction.
        """
        for extensions in ((), UTF8[:1], UTF8[1:]):
            world = self.world()
            mx = self.peer(world, *extensions)
            notes = self.notes(world, [BOB, JOERG, "carol@example.com"], PLAIN_TEXT)
            self.assertEqual(notes, [b"250 2.0.0 Taken", NO_UTF8, b"250 2.0.0 Taken"])
            self.assertEqual(
                self.heard(mx),
                [b"MAIL FROM:<a@sender.example>", b"RCPT TO:<bob@example.com>", b"RCPT TO:<carol@example.com>"],
            )
            dr = world.domain("example.com")
            self.assertEqual((dr.attempts, dr.deliveries, dr.failures, dr.in_flight), (2, 2, 1, 0))

    def test_throttled(self) -> None:
        """
        Who is left out takes no room from a throttle.
        """
        world = self.world("[global]\noutbound_throttle_messages = '3/3600'\n")
        mx = self.peer(world)
        self.notes(world, [BOB, JOERG, "j\u00fcrgen@example.com", "carol@example.com"], PLAIN_TEXT)
        self.notes(world, ["dave@example.com"], PLAIN_TEXT)
        self.assertEqual(len(self.taken(mx)), 3)

    def test_all_need_it(self) -> None:
        """
        Where nobody is left the peer hears nothing of the message.
        """
        world = self.world()
        mx = self.peer(world)
        self.assertEqual(self.notes(world, [JOERG], PLAIN_TEXT), [NO_UTF8])
        self.assertEqual(self.notes(world, [BOB], PLAIN_TEXT, "jörg@sender.example"), [NO_UTF8])
        self.assertEqual(self.heard(mx), [])

    def test_header(self) -> None:
        """
        A header in UTF-8 fails everybody; UTF-8 in the body alone does not, nor octets that are no UTF-8.
        """
        world = self.world()
        mx = self.peer(world)
        self.assertEqual(self.notes(world, [BOB, "carol@example.com"], UTF8_HEADER), [NO_UTF8] * 2)
        self.assertEqual(self.heard(mx), [])
        for content in ("Subject: x\r\n\r\ngrüße\r\n".encode(), b"Subject: gr\xfc\xdfe\r\n\r\nx\r\n"):
            self.assertEqual(self.notes(world, [BOB], content), [b"250 2.0.0 Taken"])
        self.assertEqual(self.heard(mx)[::2], [b"MAIL FROM:<a@sender.example>"] * 2)

    def test_asked_for_in_vain(self) -> None:
        """
        Who asked for SMTPUTF8 and needs nothing of it gets through.
        """
        world = self.world()
        mx = self.peer(world, domain="xn--bcher-kva.example")
        recipients = ["bob@bücher.example", "jörg@bücher.example"]
        world.inject("a@bücher.example", recipients, PLAIN_TEXT, parameters=["SMTPUTF8"])
        world.advance(5)
        self.assertEqual(
            self.heard(mx), [b"MAIL FROM:<a@xn--bcher-kva.example>", b"RCPT TO:<bob@xn--bcher-kva.example>"]
        )
        self.assertEqual(self.last(world, "P")["note"], NO_UTF8.decode())


class OddAddressTests(InternationalCase):
    """
    What an address may look like at all.
    """

    def test_exact(self) -> None:
        """
        The octets of an unusual address are on the wire as they were given.
        """
        world = self.world()
        mx = self.peer(world)
        local = "x" * 64
        odd = [
            '"a@b"@example.com',
            '"a>b"@example.com',
            '"a b"@example.com',
            '"a\\"b"@example.com',
            f"{local}@example.com",
            "A+B%c!d@EXAMPLE.com",
        ]
        self.assertEqual(world.inject("", odd, PLAIN_TEXT)[:3], b"250")
        world.advance(5)
        self.assertEqual(self.heard(mx), [b"MAIL FROM:<>", *(b"RCPT TO:<%b>" % address.encode() for address in odd)])

    def test_longest(self) -> None:
        """
        254 octets are the most an address may have: with its brackets 256.
        """
        world = self.world()
        domain = ".".join(["d" * 60] * 3 + ["e" * 6])
        longest = f"{'x' * 64}@{domain}"
        self.assertEqual(len(longest), 254)
        mx = self.peer(world, domain=domain)
        self.assertEqual(self.notes(world, [longest], PLAIN_TEXT), [b"250 2.0.0 Taken"])
        self.assertEqual(self.heard(mx)[1], b"RCPT TO:<%b>" % longest.encode())
        self.assertEqual(world.inject(SENDER, [longest.replace("e", "ee", 1)], PLAIN_TEXT)[:3], b"501")
        self.assertEqual(world.inject(SENDER, [f"{'x' * 65}@example.com"], PLAIN_TEXT)[:3], b"501")

    def test_literals(self) -> None:
        """
        An address literal is connected to unless that is prohibited; what is none is
        refused as it comes in, whatever it might mean to a resolver.
        """
        world = self.world()
        mx = world.receiver("192.0.2.77")
        self.assertEqual(self.notes(world, ["bob@[192.0.2.77]"], PLAIN_TEXT), [b"250 2.0.0 Taken"])
        self.assertEqual(self.heard(mx)[1], b"RCPT TO:<bob@[192.0.2.77]>")
        for literal in ("[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:10.0.0.1]"):
            sending = world.send(SENDER, [f"bob@{literal}"], PLAIN_TEXT)
            world.advance(5)
            (outcome,) = self.successResultOf(sending)
            self.assertIs(outcome.verdict, Verdict.PERMANENT)
        for nonsense in (
            "[1]",
            "[0x7f.1]",
            "[127.1]",
            "[::1]",
            "[IPv6:::1%lo]",
            "[192.0.2.77",
            "[]",
            "[mx.example.com]",
        ):
            self.assertEqual(world.inject(SENDER, [f"bob@{nonsense}"], PLAIN_TEXT)[:3], b"501", nonsense)
            self.failureResultOf(world.send(SENDER, [f"bob@{nonsense}"], PLAIN_TEXT), MessageRefused)

    def test_twins(self) -> None:
        """
        A mailbox that was named twice, however its domain was written, is named once in a
        transaction, and each of those that were injected has its end.
        """
        world = self.world()
        mx = self.peer(world, domain="xn--bcher-kva.example")
        twins = ["Bob@bücher.example", "bob@bücher.example", "bob@XN--bcher-kva.EXAMPLE", "bob@bücher.example"]
        self.assertEqual(self.notes(world, twins, PLAIN_TEXT), [b"250 2.0.0 Taken"] * 4)
        self.assertEqual(
            [taken.recipients for taken in mx.ledger],
            [
                (b"Bob@xn--bcher-kva.example", b"bob@xn--bcher-kva.example"),
                (b"bob@XN--bcher-kva.EXAMPLE",),
                (b"bob@xn--bcher-kva.example",),
            ],
        )
