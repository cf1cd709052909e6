"""
Tests of :mod:`momentum_tx.operate.spool_state`.
"""

from __future__ import annotations

import itertools
from math import inf

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.operate.spool_state import SpoolState, Stand
from momentum_tx.policy.lost_reply import LostReply
from momentum_tx.spool import records
from momentum_tx.spool.envelopes import encode_envelope
from momentum_tx.spool.moved import State
from momentum_tx.spool.records import Ended, Envelope, Intent, Meta, Requeued
from momentum_tx.spool.replay import Found

from ..spool import contract

KEY = 77


def envelope(*recipients: bytes) -> Envelope:
    """
    What a reception says.
    """
    reception = contract.reception(*recipients)
    _, meta = encode_envelope(reception, ["b1"] * len(reception.messages))
    decoded = records.decode(records.RECEPTION, meta)
    assert isinstance(decoded, Envelope)
    return decoded


def found(kind: int, meta: Meta, key: int = KEY, offset: int = 64) -> Found:
    """
    A record that was read.
    """
    return Found(kind, key, meta, offset, offset + 100, 24 if kind == records.RECEPTION else 0, 0)


RECEIVED = found(records.RECEPTION, envelope(b"a@A.example", b"b@b.example"))
INTENT = found(records.INTENT, Intent((0,), LostReply.HOLD))
END_A = found(records.DELIVERED, Ended(0, b"250"))
END_B = found(records.FAILED, Ended(1, b"550"))
AGAIN = Requeued(0, 3, 900.0, 7, 1, "b2", b"451 x")
LATER = found(records.REQUEUED, AGAIN)
HOLD = found(records.HELD, Requeued(1, 1, inf, 7, 1, "b2", b"held"))
GONE = found(records.WITHDRAWN, None)


