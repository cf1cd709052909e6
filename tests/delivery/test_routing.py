"""
Which exchangers a domain has, and what happens when it has none.
"""

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import MXKind
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

NULL_MX = "550 5.4.4 [internal] NULL MX domain does not accept mail"
NO_DOMAIN = "554 5.4.4 [internal] Domain Lookup Failed"
PROHIBITED = "551 5.4.6 [internal] Private/Loopback Address"

BINDINGS = '[binding.b1]\nbind_address = "192.0.2.2"\n'


class PurgeTests(WorldCase):
    """
    Domains that can take no mail.
    """

    def purged(self, world: World, note: str) -> None:
        """
        Mail of every binding is given up, once, with *note*, and the sender of
        ``send`` learns it.
        """
        sending = world.send(SENDER, [BOB], world.message())
        self.accept(world, subject="default")
        self.accept(world, subject="b1", X_Binding="b1")
        world.advance(5)
        failed = world.mainlog("P")
        self.assertEqual([record["note"] for record in failed], [note] * 3)
        self.assertEqual(sorted(record["binding"] for record in failed), ["b1", "default", "default"])
        self.assertEqual(world.mainlog("T"), [])
        self.assertEqual(world.network.dialled[-1][2], 2525)
        (outcome,) = self.successResultOf(sending)
        self.assertEqual(outcome.note, note.encode())

    def test_null_mx(self) -> None:
        """
        A null MX.
        """
        world = self.world(BINDINGS)
        world.resolver.mx["example.com"] = MXKind.NULL
        self.purged(world, NULL_MX)

    def test_nxdomain(self) -> None:
        """
        A name that does not exist.
        """
        self.purged(self.world(BINDINGS), NO_DOMAIN)

    def test_no_address(self) -> None:
        """
        A name that exists, without MX and address.
        """
        world = self.world(BINDINGS)
        world.resolver.mx["example.com"] = MXKind.NONE
        self.purged(world, NO_DOMAIN)

    def test_all_prohibited(self) -> None:
        """
        Every address of every exchanger is private, loopback, or our own.
        """
        world = self.world(BINDINGS)
        world.resolver.mx["example.com"] = [(10, "mx1.example.com"), (20, "mx2.example.com")]
        world.resolver.addresses["mx1.example.com"] = ["127.0.0.1", "10.0.0.1"]
        world.resolver.addresses["mx2.example.com"] = ["192.0.2.1"]
        self.purged(world, PROHIBITED)

    def test_delayed_mail_too(self) -> None:
        """
        Mail that waits for its retry is given up as well.
        """
        world = self.world("[global]\nretry_interval = 3600\n")
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now")
        self.accept(world, subject="one")
        world.advance(1000)
        world.resolver.mx["example.com"] = MXKind.NULL
        self.accept(world, subject="two")
        world.advance(5)
        self.assertEqual(len(world.mainlog("P")), 2)

    def test_only_ipv6(self) -> None:
        """
        A domain that has only an IPv6 address, while we use none, is not there
        in vain: its mail waits.
        """
        world = self.world()
        world.resolver.mx["example.com"] = MXKind.NONE
        world.resolver.addresses["example.com"] = ["2001:db8::25"]
        self.accept(world)
        world.advance(5)
        self.assertEqual(self.kinds(world), "RT")
        self.assertIn("use_ipv6", self.last(world, "T")["note"])

    def test_exchanger_spelled_like_an_address(self) -> None:
        """
        An exchanger called ``198.51.100.9`` is a name without an address:
        nothing is dialled for it, whatever that address may be.
        """
        world = self.world()
        world.resolver.mx["example.com"] = [(10, "198.51.100.9")]
        self.accept(world)
        world.advance(5)
        self.assertEqual(self.kinds(world), "RT")
        self.assertEqual([port for _, _, port in world.network.dialled if port == 25], [])

    def test_no_longer(self) -> None:
        """
        What was found wrong with a domain is not held against it when the
        answer has expired: mail waits for the new one, also if it is late, or
        DNS fails first.
        """
        for trouble in (MXKind.NULL, MXKind.NXDOMAIN, [(10, "private.example.com")]):
            world = self.world()
            world.resolver.ttl = 20
            world.resolver.addresses["private.example.com"] = ["10.0.0.1"]
            world.resolver.mx["example.com"] = trouble
            self.accept(world, subject="one")
            world.advance(21)
            self.assertEqual(self.kinds(world), "RP")
            world.resolver.mx["example.com"] = LookupFailed("servers are down")
            world.resolver.delay = 2
            self.accept(world, subject="two")
            world.advance(30)
            self.assertEqual(self.kinds(world), "RPRT")
            world.resolver.mx["example.com"] = []
            mx = world.exchanger("example.com")
            world.advance(1300)
            self.assertEqual(self.kinds(world), "RPRTD")
            self.assertEqual(len(mx.ledger), 1)

    def test_some_prohibited(self) -> None:
        """
        Prohibited addresses are left out, and the others get the mail.
        """
        world = self.world()
        mx = world.exchanger("example.com", 20)
        world.resolver.mx["example.com"] = [(10, "bad.example.com"), (20, "mx1.example.com")]
        world.resolver.addresses["bad.example.com"] = ["127.0.0.1"]
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.taken(mx), [BOB.encode()])


