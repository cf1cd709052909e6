"""
The habits of receivers, one by one and together.
"""

from random import Random

from twisted.internet.error import ConnectionLost

from momentum_tx.testing import behaviours
from momentum_tx.testing.behaviours import (
    DAY,
    GARBAGE,
    Behaviour,
    BrokenAt,
    CloseAtDot,
    ConnectionCap,
    DailyQuota,
    Greylisting,
    OutageSchedule,
    RateLimit,
    RecipientCap,
    RefuseRecipients,
    SlowAcceptance,
    Tarpit,
    TemporaryFailures,
)
from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.network import VirtualNetwork
from momentum_tx.testing.peers import CLOSE, RESET, SILENCE, Answer, Receiver, ReceiverSession, Step

from ..worlds import BOB, SENDER, WorldCase
from .test_network import Side
from .test_peers import BODY, MAIL, ReceiverCase


class Talkative(Behaviour):
    """
    Remembers what it was asked, and answers NOOP.

    :param name: said to NOOP, and added to what anybody says.
    """

    def __init__(self, name: bytes, step: Step | None = None) -> None:
        self.name = name
        self.step = step
        self.asked: list[str] = []
        self.life: list[str] = []

    def answer(self, session: ReceiverSession, point: str, line: bytes) -> Step | None:
        self.asked.append(point)
        return self.step if point == "NOOP" else None

    def adjust(self, session: ReceiverSession, point: str, answer: Answer) -> Answer:
        return Answer(answer.reply + b" " + self.name, answer.then, answer.take, answer.after)

    def attached(self, receiver: Receiver) -> None:
        self.life.append("attached")

    def detached(self, receiver: Receiver) -> None:
        self.life.append("detached")


class BehaviourCase(ReceiverCase):
    """
    More ways to talk to the receiver.
    """

    def setUp(self) -> None:
        super().setUp()
        # Sums of it are exact, so a story may look at the very moment.
        self.network.default_line.latency = 1 / 1024

    def dial(self, source: str = "") -> tuple[Side, list[str]]:
        """
        Begin to connect; the list will say what became of it.
        """
        side, ends = Side(), list[str]()

        def connected(stream: object) -> None:
            ends.append("open")
            stream.start(side)  # type: ignore[attr-defined]

        self.host.dial("198.51.100.7", 25, source, None, connected, lambda failure: ends.append("refused"))
        return side, ends

    def reach(self) -> str:
        """
        What becomes of a connect: the code of the greeting, or ``refused``, or nothing.
        """
        side, ends = self.dial()
        self.clock.advance(0.01)
        code = b"".join(side.heard)[:3].decode()
        if side.transport is not None:
            side.transport.abortConnection()
            self.clock.advance(0.01)
        return code or "".join(ends)

    def until(self, time: float) -> None:
        """
        Let time pass until then.
        """
        self.clock.advance(time - self.clock.seconds())

    def greeting(self, side: Side) -> bytes:
        """
        The code it was greeted with.
        """
        return b"".join(side.heard)[:3]

    def heard(self, side: Side) -> int:
        """
        How many lines it has heard.
        """
        return b"".join(side.heard).count(b"\r\n")


