"""
What an injector may say of a message besides its envelope.
"""

from datetime import UTC, datetime, timedelta, timezone

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.envelope import NO_TERMS, Terms
from momentum_tx.errors import MessageRefused
from momentum_tx.inject.wishes import FIELDS, MAX_AHEAD, check, obey, terms_from, terms_of, wall_time
from momentum_tx.interfaces.services import Submission
from momentum_tx.message.headers import lower_head
from momentum_tx.queues.message import Reception
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

NOW = 1_700_000_000.0


def submission(**said: object) -> Submission:
    """
    A submission that says this.
    """
    return Submission(b"", (b"bob@example.com",), b"text\r\n", **said)  # type: ignore[arg-type]


def _terms_of(said: Submission, content: bytes) -> Terms:
    return terms_of(said, content, lower_head(content))


class TermsTests(SynchronousTestCase):
    """
    What the envelope and the field ``TLS-Required`` say.
    """

    def test_nothing(self) -> None:
        """
        Who says nothing shares the terms of all.
        """
        self.assertIs(terms_from(3, "", "", "", "", False), NO_TERMS)
        self.assertIs(_terms_of(submission(), b"Subject: x\r\n\r\nTLS-Required: No\r\n"), NO_TERMS)

    def test_for_all(self) -> None:
        """
        One word on reports holds for every recipient.
        """
        terms = terms_from(2, "", "", "FAILURE", "", True)
        self.assertEqual((set(terms.recipients), terms.of(0), terms.require_tls), ({0, 1}, terms.of(1), True))

    def test_times(self) -> None:
        """
        Times of the submission are terms like the others.
        """
        said = submission(not_before=NOW, expires=NOW + 1, terms=Terms(envid=b"x"))
        self.assertEqual(_terms_of(said, b""), Terms(NOW, NOW + 1, b"x"))

    def test_tls_required(self) -> None:
        """
        ``TLS-Required: No`` counts in any case and folding; another value does not, nor does
        the field in the body, another field's name or value; next to REQUIRETLS it says nothing.
        """
        for field, optional in (
            (b"TLS-Required: No\r\n", True),
            (b"Subject: x\r\ntls-required :\r\n no \r\n", True),
            (b"TLS-Required: Yes\r\n", False),
            (b"X-TLS-Required: No\r\n", False),
            (b"Subject: x\r\n TLS-Required: No\r\n", False),
            (b"\r\nTLS-Required: No\r\n", False),
        ):
            content = field + b"\r\ntext\r\n"
            self.assertEqual(_terms_of(submission(), content).tls_optional, optional, field)
            required = submission(terms=Terms(require_tls=True))
            self.assertEqual(_terms_of(required, content), Terms(require_tls=True))


