"""
Tests for the way an option is found through the scopes.
"""

from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.config import configuration
from momentum_tx.config.configuration import Configuration
from momentum_tx.config.load import default, parse
from momentum_tx.errors import ConfigError
from momentum_tx.interfaces.services import IConfiguration
from momentum_tx.settings import Binding, DomainSettings, GlobalSettings, HostSettings, PathSettings

#: Most specific first; the number is the level's value in the tests.
LEVELS = (
    '[binding_group.g.binding.b.domain."a.example"]',
    "[binding_group.g.binding.b.domain.'/example$/']",
    '[binding.b.domain."a.example"]',
    "[binding.b.domain.'/example$/']",
    '[binding_group.g.domain."a.example"]',
    "[binding_group.g.domain.'/example$/']",
    "[binding_group.g.binding.b]",
    "[binding.b]",
    "[binding_group.g]",
    '[domain."a.example"]',
    "[domain.'/example$/']",
    "[global]",
)


def written(levels: dict[str, int], option: str = "remote_smtp_port") -> Configuration:
    """
    A file with *option* in these tables, and the binding ``b`` in the group ``g`` in any case.
    """
    tables = {"[binding_group.g.binding.b]": "", **{table: f"{option} = {value}" for table, value in levels.items()}}
    return parse("\n".join(f"{table}\n{line}" for table, line in tables.items()))


class FallbackTests(SynchronousTestCase):
    """
    The most specific table that has the option decides.
    """

    def port(self, config: Configuration, binding: str = "b", domain: str = "a.example") -> int:
        """
        The port for a pair.
        """
        slot = config.binding_slot(binding)
        assert slot is not None
        return config.path(slot, domain).remote_smtp_port

    def test_every_level_wins_over_the_rest(self) -> None:
        """
        With the option in all tables the first decides; without the first the second; and so
        on down to the built-in value.
        """
        for position in range(len(LEVELS) + 1):
            rest = {table: 1000 + number for number, table in enumerate(LEVELS) if number >= position}
            expected = 1000 + position if rest else 25
            self.assertEqual(self.port(written(rest)), expected, LEVELS[position:][:1])

    def test_every_pair(self) -> None:
        """
        Of any two tables the more specific decides, whichever is written first.
        """
        for high in range(len(LEVELS)):
            for low in range(high + 1, len(LEVELS)):
                for order in ((high, low), (low, high)):
                    config = written({LEVELS[number]: 1000 + number for number in order})
                    self.assertEqual(self.port(config), 1000 + high, order)

    def test_file_order_does_not_matter_but_for_regexes(self) -> None:
        """
        All tables together, the least specific written first.
        """
        config = written({table: 1000 + LEVELS.index(table) for table in reversed(LEVELS)})
        self.assertEqual(self.port(config), 1000)

    def test_strangers_are_not_concerned(self) -> None:
        """
        A table counts only for its own binding, group and domain.
        """
        config = written({table: 1000 + number for number, table in enumerate(LEVELS)})
        self.assertEqual(self.port(config, "default"), 1009)
        self.assertEqual(self.port(config, "default", "b.example"), 1010)
        self.assertEqual(self.port(config, "default", "elsewhere.org"), 1011)
        self.assertEqual(self.port(config, "b", "b.example"), 1001)
        self.assertEqual(self.port(config, "b", "elsewhere.org"), 1006)

    def test_per_option(self) -> None:
        """
        Each option is looked for on its own: a table that lacks it is passed over.
        """
        config = parse(
            """
            [global]
            tls = "required"
            connect_timeout = 1
            [domain."a.example"]
            connect_timeout = 2
            retry_interval = 3
            [domain.'/a/']
            retry_interval = 9
            idle_timeout = 4
            [domain.'/example/']
            idle_timeout = 9
            rset_timeout = 5
            [binding.b]
            quit_timeout = 6
            """
        )
        path = config.path(1, "a.example")
        self.assertEqual(
            (
                path.tls,
                path.connect_timeout,
                path.retry_interval,
                path.idle_timeout,
                path.rset_timeout,
                path.quit_timeout,
            ),
            ("required", 2.0, 3.0, 4.0, 5.0, 6.0),
        )
        self.assertEqual(path.body_timeout, PathSettings().body_timeout)

    def test_zero_and_false_are_values(self) -> None:
        """
        An option set to nothing is set: it hides the outer tables.
        """
        config = parse(
            """
            [global]
            max_deliveries_per_connection = 5
            suspend_delivery = true
            gateway = "relay.example"
            [binding.b]
            max_deliveries_per_connection = 0
            suspend_delivery = false
            gateway = ""
            """
        )
        path = config.path(1, "x.example")
        self.assertEqual((path.max_deliveries_per_connection, path.suspend_delivery, path.gateway), (0, False, ""))

    def test_names_match_in_lower_case_a_labels(self) -> None:
        """
        Case, final dot and script of a name make no difference; regexes see the settled name.
        """
        config = parse(
            """
            [domain."BÜCHER.example"]
            remote_smtp_port = 26
            [domain.'/^XN--.*\\.org$/']
            remote_smtp_port = 27
            """
        )
        for name in ("bücher.example", "Bücher.Example.", "xn--bcher-kva.EXAMPLE"):
            self.assertEqual(self.port(config, "default", name), 26, name)
        self.assertEqual(self.port(config, "default", "bücher.org"), 27)
        self.assertEqual(self.port(config, "default", "not..a name"), 25)

    def test_regex_is_unanchored_and_in_file_order(self) -> None:
        """
        A regex matches anywhere in the name; the first in the file decides.
        """
        config = parse("[domain.'/mple/']\nremote_smtp_port=1\n[domain.'/exam/']\nremote_smtp_port=2")
        self.assertEqual(self.port(config, "default", "example.com"), 1)
        self.assertEqual(self.port(config, "default", "exam.com"), 2)

    def test_domain_wide(self) -> None:
        """
        Options of a domain as such: exact, regexes, global, built-in; bindings do not matter.
        """
        config = parse(
            """
            [global]
            host_failure_retry = 1
            [domain."a.example"]
            routes = ["mx.example:2525", "__mx__"]
            [domain.'/example/']
            host_failure_retry = 2
            """
        )
        found = config.domain("A.example")
        self.assertEqual((found.routes, found.host_failure_retry), (("mx.example:2525", "__mx__"), 2.0))
        self.assertEqual(config.domain("x.org").host_failure_retry, 1.0)
        self.assertEqual(default().domain("x.org"), DomainSettings())

    def test_hosts_do_not_fall_back(self) -> None:
        """
        A limit outside ``[host]`` is none for a host: unset there means no limit.
        """
        config = parse(
            """
            [global]
            max_outbound_connections = 5
            [host."MX.example"]
            max_outbound_connections = 7
            [host."mx2.example"]
            """
        )
        self.assertEqual(config.host("mx.EXAMPLE").max_outbound_connections, 7)
        self.assertEqual(config.host("mx2.example").max_outbound_connections, -1)
        self.assertEqual(config.host("mx3.example").max_outbound_connections, -1)
        self.assertEqual(config.path(0, "mx.example").max_outbound_connections, 5)