class CompositionTests(BehaviourCase):
    """
    Who answers when several could.
    """

    def test_order(self) -> None:
        """
        The script is asked first, then the behaviours in their order, then the
        fields, then what is usual; and all behaviours have their say about the
        answer.
        """
        first, second = Talkative(b"one", b"250 First"), Talkative(b"two", b"250 Second")
        self.mx.add(first, second)
        self.mx.on("NOOP", b"250 Script", times=1)
        side = self.connect()
        self.assertEqual(b"".join(side.heard), b"220 mx.peer.example ESMTP one two\r\n")
        self.assertEqual(self.say(side, b"NOOP"), [b"250 Script one two"])
        self.assertEqual(self.say(side, b"NOOP"), [b"250 First one two"])
        self.mx.remove(first)
        self.assertEqual(self.say(side, b"NOOP"), [b"250 Second two"])
        self.mx.refuse["bob@example.com"] = b"550 5.1.1 No"
        self.assertEqual(self.say(side, *MAIL[1:3])[1], b"550 5.1.1 No two")
        self.mx.add(RefuseRecipients(1.0, b"553 5.1.3 Never"))
        self.assertEqual(self.say(side, MAIL[2]), [b"553 5.1.3 Never two"])
        self.assertEqual(
            (first.asked, second.asked), (["connect", "NOOP"], ["connect", "NOOP", "MAIL", "RCPT", "RCPT"])
        )

    def test_points(self) -> None:
        """
        A behaviour is asked at every point of a conversation.
        """
        self.mx.starttls = True
        behaviour = Talkative(b"")
        self.mx.add(behaviour)
        self.say(self.connect(), b"STARTTLS", *MAIL, BODY, b"QUIT")
        self.assertEqual(
            behaviour.asked, ["connect", "STARTTLS", "TLS", "EHLO", "MAIL", "RCPT", "DATA", "body", "dot", "QUIT"]
        )

    def test_adjusted_where_nothing_is_usual(self) -> None:
        """
        An answer in the body, or behind the one to STARTTLS, is adjusted too.
        """
        self.mx.starttls = True
        self.mx.on("body", b"552 5.2.3 Too long")
        self.mx.on("TLS", b"421 4.7.0 Changed my mind")
        self.mx.add(Talkative(b"after all"))
        side = self.connect()
        self.assertEqual(self.say(side, *MAIL, BODY)[-1], b"552 5.2.3 Too long after all")
        self.assertEqual(self.say(side, b"STARTTLS"), [b"421 4.7.0 Changed my mind after all"])

    def test_no_opinion(self) -> None:
        """
        One that is no more than a behaviour changes nothing; so does a function
        of one that returns nothing.
        """
        self.mx.add(Behaviour(), Talkative(b"!", lambda session, line: None))
        self.mx.add(Talkative(b"?", lambda session, line: b"250 " + session.client.encode() + line))
        self.assertEqual(self.say(self.connect(), b"NOOP"), [b"250 192.0.2.1NOOP ! ?"])

    def test_life(self) -> None:
        """
        A behaviour is told once that it was added and once that it was removed,
        by whatever way; to remove it again is an error.
        """
        for way in ("remove", "behave", "close"):
            one = Talkative(b"one", b"250 One")
            self.mx.add(one)
            self.assertEqual((one.life, self.mx.behaviours), (["attached"], (one,)))
            getattr(self.mx, way)(*[one] * (way == "remove"))
            self.assertEqual((one.life, self.mx.behaviours), (["attached", "detached"], ()))
            self.assertRaises(ValueError, self.mx.remove, one)
        self.mx.up()
        self.assertEqual(self.say(self.connect(), b"NOOP"), [b"250 2.0.0 Ok"])

    def test_removed_beside_a_script(self) -> None:
        """
        The script goes on when the last behaviour goes.
        """
        one = Talkative(b"one")
        self.mx.on("NOOP", b"250 Script")
        self.mx.add(one)
        self.mx.remove(one)
        self.assertEqual(self.say(self.connect(), b"NOOP"), [b"250 Script"])

    def test_greylisting_tarpit_with_a_cap(self) -> None:
        """
        Three habits at once: the greeting is late, the second connection is sent
        away as late, the recipient is refused late, and all is well when it comes
        again.
        """
        self.mx.add(ConnectionCap(1), Greylisting(60.0), Tarpit(5.0))
        side, other = self.connect(), self.connect()
        self.clock.advance(4.7)
        self.assertEqual((side.heard, other.heard), ([], []))
        self.clock.advance(1)
        self.assertEqual((self.greeting(side), self.greeting(other)), (b"220", b"421"))
        self.assertEqual((len(side.ends), len(other.ends)), (0, 1))
        side.transport.write(b"\r\n".join([*MAIL[:3], b""]))
        self.clock.advance(14.9)
        self.assertNotIn(b"451 4.7.1", b"".join(side.heard))
        self.clock.advance(0.2)
        self.assertTrue(b"".join(side.heard).endswith(b"451 4.7.1 Greylisted, come back later\r\n"))
        self.clock.advance(60)
        side.transport.write(b"\r\n".join([*MAIL[2:], BODY, b""]))
        self.clock.advance(15.1)
        self.assertTrue(b"".join(side.heard).endswith(b"250 2.0.0 Taken\r\n"))
        self.assertEqual((len(self.mx.ledger), self.mx.refused), (1, {b"4": 2}))

    def test_shared(self) -> None:
        """
        Two receivers that share a limit admit no more than it, together.
        """
        limit = RateLimit(1, 60.0)
        other = Receiver(self.network, "198.51.100.8")
        self.addCleanup(other.close)
        self.mx.add(limit)
        other.add(limit)
        self.assertEqual(self.codes(self.connect(), *MAIL[:2]), [b"250", b"250"])
        side = Side()
        self.host.dial("198.51.100.8", 25, "", None, lambda stream: stream.start(side), self.fail)
        self.clock.advance(0.1)
        self.assertEqual(self.codes(side, *MAIL[:2]), [b"250", b"450"])
        side.transport.loseConnection()


