"""
Everything a peer can answer, at every stage; every way its octets can be cut; and
every kind of nonsense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.outcomes import Verdict
from momentum_tx.smtp import events as ev
from momentum_tx.smtp.client import Method, SMTPClientMachine
from momentum_tx.smtp.replies import MAX_REPLY, ReplyClass
from momentum_tx.stages import Stage

OFFERS = b"250-mx.example\r\n250-STARTTLS\r\n250-XCLIENT NAME ADDR\r\n250-AUTH PLAIN\r\n250 CHUNKING\r\n"
OFFERS_PIPELINING = b"250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
BOB, CAROL = b"b@example.org", b"c@example.org"


def said(machine: SMTPClientMachine, data: bytes) -> list[ev.Event]:
    """
    What a peer said, and what was meant by it; the next command is on its way.
    """
    events = machine.receive_data(data)
    machine.take_output()
    return events


# How to come to each stage.


def banner(method: Method = Method.ESMTP) -> SMTPClientMachine:
    """
    Nothing has been said.
    """
    machine = SMTPClientMachine(method)
    machine.start()
    return machine


def ehlo() -> SMTPClientMachine:
    """
    EHLO was said.
    """
    machine = banner()
    said(machine, b"220 x\r\n")
    machine.hello(b"me.example")
    machine.take_output()
    return machine


def helo() -> SMTPClientMachine:
    """
    EHLO was refused and HELO was said.
    """
    machine = ehlo()
    said(machine, b"502 what?\r\n")
    return machine


def idle(offers: bytes = OFFERS) -> SMTPClientMachine:
    """
    The session may take a message.
    """
    machine = ehlo()
    said(machine, offers)
    return machine


def starttls() -> SMTPClientMachine:
    """
    STARTTLS was said.
    """
    machine = idle()
    machine.starttls()
    return machine


def xclient() -> SMTPClientMachine:
    """
    XCLIENT was said.
    """
    machine = idle()
    machine.xclient(b"NAME=x")
    return machine


def put_in(stage: Stage) -> SMTPClientMachine:
    """
    Something was put in.
    """
    machine = idle()
    machine.enter(stage)
    machine.ask(b"XFOO")
    return machine


def mail(chunked: bool = False) -> SMTPClientMachine:
    """
    MAIL was said.
    """
    machine = idle()
    machine.transaction(b"a@example.com", [BOB], chunked=chunked)
    machine.take_output()
    return machine


def rcpt(chunked: bool = False) -> SMTPClientMachine:
    """
    RCPT was said.
    """
    machine = mail(chunked)
    said(machine, b"250 ok\r\n")
    return machine


def data() -> SMTPClientMachine:
    """
    DATA was said.
    """
    machine = rcpt()
    said(machine, b"250 ok\r\n")
    return machine


def body() -> SMTPClientMachine:
    """
    The content is on its way.
    """
    machine = data()
    said(machine, b"354 go\r\n")
    machine.sending_body()
    return machine


def chunk() -> SMTPClientMachine:
    """
    A chunk was sent, and it is not the last.
    """
    machine = rcpt(chunked=True)
    said(machine, b"250 ok\r\n")
    machine.sending_body()
    machine.chunk_sent()
    return machine


def confirmation() -> SMTPClientMachine:
    """
    The final dot was sent.
    """
    machine = body()
    machine.dot_sent()
    return machine


def last_chunk() -> SMTPClientMachine:
    """
    The last chunk was sent.
    """
    machine = rcpt(chunked=True)
    said(machine, b"250 ok\r\n")
    machine.sending_body()
    machine.dot_sent()
    return machine


def lmtp() -> SMTPClientMachine:
    """
    The final dot was sent, by LMTP.
    """
    machine = banner(Method.LMTP)
    said(machine, b"220 x\r\n")
    machine.hello(b"me.example")
    said(machine, b"250 x\r\n")
    machine.transaction(b"a@example.com", [BOB])
    for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        said(machine, reply)
    machine.sending_body()
    machine.dot_sent()
    return machine


def rset() -> SMTPClientMachine:
    """
    RSET was said.
    """
    machine = idle()
    machine.reset()
    return machine


def quitting() -> SMTPClientMachine:
    """
    QUIT was said.
    """
    machine = idle()
    machine.quit()
    return machine


#: Nothing is told: the next command was said instead.
SAYS_MORE = None
V, TE = ev.Violated, ev.TransactionEnded
#: By stage: how to get there, and what 2xx, 3xx, 4xx and 5xx mean; 421 always dismisses.
TABLE: list[tuple[Stage, Callable[[], SMTPClientMachine], tuple[type | None, ...]]] = [
    (Stage.READING_BANNER, banner, (ev.Greeted, V, ev.GreetingRefused, ev.GreetingRefused)),
    (Stage.AFTER_EHLO, ehlo, (ev.Ready, V, ev.HelloRefused, ev.HelloRefused)),
    (Stage.AFTER_EHLO, helo, (ev.Ready, V, ev.HelloRefused, ev.HelloRefused)),
    (Stage.AFTER_STARTTLS, starttls, (ev.TLSGoAhead, V, ev.TLSRefused, ev.TLSRefused)),
    (Stage.AFTER_XCLIENT, xclient, (ev.ClientTaken, V, ev.ClientRefused, ev.ClientRefused)),
    (Stage.AUTHENTICATION, lambda: put_in(Stage.AUTHENTICATION), (ev.Answered,) * 4),
    (Stage.CUSTOM_STATE, lambda: put_in(Stage.CUSTOM_STATE), (ev.Answered,) * 4),
    (Stage.AFTER_MAIL_FROM, mail, (SAYS_MORE, V, TE, TE)),
    (Stage.AFTER_RCPT_TO, rcpt, (SAYS_MORE, V, TE, TE)),
    (Stage.AFTER_DATA, data, (V, ev.BodyWanted, TE, TE)),
    (Stage.SENDING_BODY, body, (V, V, TE, TE)),
    (Stage.SENDING_BODY, chunk, (ev.ChunkTaken, V, TE, TE)),
    (Stage.READING_CONFIRMATION, confirmation, (TE, V, TE, TE)),
    (Stage.READING_CONFIRMATION, last_chunk, (TE, V, TE, TE)),
    (Stage.READING_CONFIRMATION, lmtp, (TE, V, TE, TE)),
    (Stage.AFTER_RSET, rset, (ev.ResetDone, V, ev.ResetDone, ev.ResetDone)),
    (Stage.IDLE, quitting, (ev.QuitDone, V, ev.QuitDone, ev.QuitDone)),
]
#: A reply of each class, and what it decides of a recipient.
REPLIES = (
    (ReplyClass.OK, b"250", Verdict.DELIVERED),
    (ReplyClass.GO_ON, b"354", None),
    (ReplyClass.TRANSIENT, b"451", Verdict.TRANSIENT),
    (ReplyClass.PERMANENT, b"554", Verdict.PERMANENT),
)


class TableTests(SynchronousTestCase):
    """
    Every stage with every class of reply.
    """

    def test_whole(self) -> None:
        """
        The table has every stage in which anything can be answered.
        """
        self.assertEqual({stage for stage, _, _ in TABLE}, {stage for stage, _ in SMTPClientMachine._moves})
        for stage, reach, _ in TABLE:
            self.assertIs(reach().stage, stage, reach)

    def test_every_reply(self) -> None:
        """
        Each class of reply means one thing, and what makes no sense ends the session, with nothing delivered.
        """
        for stage, reach, expected in TABLE:
            for (_, code, verdict), meaning in zip(REPLIES, expected, strict=True):
                where = f"{code!r} {stage} ({reach.__name__})"
                machine = reach()
                events = machine.receive_data(code + b" words\r\n")
                if meaning is SAYS_MORE:
                    self.assertEqual(events, [], where)
                    self.assertTrue(machine.take_output().endswith(b"\r\n"), where)
                    continue
                (event,) = events
                self.assertIsInstance(event, meaning, where)
                if isinstance(event, ev.TransactionEnded):
                    (result,) = event.results
                    self.assertEqual((result.verdict, result.stage), (verdict, stage), where)
                    self.assertEqual(machine.abandon(b"451 over"), (), where)
                elif isinstance(event, ev.Violated):
                    self.assertIs(event.stage, stage, where)
                    self.assertTrue(machine.over, where)
                    self.assertEqual(machine.take_output(), b"", where)
                    self.assertNotIn(Verdict.DELIVERED, [result.verdict for result in machine.abandon(b"451 over")])
                elif isinstance(event, ev.ResetDone):
                    self.assertIs(event.ok, code == b"250", where)

    def test_every_dismissal(self) -> None:
        """
        421 ends the session wherever it comes: nothing more is said, and whoever had no reply has failed for now
        (RFC 5321 3.8).
        """
        for stage, reach, _ in TABLE:
            machine = reach()
            (event,) = machine.receive_data(b"421 4.3.2 closing\r\n")
            assert isinstance(event, ev.Dismissed), stage
            self.assertIs(event.stage, stage)
            self.assertEqual((machine.over, machine.take_output()), (True, b""), stage)
            for result in machine.abandon(b"421 closing"):
                self.assertIs(result.verdict, Verdict.TRANSIENT, stage)
            self.assertEqual(machine.receive_data(b"250 ok\r\n"), [], stage)

    def test_every_nonsense(self) -> None:
        """
        What is no reply at all ends the session wherever it comes (M17).
        """
        for nonsense in (
            b"25 ok",
            b"2500 ok",
            b"999 x",
            b"abc",
            b"",
            b"\t250 ok",
            b"250_ok",
            b"000 x",
            b"199 x",
            b"\0\xff",
        ):
            for stage, reach, _ in TABLE:
                machine = reach()
                event = machine.receive_data(nonsense + b"\r\n")[-1]
                assert isinstance(event, ev.Violated), (nonsense, stage)
                self.assertIs(event.stage, stage)
                self.assertNotIn(Verdict.DELIVERED, [result.verdict for result in machine.abandon(b"451 over")])

    def test_ehlo_unknown(self) -> None:
        """
        Whoever does not know EHLO is asked with HELO.
        """
        for code in (b"500", b"501", b"502", b"503", b"504"):
            machine = ehlo()
            self.assertEqual(machine.receive_data(code + b" what?\r\n"), [])
            self.assertEqual(machine.take_output(), b"HELO me.example\r\n")

    def test_chunking_refused(self) -> None:
        """
        Whoever offers CHUNKING and does not know BDAT after all has refused the way, not the message.
        """
        for reach in (chunk, last_chunk):
            for code in (b"500", b"502", b"503"):
                (event,) = reach().receive_data(code + b" what?\r\n")
                self.assertIsInstance(event, ev.ChunkingRefused)


class Owner:
    """
    The owner of a machine who does as he is told: greets, sends what he has, and leaves.

    :param chunks: 0 for DATA; else how many chunks there are.
    """

    def __init__(
        self, chunks: int = 0, pipeline: bool = True, messages: int = 2, method: Method = Method.ESMTP
    ) -> None:
        self.machine = banner(method)
        self.chunks = chunks
        self.pipeline = pipeline
        self.messages = messages
        self.left = 0
        self.encrypted = self.authenticated = False
        self.begun = 0
        #: How often each recipient of each transaction had a verdict.
        self.verdicts: dict[tuple[int, int], int] = {}
        self.told: list[str] = []

    def hear(self, data: bytes) -> bytes:
        """
        What is said to what a peer says.
        """
        machine, output = self.machine, b""
        events = machine.receive_data(data)
        output += machine.take_output()
        for event in events:
            self.told.append(f"{type(event).__name__} {event}")
            if not machine.over:
                self._react(event)
                output += machine.take_output()
            elif isinstance(event, ev.TransactionEnded):
                self._decided(event.results)
        return output

    def _react(self, event: ev.Event) -> None:
        machine = self.machine
        if isinstance(event, ev.Greeted):
            machine.hello(b"me.example")
        elif isinstance(event, ev.Ready | ev.TLSRefused):
            self._ready()
        elif isinstance(event, ev.TLSGoAhead):
            machine.tls_started()
            self.encrypted = True
            machine.hello(b"me.example")
        elif isinstance(event, ev.Answered):
            machine.resume()
            self._ready()
        elif isinstance(event, ev.BodyWanted):
            machine.sending_body()
            self.left = self.chunks
            self._send()
        elif isinstance(event, ev.ChunkTaken):
            self._send()
        elif isinstance(event, ev.TransactionEnded):
            self._decided(event.results)
            self._next()
        elif isinstance(event, ev.ChunkingRefused):
            self._decided([None] * 2)
            self._next()
        elif isinstance(event, ev.ResetDone):
            self._next() if event.ok else machine.quit()
        elif isinstance(event, ev.GreetingRefused | ev.HelloRefused):
            machine.quit()

    def _ready(self) -> None:
        machine = self.machine
        if machine.extensions.starttls and not self.encrypted:
            self.encrypted = True
            machine.starttls()
        elif machine.extensions.auth and not self.authenticated:
            self.authenticated = True
            machine.enter(Stage.AUTHENTICATION)
            machine.ask(b"AUTH PLAIN AGEAYg==")
        else:
            self._next()

    def _next(self) -> None:
        machine = self.machine
        if machine.needs_reset:
            machine.reset()
        elif self.begun < self.messages:
            self.begun += 1
            chunked = self.chunks > 0 and machine.extensions.chunking
            machine.transaction(b"a@example.com", [BOB, CAROL], pipeline=self.pipeline, chunked=chunked)
        else:
            machine.quit()

    def _send(self) -> None:
        self.left -= 1
        if self.left > 0 and self.machine.extensions.chunking:
            self.machine.chunk_sent()
        else:
            self.machine.dot_sent()

    def _decided(self, results: Any) -> None:
        for index, _ in enumerate(results):
            key = self.begun, index
            self.verdicts[key] = self.verdicts.get(key, 0) + 1

    def gone(self) -> None:
        """
        The connection is gone.
        """
        self._decided(self.machine.abandon(b"451 4.4.2 [internal] connection closed by remote host"))


#: Peers' parts of whole dialogues: each element is said when its turn comes.
DIALOGUES: dict[str, tuple[dict[str, Any], list[bytes]]] = {
    "one at a time": (
        {"messages": 1},
        [
            b"220-mx.example\r\n220 ESMTP\r\n",
            b"250-mx.example\r\n250 8BITMIME\r\n",
            *[b"250 2.1.0 ok\r\n", b"250 2.1.5 ok\r\n", b"550-5.1.1 no\r\n550 5.1.1 such\r\n", b"354 go\r\n"],
            *[b"250 2.0.0 taken\r\n", b"221 bye\r\n"],
        ],
    ),
    "TLS and AUTH": (
        {"messages": 1},
        [
            *[b"220 mx.example\r\n", b"250-mx.example\r\n250 STARTTLS\r\n", b"220 go\r\n"],
            *[b"250-mx.example\r\n250-AUTH PLAIN\r\n250 PIPELINING\r\n", b"235 welcome\r\n"],
            b"250 ok\r\n250 ok\r\n452 4.5.3 too many\r\n354 go\r\n",
            *[b"250 taken\r\n", b"221 bye\r\n"],
        ],
    ),
    "groups": (
        {},
        [
            *[b"220 mx.example\r\n", OFFERS_PIPELINING],
            *[b"250 ok\r\n250 ok\r\n250 ok\r\n354-go\r\n354 on\r\n", b"250 taken\r\n"],
            *[b"550 no\r\n503 what?\r\n503 what?\r\n503 what?\r\n", b"250 forgotten\r\n", b"221 bye\r\n"],
        ],
    ),
    "chunks": (
        {"chunks": 2},
        [
            *[b"220 mx.example\r\n", OFFERS_PIPELINING],
            *[b"250 ok\r\n250 ok\r\n250 ok\r\n", b"250 one\r\n", b"250 two\r\n"],
            *[b"250 ok\r\n250 ok\r\n450 later\r\n", b"452 full\r\n", b"250 forgotten\r\n", b"221 bye\r\n"],
        ],
    ),
    "HELO": (
        {"messages": 1},
        [
            *[b"220 mx.example\r\n", b"502 what?\r\n", b"250 mx.example\r\n"],
            *[
                b"250 ok\n",
                b"250 ok\r\r\n",
                b"250\r\n",
                b"354 go\r\n",
                b"554 5.7.1 spam\r\n",
                b"250 ok\r\n",
                b"221 bye\r\n",
            ],
        ],
    ),
    "dismissed": (
        {},
        [b"220 mx.example\r\n", OFFERS_PIPELINING, b"250 ok\r\n450 4.2.1 later\r\n421-4.3.2 we\r\n421 4.3.2 close\r\n"],
    ),
    "violated": ({}, [b"220 mx.example\r\n", OFFERS_PIPELINING, b"250 ok\r\n250 ok\r\n354 go\r\n"]),
}


class CutTests(SynchronousTestCase):
    """
    The octets of a peer come as they like.
    """

    def played(self, name: str, cut: Callable[[int, bytes], list[bytes]]) -> tuple[list[str], list[bytes], Any]:
        """
        What comes of a dialogue whose parts are cut.
        """
        options, parts = DIALOGUES[name]
        owner = Owner(**options)
        output = []
        for number, part in enumerate(parts):
            output.append(b"".join(owner.hear(piece) for piece in cut(number, part)))
        owner.gone()
        return owner.told, output, owner.verdicts

    def whole(self, name: str) -> tuple[list[str], list[bytes], Any]:
        """
        What comes of it uncut.
        """
        return self.played(name, lambda number, part: [part])

    def test_they_go_somewhere(self) -> None:
        """
        The dialogues go to the end that they are meant to have.
        """
        ends = {"dismissed": "Dismissed", "violated": "Violated"}
        for name in DIALOGUES:
            told, _, verdicts = self.whole(name)
            self.assertTrue(told[-1].startswith(ends.get(name, "QuitDone")), (name, told))
            self.assertEqual(set(verdicts.values()), {1}, name)

    def test_octet_by_octet(self) -> None:
        """
        One at a time they mean the same as all at once.
        """
        for name in DIALOGUES:
            alone = self.played(name, lambda number, part: [part[at : at + 1] for at in range(len(part))])
            self.assertEqual(alone, self.whole(name), name)

    def test_every_cut(self) -> None:
        """
        So they do when they are cut once, wherever that is.
        """
        for name, (_, parts) in DIALOGUES.items():
            whole = self.whole(name)
            for number, part in enumerate(parts):
                for at in range(1, len(part)):
                    cut = self.played(
                        name,
                        lambda each, text, number=number, at=at: [text[:at], text[at:]] if each == number else [text],  # type: ignore[misc]
                    )
                    self.assertEqual(cut, whole, (name, number, at))


#: What a peer might say that knows a little of SMTP.
PLAUSIBLE = st.sampled_from(
    [
        *[b"220 x\r\n", b"250 ok\r\n", b"250-x\r\n250 PIPELINING\r\n", OFFERS, OFFERS_PIPELINING, b"354 go\r\n"],
        *[b"334 \r\n", b"235 ok\r\n", b"421 no\r\n", b"450 x\r\n", b"452 4.5.3 x\r\n", b"550 x\r\n", b"552 x\r\n"],
        *[b"503 x\r\n", b"221 x\r\n", b"250-", b"250 ok", b"\r\n", b"250-more\r\n", b"\n", b"\r"],
    ]
)


class NonsenseTests(SynchronousTestCase):
    """
    A peer that says anything at all.
    """

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(PLAUSIBLE | st.binary(max_size=40), max_size=40),
        st.integers(0, 3),
        st.booleans(),
        st.sampled_from(list(Method)),
    )
    def test_anything(self, parts: list[bytes], chunks: int, pipeline: bool, method: Method) -> None:
        """
        Nothing is raised, every command is whole, memory is bounded, and no recipient has more than one verdict; when
        the connection is gone, each that was asked for has exactly one.
        """
        owner = Owner(0 if method is not Method.ESMTP else chunks, pipeline, 3, method)
        for part in parts:
            output = owner.hear(part)
            self.assertTrue(not output or output.endswith(b"\r\n"), output)
            reader = owner.machine._reader
            held = len(reader._buffer) + sum(map(len, reader._lines)) + len(reader._cut or b"")
            self.assertLessEqual(held, MAX_REPLY + 40)
        owner.gone()
        self.assertEqual(set(owner.verdicts.values()) - {1}, set())
        asked = {(transaction, index) for transaction in range(1, owner.begun + 1) for index in range(2)}
        self.assertEqual(set(owner.verdicts), asked)

    def test_floods(self) -> None:
        """
        A reply without end, a line without end, and lines without number end the session within the bound, wherever
        that is.
        """
        for flood in (b"250-x\r\n" * 1000, b"x" * 4096, b"250-" + b"y" * 4000 + b"\r\n", b"2" * 4096):
            for stage, reach, _ in TABLE:
                machine = reach()
                swallowed = 0
                while not machine.over:
                    machine.receive_data(flood)
                    swallowed += len(flood)
                    self.assertLessEqual(swallowed, 2 * MAX_REPLY, stage)
                self.assertNotIn(Verdict.DELIVERED, [result.verdict for result in machine.abandon(b"451 over")])
