"""
8-bit content, and peers that do not offer 8BITMIME: ``send_8bitmime`` and
``transform_8bitmime_content``.
"""

from email import message_from_bytes

from momentum_tx.message.eight_bit import strip
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

TEXT = "Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße an Jürgen\r\n".encode()
SIGNED = b"DKIM-Signature: v=1; a=rsa-sha256; b=x\r\n" + TEXT


class EightBitTests(WorldCase):
    """
    What arrives, and what was said of it.
    """

    def deliver(
        self, options: str, content: bytes = TEXT, offered: bool = True, size: int | None = None
    ) -> tuple[World, Receiver]:
        """
        A message to a peer that offers 8BITMIME or not, and SIZE if a limit is given.
        """
        world = self.world(f"[global]\n{options}\n")
        mx = world.exchanger("example.com")
        mx.extensions = [b"8BITMIME"] if offered else []
        mx.size = size
        world.send(SENDER, [BOB], content)
        world.advance(1)
        return world, mx

    def arrived(self, options: str, content: bytes = TEXT, offered: bool = True) -> tuple[bytes, bool]:
        """
        What the peer got behind our trace field, and whether it was declared as 8-bit.
        """
        _, mx = self.deliver(options, content, offered)
        (mail,) = [line for _, line in mx.commands if line[:4] == b"MAIL"]
        (taken,) = mx.ledger
        first = content.partition(b":")[0]
        return taken.content[taken.content.index(first) :], mail.endswith(b" BODY=8BITMIME")

    def test_default(self) -> None:
        """
        Content is sent as it is, and declared where that is offered.
        """
        for options in ("", 'send_8bitmime = "ifavailable"', 'transform_8bitmime_content = "no"'):
            self.assertEqual(self.arrived(options), (TEXT, True))
            self.assertEqual(self.arrived(options, offered=False), (TEXT, False))

    def test_not_declared(self) -> None:
        """
        ``send_8bitmime = "no"`` declares nothing and changes nothing.
        """
        self.assertEqual(self.arrived('send_8bitmime = "no"'), (TEXT, False))
        self.assertEqual(self.arrived('send_8bitmime = "no"\ntransform_8bitmime_content = "strict"'), (TEXT, False))

    def test_ifneeded(self) -> None:
        """
        ``ifneeded`` takes the eighth bit away where the peer does not offer 8BITMIME;
        what is signed stays as it is.
        """
        options = 'transform_8bitmime_content = "ifneeded"'
        self.assertEqual(self.arrived(options), (TEXT, True))
        self.assertEqual(self.arrived(options, offered=False), (strip(TEXT), False))
        self.assertEqual(self.arrived(options, SIGNED, offered=False), (SIGNED, False))
        self.assertEqual(self.arrived(options + '\ndelivery_method = "SMTP"'), (strip(TEXT), False))

    def test_strip(self) -> None:
        """
        ``strip`` takes it away for every peer, and what is left is not 8-bit any more;
        what is signed stays as it is.
        """
        options = 'transform_8bitmime_content = "strip"'
        self.assertEqual(self.arrived(options), (strip(TEXT), False))
        self.assertEqual(self.arrived(options, offered=False), (strip(TEXT), False))
        self.assertEqual(self.arrived(options, SIGNED), (SIGNED, True))

    def test_strict(self) -> None:
        """
        ``strict`` sends quoted-printable to a peer that does not offer 8BITMIME, and
        who reads it reads the same.
        """
        options = 'transform_8bitmime_content = "strict"'
        self.assertEqual(self.arrived(options), (TEXT, True))
        arrived, declared = self.arrived(options, offered=False)
        self.assertFalse(declared)
        self.assertTrue(arrived.isascii())
        message = message_from_bytes(arrived)
        self.assertEqual(message["Content-Transfer-Encoding"], "quoted-printable")
        self.assertEqual(message.get_payload(decode=True), TEXT.partition(b"\r\n\r\n")[2])

    def test_strict_failures(self) -> None:
        """
        What cannot be encoded, or must not be, fails for ever and is not offered; the
        session goes on with what can.
        """
        options = 'transform_8bitmime_content = "strict"'
        for content, note in (
            (
                "Subject: Grüße\r\n\r\nx\r\n".encode("latin-1"),
                "554 5.6.3 [internal] 8BITMIME required but not advertised: a header field has 8-bit octets",
            ),
            (SIGNED, "554 5.6.2 [internal] 8BITMIME required but not advertised: the message is signed"),
        ):
            world, mx = self.deliver(options, content, offered=False)
            self.assertEqual(self.last(world, "P")["note"], note)
            self.assertEqual(self.verbs(mx), [b"EHLO"])
            world.send(SENDER, [BOB], TEXT)
            world.advance(1)
            self.assertEqual((len(mx.ledger), mx.connections), (1, 1))

    def test_seven_bit_text(self) -> None:
        """
        7-bit content is nobody's business, signed or not.
        """
        content = b"DKIM-Signature: x\r\nSubject: x\r\n\r\nx\r\n"
        for mode in ("ifneeded", "strict", "strip"):
            options = f'transform_8bitmime_content = "{mode}"'
            self.assertEqual(self.arrived(options, content, offered=False), (content, False))

    def test_size(self) -> None:
        """
        The size that is announced, and compared with the peer's limit, is that of
        what is sent.
        """
        options = 'transform_8bitmime_content = "strict"'
        content = b"Subject: x\r\n\r\n" + b"\xe4\xf6\xfc\xdf\r\n" * 200
        _, mx = self.deliver(options, content, offered=False, size=5000)
        (mail,) = [line for _, line in mx.commands if line[:4] == b"MAIL"]
        self.assertEqual(mail, b"MAIL FROM:<a@sender.example> SIZE=%d" % len(mx.ledger[0].content))
        self.assertGreater(len(mx.ledger[0].content), 200 * 14)
        world, mx = self.deliver(options, content, offered=False, size=2000)
        self.assertEqual((mx.ledger, self.last(world, "P")["note"][:9]), ([], "552 5.3.4"))
        _, mx = self.deliver("", content, offered=False, size=2000)
        self.assertEqual(len(mx.ledger), 1)

    def test_next_attempt(self) -> None:
        """
        What was encoded for one peer is what it was for the next.
        """
        world, mx = self.deliver('transform_8bitmime_content = "strict"\nretry_interval = 60', offered=False)
        mx.on("dot", b"451 4.3.0 Later", times=1)
        world.send(SENDER, [BOB], TEXT)
        world.advance(1)
        mx.extensions = [b"8BITMIME"]
        world.advance(70)
        self.assertTrue(mx.ledger[-1].content.endswith(TEXT))
