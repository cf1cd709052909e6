"""
Tests of :mod:`momentum_tx.delivery.asking` and :mod:`momentum_tx.inject.validation`:
stories of hooks that have a say about messages and queues.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from zope.interface import alsoProvides

from momentum_tx.interfaces import queue_hooks, session_hooks
from momentum_tx.policy.retry import Expiration
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase


def provider(**answers: Callable[..., Any]) -> Any:
    """
    An object that answers to hooks with these functions.
    """

    class Provider:
        pass

    found = Provider()
    for name, function in answers.items():
        setattr(found, name, function)
        for module in (queue_hooks, session_hooks):
            for contract in vars(module).values():
                if getattr(contract, "__module__", "") == module.__name__ and list(contract.names()) == [name]:
                    alsoProvides(found, contract)
    return found


class QueueHookCase(WorldCase):
    """
    A world with one provider.
    """

    def open(self, config: str = "", **answers: Callable[..., Any]) -> World:
        world = self.world(config, providers=[provider(**answers)])
        self.mx = world.exchanger("example.com")
        return world


class MaintenanceTests(QueueHookCase):
    """
    Who looks after a domain.
    """

    def test_passes(self) -> None:
        """
        A pass is told at its beginning and its end, with what it has begun.
        """
        told: list[Any] = []
        world = self.open(
            pre_mail_queue_maintain_domain=lambda dr, now: told.append(dr.domain),
            post_mail_queue_maintain_domain=lambda dr, now, opened: told.append(opened),
        )
        self.accept(world)
        world.advance(10)
        self.assertEqual(set(told[::2]), {"example.com"})
        self.assertEqual(sum(told[1::2]), 1)

    def test_taken_over(self) -> None:
        """
        A provider that does the work itself leaves the built-in out, for as long as it says so.
        """
        answer: list[int | None] = [0]
        world = self.open(mail_queue_maintain_domain=lambda dr, now: answer[0])
        self.accept(world)
        world.advance(60)
        self.assertEqual((len(self.mx.ledger), world.queued()), (0, 1))
        answer[0] = None
        world.advance(60)
        self.assertEqual(len(self.mx.ledger), 1)

    def test_one_binding(self) -> None:
        """
        So does one that opens the connections of a binding.
        """
        asked: list[tuple[int, int]] = []
        answer: list[bool | None] = [True]

        def maintain(dr: Any, binding_slot: int, now: float, goal: int, reserve: int) -> bool | None:
            asked.append((binding_slot, goal))
            return answer[0]

        world = self.open(mail_queue_maintain=maintain)
        self.accept(world)
        world.advance(60)
        self.assertEqual((len(self.mx.ledger), asked[0]), (0, (0, 1)))
        answer[0] = None
        world.advance(60)
        self.assertEqual(len(self.mx.ledger), 1)

    def test_next_look(self) -> None:
        """
        When a domain is looked after next can be moved, and not beyond ten minutes.
        """
        looks: list[float] = []
        world = self.open(
            pre_mail_queue_maintain_domain=lambda dr, now: looks.append(now),
            set_delayed_queue_event=lambda dr, now, when: now + 5.0,
        )
        self.mx.refuse["bob@example.com"] = b"450 4.2.0 later"
        self.accept(world)
        world.advance(60)
        self.assertGreater(len(looks), 10)
        looks.clear()
        world = self.open(set_delayed_queue_event=lambda dr, now, when: float("inf"))
        self.mx.refuse["bob@example.com"] = b"450 4.2.0 later"
        self.accept(world)
        world.advance(60)
        self.mx.refuse.clear()
        world.advance(3600)
        self.assertEqual(len(self.mx.ledger), 1)


class MessageTests(QueueHookCase):
    """
    What becomes of a message.
    """

    def test_due_later(self) -> None:
        """
        What is due may have to wait, without an attempt and without a failure.
        """
        until: list[float] = [0.0]
        world = self.open(mailq_insert_active=lambda dr, msg, now: until[0] or None)
        self.mx.refuse["bob@example.com"] = b"450 4.2.0 later"
        self.accept(world)
        world.advance(10)
        until[0] = world.wall() + 7200
        self.mx.refuse.clear()
        world.advance(7100)
        self.assertEqual((len(self.mx.ledger), len(world.mainlog("T"))), (0, 1))
        world.advance(800)
        self.assertEqual(len(self.mx.ledger), 1)

    def test_chosen(self) -> None:
        """
        A provider chooses who is next; what does not wait is not sent.
        """
        answers: list[Any] = ["small", object(), None]

        def choose(dr: Any, slot: int, connh: Any, waiting: Any) -> Any:
            answer = answers.pop(0) if answers else None
            return min(waiting, key=lambda each: each.reception.size) if answer == "small" else answer

        world = self.open('[domain."example.com"]\nmax_outbound_connections = 1\n', mailq_get_next_active=choose)
        world.network.black_hole(self.mx.address)
        for body in ("x" * 500, "x" * 100, "x"):
            world.inject(SENDER, [BOB], world.message(f"{len(body)}", body + "\r\n"))
        world.network.restore(self.mx.address)
        world.advance(4000)
        self.assertEqual(len(self.mx.ledger), 3)
        self.flushLoggedErrors()

    def test_held(self) -> None:
        """
        What may not be queued is held, also over a crash, until somebody releases it.
        """
        world = self.open(ec_message_enqueue=lambda msg, now: msg.recipient == b"bob@example.com")
        self.accept(world, [BOB, "lea@example.com"])
        world.advance(60)
        self.assertEqual([taken.recipients for taken in self.mx.ledger], [(b"lea@example.com",)])
        (held,) = world.service.held()
        self.assertIn(b"ec_message_enqueue", held.code)
        world.crash()
        world.advance(60)
        self.assertEqual(len(world.service.held()), 1)
        self.successResultOf(world.service.release_held())
        world.advance(60)
        self.assertEqual(len(self.mx.ledger), 2)

    def test_retry(self) -> None:
        """
        The next attempt is when a provider says, but not in the past and not at no time at all.
        """
        told: list[int] = []
        answer: list[float] = [90.0]
        world = self.open(
            pre_mailq_message_requeue=lambda msg, now: told.append(msg.num_retries),
            ec_message_set_next_attempt=lambda msg, now, when: now + answer[0],
        )
        self.mx.refuse["bob@example.com"] = b"450 4.2.0 later"
        self.accept(world)
        world.advance(100)
        self.assertEqual((len(world.mainlog("T")), told), (2, [1, 2]))
        answer[0] = float("nan")
        world.advance(100)
        before = len(world.mainlog("T"))
        world.advance(600)
        self.assertEqual(len(world.mainlog("T")), before)

    def test_expiration(self) -> None:
        """
        A message may have a life of its own; nonsense leaves it the usual one.
        """
        world = self.open(
            get_msg_expiration_params=lambda msg, params: (
                Expiration(600.0, 100.0, None) if msg.recipient == b"bob@example.com" else "for ever"
            )
        )
        self.mx.refuse["bob@example.com"] = self.mx.refuse["lea@example.com"] = b"450 4.2.0 later"
        self.accept(world, [BOB, "lea@example.com"])
        world.advance(3600)
        (failed,) = world.mainlog("P")
        self.assertIn("exceeded max time", failed["note"])
        self.assertEqual(world.queued(), 1)
        self.flushLoggedErrors()

    def test_disposed(self) -> None:
        """
        Every message is done with once.
        """
        ends: list[tuple[bytes, bool]] = []
        world = self.open(msg_dispose=lambda msg, delivered: ends.append((msg.recipient, delivered)))
        self.mx.refuse["gone@example.com"] = b"550 5.1.1 No such user"
        self.accept(world, [BOB, "gone@example.com"])
        world.advance(60)
        self.assertEqual(sorted(ends), [(b"bob@example.com", True), (b"gone@example.com", False)])


class RoutingTests(QueueHookCase):
    """
    Which way it goes.
    """

    def test_routing_domain(self) -> None:
        """
        A message may be queued under another domain; what is no domain is ignored.
        """
        world = self.open(
            config_get_message_routing_domain=lambda msg, domain: {b"a": "relay.example", b"b": "no domain!"}.get(
                msg.recipient[:1]
            )
        )
        relay = world.exchanger("relay.example")
        self.accept(world, ["a@example.com", "b@example.com", "c@example.com"])
        world.advance(60)
        self.assertEqual((len(relay.ledger), sum(len(taken.recipients) for taken in self.mx.ledger)), (1, 2))

    def test_routes(self) -> None:
        """
        A provider's routes go before DNS; what is none keeps the mail.
        """
        answer: list[Any] = [("198.51.100.9",)]
        world = self.open(config_fetch_domain_routes=lambda domain, routes: answer[0])
        other = world.receiver("198.51.100.9")
        self.accept(world)
        world.advance(60)
        self.assertEqual((len(other.ledger), len(self.mx.ledger)), (1, 0))


class SendingTests(QueueHookCase):
    """
    What is sent, and when.
    """

    def test_modified(self) -> None:
        """
        What is sent may be another text; what cannot be sent is not, and the original stays as it was.
        """
        answers = [b"X-Extra: yes\r\n", b"bare\nline", b""]
        world = self.open(body_modify=lambda msg, content: answers.pop(0) + content if answers else b"")
        for _ in range(3):
            self.accept(world)
            world.advance(10)
        contents = [taken.content for taken in self.mx.ledger]
        self.assertEqual([content.startswith(b"X-Extra: yes\r\n") for content in contents], [True, False, False])
        self.assertTrue(all(content.endswith(b"Hello.\r\n") for content in contents))
        self.flushLoggedErrors()

    def test_message_throttle(self) -> None:
        """
        A provider can have messages wait for their time.
        """
        sent: list[float] = []
        world = self.open(
            check_outbound_mess_throttle=lambda binding_id, dr, now, later: max(later, sent[-1] + 10 if sent else 0.0),
            inc_outbound_mess_throttle=lambda binding_id, dr: sent.append(world.wall()),
        )
        for _ in range(3):
            self.accept(world)
        world.advance(9)
        self.assertEqual(len(self.mx.ledger), 1)
        world.advance(60)
        self.assertEqual(len(self.mx.ledger), 3)
        self.assertTrue(all(later - earlier >= 10 for earlier, later in pairwise(sent)))

    def test_connections(self) -> None:
        """
        Connections that are begun are told; sessions end when a provider says so.
        """
        begun: list[int] = []
        world = self.open(
            '[domain."example.com"]\nmax_outbound_connections = 1\n',
            inc_outbound_conn_throttle=lambda binding_id, dr: begun.append(binding_id),
            smtp_should_session_shutdown=lambda session: True,
        )
        for _ in range(3):
            self.accept(world)
        world.advance(120)
        self.assertEqual((len(self.mx.ledger), len(begun)), (3, 3))

    def test_shutdown_is_asked_once(self) -> None:
        """
        After each transaction it is asked once whether the session ends: after one that failed
        and takes a RSET, and not again when a session has waited for mail, nor before a dot is answered.
        """
        asked: list[int] = []
        world = self.open(
            '[domain."example.com"]\nmax_outbound_connections = 1\nidle_timeout = 50\noverlap_transactions = true\n',
            smtp_should_session_shutdown=lambda session: asked.append(session.handle.connection.deliveries),
        )
        self.mx.refuse["gone@example.com"] = b"550 5.1.1 gone"
        for recipient in ("lea@example.com", "gone@example.com", "lea@example.com"):
            self.accept(world, [recipient])
        world.advance(20)
        self.accept(world)
        world.advance(200)
        self.assertEqual(len(self.mx.ledger), 3)
        self.assertEqual(len(asked), 4)
        self.assertEqual(asked, sorted(asked))
        self.assertEqual(asked[-1], 3)

    def test_failed_host(self) -> None:
        """
        How long a host is left alone that has failed is a provider's word.
        """
        world = self.open(
            "[global]\nretry_interval = 20\nhost_failure_retry = 3000\n",
            config_get_domain_host_failure_retry=lambda domain, seconds: 5.0,
        )
        world.network.refuse(self.mx.address)
        self.accept(world)
        world.advance(10)
        world.network.restore(self.mx.address)
        world.advance(120)
        self.assertEqual(len(self.mx.ledger), 1)


class ReceptionTests(QueueHookCase):
    """
    The last word before a message is kept.
    """

    def test_refused(self) -> None:
        """
        A provider's reply is the client's; what is no reply refuses for now, and nothing is kept.
        """
        for answer, words in (((550, "5.7.1 Not this one"), b"550 5.7.1 Not this one"), ((20, "x"), b"451 4.3.5 ")):
            world = self.open(final_validation2=lambda ac, content, answer=answer: answer)
            self.assertTrue(world.inject(SENDER, [BOB], world.message()).startswith(words))
            self.assertEqual(world.queued(), 0)
            self.flushLoggedErrors()

    def test_changed(self) -> None:
        """
        What is kept is what a provider made, if it can be kept; all recipients have it.
        """
        told: list[bytes] = []
        answers = [b"X-Extra: yes\r\n", b"bare\rline"]
        world = self.open(
            final_validation=lambda ac, content: answers.pop(0) + content,
            post_final_validation=lambda ac, content: told.append(content),
        )
        for _ in range(2):
            self.accept(world, [BOB, "lea@example.com"])
        world.crash()
        world.advance(60)
        contents = [taken.content for taken in self.mx.ledger]
        self.assertEqual(sorted(content.startswith(b"X-Extra: yes\r\n") for content in contents), [False, True])
        self.assertEqual([content.startswith(b"X-Extra") for content in told], [True, False])
        self.flushLoggedErrors()

    def test_told(self) -> None:
        """
        A reception is told once, with its messages, and which of them got a binding.
        """
        told: list[Any] = []
        world = self.open(
            "[binding.one]\n",
            swap_out_multi=lambda ac, messages: told.append([message.recipient for message in messages]),
            post_validate_set_binding=lambda msg: told.append(msg.binding_slot),
        )
        self.accept(world, [BOB, "lea@example.com"])
        self.accept(world, [BOB], **{"X-Binding": "one"})
        self.assertEqual(told, [[b"bob@example.com", b"lea@example.com"], 1, [b"bob@example.com"]])
