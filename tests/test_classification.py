"""
Tests of :mod:`momentum_tx.classification`.
"""

from typing import Any

from zope.interface import implementer

from momentum_tx.classification import classifier_of
from momentum_tx.config import load as config_load
from momentum_tx.interfaces.bounce_hooks import ISmtpErrorClassify

from .worlds import WorldCase


class ClassificationTests(WorldCase):
    """
    Rules of a configuration.
    """

    def file(self, text: str) -> str:
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_overrides(self) -> None:
        """
        An operator's files go first, and are read anew with the configuration; one that is wrong leaves all as it was.
        """
        path = self.file("*,77,xyzzy\n")
        config = f'[global]\nbounce_classifier_overrides = ["{path}"]\nbounce_classes = ["77=Magic"]\n'
        world = self.world(config)
        classification = world.service.logs.classification
        self.assertEqual(classification.code_and_name(b"554 xyzzy", ""), (77, "Magic"))
        with open(path, "w", encoding="utf-8") as file:
            file.write("*,78,xyzzy\n")
        world.reload(config)
        self.assertEqual(classification.code_and_name(b"554 xyzzy", ""), (78, "Class 78"))
        with open(path, "w", encoding="utf-8") as file:
            file.write("nonsense\n")
        world.reload(config)
        self.assertEqual(classification.code(b"554 xyzzy", ""), 78)

    def test_wrong(self) -> None:
        """
        What cannot be used is said with its place.
        """
        for written, words in (
            ('bounce_classes = ["100=x"]', "'100=x' is no code"),
            (f'bounce_classifier_overrides = ["{self.file("a,b")}"]', ":1: expected domain,code,text"),
        ):
            with self.assertRaises(ValueError) as caught:
                classifier_of(config_load.parse(f"[global]\n{written}\n", "x.toml"))
            self.assertIn(words, str(caught.exception))

    def test_unknown(self) -> None:
        """
        Failures for ever that no rule knows are counted.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        for number in range(3):
            mx.refuse[f"u{number}@example.com"] = b"554 xyzzy %d" % number
            self.accept(world, [f"u{number}@example.com"])
        mx.refuse["gone@example.com"] = b"550 5.1.1 No such user"
        self.accept(world, ["gone@example.com"])
        world.advance(30)
        ((shape, counted),) = world.service.logs.classification.unknown.most()
        self.assertEqual((shape, counted.count, counted.domain), ("554 xyzzy <n>", 3, "example.com"))

    def test_hook(self) -> None:
        """
        A hook goes before the rules, and one that is wrong does not.
        """

        @implementer(ISmtpErrorClassify)
        class Opinion:
            answer: Any = 22

            def smtp_error_classify(self, response: str, domain: str) -> Any:
                return self.answer if domain == "a.example" else None

        opinion = Opinion()
        classification = self.world(providers=[opinion]).service.logs.classification
        self.assertEqual(classification.code(b"550 5.1.1 gone", "a.example"), 22)
        self.assertEqual(classification.code(b"550 5.1.1 gone", "b.example"), 10)
        opinion.answer = "full"
        self.assertEqual(classification.code(b"550 5.1.1 gone", "a.example"), 10)
