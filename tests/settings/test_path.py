"""
Tests for :mod:`momentum_tx.settings.path`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.settings.path import PathSettings


class HashTests(SynchronousTestCase):
    """
    Settings as keys.
    """

    def test_equal(self) -> None:
        """
        What is equal is the same key, whether it was one before or not.
        """
        one, other = PathSettings(), PathSettings()
        self.assertEqual(hash(one), hash(one))
        self.assertEqual({one: "kept"}[other], "kept")

    def test_changed(self) -> None:
        """
        A copy with another value is another key, whatever the value is of, and its copy back is the first one again.
        """
        one = PathSettings()
        kept = {one}
        for each in fields(PathSettings):
            value: Any = ("another",)
            changed: PathSettings = replace(one, **{each.name: value})
            self.assertNotIn(changed, kept, each.name)
            self.assertNotEqual(hash(changed), hash(one), each.name)
            self.assertIn(replace(changed, **{each.name: getattr(one, each.name)}), kept, each.name)
