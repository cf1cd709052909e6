"""
What becomes of messages after an attempt: retries, ends, bulk operations.
"""

from itertools import pairwise

from momentum_tx.interfaces.services import MXKind
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

CAROL = "carol@example.com"
DAVE = "dave@example.com"


class RetryTests(WorldCase):
    """
    Transient failures and the schedule that follows from them.
    """

    def test_greylisting(self) -> None:
        """
        A recipient refused three times with 451 is tried again after 20, 40 and
        80 minutes, and delivered then, once.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.greylist(3)
        self.accept(world)
        world.advance(8400 + 60)
        self.assertEqual(self.kinds(world), "RTTTD")
        failures = world.mainlog("T")
        begin = float(failures[0]["time"])
        times = [float(record["time"]) - begin for record in [*failures, *world.mainlog("D")]]
        self.assertEqual(times, [0.0, 1200.0, 3600.0, 8400.0])
        self.assertEqual([record["retries"] for record in failures], ["0", "1", "2"])
        self.assertEqual(failures[0]["note"], "451 4.7.1 Greylisted, come back later")
        self.assertEqual(failures[0]["stage"], "5")
        self.assertEqual(self.taken(mx), [BOB.encode()])

    def test_listed_intervals(self) -> None:
        """
        With ``retry_intervals`` the delays are those of the list, and the last
        one again and again.
        """
        world = self.world('[global]\nretry_intervals = ["1m", "10m"]\nidle_timeout = 0\n')
        mx = world.exchanger("example.com")
        times: list[float] = []
        mx.on("MAIL", lambda session, line: times.append(round(world.clock.seconds())) or b"451 4.2.1 Not now")  # type: ignore[func-returns-value]
        self.accept(world)
        world.advance(2000)
        self.assertEqual(times, [0, 60, 660, 1260, 1860])

    def test_by_reply(self) -> None:
        """
        With ``retry_by_reply`` greylisting is retried soon, a full mailbox late, a peer that cannot be reached
        by its own list, and all else by the ordinary schedule.
        """
        world = self.world(
            '[global]\nretry_by_reply = ["45x 4.7.x: 5m", "4.2.2: 6h", "no_connection: 2m"]\nidle_timeout = 0\n'
            "host_failure_retry = 1\n"
        )
        for domain, reply, later in (
            ("grey.example", b"450 4.7.1 Greylisted", 300),
            ("full.example", b"452 4.2.2 Mailbox full", 21600),
            ("busy.example", b"451 4.3.2 Not now", 1200),
        ):
            world.exchanger(domain).on("RCPT", reply, times=1)
            self.accept(world, [f"bob@{domain}"])
            self.assertEqual(self.due_after(world, domain), later)
        world.exchanger("down.example", address="198.51.100.99").down()
        self.accept(world, ["bob@down.example"])
        self.assertEqual(self.due_after(world, "down.example"), 120)

    def due_after(self, world: World, domain: str) -> int:
        """
        Seconds from the failure of the only message of *domain* to its next attempt.
        """
        world.advance(1)
        queue = world.domain(domain).mail_queue
        self.assertEqual((queue.active_size(), queue.delayed_size()), (0, 1))
        (message,) = queue.messages()
        return round(message.next_attempt - float(world.mainlog("T")[-1]["time"]))

    def test_jitter(self) -> None:
        """
        With ``retry_jitter`` mail that failed together comes again one by one, no
        piece of it too early.
        """
        world = self.world("[global]\nretry_interval = 100\nretry_jitter = 1.0\n")
        mx = world.exchanger("example.com")
        mx.on("MAIL", b"451 4.2.1 Not now", times=20)
        for number in range(20):
            world.send("a@sender.example", [f"user{number}@example.com"], world.message(str(number)))
        world.advance(99)
        self.assertEqual(len(mx.ledger), 0)
        world.advance(120)
        times = {round(taken.at) for taken in mx.ledger}
        self.assertEqual(len(mx.ledger), 20)
        self.assertGreater(len(times), 10)

    def test_expiry(self) -> None:
        """
        A message that is refused for a day is given up with 5.4.7 at the first
        failure past its life, and never tried again.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not today")
        self.accept(world)
        world.advance(3 * 86400)
        (given_up,) = world.mainlog("P")
        self.assertEqual(given_up["note"], "554 5.4.7 [internal] exceeded max time without delivery")
        self.assertGreaterEqual(float(given_up["age"]), 86400)
        waits = [float(record["age"]) for record in world.mainlog("T")]
        # 20 minutes, doubled until the cap of twelve hours.
        delays = [round(after - before) for before, after in pairwise(waits)]
        self.assertEqual(delays, [1200, 2400, 4800, 9600, 19200, 38400, 43200])
        attempts = len(mx.commands)
        world.advance(86400)
        self.assertEqual(len(mx.commands), attempts)

    def test_max_retries(self) -> None:
        """
        With ``max_retries = 2`` the third failure is the last.
        """
        world = self.world("[global]\nmax_retries = 2\nretry_interval = 60\n")
        mx = world.exchanger("example.com")
        mx.on("MAIL", b"450 4.3.2 Not now")
        self.accept(world)
        world.advance(3600)
        self.assertEqual(self.kinds(world), "RTTTP")
        self.assertEqual(self.last(world, "P")["note"], "554 5.4.7 [internal] exceeded max retries without delivery")

    def test_never_retry(self) -> None:
        """
        With ``never_retry`` the first transient failure is final.
        """
        world = self.world("[global]\nnever_retry = true\n")
        world.exchanger("example.com").on("DATA", b"451 4.3.0 Later")
        self.accept(world)
        world.advance(10)
        self.assertEqual(self.kinds(world), "RTP")

    def test_expired_unattempted(self) -> None:
        """
        With ``never_attempt_expired_messages`` a message past its life is given
        up without the attempt that is due.
        """
        world = self.world("[global]\nnever_attempt_expired_messages = true\nmessage_expiration = 1000\n")
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not today", times=1)
        self.accept(world)
        world.advance(1300)
        self.assertEqual(self.kinds(world), "RTP")
        self.assertEqual(self.last(world, "P")["note"], "554 5.4.5 [internal] Delivery not attempted (message expired)")
        self.assertEqual(self.taken(mx), [])


