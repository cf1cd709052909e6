"""
Options of Momentum that are not here.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.load import parse
from momentum_tx.config.options import tables_of
from momentum_tx.errors import ConfigError
from momentum_tx.settings.absent import ABSENT


class AbsentTests(SynchronousTestCase):
    """
    Whoever brings a file from Momentum learns what is missing.
    """

    def test_absent(self) -> None:
        """
        Nothing that is here is on the list: take an option off it when you bring it.
        """
        self.assertEqual([name for name in ABSENT if tables_of(name)], [])

    def test_words(self) -> None:
        """
        Each is in lower case, with a reason that ends a sentence, and what is recommended instead exists.
        """
        for name, reason in ABSENT.items():
            self.assertEqual(name, name.lower())
            self.assertFalse(reason.endswith("."), name)
            _, use, rest = reason.partition("; use ")
            word = rest.split(" ")[0].rstrip(";,.")
            if use and "_" in word:
                self.assertTrue(tables_of(word), name)

    def refused(self, text: str) -> str:
        """
        The one mistake in *text*.
        """
        (mistake,) = str(self.assertRaises(ConfigError, parse, text, "x")).splitlines()
        return mistake

    def test_refused(self) -> None:
        """
        In any table, in any case of letters, outside tables and as a table, the reason is said instead of a guess.
        """
        reason = (
            "is an option of Momentum that is not here: there is one node, no cluster; use outbound_throttle_messages"
        )
        for text, key in (
            ("[global]\ncluster_outbound_throttle_messages = '5'", "x:2: global.cluster_outbound_throttle_messages"),
            (
                "[binding.b]\nCluster_Outbound_Throttle_Messages = 5",
                "x:2: binding.b.Cluster_Outbound_Throttle_Messages",
            ),
            ("cluster_outbound_throttle_messages = 5", "x:1: cluster_outbound_throttle_messages"),
        ):
            self.assertEqual(self.refused(text), f"{key}: {reason}")
        self.assertIn("there are no debug levels", self.refused("[debug_flags]\nDNS = 'ALL'"))
