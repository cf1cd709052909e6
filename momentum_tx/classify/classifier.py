"""
One text in, one code out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .codes import CLASSES, UNDETERMINED, BounceClass, Category
from .rules import Rule, own_rules, reply_of

#: Answers that are remembered: the same few replies come again and again.
REMEMBERED: Final = 4096
#: Characters of a text that are looked at.
MOST_TEXT: Final = 2000


@dataclass(frozen=True, slots=True)
class Classified:
    """
    An answer.

    :ivar bounce_class: the code with its name and kind.
    :ivar rule: id of the rule that decided, or file and line of an operator's; empty if none did.
    """

    bounce_class: BounceClass
    rule: str

    @property
    def code(self) -> int:
        """
        The code's number.
        """
        return self.bounce_class.code


class Classifier:
    """
    All rules of a configuration.  Made anew for each; costs a fraction of a millisecond for
    a text it has not seen, and nothing to speak of for one that it has.

    :param overrides: an operator's rules, which go first.
    :param own: an operator's own codes by number, with their names.
    :param rules: the rules that follow; without them those of the package.
    """

    def __init__(
        self,
        overrides: Sequence[Rule] = (),
        own: Mapping[int, str] | None = None,
        rules: Sequence[Rule] | None = None,
    ) -> None:
        self._rules = (*overrides, *(own_rules() if rules is None else rules))
        self._classes = dict(CLASSES)
        for code, name in (own or {}).items():
            self._classes[code] = BounceClass(code, name, f"BC_{code}", Category.UNDETERMINED, "an operator's own")
        self._known: OrderedDict[tuple[str, str], Classified] = OrderedDict()

    def classify(self, note: bytes | str, domain: str = "") -> Classified:
        """
        What *note* means.

        :param note: a reply or a text of our own, as one line.
        :param domain: the routing domain it is about.
        """
        text = note.decode("utf-8", "replace") if isinstance(note, bytes) else note
        key = (text, domain)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
            return found
        found = self._decided(text, domain)
        self._known[key] = found
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found

    def class_of(self, code: int) -> BounceClass:
        """
        The code with its name; an unknown one is named by its number.
        """
        known = self._classes.get(code)
        return known or BounceClass(code, f"Class {code}", f"BC_{code}", Category.UNDETERMINED, "an operator's own")

    def _decided(self, text: str, domain: str) -> Classified:
        reply = reply_of(" ".join(text[:MOST_TEXT].split()))
        for rule in self._rules:
            if rule.decides(reply, domain):
                return Classified(self.class_of(rule.code), rule.id)
        return Classified(UNDETERMINED, "")
