"""
Limits that are shared: which table's they are, and who shares them.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.load import default, parse
from momentum_tx.config.report import dump, explanation
from momentum_tx.errors import ConfigError
from momentum_tx.settings.limits import Throttle, Total


class ThrottleTests(SynchronousTestCase):
    """
    A throttle belongs to the table that has it.
    """

    def test_sharedByReference(self) -> None:
        """
        Whoever gets the rate from the same table shares one throttle; who has
        one of its own does not.
        """
        config = parse(
            '[global]\noutbound_throttle_messages = "10/min"\n'
            '[domain."own.example"]\noutbound_throttle_messages = "5"\n[binding.b]\n'
        )
        one, two = config.limits(0, "a.example").messages, config.limits(1, "b.example").messages
        self.assertIs(one, two)
        self.assertEqual(one, Throttle("[global]", 10, 60.0))
        self.assertEqual(config.limits(0, "own.example").messages, Throttle('[domain."own.example"]', 5, 1.0))
        self.assertIsNone(config.limits(0, "a.example").connections)

    def test_regexSharesOne(self) -> None:
        """
        A regex is one throttle for every name it matches.
        """
        config = parse("[domain.'/\\.example$/']\noutbound_throttle_connections = \"1\"\n")
        self.assertIs(config.limits(0, "a.example").connections, config.limits(0, "b.example").connections)
        self.assertIsNone(config.limits(0, "a.test").connections)

    def test_defaultBinding(self) -> None:
        """
        A throttle of the binding ``default`` holds that binding alone.
        """
        config = parse('[binding.default]\noutbound_throttle_messages = "1"\n[binding.b]\n')
        self.assertIsNotNone(config.limits(0, "a.example").messages)
        self.assertIsNone(config.limits(1, "a.example").messages)

    def test_zeroEndsTheSearch(self) -> None:
        """
        A 0 lifts the throttle of a table further out, and so does an empty one: what is written decides.
        """
        config = parse(
            '[global]\noutbound_throttle_messages = "1"\n[domain."free.example"]\noutbound_throttle_messages = "0"\n'
            '[domain."empty.example"]\noutbound_throttle_messages = ""\n'
        )
        self.assertIsNone(config.limits(0, "free.example").messages)
        self.assertIsNone(config.limits(0, "empty.example").messages)

    def test_badRate(self) -> None:
        """
        What is no rate is refused with file and line.
        """
        error = self.assertRaises(
            ConfigError, parse, '[global]\noutbound_throttle_messages = "10/fortnight"\n', "x.toml"
        )
        self.assertIn("x.toml:2: global.outbound_throttle_messages", str(error))


class HostTests(SynchronousTestCase):
    """
    Hosts have a chain of their own.
    """

    TEXT = """
        [global]
        outbound_throttle_connections = "100"
        [host."mx.example"]
        outbound_throttle_connections = "4"
        [binding.b.host."mx.example"]
        outbound_throttle_connections = "3"
        [binding_group.g.host."mx.example"]
        outbound_throttle_connections = "2"
        [binding_group.g.binding.b.host."mx.example"]
        outbound_throttle_connections = "1"
        [binding_group.g.binding.c]
        [binding_group.h.binding.d]
        [binding.e.host.'/example/']
        outbound_throttle_connections = "5"
    """

    def test_chain(self) -> None:
        """
        Binding in its group, group, binding, host; a value of another kind of
        table is never taken.
        """
        config = parse(self.TEXT)
        for name, count in (("b", 1), ("c", 2), ("d", 4), ("e", 5), ("default", 4)):
            slot = config.binding_slot(name)
            assert slot is not None
            throttle = config.host_limits(slot, "MX.example.").connections
            assert throttle is not None
            self.assertEqual(throttle.count, count, name)
        self.assertIsNone(config.host_limits(0, "other.example").connections)

    def test_explained(self) -> None:
        """
        It is said which table decided for which binding.
        """
        config = parse(self.TEXT, "x.toml")
        slot = config.binding_slot("c")
        assert slot is not None
        origin = config.explain_host("outbound_throttle_connections", "mx.example", slot)
        self.assertEqual(origin.scope, '[binding_group.g.host."mx.example"]')
        origin = config.explain_host("max_outbound_connections", "mx.example", slot)
        self.assertEqual(origin.searched, ('[host."mx.example"]', "built-in"))

    def test_dumped(self) -> None:
        """
        A dump has the tables inside bindings, and reads back as the same.
        """
        config = parse(self.TEXT)
        again = parse(dump(config))
        for binding in config.bindings:
            slot = again.binding_slot(binding.name)
            assert slot is not None
            self.assertEqual(config.host_limits(binding.slot, "mx.example"), again.host_limits(slot, "mx.example"))


class TotalTests(SynchronousTestCase):
    """
    Totals add up along the path.
    """

    def test_everyTable(self) -> None:
        """
        Each table on the path that has a total is held; a regex is one total.
        """
        config = parse(
            "[global]\nscope_max_outbound_connections = 9\n[domain.'/example/']\nscope_max_outbound_connections = 5\n"
            "[binding_group.g]\nscope_max_outbound_connections = 4\n"
            "[binding_group.g.binding.b.domain.'a.example']\nscope_max_outbound_connections = 2\n"
        )
        slot = config.binding_slot("b")
        assert slot is not None
        self.assertEqual(
            config.limits(slot, "a.example").totals,
            (
                Total('[binding_group.g.binding.b.domain."a.example"]', 2),
                Total("[binding_group.g]", 4),
                Total("[domain.'/example/']", 5),
                Total("[global]", 9),
            ),
        )
        self.assertEqual(config.limits(0, "a.test").totals, (Total("[global]", 9),))

    def test_explained(self) -> None:
        """
        Besides the nearest total every other one that holds is told.
        """
        option = "scope_max_outbound_connections"
        config = parse(
            f"[global]\n{option} = 9\n[domain.'/example/']\n{option} = 5\n[domain.\"a.example\"]\n{option} = 7", "x"
        )
        lines = explanation(option, config.explain(option, 0, "a.example")).splitlines()
        self.assertEqual(lines[:2], ["7", 'set in [domain."a.example"] at x:6'])
        self.assertEqual(
            lines[2:4], ["and besides 5 in [domain.'/example/'] at x:4", "and besides 9 in [global] at x:2"]
        )
        self.assertNotIn("besides", explanation("tls", config.explain("tls", 0, "a.example")))

    def test_hosts(self) -> None:
        """
        A host's totals are those of the tables that name it.
        """
        config = parse('[host."mx.example"]\nscope_max_outbound_connections = 3\n')
        self.assertEqual(config.host_limits(0, "mx.example").totals, (Total('[host."mx.example"]', 3),))
        self.assertEqual(config.host_limits(0, "my.example").totals, ())


class ServerTests(SynchronousTestCase):
    """
    ``server_max_outbound_connections`` means the server in ``[global]`` and one
    binding in its table.
    """

    def test_ofBindings(self) -> None:
        """
        A group's is that of each of its bindings; the server's is nobody's own.
        """
        config = parse(
            "[global]\nserver_max_outbound_connections = 100\n[binding_group.g]\nserver_max_outbound_connections = 10\n"
            "[binding_group.g.binding.a]\n[binding_group.g.binding.b]\nserver_max_outbound_connections = 5\n"
        )
        self.assertEqual(
            {binding.name: binding.server_max_outbound_connections for binding in config.bindings},
            {"default": None, "a": 10, "b": 5},
        )
        self.assertEqual(config.global_settings.server_max_outbound_connections, 100)
        origin = config.explain("server_max_outbound_connections")
        self.assertEqual((origin.value, origin.scope), (100, "[global]"))
        origins = [config.explain("server_max_outbound_connections", slot) for slot in (0, 1)]
        self.assertEqual([origin.value for origin in origins], [None, 10])
        self.assertNotIn("[global]", origins[0].searched)


class CacheTests(SynchronousTestCase):
    """
    Questions are answered once.
    """

    def test_sameObject(self) -> None:
        """
        The same question gets the same object, and names nobody wrote of share one.
        """
        config = parse("[domain.'a.example']\nscope_max_outbound_connections=1\n[binding.b]")
        self.assertIs(config.limits(1, "a.example"), config.limits(1, "a.example"))
        self.assertIs(config.limits(0, "x.com"), config.limits(1, "y.com"))
        self.assertIs(config.host_limits(0, "x.com"), config.host_limits(1, "y.com"))

    def test_unknownSlots(self) -> None:
        """
        A message without a binding counts as on ``default``; any other wrong slot is a fault.
        """
        config = default()
        self.assertIs(config.limits(-1, "x"), config.limits(0, "x"))
        self.assertIs(config.host_limits(-1, "x"), config.host_limits(0, "x"))
        for slot in (1, -2):
            self.assertRaises(IndexError, config.limits, slot, "x")
            self.assertRaises(IndexError, config.host_limits, slot, "x")
