"""
Tests of :mod:`momentum_tx.logs.jsonlog`.
"""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

from momentum_tx.testing.behaviours import CloseAtDot
from momentum_tx.testing.world import World

from ..worlds import SENDER, WorldCase

CONFIG = """
[global]
jsonlog = "jsonlog"
message_expiration = 7200
retry_interval = 600
smtp_listen = ["tcp:2525:interface=127.0.0.1"]

[binding.one]
[binding.two]

[domain."waiting.example"]
suspend_delivery = true
"""


def schema() -> Any:
    return json.loads((files("momentum_tx.logs") / "jsonlog.schema.json").read_text(encoding="utf-8"))


class JSONLogTests(WorldCase):
    """
    One story with every change of state there is.
    """

    def records(self, world: World) -> list[dict[str, Any]]:
        (content,) = [log.content for path, log in world.logs.items() if path.endswith("/jsonlog")]
        return [json.loads(line) for line in bytes(content).splitlines()]

    def story(self) -> World:
        world = self.world(CONFIG, reports=True)
        mx = world.exchanger("example.com")
        world.exchanger("sender.example")
        mx.refuse["gone@example.com"] = b"550 5.1.1 No such user"
        mx.refuse["late@example.com"] = b"450 4.2.0 later"
        self.accept(world, ["good@example.com", "gone@example.com", "late@example.com", "x@waiting.example"])
        self.assertTrue(world.inject(SENDER, ["@nonsense"], world.message()).startswith(b"5"))
        world.advance(30)
        self.successResultOf(world.service.rebind("example.com", to_binding="two"))
        losing = CloseAtDot(take=False)
        mx.add(losing)
        self.accept(world, ["good@example.com"])
        world.advance(10)
        mx.remove(losing)
        world.advance(4 * 3600)
        return world

    def test_schema(self) -> None:
        """
        Every record is as the published schema says.
        """
        Draft202012Validator.check_schema(schema())
        validator = Draft202012Validator(schema())
        for record in self.records(self.story()):
            errors = [error.message for error in validator.iter_errors(record)]
            self.assertEqual(errors, [], record)

    def test_events(self) -> None:
        """
        What happened is there, each time it did, and what ended a message is marked.
        """
        world = self.story()
        records = self.records(world)
        events = Counter(record["event"] for record in records)
        mainlog = Counter(record.kind for record in world.mainlog())
        self.assertEqual(events["received"], mainlog["R"])
        self.assertEqual(events["delivered"], mainlog["D"])
        self.assertEqual(events["transient"] + events["ambiguous"], mainlog["T"])
        self.assertEqual(events["permanent"] + events["expired"], mainlog["P"])
        for event in (
            "attempt",
            "ambiguous",
            "delayed",
            "rebound",
            "suspended",
            "bounced",
            "rejected",
            "expired",
            "permanent",
        ):
            self.assertGreater(events[event], 0, event)
        ended = [record["id"] for record in records if record.get("final")]
        self.assertEqual(len(ended), len(set(ended)))

    def test_fields(self) -> None:
        """
        A failure says where, why, and what that means.
        """
        (failed,) = [record for record in self.records(self.story()) if record["event"] == "permanent"]
        self.assertEqual(
            {
                name: failed[name]
                for name in ("recipient", "status", "class", "class_name", "stage_name", "tries", "host", "domain")
            },
            {
                "recipient": "gone@example.com",
                "status": "5.1.1",
                "class": 10,
                "class_name": "Invalid Recipient",
                "stage_name": "after_rcpt_to",
                "tries": 0,
                "host": "mx1.example.com",
                "domain": "example.com",
            },
        )

    def test_hostile(self) -> None:
        """
        Whatever a peer says, a record is one line of JSON.
        """
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        mx.refuse["bob@example.com"] = b'550 5.1.1 \xff\x1b[31m"}\\ no'
        self.accept(world)
        world.advance(10)
        self.assertEqual([record["event"] for record in self.records(world)], ["received", "attempt", "permanent"])
