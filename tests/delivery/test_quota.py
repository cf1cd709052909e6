"""
What a peer takes on one session, as it says (RFC 9422).
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery.quota import Quota
from momentum_tx.queues.message import Reception
from momentum_tx.smtp.extensions import NO_EXTENSIONS, Extensions

from ..worlds import WorldCase

CONFIG = "[global]\nmax_outbound_connections = 1\nidle_timeout = 60\nretry_interval = 6000\n"


class QuotaTests(SynchronousTestCase):
    """
    The count.
    """

    def messages(self, *recipients: bytes) -> list[object]:
        """
        Messages of one reception.
        """
        reception = Reception(b"a@b.example", 0.0, 1, "b")
        return [reception.add(f"m{number}", recipient) for number, recipient in enumerate(recipients)]

    def test_none(self) -> None:
        """
        A peer that names no limit has none.
        """
        quota = Quota()
        for _ in range(1000):
            quota.begun(NO_EXTENSIONS, self.messages(b"x@a.example"))  # type: ignore[arg-type]
        self.assertFalse(quota.used_up(NO_EXTENSIONS))
        self.assertIsNone(quota.admission(NO_EXTENSIONS))

    def test_transactions(self) -> None:
        """
        MAILMAX.
        """
        quota, offers = Quota(), Extensions(most_transactions=2)
        for used_up in (False, False, True):
            self.assertIs(quota.used_up(offers), used_up)
            quota.begun(offers, ())

    def test_domains(self) -> None:
        """
        RCPTDOMAINMAX counts different domains, in any case of letters, over the whole session.
        """
        quota, offers = Quota(), Extensions(most_domains=2)
        messages = self.messages(b"x@a.example", b"y@A.EXAMPLE", b"x@b.example", b"x@c.example", b"z@a.example")
        admits = quota.admission(offers)
        assert admits is not None
        self.assertEqual([admits(each) for each in messages], [True, True, True, False, True])  # type: ignore[arg-type]
        quota.begun(offers, messages[:2])  # type: ignore[arg-type]
        admits = quota.admission(offers)
        assert admits is not None
        self.assertEqual([admits(each) for each in messages], [True, True, True, False, True])  # type: ignore[arg-type]
        quota.begun(offers, messages[2:3])  # type: ignore[arg-type]
        admits = quota.admission(offers)
        assert admits is not None
        self.assertEqual([admits(each) for each in reversed(messages)], [True, False, True, True, True])  # type: ignore[arg-type]


class SessionTests(WorldCase):
    """
    Sessions with peers that name limits (P08).
    """

    def test_recipients(self) -> None:
        """
        RCPTMAX: no transaction has more recipients, without a refusal that would teach it.
        """
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        mx.extensions.append(b"LIMITS RCPTMAX=20")
        self.accept(world, [f"r{number}@example.com" for number in range(50)])
        world.advance(20)
        self.assertEqual([len(taken.recipients) for taken in mx.ledger], [20, 20, 10])
        self.assertEqual((mx.connections, mx.refused[b"4"]), (1, 0))

    def test_transactions(self) -> None:
        """
        MAILMAX: after so many messages a session ends in order, and another takes over.
        """
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        mx.extensions.append(b"LIMITS MAILMAX=3")
        for _ in range(7):
            self.accept(world)
        world.advance(20)
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 1, 1, 2, 2, 2, 3])
        self.assertEqual(self.verbs(mx, 1)[-1], b"QUIT")

    def test_domains(self) -> None:
        """
        RCPTDOMAINMAX: the recipients of one session are of so many domains, and mail for others goes in another one.
        """
        world = self.world(CONFIG + '[domain."/^d[0-9]\\\\.example$/"]\ngateway = "relay.example"\n')
        relay = world.exchanger("relay.example")
        relay.extensions.append(b"LIMITS RCPTDOMAINMAX=2")
        self.accept(world, [f"x@d{number}.example" for number in range(5)])
        self.accept(world, ["x@d1.example"])
        world.advance(20)
        self.assertEqual(len(self.taken(relay)), 6)
        for number in range(1, relay.connections + 1):
            session = [taken for taken in relay.ledger if taken.connection == number]
            domains = {path.partition(b"@")[2] for taken in session for path in taken.recipients}
            self.assertLessEqual(len(domains), 2)
        self.assertEqual(self.kinds(world).count("T"), 0)
        self.assertLessEqual(relay.connections, 4)

    def test_bogus(self) -> None:
        """
        Limits that are none are ignored.
        """
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        mx.extensions.append(b"LIMITS MAILMAX=0 RCPTMAX=-1 RCPTDOMAINMAX= FOO=1 =5")
        self.accept(world, [f"r{number}@example.com" for number in range(5)])
        self.accept(world)
        world.advance(20)
        self.assertEqual(([len(taken.recipients) for taken in mx.ledger], mx.connections), ([5, 1], 1))
