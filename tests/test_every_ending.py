"""
One message through every ending: what each hook is told and asked, in which order,
what the logs say, and what the sender is written.

The order is Momentum's, of the path from the maintainer to the end of a session; where
ours is another the story says so.
"""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Sequence
from typing import Any

from flufl.bounce import all_failures
from twisted.internet.defer import Deferred
from zope.interface import directlyProvides

from momentum_tx import OutboundHooks
from momentum_tx.hooks.points import Fold, HookPoint, Notice
from momentum_tx.testing.world import World

from .worlds import SENDER, WorldCase

#: Told or asked so often that their number says nothing of the message.
PASSES = frozenset(
    {
        "pre_mail_queue_maintain_domain",
        "post_mail_queue_maintain_domain",
        "set_delayed_queue_event",
        "config_fetch_domain_routes",
        "config_get_domain_host_failure_retry",
        "check_outbound_mess_throttle",
        "get_outbound_tls_parameters",
        "mailq_get_next_active",
        "smtp_client_state",
        "log_reopen",
        "log_error",
    }
)
#: Whose answer would change the story, and who says nothing about the path; and of a list that is off by itself,
#: whose stories are in ``suppression/test_register``.
ELSEWHERE = frozenset({"smtp_tls_reporting", "outbound_smtp_auth_config", "suppression_check", "suppression_added"})
CONFIG = """
[global]
bouncelog = "bouncelog"
jsonlog = "jsonlog"
retry_interval = 600
message_expiration = 3000
idle_timeout = 2
"""

RECEIVED = [
    "final_validation2",
    "final_validation",
    "post_final_validation",
    "dkim_sign",
    "log_reception_v1",
    "swap_out_multi",
    "config_get_message_routing_domain",
    "ec_message_enqueue",
]
#: How the maintainer finds that a connection is missing.
LOOKING = ["mail_queue_maintain_domain", "connection_goal", "mail_queue_maintain"]
#: Momentum counts the throttle before it says that the connection was initiated, as we do.
CONNECTED = [
    *LOOKING,
    "check_outbound_conn_throttle",
    "veto_host_connection",
    "connection_post_bind",
    "inc_outbound_conn_throttle",
    "post_initiate_connection_smtp",
    "log_client_connection_success",
    "inc_outbound_connections",
]
#: The content is at hand before anything is said of the message, so body_modify comes first; arguments
#: are settled before the attempt is told, since they may keep it from being one.
ATTEMPTED = [
    "body_modify",
    "smtp_client_mailfrom_args",
    "smtp_client_rcptto_args",
    "log_attempt_v1",
    "inc_outbound_mess_throttle",
]
DELIVERED = ["log_delivery_v1", "msg_dispose"]
DELAYED = [
    "smtp_error_classify",
    "log_transient_failure_v1",
    "pre_mailq_message_requeue",
    "get_msg_expiration_params",
    "ec_message_set_next_attempt",
    "generate_delay_dsn",
    "message_state",
]
FAILED = ["smtp_error_classify", "log_permanent_failure_v1", "generate_bounces"]
REPORTED = [
    "generate_rfc3464_message",
    "rfc3464_inline_message_fragment",
    "generate_rfc3464_message_preamble",
    "final_validation2",
    "final_validation",
    "post_final_validation",
    "dkim_sign",
    "log_reception_v1",
    "swap_out_multi",
    "config_get_message_routing_domain",
    "ec_message_enqueue",
    "post_generate_rfc3464_message",
    "msg_dispose",
]
ENDED = ["smtp_should_session_shutdown", "dec_outbound_connections"]


