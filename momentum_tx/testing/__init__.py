"""
Doubles for tests, ours and yours: a whole virtual world, or parts of it.

Public: an application that embeds the service tests itself with these.  Each
keeps the contract of the part it stands for (:mod:`momentum_tx.interfaces`) and
runs on a virtual clock; none opens a socket, a file or a thread.

* :mod:`~momentum_tx.testing.world`: the real service with everything around it;
  open it first.  A week of retries takes seconds, the same seed gives the same
  story, and a process may be killed between any two of its steps.
* :mod:`~momentum_tx.testing.peers`: scripted mail exchangers with a ledger of
  what they took; :mod:`~momentum_tx.testing.injection`: a client.
* :mod:`~momentum_tx.testing.network`: deterministic TCP between
  :mod:`hosts <momentum_tx.testing.host>`, by
  :mod:`transports <momentum_tx.testing.wire>` that behave as Twisted's.
* :mod:`~momentum_tx.testing.clock`: virtual time.
* :mod:`~momentum_tx.testing.dns`, :mod:`~momentum_tx.testing.tls`,
  :mod:`~momentum_tx.testing.https`, :mod:`~momentum_tx.testing.files`,
  :mod:`~momentum_tx.testing.threads`, :mod:`~momentum_tx.testing.logs`: one
  double each.

What is not modelled: lost packets, real TLS.
"""
