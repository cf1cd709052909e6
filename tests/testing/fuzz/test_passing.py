"""
Providers that come and go in a story.
"""

from __future__ import annotations

from momentum_tx.hooks.named import Named, NamedProviders
from momentum_tx.testing.fuzz.plan import Step

from .stories import StoryCase, mail, small_plan


class PassingTests(StoryCase):
    """
    The judge and providers that are named for a while.
    """

    def named(self, at: float, *names: str) -> Step:
        """
        The operator names these.
        """
        hooks = [f"momentum_tx.testing.fuzz.passing:{name}" for name in names]
        return Step(at, "reload", {"header": "global", "options": {"hooks": hooks}})

    def test_come_and_go(self) -> None:
        """
        Nobody minds.
        """
        steps = (self.named(0.5, "Passing", "Staying"), self.named(2.0, "Staying"), self.named(4.0))
        self.innocent(small_plan(mail(at=1.0), mail(2, at=3.0), mail(3, at=5.0), *steps))

    def test_asked_after_its_end(self) -> None:
        """
        One that was told its end and is asked all the same is found.
        """

        def forgetful(providers: NamedProviders, loaded: Named) -> None:
            if loaded:
                providers._hooks.set_named([provider for _, provider in loaded])
            providers._withdraw(providers._in_force, loaded)
            providers._in_force = loaded

        self.patch(NamedProviders, "install", forgetful)
        self.guilty(small_plan(mail(at=3.0), self.named(1.0, "Passing"), self.named(2.0)), "exception")
