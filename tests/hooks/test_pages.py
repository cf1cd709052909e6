"""
Tests of :mod:`momentum_tx.hooks.pages`.  That the pages in ``doc`` are these is
tested in ``test_docs``.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface

from momentum_tx.hooks.pages import HookPage
from momentum_tx.hooks.points import Fold, HookPoint, Notice, Veto
from momentum_tx.hooks.turn import Turn


class ITold(Interface):
    """
    Hook: it has rained.  Shape: *notice*.

    Mostly in autumn, see :class:`~momentum_tx.interfaces.records.IMessage`.

    Source: ours; `how it is measured <../rain.md>`_.

    See also: ``dry``.
    """

    def rain(where: str, much: float | None) -> None:
        """
        When it
        stops.

        :param where: the place, such as ``a|b``.
        :param much: litres
            per square metre.
        """


class IAsked(Interface):
    """
    Hook: how wet is it? Shape:
    *fold* over litres.

    Default: as wet as it was.

    Source: ours.
    """

    def wet(litres: float) -> float:
        """
        Now and then.

        :param litres: so far.
        :returns: litres.
        """


class IUnexplained(Interface):
    """
    Hook: what?  Shape: *veto*.

    Default: nothing.

    Source: ours.
    """

    def what(why: str) -> bool:
        """
        Never.
        """


class ISilent(Interface):
    """
    A contract.
    """

    def silent() -> None:
        """
        Whenever.
        """


def page(point: HookPoint[object], *names: str) -> str:
    return HookPage(point, names).text("print('rain')\n")


class HookPageTests(SynchronousTestCase):
    """
    One page.
    """

    def test_notice(self) -> None:
        """
        All of a contract is on its page, in Markdown; names of other hooks are links.
        """
        text = page(Notice(ITold, Turn()), "rain", "dry")
        self.assertTrue(text.startswith("# rain\n\nIt has rained.\n\nMostly in autumn, see `IMessage`.\n"), text)
        self.assertIn("\n| method | `rain(where, much) -> None` |\n", text)
        self.assertIn("\n| source | ours; [how it is measured](../rain.md). |\n", text)
        self.assertIn("\n## When it is told\n\nWhen it\nstops.\n", text)
        self.assertIn("\n| `where` | `str` | The place, such as `a\\|b`. |\n", text)
        self.assertIn("\n| `much` | `float \\| None` | Litres per square metre. |\n", text)
        self.assertIn("\n## Answer\n\nNone: whatever is returned is ignored.\n", text)
        self.assertIn("```python\nprint('rain')\n```\n\nSee also: [dry](dry.md); [how to write a hook]", text)

    def test_question(self) -> None:
        """
        A hook that is asked says what an answer does, and what happens without.
        """
        text = page(Fold(IAsked, Turn(), float))
        self.assertIn("\n| shape | *fold* over litres: every provider is asked in turn", text)
        self.assertIn("\n## When it is asked\n\nNow and then.\n", text)
        self.assertIn("\n## Answer\n\nLitres.\n", text)
        self.assertIn("\n## Default\n\nAs wet as it was.\n", text)

    def test_incomplete(self) -> None:
        """
        A contract that leaves something out, or says what is not so, has no page.
        """
        turn = Turn()
        for point, reason in (
            (Veto(IUnexplained, turn), "why is not explained"),
            (Notice(ISilent, turn), "no Hook, no Shape or no Source"),
            (Notice(IAsked, turn), "it says fold, and is a Notice"),
        ):
            with self.assertRaises(ValueError) as caught:
                page(point)
            self.assertIn(reason, str(caught.exception))
