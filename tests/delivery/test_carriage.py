"""
How content travels: BDAT or DATA, groups of commands or one by one, and how slowly.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery.carriage import MEMORY, MEMORY_SIZE, Carriage, PeerMemory
from momentum_tx.settings import PathSettings
from momentum_tx.smtp.extensions import Extensions
from momentum_tx.stages import Stage
from momentum_tx.testing.peers import (
    CLOSE,
    SILENCE,
    TAKE_AND_CLOSE,
    Answer,
    Receiver,
    Step,
)
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

PEER = ("198.51.100.7", 25)
#: Whatever its size, content goes in chunks.
CHUNKS = "[global]\nchunking_minimum_size = 0\nretry_interval = 600\n"
SMALL_CHUNKS = CHUNKS + "chunk_size = 100\n"


class PeerMemoryTests(SynchronousTestCase):
    """
    What is known of peers, for a while.
    """

    def setUp(self) -> None:
        self.now = 50.0
        self.memory = PeerMemory(lambda: self.now)

    def test_for_a_while(self) -> None:
        """
        A peer is remembered for an hour after it was noted last, others are not.
        """
        self.memory.add(PEER)
        self.assertTrue(self.memory.has(PEER))
        self.assertFalse(self.memory.has(("198.51.100.7", 26)))
        self.now += MEMORY - 1
        self.memory.add(PEER)
        self.now += MEMORY - 1
        self.assertTrue(self.memory.has(PEER))
        self.now += 1
        self.assertFalse(self.memory.has(PEER))

    def test_bounded(self) -> None:
        """
        Of too many the oldest are forgotten; those whose time is over go first.
        """
        for port in range(MEMORY_SIZE):
            self.memory.add(("192.0.2.1", port))
        self.memory.add(PEER)
        self.assertEqual(len(self.memory), MEMORY_SIZE)
        self.assertFalse(self.memory.has(("192.0.2.1", 0)))
        self.assertTrue(self.memory.has(("192.0.2.1", 1)))
        self.now += MEMORY
        self.memory.add(PEER)
        self.assertEqual(len(self.memory), 1)


class ChoiceTests(SynchronousTestCase):
    """
    Which way is taken.
    """

    OFFERED = Extensions(pipelining=True, chunking=True)

    def setUp(self) -> None:
        self.carriage = Carriage(lambda: 0.0)

    def size(self, octets: int, extensions: Extensions = OFFERED, groups: bool = True, **options: object) -> int:
        """
        The size of the chunks of a message of so many octets.
        """
        settings = PathSettings(**options)  # type: ignore[arg-type]
        return self.carriage.chunk_size(PEER, settings, extensions, octets, groups)

    def test_size(self) -> None:
        """
        What is large goes in chunks, what is small behind DATA, if both take as long.
        """
        self.assertEqual([self.size(65535), self.size(65536)], [0, 4 << 20])
        self.assertEqual(self.size(10, chunking_minimum_size=10, chunk_size=7), 7)

    def test_without_groups(self) -> None:
        """
        Where each command waits for its reply chunks spare one of them, whatever the size.
        """
        self.assertEqual(self.size(1, groups=False), 4 << 20)
        self.assertEqual(self.size(1, Extensions(chunking=True)), 4 << 20)

    def test_not(self) -> None:
        """
        Not without the offer, not against the option, not by other methods, and not to
        a peer that was tried in vain.
        """
        self.assertEqual(self.size(1 << 20, Extensions(pipelining=True)), 0)
        self.assertEqual(self.size(1 << 20, chunking="no"), 0)
        self.assertEqual(self.size(1 << 20, delivery_method="LMTP"), 0)
        self.carriage.without_chunks.add(PEER)
        self.assertEqual(self.size(1 << 20), 0)

    def test_groups(self) -> None:
        """
        Only what happens to a group, and before the content, tells against groups.
        """
        settings = PathSettings()
        self.carriage.failed(PEER, Stage.READING_CONFIRMATION, True)
        self.carriage.failed(PEER, Stage.AFTER_RCPT_TO, False)
        self.assertTrue(self.carriage.groups(PEER, settings))
        self.carriage.failed(PEER, Stage.AFTER_RCPT_TO, True)
        self.assertFalse(self.carriage.groups(PEER, settings))
        self.assertFalse(Carriage(lambda: 0.0).groups(PEER, PathSettings(pipelining=False)))


class ChunkingCase(WorldCase):
    """
    An exchanger that takes chunks.
    """

    def chunking(self, config: str = CHUNKS) -> tuple[World, Receiver]:
        """
        A world with it.
        """
        world = self.world(config)
        mx = world.exchanger("example.com")
        mx.chunking = True
        return world, mx

    def said(self, mx: Receiver) -> list[bytes]:
        """
        The commands it heard but for EHLO and QUIT, without what follows the verb; of
        chunks all but the size.
        """
        verbs = [line.split(b":")[0].split(b" ")[0] for _, line in mx.commands]
        return [verb for verb in verbs if verb not in (b"EHLO", b"QUIT")]


class ChunkingTests(ChunkingCase):
    """
    Content in chunks, from the spool to the ledger.
    """

    def test_octets(self) -> None:
        """
        Lines of dots arrive as they are, in chunks cut anywhere; DATA is never said, and
        MAIL declares what arrives.
        """
        content = World.message(body="".join(f"{'.' * n}\r\n.x\r\n" for n in range(40)))
        for size in (1, 2, 3, 100, 4 << 20):
            with self.subTest(size=size):
                world, mx = self.chunking(CHUNKS + f"chunk_size = {size}\n")
                mx.size = 1_000_000
                world.inject(SENDER, [BOB], content)
                world.advance(30)
                (taken,) = mx.ledger
                self.assertTrue(taken.content.endswith(content))
                self.assertEqual(self.kinds(world), "RD")
                chunks = [line for _, line in mx.commands if line.startswith(b"BDAT")]
                self.assertEqual([line.endswith(b" LAST") for line in chunks], [False] * (len(chunks) - 1) + [True])
                self.assertEqual(len(chunks), -(-len(taken.content) // size))
                self.assertIn(b" SIZE=%d" % len(taken.content), mx.commands[1][1])
                self.assertNotIn(b"DATA", self.said(mx))

    def test_small(self) -> None:
        """
        By default a small message goes behind DATA.
        """
        world, mx = self.chunking("")
        self.accept(world)
        world.advance(2)
        self.assertEqual(self.said(mx), [b"MAIL", b"RCPT", b"DATA"])

    def test_message_after_message(self) -> None:
        """
        One message after the other goes over a session in chunks.
        """
        world, mx = self.chunking()
        for subject in ("one", "two", "three"):
            self.accept(world, subject=subject)
        world.advance(5)
        self.assertEqual([(taken.connection, len(taken.recipients)) for taken in mx.ledger].count((1, 1)), 3)
        self.assertEqual(self.said(mx).count(b"BDAT"), 3)

    def test_nobody(self) -> None:
        """
        No chunk leaves when all recipients were refused.
        """
        world, mx = self.chunking()
        mx.refuse[BOB] = b"550 5.1.1 Nobody"
        self.accept(world)
        world.advance(5)
        self.assertEqual((self.said(mx), self.kinds(world)), ([b"MAIL", b"RCPT", b"RSET"], "RP"))

    def test_some(self) -> None:
        """
        Those who were accepted get it.
        """
        world, mx = self.chunking(SMALL_CHUNKS)
        mx.refuse[BOB] = b"550 5.1.1 Nobody"
        self.accept(world, [BOB, "carol@example.com"])
        world.advance(5)
        self.assertEqual((self.taken(mx), sorted(self.kinds(world))), ([b"carol@example.com"], ["D", "P", "R", "R"]))

    def test_refused(self) -> None:
        """
        A chunk, or the last one, that is refused ends the transaction, and RSET comes
        before anything else; the next message goes over the same session.
        """
        for answer, kinds in ((b"451 4.3.0 later", "RTRD"), (b"554 5.7.1 no", "RPRD")):
            for skip, point in ((0, "BDAT"), (1, "BDAT"), (0, "dot")):
                with self.subTest(answer=answer, skip=skip, point=point):
                    world, mx = self.chunking(SMALL_CHUNKS)
                    mx.on(point, answer, times=1, skip=skip)
                    self.accept(world)
                    world.advance(2)
                    self.accept(world)
                    world.advance(2)
                    said = self.said(mx)
                    self.assertEqual(self.kinds(world), kinds)
                    end = said.index(b"RSET")
                    self.assertEqual(said[end - 1 : end + 3], [b"BDAT", b"RSET", b"MAIL", b"RCPT"])
                    self.assertEqual((mx.connections, len(mx.ledger)), (1, 1))

    def test_not_now(self) -> None:
        """
        Where BDAT is answered with 503 the message follows behind DATA, over the same session
        and without a retry; and no chunk is tried again for an hour.
        """
        world, mx = self.chunking()
        mx.on("BDAT", b"503 5.5.1 No BDAT")
        self.accept(world)
        world.advance(2)
        self.assertEqual(self.said(mx), [b"MAIL", b"RCPT", b"BDAT", b"RSET", b"MAIL", b"RCPT", b"DATA"])
        self.assertEqual((self.kinds(world), mx.connections, len(mx.ledger)), ("RD", 1, 1))
        for after, count in ((60, 1), (MEMORY, 2)):
            world.advance(after)
            self.accept(world)
            world.advance(5)
            self.assertEqual(self.said(mx).count(b"BDAT"), count)
        self.assertEqual((self.kinds(world), len(mx.ledger)), ("RDRDRD", 3))

    def test_not_known(self) -> None:
        """
        A peer that offers CHUNKING and does not know it takes the content for commands:
        the connection is given up, and another one is told DATA.
        """
        world, mx = self.chunking()
        mx.chunking = False
        mx.extensions.append(b"CHUNKING")
        self.accept(world)
        world.advance(5)
        self.assertEqual((self.kinds(world), len(mx.ledger), mx.connections), ("RD", 1, 2))
        self.assertNotIn(b"BDAT", self.verbs(mx, 2))
        self.assertNotIn(b"RSET", self.verbs(mx, 1))

    def test_crash_after_fallback(self) -> None:
        """
        The intent of the chunk that was not taken is not taken for an attempt in doubt.
        """
        world, mx = self.chunking()
        mx.on("BDAT", b"503 5.5.1 No BDAT")
        mx.on("MAIL", SILENCE, skip=1)
        self.accept(world)
        world.until(lambda: self.said(mx)[-2:] == [b"RSET", b"MAIL"])
        world.crash()
        world.until(lambda: any(session.messages for session in world.service.delivery.sessions))
        (message,) = next(iter(world.service.delivery.sessions)).messages
        self.assertEqual((message.ambiguous, message.num_retries), (0, 0))

    def test_lost(self) -> None:
        """
        A session that ends at the last chunk leaves the message in doubt: it is sent again.
        One that ends before does not.
        """
        steps: tuple[tuple[str, Step, int, int], ...] = (
            ("dot", TAKE_AND_CLOSE, 1, 2),
            ("dot", CLOSE, 1, 1),
            ("BDAT", CLOSE, 0, 1),
            ("BDAT", SILENCE, 0, 1),
            ("BDAT", b"421 4.3.2 Enough", 0, 1),
        )
        for point, step, ambiguous, copies in steps:
            with self.subTest(point=point, step=step):
                world, mx = self.chunking(SMALL_CHUNKS)
                mx.on(point, step, times=1)
                self.accept(world)
                world.until(lambda world=world: "T" in self.kinds(world))  # type: ignore[misc]
                (message,) = world.domain("example.com").mail_queue.messages()
                self.assertEqual(message.ambiguous, ambiguous)
                world.advance(900)
                self.assertEqual((len(mx.ledger), self.kinds(world)), (copies, "RTD"))

    def test_stalled(self) -> None:
        """
        A chunk that is never answered is waited for as long as a body may stand still.
        """
        world, mx = self.chunking(SMALL_CHUNKS + "body_block_timeout = 16\n")
        mx.on("BDAT", SILENCE)
        self.accept(world)
        world.advance(15.9)
        self.assertEqual(self.kinds(world), "R")
        world.advance(0.2)
        self.assertEqual(self.last(world, "T")["note"], "451 4.4.2 [internal] send BODY failed")


class GroupTests(WorldCase):
    """
    Peers that offer PIPELINING and do not bear it.
    """

    def test_silent(self) -> None:
        """
        A peer that throws away what follows a command keeps silent; it is spared groups from then
        on, and the message arrives with the next attempt; after an hour they are tried again.
        """
        world = self.world("[global]\nretry_interval = 600\nrcptto_timeout = 10\n")
        mx = world.exchanger("example.com")
        mx.on("MAIL", Answer(b"250 2.1.0 Ok", "deaf"), times=1)
        self.accept(world)
        world.advance(30)
        self.assertEqual(self.last(world, "T")["note"], "451 4.4.2 [internal] no RCPT TO response")
        waits: list[float] = []
        mx.on("RCPT", lambda session, line: waits.append(world.clock.seconds()))
        mx.on("DATA", lambda session, line: waits.append(world.clock.seconds()))
        world.advance(900)
        self.assertEqual(len(mx.ledger), 1)
        self.assertLess(waits[0], waits[1])
        del waits[:]
        world.advance(MEMORY)
        self.accept(world)
        world.advance(5)
        self.assertEqual((len(mx.ledger), waits[0]), (2, waits[1]))

    def test_too_many(self) -> None:
        """
        One reply too many to a group tells against groups as well; silence of a peer that was
        asked one thing does not.
        """
        for pipelining in (True, False):
            world = self.world("[global]\nretry_interval = 300\nmailfrom_timeout = 10\n")
            mx = world.exchanger("example.com")
            mx.pipelining = pipelining
            mx.on("MAIL", SILENCE if not pipelining else Answer(b"354 what"), times=1)
            self.accept(world)
            world.advance(600)
            self.assertEqual((len(mx.ledger), self.kinds(world)), (1, "RTD"))
            self.assertEqual(
                world.service.delivery.sessions.carriage.groups((mx.address, 25), PathSettings()), not pipelining
            )


class SlowReaderTests(WorldCase):
    """
    Peers that take a body, but slowly (D04, D05 of the catalogue).
    """

    CONFIG = "[global]\nretry_interval = 600\nbody_block_timeout = 20\nbody_minimum_rate = 20000\n"

    def slow(self, config: str, bandwidth: float, encrypted: bool = False) -> tuple[World, Receiver]:
        """
        A large message on its way to a peer that reads *bandwidth* octets a second.
        """
        world = self.world(config + ('tls = "required"\n' if encrypted else ""))
        mx = world.exchanger("example.com")
        mx.starttls = encrypted
        line = world.network.line(mx.address)
        self.accept(world)
        world.until(lambda: bool(mx.ledger))
        line.bandwidth, line.window = bandwidth, 65536
        world.inject(SENDER, [BOB], world.message(body="0123456789abcdef\r\n" * 60_000))
        return world, mx

    def test_too_slow(self) -> None:
        """
        One that takes a slice just before each would be too late is ended when it has taken
        less than the minimum on the whole, in the clear and over TLS; the message is kept.
        """
        for encrypted in (False, True):
            with self.subTest(encrypted=encrypted):
                world, mx = self.slow(self.CONFIG, 8_000.0, encrypted)
                world.advance(20)
                self.assertEqual(self.kinds(world), "RDR")
                world.advance(25)
                self.assertEqual(self.kinds(world), "RDRT")
                self.assertEqual(self.last(world, "T")["note"], "451 4.4.2 [internal] send BODY failed")
                self.assertEqual(len(mx.ledger), 1)

    def test_slow_enough(self) -> None:
        """
        One that keeps up with the minimum may take as long as that allows; and any one may
        where there is none.
        """
        world, mx = self.slow(self.CONFIG, 25_000.0)
        world.advance(80)
        self.assertEqual((self.kinds(world), len(mx.ledger)), ("RDRD", 2))
        world, mx = self.slow(self.CONFIG.replace("20000", "0"), 8_000.0)
        world.advance(400)
        self.assertEqual((self.kinds(world), len(mx.ledger)), ("RDRD", 2))
