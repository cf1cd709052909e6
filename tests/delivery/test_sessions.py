"""
What sessions mean for their hosts: refused greetings, caps, TLS.
"""

from momentum_tx.delivery.session import Session
from momentum_tx.testing.peers import CLOSE, SILENCE, Answer, Step
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase

NO_MXS = "421 4.4.0 [internal] no MXs for this domain could be reached at this time"


class GreetingTests(WorldCase):
    """
    Peers that accept the connection and will not have us.
    """

    def dead_banner(self, point: str, step: Step) -> None:
        """
        The first exchanger fails at *point*: the second gets the message in the
        same attempt, and the first is left alone for ``host_failure_retry``.
        """
        world = self.world("[global]\nehlo_timeout = 10\n")
        first, second = world.exchanger("example.com", 5), world.exchanger("example.com", 10)
        first.on(point, step)
        self.accept(world)
        world.advance(20)
        self.assertEqual(self.kinds(world), "RD")
        self.assertEqual(self.taken(second), [BOB.encode()])
        self.assertEqual(first.connections, 1)
        self.accept(world, subject="two")
        world.advance(10)
        self.assertEqual(first.connections, 1)
        first.behave()
        world.advance(120)
        self.accept(world, subject="three")
        world.advance(10)
        self.assertEqual(len(first.ledger), 1)

    def test_421(self) -> None:
        """
        Greeted with 421.
        """
        self.dead_banner("connect", b"421 4.3.2 Not now")

    def test_554(self) -> None:
        """
        Greeted with 554: about this host, not about the message.
        """
        self.dead_banner("connect", b"554 5.7.1 Go away")

    def test_silence(self) -> None:
        """
        Not greeted at all.
        """
        self.dead_banner("connect", SILENCE)

    def test_closed(self) -> None:
        """
        Closed without a greeting.
        """
        self.dead_banner("connect", CLOSE)

    def test_ehlo_refused(self) -> None:
        """
        EHLO refused for now.
        """
        self.dead_banner("EHLO", b"450 4.3.2 Not now")

    def test_single_exchanger(self) -> None:
        """
        The only exchanger greets with 421: the message is requeued with the
        peer's own words, and comes back by the schedule.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("connect", b"421 4.3.2 Not now", times=1)
        self.accept(world)
        world.advance(10)
        failure = self.last(world, "T")
        self.assertEqual(failure["note"], "421 4.3.2 Not now")
        self.assertEqual(mx.connections, 1)
        world.advance(1250)
        self.assertEqual(self.kinds(world), "RTD")

    def test_many_messages_and_a_dead_host(self) -> None:
        """
        Every message of a domain whose only host greets with 421 is requeued,
        one by one, and none is lost.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("connect", b"421 4.3.2 Not now")
        for number in range(5):
            self.accept(world, subject=str(number))
        world.advance(300)
        self.assertEqual(len(world.mainlog("T")), 5)
        mx.behave()
        world.advance(3000)
        self.assertEqual(len(world.mainlog("D")), 5)
        self.assertEqual(len(mx.ledger), 5)


