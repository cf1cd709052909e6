"""
Where messages outlive the process: providers of
:class:`~momentum_tx.interfaces.services.ISpool`.

* :mod:`~momentum_tx.spool.journal`: the default, append-only segments with
  group commit; begin there.
* :mod:`~momentum_tx.spool.memory`: for tests; outlives nothing.
* :mod:`~momentum_tx.spool.records` is the format, :mod:`~momentum_tx.spool.scan`
  reads it back, :mod:`~momentum_tx.spool.replay` makes messages of it.
* :mod:`~momentum_tx.spool.files` and :mod:`~momentum_tx.spool.threads`: the
  real providers of the two seams the journal stands on.
* :mod:`~momentum_tx.spool.side_files` and :mod:`~momentum_tx.spool.line_file`: what
  other parts keep beside the journal.

It decides nothing about delivery and knows no queue: it keeps what it is told
and hands it back.
"""