class ConnectionCapTests(BehaviourCase):
    """
    Connections at once.
    """

    def test_cap(self) -> None:
        """
        One more is sent away; when one has gone there is room again.
        """
        self.mx.add(ConnectionCap(2, b"421 4.3.2 Full"))
        sides = [self.connect() for _ in range(3)]
        self.assertEqual([self.greeting(side) for side in sides], [b"220", b"220", b"421"])
        self.assertEqual(b"".join(sides[2].heard), b"421 4.3.2 Full\r\n")
        self.say(sides[0], b"QUIT")
        self.assertEqual(self.greeting(self.connect()), b"220")

    def test_per_client(self) -> None:
        """
        Each client address by itself.
        """
        self.host = self.network.host("192.0.2.1", "192.0.2.2")
        self.mx.add(ConnectionCap(1, per_client=True))
        sides = [self.dial(source)[0] for source in ("192.0.2.1", "192.0.2.2", "192.0.2.2")]
        self.clock.advance(0.1)
        self.assertEqual([self.greeting(side) for side in sides], [b"220", b"220", b"421"])


class RateLimitTests(BehaviourCase):
    """
    So many in any so many seconds.
    """

    def ask(self, side: Side, time: float) -> bytes:
        """
        Begin a transaction at a time; the code.
        """
        self.until(time)
        side.transport.write(MAIL[1] + b"\r\nRSET\r\n")
        before = len(b"".join(side.heard))
        self.clock.advance(0.01)
        return b"".join(side.heard)[before:][:3]

    def test_window(self) -> None:
        """
        Two in ten seconds, wherever the ten seconds begin: the third has to wait
        until the first is ten seconds ago, and what was refused does not count.
        """
        limit = RateLimit(2, 10.0)
        self.mx.add(limit)
        side = self.connect()
        told = [(time, self.ask(side, time)) for time in (1.0, 8.0, 10.75, 11.0, 17.75, 18.0, 30.0)]
        self.assertEqual([time for time, code in told if code == b"250"], [1.0, 8.0, 11.0, 18.0, 30.0])
        self.assertEqual({code for time, code in told}, {b"250", b"450"})
        # 8.0, 10.75, 11.0 and 17.75 are within ten seconds of each other.
        self.assertEqual(limit.largest_window(), (2, 4))

    def test_connections(self) -> None:
        """
        At ``connect`` the greeting is 421.
        """
        self.mx.add(RateLimit(1, 10.0, at="connect"))
        self.assertEqual([self.reach(), self.reach()], ["220", "421"])
        self.clock.advance(10)
        self.assertEqual(self.reach(), "220")

    def test_bound(self) -> None:
        """
        However much it is asked, it keeps so many times and no more.
        """
        self.patch(behaviours, "MOST_TIMES", 3)
        limit = RateLimit(1, 10.0, reply=b"421 4.7.0 Go away")
        self.mx.add(limit)
        for _ in range(5):
            self.assertIn(self.ask(self.connect(), self.clock.seconds()), (b"250", b"421"))
        self.assertEqual(limit.largest_window(), (1, 3))


