"""
Delivery: from a queued message to its outcome.

* :mod:`~momentum_tx.delivery.facilities`: what delivery is handed.
* :mod:`~momentum_tx.delivery.records`: every domain, host and address known.
* :mod:`~momentum_tx.delivery.routing`: which exchangers a domain has.
* :mod:`~momentum_tx.delivery.initiate`: ``initiate_connection``, one attempt.
* :mod:`~momentum_tx.delivery.initiate_smtp`: ``initiate_connection_smtp``, and
  what a failed attempt obliges to.
* :mod:`~momentum_tx.delivery.session`: message after message on a connection, in
  four layers: :mod:`~momentum_tx.delivery.securing` (TLS),
  :mod:`~momentum_tx.delivery.opening` (from greeting to ready, with what is said
  in between), :mod:`~momentum_tx.delivery.sending` (one transaction), and the rest.
* :mod:`~momentum_tx.delivery.tls_requirements`: what a connection has to have of
  TLS; :mod:`~momentum_tx.delivery.tls_policies` knows what domains want of it.
* :mod:`~momentum_tx.delivery.egress`: from which address, by which proxy.
* :mod:`~momentum_tx.delivery.transaction`: messages that share one body, from
  taking to settling.
* :mod:`~momentum_tx.delivery.settle`: what becomes of a message after an attempt;
  :mod:`~momentum_tx.delivery.held` keeps those of which nobody knows.
* :mod:`~momentum_tx.delivery.maintainer`: looks after each domain.
* :mod:`~momentum_tx.delivery.delivery`: puts the above together; open it first.

It decides nothing by itself that could be a function: those are in
:mod:`momentum_tx.policy`.
"""