class LookupTests(WorldCase):
    """
    DNS that is slow, or fails.
    """

    def test_failure(self) -> None:
        """
        A lookup that fails delays all mail of the domain with 4.4.4 and the
        reason, and the retry finds what DNS says then.
        """
        world = self.world()
        world.resolver.mx["example.com"] = LookupFailed("SERVFAIL")
        self.accept(world, subject="one")
        self.accept(world, subject="two")
        world.advance(10)
        notes = {record["note"] for record in world.mainlog("T")}
        self.assertEqual(notes, {"454 4.4.4 [internal] no MX or A for domain (SERVFAIL)"})
        self.assertEqual(self.kinds(world).count("T"), 2)
        del world.resolver.mx["example.com"]
        mx = world.exchanger("example.com")
        world.advance(1300)
        self.assertEqual(len(mx.ledger), 2)

    def test_failure_and_a_clock_put_back(self) -> None:
        """
        A wall clock that is put back by an hour does not make a domain wait for
        an hour until DNS is asked again, or its mail until it is tried again.
        """
        world = self.world("[global]\nretry_interval = 30\nmax_retry_interval = 30\n")
        world.resolver.mx["example.com"] = LookupFailed("servers are down")
        self.accept(world)
        world.advance(5)
        world.wall_offset = -3600
        world.resolver.mx["example.com"] = []
        mx = world.exchanger("example.com")
        self.accept(world, subject="two")
        world.advance(60)
        self.assertEqual(len(mx.ledger), 2)

    def test_no_answer_yet(self) -> None:
        """
        While the answer is awaited nothing happens to the mail.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.resolver.delay = 30.0
        self.accept(world)
        world.advance(29)
        self.assertEqual(self.kinds(world), "R")
        world.advance(40)
        self.assertEqual(self.kinds(world), "RD")
        self.assertEqual(len(mx.ledger), 1)
        self.assertEqual(world.resolver.mx_asked, ["example.com"])

    def test_one_exchanger_without_answer(self) -> None:
        """
        An exchanger whose address cannot be had does not keep mail from others.
        """
        world = self.world()
        mx = world.exchanger("example.com", 20)
        world.resolver.mx["example.com"] = [(10, "lame.example.com"), (20, "mx1.example.com")]
        world.resolver.addresses["lame.example.com"] = LookupFailed("timeout")
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.taken(mx), [BOB.encode()])

    def test_failure_after_success(self) -> None:
        """
        DNS that fails when the answer has expired: the old one serves.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.resolver.ttl = 60
        self.accept(world, subject="one")
        world.advance(100)
        world.resolver.mx["example.com"] = LookupFailed("SERVFAIL")
        self.accept(world, subject="two")
        world.advance(10)
        self.assertEqual(len(mx.ledger), 2)

    def test_ttl(self) -> None:
        """
        An answer is kept for its TTL and asked for anew afterwards.
        """
        world = self.world()
        world.exchanger("example.com")
        world.resolver.ttl = 60
        self.accept(world, subject="one")
        world.advance(50)
        self.accept(world, subject="two")
        world.advance(20)
        self.assertEqual(len(world.resolver.mx_asked), 1)
        self.accept(world, subject="three")
        world.advance(10)
        self.assertEqual(len(world.resolver.mx_asked), 2)


