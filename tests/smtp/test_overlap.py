"""
One transaction behind the final dot of another, with peers that answer as they should,
and with such that do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import LocalProtocolError
from momentum_tx.outcomes import Verdict
from momentum_tx.smtp import events as ev
from momentum_tx.smtp.client import Method
from momentum_tx.smtp.overlap import OverlappingMachine
from momentum_tx.stages import Stage

from .test_client import PLAIN, SessionCase

PIPELINING = b"250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
GROUP = b"MAIL FROM:<c@example.com>\r\nRCPT TO:<d@example.org>\r\nDATA\r\n"
DOT, MAIL, RCPT, DATA = b"250 2.0.0 taken", b"250 2.1.0 ok", b"250 2.1.5 ok", b"354 go"


class OverlapCase(SessionCase):
    """
    A machine whose first dot has left.
    """

    machine: OverlappingMachine

    def setUp(self) -> None:
        self.machine = OverlappingMachine()
        self.machine.start()

    def dot(self, ehlo: bytes = PIPELINING, *recipients: bytes) -> None:
        """
        Come to where the dot has left.
        """
        self.open(ehlo)
        self.begin(*recipients)
        for _ in range(2 + max(1, len(recipients))):
            if self.machine.stage is Stage.AFTER_DATA:
                self.hear(b"354 go\r\n")
                break
            self.hear(b"250 ok\r\n")
            self.say()
        self.machine.sending_body()
        self.machine.dot_sent()

    def behind(self) -> None:
        """
        Begin the next one there.
        """
        self.dot()
        self.machine.transaction_behind(b"c@example.com", b"d@example.org")
        self.assertEqual(self.say(), GROUP)
        self.assertEqual((self.machine.owed, self.machine.stage), (4, Stage.READING_CONFIRMATION))

    def lines(self, *replies: bytes) -> list[ev.Event]:
        """
        What comes of these replies.
        """
        return self.hear(b"".join(reply + b"\r\n" for reply in replies))

    def both(self, events: list[ev.Event]) -> tuple[ev.RecipientResult, ev.BodyWanted | ev.TransactionEnded]:
        """
        The result of the first, and the event of the second.
        """
        (event,) = events
        assert isinstance(event, ev.BothAnswered), event
        (result,) = event.first.results
        self.assertIs(result.stage, Stage.READING_CONFIRMATION)
        return result, event.second

    def in_doubt(self, events: list[ev.Event] = []) -> None:  # noqa: B006
        """
        Be sure that no verdict has come, that the session is over or has to be, that the first
        message is in doubt and that nothing is said of the second.
        """
        self.assertEqual([event for event in events if isinstance(event, (ev.BothAnswered, ev.TransactionEnded))], [])
        (result,) = self.machine.abandon(b"451 4.4.2 lost")
        self.assertEqual(
            (result.verdict, result.note, result.stage),
            (Verdict.TRANSIENT, b"451 4.4.2 lost", Stage.READING_CONFIRMATION),
        )
        self.assertEqual((self.machine.abandon(b"451 again"), self.machine.overlapped), ((), False))


class ConsistentTests(OverlapCase):
    """
    Peers that answer everything in its order.
    """

    def test_both_accepted(self) -> None:
        """
        The verdict on the dot is told when data is wanted of the next, and not before; and so on.
        """
        self.behind()
        self.assertEqual(self.lines(DOT, MAIL, RCPT), [])
        result, second = self.both(self.lines(DATA))
        self.assertEqual((result.verdict, result.note, second), (Verdict.DELIVERED, DOT, ev.BodyWanted((0,))))
        self.assertFalse(self.machine.overlapped)
        self.machine.sending_body()
        self.machine.dot_sent()
        self.assertTrue(self.machine.may_overlap)
        self.assertEqual(self.ended(self.lines(DOT))[0].verdict, Verdict.DELIVERED)
        self.assertTrue(self.machine.ready)

    def test_dot_refused(self) -> None:
        """
        A refusal is held back as well, and concerns the first alone.
        """
        for code, verdict in ((b"451 4.3.0 later", Verdict.TRANSIENT), (b"554 5.7.1 no", Verdict.PERMANENT)):
            self.setUp()
            self.behind()
            result, second = self.both(self.lines(code, MAIL, RCPT, DATA))
            self.assertEqual((result.verdict, result.note, second), (verdict, code, ev.BodyWanted((0,))))

    def test_recipient_refused(self) -> None:
        """
        The next recipient is refused, and DATA as what is out of its order: both are decided,
        and RSET is due.
        """
        for data in (b"503 5.5.1 RCPT first", b"503 need RCPT", b"554 5.5.1 Error: no valid recipients"):
            self.setUp()
            self.behind()
            result, second = self.both(self.lines(DOT, MAIL, b"550 5.1.1 nobody", data))
            assert isinstance(second, ev.TransactionEnded)
            self.assertIs(result.verdict, Verdict.DELIVERED)
            self.assertEqual(
                (second.results[0].verdict, second.results[0].note), (Verdict.PERMANENT, b"550 5.1.1 nobody")
            )
            self.assertTrue(self.machine.needs_reset)

    def test_sender_refused(self) -> None:
        """
        The next sender is refused, and so is all behind it, as what is out of its order.
        """
        self.behind()
        result, second = self.both(self.lines(DOT, b"451 4.7.1 slow down", b"503 MAIL first", b"503 MAIL first"))
        assert isinstance(second, ev.TransactionEnded)
        self.assertEqual((result.verdict, second.results[0].note), (Verdict.DELIVERED, b"451 4.7.1 slow down"))

    def test_without_a_next(self) -> None:
        """
        Where nothing is behind it the dot is answered as ever.
        """
        for reply, verdict in ((DOT, Verdict.DELIVERED), (b"554 no", Verdict.PERMANENT)):
            self.setUp()
            self.dot()
            self.assertIs(self.ended(self.lines(reply))[0].verdict, verdict)


class OctetByOctetTests(ConsistentTests):
    """
    The same with every octet a read of its own.
    """

    step = 1


class InconsistentTests(OverlapCase):
    """
    Peers that do not: the first is in doubt, the second untouched.
    """

    def test_reply_forgotten(self) -> None:
        """
        A peer that forgets the reply to the dot: the acceptance of MAIL is no acceptance of the message.
        """
        self.behind()
        events = self.lines(MAIL, RCPT, DATA)
        self.violated(events, Stage.AFTER_RCPT_TO)
        self.in_doubt(events)

    def test_forgotten_and_refused(self) -> None:
        """
        The same where the next is refused: the last reply never comes.
        """
        self.behind()
        self.assertEqual(self.lines(MAIL, b"550 5.1.1 nobody", b"503 RCPT first"), [])
        self.assertIs(self.machine.stage, Stage.AFTER_DATA)
        self.in_doubt()

    def test_one_too_many(self) -> None:
        """
        A reply too many, wherever it is.
        """
        for replies in (
            (DOT, DOT, MAIL, RCPT, DATA),
            (DOT, MAIL, MAIL, RCPT, DATA),
            (DOT, MAIL, RCPT, RCPT, DATA),
            (DOT, MAIL, RCPT, DATA, DATA),
        ):
            self.setUp()
            self.behind()
            events = self.lines(*replies)
            self.assertIsInstance(events[-1], ev.Violated)
            self.in_doubt(events)

    def test_half_a_reply_too_many(self) -> None:
        """
        Half of one is enough.
        """
        self.behind()
        events = self.hear(b"\r\n".join((DOT, MAIL, RCPT, DATA, b"2")))
        self.assertIsInstance(events[-1], ev.Violated)
        self.in_doubt(events)

    def test_wrong_kinds(self) -> None:
        """
        Replies that do not suit their place, or each other.
        """
        for replies in (
            (DATA, MAIL, RCPT, DATA),
            (DOT, DATA, RCPT, DATA),
            (DOT, MAIL, DATA, DATA),
            (DOT, MAIL, RCPT, DOT),
            # Data is wanted for nobody.
            (DOT, MAIL, b"550 5.1.1 nobody", DATA),
            (DOT, b"550 5.7.1 no", RCPT, DATA),
            # Refused, and not as what is out of its order.
            (DOT, MAIL, b"550 5.1.1 nobody", b"451 4.3.0 later"),
            (DOT, MAIL, b"550 5.1.1 nobody", b"554 5.7.1 no"),
            (DOT, b"550 5.7.1 no", b"550 5.1.1 nobody", b"503 MAIL first"),
            (DOT, b"550 5.7.1 no", b"503 MAIL first", b"554 no"),
            (DOT, b"550 5.7.1 no", RCPT, b"503 MAIL first"),
            # Out of its order, and nothing was.
            (DOT, MAIL, b"503 MAIL first", b"503 MAIL first"),
            # Refused though somebody is to get it.
            (DOT, MAIL, RCPT, b"451 4.3.0 later"),
            (DOT, MAIL, RCPT, b"503 RCPT first"),
        ):
            with self.subTest(replies=replies):
                self.setUp()
                self.behind()
                events = self.lines(*replies)
                self.assertIsInstance(events[-1], ev.Violated)
                self.in_doubt(events)

    def test_dismissed(self) -> None:
        """
        421 in any place: nobody knows what it was for.
        """
        for count in range(4):
            self.setUp()
            self.behind()
            events = self.lines(*(DOT, MAIL, RCPT)[:count], b"421 4.3.2 enough")
            self.assertIsInstance(events[-1], ev.Dismissed)
            self.in_doubt(events)

    def test_ended(self) -> None:
        """
        An end, or silence, after any number of replies.
        """
        for count in range(4):
            self.setUp()
            self.behind()
            self.assertEqual(self.lines(*(DOT, MAIL, RCPT)[:count]), [])
            self.assertFalse(self.machine.grouped)
            self.in_doubt()


class OrderTests(OverlapCase):
    """
    When it may be said, and when not.
    """

    def test_turns(self) -> None:
        """
        Only behind a dot, once, where groups are taken, and never by LMTP or behind chunks.
        """

        def refused(recipient: bytes = b"d@example.org") -> None:
            self.assertRaises(LocalProtocolError, self.machine.transaction_behind, b"c@example.com", recipient)
            self.assertEqual(self.say(), b"")

        self.open(PIPELINING)
        refused()
        self.begin()
        refused()
        self.setUp()
        self.dot(PLAIN)
        refused()
        self.setUp()
        self.behind()
        refused()
        self.setUp()
        self.dot()
        refused(b"d\r\nQUIT")
        self.hear(b"2")
        refused()
        self.machine = OverlappingMachine(Method.LMTP)
        self.machine.start()
        self.dot()
        refused()
        self.setUp()
        self.open(PIPELINING)
        self.machine.transaction(b"a@example.com", [b"b@example.org"], chunked=True)
        self.say()
        self.hear(b"250 ok\r\n" * 2)
        self.machine.sending_body()
        self.machine.dot_sent()
        refused()


@dataclass
class Model:
    """
    A peer: what it decides, what it says to dot, MAIL, RCPT and DATA, and what becomes of that.
    """

    took: bool
    dot: bytes
    mail: bytes
    rcpt: bytes
    data: bytes
    fault: str = "none"
    at: int = 0
    to: int = 0
    replies: list[bytes] = field(default_factory=list)

    def say(self) -> list[bytes]:
        """
        What arrives of its replies.
        """
        sender_ok = self.mail[:1] == b"2"
        rcpt = self.rcpt if sender_ok else b"503 5.5.1 MAIL first"
        recipient_ok = sender_ok and self.rcpt[:1] == b"2"
        data = self.data if recipient_ok else b"503 5.5.1 RCPT first"
        replies = [self.dot, self.mail, rcpt, data]
        if self.fault == "drop":
            del replies[self.at]
        elif self.fault == "duplicate":
            # Nothing is said again before it was said.
            replies.insert(max(self.at, self.to), replies[self.at])
        elif self.fault == "swap":
            replies[self.at], replies[self.to] = replies[self.to], replies[self.at]
        elif self.fault == "late":
            # The verdict is said when others have been.
            replies.insert(self.to, replies.pop(0))
        elif self.fault == "dismiss":
            del replies[self.at :]
            replies.append(b"421 4.3.2 enough")
        elif self.fault == "end":
            del replies[self.at :]
        self.replies = replies
        return replies


REFUSALS = [b"451 4.3.0 later", b"452 too much", b"550 5.7.1 no", b"554 5.7.1 no", b"552 5.3.4 large", b"554 no"]
MODELS = st.builds(
    lambda took, dot, mail, rcpt, data, fault, at, to: Model(
        took, DOT if took else dot, mail, rcpt, data, fault, at, to
    ),
    st.booleans(),
    st.sampled_from(REFUSALS),
    st.sampled_from([MAIL, MAIL, MAIL, *REFUSALS]),
    st.sampled_from([RCPT, RCPT, RCPT, *REFUSALS]),
    st.sampled_from([DATA, DATA, DATA, *REFUSALS]),
    st.sampled_from(["none", "drop", "duplicate", "swap", "late", "dismiss", "end"]),
    st.integers(0, 3),
    st.integers(0, 3),
)


class ModelTests(SynchronousTestCase):
    """
    Whatever becomes of the replies, nobody is told what is not so.
    """

    @settings(max_examples=3000, deadline=None)
    @given(MODELS, st.lists(st.integers(1, 40), min_size=1, max_size=5))
    def test_never_false(self, model: Model, sizes: list[int]) -> None:
        """
        No message is delivered that the peer did not take, and none has failed for ever that it did;
        what is not known is in doubt, and then nothing is said of the next.  A peer without a fault
        leaves nothing in doubt, unless it refuses DATA for its own sake.
        """
        case = OverlapCase()
        case.setUp()
        case.behind()
        octets = b"".join(reply + b"\r\n" for reply in model.say())
        events: list[ev.Event] = []
        at = turn = 0
        while at < len(octets):
            size = sizes[turn % len(sizes)]
            events += case.machine.receive_data(octets[at : at + size])
            at, turn = at + size, turn + 1
        told = [event for event in events if isinstance(event, ev.BothAnswered)]
        self.assertFalse(any(isinstance(event, (ev.TransactionEnded, ev.BodyWanted)) for event in events))
        if not told:
            self.assertNotEqual(model.fault if model.data[:1] == b"3" else "", "none", model.replies)
            (result,) = case.machine.abandon(b"451 lost")
            self.assertIs(result.verdict, Verdict.TRANSIENT)
            return
        (result,) = told[0].first.results
        if result.verdict is Verdict.DELIVERED:
            self.assertTrue(model.took, model.replies)
        if result.verdict is Verdict.PERMANENT:
            self.assertFalse(model.took, model.replies)
        if model.fault == "none":
            self.assertEqual(result.note, model.dot)