class Recorder:
    """
    A provider of every hook, with no opinion, that writes down who calls.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        points = [point for point in OutboundHooks().points if point.name not in ELSEWHERE]
        for point in points:
            setattr(self, point.name, self._method(point))
        directlyProvides(self, *(point.interface for point in points))

    def _method(self, point: HookPoint[Any]) -> Any:
        names = ", ".join(point.interface[point.name].getSignatureInfo()["positional"])
        last = names.rpartition(", ")[2]
        answer = last if isinstance(point, Fold) else "None"
        # A method of the contract's own signature, which is verified when it is registered.
        space: dict[str, Any] = {"calls": self.calls}
        exec(f"def {point.name}({names}):\n    calls.append({point.name!r})\n    return {answer}", space)
        return space[point.name]

    def taken(self) -> list[str]:
        """
        What was called since it was asked last, without what comes with every pass.
        """
        calls, self.calls[:] = [name for name in self.calls if name not in PASSES], []
        kept: list[str] = []
        for at, name in enumerate(calls):
            # Several loggers classify one failure; a session asks more than once whether it is to end.
            again = name == "smtp_error_classify" and calls[at - 1] == name
            again = again or (name == ENDED[0] and calls[at - 1] not in (DELIVERED[-1], DELAYED[-1], FAILED[-1]))
            # A pass that finds nothing missing asks for the goal, and that was it.
            looking = (name == LOOKING[0] and calls[at : at + 3] != LOOKING) or (
                name == LOOKING[1] and calls[at - 1 : at + 2] != LOOKING
            )
            if not (again or looking):
                kept.append(name)
        return kept


class EveryEndingTests(WorldCase):
    """
    One message each.
    """

    def open(self) -> World:
        self.recorder = Recorder()
        world = self.world(CONFIG, providers=[self.recorder], reports=True)
        self.mx = world.exchanger("example.com")
        self.home = world.exchanger("sender.example")
        return world

    def send(self, world: World) -> None:
        self.accept(world, ["lea@example.com"])

    def events(self, world: World) -> list[str]:
        """
        What the JSON log has of the message itself.
        """
        (content,) = [log.content for path, log in world.logs.items() if path.endswith("/jsonlog")]
        records = [json.loads(line) for line in bytes(content).splitlines()]
        return [record["event"] for record in records if record["recipient"] == "lea@example.com"]

    def bounces(self, world: World) -> list[str]:
        """
        Type, stage and class of what bouncelog has.
        """
        (content,) = [log.content for path, log in world.logs.items() if path.endswith("/bouncelog")]
        lines = [line.split("@") for line in bytes(content).decode().splitlines()]
        return [" ".join((line[4], line[11], line[12])) for line in lines if len(line) > 12]

    def reported(self) -> list[tuple[str, set[bytes]]]:
        """
        Subject of each report, and whom an independent program finds in it to have failed.
        """
        found = []
        for taken in self.home.ledger:
            message = email.message_from_bytes(taken.content)
            found.append((str(message["Subject"]), set(all_failures(message)[1])))
        return found

    def kinds_of(self, world: World) -> str:
        """
        Types of the mainlog's records of the message, not of its report.
        """
        ids = {record["id"] for record in world.mainlog("R") if record["local"] == "lea"}
        return "".join(record.kind for record in world.mainlog() if record["id"] in ids)

    def called(self, *expected: Sequence[str]) -> None:
        self.maxDiff = None
        self.assertEqual(" ".join(self.recorder.taken()), " ".join(name for part in expected for name in part))

    def test_delivered(self) -> None:
        """
        It is received, sent and taken; the session has nothing more to do and ends.
        """
        world = self.open()
        self.send(world)
        world.advance(10)
        self.called(RECEIVED, CONNECTED, ATTEMPTED, DELIVERED, ENDED)
        self.assertEqual(self.events(world), ["received", "attempt", "delivered"])
        self.assertEqual((self.kinds_of(world), self.bounces(world), self.reported()), ("RD", [], []))

    def test_delayed(self) -> None:
        """
        The peer wants it later, and then it takes it.
        """
        world = self.open()
        self.mx.refuse["lea@example.com"] = b"450 4.2.2 Mailbox full"
        self.send(world)
        world.advance(10)
        self.called(RECEIVED, CONNECTED, ATTEMPTED, DELAYED, ENDED)
        self.mx.refuse.clear()
        world.advance(700)
        self.called(["mailq_insert_active"], CONNECTED, ATTEMPTED, DELIVERED, ENDED)
        self.assertEqual(self.events(world), ["received", "attempt", "transient", "delayed", "attempt", "delivered"])
        self.assertEqual((self.kinds_of(world), self.bounces(world), self.reported()), ("RTD", ["T 5 22"], []))

    def test_failed(self) -> None:
        """
        The peer will not have it: the sender is told, by mail that goes the same way.
        """
        world = self.open()
        self.mx.refuse["lea@example.com"] = b"550 5.1.1 No such user"
        self.send(world)
        world.advance(10)
        self.called(
            RECEIVED,
            CONNECTED,
            ATTEMPTED,
            FAILED,
            ENDED[:1],
            REPORTED,
            CONNECTED,
            ATTEMPTED,
            DELIVERED,
            ENDED[:1],
            ENDED[1:] * 2,
        )
        self.assertEqual(self.events(world), ["received", "attempt", "permanent", "bounced"])
        self.assertEqual((self.kinds_of(world), self.bounces(world)), ("RP", ["B 5 10"]))
        self.assertEqual(self.reported(), [("Mail not delivered", {b"lea@example.com"})])

    def test_unreachable(self) -> None:
        """
        Nobody is there, until its time is over.
        """
        world = self.open()
        world.network.refuse(self.mx.address)
        self.send(world)
        world.advance(10)
        refused = [*CONNECTED[:-2], "log_client_connection_failure"]
        self.called(RECEIVED, refused, DELAYED)
        world.advance(2 * 3600)
        self.assertEqual(self.recorder.taken()[-len(DELIVERED) - len(ENDED) :], [*DELIVERED, *ENDED])
        self.assertEqual(self.kinds_of(world)[-2:], "TP")
        self.assertEqual(self.events(world)[-3:], ["transient", "expired", "bounced"])
        self.assertEqual(self.bounces(world)[-1], "B 0 24")
        self.assertEqual(self.reported(), [("Mail not delivered", {b"lea@example.com"})])

    def test_held(self) -> None:
        """
        Nobody knows whether the peer has it, and an operator decides.
        """
        self.recorder = Recorder()
        world = self.world(CONFIG + 'lost_final_reply = "hold"\n', providers=[self.recorder], reports=True)
        self.mx, self.home = world.exchanger("example.com"), world.exchanger("sender.example")
        self.mx.on("dot", b"", times=1)
        self.send(world)
        world.advance(1000)
        calls = self.recorder.taken()
        self.assertEqual(
            calls[len(RECEIVED + CONNECTED + ATTEMPTED) :],
            ["smtp_error_classify", "log_transient_failure_v1", "message_held", "dec_outbound_connections"],
        )
        self.assertEqual(self.events(world), ["received", "attempt", "ambiguous", "held"])
        done: Deferred[int] = world.service.release_held(outcome="delivered")
        self.assertEqual(self.successResultOf(done), 1)
        self.called(["config_get_message_routing_domain"], DELIVERED)
        world.advance(0.1)
        self.assertEqual((self.events(world)[-1], self.kinds_of(world)), ("delivered", "RTD"))

    def test_every_hook(self) -> None:
        """
        There is no hook that the stories above forget: each is in one of them, or has others.
        """
        told = {
            *(RECEIVED + CONNECTED + ATTEMPTED + DELIVERED + DELAYED + FAILED + REPORTED + ENDED),
            "log_client_connection_failure",
            "mailq_insert_active",
            "message_held",
        }
        others = {
            # Of what is not on the way of this message: another tenth of a binding, another peer, TLS, a refusal.
            "binding_group_choose_binding",
            "post_validate_set_binding",
            "log_rejection",
            "log_spool_import",
            "aaa_log",
            "premigrate_outbound_connection",
            "outbound_smtp_tls_verify_callback",
            "smtp_client_xclient_args",
            "next_delay_dsn",
            "send_notification",
        }
        names = {point.name for point in OutboundHooks().points}
        self.assertEqual(names - told - others - PASSES - ELSEWHERE, set())
        self.assertTrue(all(isinstance(getattr(OutboundHooks(), name), Notice) for name in DELIVERED))
        self.assertIn(SENDER, "a@sender.example")
