"""
What leaves our end of the wire is judged there, whatever the service has counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from zope.interface.verify import verifyObject

from momentum_tx.delivery import initiate
from momentum_tx.delivery.egress import Egress
from momentum_tx.delivery.initiate import _Attempt
from momentum_tx.delivery.limits import Limits
from momentum_tx.delivery.maintainer import Maintainer
from momentum_tx.delivery.session import Session
from momentum_tx.delivery.sessions import Sessions
from momentum_tx.interfaces import hooks
from momentum_tx.policy.candidates import order
from momentum_tx.testing.fuzz.edges import Edge, Ends
from momentum_tx.testing.fuzz.plan import Domain, Host, Part, Plan, Step
from momentum_tx.testing.fuzz.play import play

from .stories import ADDRESS, DOMAIN, NAME, OTHER_DOMAIN, StoryCase, broken_at, mail, small_plan


class LimitTests(StoryCase):
    """
    Limits that are off by one.
    """

    def test_of_domain(self) -> None:
        """
        A hook that asks for a connection beyond ``max_outbound_connections`` gets it.
        """

        def lax(limits: Any, dr: Any, slot: int) -> bool:
            most: int = limits._f.config.path(slot, dr.domain).max_outbound_connections
            return dr.connection_count(slot) > most

        plan = small_plan(
            *[mail(number) for number in range(1, 9)],
            providers=(Part("reenter"),),
            settings={"max_outbound_connections": 1},
        )
        fault = self.planted(plan, "limit exceeded", Limits, "refuses", lax)
        self.assertEqual(fault.text, f"{DOMAIN}: 2 connections, max_outbound_connections allows 1")

    def test_of_server(self) -> None:
        """
        The server as a whole has one connection more than it may.
        """

        def lax(limits: Any, dr: Any, slot: int) -> bool:
            most: int = limits._f.config.global_settings.server_max_outbound_connections
            return limits._records.connections > most

        plan = small_plan(
            mail(to=(DOMAIN, OTHER_DOMAIN)),
            domains=(DOMAIN, OTHER_DOMAIN),
            settings={"server_max_outbound_connections": 1, "server_reserve_outbound_connections": 0},
        )
        fault = self.planted(plan, "limit exceeded", Limits, "refuses", lax)
        self.assertIn("2 connections, server_max_outbound_connections allows 1", fault.text)

    def test_of_host(self) -> None:
        """
        An exchanger that serves two domains has one connection more than it may.
        """

        def lax(limits: Any, host: Any, dr: Any, slot: int) -> bool:
            most: int = limits._f.config.host(host.name).max_outbound_connections
            return 0 <= most < host.connections

        plan = small_plan(
            mail(to=(DOMAIN, OTHER_DOMAIN)),
            domains=(DOMAIN, OTHER_DOMAIN),
            tables={f'host."{NAME}"': {"max_outbound_connections": 1}},
        )
        fault = self.planted(plan, "limit exceeded", Limits, "host_full", lax)
        self.assertIn("2 connections, max_outbound_connections of host allows 1", fault.text)

    def test_of_host_that_may_have_none(self) -> None:
        """
        An exchanger that may have no connections has one.
        """
        plan = small_plan(tables={f'host."{NAME}"': {"max_outbound_connections": 0}})
        self.patch(Limits, "host_full", lambda limits, host, dr, slot: False)
        fault = self.guilty(plan, "limit exceeded")
        self.assertIn("1 connections, max_outbound_connections of host allows 0", fault.text)

    def with_one_more(self, option: str) -> Callable[..., None]:
        """
        A session's beginning that reads an option as one more than it is.
        """
        begin = Session.__init__

        def lax(session: Any, sessions: Any, handle: Any) -> None:
            begin(session, sessions, handle)
            session._settings = replace(session._settings, **{option: getattr(session._settings, option) + 1})

        return lax

    def test_deliveries_of_connection(self) -> None:
        """
        A session delivers one message more than ``max_deliveries_per_connection``.
        """
        option = "max_deliveries_per_connection"
        plan = small_plan(
            *[mail(number) for number in range(1, 5)], settings={option: 2, "max_outbound_connections": 1}
        )
        fault = self.planted(plan, "limit exceeded", Session, "__init__", self.with_one_more(option))
        self.assertEqual(fault.text, f"{DOMAIN}: a message after 2 deliveries on one connection")

    def test_recipients_of_connection(self) -> None:
        """
        A session names one recipient more than ``max_recipients_per_connection``.
        """
        option = "max_recipients_per_connection"
        plan = small_plan(mail(to=(DOMAIN,) * 5), settings={option: 2, "max_outbound_connections": 1})
        fault = self.planted(plan, "limit exceeded", Session, "__init__", self.with_one_more(option))
        self.assertEqual(fault.text, f"{DOMAIN}: 3 recipients on one connection")

    def test_recipients_of_transaction(self) -> None:
        """
        A session asks for one recipient more than ``max_recipients_per_batch`` at once.
        """
        option = "max_recipients_per_batch"
        plan = small_plan(mail(to=(DOMAIN,) * 5), settings={option: 2, "max_outbound_connections": 1})
        fault = self.planted(plan, "limit exceeded", Session, "__init__", self.with_one_more(option))
        self.assertEqual(fault.text, "3 recipients of one transaction, max_recipients_per_batch allows 2")

    def test_addresses_of_attempt(self) -> None:
        """
        An attempt goes on with a third address where it may try two.
        """
        addresses = [f"198.51.100.{number}" for number in range(1, 5)]
        plan = small_plan(
            *[Step(0.0, "refuse", {"host": address}) for address in addresses],
            mail(),
            settings={"max_addresses_per_attempt": 2},
        )
        plan.hosts += [Host(NAME, address) for address in addresses[1:]]

        def lax(found: Any, chance: Any, prefer_ipv6: bool, most: int) -> Any:
            return order(found, chance, prefer_ipv6, most + 1)

        fault = self.planted(plan, "limit exceeded", initiate, "order", lax)
        self.assertEqual(fault.text, f"{DOMAIN}: 3 addresses in one attempt, max_addresses_per_attempt allows 2")

    def test_most(self) -> None:
        """
        It knows how many connections were open at once, and that none is when all is over.
        """
        plan = small_plan(mail(to=(DOMAIN, OTHER_DOMAIN)), domains=(DOMAIN, OTHER_DOMAIN))
        ends = self.player(plan).stage.ends
        self.assertEqual((ends.most, ends.open), (2, {}))


class SourceTests(StoryCase):
    """
    The address a connection leaves from.
    """

    def test_wrong_source(self) -> None:
        """
        A binding with addresses of both families leaves from what the kernel likes.
        """
        plan = small_plan(
            mail(binding="b0"),
            bindings=[("b0", "192.0.2.2")],
            tables={"binding.b0": {"bind_address_secondary": "2001:db8::1"}},
        )
        fault = self.planted(plan, "wrong source", Egress, "source", lambda egress, slot, domain, address: "")
        self.assertIn(f"{DOMAIN} from slot 1: 192.0.2.1 to 198.51.100.1, the binding has", fault.text)


class BindingTests(StoryCase):
    """
    The connection a message goes over.
    """

    def test_wrong_binding(self) -> None:
        """
        A message is given to a session of another binding.
        """

        def any_active(sessions: Any, dr: Any, slot: int, handle: Any = None) -> Any:
            return next((dr.mail_queue.next_active(other) for other in reversed(dr.mail_queue.active_slots())), None)

        plan = small_plan(
            mail(1), mail(2, binding="b0"), bindings=[("b0", "")], settings={"max_outbound_connections": 1}
        )
        fault = self.planted(plan, "wrong binding", Sessions, "next_active", any_active)
        self.assertIn("on another's connection", fault.text)


class ForbiddenTests(StoryCase):
    """
    Times at which nothing may be begun.
    """

    def test_suspended(self) -> None:
        """
        A domain whose delivery is suspended is connected to.
        """

        def eager(maintainer: Any, dr: Any, now: float, slots: Any) -> None:
            for slot in dr.mail_queue.active_slots():
                maintainer._open_missing(dr, slot, now)

        table = f'domain."{DOMAIN}"'
        plan = small_plan(
            Step(0.5, "reload", {"header": table, "options": {"suspend_delivery": True}}),
            mail(),
            Step(20.0, "reload", {"header": table, "options": {"suspend_delivery": False}}),
        )
        fault = self.planted(plan, "connection while suspended", Maintainer, "_connect", eager)
        self.assertEqual(fault.text, f"{DOMAIN} from slot 0")

    def test_curfew(self) -> None:
        """
        A domain is connected to in a curfew; one that is kept is all right.
        """

        def eager(maintainer: Any, dr: Any, now: float, slots: Any) -> None:
            for slot in dr.mail_queue.active_slots():
                maintainer._open_missing(dr, slot, now)

        quiet: dict[str, Any] = {"curfew": ["22:00-22:14"]}
        plan = small_plan(mail(), settings=quiet)
        self.assertEqual(self.innocent(plan).counts["delivered"], 1)
        fault = self.planted(plan, "connection while suspended", Maintainer, "_connect", eager)
        self.assertEqual(fault.text, f"{DOMAIN} from slot 0")

    def stopping(self) -> Plan:
        """
        The service is asked to stop while a receiver thinks, with mail that
        becomes due before that has thought, and mail that is due.
        """
        slow, busy = "198.51.100.2", "mx2.peer.example"
        plan = small_plan(
            mail(1, to=(OTHER_DOMAIN,)),
            mail(2, to=(OTHER_DOMAIN,), at=2.0),
            mail(3, at=2.0),
            Step(3.0, "stop", {"down": 1.0}),
            behaviours=(broken_at("RCPT", "451 4.2.0 Not now"),),
            settings={"max_outbound_connections": 1, "shutdown_grace": 30.0},
        )
        plan.hosts.append(Host(busy, slow, [Part("SlowAcceptance", {"seconds": 10.0})]))
        plan.domains.append(Domain(OTHER_DOMAIN, exchangers=[(10, busy)]))
        return plan

    def test_connection_while_stopping(self) -> None:
        """
        Mail that falls due during a stop is not tried any more.
        """
        plan = self.stopping()
        fault = self.planted(plan, "connection while stopping", Maintainer, "stop", lambda maintainer: None)
        self.assertEqual(fault.text, DOMAIN)

    def test_attempt_while_stopping(self) -> None:
        """
        A session that is asked to stop takes no further message.
        """
        following = Session.next

        def eager(session: Any) -> None:
            stopping, session._sessions.stopping = session._sessions.stopping, False
            following(session)
            session._sessions.stopping = stopping

        fault = self.planted(self.stopping(), "attempt while stopping", Session, "next", eager)
        self.assertIn("r2x0@", fault.text)


class UnknownTests(StoryCase):
    """
    Connections that belong to nothing.
    """

    def test_not_noted(self) -> None:
        """
        The descriptor that a hook is told belongs to a connection it can find.
        """

        def late(attempt: Any, fd: int) -> bool:
            handle = attempt.handle
            forbidden = attempt._facilities.hooks.connection_post_bind.vetoed(
                lambda provider: provider.connection_post_bind(handle.dr, handle.binding_slot, fd, None)
            )
            handle.connection.descriptor = fd
            return not forbidden

        fault = self.planted(small_plan(), "unknown connection", _Attempt, "_post_bind", late)
        self.assertIn("belongs to no connection of slot 0", fault.text)

    def test_never_bound(self) -> None:
        """
        Nothing is connected that the hook was not asked about.
        """
        fault = self.planted(small_plan(), "unknown connection", _Attempt, "_post_bind", _Attempt._note_descriptor)
        self.assertIn("never bound", fault.text)


class EdgeTests(StoryCase):
    """
    The provider itself.
    """

    def test_contracts(self) -> None:
        """
        It is asked about every bind, forbids none, and is told of every attempt.
        """
        edge = Edge(lambda: self.fail("not asked yet"), Ends(), lambda rule, text: None, lambda: 0.0)
        for contract in (hooks.IConnectionPostBind, hooks.ILogAttemptV1):
            self.assertTrue(verifyObject(contract, edge))

    def test_deaf(self) -> None:
        """
        When its process has died it judges no attempt any more.
        """
        edge = Edge(lambda: self.fail("it is dead"), Ends(), lambda rule, text: None, lambda: 0.0)
        edge.deaf = True
        edge.log_attempt_v1(None, None, 0.0, b"")


class WireTests(StoryCase):
    """
    What the network shows.
    """

    def refusals(self, **line: Any) -> set[bytes]:
        """
        What receivers have refused for ever, as read by us, over a line.
        """
        plan = small_plan(behaviours=(broken_at("RCPT", "550-5.7.1 Two\r\n550 5.7.1 lines"),))
        plan.hosts[0].line = line
        return self.player(plan).stage.books.refusals

    def test_refusals(self) -> None:
        """
        Every line of a refusal is known, also if it comes octet by octet.
        """
        whole = self.refusals()
        self.assertLessEqual({b"550-5.7.1 Two", b"550 5.7.1 lines"}, whole)
        self.assertEqual(self.refusals(split=1), whole)

    def test_our_own_refusals(self) -> None:
        """
        What we say to clients is no refusal of a receiver.
        """
        plan = small_plan(mail(how="smtp", binding="nobody"))
        player = self.player(plan)
        self.assertEqual((player.stage.books.refusals, player.stage.books.letters[1].state), (set(), "refused"))

    def test_trace(self) -> None:
        """
        Connects, octets and ends of connections are in the trace.
        """
        lines = play(small_plan(), keep_trace=True).lines
        self.assertLessEqual({"dial", "sent", "read", "gone"}, {line.split()[1] for line in lines})
        dialled = [line for line in lines if " dial " in line]
        self.assertEqual(dialled, [f"1.000000 dial 192.0.2.1 ('{ADDRESS}', 25)"])
