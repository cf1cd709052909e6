"""
One message from the door to the peer, and what everybody saw of it.
"""

from momentum_tx.delivery import records
from momentum_tx.delivery.delivery import EXPIRE_INTERVAL
from momentum_tx.queues.message import Message

from ..worlds import BOB, SENDER, WorldCase


class TuningTests(WorldCase):
    """
    What connections are opened with.
    """

    def test_options(self) -> None:
        """
        ``disable_nagle_algorithm`` and ``tcp_buffer_size`` hold from the start, and from
        each reload on.
        """
        world = self.world()
        self.assertEqual(world.host.tuned, (True, 0))
        world.reload("[global]\ndisable_nagle_algorithm = false\ntcp_buffer_size = 32768\n")
        self.assertEqual(world.host.tuned, (False, 32768))
        world = self.world("[global]\ntcp_buffer_size = 4096\n")
        self.assertEqual(world.host.tuned, (True, 4096))


class EndToEndTests(WorldCase):
    """
    The ordinary life of a message.
    """

    def test_one_message(self) -> None:
        """
        A message injected over SMTP reaches the domain's exchanger from our
        address, and mainlog has one reception and one delivery of it.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        reply = world.inject(SENDER, [BOB], world.message("hello"))
        self.assertRegex(reply, rb"^250 2\.0\.0 \S+ Message accepted$")
        self.assertEqual(mx.ledger, [])
        world.advance(1)
        (taken,) = mx.ledger
        self.assertEqual((taken.sender, taken.recipients), (SENDER.encode(), (BOB.encode(),)))
        self.assertEqual((taken.source, taken.helo), ("192.0.2.1", b"mail.sender.example"))
        self.assertTrue(taken.content.startswith(b"Received: from client.example ([127.0.0.1])"))
        self.assertTrue(taken.content.endswith(world.message("hello")))
        received, delivered = world.mainlog()
        self.assertEqual((received.kind, delivered.kind), ("R", "D"))
        self.assertEqual(received["id"], delivered["id"])
        self.assertEqual((received["source"], received["method"]), ("127.0.0.1", "esmtp"))
        self.assertEqual((delivered["domain"], delivered["peer"]), ("example.com", mx.address))
        self.assertEqual(delivered["size"], str(len(taken.content)))
        self.assertNotEqual(received["conn_id"], delivered["conn_id"])


class ExpiryTests(WorldCase):
    """
    Records that nobody needs.
    """

    def test_dropped(self) -> None:
        """
        A domain without mail goes when its routing data has expired; when mail
        comes for it again it is looked up anew.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(100)
        self.assertEqual(len(world.service.delivery.records), 1)
        world.advance(300)
        self.assertEqual(len(world.service.delivery.records), 0)
        self.accept(world, subject="two")
        world.advance(1)
        self.assertEqual(len(mx.ledger), 2)
        self.assertEqual(len(world.resolver.mx_asked), 2)

    def test_many(self) -> None:
        """
        Many are looked at in several turns, and again a minute after the last of them.
        """
        self.patch(records, "SLICE", 2)
        world = self.world()
        for number in range(7):
            world.service.delivery.domain_record(f"d{number}.example")
        world.advance(EXPIRE_INTERVAL + 1)
        self.assertEqual(len(world.service.delivery.records), 0)
        world.service.delivery.domain_record("late.example")
        world.advance(EXPIRE_INTERVAL + 1)
        self.assertEqual(len(world.service.delivery.records), 0)

    def test_kept(self) -> None:
        """
        A domain with mail stays, and so do the hosts it names.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now")
        self.accept(world)
        world.advance(1100)
        dr = world.domain("example.com")
        host = world.service.delivery.records.host("mx1.example.com")
        self.assertEqual([mx.host for mx in dr.mxlist], [host])


class RecoveredTests(WorldCase):
    """
    Mail found in the spool.
    """

    def test_name_no_longer_valid(self) -> None:
        """
        A message whose domain today's rules for names refuse stays in the spool
        and is told of; it keeps neither the service nor other mail from going on.
        """
        world = self.world()
        world.resolver.delay = 60.0
        for recipient in (BOB, "carol@example.org"):
            self.accept(world, [recipient])
        world.crash()
        router = world.service.delivery.router
        routing_domain = router.routing_domain

        def stricter(message: Message) -> tuple[str, bool]:
            if message.recipient == BOB.encode():
                raise ValueError("malformed domain")
            return routing_domain(message)

        self.patch(router, "routing_domain", stricter)
        messages = [message for dr in world.service.delivery.records for message in dr.mail_queue.messages()]
        self.assertEqual(len(messages), 2)
        for message in messages:
            assert message.domain is not None
            message.domain.mail_queue.remove(message)
        world.service.delivery.enqueue(messages)
        self.assertEqual([bool(message.place) for message in messages], [m.recipient != BOB.encode() for m in messages])
