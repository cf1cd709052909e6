"""
Momentum's hooks: where they are registered, and how they are called.

* :mod:`~momentum_tx.hooks.points`: a hook point and its five shapes, and
  :mod:`~momentum_tx.hooks.turn`: whose turn it is.
* :mod:`~momentum_tx.hooks.providers`: one provider of a hook, how it does, and its
  breaker; with :mod:`~momentum_tx.hooks.snapshots` for those in threads.
* :mod:`~momentum_tx.hooks.outbound`: every hook point of a service; open it
  first.
* :mod:`~momentum_tx.hooks.loggers`: whole loggers as providers.
* :mod:`~momentum_tx.hooks.pages`: their reference pages, written from the contracts.

What a hook is asked is not here but in its contract
(:mod:`momentum_tx.interfaces.hooks`).  Only :mod:`momentum_tx.delivery` and
:mod:`momentum_tx.inject` call hooks; lower floors are handed callables.
"""