class GreylistingTests(BehaviourCase):
    """
    Unknown triples.
    """

    def ask(
        self, time: float, recipient: bytes = b"bob@example.com", sender: bytes = b"a@b.example", n: int = 1
    ) -> bytes:
        """
        Name a recipient at a time, from address *n*; the code.
        """
        self.until(time)
        side, _ends = self.dial(f"192.0.2.{n}")
        self.clock.advance(0.01)
        side.transport.write(b"EHLO me\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nQUIT\r\n" % (sender, recipient))
        self.clock.advance(0.01)
        return b"".join(side.heard).split(b"\r\n")[-3][:3]

    def setUp(self) -> None:
        super().setUp()
        self.host = self.network.host("192.0.2.1", "192.0.2.2")
        self.greylisting = Greylisting()
        self.mx.add(self.greylisting)

    def test_delay(self) -> None:
        """
        It passes five minutes after its first try, not before, and from then on.
        """
        self.assertEqual([self.ask(time) for time in (0, 100, 299.9, 300, 301)], [b"451"] * 3 + [b"250"] * 2)

    def test_triple(self) -> None:
        """
        Another recipient, sender or client is unknown, though the rest is not.
        """
        self.ask(0)
        self.assertEqual(self.ask(400, b"carol@example.com"), b"451")
        self.assertEqual(self.ask(401, sender=b"c@b.example"), b"451")
        self.assertEqual(self.ask(402, n=2), b"451")
        self.assertEqual(self.ask(403), b"250")

    def test_forgotten(self) -> None:
        """
        A day after its last try it is unknown again.
        """
        self.ask(0)
        self.assertEqual([self.ask(time) for time in (400, DAY + 399)], [b"250"] * 2)
        self.assertEqual(self.ask(2 * DAY + 399), b"451")

    def test_bound(self) -> None:
        """
        The triple that was unused longest makes room.
        """
        self.patch(behaviours, "MOST_TRIPLES", 2)
        for time, name in enumerate((b"u0", b"u1", b"u0", b"u2")):
            self.ask(time, name + b"@example.com")
        self.assertEqual(
            [recipient for _, _, recipient in self.greylisting.known], [b"u0@example.com", b"u2@example.com"]
        )
        self.assertEqual([self.ask(400, b"u0@example.com"), self.ask(401, b"u1@example.com")], [b"250", b"451"])

    def test_out_of_order(self) -> None:
        """
        Nobody is remembered for RCPT without MAIL.
        """
        self.assertEqual(self.codes(self.connect(), MAIL[2]), [b"503"])
        self.assertEqual(self.greylisting.known, {})


