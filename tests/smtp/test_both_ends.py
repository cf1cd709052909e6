"""
A client machine and a server machine over a wire in memory.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.outcomes import Verdict
from momentum_tx.smtp import events as ev
from momentum_tx.smtp.body import END_OF_DATA, stuff
from momentum_tx.smtp.client import SMTPClientMachine
from momentum_tx.smtp.reception import Closing, MessageReceived, ServerEvent, ServerSettings
from momentum_tx.smtp.server import SMTPServerMachine


class Wire:
    """
    Carries bytes between the two, in chunks of the given sizes, and plays both owners.
    """

    def __init__(self, sizes: list[int], may_relay: bool = True) -> None:
        self._sizes = sizes
        self._turn = 0
        self.client = SMTPClientMachine()
        self.server = SMTPServerMachine(ServerSettings("mx.example", 1_000_000, 150), may_relay)
        self.received: list[MessageReceived] = []
        self.results: list[tuple[ev.RecipientResult, ...]] = []
        self.told: list[ev.Event] = []
        self.closed = False
        self._body = b""
        self.client.start()
        self._to_client(self.server.greet())
        self.client.hello(b"me.example")
        self._run()

    def deliver(self, sender: bytes, recipients: list[bytes], content: bytes, pipeline: bool) -> None:
        """
        One transaction, from MAIL to its end.
        """
        self._body = stuff(content) + END_OF_DATA
        self.client.transaction(sender, recipients, pipeline=pipeline)
        self._run()

    def quit(self) -> None:
        """
        End the session.
        """
        self.client.quit()
        self._run()

    def _run(self) -> None:
        while output := self.client.take_output():
            self._to_server(output)

    def _chunks(self, data: bytes) -> list[bytes]:
        chunks = []
        while data:
            size = self._sizes[self._turn % len(self._sizes)]
            self._turn += 1
            chunks.append(data[:size])
            data = data[size:]
        return chunks

    def _to_client(self, data: bytes) -> None:
        for chunk in self._chunks(data):
            for event in self.client.receive_data(chunk):
                self.told.append(event)
                if isinstance(event, ev.BodyWanted):
                    self.client.sending_body()
                    self.client.dot_sent()
                    self._to_server(self._body)
                elif isinstance(event, ev.TransactionEnded):
                    self.results.append(event.results)

    def _to_server(self, data: bytes) -> None:
        for chunk in self._chunks(data):
            self._serve(self.server.receive_data(chunk))

    def _serve(self, events: list[ServerEvent]) -> None:
        replies = self.server.take_output()
        for event in events:
            if isinstance(event, MessageReceived):
                self.received.append(event)
                more = self.server.answer(250, "2.0.0 Ok: queued")
                assert not more
                replies += self.server.take_output()
            elif isinstance(event, Closing):
                self.closed = True
        if replies:
            self._to_client(replies)


_SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=6)
_BODIES = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"Subject: y", b"\xff\xfe", b"x" * 998]), max_size=8).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)


class BothEndsTests(SynchronousTestCase):
    """
    The two understand each other.
    """

    @settings(derandomize=True, max_examples=150, deadline=None)
    @given(_SIZES, st.lists(_BODIES, min_size=1, max_size=3), st.booleans())
    def test_byte_exact(self, sizes: list[int], bodies: list[bytes], pipeline: bool) -> None:
        """
        Message after message arrives byte for byte, however the wire cuts.
        """
        wire = Wire(sizes)
        for body in bodies:
            wire.deliver(b"a@x.example", [b"b@y.example", b'"c d"@y.example'], body, pipeline)
        wire.quit()
        self.assertEqual([event.content for event in wire.received], bodies)
        for event in wire.received:
            self.assertEqual(event.recipients, (b"b@y.example", b'"c d"@y.example'))
        self.assertEqual(len(wire.results), len(bodies))
        for results in wire.results:
            self.assertEqual({result.verdict for result in results}, {Verdict.DELIVERED})
        self.assertTrue(wire.closed)
        self.assertIsInstance(wire.told[-1], ev.QuitDone)
        self.assertFalse([event for event in wire.told if isinstance(event, ev.Violated)])

    def test_many_recipients(self) -> None:
        """
        Recipients beyond the server's limit are put off; the others get the message.
        """
        wire = Wire([1000])
        wire.deliver(b"", [b"r%d@y.example" % number for number in range(250)], b"x\r\n", True)
        (results,) = wire.results
        verdicts = [result.verdict for result in results]
        self.assertEqual(verdicts, [Verdict.DELIVERED] * 150 + [Verdict.TRANSIENT] * 100)
        self.assertEqual(len(wire.received[0].recipients), 150)

    def test_nobody(self) -> None:
        """
        A client that may not relay has its recipients refused for ever, with and
        without pipelining.
        """
        for pipeline in (True, False):
            wire = Wire([7], may_relay=False)
            wire.deliver(b"a@x.example", [b"b@y.example"], b"x\r\n", pipeline)
            ((result,),) = wire.results
            self.assertIs(result.verdict, Verdict.PERMANENT)
            self.assertTrue(result.note.startswith(b"550 5.7.1"))
            self.assertTrue(wire.client.needs_reset)
