"""
Tests for providers that a configuration names.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from momentum_tx.errors import ConfigError
from momentum_tx.hooks.named import NamedProviders
from momentum_tx.hooks.outbound import OutboundHooks
from momentum_tx.interfaces.hooks import IConnectionGoal
from momentum_tx.interfaces.records import IDomainRecord

HERE = __name__
#: What providers of the running test were told, and which were made.
told: list[str] = []


@implementer(IConnectionGoal)
class Counting:
    """
    Has a number of its own.
    """

    made = 0

    def __init__(self) -> None:
        Counting.made += 1
        self.number = Counting.made

    def connection_goal(self, dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
        return goal

    def withdrawn(self) -> None:
        """
        Says so.
        """
        told.append(f"{type(self).__name__} {self.number}")

    def __eq__(self, other: object) -> bool:
        # Providers may think of equality what they like.
        return isinstance(other, Counting)

    def __hash__(self) -> int:
        return 0


class Lasting(Counting):
    """
    There is one of it.
    """

    singleton = True


class Sullen(Counting):
    """
    Does not like to go.
    """

    def withdrawn(self) -> None:
        raise RuntimeError("no")


@implementer(IConnectionGoal)
class Silent:
    """
    Need not hear of its end.
    """

    def connection_goal(self, dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
        return goal


@implementer(IConnectionGoal)
class Wrong(Counting):
    """
    Cannot be asked.
    """

    def connection_goal(self) -> int:  # type: ignore[override]
        return 1


class Useless(Counting):
    """
    Is made, and fails.
    """

    def __init__(self) -> None:
        super().__init__()
        raise RuntimeError("made in vain")


#: A provider that exists before anybody names it.
existing = Counting()


class NamedTests(SynchronousTestCase):
    """
    Generations of providers.
    """

    def setUp(self) -> None:
        self.hooks = OutboundHooks()
        self.named = NamedProviders(self.hooks)
        Counting.made = 0
        told.clear()

    def go_on(self, *names: str) -> None:
        """
        A generation that names these of this module.
        """
        self.named.install(self.named.load([f"{HERE}:{name}" for name in names], "x:1"))

    def chain(self) -> list[str]:
        """
        Who is asked, in order.
        """
        return [
            f"{type(each).__name__} {getattr(each, 'number', '')}".strip()
            for each in self.hooks.connection_goal.providers
        ]

    def test_generations(self) -> None:
        """
        A class is called anew for each generation, and what it made before is told its end.
        """
        self.go_on("Counting", "Silent")
        self.assertEqual(self.chain(), ["Counting 1", "Silent"])
        self.go_on("Silent", "Counting")
        self.assertEqual((self.chain(), told), (["Silent", "Counting 2"], ["Counting 1"]))
        self.go_on()
        self.assertEqual((self.chain(), told), ([], ["Counting 1", "Counting 2"]))

    def test_singleton(self) -> None:
        """
        A singleton stays while its name does, in the place its name has now, and is one however often it is named.
        """
        self.go_on("Lasting", "Silent")
        self.go_on("Silent", "Lasting", "Lasting")
        self.assertEqual((self.chain(), told), (["Silent", "Lasting 1", "Lasting 1"], []))
        self.go_on()
        self.assertEqual(told, ["Lasting 1"])
        self.go_on("Lasting")
        self.assertEqual((self.chain(), told), (["Lasting 2"], ["Lasting 1"]))

    def test_existing_object(self) -> None:
        """
        An object that is named stays, and goes when its name does.
        """
        existing.number = 7
        self.go_on("existing")
        self.go_on("existing")
        self.assertEqual((self.chain(), told), (["Counting 7"], []))
        self.go_on("Silent")
        self.assertEqual(told, ["Counting 7"])

    def test_bad_one(self) -> None:
        """
        One bad provider of a generation keeps in force all that was; those made beside it are told their end.
        """
        self.go_on("Lasting", "existing")
        for name, reason in (("Wrong", "does not fulfil"), ("Useless", "made in vain"), ("told", "no hook contract")):
            Counting.made = 10
            told.clear()
            error = self.assertRaises(ConfigError, self.go_on, "existing", "Lasting", "Counting", name)
            self.assertIn(f"x:1: global.hooks: {HERE}:{name}: ", str(error))
            self.assertIn(reason, str(error))
            self.assertEqual(told[:1], ["Counting 11"])
            self.assertNotIn("Lasting 1", told)
            self.assertNotIn("Counting 7", told)
            self.assertEqual(self.chain()[0], "Lasting 1")

    def test_raising(self) -> None:
        """
        One that raises at its end is logged, and keeps nobody else.
        """
        self.go_on("Sullen", "Counting")
        self.go_on("Silent")
        self.assertEqual((self.chain(), told), (["Silent"], ["Counting 2"]))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class PlaceTests(SynchronousTestCase):
    """
    Where in a chain they stand.
    """

    def test_between(self) -> None:
        """
        Those that are named keep their place between what was registered before and after, also when there were none.
        """
        hooks = OutboundHooks()
        named = NamedProviders(hooks)
        one, two, three = Silent(), Silent(), Silent()
        hooks.register_last(two)
        named.install(())
        hooks.register_last(three)
        hooks.register_first(one)
        hooks.freeze()
        for names in (("Counting",), ("Counting", "Lasting"), (), ("Lasting",)):
            named.install(named.load([f"{HERE}:{name}" for name in names], "x:1"))
            found = hooks.connection_goal.providers
            self.assertEqual([each for each in found if isinstance(each, Silent)], [one, two, three])
            self.assertEqual([type(each).__name__ for each in found[2 : 2 + len(names)]], list(names))
            self.assertIs(found[-1], three)

    def test_while_asked(self) -> None:
        """
        A generation that comes while a chain is asked does not change who is asked this time.
        """
        hooks = OutboundHooks()
        named = NamedProviders(hooks)
        named.install(named.load([f"{HERE}:Counting", f"{HERE}:Silent"], "x:1"))
        asked: list[object] = []

        def ask(provider: object, goal: int) -> int:
            asked.append(provider)
            named.install(())
            return goal

        hooks.connection_goal.fold(1, ask)
        self.assertEqual([type(each).__name__ for each in asked], ["Counting", "Silent"])
        self.assertFalse(hooks.connection_goal)