class SlownessTests(BehaviourCase):
    """
    Late answers.
    """

    def test_everywhere(self) -> None:
        """
        Each answer is late by the same, also those to commands that came together.
        """
        self.mx.add(Tarpit(2.0))
        side, _ends = self.dial()
        self.until(1.99)
        self.assertEqual(self.heard(side), 0)
        self.until(2.01)
        self.assertEqual(self.heard(side), 1)
        self.until(10.0)
        side.transport.write(b"\r\n".join([*MAIL[1:], b""]))
        for replies in (1, 2, 3):
            self.until(10.0 + 2.0 * replies)
            self.assertEqual(self.heard(side), replies)
            self.until(10.01 + 2.0 * replies)
            self.assertEqual(self.heard(side), replies + 1)

    def test_somewhere(self) -> None:
        """
        Only where it is said; two of them add up.
        """
        self.mx.add(Tarpit(2.0, "MAIL"), Tarpit(3.0, ["MAIL", "NOOP"]))
        side = self.connect()
        self.assertEqual(self.codes(side, b"RSET", b"NOOP"), [b"250", b""])
        self.clock.advance(3)
        side.transport.write(MAIL[1] + b"\r\n")
        self.clock.advance(4.9)
        self.assertEqual(self.heard(side), 3)
        self.clock.advance(0.2)
        self.assertEqual(self.heard(side), 4)

    def test_acceptance(self) -> None:
        """
        The message is taken at once, and the client hears of it later.
        """
        self.mx.add(SlowAcceptance(60.0))
        side = self.connect()
        self.say(side, *MAIL, BODY)
        self.assertEqual([taken.said for taken in self.mx.ledger], [False])
        self.clock.advance(59.8)
        self.assertNotIn(b"Taken", b"".join(side.heard))
        self.clock.advance(0.2)
        self.assertIn(b"Taken", b"".join(side.heard))
        self.assertEqual([taken.said for taken in self.mx.ledger], [True])


class DailyQuotaTests(BehaviourCase):
    """
    Messages of one day.
    """

    def test_quota(self) -> None:
        """
        One too many is refused at its dot, and nothing but what was taken counts;
        at midnight a new day begins.
        """
        quota = DailyQuota(2)
        self.mx.add(quota, BrokenAt("dot", b"451 4.3.0 No", share=1.0))
        side = self.connect()
        self.assertEqual(self.codes(side, *MAIL, BODY)[-1:], [b"451"])
        self.mx.remove(self.mx.behaviours[1])
        self.assertEqual(self.codes(side, *(*MAIL[1:], BODY) * 3)[3::4], [b"250", b"250", b"452"])
        self.until(DAY - 1)
        self.assertEqual(self.codes(side, *MAIL[1:], BODY)[-1:], [b"452"])
        self.until(DAY)
        self.assertEqual(quota.taken, 2)
        self.assertEqual(self.codes(side, *MAIL[1:], BODY)[-1:], [b"250"])
        self.assertEqual((quota.taken, len(self.mx.ledger)), (1, 3))

    def test_taken_without_a_word(self) -> None:
        """
        What was taken counts, whatever was said.
        """
        quota = DailyQuota(1)
        self.mx.add(CloseAtDot(take=True), quota)
        self.say(self.connect(), *MAIL, BODY)
        self.mx.remove(self.mx.behaviours[0])
        self.assertEqual(self.codes(self.connect(), *MAIL, BODY)[-1], b"452")


class RecipientCapTests(BehaviourCase):
    """
    Recipients of one transaction.
    """

    def test_cap(self) -> None:
        """
        It accepts so many, whatever it refuses between them, in each transaction anew.
        """
        self.mx.refuse["nobody@example.com"] = b"550 5.1.1 No"
        cap = RecipientCap(2)
        side = self.connect()
        more = (b"RCPT TO:<nobody@example.com>", MAIL[2], MAIL[2])
        self.mx.add(cap)
        self.assertEqual(self.codes(side, *MAIL[:3], *more), b"250 250 250 550 250 452".split())
        self.assertEqual(self.codes(side, b"RSET", *MAIL[1:3]), b"250 250 250".split())

    def test_reply(self) -> None:
        """
        It says what it is told to.
        """
        self.mx.add(RecipientCap(0, b"552 Too many recipients"))
        self.assertEqual(self.say(self.connect(), *MAIL[:3])[-1], b"552 Too many recipients")