class BindingTests(SynchronousTestCase):
    """
    Bindings, groups and source addresses.
    """

    def test_default(self) -> None:
        """
        Without a file there is one binding, in one group, with the built-in options.
        """
        config = default()
        verifyObject(IConfiguration, config)
        self.assertEqual(config.bindings, (Binding("default", 0),))
        self.assertEqual(config.groups, {"default": (0,)})
        self.assertEqual(config.global_settings, GlobalSettings())
        self.assertEqual(config.path(0, "x.example"), PathSettings())
        self.assertEqual(config.host("x.example"), HostSettings())
        self.assertEqual(config.generation, 1)

    def test_slots_in_file_order(self) -> None:
        """
        Slot 0 is ``default`` wherever it is written; the others follow in the order of the file.
        """
        config = parse(
            """
            [binding_group.g.binding.z]
            [binding.y]
            [binding_group.g.binding.x.domain."a.example"]
            [binding.default]
            bind_address = "192.0.2.9"
            [binding_group.h.binding.w]
            """
        )
        found = [(binding.name, binding.slot, binding.group) for binding in config.bindings]
        self.assertEqual(
            found, [("default", 0, "default"), ("z", 1, "g"), ("y", 2, "default"), ("x", 3, "g"), ("w", 4, "h")]
        )
        self.assertEqual(config.groups, {"g": (1, 3), "h": (4,), "default": (0, 2)})
        self.assertEqual(config.bindings[0].bind_address, "192.0.2.9")
        self.assertEqual(config.binding_slot("x"), 3)
        self.assertIsNone(config.binding_slot("X"))

    def test_default_in_a_group(self) -> None:
        """
        The binding ``default`` may be a member; a group nobody is in does not exist.
        """
        config = parse("[binding_group.g.binding.default]\n[binding_group.default]\ntls = 'no'")
        self.assertEqual(config.groups, {"g": (0,)})
        self.assertEqual(config.bindings, (Binding("default", 0, "g"),))

    def test_group_default(self) -> None:
        """
        Bindings in no group take the options of the group ``default``.
        """
        config = parse("[binding_group.default]\nremote_smtp_port = 26\n[binding.b]\n[binding_group.g.binding.c]")
        self.assertEqual([config.path(slot, "x").remote_smtp_port for slot in range(3)], [26, 26, 25])

    def test_bind_address_order(self) -> None:
        """
        The member's own table, the binding's, the group's, the global one, then the kernel.
        """
        levels = ("[binding_group.g.binding.b]", "[binding.b]", "[binding_group.g]", "[global]")
        for position in range(len(levels) + 1):
            text = "[binding.c]\n" if position else ""
            tables = {"[binding_group.g.binding.b]": ""}
            for number in range(position, len(levels)):
                tables[levels[number]] = f'bind_address = "192.0.2.{number + 1}"'
            text += "\n".join(f"{table}\n{line}" for table, line in tables.items())
            config = parse(text)
            slot = config.binding_slot("b")
            assert slot is not None
            expected = f"192.0.2.{position + 1}" if position < len(levels) else ""
            self.assertEqual(config.bindings[slot].bind_address, expected)

    def test_kernel_choice(self) -> None:
        """
        An empty address is a choice: the kernel's, whatever stands outside.
        """
        config = parse('[global]\nbind_address = "192.0.2.1"\n[binding.b]\nbind_address = ""')
        self.assertEqual([binding.bind_address for binding in config.bindings], ["192.0.2.1", ""])

    def test_unknown_slots(self) -> None:
        """
        A message without a binding counts as on ``default``; any other wrong slot is a fault.
        """
        config = parse("[binding.default]\ntls = 'required'\n[binding.b]")
        self.assertEqual(config.path(-1, "x").tls, "required")
        for slot in (2, -2):
            self.assertRaises(IndexError, config.path, slot, "x")
            self.assertRaises(IndexError, config.explain, "tls", slot, "x")