class ChoiceTests(WorldCase):
    """
    Exchangers and next hops.
    """

    def test_preference(self) -> None:
        """
        The exchanger with the lower preference gets everything.
        """
        world = self.world()
        worse, better = world.exchanger("example.com", 20), world.exchanger("example.com", 10)
        for number in range(5):
            self.accept(world, subject=str(number))
            world.advance(10)
        self.assertEqual((len(better.ledger), len(worse.ledger)), (5, 0))

    def test_equal_preferences_share(self) -> None:
        """
        Exchangers of equal preference are chosen at random.
        """
        world = self.world()
        one, other = world.exchanger("example.com"), world.exchanger("example.com")
        for number in range(30):
            self.accept(world, subject=str(number))
            world.advance(10)
        self.assertGreater(len(one.ledger), 5)
        self.assertGreater(len(other.ledger), 5)

    def test_implicit_mx(self) -> None:
        """
        A domain without MX gets its mail at its own address.
        """
        world = self.world()
        mx = world.receiver()
        world.resolver.addresses["example.com"] = [mx.address]
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.taken(mx), [BOB.encode()])

    def test_address_literal(self) -> None:
        """
        An address literal is connected to, unless it is prohibited.
        """
        world = self.world()
        mx = world.receiver("198.51.100.77")
        self.accept(world, ["bob@[198.51.100.77]"])
        self.accept(world, ["bob@[127.0.0.1]"])
        world.advance(5)
        self.assertEqual(self.taken(mx), [b"bob@[198.51.100.77]"])
        self.assertEqual(self.last(world, "P")["note"], PROHIBITED)

    def test_gateway(self) -> None:
        """
        With a gateway all mail goes there, in the gateway's queue; a private
        address an operator wrote is allowed.
        """
        world = self.world('[global]\ngateway = "10.0.0.9"\n')
        mx = world.receiver("10.0.0.9")
        self.accept(world, [BOB, "eve@example.net"])
        world.advance(1)
        self.assertEqual(mx.ledger[0].recipients, (BOB.encode(), b"eve@example.net"))
        self.assertEqual({record["domain"] for record in world.mainlog("D")}, {"10.0.0.9"})
        self.assertEqual(world.resolver.mx_asked, [])

    def test_gateway_that_strangers_named_first(self) -> None:
        """
        A gateway at a private address takes its mail also when DNS was asked
        for its name before, or just now, on behalf of somebody's recipient.
        """
        for delay in (0.0, 5.0):
            world = self.world('[domain."example.com"]\ngateway = "relay.corp.example"\n')
            mx = world.exchanger("relay.corp.example", address="10.0.0.1")
            world.resolver.delay = delay
            self.accept(world, ["someone@relay.corp.example"], subject="stranger")
            world.advance(1)
            self.accept(world, subject="ours")
            world.advance(30)
            self.assertIn(BOB.encode(), self.taken(mx))

    def test_routes(self) -> None:
        """
        ``routes`` are tried in order, with their ports.
        """
        world = self.world('[domain."example.com"]\nroutes = ["10.0.0.9:2500", "backup.example.org"]\n')
        backup = world.receiver()
        world.resolver.addresses["backup.example.org"] = [backup.address]
        self.accept(world)
        world.advance(1)
        self.assertEqual(
            world.network.dialled[-2:], [("192.0.2.1", "10.0.0.9", 2500), ("192.0.2.1", backup.address, 25)]
        )
        self.assertEqual(self.taken(backup), [BOB.encode()])

    def test_remote_smtp_port(self) -> None:
        """
        ``remote_smtp_port`` is connected to.
        """
        world = self.world("[global]\nremote_smtp_port = 2526\n")
        world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        self.assertEqual(world.network.dialled[-1][2], 2526)

    def test_ipv6(self) -> None:
        """
        IPv6 addresses are used when that is wanted.
        """
        world = self.world("[global]\nuse_ipv6 = true\nprefer_ipv6_mxs = true\n")
        four, six = world.exchanger("example.com"), world.receiver("2001:db8:1::25")
        world.resolver.addresses["mx1.example.com"] = [four.address, six.address]
        self.accept(world)
        world.advance(1)
        self.assertEqual([taken.source for taken in six.ledger], ["2001:db8::1"])