class CapTests(WorldCase):
    """
    Peers that allow so many connections and no more.
    """

    def test_cap_while_another_lives(self) -> None:
        """
        421 to a further connection while others are served says only that
        these are enough: nothing is marked, no message fails, mail flows.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.max_connections = 2
        for number in range(40):
            self.accept(world, subject=str(number))
        world.advance(120)
        self.assertEqual(len(mx.ledger), 40)
        self.assertEqual(world.mainlog("T"), [])

    def test_cap_of_one(self) -> None:
        """
        Even a peer that allows one connection gets everything over it.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.max_connections = 1
        for number in range(30):
            world.send("a@sender.example", [f"user{number}@example.com"], world.message(str(number)))
        world.advance(300)
        self.assertEqual(len(mx.ledger), 30)
        self.assertEqual(sum(mx.copies().values()), 30)

    def test_burst_against_a_cap(self) -> None:
        """
        A burst at a capped peer is delivered without a message waiting for its
        retry, as sessions that live take what the refused ones would have.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.max_connections = 3
        for number in range(100):
            world.send("a@sender.example", [f"user{number}@example.com"], world.message(str(number)))
        world.advance(60)
        self.assertEqual(len(mx.ledger), 100)
        # Only those opened together with the first could not know better.
        self.assertLess(len(world.mainlog("T")), 5)


class SuspendedTests(WorldCase):
    """
    Delivery is suspended while a session lasts that comes to nothing.
    """

    SUSPENDED = '[global]\ntls = "ifavailable"\n[domain."example.com"]\nsuspend_delivery = true\n'

    def test_greeting(self) -> None:
        """
        After a refused greeting no other host is tried, and no message suffers.
        """
        world = self.world()
        for _ in range(2):
            world.exchanger("example.com").on("connect", Answer(b"554 5.3.2 Not you", after=5.0))
        self.accept(world)
        world.advance(1)
        world.reload(self.SUSPENDED)
        world.advance(3600)
        self.assertEqual((len(world.network.dialled), self.kinds(world)), (2, "R"))

    def test_handshake(self) -> None:
        """
        After a failed TLS handshake the host is not spoken to in the clear.
        """
        world = self.world('[global]\ntls = "ifavailable"\n')
        mx = world.exchanger("example.com")
        mx.starttls = True
        world.tls.failing.add(mx.address)
        world.tls.delay = 5.0
        self.accept(world)
        world.advance(1)
        world.reload(self.SUSPENDED)
        world.advance(3600)
        self.assertEqual((mx.connections, self.kinds(world)), (1, "R"))


class BeginTests(WorldCase):
    """
    A connection is there, and no session can begin on it.
    """

    def test_no_storm(self) -> None:
        """
        The domain's regular passes try again, and nothing else does.
        """
        world = self.world()
        mx = world.exchanger("example.com")

        def begin(session: Session) -> None:
            raise OSError("no descriptor left")

        self.patch(Session, "begin", begin)
        self.accept(world)
        world.advance(60)
        self.assertLess(mx.connections, 10)
        self.assertEqual(self.kinds(world), "R")
        self.flushLoggedErrors(OSError)


class TLSTests(WorldCase):
    """
    STARTTLS, modelled.
    """

    def tls_world(self, policy: str) -> World:
        """
        A world that uses STARTTLS by *policy*.
        """
        return self.world(f'[global]\ntls = "{policy}"\n')

    def test_offered(self) -> None:
        """
        Where STARTTLS is offered it is used, and EHLO is said again inside.
        """
        for policy in ("ifavailable", "required"):
            world = self.tls_world(policy)
            mx = world.exchanger("example.com")
            mx.starttls = True
            self.accept(world)
            world.advance(1)
            self.assertTrue(mx.ledger[0].encrypted)
            self.assertEqual(self.verbs(mx)[:4], [b"EHLO", b"STAR", b"EHLO", b"MAIL"])
            self.assertEqual(world.tls.upgrades, [("mx1.example.com", mx.address, policy)])

    def test_not_asked_for(self) -> None:
        """
        By default STARTTLS is not used.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.starttls = True
        self.accept(world)
        world.advance(1)
        self.assertFalse(mx.ledger[0].encrypted)

    def test_not_offered(self) -> None:
        """
        Where it is not offered, ``ifavailable`` goes without and ``required`` waits.
        """
        world = self.tls_world("ifavailable")
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        self.assertFalse(mx.ledger[0].encrypted)

        world = self.tls_world("required")
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(30)
        self.assertEqual(self.last(world, "T")["note"], "451 4.7.6 [internal] STARTTLS required but not advertised")
        self.assertNotIn(b"MAIL", self.verbs(mx))

    def test_refused(self) -> None:
        """
        A refused STARTTLS: ``ifavailable`` goes on in the same session,
        ``required`` does not.
        """
        world = self.tls_world("ifavailable")
        mx = world.exchanger("example.com")
        mx.starttls = True
        mx.on("STARTTLS", b"454 4.7.0 Not now")
        self.accept(world)
        world.advance(1)
        self.assertEqual([(taken.connection, taken.encrypted) for taken in mx.ledger], [(1, False)])

        world = self.tls_world("required")
        mx = world.exchanger("example.com")
        mx.starttls = True
        mx.on("STARTTLS", b"454 4.7.0 Not now")
        self.accept(world)
        world.advance(30)
        self.assertEqual(self.last(world, "T")["note"], "451 4.7.5 [internal] no tls go-ahead")
        self.assertEqual(mx.ledger, [])

    def test_handshake_fails(self) -> None:
        """
        A handshake under ``ifavailable`` that fails, also with a small first message:
        the same host gets the message in the clear over a new connection at once, and
        for an hour STARTTLS is not tried again; afterwards it is.
        """
        world = self.tls_world("ifavailable")
        mx = world.exchanger("example.com")
        mx.starttls = True
        world.tls.failing.add(mx.address)
        self.accept(world, subject="one")
        world.advance(2)
        self.assertEqual([(taken.connection, taken.encrypted) for taken in mx.ledger], [(3, False)])
        self.assertEqual(world.mainlog("T"), [])
        world.advance(60)
        self.accept(world, subject="two")
        world.advance(60)
        self.assertEqual(len(world.tls.upgrades), 2)
        world.tls.failing.clear()
        world.advance(3600)
        self.accept(world, subject="three")
        world.advance(10)
        self.assertEqual([taken.encrypted for taken in mx.ledger], [False, False, True])

    def test_handshake_never_ends(self) -> None:
        """
        A handshake that takes longer than ``starttls_timeout`` has failed, either time.
        """
        world = self.tls_world("ifavailable")
        mx = world.exchanger("example.com")
        mx.starttls = True
        world.tls.silent.add(mx.address)
        self.accept(world)
        world.advance(119)
        self.assertEqual(mx.ledger, [])
        world.advance(3)
        self.assertEqual([taken.encrypted for taken in mx.ledger], [False])

    def test_handshake_fails_required(self) -> None:
        """
        Under ``required`` the message waits and never goes in the clear.
        """
        world = self.tls_world("required")
        mx = world.exchanger("example.com")
        mx.starttls = True
        world.tls.failing.add("mx1.example.com")
        self.accept(world)
        world.advance(3000)
        self.assertEqual(self.last(world, "T")["note"], "451 4.7.5 [internal] TLS negotiation failed")
        self.assertEqual(mx.ledger, [])
        world.tls.failing.clear()
        world.advance(3000)
        self.assertEqual([taken.encrypted for taken in mx.ledger], [True])

    def test_plain_text_behind_the_go_ahead(self) -> None:
        """
        What a stranger slips in behind the reply to STARTTLS is never believed:
        the session ends.
        """
        world = self.tls_world("required")
        mx = world.exchanger("example.com")
        mx.starttls = True
        mx.on("STARTTLS", b"220 Go ahead\r\n250-evil\r\n250 SIZE 1", times=1)
        self.accept(world)
        world.advance(10)
        self.assertEqual(world.tls.upgrades, [])
        self.assertIn("protocol error", self.last(world, "T")["note"])

    def test_plain_text_where_clear_will_do(self) -> None:
        """
        Where mail may go in clear, a peer that does so gets it like one whose handshake failed.
        """
        world = self.tls_world("ifavailable")
        mx = world.exchanger("example.com")
        mx.starttls = True
        mx.on("STARTTLS", b"220 Go ahead\r\n250-evil\r\n250 SIZE 1")
        self.accept(world)
        world.advance(10)
        self.assertEqual(world.tls.upgrades, [])
        self.assertEqual([(taken.connection, taken.encrypted) for taken in mx.ledger], [(2, False)])


class NeverServedTests(WorldCase):
    """
    Hosts that accept every connection and never any mail.
    """

    def test_554_counts(self) -> None:
        """
        A host that greets with 554 is failed to reach, though it connects:
        ``mx_failures_to_delay`` trips, and the queue does not drain by one
        message a pass.
        """
        world = self.world("[global]\nmx_failures_to_delay = 3\nhost_failure_retry = 1\nmax_outbound_connections = 1\n")
        mx = world.exchanger("example.com")
        mx.on("connect", b"554 5.7.1 No mail from you")
        for number in range(30):
            self.accept(world, subject=str(number))
        world.advance(120)
        self.assertEqual(world.mainlog("T")[0]["note"], "554 5.7.1 No mail from you")
        queue = world.service.delivery.domain_record("example.com").mail_queue
        self.assertEqual((queue.active_size(), queue.delayed_size()), (0, 30))