class WishTests(SynchronousTestCase):
    """
    Reading and judging.
    """

    def refused(self, text: str, **said: object) -> None:
        """
        *said* is refused with a text that begins with this.
        """
        error = self.assertRaises(MessageRefused, check, submission(**said), NOW)
        self.assertEqual((error.code, error.text[: len(text)]), (550, text))

    def test_fields(self) -> None:
        """
        Seven fields are ours; the X-Priority of mail programs is not.
        """
        self.assertEqual(len(FIELDS), 7)
        self.assertIn(b"x-priority-class", FIELDS)
        self.assertNotIn(b"x-priority", FIELDS)

    def test_obeyed(self) -> None:
        """
        Each field says what the argument of its name says.
        """
        said = obey(
            submission(),
            {
                b"x-binding": b"b1",
                b"x-tenant": b"acme",
                b"x-campaign": b"Spring sale",
                b"x-priority-class": b"high",
                b"x-not-before": b"1700000001.5",
                b"x-expires": b"Tue, 14 Nov 2023 23:13:30 +0100",
            },
        )
        self.assertEqual(
            said,
            submission(
                binding="b1",
                tenant="acme",
                campaign="Spring sale",
                priority="high",
                not_before=NOW + 1.5,
                expires=NOW + 10,
            ),
        )

    def test_arguments_decide(self) -> None:
        """
        What the application says by argument counts before what the message says.
        """
        said = submission(binding_group="g", tenant="acme", not_before=NOW + 1)
        fields = {b"x-binding": b"b1", b"x-tenant": b"other", b"x-not-before": b"1800000000", b"x-campaign": b"c"}
        self.assertEqual(
            obey(said, fields), submission(binding_group="g", tenant="acme", not_before=NOW + 1, campaign="c")
        )

    def test_dates(self) -> None:
        """
        A date is read as a Date field is, with the zone it names, and not without one.
        """
        for text in (
            "Tue, 14 Nov 2023 22:13:20 +0000",
            "14 Nov 2023 22:13:20 GMT",
            "Tue, 14 Nov 2023 22:13:20 -0000 (UTC)",
            "14 Nov 2023 17:13:20 -0500",
            "1700000000",
        ):
            self.assertEqual(obey(submission(), {b"x-expires": text.encode()}).expires, NOW, text)
        for text in (
            "",
            "0",
            "-1700000000",
            "1e9",
            "nan",
            "tomorrow",
            "14 Nov 2023 22:13:20",
            "14 Nov 2023 22:13:20 CET",
            "99 Nov 2023 22:13:20 +0000",
            "14 Nov 2023 22:13:20 +0000 or later",
            "+0000",
            "14 Nov 99999 22:13:20 +0000",
            "\N{FULLWIDTH DIGIT ONE}",
        ):
            error = self.assertRaises(MessageRefused, obey, submission(), {b"x-expires": text.encode()})
            self.assertEqual(error.code, 550)
            self.assertTrue(error.text.startswith("5.6.0 X-Expires: "), error.text)
            self.assertTrue(error.text.isascii())

    def test_names(self) -> None:
        """
        A name has at most 64 printable ASCII characters, and no blank at its ends.
        """
        for name in ("a", "x" * 64, "two words", "!~", "a=b:c"):
            self.assertEqual(check(submission(tenant=name), NOW).tenant, name)
            self.assertEqual(obey(submission(), {b"x-tenant": name.encode()}).tenant, name)
        for name in ("x" * 65, " a", "a ", "a\tb", "a\r\nb", "gr\xfc\xdfe", "\0", "a\n"):
            for attribute in ("tenant", "campaign", "priority"):
                self.refused(f"5.6.0 {attribute}: ", **{attribute: name})
            self.assertRaises(MessageRefused, obey, submission(), {b"x-campaign": name.encode()})
        error = self.assertRaises(MessageRefused, obey, submission(), {b"x-priority-class": b""})
        self.assertTrue(error.text.startswith("5.6.0 X-Priority-Class: '' is no name"), error.text)

    def test_times(self) -> None:
        """
        A time to wait for may have passed; a life may not, nor end before the first attempt; neither lies far ahead.
        """
        self.assertEqual(check(submission(not_before=NOW), NOW).not_before, 0.0)
        self.assertEqual(check(submission(not_before=NOW + 0.5), NOW).not_before, NOW + 0.5)
        self.assertEqual(check(submission(expires=NOW + 0.5), NOW).expires, NOW + 0.5)
        self.refused("5.6.0 expires: has passed", expires=NOW)
        self.refused("5.6.0 expires: comes before", not_before=NOW + 5, expires=NOW + 5)
        check(submission(not_before=NOW + 5, expires=NOW + 5.1), NOW)
        check(submission(not_before=NOW + MAX_AHEAD), NOW)
        self.refused("5.6.0 not_before: is more than a year ahead", not_before=NOW + MAX_AHEAD + 1)
        self.refused("5.6.0 expires: is more than a year ahead", expires=NOW * 1000)

    def test_wall_time(self) -> None:
        """
        A time is epoch seconds, or a datetime with a zone.
        """
        self.assertEqual([wall_time(time) for time in (None, 0, 12, 1.5)], [0.0, 0.0, 12.0, 1.5])
        self.assertEqual(wall_time(datetime(2023, 11, 14, 23, 13, 20, tzinfo=timezone(timedelta(hours=1)))), NOW)
        for time in (datetime(2023, 11, 14), float("nan"), float("inf")):
            self.assertRaises(ValueError, wall_time, time)