class RefuseRecipientsTests(BehaviourCase):
    """
    Recipients that do not exist.
    """

    def test_same_answer(self) -> None:
        """
        The same address always has the same answer, whatever its case.
        """
        habit = RefuseRecipients(0.5)
        self.mx.add(habit)
        side = self.connect()
        self.say(side, *MAIL[:2])
        names = [b"u%d@example.com" % number for number in range(20)]
        once = self.codes(side, *(b"RCPT TO:<%s>" % name for name in names))
        again = self.codes(side, *(b"rcpt to:<%s>" % name.upper() for name in names))
        self.assertEqual(once, again)
        self.assertEqual(once, [b"550" if habit.refuses(name) else b"250" for name in names])
        self.assertEqual(set(once), {b"250", b"550"})

    def test_share(self) -> None:
        """
        About the share that was asked for; none and all are exact; another salt
        chooses others.
        """
        names = [b"u%d@example.com" % number for number in range(2000)]
        chosen = [RefuseRecipients(0.3, salt=salt) for salt in (0, 0, 1)]
        sets = [[name for name in names if habit.refuses(name)] for habit in chosen]
        for each in sets:
            self.assertTrue(500 < len(each) < 700, len(each))
        self.assertEqual(sets[0], sets[1])
        self.assertNotEqual(sets[0], sets[2])
        self.assertFalse(any(map(RefuseRecipients(0.0).refuses, names)))
        self.assertTrue(all(map(RefuseRecipients(1.0).refuses, names)))

    def test_out_of_order(self) -> None:
        """
        RCPT without MAIL is out of order, whoever it is for.
        """
        self.mx.add(RefuseRecipients(1.0))
        self.assertEqual(self.codes(self.connect(), MAIL[2]), [b"503"])


class BrokenTests(BehaviourCase):
    """
    Things that go wrong at one point.
    """

    def test_answers(self) -> None:
        """
        Every kind of thing.
        """
        for answer, heard, ends in (
            (b"450 4.3.2 Busy", b"450 4.3.2 Busy", 0),
            (b"554 5.7.1 No", b"554 5.7.1 No", 0),
            (b"421 4.3.2 Bye", b"421 4.3.2 Bye", 1),
            (GARBAGE, b"\x00\xff banana", 0),
            (CLOSE, b"", 1),
            (RESET, b"", 1),
            (SILENCE, b"", 0),
        ):
            self.mx.behave()
            self.mx.add(BrokenAt("MAIL", answer))
            side = self.connect()
            self.assertEqual(self.say(side, b"EHLO me", MAIL[1])[1:], [heard])
            self.assertEqual(len(side.ends), ends)
            self.assertEqual(len(self.mx.open) > 0, not ends)
            side.transport.abortConnection()
            self.clock.advance(1)

    def story(self, habit: Behaviour) -> list[bytes]:
        """
        A hundred recipients.
        """
        self.mx.behave()
        self.mx.add(habit)
        side = self.connect()
        self.say(side, *MAIL[:2])
        return self.codes(side, *[MAIL[2]] * 100)

    def test_share(self) -> None:
        """
        Now and then, and the same chance makes the same story.
        """
        story = self.story(TemporaryFailures(0.3, Random(5)))
        self.assertEqual(story, self.story(BrokenAt("RCPT", b"451 4.3.0 No", 0.3, Random(5))))
        self.assertNotEqual(story, self.story(TemporaryFailures(0.3, Random(6))))
        self.assertTrue(15 < story.count(b"451") < 45)
        self.assertEqual(self.story(TemporaryFailures(1.0, Random(1))), [b"451"] * 100)
        self.assertEqual(self.story(TemporaryFailures(0.0, Random(1))), [b"250"] * 100)

    def test_elsewhere(self) -> None:
        """
        A failure has its point and its words.
        """
        self.mx.add(TemporaryFailures(1.0, Random(1), at="DATA", reply=b"452 4.3.1 Full"))
        self.assertEqual(self.say(self.connect(), *MAIL)[-1], b"452 4.3.1 Full")

    def test_share_without_chance(self) -> None:
        """
        A share needs a source of chance.
        """
        self.assertRaises(ValueError, BrokenAt, "MAIL", CLOSE, 0.5)
        self.assertRaises(ValueError, CloseAtDot, True, 0.5)

    def test_dot(self) -> None:
        """
        After the final dot it closes or falls silent, with the message or without.
        """
        for take, silent in ((True, True), (True, False), (False, True), (False, False)):
            self.mx.behave()
            self.mx.ledger.clear()
            self.mx.add(CloseAtDot(take, silent=silent))
            side = self.connect()
            self.assertEqual(self.say(side, *MAIL, BODY, b"NOOP")[-2:], [b"", b""])
            self.assertEqual((len(side.ends), [taken.said for taken in self.mx.ledger]), (not silent, [False] * take))


