"""
The format of the journal: what is written is read, and nothing else is.
"""

import random
import struct
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.envelope import Notify, RecipientTerms, Terms
from momentum_tx.errors import SpoolError
from momentum_tx.policy.lost_reply import LostReply
from momentum_tx.queues.message import HELD, NO_TRAITS, Message, Reception, Traits
from momentum_tx.spool import records
from momentum_tx.spool.ends import ends_of, has_ends
from momentum_tx.spool.envelopes import Recipient, encode_envelope
from momentum_tx.spool.moved import State
from momentum_tx.stages import Stage

from . import contract

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
OCTETS = st.binary(max_size=60)
FINITE = st.floats(allow_nan=False)


def read_back(payload: bytes, salt: int = 9) -> tuple[records.Head, records.Meta]:
    """
    Frame a payload and read it as a scan does.
    """
    octets = records.frame(payload, salt)
    head = records.decode_head(octets)
    records.check(octets, head, salt)
    return head, records.decode(head.kind, octets[records.RECORD_HEADER :])


class RecordTests(SynchronousTestCase):
    """
    Every kind, there and back.
    """

    def test_sizes(self) -> None:
        """
        An outcome costs some forty octets besides its note.
        """
        self.assertEqual(records.RECORD_HEADER, 30)
        self.assertEqual(len(records.frame(records.encode_ended(records.DELIVERED, 1, 0, b""), 0)), 34)
        self.assertEqual(len(records.frame(records.encode_intent(1, [0]), 0)), 34)
        self.assertEqual(records.SEGMENT_HEADER, 56)

    def test_segment_names(self) -> None:
        """
        Only our own names are segments; they sort as their numbers.
        """
        self.assertEqual(records.segment_name(7), "000000000007.seg")
        self.assertEqual(records.segment_number("000000000007.seg"), 7)
        for name in ("7.seg", "000000000007.seg.bad", "x00000000007.seg", "000000000007.seg\n", "\u0660" * 12 + ".seg"):
            self.assertIsNone(records.segment_number(name))

    def test_segment_header(self) -> None:
        """
        A header is read from either copy; any damage to one is survived, the
        same damage to both is not.
        """
        header = records.SegmentHeader(3, 0xDEADBEEF)
        octets = records.encode_segment_header(header)
        half = len(octets) // 2
        self.assertEqual(records.decode_segment_header(octets), header)
        for at in range(half):
            for places in ((at,), (at + half,), (at, at + half)):
                broken = bytearray(octets)
                for place in places:
                    broken[place] ^= 0x40
                if len(places) == 1:
                    self.assertEqual(records.decode_segment_header(bytes(broken)), header)
                else:
                    error = self.assertRaises(records.RecordError, records.decode_segment_header, bytes(broken))
                    self.assertNotIsInstance(error, records.UnknownFormat)

    def test_newer_segment(self) -> None:
        """
        A header of another version says so, whatever follows its beginning.
        """
        prefix = struct.pack("<6sH", records.SEGMENT_MAGIC, 2)
        octets = prefix + struct.pack("<I", zlib.crc32(prefix)) + b"?" * 100
        self.assertRaises(records.UnknownFormat, records.decode_segment_header, octets)

    def test_unknown_kind(self) -> None:
        """
        A whole record of an unknown kind or version is told from a damaged one.
        """
        payload = bytearray(records.encode_withdrawn(5))
        for at in (0, 1):
            changed = payload.copy()
            changed[at] = 99
            octets = records.frame(bytes(changed), 1)
            head = records.decode_head(octets)
            self.assertRaises(records.UnknownFormat, records.check, octets, head, 1)
            error = self.assertRaises(records.RecordError, records.check, octets, head, 2)
            self.assertNotIsInstance(error, records.UnknownFormat)

    def test_every_flipped_bit(self) -> None:
        """
        No single flipped bit of a record goes unnoticed.
        """
        octets = records.frame(records.encode_ended(records.FAILED, 77, 3, b"550 no"), 5)
        for bit in range(len(octets) * 8):
            broken = bytearray(octets)
            broken[bit // 8] ^= 1 << bit % 8

            def read(broken: bytes = bytes(broken)) -> None:
                records.check(broken, records.decode_head(broken), 5)

            self.assertRaises(records.RecordError, read)

    def test_bounds(self) -> None:
        """
        What the format cannot hold is refused with its own error; notes and
        codes are cut.
        """
        message = contract.first(contract.reception())
        message.code = b"x" * 9999
        _, meta = read_back(records.encode_requeued(message, "b1"))
        assert isinstance(meta, records.Requeued)
        self.assertEqual(len(meta.code), records.MAX_NOTE)
        self.assertRaises(SpoolError, records.encode_requeued, message, "n" * 256)
        message.num_retries = 1 << 40
        self.assertRaises(SpoolError, records.encode_requeued, message, "b1")
        for made in (
            contract.reception(size=-1),
            Reception(b"", 0.0, 0, "\udc80"),
            Reception(b"x" * 70000, 0.0, 0, ""),
        ):
            names = ["b1"] * len(made.messages)
            self.assertRaises(SpoolError, records.encode_reception, 1, made, names, b"")

    @given(
        st.tuples(OCTETS, FINITE, st.integers(0, 2**64 - 1), TEXT, TEXT, TEXT, TEXT, st.booleans(), st.booleans()),
        st.lists(st.tuples(TEXT, OCTETS, st.sampled_from(["", "b1", "b2"]), FINITE), max_size=5),
        st.integers(1, 2**64 - 1),
        OCTETS,
    )
    @settings(max_examples=100, deadline=None)
    def test_reception(
        self, fields: tuple[object, ...], messages: list[tuple[str, bytes, str, float]], key: int, body: bytes
    ) -> None:
        """
        An envelope of whatever content comes back as it was.
        """
        sender, created, size, batch, conn, method, client, eight, smtputf8 = fields
        made = Reception(sender, created, size, batch, conn, method, client, eight, smtputf8)  # type: ignore[arg-type]
        for id, recipient, _, due in messages:
            made.add(id, recipient).next_attempt = due
        head, meta = read_back(records.encode_reception(key, made, [message[2] for message in messages], body))
        self.assertEqual((head.key, head.body_length), (key, len(body)))
        assert isinstance(meta, records.Envelope)
        self.assertEqual(tuple(meta[:9]), fields)
        self.assertEqual([tuple(recipient) for recipient in meta.recipients], messages)
        self.assertEqual(
            (head.version, meta.traits, meta.terms.not_before, meta.terms.expires), (1, NO_TRAITS, 0.0, 0.0)
        )

    @given(st.tuples(TEXT, TEXT, TEXT), FINITE, FINITE)
    @settings(max_examples=100, deadline=None)
    def test_traits(self, traits: tuple[str, str, str], not_before: float, expires: float) -> None:
        """
        Traits and times come back as they were; a program that does not know them refuses the record.
        """
        made = Reception(b"a@example.com", 1.0, 2, "b", traits=Traits(*traits), terms=Terms(not_before, expires))
        made.add("m1", b"b@example.com")
        head, meta = read_back(records.encode_reception(1, made, ["b1"], b""))
        assert isinstance(meta, records.Envelope)
        self.assertEqual((head.version, meta.traits), (2, traits))
        self.assertEqual((meta.terms.not_before, meta.terms.expires), (not_before, expires))
        self.assertEqual([each.id for each in meta.recipients], ["m1"])

    @given(
        st.builds(
            Terms,
            FINITE,
            FINITE,
            OCTETS,
            st.sampled_from(["", "FULL", "HDRS"]),
            st.booleans(),
            st.booleans(),
            st.dictionaries(
                st.integers(0, 2**32 - 1),
                st.builds(RecipientTerms, st.builds(Notify, st.integers(0, 15)), OCTETS),
                max_size=5,
            ),
        )
    )
    @settings(max_examples=100, deadline=None)
    def test_terms(self, terms: Terms) -> None:
        """
        Terms come back as they were; a program that does not know them refuses the record.
        """
        made = Reception(b"a@example.com", 1.0, 2, "b", terms=terms)
        made.add("m1", b"b@example.com")
        head, meta = read_back(records.encode_reception(1, made, ["b1"], b""))
        assert isinstance(meta, records.Envelope)
        self.assertEqual(meta.terms, terms)
        self.assertEqual(head.version, 3 if terms.beyond_times else 2 if terms.not_before or terms.expires else 1)
        self.assertEqual([each.id for each in meta.recipients], ["m1"])

    def test_old_receptions(self) -> None:
        """
        A reception as version 1 wrote it, octet for octet, is read, and one without traits is written like it.
        """
        written = bytes.fromhex(
            "0101"
            "4f000000"
            "00000000"
            "0700000000000000"
            "00000000"
            "000000000000f03f"
            "0200000000000000"
            "01"
            "0100610200" + "6231" + "0000" + "0400736d7470" + "0000"
            "01000200" + "6231"
            "00000000000000400000" + "02006d31" + "0100" + "72"
        )
        made = Reception(b"a", 1.0, 2, "b1", "", "smtp", "", True)
        made.add("m1", b"r").next_attempt = 2.0
        payload = records.encode_reception(7, made, ["b1"], b"")
        meta_length = len(payload) - records.PAYLOAD_HEADER
        written = written[:2] + meta_length.to_bytes(4, "little") + written[6:]
        self.assertEqual(payload, written)
        _, meta = read_back(written)
        self.assertEqual(
            meta,
            records.Envelope(b"a", 1.0, 2, "b1", "", "smtp", "", True, False, (Recipient("m1", b"r", "b1", 2.0),)),
        )

    def test_versions(self) -> None:
        """
        A reception has five versions, an intent two, and all others one.
        """
        for kind, version in (
            (records.INTENT, 3),
            (records.REQUEUED, 2),
            (records.HELD, 2),
            (records.RECEPTION, 6),
            (records.INTENT, 0),
        ):
            payload = bytearray(records.encode_withdrawn(5))
            payload[:2] = kind, version
            octets = records.frame(bytes(payload), 1)
            self.assertRaises(records.UnknownFormat, records.check, octets, records.decode_head(octets), 1)

    @given(
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        FINITE,
        st.sampled_from(Stage),
        st.integers(0, 2**32 - 1),
        OCTETS,
    )
    @settings(max_examples=100, deadline=None)
    def test_requeued(self, index: int, retries: int, due: float, stage: Stage, ambiguous: int, code: bytes) -> None:
        """
        A requeue of whatever content comes back as it was.
        """
        message = Message("id", contract.reception(), index, b"r")
        message.num_retries, message.next_attempt, message.stage = retries, due, stage
        message.ambiguous, message.code = ambiguous, code
        _, meta = read_back(records.encode_requeued(message, "b2"))
        self.assertEqual(meta, records.Requeued(index, retries, due, stage, ambiguous, "b2", code))

    @given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
    @settings(max_examples=50, deadline=None)
    def test_intent(self, indexes: list[int]) -> None:
        """
        An intent names its messages.
        """
        _, meta = read_back(records.encode_intent(4, indexes))
        self.assertEqual(meta, records.Intent(tuple(indexes)))

    @given(st.lists(st.integers(0, 2**32 - 1), max_size=20), st.sampled_from(LostReply))
    @settings(max_examples=50, deadline=None)
    def test_intent_with_policy(self, indexes: list[int], lost_reply: LostReply) -> None:
        """
        An intent says what becomes of its messages.  Only one whose messages are not merely tried
        again is of the second version, which programs that know of no such thing refuse.
        """
        payload = records.encode_intent(4, indexes, lost_reply)
        _, meta = read_back(payload)
        self.assertEqual(meta, records.Intent(tuple(indexes), lost_reply))
        self.assertEqual(payload[1], 1 if lost_reply is LostReply.RETRY else 2)

    def test_intent_of_unknown_policy(self) -> None:
        """
        A policy that nobody knows makes no sense.
        """
        self.assertRaises(records.RecordError, records.decode, records.INTENT, b"\0\0\0\0\3")

    def test_held(self) -> None:
        """
        A message that waits for an operator is on record as nothing that programs
        from before there was such a thing would go on with.
        """
        message = Message("id", contract.reception(), 3, b"r")
        self.assertEqual(records.encode_requeued(message, "")[0], records.REQUEUED)
        message.next_attempt = HELD
        payload = records.encode_requeued(message, "b2")
        self.assertEqual((payload[0], payload[0] in range(1, 7)), (records.HELD, False))
        _, meta = read_back(payload)
        self.assertEqual(meta, records.Requeued(3, 0, HELD, Stage.UNKNOWN, 0, "b2", b""))

    @given(st.integers(0, 255), st.binary(max_size=200))
    @settings(max_examples=300, deadline=None)
    def test_arbitrary_metas(self, kind: int, meta: bytes) -> None:
        """
        Whatever octets are read, the only error is the declared one.
        """
        for read in (records.decode_segment_header, records.decode_head):
            try:
                read(meta)
            except records.RecordError:
                pass
        for wanted in (kind, *records.KINDS):
            try:
                records.decode(wanted, meta)
            except records.RecordError:
                pass

    def test_damaged_envelopes(self) -> None:
        """
        An envelope with any octets changed is read or refused, never worse.
        """
        rng = random.Random(3)
        made = contract.reception(b"a@example.com", b"b@example.com")
        made.traits = Traits("acme", "spring", "high")
        meta = records.encode_reception(1, made, ["b1", "b2"], b"")[records.PAYLOAD_HEADER :]
        for _ in range(3000):
            broken = bytearray(meta)
            for _ in range(rng.randint(1, 3)):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            try:
                records.decode(records.RECEPTION, bytes(broken[: rng.randint(0, len(broken))]))
            except records.RecordError:
                pass


class MovedTests(SynchronousTestCase):
    """
    A reception that was moved.
    """

    def test_octets(self) -> None:
        """
        The states stand behind the flags; all else is as it was.  Moved again, the old
        ones are gone.
        """
        reception = contract.reception(b"a", b"b")
        _, meta = encode_envelope(reception, ["b1", "b1"])
        message = contract.first(reception, 1)
        message.num_retries, message.next_attempt, message.ambiguous, message.code = 2, 1.5, 1, b"451"
        payload = records.encode_moved(9, meta, [(message, "b2")], b"body")
        self.assertEqual(payload[:2], bytes([records.RECEPTION, 4]))
        moved = payload[records.PAYLOAD_HEADER :]
        states = struct.pack("<IIdBIH", 1, 2, 1.5, int(message.stage), 1, 2) + b"b2\x03\x00451"
        self.assertEqual(
            moved, meta[:16] + bytes([meta[16] | 16]) + struct.pack("<I", len(states)) + states + meta[17:]
        )
        decoded = records.decode(records.RECEPTION, moved)
        plain = records.decode(records.RECEPTION, meta)
        assert isinstance(plain, records.Envelope)
        stood = State(1, 2, 1.5, int(message.stage), 1, "b2", b"451")
        self.assertEqual(decoded, plain._replace(states=(stood,)))
        message.num_retries = 3
        again = records.encode_moved(9, moved, [(message, "b2")], b"body")[records.PAYLOAD_HEADER :]
        self.assertEqual(len(again), len(moved))
        self.assertEqual(
            records.decode(records.RECEPTION, again), plain._replace(states=(stood._replace(num_retries=3),))
        )

    def test_every_length(self) -> None:
        """
        A meta that was cut is an error by name, and nothing else.
        """
        reception = contract.reception(b"a")
        _, meta = encode_envelope(reception, ["b1"])
        moved = records.encode_moved(9, meta, [(contract.first(reception), "b1")], b"")[records.PAYLOAD_HEADER :]
        for length in range(len(moved) - 1):
            try:
                records.decode(records.RECEPTION, moved[:length])
            except records.RecordError:
                pass


class EndsTests(SynchronousTestCase):
    """
    A reception that ends messages of others.
    """

    ENDS = ((7, 0), (7, 300), (1 << 40, 2))

    def test_octets(self) -> None:
        """
        They stand behind the flags, or behind the states of one that was moved; all else is as it was,
        and a move leaves them as they are.
        """
        made = contract.reception(b"a", b"b")
        _, meta = encode_envelope(made, ["b1", "b1"])
        payload = records.encode_reception(9, made, ["b1", "b1"], b"body", self.ENDS)
        self.assertEqual(payload[:2], bytes([records.RECEPTION, 5]))
        written = payload[records.PAYLOAD_HEADER :]
        block = struct.pack("<I", 36) + b"".join(struct.pack("<QI", *end) for end in self.ENDS)
        self.assertEqual(written, meta[:16] + bytes([meta[16] | 32]) + block + meta[17:])
        plain = records.decode(records.RECEPTION, meta)
        assert isinstance(plain, records.Envelope)
        self.assertEqual(records.decode(records.RECEPTION, written), plain._replace(ends=self.ENDS))
        moved = written
        for retries in (1, 2):
            message = contract.first(made, 1)
            message.num_retries = retries
            payload = records.encode_moved(9, moved, [(message, "b2")], b"body")
            self.assertEqual(payload[:2], bytes([records.RECEPTION, 5]))
            moved = payload[records.PAYLOAD_HEADER :]
            decoded = records.decode(records.RECEPTION, moved)
            assert isinstance(decoded, records.Envelope)
            assert decoded.states is not None
            self.assertEqual([state.num_retries for state in decoded.states], [retries])
            self.assertEqual(decoded, plain._replace(ends=self.ENDS, states=decoded.states))
            self.assertEqual(ends_of(moved), self.ENDS)
            self.assertTrue(has_ends(moved))
        self.assertEqual((has_ends(meta), has_ends(b"")), (False, False))

    def test_every_length(self) -> None:
        """
        A meta that was cut, or that says another length, is an error by name, and nothing else.
        """
        made = contract.reception(b"a")
        payload = records.encode_reception(9, made, ["b1"], b"", self.ENDS)
        written = payload[records.PAYLOAD_HEADER :]
        moved = records.encode_moved(9, written, [(contract.first(made), "b1")], b"")[records.PAYLOAD_HEADER :]
        for meta in (written, moved):
            for length in range(len(meta) - 1):
                for read in (ends_of, lambda cut: records.decode(records.RECEPTION, cut)):
                    try:
                        read(meta[:length])
                    except records.RecordError:
                        pass
        for length in (35, 1 << 20):
            wrong = written[:17] + struct.pack("<I", length) + written[21:]
            self.assertRaises(records.RecordError, ends_of, wrong)
            self.assertRaises(records.RecordError, records.decode, records.RECEPTION, wrong)

    def test_too_large(self) -> None:
        """
        What the format has no room for is refused.
        """
        self.assertRaises(SpoolError, records.encode_reception, 1, contract.reception(), ["b1"], b"", [(1 << 64, 0)])
