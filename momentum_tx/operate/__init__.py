"""
What operators ask of a running service.

* :mod:`~momentum_tx.operate.commands`: every command that
  :class:`~momentum_tx.service.OutboundService` answers to; open it first.

It does nothing of its own: each command is passed on to the part that knows,
so that whatever face an operator sees, the same objects answer.
"""
