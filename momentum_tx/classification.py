"""
Classification as a service has it: the rules of the configuration in force, and what
they do not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from zope.interface import implementer

from .classify.classifier import Classified, Classifier
from .classify.codes import UNDETERMINED
from .classify.overrides import parse_overrides
from .classify.unknown import Unknown
from .interfaces.hooks import ILogPermanentFailureV1

if TYPE_CHECKING:
    from .config.configuration import Configuration
    from .hooks.points import Override
    from .interfaces.records import IDomainRecord, IMessage
    from .interfaces.services import IConfiguration


def classifier_of(config: IConfiguration) -> Classifier:
    """
    The classifier of a configuration.

    :raises OSError: a file that it names cannot be read.
    :raises ValueError: it cannot be used; the text says where.
    """
    settings = config.global_settings
    overrides = []
    for path in settings.bounce_classifier_overrides:
        with open(path, encoding="utf-8") as file:
            overrides += parse_overrides(file.read(), path)
    own = {}
    for text in settings.bounce_classes:
        code, equals, name = text.partition("=")
        if not equals or not code.strip().isdecimal() or not 1 <= int(code) <= 99:
            raise ValueError(f"bounce_classes: {text!r} is no code from 1 to 99, =, and a name")
        own[int(code)] = name.strip()
    return Classifier(overrides, own)


@implementer(ILogPermanentFailureV1)
class Classification:
    """
    Classifies failures, and counts those that it does not know.

    :param config: the first configuration.
    :param wall: wall time in epoch seconds.
    :ivar unknown: texts that no rule knows.
    :ivar hook: ``smtp_error_classify``, which is asked before the rules.
    """

    _log = Logger()

    part_of_service = True

    def __init__(self, config: Configuration, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._classifier = Classifier()
        self.unknown = Unknown()
        self.hook: Override[Any, int] | None = None
        self.configure(config)

    def configure(self, config: IConfiguration) -> None:
        """
        Go by another configuration.  A file that cannot be used leaves the rules as they
        were; that is logged.
        """
        try:
            self._classifier = classifier_of(config)
        except (OSError, ValueError) as error:
            self._log.error("bounces are classified as before: {error}", error=error)

    def classify(self, note: bytes, domain: str) -> Classified:
        """
        What *note* means.
        """
        hook = self.hook
        if hook:
            text = note.decode("utf-8", "replace")
            code = hook.override(lambda provider: provider.smtp_error_classify(text, domain))
            if code is not None:
                return Classified(self._classifier.class_of(code), "smtp_error_classify")
        return self._classifier.classify(note, domain)

    def code(self, note: bytes, domain: str) -> int:
        """
        Its code alone.
        """
        return self.classify(note, domain).code

    def code_and_name(self, note: bytes, domain: str) -> tuple[int, str]:
        """
        Its code, and the code's name.
        """
        found = self.classify(note, domain)
        return found.code, found.bounce_class.name

    def log_permanent_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        Count what is not known.
        """
        note = msg.code if note is None else note
        if self.code(note, dr.domain) == UNDETERMINED.code:
            self.unknown.add(note.decode("utf-8", "replace"), dr.domain, self._wall() if now is None else now)

    def told(self, limit: int = 50) -> dict[str, Any]:
        """
        Failures that no rule knows, by shape, the commonest first.

        :param limit: how many shapes.
        """
        return {
            "total": self.unknown.total,
            "shapes": [
                {"shape": shape, "count": each.count, "sample": each.sample, "domain": each.domain, "last": each.last}
                for shape, each in self.unknown.most(limit)
            ],
        }