class OutageTests(BehaviourCase):
    """
    Out of service now and then: an hour's outage of ten minutes, from the first
    thousand seconds on.
    """

    def schedule(self, manner: str) -> OutageSchedule:
        """
        Such a schedule, added.
        """
        schedule = OutageSchedule(3600.0, 600.0, 1000.0, manner)  # type: ignore[arg-type]
        self.mx.add(schedule)
        return schedule

    def test_manners(self) -> None:
        """
        Connects just before, in and just after the first outage and a later one.
        """
        for manner, found in (("refuse", "refused"), ("reset", "refused"), ("silent", ""), ("421", "421")):
            self.mx.close()
            self.clock = VirtualClock()
            self.network = VirtualNetwork(self.clock, Random(1))
            self.host = self.network.host("192.0.2.1")
            self.mx = Receiver(self.network, "198.51.100.7")
            schedule = self.schedule(manner)
            for begin in (1000.0, 4600.0, 1000.0 + 3600.0 * 50):
                self.until(begin - 0.1)
                self.assertEqual((self.reach(), schedule.out(begin - 0.1)), ("220", False))
                self.until(begin)
                self.assertEqual((self.reach(), schedule.out(begin)), (found, True))
                self.until(begin + 599.9)
                self.assertEqual((self.reach(), schedule.out(begin + 599.9)), (found, True))
                self.until(begin + 600.0)
                self.assertEqual((self.reach(), schedule.out(begin + 600.0)), ("220", False))

    def test_open_connections(self) -> None:
        """
        Those that are open live on, but for the manner ``reset``.
        """
        for manner, ends in (("refuse", []), ("silent", []), ("421", []), ("reset", [ConnectionLost])):
            self.mx.behave()
            side = self.connect()
            self.mx.add(OutageSchedule(3600.0, 600.0, self.clock.seconds() + 1.0, manner))  # type: ignore[arg-type]
            self.clock.advance(2)
            self.assertEqual(side.ends, ends)
            if not ends:
                self.assertEqual(self.codes(side, *MAIL, BODY, b"QUIT")[-2:], [b"250", b"221"])

    def test_quiet_week(self) -> None:
        """
        A week costs a tick for each beginning and each end, and none where the
        time alone says it.
        """
        for manner, ticks in (("refuse", 2 * 168), ("421", 0)):
            self.mx.behave()
            start = self.clock.seconds()
            self.mx.add(OutageSchedule(3600.0, 600.0, start + 1.0, manner))  # type: ignore[arg-type]
            count = 0
            while self.clock.getDelayedCalls() and self.clock.getDelayedCalls()[0].getTime() < start + 7 * DAY:
                self.clock.step()
                count += 1
            self.assertEqual(count, ticks)

    def test_added_in_the_middle(self) -> None:
        """
        One that is added during an outage is out at once, until its end; between
        two it waits for the next; and time before the first is no outage.
        """
        self.until(4600.0 + 300)
        self.schedule("reset")
        self.assertEqual(self.reach(), "refused")
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [5200.0])
        self.until(4600.0 + 600)
        self.assertEqual(self.reach(), "220")
        self.mx.behave()
        side = self.connect()
        self.schedule("reset")
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [8200.0])
        self.assertEqual(self.codes(side, b"NOOP"), [b"250"])
        self.until(8200.0 - 1)
        self.assertEqual(self.reach(), "220")
        self.until(8200.0)
        self.assertEqual(self.reach(), "refused")
        self.mx.behave()
        self.assertEqual(self.reach(), "220")
        self.assertFalse(OutageSchedule(10.0, 9.0, 100.0).out(91.0))

    def test_two_schedules(self) -> None:
        """
        Where outages overlap the receiver is back when the last is over.
        """
        self.mx.add(OutageSchedule(1000.0, 100.0, 10.0, "silent"), OutageSchedule(1000.0, 100.0, 60.0))
        told = []
        for time in (5, 20, 70, 115, 165):
            self.until(time)
            told.append(self.reach())
        self.assertEqual(told, ["220", "", "", "refused", "220"])
        self.until(1070)
        self.mx.remove(self.mx.behaviours[0])
        self.assertEqual(self.reach(), "refused")
        self.mx.behave()
        self.assertEqual((self.reach(), self.clock.getDelayedCalls()), ("220", []))

    def test_beside_down(self) -> None:
        """
        The end of an outage does not bring up a receiver that is down.
        """
        self.schedule("reset")
        self.until(1100.0)
        self.mx.down()
        self.until(1700.0)
        self.assertEqual(self.reach(), "refused")
        self.mx.up()
        self.assertEqual(self.reach(), "220")

    def test_nonsense(self) -> None:
        """
        An outage that never ends, none at all, an unknown manner, and one
        schedule for two receivers.
        """
        self.assertRaises(ValueError, OutageSchedule, 10.0, 10.0)
        self.assertRaises(ValueError, OutageSchedule, 10.0, 0.0)
        self.assertRaises(ValueError, OutageSchedule, 10.0, 1.0, 0.0, "holiday")
        schedule = self.schedule("refuse")
        other = Receiver(self.network, "198.51.100.8")
        self.addCleanup(other.close)
        self.assertRaises(ValueError, other.add, schedule)
        self.assertEqual(other.behaviours, ())
        self.mx.remove(schedule)
        other.add(schedule)


