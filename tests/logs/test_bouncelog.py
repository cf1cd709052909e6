"""
Tests of :mod:`momentum_tx.logs.bouncelog`.
"""

from __future__ import annotations

from momentum_tx.testing.world import World

from ..worlds import WorldCase

CONFIG = """
[global]
bouncelog = "bouncelog"
heartbeat = 60
"""


class BounceLogTests(WorldCase):
    """
    Failures and what they mean.
    """

    def lines(self, world: World) -> list[bytes]:
        (content,) = [log.content for path, log in world.logs.items() if path.endswith("/bouncelog")]
        return bytes(content).splitlines()

    def fail(self, config: str = CONFIG) -> World:  # type: ignore[override]
        world = self.world(config)
        mx = world.exchanger("example.com")
        mx.refuse["gone@example.com"] = b"550 5.1.1 No such user"
        mx.refuse["full@example.com"] = b"452 4.2.2 Mailbox full"
        self.accept(world, ["gone@example.com", "full@example.com"])
        world.advance(30)
        return world

    def test_records(self) -> None:
        """
        Sixteen fields, as Momentum's page has them.
        """
        world = self.fail()
        (bounced,) = [line.decode().split("@") for line in self.lines(world) if b"@B@" in line]
        failure = world.mainlog("P")[0]
        self.assertEqual(
            bounced,
            [
                failure["time"],
                failure["id"],
                failure["batch"],
                failure["conn_id"],
                "B",
                "gone",
                "example.com",
                "a",
                "sender.example",
                "default",
                "default",
                "5",
                "10",
                world.mainlog("R")[0]["size"],
                "198.51.100.1",
                "550 5.1.1 No such user",
            ],
        )
        (delayed,) = [line for line in self.lines(world) if b"@T@" in line]
        self.assertIn(b"@5@22@", delayed)

    def test_heartbeat(self) -> None:
        """
        Silence is marked.
        """
        world = self.world(CONFIG)
        world.advance(130)
        marks = self.lines(world)
        self.assertEqual(len(marks), 2)
        self.assertTrue(all(line.endswith(b"@@@@M1") for line in marks))

    def test_switches(self) -> None:
        """
        Each kind of record can be left out, also after a reload.
        """
        world = self.fail(CONFIG + "log_bounce_transients = false\n")
        self.assertEqual([b"@T@" in line for line in self.lines(world)], [False])
        world = self.fail(CONFIG + "log_inband_bounces = false\n")
        self.assertEqual(self.lines(world), [])
        world = self.world()
        self.assertEqual([path for path in world.logs if path.endswith("bouncelog")], [])