class CacheTests(SynchronousTestCase):
    """
    Questions are answered once; the answers are bounded.
    """

    def test_same_object(self) -> None:
        """
        The same question gets the same object, and domains nobody wrote of share one, as
        do tables that say the same.
        """
        config = parse("[domain.'a.example']\n[domain.'/org$/']\ntls='required'\n[binding.b]")
        self.assertIs(config.path(1, "a.example"), config.path(1, "a.example"))
        self.assertIs(config.path(1, "x.com"), config.path(1, "y.com"))
        self.assertIs(config.path(1, "x.org"), config.path(1, "y.org"))
        self.assertIsNot(config.path(1, "x.org"), config.path(1, "x.com"))
        self.assertIs(config.path(1, "a.example"), config.path(0, "x.com"))
        self.assertIs(config.domain("x.com"), config.domain("y.com"))
        self.assertIs(config.host("x.com"), config.host("y.com"))

    def test_bound(self) -> None:
        """
        At the bound everything is forgotten, and answered as before.
        """
        self.patch(configuration, "MOST_KEPT", 3)
        config = parse("[domain.'a.example']\ntls='required'")
        for number in range(20):
            self.assertEqual(config.path(0, f"d{number}.example").tls, "no")
            self.assertEqual(config.domain(f"d{number}.example"), DomainSettings())
            self.assertEqual(config.host(f"d{number}.example"), HostSettings())
            self.assertEqual(config.path(0, "a.example").tls, "required")
            for kept in (config._paths, config._domains, config._hosts, config._settled, config._equal):
                self.assertLessEqual(len(kept), 3)

    def test_frozen(self) -> None:
        """
        Nobody can change what others read.
        """
        config = default()
        for settled in (config.path(0, "x"), config.domain("x"), config.host("x"), config.global_settings):
            self.assertRaises(AttributeError, setattr, settled, fields(settled)[0].name, None)
            self.assertFalse(hasattr(settled, "__dict__"))