class StateTests(SynchronousTestCase):
    """
    From records to what lives.
    """

    def state(self, *taken: Found) -> SpoolState:
        """
        What comes of records in segments 1, 2, ...
        """
        state = SpoolState()
        for segment, each in enumerate(taken, 1):
            state.apply(each, segment)
        return state

    def test_received(self) -> None:
        """
        A message stands as it was received.
        """
        state = self.state(RECEIVED)
        (key, kept, index, message), _ = state.messages()
        self.assertEqual((key, kept.segment, kept.offset, kept.octets, index), (KEY, 1, 64, 124, 0))
        self.assertEqual((message.domain, message.binding, message.retries), ("a.example", "b1", 0))
        self.assertEqual(message.stand(1000.0), Stand.DELAYED)
        self.assertEqual(message.stand(1000.5), Stand.ACTIVE)

    def test_requeued(self) -> None:
        """
        The last attempt is what counts, and closes an intent.
        """
        message = next(self.state(RECEIVED, INTENT, LATER).messages())[3]
        self.assertEqual(
            (message.retries, message.next_attempt, message.stage, message.ambiguous, message.binding, message.code),
            (3, 900.0, 7, 1, "b2", b"451 x"),
        )
        self.assertEqual((message.stand(899.0), message.stand(900.0)), (Stand.DELAYED, Stand.ACTIVE))

    def test_held(self) -> None:
        """
        A message that waits for an operator does so at any time.
        """
        _, (_, _, _, message) = self.state(RECEIVED, HOLD).messages()
        self.assertEqual(message.stand(1e300), Stand.HELD)

    def test_inFlight(self) -> None:
        """
        An intent that nothing follows is an attempt whose end is not known.
        """
        first, second = self.state(RECEIVED, LATER, INTENT).messages()
        self.assertEqual((first[3].stand(0.0), second[3].stand(2000.0)), (Stand.IN_FLIGHT, Stand.ACTIVE))
        assert first[3].intent is not None
        self.assertIs(first[3].intent.lost_reply, LostReply.HOLD)

    def test_ended(self) -> None:
        """
        An end is an end, before and after a copy of the reception, and whatever is said later.
        """
        for order in itertools.permutations((RECEIVED, END_A, RECEIVED, END_B, GONE)):
            state = self.state(*order)
            self.assertEqual(list(state.messages()), [], order)
            self.assertEqual(list(state.ended), [KEY])
        for order in itertools.permutations((RECEIVED, END_A, RECEIVED)):
            self.assertEqual([index for _, _, index, _ in self.state(*order, LATER).messages()], [1], order)

    def test_needs(self) -> None:
        """
        Which segment holds records about another one's receptions, ended ones included.
        """
        state = self.state(RECEIVED, LATER, END_A, END_B, END_B)
        self.assertEqual(state.needs, {2: {1}, 3: {1}, 4: {1}, 5: {1}})

    def test_others(self) -> None:
        """
        Records about receptions that are gone, or messages that never were, say nothing.
        """
        beyond = [
            found(records.DELIVERED, Ended(9, b"")),
            found(records.REQUEUED, AGAIN._replace(position=9)),
            found(records.INTENT, Intent((9,))),
        ]
        self.assertEqual(len(list(self.state(LATER, INTENT, RECEIVED, *beyond).messages())), 2)
        self.assertEqual(list(self.state(found(records.RECEPTION, envelope()._replace(recipients=()))).messages()), [])

    def test_endsOfWhatWasNotRead(self) -> None:
        """
        Ends of receptions that are not there are known all the same.
        """
        state = self.state(END_B, found(records.WITHDRAWN, None, 78), found(records.RECEPTION, envelope(b"c@c"), 79))
        self.assertEqual([state.ends_of(key) for key in (KEY, 78, 79, 80)], [{1}, None, None, set()])

    def test_ends_of_others(self) -> None:
        """
        What a report is about is over when all is read, in whatever order that was, and the report's
        segment is needed for it; not so if the report was withdrawn, or its body is not what was written.
        """
        report = found(records.RECEPTION, envelope(b"s@s.example")._replace(ends=((KEY, 0),)), 90)
        gone = found(records.WITHDRAWN, None, 90)
        for taken in ((RECEIVED, report), (report, RECEIVED), (RECEIVED, report, report)):
            state = self.state(*taken)
            state.conclude()
            self.assertEqual([(key, index) for key, _, index, _ in state.messages() if key == KEY], [(KEY, 1)])
            self.assertIn(90, state.receptions)
        self.assertEqual(self.state(RECEIVED, report).needs, {})
        state = self.state(RECEIVED, report)
        state.conclude()
        self.assertEqual(state.needs, {2: {1}})
        for state, spoilt in (
            (self.state(RECEIVED, report, gone), {(0, 0)}),
            (self.state(RECEIVED, report), {(90, 2)}),
        ):
            state.conclude(spoilt)
            self.assertEqual([index for key, _, index, _ in state.messages() if key == KEY], [0, 1])

    def test_moved(self) -> None:
        """
        A copy of a reception that was moved lies where it is read last, and says how its
        messages stood, wherever that was said before.
        """
        before = envelope(b"a@A.example", b"b@b.example", b"c@c.example")
        moved = before._replace(states=(State(0, 3, 900.0, 7, 1, "b2", b"451 x"), State(2, 0, 1000.5, 0, 0, "b1", b"")))
        copy = found(records.RECEPTION, moved, offset=99)
        for taken in ((copy,), (found(records.RECEPTION, before), END_B, LATER, copy)):
            state = self.state(*taken)
            (_, kept, _, first), (_, _, third, _) = state.messages()
            self.assertEqual((kept.segment, kept.offset, third), (len(taken), 99, 2))
            self.assertEqual((first.retries, first.next_attempt, first.binding, first.code), (3, 900.0, "b2", b"451 x"))
        self.assertEqual(state.needs, {2: {1}, 3: {1}, 4: {1}})
