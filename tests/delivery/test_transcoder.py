"""
Tests of :mod:`momentum_tx.delivery.transcoder`, and of its options in a running service.
"""

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from momentum_tx.delivery.transcoder import MOST_KEPT, Transcoder
from momentum_tx.interfaces.services import MXKind
from momentum_tx.outcomes import Verdict
from momentum_tx.settings import PathSettings
from momentum_tx.testing.peer_session import Answer

from ..worlds import BOB, SENDER, WorldCase

CAROL = "carol@example.com"


def options(pattern: str, replacement: str) -> PathSettings:
    """
    The settings of a path that have both options.
    """
    return PathSettings(response_transcode_pattern=pattern, response_transcode_replace=replacement)


class TranscoderTests(SynchronousTestCase):
    """
    One text after the other.
    """

    def setUp(self) -> None:
        self.complaints: list[str] = []

        @implementer(ILogObserver)
        def reader(event: LogEvent) -> None:
            if "response_transcode" in (event.get("log_format") or ""):
                self.complaints.append(formatEvent(event))

        globalLogPublisher.addObserver(reader)
        self.addCleanup(globalLogPublisher.removeObserver, reader)

    def test_said(self) -> None:
        """
        Each path has its own words, and one with half of the options has the peer's.
        """
        transcoder = Transcoder()
        for _ in range(2):
            self.assertEqual(transcoder.said(options("^550", "450 a"), b"550 x"), b"450 a")
            self.assertEqual(transcoder.said(options("^550", "450 b"), b"550 x"), b"450 b")
            self.assertEqual(transcoder.said(options("^550", "450 b"), b"554 x"), b"554 x")
            self.assertEqual(transcoder.said(options("", "450 b"), b"550 x"), b"550 x")
            self.assertEqual(transcoder.said(options("^550", ""), b"550 x"), b"550 x")
        self.assertEqual(self.complaints, [])

    def test_complains_once(self) -> None:
        """
        What turns out wrong leaves the text as it is, and is said once for each pair of options.
        """
        transcoder = Transcoder()
        for _ in range(3):
            self.assertEqual(transcoder.said(options(r"^550 (\d*)", "$1"), b"550 250 x"), b"550 250 x")
            self.assertEqual(transcoder.said(options(r"^550 (\d*)", "$1"), b"550 451 x"), b"451")
            self.assertEqual(transcoder.said(options("^550", "450 $1"), b"550 x"), b"550 x")
        self.assertEqual(len(self.complaints), 2)
        self.assertIn("no code of a refusal", self.complaints[0])
        self.assertIn("has no group 1", self.complaints[1])

    def test_bound(self) -> None:
        """
        However many pairs of options there have been over the reloads, only so many are remembered.
        """
        transcoder = Transcoder()
        for number in range(MOST_KEPT + 10):
            self.assertEqual(transcoder.said(options("^550", f"450 {number}"), b"550 x"), b"450 %d" % number)
        self.assertLessEqual(len(transcoder._kept), MOST_KEPT)


class ServiceTests(WorldCase):
    """
    What follows from other words.
    """

    def test_temporary_after_all(self) -> None:
        """
        A peer that says 550 and means that it is full is tried again; the log has the new words, and so has who
        asks for delays by what was said.
        """
        world = self.world(
            '[domain."example.com"]\nresponse_transcode_pattern = "^550 .*(full.*)"\n'
            'response_transcode_replace = "452 4.2.2 $1"\nretry_by_reply = ["4.2.2: 10m"]\n'
        )
        mx, other = world.exchanger("example.com"), world.exchanger("example.net")
        for each in (mx, other):
            each.on("RCPT", b"550 5.0.0 Mailbox is full today", times=1)
        self.accept(world, [BOB])
        world.advance(599)
        self.assertEqual([record["note"] for record in world.mainlog("TP")], ["452 4.2.2 full today"])
        world.advance(2)
        self.assertEqual(self.taken(mx), [BOB.encode()])
        self.accept(world, ["eve@example.net"])
        world.advance(1)
        self.assertEqual(self.last(world, "P")["note"], "550 5.0.0 Mailbox is full today")

    def test_final_after_all(self) -> None:
        """
        A peer that says 450 and means never is not tried again; the others of the same message have their own ends.
        """
        world = self.world(
            '[global]\nresponse_transcode_pattern = "^450 (.*)"\nresponse_transcode_replace = "550 $1"\n'
        )
        mx = world.exchanger("example.com")
        mx.refuse[CAROL] = b"450 No such user"
        sending = world.send(SENDER, [BOB, CAROL], world.message())
        world.advance(5)
        outcomes = self.successResultOf(sending)
        self.assertEqual([outcome.verdict for outcome in outcomes], [Verdict.DELIVERED, Verdict.PERMANENT])
        self.assertEqual(outcomes[1].note, b"550 No such user")
        self.assertEqual(self.kinds(world), "RRDP")

    def test_same_class(self) -> None:
        """
        Other words of the same class change the words alone.
        """
        world = self.world('[global]\nresponse_transcode_pattern = "^(.)5"\nresponse_transcode_replace = "${1}44 $0"\n')
        mx = world.exchanger("example.com")
        mx.refuse[BOB] = b"451 Not now"
        mx.refuse[CAROL] = b"554 Never"
        self.accept(world, [BOB, CAROL])
        world.advance(5)
        self.assertEqual([record["note"] for record in world.mainlog("TP")], ["444 45", "544 55"])

    def test_internal(self) -> None:
        """
        Our own words for a failure for now are changed like a peer's, and may end a message; those for a failure for
        ever are not.
        """
        world = self.world(
            '[global]\nresponse_transcode_pattern = "(internal|greeting).*$"\nresponse_transcode_replace = "550 $0"\n'
        )
        world.exchanger("down.example").down()
        world.exchanger("mute.example").on("DATA", Answer(then="close"))
        world.exchanger("rude.example").on("connect", b"421 no greeting")
        world.resolver.mx["null.example"] = MXKind.NULL
        notes = []
        for domain in ("down", "mute", "rude", "null"):
            self.accept(world, [f"bob@{domain}.example"])
            world.advance(5)
            notes.append(self.last(world, "P")["note"])
        self.assertEqual(
            notes,
            [
                "550 internal] No valid hosts (unable to make any connections)",
                "550 internal] connection closed by remote host",
                "550 greeting",
                "550 5.4.4 [internal] NULL MX domain does not accept mail",
            ],
        )
        self.assertEqual(world.mainlog("T"), [])
        self.assertEqual(world.queued(), 0)

    def test_unsent(self) -> None:
        """
        What we refuse ourselves for ever keeps our words.
        """
        world = self.world('[global]\nresponse_transcode_pattern = "^5"\nresponse_transcode_replace = "450 later"\n')
        world.exchanger("example.com").size = 100
        self.accept(world, Filler="x" * 200)
        world.advance(5)
        self.assertEqual(self.last(world, "P")["note"], "552 5.3.4 [internal] message is larger than the peer accepts")

    def test_given_up(self) -> None:
        """
        The end of a message's life is told in our words.
        """
        world = self.world(
            '[global]\nmax_retries = 0\nresponse_transcode_pattern = "^5"\nresponse_transcode_replace = "450 later"\n'
        )
        world.exchanger("example.com").on("RCPT", b"550 Never")
        self.accept(world)
        world.advance(5)
        self.assertEqual(
            [record["note"] for record in world.mainlog("TP")],
            ["450 later", "554 5.4.7 [internal] exceeded max retries without delivery"],
        )
