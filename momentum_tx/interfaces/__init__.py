"""
Every contract of the package, and nothing that fulfils one.

* :mod:`~momentum_tx.interfaces.seams`: the five places where the service
  touches the world; all the rest runs on doubles of these.
* :mod:`~momentum_tx.interfaces.records`: what a hook may see of a message, a
  domain, a host, a connection.
* :mod:`~momentum_tx.interfaces.services`: resolver, spool, configuration, and
  the connection functions.
* :mod:`~momentum_tx.interfaces.hooks`: the hook contracts, under Momentum's
  names; those about reports on mail in
  :mod:`~momentum_tx.interfaces.bounce_hooks`, those about queues in
  :mod:`~momentum_tx.interfaces.queue_hooks`, those about sessions in
  :mod:`~momentum_tx.interfaces.session_hooks`.

Start with ``hooks`` to write policy, with ``seams`` to understand the tests.
Importing any of them loads no Twisted.
"""