class RecipientTests(WorldCase):
    """
    Several recipients of one message.
    """

    def test_own_outcomes(self) -> None:
        """
        Recipients in one domain share a transaction, and each has its own end:
        one delivered, one refused for ever, one delivered after a retry.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.refuse[CAROL] = b"550 5.1.1 No such user"
        mx.refuse[DAVE] = b"452 4.2.2 Mailbox full"
        self.accept(world, [BOB, CAROL, DAVE])
        world.advance(10)
        self.assertEqual(self.verbs(mx), [b"EHLO", b"MAIL", b"RCPT", b"RCPT", b"RCPT", b"DATA", b"QUIT"])
        self.assertEqual(mx.ledger[0].recipients, (BOB.encode(),))
        (failed,) = world.mainlog("P")
        self.assertEqual(failed["note"], "550 5.1.1 No such user")
        del mx.refuse[DAVE]
        world.advance(1300)
        self.assertEqual(self.taken(mx), [BOB.encode(), DAVE.encode()])
        self.assertEqual(sorted(self.kinds(world)), sorted("RRRDPTD"))

    def test_two_domains(self) -> None:
        """
        Recipients in two domains are two transactions at two exchangers.
        """
        world = self.world()
        one, other = world.exchanger("example.com"), world.exchanger("example.net")
        self.accept(world, [BOB, "eve@example.net"])
        world.advance(1)
        self.assertEqual((self.taken(one), self.taken(other)), ([BOB.encode()], [b"eve@example.net"]))

    def test_address_that_needs_smtputf8(self) -> None:
        """
        Where the peer lacks SMTPUTF8 the recipient whose address needs it fails,
        and the others of the same message get it.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.extensions = [b"8BITMIME"]
        sending = world.send(SENDER, [BOB, "j\u00f6rg@example.com", "carol@example.com"], world.message())
        world.advance(5)
        notes = [outcome.note[:3] for outcome in self.successResultOf(sending)]
        self.assertEqual(notes, [b"250", b"553", b"250"])
        self.assertEqual([taken.recipients for taken in mx.ledger], [(BOB.encode(), b"carol@example.com")])

    def test_same_recipient_twice(self) -> None:
        """
        A recipient named twice gets the message twice, in two transactions.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        self.accept(world, [BOB, BOB])
        world.advance(10)
        self.assertEqual([taken.recipients for taken in mx.ledger], [(BOB.encode(),)] * 2)

    def test_all_refused(self) -> None:
        """
        A transaction whose every recipient is refused sends no body.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"550 5.7.1 Go away")
        self.accept(world, [BOB, CAROL])
        world.advance(10)
        self.assertEqual(self.kinds(world), "RRPP")
        self.assertEqual(mx.ledger, [])


