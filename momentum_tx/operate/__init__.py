"""
What operators ask.

* :mod:`~momentum_tx.operate.commands`: every command that
  :class:`~momentum_tx.service.OutboundService` answers to; open it first.
* :mod:`~momentum_tx.operate.dkim`: keys that sign mail, for which no service has to run.
* :mod:`~momentum_tx.operate.log`: records of logs, from file to file; likewise.
* :mod:`~momentum_tx.operate.spool`: what lies in a spool; likewise.

It does nothing of its own: each command is passed on to the part that knows,
so that whatever face an operator sees, the same objects answer.
"""