class WorldTests(WorldCase):
    """
    The service against a difficult neighbourhood.
    """

    def story(self, seed: int) -> bytes:
        """
        A hundred messages to exchangers of which none is well; each is taken, and
        taken once.
        """
        world = self.world("[global]\nretry_interval = 600\nmax_retry_interval = 600\n", seed)
        chance = Random(seed)
        one, other = world.exchanger("example.com"), world.exchanger("example.com")
        limit = RateLimit(20, 60.0)
        one.add(ConnectionCap(5), limit, Greylisting(), Tarpit(0.2), OutageSchedule(3600.0, 600.0, 30.0, "reset"))
        other.add(limit, TemporaryFailures(0.3, chance), RefuseRecipients(0.1), SlowAcceptance(3.0))
        for number in range(100):
            self.accept(world, (f"u{number}@example.com",), subject=str(number))
        world.advance(DAY)
        self.assertTrue(world.mainlog("P"))
        taken = self.taken(one) + self.taken(other)
        self.assertEqual(len(taken), len(set(taken)))
        self.assertEqual(len(taken) + len(world.mainlog("P")), 100)
        self.assertEqual(world.queued(), 0)
        self.assertEqual(limit.largest_window()[0], 20)
        one.behave()
        return world.log.content

    def test_story(self) -> None:
        """
        Nothing is lost or doubled, and the same seed tells the same story.
        """
        self.assertEqual(self.story(3), self.story(3))

    def test_lost_reply(self) -> None:
        """
        A receiver that takes the message and closes has it twice in the end, the
        first time without a word.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        habit = CloseAtDot(take=True)
        mx.add(habit)
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(10)
        mx.remove(habit)
        world.advance(DAY)
        self.assertEqual([(taken.said, taken.reply) for taken in mx.ledger], [(False, b""), (True, b"250 2.0.0 Taken")])
        self.assertEqual(len(self.successResultOf(sending)), 1)
