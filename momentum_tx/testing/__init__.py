"""
Doubles for tests, ours and yours: a whole virtual world, or parts of it.

Public: an application that embeds the service tests itself with these.  Each
keeps the contract of the part it stands for (:mod:`momentum_tx.interfaces`) and
runs on a virtual clock; none opens a socket, a file or a thread.

* :mod:`~momentum_tx.testing.world`: the real service with everything around it;
  open it first.  A week of retries takes seconds, the same seed gives the same
  story, and a process may be killed between any two of its steps.
* :mod:`~momentum_tx.testing.bench`: one policy on a bench, asked one question, and
  makers of what it is asked with; :mod:`~momentum_tx.testing.bench_connections`: what
  it connects to there.
* :mod:`~momentum_tx.testing.summary`: what has become of all mail, in numbers.
* :mod:`~momentum_tx.testing.peers`: scripted mail exchangers with a ledger of
  what they took, and :mod:`one connection <momentum_tx.testing.peer_session>` to
  them, and the :mod:`answers <momentum_tx.testing.answers>` they give;
  :mod:`~momentum_tx.testing.behaviours`: the habits of real ones,
  :mod:`~momentum_tx.testing.sasl`: and of those that want to know their clients;
  :mod:`~momentum_tx.testing.injection`: a client.
* :mod:`~momentum_tx.testing.network`: deterministic TCP between
  :mod:`hosts <momentum_tx.testing.host>`, by
  :mod:`transports <momentum_tx.testing.wire>` that behave as Twisted's, one at
  each :mod:`end <momentum_tx.testing.end>` of
  :mod:`lines <momentum_tx.testing.line>` with latency, bandwidth and accidents;
  :mod:`~momentum_tx.testing.datagrams`: UDP, which gets lost;
  :mod:`~momentum_tx.testing.proxies`: proxies between hosts;
  :mod:`~momentum_tx.testing.local`: sockets in a file system.
* :mod:`~momentum_tx.testing.clock`: virtual time;
  :mod:`~momentum_tx.testing.reactor`: a reactor on it, for code that asks one for
  sockets.
* :mod:`~momentum_tx.testing.dns`: what DNS says, and a resolver that answers from
  it; :mod:`~momentum_tx.testing.nameserver`: servers that say it over the
  network, to the resolver of production.
* :mod:`~momentum_tx.testing.tls`, :mod:`~momentum_tx.testing.https`,
  :mod:`~momentum_tx.testing.files`, :mod:`~momentum_tx.testing.threads`,
  :mod:`~momentum_tx.testing.onlooker`, :mod:`~momentum_tx.testing.logs`: one
  double each.
* :mod:`~momentum_tx.testing.fuzz`: worlds made from seeds, and a judge of every
  step.

What is not modelled: lost packets of TCP, real TLS, the time that processors
take.  ``doc/howto/test-a-policy.md`` shows how it is used.
"""
