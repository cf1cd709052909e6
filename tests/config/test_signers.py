"""
Tests of :mod:`momentum_tx.config.signers`, and of how ``[dkim]`` tables are read.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.config import signers as module
from momentum_tx.config.load import parse
from momentum_tx.config.report import dump
from momentum_tx.config.signers import Signers
from momentum_tx.errors import ConfigError
from momentum_tx.interfaces.services import ISigners
from momentum_tx.settings.dkim import DEFAULT_HEADERLIST

FILE = """\
[dkim."example.com"]
body_canon = "simple"
identity = "@example.com"

[dkim."example.com".selector.r2026]
keyfile = "/etc/keys/r.pem"

[dkim."example.com".selector."e2026.Mail"]
keyfile = "/etc/keys/e.pem"
body_canon = "relaxed"
lifetime = 86400

[dkim.'/\\.example\\.com$/'.selector.all]
keyfile = "/etc/keys/r.pem"
signing_domain = "Example.com"
headerlist = ["From", "Subject"]

[dkim."quiet.example.com"]

[dkim."BÜCHER.example".selector.s]
keyfile = "b.pem"
"""


class SignersTests(SynchronousTestCase):
    """
    Who signs what.
    """

    def signers(self, text: str = FILE) -> Signers:
        """
        Those of a file.
        """
        return parse(text, "x.toml").signers

    def test_contract(self) -> None:
        """
        The configuration's signers provide their interface; there is nobody without a table.
        """
        self.assertTrue(verifyObject(ISigners, self.signers()))
        self.assertTrue(self.signers())
        self.assertFalse(self.signers(""))
        self.assertFalse(self.signers('[dkim."example.com"]\nbody_canon = "simple"\n'))

    def test_selectors(self) -> None:
        """
        One signature for each selector, in the order of the file; what the domain's
        table says holds for all that say nothing else.
        """
        first, second = self.signers().signatures("Example.COM")
        self.assertEqual((first.domain, first.selector, first.keyfile), ("example.com", "r2026", "/etc/keys/r.pem"))
        self.assertEqual((first.body_canon, first.header_canon, first.lifetime), ("simple", "relaxed", None))
        self.assertEqual((second.selector, second.body_canon, second.lifetime), ("e2026.mail", "relaxed", 86400.0))
        self.assertEqual([each.identity for each in (first, second)], ["@example.com"] * 2)
        self.assertEqual(first.headerlist, DEFAULT_HEADERLIST)

    def test_first_table_decides(self) -> None:
        """
        The exact name decides before a regex, also one that names no selector: that mail is not signed.
        """
        signers = self.signers()
        (found,) = signers.signatures("a.example.com")
        self.assertEqual((found.domain, found.headerlist), ("example.com", ("From", "Subject")))
        self.assertEqual(signers.signatures("quiet.example.com"), ())
        self.assertEqual(signers.signatures("other.example"), ())
        self.assertIs(signers.signatures("a.example.com"), signers.signatures("a.example.com"))

    def test_regex_without_domain(self) -> None:
        """
        Where a regex names no signing domain, the author's own signs.
        """
        signers = self.signers("[dkim.'/./'.selector.s]\nkeyfile = 'k'\n")
        self.assertEqual([each.domain for each in signers.signatures("any.example")], ["any.example"])

    def test_international(self) -> None:
        """
        A domain in other letters signs by its A-labels.
        """
        (found,) = self.signers().signatures("xn--bcher-kva.example")
        self.assertEqual(found.domain, "xn--bcher-kva.example")

    def test_keyfiles(self) -> None:
        """
        Each file is named once, with the first place that names it.
        """
        self.assertEqual(
            self.signers().keyfiles(),
            {"/etc/keys/r.pem": "x.toml:6", "/etc/keys/e.pem": "x.toml:9", "b.pem": "x.toml:21"},
        )

    def test_bound(self) -> None:
        """
        What strangers write as author does not fill the memory.
        """
        signers = self.signers()
        self.patch(module, "MOST_KEPT", 10)
        for number in range(25):
            signers.signatures(f"{number}.example")
        self.assertLessEqual(len(signers._kept), 10)

    def test_dump(self) -> None:
        """
        What is in force is a file that says the same.
        """
        text = dump(parse(FILE, "x.toml"))
        again = parse(text, "y.toml").signers
        for domain in ("example.com", "a.example.com", "quiet.example.com", "xn--bcher-kva.example"):
            self.assertEqual(again.signatures(domain), self.signers().signatures(domain))


class MistakeTests(SynchronousTestCase):
    """
    What is wrong, and where.
    """

    def mistakes(self, text: str) -> list[str]:
        """
        The mistakes in a file.
        """
        return str(self.assertRaises(ConfigError, parse, text, "x")).splitlines()

    def test_mistakes(self) -> None:
        """
        Each has its place and what would be right.
        """
        key = 'keyfile = "k"\n'
        for text, said in (
            ('[dkim."a.example".selector.s]\n', 'x:1: dkim."a.example".selector.s: needs a keyfile'),
            ('[dkim."a.example".selector.s]\nkeyfile = ""\n', "needs a keyfile"),
            (f'[dkim."a.example".selector."s 1"]\n{key}', "is no selector"),
            (
                f'[dkim."a.example".selector.S]\n{key}[dkim."a.example".selector.s]\n{key}',
                "means the same selector as x:1",
            ),
            (
                '[dkim."a.example"]\nkeyfile = "k"\n',
                'may not stand in [dkim."..."]; it may stand in [dkim."...".selector.NAME]',
            ),
            ('[dkim."a.example"]\nbody_canon = "nowsp"\n', 'expected "relaxed" or "simple"'),
            ('[dkim."a.example"]\nheaderlist = ["From", "Received"]\n', 'element 2: "Received" changes on the way'),
            ('[dkim."a.example"]\nsigning_domain = "com"\n', "two labels at least"),
            (f'[dkim."localhost".selector.s]\n{key}', 'x:1: dkim.localhost: "localhost" is no domain that can sign'),
            (
                f'[dkim."a.example".selector.s]\n{key}identity = "@b.example"\n',
                'x:3: dkim."a.example".selector.s.identity',
            ),
            (
                f'[dkim."a.example"]\nidentity = "x"\n[dkim."a.example".selector.s]\n{key}',
                'x:2: dkim."a.example".identity',
            ),
            (f"[dkim.'/./'.selector.s]\n{key}identity = '@b.example'\n", "needs a signing_domain"),
            (f"[dkim.a.example.selector.s]\n{key}", 'must be quoted: [dkim."a.example"]'),
            ('[dkim]\nkeyfile = "k"\n', "an option must stand under a name"),
            ('[dkim."a.example"]\nselector = "s"\n', "expected a table"),
            ('[dkim."a.example".selector]\ns = "k"\n', "expected a table"),
            ("dkim = 1\n", "expected a table"),
            ('[dkim."a.example"]\nlifetime = 5\n', "must be at least 60"),
        ):
            mistakes = self.mistakes(text)
            self.assertEqual(len(mistakes), 1, mistakes)
            self.assertIn(said, mistakes[0], text)

    def test_explain(self) -> None:
        """
        Whoever asks where an option of a signature comes from is sent where it is told.
        """
        error = self.assertRaises(ConfigError, parse(FILE, "x").explain, "headerlist")
        self.assertIn("momentum-tx dkim show", str(error))
