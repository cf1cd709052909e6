"""
Tests of :mod:`momentum_tx.config.reporting`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.configuration import Configuration
from momentum_tx.config.load import parse
from momentum_tx.config.report import dump
from momentum_tx.settings import PathSettings

ON = "[global]\ntlsrpt = true\n"


class BindingTests(SynchronousTestCase):
    """
    The binding that reports leave from.
    """

    def settings(self, config: Configuration, domain: str = "example.com") -> PathSettings:
        """
        What holds for reports to a domain.
        """
        slot = config.binding_slot("tlsrpt")
        assert slot is not None
        return config.path(slot, domain)

    def test_there(self) -> None:
        """
        It is there while reports are sent, with no policy and no wish for TLS, whatever is
        written for everybody, or for the domain.
        """
        config = parse(ON + 'tls = "required"\n[domain."example.com"]\ntls = "no"\n', "x")
        found = self.settings(config)
        self.assertEqual((found.tls, found.enable_mta_sts, found.enable_dane), ("ifavailable", False, False))
        self.assertEqual(config.bindings[-1].group_weight, 0)
        self.assertEqual(config.path(0, "example.com").tls, "no")
        self.assertIsNone(parse("", "x").binding_slot("tlsrpt"))

    def test_operator(self) -> None:
        """
        What an operator writes for it counts before, in a table of its own or in a group's.
        """
        for table in ("[binding.tlsrpt]", "[binding_group.g.binding.tlsrpt]"):
            config = parse(ON + f'{table}\nbind_address = "192.0.2.9"\ntls = "no"\n', "x")
            found = self.settings(config)
            self.assertEqual((found.tls, found.enable_dane), ("no", False))
            self.assertEqual([each.bind_address for each in config.bindings], ["", "192.0.2.9"])

    def test_stays(self) -> None:
        """
        A reload that ends reports keeps the binding, on which mail may wait.
        """
        config = parse(ON, "x")
        later = parse("", "x", 2, config.bindings)
        self.assertTrue(later.follows(config))
        self.assertEqual(self.settings(later).tls, "ifavailable")

    def test_dump(self) -> None:
        """
        It is in what is in force, and that says the same.
        """
        again = parse(dump(parse(ON, "x")), "y")
        self.assertEqual(self.settings(again), self.settings(parse(ON, "x")))

    def test_unsigned(self) -> None:
        """
        Reports that nobody signs are a doubt; an address that is none is a mistake.
        """
        (doubt,) = parse(ON + 'tlsrpt_from = "a@b.example"\n', "x").warnings
        self.assertTrue(doubt.startswith("x:3: global.tlsrpt_from: reports that are not signed may be refused"), doubt)
        signed = '[dkim."b.example".selector.s]\nkeyfile = "k"\n'
        self.assertEqual(parse(ON + 'tlsrpt_from = "a@b.example"\n' + signed, "x").warnings, [])
        with self.assertRaises(Exception) as caught:
            parse(ON + 'tlsrpt_from = "a b@c.example"\n', "x")
        self.assertIn("is not a plain address", str(caught.exception))