class ExplainTests(SynchronousTestCase):
    """
    An operator asks where a value comes from.
    """

    TEXT = """\
[global]
connect_timeout = 5
state_dir = "x"
bind_address = "192.0.2.1"
[domain.'/example$/']
tls = "required"
routes = [
  "__mx__",
]
[binding_group.g.binding.b]
idle_timeout = 7
[host.'/^mx/']
max_outbound_connections = 3
"""

    def setUp(self) -> None:
        self.config = parse(self.TEXT, "mx.toml")

    def test_path_option(self) -> None:
        """
        Value, table, line, and every table that came before it, as it would be spelled.
        """
        origin = self.config.explain("connect_timeout", 1, "A.example")
        self.assertEqual((origin.value, origin.scope, origin.place), (5.0, "[global]", "mx.toml:2"))
        self.assertEqual(
            origin.searched,
            (
                '[binding_group.g.binding.b.domain."a.example"]',
                '[binding.b.domain."a.example"]',
                '[binding_group.g.domain."a.example"]',
                "[binding_group.g.binding.b]",
                "[binding.b]",
                "[binding_group.g]",
                '[domain."a.example"]',
                "[domain.'/example$/']",
                "[global]",
            ),
        )
        origin = self.config.explain("tls", 0, "a.example")
        self.assertEqual((origin.value, origin.place), ("required", "mx.toml:6"))
        self.assertEqual(origin.searched[-1], origin.scope)
        self.assertEqual(self.config.explain("idle_timeout", 1).place, "mx.toml:11")

    def test_built_in(self) -> None:
        """
        What nobody wrote is built in.
        """
        origin = self.config.explain("retry_interval", 0, "x.org")
        self.assertEqual((origin.value, origin.scope, origin.place), (1200.0, "built-in", ""))
        self.assertEqual(origin.searched[-2:], ("[global]", "built-in"))

    def test_other_classes(self) -> None:
        """
        Options of the service, of a binding, of a domain and of a host are explained too.
        """
        self.assertEqual(self.config.explain("state_dir").searched, ("[global]",))
        self.assertEqual(self.config.explain("bind_address", 1).place, "mx.toml:4")
        self.assertEqual(self.config.explain("routes", 0, "a.example").place, "mx.toml:7")
        self.assertEqual(self.config.explain_host("max_outbound_connections", "MX1.example").place, "mx.toml:13")
        self.assertEqual(self.config.explain_host("max_outbound_connections", "other").value, -1)

    def test_agrees_with_settling(self) -> None:
        """
        What is explained is what is used, at every level.
        """
        for position in range(len(LEVELS) + 1):
            config = written({table: 1000 + n for n, table in enumerate(LEVELS) if n >= position})
            for slot in (0, 1):
                for domain in ("a.example", "b.example", "x.org"):
                    explained = config.explain("remote_smtp_port", slot, domain).value
                    self.assertEqual(explained, config.path(slot, domain).remote_smtp_port)

    def test_written(self) -> None:
        """
        It knows which options any table has, wherever it stands.
        """
        for option in ("state_dir", "bind_address", "routes", "idle_timeout", "max_outbound_connections"):
            self.assertTrue(self.config.written(option), option)
        self.assertFalse(self.config.written("blackhole"))

    def test_unknown(self) -> None:
        """
        A misspelt option is answered with the nearest one.
        """
        error = self.assertRaises(ConfigError, self.config.explain, "retry_intervall")
        self.assertIn("nearest: retry_interval", str(error))
        self.assertRaises(ConfigError, self.config.explain_host, "tls", "mx")

    def test_where(self) -> None:
        """
        Others can point at the line of what they find wrong later.
        """
        self.assertEqual(self.config.where("global", "state_dir"), "mx.toml:3")
        self.assertEqual(self.config.where("binding_group", "g", "binding", "b", "bind_address"), "mx.toml:10")
        self.assertEqual(default().where("global", "state_dir"), "<built-in>:1")


class SharesQueueTests(SynchronousTestCase):
    """
    Which domains may share a queue for their exchangers.
    """

    def test_table(self) -> None:
        """
        What a domain table says of it decides; what the global one says holds for
        domains of which no table says anything.
        """
        on = "[global]\nrollup_by_mx_set = true\n"
        other = '[domain."a.example"]\nretry_interval = 7\n'
        for text, shares in (
            ("", False),
            (on, True),
            (on + other, False),
            (on + other + "rollup_by_mx_set = true\n", True),
            (other + "rollup_by_mx_set = true\n", True),
            (on + '[domain."a.example"]\nrollup_by_mx_set = false\n', False),
            (on + "[domain.'/example/']\nretry_interval = 7\n", False),
            (on + '[domain."a.example"]\n', True),
            (on + '[domain."b.example"]\nretry_interval = 7\n', True),
            (on + '[binding.b1.domain."a.example"]\nretry_interval = 7\n', False),
            (on + '[binding_group.g.domain."a.example"]\nretry_interval = 7\n[binding_group.g.binding.b]\n', False),
            (on + '[binding_group.g.binding.b.domain."a.example"]\nretry_interval = 7\n', False),
        ):
            self.assertIs(parse(text, "test.toml").shares_queue("A.example"), shares, text)