class TraitStories(WorldCase):
    """
    From the door to the end.
    """

    def reception(self, world: World) -> Reception:
        """
        The only one that is queued.
        """
        (message,) = [message for dr in world.service.delivery.records for message in dr.mail_queue.messages()]
        return message.reception

    def test_taken_away(self) -> None:
        """
        The fields do not leave the house; X-Priority and the like do.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        self.accept(
            world,
            X_Tenant="acme",
            X_Campaign="spring",
            X_Priority_Class="high",
            X_Expires="1700000100",
            X_Not_Before="1700000001",
            X_Priority="1",
            X_Tenants="stay",
        )
        world.advance(10)
        content = mx.ledger[0].content
        for gone in (b"acme", b"spring", b"high", b"17000001", b"X-Not-Before"):
            self.assertNotIn(gone, content)
        self.assertIn(b"X-Priority: 1\r\nX-Tenants: stay\r\n", content)

    def test_refused(self) -> None:
        """
        A client reads what is wrong with a field; a stranger's is left alone.
        """
        world = self.world('[global]\nrelay_hosts = ["192.0.2.0/24", "127.0.0.1"]\n')
        mx = world.exchanger("example.com")
        for field, value in (("X-Tenant", "x" * 65), ("X-Expires", "soon"), ("X-Not-Before", "Friday")):
            content = world.message(**{field: value})
            self.assertTrue(world.inject(SENDER, [BOB], content).startswith(b"550 5.6.0 " + field.encode()))
            self.assertEqual(world.inject(SENDER, [BOB], content, source="192.0.2.3")[:4], b"250 ")
        world.advance(10)
        self.assertEqual(len(mx.ledger), 3)
        self.assertIn(b"X-Expires: soon", mx.ledger[1].content)

    def test_said_in_process(self) -> None:
        """
        The application says it by keyword, and finds it on the reception; a crash changes nothing.
        """
        world = self.world('[binding.b1]\nbind_address = "192.0.2.2"\n')
        mx = world.exchanger("example.com")
        sending = world.send(
            SENDER,
            [BOB],
            world.message(X_Tenant="other"),
            binding="b1",
            tenant="acme",
            campaign="spring",
            priority="high",
            not_before=world.wall() + 100,
            expires=datetime.fromtimestamp(world.wall() + 500, UTC),
        )
        world.advance(1)
        self.successResultOf(sending.accepted)
        for _ in range(2):
            found = self.reception(world)
            self.assertEqual((found.tenant, found.campaign, found.priority), ("acme", "spring", "high"))
            self.assertEqual((found.not_before, found.expires), (1_700_000_100.0, 1_700_000_500.0))
            world.crash()
        world.advance(200)
        self.assertEqual([taken.source for taken in mx.ledger], ["192.0.2.2"])
        self.assertNotIn(b"X-Tenant", mx.ledger[0].content)

    def test_chosen_group(self) -> None:
        """
        A binding group is named by keyword too, and a name that is not configured is refused.
        """
        world = self.world('[binding_group.g.binding.b1]\nbind_address = "192.0.2.2"\n')
        mx = world.exchanger("example.com")
        world.send(SENDER, [BOB], world.message(), binding_group="g")
        world.advance(1)
        self.assertEqual([taken.source for taken in mx.ledger], ["192.0.2.2"])
        for sending in (
            world.send(SENDER, [BOB], world.message(), binding="g"),
            world.send(SENDER, [BOB], world.message(), binding_group="b1"),
        ):
            refused = self.failureResultOf(sending, MessageRefused).value
            self.assertTrue(refused.text.startswith("5.6.0 X-Binding"), refused.text)

    def test_refused_in_process(self) -> None:
        """
        What makes no sense fails at once with the reason.
        """
        world = self.world()
        for said, text in (
            ({"tenant": "x" * 65}, "5.6.0 tenant: "),
            ({"expires": world.wall()}, "5.6.0 expires: has passed"),
            ({"not_before": datetime(2030, 1, 1)}, "5.6.0 2030-01-01 00:00:00 has no time zone"),
        ):
            sending = world.service.send(SENDER, [BOB], world.message(), **said)
            refused = self.failureResultOf(sending, MessageRefused).value
            self.assertEqual((refused.code, refused.text[: len(text)]), (550, text))

    def test_held_back(self) -> None:
        """
        A message is not attempted before its time, and then at once; its life begins there, so
        that it may wait longer than mail lives.
        """
        world = self.world("[global]\nmessage_expiration = 5000\nmax_retry_interval = 1200\n")
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not today", times=2)
        self.accept(world, X_Not_Before=str(world.wall() + 100_000))
        world.advance(99_990)
        self.assertEqual((self.kinds(world), mx.commands), ("R", []))
        world.advance(100)
        self.assertEqual(self.kinds(world), "RT")
        world.crash()
        world.advance(2500)
        self.assertEqual(self.kinds(world), "RTTD")

    def test_flushed(self) -> None:
        """
        An operator who has all delayed mail tried at once means this one too.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        self.accept(world, X_Not_Before=str(world.wall() + 100_000))
        self.assertEqual(world.service.flush(), 1)
        world.advance(10)
        self.assertEqual(len(mx.ledger), 1)

    def test_expires(self) -> None:
        """
        A message with an end of its own is given up as soon as no further attempt fits before it, whatever
        ``message_expiration`` says.
        """
        world = self.world("[global]\nretry_interval = 100\nmessage_expiration = 150\nmax_retry_interval = 100\n")
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not today")
        self.accept(world, X_Expires=str(world.wall() + 450))
        world.advance(402)
        self.assertEqual(self.kinds(world), "RTTTTTP")
        self.assertEqual(self.last(world, "P")["note"], "554 5.4.7 [internal] exceeded max time without delivery")

    def test_expired_in_the_queue(self) -> None:
        """
        Mail that had to wait beyond its end is not attempted any more; that it is given up comes with the
        first connection.
        """
        world = self.world("[global]\nsuspend_delivery = true\n")
        mx = world.exchanger("example.com")
        self.accept(world, X_Expires=str(world.wall() + 60))
        self.accept(world, X_Expires=str(world.wall() + 500))
        world.advance(100)
        self.assertEqual(self.kinds(world), "RR")
        world.reload("")
        world.advance(100)
        self.assertEqual(self.kinds(world), "RRPD")
        self.assertEqual(self.last(world, "P")["note"], "554 5.4.5 [internal] Delivery not attempted (message expired)")
        self.assertEqual(len(mx.ledger), 1)
