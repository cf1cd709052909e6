"""
Tests for the table of options and the reading of one value.
"""

import datetime
import math
import typing

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.options import BY_CLASS, BY_TABLE, CLASSES, LONGEST_SECONDS, WRONG, Table, shown, tables_of
from momentum_tx.settings import DomainSettings, GlobalSettings, HostSettings, PathSettings


class TableTests(SynchronousTestCase):
    """
    Which option may stand where.
    """

    def test_tables(self) -> None:
        """
        Delivery options stand everywhere but under a host, domain-wide ones not inside a binding,
        options of the service in the global table alone, those of a signature where somebody signs.
        """
        everywhere = [Table.GLOBAL, Table.DOMAIN, Table.BINDING, Table.BINDING_GROUP, Table.NESTED_DOMAIN]
        self.assertEqual(tables_of("retry_interval"), everywhere)
        self.assertEqual(tables_of("host_failure_retry"), [Table.GLOBAL, Table.DOMAIN])
        self.assertEqual(tables_of("state_dir"), [Table.GLOBAL])
        self.assertEqual(tables_of("bind_address"), [Table.GLOBAL, Table.BINDING, Table.BINDING_GROUP])
        self.assertEqual(tables_of("headerlist"), [Table.DKIM, Table.DKIM_SELECTOR])
        self.assertEqual(tables_of("keyfile"), [Table.DKIM_SELECTOR])
        delivery = [table for table in Table if table not in (Table.DKIM, Table.DKIM_SELECTOR)]
        self.assertEqual(
            tables_of("max_outbound_connections"), [table for table in delivery if table is not Table.NESTED_HOST]
        )
        self.assertEqual(tables_of("outbound_throttle_messages"), delivery)
        self.assertEqual(tables_of("nonsense"), [])

    def test_same_name_two_options(self) -> None:
        """
        max_outbound_connections under a host is the host's own option.
        """
        self.assertIs(BY_TABLE[Table.HOST]["max_outbound_connections"].owner, HostSettings)
        self.assertIs(BY_TABLE[Table.GLOBAL]["max_outbound_connections"].owner, PathSettings)

    def test_defaults_pass(self) -> None:
        """
        Every built-in value may also be written.
        """
        for owner in CLASSES:
            for option in BY_CLASS[owner].values():
                if option.default is None:
                    continue
                mistakes: list[str] = []
                value = list(option.default) if isinstance(option.default, tuple) else option.default
                self.assertEqual(option.read(value, mistakes.append), option.default, option.name)
                self.assertEqual(mistakes, [])


