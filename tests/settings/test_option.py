"""
Tests of :mod:`momentum_tx.settings`: the declarations.  How options are written
and found is tested in ``tests/config``.
"""

import ast
from dataclasses import Field, FrozenInstanceError, fields
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import momentum_tx
from momentum_tx.settings import (
    DEFAULT_PROHIBITED_HOSTS,
    DEFAULT_SLOT,
    DOMAIN_WIDE,
    STANDARD,
    UNBOUND,
    Binding,
    BindingSettings,
    DKIMSettings,
    DomainSettings,
    GlobalSettings,
    HostSettings,
    Level,
    PathSettings,
)

PACKAGE = Path(momentum_tx.__file__).parent
CLASSES: tuple[Any, ...] = (GlobalSettings, PathSettings, DomainSettings, HostSettings, BindingSettings, DKIMSettings)


def options() -> list[tuple[Any, Field[Any]]]:
    """
    Every option with its class.
    """
    return [(owner, option) for owner in CLASSES for option in fields(owner)]


def words_read() -> set[str]:
    """
    Every attribute and every string the package reads; the declarations themselves, the
    reading of files, and a list of options that are compared and not obeyed there, apart.
    """
    words: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).as_posix() in ("settings.py", "config/options.py", "policy/migration.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                words.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
    return words


class OptionTests(SynchronousTestCase):
    """
    What is true of every option.
    """

    def test_frozen(self) -> None:
        """
        Nobody changes the options of a session that is under way.
        """
        for owner in CLASSES:
            name = fields(owner)[0].name
            self.assertRaises((FrozenInstanceError, AttributeError), setattr, owner(), name, None)

    def test_described(self) -> None:
        """
        Every option says in a sentence what it does, in another how it differs from Momentum's, and where it may stand.
        """
        for owner, option in options():
            doc = option.metadata["doc"]
            self.assertTrue(doc[0].isupper() or doc.startswith("group:"), f"{owner.__name__}.{option.name}")
            self.assertTrue(doc.endswith("."), f"{owner.__name__}.{option.name}")
            differs = option.metadata.get("differs", "A.")
            self.assertTrue(differs[0].isupper() and differs.endswith("."), f"{owner.__name__}.{option.name}")
            self.assertTrue(option.metadata["scopes"], option.name)
            self.assertTrue(all(isinstance(level, Level) for level in option.metadata["scopes"]), option.name)

    def test_defaults_are_allowed(self) -> None:
        """
        Nobody is refused for writing the default.
        """
        for _, option in options():
            default, about = option.default, option.metadata
            if isinstance(default, str) and about.get("choices"):
                self.assertIn(default, about["choices"], option.name)
            if isinstance(default, (int, float)) and not isinstance(default, bool):
                self.assertGreaterEqual(default, about.get("minimum", default), option.name)
                self.assertLessEqual(default, about.get("maximum", default), option.name)

    def test_numbers_have_units(self) -> None:
        """
        A number that is counted or measured says in what.
        """
        bare = {
            option.name
            for _, option in options()
            if isinstance(option.default, (int, float)) and not isinstance(option.default, bool)
            if not option.metadata["unit"]
        }
        self.assertEqual(bare, {"remote_smtp_port", "lmtp_port"})

    def test_numbers_have_a_least_value(self) -> None:
        """
        No number may be as small as one likes, and no limit is lost to a slip of its name.
        """
        known = {"doc", "unit", "scopes", "minimum", "maximum", "choices", "fixed", "differs", "nested"}
        for _, option in options():
            self.assertEqual(set(option.metadata) - known, set(), option.name)
            if option.type in (int, float, float | None, int | str):
                self.assertIn("minimum", option.metadata, option.name)

    def test_scopes(self) -> None:
        """
        Each class of options may be written in the tables of what it is settled for.
        """
        for owner, scopes in (
            (GlobalSettings, (Level.GLOBAL,)),
            (PathSettings, STANDARD),
            (DomainSettings, DOMAIN_WIDE),
            (HostSettings, (Level.HOST,)),
            (BindingSettings, (Level.BINDING, Level.BINDING_GROUP, Level.GLOBAL)),
            (DKIMSettings, (Level.DKIM, Level.DKIM_SELECTOR)),
        ):
            for option in fields(owner):
                if option.name == "keyfile":
                    # Two signatures never share one.
                    self.assertEqual(option.metadata["scopes"], (Level.DKIM_SELECTOR,))
                    continue
                of_one = (Level.BINDING,) if option.name in ("bind_address_secondary", "group_weight") else scopes
                if option.name == "server_max_outbound_connections" and owner is BindingSettings:
                    of_one = scopes[:2]
                self.assertEqual(option.metadata["scopes"], of_one, option.name)

    def test_one_meaning(self) -> None:
        """
        A name means one thing, but for the limits that a host has as well, and
        the one of the server that a binding has as well.
        """
        names = [option.name for _, option in options()]
        self.assertEqual(
            {name for name in names if names.count(name) > 1},
            {
                "max_outbound_connections",
                "outbound_throttle_connections",
                "outbound_throttle_messages",
                "scope_max_outbound_connections",
                "server_max_outbound_connections",
            },
        )

    def test_every_option_has_an_effect(self) -> None:
        """
        An option that may be set is read somewhere; what does not exist yet is
        fixed to its default, so that nobody sets it in vain.
        """
        words = words_read()
        idle = {option.name for _, option in options() if option.name not in words}
        self.assertEqual(idle, {option.name for _, option in options() if option.metadata.get("fixed")})


class ValueTests(SynchronousTestCase):
    """
    Values with a meaning of their own.
    """

    def test_momentums_defaults(self) -> None:
        """
        Where Momentum has the option, who comes from there finds its default.
        """
        for owner, defaults in (
            (
                PathSettings,
                {
                    "connect_timeout": 300,
                    "ehlo_timeout": 300,
                    "mailfrom_timeout": 300,
                    "rcptto_timeout": 300,
                    "body_timeout": 600,
                    "rset_timeout": 30,
                    "idle_timeout": 5,
                    "max_outbound_connections": 32,
                    "connection_allocation_aggressiveness": "normal",
                    "max_deliveries_per_connection": 0,
                    "max_recipients_per_connection": 0,
                    "max_recipients_per_batch": 100,
                    "retry_interval": 1200,
                    "max_retry_interval": 43200,
                    "max_retries": "auto",
                    "never_retry": False,
                    "message_expiration": 86400,
                    "never_attempt_expired_messages": False,
                    "suspend_delivery": False,
                    "blackhole": False,
                    "gateway": "",
                    "remote_smtp_port": 25,
                    "delivery_method": "ESMTP",
                    "lmtp_port": 2003,
                    "xclient": "no",
                    "ehlo_hostname": "__hostname__",
                },
            ),
            (
                DomainSettings,
                {
                    "mx_failures_to_delay": 50,
                    "mx_failures_fallback_to_a": 3,
                    "dns_failures_to_purge": 10,
                    "connect_timeout_to_delay": 900,
                    "host_failure_retry": 120,
                    "routes": (),
                },
            ),
            (HostSettings, {"max_outbound_connections": -1}),
            (BindingSettings, {"bind_address": "", "bind_address_secondary": ""}),
            (
                GlobalSettings,
                {
                    "server_max_outbound_connections": 20000,
                    "delayed_queue_scan_interval": 15,
                    "allow_ip_literal": True,
                    "skip_hosts": (),
                    "mxip": False,
                    "use_ipv6": False,
                    "default_binding": "normal",
                    "prefer_ipv6_mxs": False,
                    "address_metrics_lifetime": 1800,
                },
            ),
        ):
            settled: Any = owner()
            self.assertEqual({name: getattr(settled, name) for name in defaults}, defaults)

    def test_port(self) -> None:
        """
        Which port is connected to depends on what is spoken there.
        """
        for method, port in (("ESMTP", 25), ("SMTP", 25), ("LMTP", 2003)):
            self.assertEqual(PathSettings(delivery_method=method).port, port)
        self.assertEqual(PathSettings(delivery_method="LMTP", lmtp_port=24, remote_smtp_port=26).port, 24)
        self.assertEqual(PathSettings(lmtp_port=24, remote_smtp_port=26).port, 26)

    def test_prohibited(self) -> None:
        """
        What a stranger's DNS must not lead us to is prohibited by default: our
        own host, the machines around it, and what is no machine at all.
        """
        networks = [ip_network(network) for network in DEFAULT_PROHIBITED_HOSTS]
        for text in (
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ):
            self.assertTrue(any(ip_address(text) in network for network in networks), text)
        for text in ("192.0.2.1", "172.32.0.1", "100.128.0.1", "2001:db8::1"):
            self.assertFalse(any(ip_address(text) in network for network in networks), text)

    def test_slots(self) -> None:
        """
        The default binding is slot 0; a message without one has no slot.
        """
        self.assertEqual(Binding("default", DEFAULT_SLOT), Binding("default", 0, "default", ""))
        self.assertLess(UNBOUND, 0)

    def test_safe_by_default(self) -> None:
        """
        Without a file mail is durable, and only this host may inject or choose
        a binding.
        """
        settings = GlobalSettings()
        self.assertEqual((settings.durability, settings.i_accept_loss), ("group", False))
        for networks in (settings.relay_hosts, settings.trusted_hosts):
            self.assertTrue(all(ip_network(network).is_loopback for network in networks))
        self.assertTrue(all("interface=127.0.0.1" in listener for listener in settings.smtp_listen))

    def test_long_wait_for_the_final_reply(self) -> None:
        """
        A reply to the final dot is awaited as long as RFC 5321 4.5.3.2.6 asks
        for: giving up earlier sends mail twice.
        """
        self.assertGreaterEqual(PathSettings().body_timeout, 600)

    def test_patience(self) -> None:
        """
        No reply is awaited for less than RFC 5321 section 4.5.3.2 asks for.
        """
        path = PathSettings()
        for name, least in (("mailfrom_timeout", 300), ("rcptto_timeout", 300), ("body_block_timeout", 180)):
            self.assertGreaterEqual(getattr(path, name), least, name)
