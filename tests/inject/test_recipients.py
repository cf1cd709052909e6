"""
Recipients that are refused at the door.
"""

from __future__ import annotations

from momentum_tx.errors import MessageRefused
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

EVE = "eve@example.net"
BLACKHOLED = b"551 5.7.1 recipient blackholed"
LITERAL = b"550 5.1.2 Mail to address literals is not taken"
INTERNAL = "554 5.7.0 [internal] Blackholed"


class DoorCase(WorldCase):
    """
    What the door says.
    """

    def refused(
        self, world: World, reply: bytes, recipient: str = BOB, source: str = "127.0.0.1", **fields: str
    ) -> None:
        """
        Mail is refused, over SMTP and in process, and nothing of it is kept.
        """
        said = world.inject(SENDER, [recipient], world.message(**fields), source)
        self.assertEqual(said.rstrip(), reply)
        sending = world.send(SENDER, [recipient], world.message(**fields))
        world.advance(1)
        error = self.failureResultOf(sending, MessageRefused).value
        self.assertEqual(str(error).encode(), reply)
        self.assertEqual((world.queued(), self.kinds(world)), (0, ""))


class InlineBlackholeTests(DoorCase):
    """
    ``blackhole = true`` and ``"inline"``.
    """

    def test_domain(self) -> None:
        """
        Mail for the domain is refused at RCPT TO; other recipients of the same
        message get theirs.
        """
        for value in ("true", '"inline"'):
            world = self.world(f'[domain."example.com"]\nblackhole = {value}\n')
            self.refused(world, BLACKHOLED)
            mx = world.exchanger("example.net")
            self.accept(world, [EVE])
            world.advance(1)
            self.assertEqual(self.taken(mx), [EVE.encode()])

    def test_at_the_recipient(self) -> None:
        """
        The refusal is that of the recipient, told to the hook as such, and the
        transaction goes on.
        """
        world = self.world('[domain."example.com"]\nblackhole = true\n')
        machine = world.service._injection.machine("127.0.0.1")
        machine.greet()
        machine.receive_data(b"EHLO c\r\nMAIL FROM:<a@sender.example>\r\n")
        machine.take_output()
        (event,) = machine.receive_data(b"RCPT TO:<bob@EXAMPLE.com>\r\nRCPT TO:<postmaster>\r\n")
        self.assertEqual(machine.take_output(), BLACKHOLED + b"\r\n250 2.1.5 Ok\r\n")
        self.assertEqual((event.code, event.phase), (551, 6))  # type: ignore[union-attr]

    def test_everything(self) -> None:
        """
        In ``[global]`` it refuses all mail, but for domains that are left out.
        """
        world = self.world('[global]\nblackhole = true\n[domain."example.net"]\nblackhole = false\n')
        self.refused(world, BLACKHOLED)
        world.exchanger("example.net")
        self.accept(world, [EVE])

    def test_other_binding(self) -> None:
        """
        Who may choose the binding is heard to the end: mail on a binding that
        takes it is taken, and on one that does not it is refused.
        """
        world = self.world("[binding.b1]\nblackhole = true\n")
        world.exchanger("example.com")
        self.refused(world, BLACKHOLED, X_Binding="b1")
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.kinds(world), "RD")

    def test_untrusted_client(self) -> None:
        """
        A client that may not choose leaves from ``default``, and is told at once.
        """
        config = '[global]\ntrusted_hosts = []\n[binding.default]\nblackhole = "inline"\n[binding.b1]\n'
        world = self.world(config)
        self.assertEqual(world.inject(SENDER, [BOB], world.message()).rstrip(), BLACKHOLED)
        self.assertIsNotNone(world.service.receiver.recipient_refusal(BOB.encode(), False))
        self.assertIsNone(world.service.receiver.recipient_refusal(BOB.encode(), True))

    def test_some_recipients_in_process(self) -> None:
        """
        Of a message in process for two the one is delivered, and the other fails
        as if the blackhole were internal.
        """
        world = self.world('[domain."example.com"]\nblackhole = true\n')
        world.exchanger("example.net")
        sending = world.send(SENDER, [BOB, EVE], world.message())
        world.advance(1)
        bob, eve = self.successResultOf(sending)
        self.assertEqual((bob.note, eve.note[:3]), (INTERNAL.encode(), b"250"))

    def test_gateway(self) -> None:
        """
        As every option of a domain with a gateway, it is looked for at the gateway.
        """
        table = '[domain."example.com"]\ngateway = "10.0.0.9"\n'
        self.refused(self.world(table + '[domain."10.0.0.9"]\nblackhole = true\n'), BLACKHOLED)
        world = self.world(table + "blackhole = true\n")
        hub = world.receiver("10.0.0.9")
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.taken(hub), [BOB.encode()])

    def test_reload(self) -> None:
        """
        A client that comes after the reload is told of the new configuration.
        """
        world = self.world()
        world.reload('[domain."example.com"]\nblackhole = true\n')
        self.refused(world, BLACKHOLED)
        world.reload("")
        world.exchanger("example.com")
        self.accept(world)


class LiteralTests(DoorCase):
    """
    ``allow_ip_literal``.
    """

    def test_refused(self) -> None:
        """
        Without it no mail is taken for an address instead of a domain; domains
        and the postmaster are not concerned.
        """
        world = self.world("[global]\nallow_ip_literal = false\n")
        self.refused(world, LITERAL, "bob@[198.51.100.77]")
        self.refused(world, LITERAL, "bob@[IPv6:2001:db8:1::77]")
        world.exchanger("example.com")
        self.accept(world)
        self.accept(world, ["postmaster"])

    def test_taken(self) -> None:
        """
        With it they are taken, and delivered to that very address.
        """
        world = self.world("[global]\nallow_ip_literal = true\nuse_ipv6 = true\n")
        four, six = world.receiver("198.51.100.77"), world.receiver("2001:db8:1::77")
        self.accept(world, ["bob@[198.51.100.77]"])
        self.accept(world, ["bob@[IPv6:2001:DB8:1:0::77]"])
        world.advance(1)
        self.assertEqual(self.taken(four), [b"bob@[198.51.100.77]"])
        self.assertEqual(self.taken(six), [b"bob@[IPv6:2001:DB8:1:0::77]"])

    def test_only_at_the_door(self) -> None:
        """
        What was taken before is delivered also when no more is taken.
        """
        world = self.world()
        mx = world.receiver("198.51.100.77")
        world.network.refuse("198.51.100.77")
        self.accept(world, ["bob@[198.51.100.77]"])
        world.advance(1)
        world.reload("[global]\nallow_ip_literal = false\n")
        world.network.restore("198.51.100.77")
        world.advance(3000)
        self.assertEqual(self.taken(mx), [b"bob@[198.51.100.77]"])
