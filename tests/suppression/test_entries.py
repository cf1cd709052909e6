"""
Tests of :mod:`momentum_tx.suppression.entries`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.suppression.entries import Suppressed, as_json, from_json, key_of, split_key


class EntryTests(SynchronousTestCase):
    """
    Addresses and what is known of them.
    """

    def test_keys(self) -> None:
        """
        What is one mailbox is one key; a tenant has its own.
        """
        self.assertEqual(key_of("Lea@Shop.Example"), "lea@shop.example")
        self.assertEqual(key_of("lea@bücher.example"), "lea@xn--bcher-kva.example")
        self.assertEqual(key_of("@Shop.example"), "@shop.example")
        self.assertEqual(split_key(key_of("lea@shop.example", "acme")), ("lea@shop.example", "acme"))
        for text in ("", "lea", "lea@", "lea @shop.example", "a\x00b@shop.example"):
            self.assertRaises(ValueError, key_of, text)

    def test_json(self) -> None:
        """
        What is shown can be entered again; less is enough, nonsense is refused.
        """
        entry = Suppressed("bounce", 10, 5.0, 9.0, "gone")
        self.assertEqual(
            from_json(as_json("acme\x00lea@shop.example", entry), 1.0), ("acme\x00lea@shop.example", entry)
        )
        key, entry = from_json({"address": "lea@shop.example"}, 7.0)
        self.assertEqual((key, entry), ("lea@shop.example", Suppressed("manual", 0, 7.0, 0.0, "")))
        for found in (
            None,
            {},
            {"address": 7},
            {"address": "a@b.example", "reason": "x"},
            {"address": "a@b.example", "code": "x"},
        ):
            self.assertRaises(ValueError, from_json, found, 1.0)

    def test_life(self) -> None:
        """
        An entry may have an end.
        """
        self.assertTrue(Suppressed("manual", 0, 1.0, 0.0, "").holds(1e12))
        self.assertEqual([Suppressed("manual", 0, 1.0, 9.0, "").holds(now) for now in (8.0, 9.0)], [True, False])
