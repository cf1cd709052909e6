"""
Programs that read the logs of other servers: ``pflogsumm`` and ``eximstats`` read
what became of a thousand messages of a virtual world, and count as the world does.
"""

from __future__ import annotations

import os
import re
import subprocess
from random import Random

from momentum_tx.testing.world import World

from ..worlds import WorldCase
from .needs import require

CONFIG = """
[global]
postfixlog = "postfixlog"
eximlog = "eximlog"
retry_interval = 120
max_retry_interval = 600
message_expiration = 3600
"""


class ReaderCase(WorldCase):
    """
    A run of 1,000 messages with every kind of end, and the numbers of its ledger.
    """

    MESSAGES = 1000

    def play(self) -> World:
        world = self.world(CONFIG, seed=7)
        chance = Random(7)
        mx, slow = world.exchanger("example.com"), world.exchanger("slow.example")
        slow.greylist(1)
        self.recipients = self.refused = self.rejected = 0
        for number in range(self.MESSAGES):
            recipients = [f"user{number}@example.com"]
            kind = chance.random()
            if kind < 0.1:
                recipients.append(f"user{number}@slow.example")
            elif kind < 0.2:
                mx.refuse[f"gone{number}@example.com"] = b"550 5.1.1 No such user"
                recipients.append(f"gone{number}@example.com")
            elif kind < 0.25:
                mx.refuse[f"full{number}@example.com"] = b"452 4.2.2 Mailbox full"
                recipients = [f"full{number}@example.com"]
            elif kind < 0.28:
                reply = world.inject("news@sender.example", ["@nonsense"], world.message())
                self.assertTrue(reply.startswith(b"5"), reply)
                self.rejected += 1
                continue
            world.inject("news@sender.example", recipients, world.message(f"Number {number}"))
            self.recipients += len(recipients)
        world.advance(3 * 3600)
        self.assertEqual(world.queued(), 0)
        return world

    def counts(self, world: World) -> dict[str, int]:
        return {kind: len(world.mainlog(kind)) for kind in "RDTP"}

    def file(self, world: World, name: str) -> str:
        (content,) = [bytes(log.content) for path, log in world.logs.items() if path.endswith("/" + name)]
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(content)
        return path

    def run_program(self, *arguments: str) -> str:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=120, check=True, env={**os.environ, "LC_ALL": "C"}
        )
        self.assertEqual(done.stderr, "")
        return done.stdout


class PflogsummTests(ReaderCase):
    """
    The reader of Postfix's log.
    """

    def test_totals(self) -> None:
        """
        Received, delivered, deferred, bounced and rejected are what they were.
        """
        program = require("pflogsumm")
        world = self.play()
        counts = self.counts(world)
        printed = self.run_program(program, self.file(world, "postfixlog"))
        found = {name: int(count) for count, name in re.findall(r"^ +(\d+)[kmg]? +(\w+)", printed, re.MULTILINE)}
        receptions = len({record["batch"] for record in world.mainlog("R")})
        self.assertEqual(
            {name: found[name] for name in ("received", "delivered", "bounced", "rejected")},
            {
                "received": receptions,
                "delivered": counts["D"],
                "bounced": counts["P"],
                "rejected": self.rejected,
            },
        )
        (deferrals,) = re.findall(r"\((\d+)\s+deferrals\)", printed)
        self.assertEqual(int(deferrals), counts["T"])
        self.assertGreater(min(counts.values()), 0)


class EximstatsTests(ReaderCase):
    """
    The reader of Exim's log.
    """

    def test_totals(self) -> None:
        """
        Received, delivered, failed and delayed are what they were.
        """
        program = require("eximstats")
        world = self.play()
        counts = self.counts(world)
        printed = self.run_program("perl", program, "-nt", self.file(world, "eximlog"))
        rows = {line.split()[0]: line for line in printed.splitlines() if line.startswith("  ") and line.split()}
        numbers = {name: [int(each) for each in re.findall(r" (\d+)(?= |$)", row)] for name, row in rows.items()}

        def receptions(kinds: str) -> int:
            return len({record["batch"] for record in world.mainlog(kinds)})

        self.assertEqual(
            {name: numbers[name][:4] for name in ("Received", "Delivered", "Rejects")},
            {
                # Messages, clients, and of how many something was delayed, or failed.
                "Received": [receptions("R"), 1, receptions("T"), receptions("P")],
                # Messages, addresses, hosts.
                "Delivered": [counts["D"], counts["D"], 2],
                "Rejects": [self.rejected, 1],
            },
        )