class ReadTests(SynchronousTestCase):
    """
    One value from the file.
    """

    def read(self, owner: type, name: str, value: object) -> tuple[object, list[str]]:
        """
        What it settles to, and the mistakes.
        """
        mistakes: list[str] = []
        return BY_CLASS[owner][name].read(value, mistakes.append), mistakes

    def good(self, owner: type, name: str, value: object, settled: object) -> None:
        """
        *value* settles to *settled*, type and all.
        """
        found, mistakes = self.read(owner, name, value)
        self.assertEqual((found, type(found), mistakes), (settled, type(settled), []))

    def bad(self, owner: type, name: str, value: object, *texts: str) -> None:
        """
        *value* is refused, once for each of *texts*.
        """
        found, mistakes = self.read(owner, name, value)
        self.assertIs(found, WRONG)
        self.assertEqual(len(mistakes), len(texts), mistakes)
        for mistake, text in zip(mistakes, texts, strict=True):
            self.assertIn(text, mistake)

    def test_numbers(self) -> None:
        """
        A whole number will do where a fraction may stand, and nothing else is taken for a number.
        """
        self.good(PathSettings, "retry_interval", 5, 5.0)
        self.good(PathSettings, "retry_interval", 0.5, 0.5)
        self.good(PathSettings, "banner_timeout", 3, 3.0)
        self.bad(PathSettings, "retry_interval", "5", 'expected a number, not "5"')
        self.bad(PathSettings, "retry_interval", True, "expected a number, not true")
        for value in (math.nan, math.inf, -math.inf, 10**400):
            self.bad(PathSettings, "retry_interval", value, "finite")
        self.good(PathSettings, "remote_smtp_port", 25, 25)
        self.bad(PathSettings, "remote_smtp_port", 25.0, "expected a whole number, not the number 25")
        self.bad(PathSettings, "remote_smtp_port", False, "expected a whole number, not false")
        self.bad(PathSettings, "max_outbound_connections", 2**63, "64 bits")
        self.bad(PathSettings, "max_outbound_connections", 10**5000, "64 bits")

    def test_limits(self) -> None:
        """
        Both sides of every limit.
        """
        self.good(PathSettings, "remote_smtp_port", 1, 1)
        self.bad(PathSettings, "remote_smtp_port", 0, "at least 1, not 0")
        self.good(PathSettings, "remote_smtp_port", 65535, 65535)
        self.bad(PathSettings, "remote_smtp_port", 65536, "at most 65535, not 65536")
        self.good(PathSettings, "message_expiration", LONGEST_SECONDS, LONGEST_SECONDS)
        self.bad(PathSettings, "message_expiration", LONGEST_SECONDS + 1, "at most 315576000")
        self.good(HostSettings, "max_outbound_connections", -1, -1)
        self.bad(HostSettings, "max_outbound_connections", -2, "at least -1")
        self.bad(PathSettings, "max_outbound_connections", -1, "at least 0")

    def test_booleans(self) -> None:
        """
        Only true and false are booleans.
        """
        self.good(PathSettings, "never_retry", True, True)
        wrong: tuple[object, ...] = (1, 0, "true", "yes", [])
        for value in wrong:
            self.bad(PathSettings, "never_retry", value, "expected true or false")

    def test_words(self) -> None:
        """
        A word must be one of the choices; control characters stand in no string.
        """
        self.good(PathSettings, "tls", "required", "required")
        self.bad(
            PathSettings, "tls", "Required", 'expected "no", "ifavailable", "required" or "implicit", not "Required"'
        )
        self.bad(PathSettings, "tls", True, 'expected "no", "ifavailable", "required" or "implicit", not true')
        self.bad(GlobalSettings, "state_dir", "a\nb", "control character U+000A")
        self.bad(GlobalSettings, "state_dir", "", "empty")
        self.bad(GlobalSettings, "log_dir", datetime.date(2020, 1, 1), "expected a string, not a date or time")

    def test_max_retries(self) -> None:
        """
        A number that is not negative, or one of two words.
        """
        for value in (0, 7, "auto", "none"):
            self.good(PathSettings, "max_retries", value, value)
        self.bad(PathSettings, "max_retries", -1, "at least 0")
        self.bad(PathSettings, "max_retries", "7", 'expected a whole number, "auto" or "none", not "7"')
        self.bad(PathSettings, "max_retries", 1.0, "expected a whole number")

    def test_lists(self) -> None:
        """
        A list is read to its end, and each wrong element is named.
        """
        self.good(GlobalSettings, "prohibited_hosts", [], ())
        self.good(GlobalSettings, "prohibited_hosts", ["10.0.0.0/8"], ("10.0.0.0/8",))
        self.good(DomainSettings, "routes", ["MX.example", "__mx__"], ("mx.example", "__mx__"))
        self.bad(GlobalSettings, "relay_hosts", "10.0.0.0/8", "expected a list of strings")
        self.bad(
            GlobalSettings,
            "relay_hosts",
            ["10.0.0.0/8", 5, "x", "a\rb", ["::1"]],
            "element 2: expected a string, not the number 5",
            'element 3: "x" is not a network',
            "element 4: ",
            "element 5: expected a string, not a list",
        )

    def test_shown(self) -> None:
        """
        A wrong value is repeated in a form that fits on one line.
        """
        self.assertEqual(shown("a\r\nb"), '"a\\u000D\\u000Ab"')
        self.assertLess(len(shown("x" * 10_000)), 100)
        self.assertLess(len(shown("\n" * 10_000)), 100)
        self.assertLess(len(shown(10**60)), 100)
        self.assertEqual(shown({}), "a table")
        self.assertEqual(shown(typing.Any), type(typing.Any).__name__)