class BulkTests(WorldCase):
    """
    Operations on the whole queue of a domain.
    """

    def test_purge_is_sliced(self) -> None:
        """
        A thousand messages for a domain that turns out to take no mail fail in
        turns of at most 200, so that nobody else's mail waits for them.
        """
        world = self.world()
        world.resolver.mx["example.com"] = MXKind.NULL
        world.resolver.delay = 5.0
        for number in range(10):
            self.accept(world, [f"user{number}-{each}@example.com" for each in range(100)])
        world.until(lambda: self.failed_so_far(world) > 0)
        slices = [self.failed_so_far(world)]
        while slices[-1] < 1000:
            before = slices[-1]
            world.until(lambda before=before: self.failed_so_far(world) > before)  # type: ignore[misc]
            slices.append(self.failed_so_far(world))
        self.assertEqual(slices, [200, 400, 600, 800, 1000])
        self.assertEqual(len(world.mainlog("P")), 1000)

    def test_stop_in_a_purge(self) -> None:
        """
        A stop in the middle of a purge ends it; the rest is given up after the
        next start, and no failure is logged twice.
        """
        world = self.world()
        world.resolver.mx["example.com"] = MXKind.NULL
        world.resolver.delay = 5.0
        for number in range(10):
            self.accept(world, [f"user{number}-{each}@example.com" for each in range(100)])
        world.until(lambda: self.failed_so_far(world) > 0)
        world.stop()
        self.assertLess(len(world.mainlog("P")), 1000)
        world.crash()
        world.advance(10)
        failed = [record["id"] for record in world.mainlog("P")]
        self.assertEqual((len(failed), len(set(failed))), (1000, 1000))

    def failed_so_far(self, world: World) -> int:
        """
        Messages given up.
        """
        return world.service.delivery.settlement.permanent_count

    def test_delay_is_spread(self) -> None:
        """
        With ``delayed_binding_domain_fuzz`` the next attempts of mail that was delayed at once lie apart, but for
        those of one message; what failed alone comes again in its own time.
        """
        world = self.world(
            "[global]\nretry_interval = 100\n[binding.b1]\ndelayed_binding_domain_fuzz = 64\n[binding.b2]\n"
        )
        mx = world.exchanger("example.com")
        world.resolver.delay = 30.0
        for number in range(20):
            names = [f"{name}{number}@example.com" for name in ("carol", "dave")]
            self.accept(world, names, X_Binding="b1" if number % 2 else "b2")
        dr = world.domain("example.com")
        world.service.delivery.settlement.delay_domain(dr, b"451 4.4.1 [internal] manually delayed domain")
        self.assertEqual(dr.mail_queue.delayed_size(), 40)
        delayed = world.clock.seconds()
        world.advance(delayed + 90)
        self.assertEqual(mx.ledger, [])
        world.advance(90)
        times = {b"%b" % taken.recipients[0]: round(taken.at - delayed) for taken in mx.ledger}
        self.assertEqual({len(taken.recipients) for taken in mx.ledger}, {2})
        together = [time for name, time in times.items() if not int(name[5:-12]) % 2]
        apart = sorted(time for name, time in times.items() if int(name[5:-12]) % 2)
        self.assertEqual(set(together), {100})
        self.assertEqual(len(set(apart)), 10)
        self.assertLess(apart[0], 107)
        self.assertTrue(154 < apart[-1] < 165)

    def test_purge_is_undone_by_no_crash(self) -> None:
        """
        What was purged stays purged after a restart.
        """
        world = self.world()
        world.resolver.mx["example.com"] = MXKind.NULL
        self.accept(world)
        world.advance(5)
        world.crash()
        mx = world.exchanger("example.com")
        world.advance(86400)
        self.assertEqual(self.taken(mx), [])
        self.assertEqual(len(world.mainlog("P")), 1)

    def test_sender_of_send_learns_it(self) -> None:
        """
        ``send`` fires with a permanent failure of domain scope when the domain
        is purged.
        """
        world = self.world()
        world.resolver.mx["example.com"] = MXKind.NULL
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(5)
        (outcome,) = self.successResultOf(sending)
        self.assertEqual(outcome.note, b"550 5.4.4 [internal] NULL MX domain does not accept mail")
