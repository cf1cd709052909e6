"""
Tests for tables that decide nothing.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.load import parse


class UnreachableTests(SynchronousTestCase):
    """
    What nothing can reach is told, where it is certain.
    """

    def doubts(self, text: str, *expected: str) -> None:
        """
        *text* is taken, with exactly these doubts.
        """
        found = parse(text, "x").warnings
        self.assertEqual(len(found), len(expected), "\n".join(found))
        for warning, part in zip(found, expected, strict=True):
            self.assertIn(part, warning)

    def test_empty(self) -> None:
        """
        A domain or host table without options says nothing; a binding exists by being written.
        """
        self.doubts(
            "[domain.'a.example']\n[host.'/mx/']\n[binding.b]\n[binding.b.domain.'a.example']\n[global]",
            'x:1: domain."a.example": says nothing',
            "x:2: host.'/mx/': says nothing",
            'x:4: binding.b.domain."a.example": says nothing',
        )

    def test_group_of_nobody(self) -> None:
        """
        The group ``default`` has no members when each binding is in another.
        """
        group = "[binding_group.default]\ntls = 'no'\n"
        self.doubts(group)
        self.doubts(f"{group}[binding_group.g.binding.default]", "x:1: binding_group.default: holds for nothing")

    def test_twice(self) -> None:
        """
        The same regex twice in one place, whatever the case of its letters: the first decides.
        """
        self.doubts(
            "[domain.'/Example$/']\ntls = 'no'\n[domain.'/b/']\ntls = 'no'\n[domain.'/example$/']\ntls = 'required'",
            "x:5: domain.'/example$/': decides nothing: the same regex stands before it, domain.'/Example$/' (x:1)",
        )
        self.doubts(
            "[host.'/a/']\noutbound_throttle_messages = '1'\n[host.'/A/']\noutbound_throttle_messages = '2'\n"
            "max_outbound_connections = 3",
            "does not decide outbound_throttle_messages",
        )

    def test_not_twice(self) -> None:
        """
        Other options, other places, other meanings: letters behind a backslash are not the same in another case.
        """
        self.doubts("[domain.'/a/']\ntls = 'no'\n[domain.'/A/']\nidle_timeout = 7")
        self.doubts("[domain.'/a/']\ntls = 'no'\n[binding.b.domain.'/a/']\ntls = 'no'")
        self.doubts("[domain.'/\\d/']\ntls = 'no'\n[domain.'/\\D/']\ntls = 'no'")
        self.doubts("[domain.'/(?-i:a)/']\ntls = 'no'\n[domain.'/(?-i:A)/']\ntls = 'no'")
        # Totals of several tables all hold.
        total = "scope_max_outbound_connections = 3"
        self.doubts(f"[domain.'/a/']\n{total}\n[domain.'/A/']\n{total}")

    def test_behind_everything(self) -> None:
        """
        Behind a regex that finds every name nothing is left to decide, of the same options.
        """
        for everything in (".", ".*", "^.+$", "^"):
            self.doubts(
                f"[domain.'/{everything}/']\ntls = 'no'\n[domain.'/example/']\ntls = 'no'\n"
                "[domain.'/b/']\nidle_timeout = 7",
                "x:3: domain.'/example/': decides nothing: a regex that finds every name stands before it",
            )
        self.doubts("[domain.'/example/']\ntls = 'no'\n[domain.'/./']\ntls = 'no'\n[domain.'a.example']\ntls = 'no'")
        self.doubts("[domain.'/../']\ntls = 'no'\n[domain.'/example/']\ntls = 'no'")

    def test_finds_nothing(self) -> None:
        """
        A regex that asks for what no name has.
        """
        for pattern, reason in (
            ("@example\\.com$", "'@' in it"),
            ("example com", "' ' in it"),
            ("^user/", "'/' in it"),
            ("example\\.com\\.$", "finds no name: names are compared without a final dot"),
        ):
            self.doubts(f"[domain.'/{pattern}/']\ntls = 'no'", reason)
        for pattern in ("@?example", "a|@", "[@a]", "example\\.", "\\.com$", "(@a)?", "a*\\.$"):
            self.doubts(f"[domain.'/{pattern}/']\ntls = 'no'")
