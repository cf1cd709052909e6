"""
The world: as an embedding application would use it.
"""

import errno

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IConnectionGoal
from momentum_tx.interfaces.records import IDomainRecord
from momentum_tx.testing.world import EPOCH, World

from ..worlds import BOB, SENDER, WorldCase


class WorldTests(WorldCase):
    """
    What it promises.
    """

    def story(self, seed: int) -> bytes:
        """
        The mainlog of a story with chance in it.
        """
        world = self.world(seed=seed)
        one, other = world.exchanger("example.com"), world.exchanger("example.com")
        one.on("RCPT", b"451 4.2.1 Not now", times=1)
        other.on("RCPT", b"451 4.2.1 Not now", times=1)
        for number in range(10):
            self.accept(world, subject=str(number))
            world.advance(60)
        world.advance(7200)
        world.stop()
        return world.log.content

    def test_same_seed(self) -> None:
        """
        The same seed gives the same story, to the octet; another one another.
        """
        self.assertEqual(self.story(1), self.story(1))
        self.assertNotEqual(self.story(1), self.story(2))

    def test_nothing_left(self) -> None:
        """
        After a stop nothing is in the clock and no connection is open, not even
        the peers'.
        """
        world = self.world()
        world.exchanger("example.com")
        self.accept(world)
        world.stop()
        self.assertEqual(world.leftovers(), [])
        self.assertEqual(world.clock.getDelayedCalls(), [])
        self.assertEqual(world.network.open_transports(), [])

    def test_leftovers_are_seen(self) -> None:
        """
        What a service would leave behind is reported.
        """
        world = self.world()
        self.assertGreater(len(world.leftovers()), 1)

    def test_addresses_are_the_machines(self) -> None:
        """
        An address that was taken away is not there for the next process either.
        """
        world = self.world('[binding.b1]\nbind_address = "192.0.2.2"\n')
        world.network.unplumb("192.0.2.2")
        world.crash()
        self.assertEqual(len(world.service.unplumbed()), 1)
        world.network.plumb("192.0.2.2")
        self.assertEqual(world.service.unplumbed(), [])

    def test_until(self) -> None:
        """
        A condition that never comes about is an error, soon.
        """
        world = self.world()
        self.assertRaises(AssertionError, world.until, lambda: False, 10.0)
        self.assertLess(world.clock.seconds(), 100)

    def test_wall(self) -> None:
        """
        Wall time begins at an epoch of its own and can be stepped.
        """
        world = self.world()
        world.advance(5)
        self.assertAlmostEqual(world.wall(), EPOCH + world.clock.seconds())
        world.wall_offset = -60
        self.assertLess(world.wall(), EPOCH)

    def test_crash(self) -> None:
        """
        After a crash the next service has the mail, the peers and DNS are as
        they were, hooks are registered again, and time has not stood still.
        """

        @implementer(IConnectionGoal)
        class Goal:
            """
            Counts its questions.
            """

            asked = 0

            def connection_goal(self, dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
                self.asked += 1
                return goal

        hook = Goal()
        world = self.world(providers=[hook])
        mx = world.exchanger("example.com")
        world.network.refuse(mx.address)
        self.accept(world)
        world.advance(10)
        before, asked, service = world.clock.seconds(), hook.asked, world.service
        world.crash()
        self.assertIsNot(world.service, service)
        self.assertEqual(world.queued(), 1)
        world.network.restore(mx.address)
        world.advance(1300)
        self.assertEqual(self.kinds(world), "RTD")
        self.assertGreater(world.clock.seconds(), before)
        self.assertGreater(hook.asked, asked)

    def test_power_cut(self) -> None:
        """
        A power cut takes what was not synced, and nothing else.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now")
        self.accept(world)
        world.advance(10)
        unsynced = world.begin_injection(SENDER, ["carol@example.com"], world.message())
        world.threads.delay = 100.0
        world.until(lambda: b"354" in b"".join(unsynced.replies))
        world.advance(1)
        world.power_cut()
        self.assertEqual(unsynced.reply, b"")
        self.assertLessEqual(world.queued(), 2)
        mx.behave()
        world.advance(3000)
        self.assertIn(BOB.encode(), self.taken(mx))

    def test_disk_errors(self) -> None:
        """
        The disk can be made to fail.
        """
        world = self.world()
        world.files.fail("append", errno.EIO, times=-1)
        world.files.fail("create", errno.EIO, times=-1)
        self.assertEqual(world.inject(SENDER, [BOB], world.message())[:3], b"452")
        world.files.heal()

    def test_domain(self) -> None:
        """
        Domain records can be looked at.
        """
        world = self.world()
        self.assertRaises(KeyError, world.domain, "example.com")
        world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        self.assertEqual(world.domain("example.com").deliveries, 1)

    def test_not_started(self) -> None:
        """
        A world may be prepared before its service starts.
        """
        world = World(start=False)
        self.assertEqual(world.service.listening(), [])
