"""
Tests of :mod:`momentum_tx.hooks.states`; what states do in a session is in test_conversation.
"""

from collections.abc import Generator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import StartupError
from momentum_tx.hooks.outbound import OutboundHooks
from momentum_tx.hooks.states import INSERT_AFTER, StateProvider
from momentum_tx.interfaces.hooks import ISmtpClientState
from momentum_tx.stages import Stage


def state(session: Any) -> Generator[Any, Any, None]:
    """
    Says who it is talking to.
    """
    yield session


class StateProviderTests(SynchronousTestCase):
    """
    A state that is registered by itself.
    """

    def test_in_its_place(self) -> None:
        """
        It speaks after one stage and is silent after the others.
        """
        for place in INSERT_AFTER:
            provider = StateProvider(state, place)
            verifyObject(ISmtpClientState, provider)
            session: Any = b"who"
            for after in INSERT_AFTER:
                words = provider.smtp_client_state(session, after)
                self.assertEqual(None if words is None else list(words), [b"who"] if after is place else None)
            self.assertIn(str(place), repr(provider))

    def test_too_late(self) -> None:
        """
        Nothing is put in once the service has started.
        """
        hooks = OutboundHooks()
        hooks.register_smtp_client_state(state, Stage.AFTER_EHLO)
        self.assertEqual(len(hooks.smtp_client_state.providers), 1)
        hooks.freeze()
        self.assertRaises(StartupError, hooks.register_smtp_client_state, state, Stage.AFTER_EHLO)
