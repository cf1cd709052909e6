"""
Delivery status notifications: what becomes of mail, told to whoever sent it.

* :mod:`~momentum_tx.policy.status`: what a reply says, as a status of RFC 3463 and
  in plain words.
* :mod:`~momentum_tx.dsn.report`: what a report tells; open it first.
* :mod:`~momentum_tx.dsn.original`: what of the message goes back with it.
* :mod:`~momentum_tx.dsn.rendering`: the report as a message.
* :mod:`~momentum_tx.dsn.wishes`: of what a sender is told, and
  :mod:`~momentum_tx.dsn.rates`: how often the senders of one domain are.
* :mod:`~momentum_tx.dsn.writer`: one report, with all hooks asked.
* :mod:`~momentum_tx.dsn.notifier`: the queue of reports, and the moment at which a
  failure is settled.
* :mod:`~momentum_tx.dsn.lateness`: mail that is late, by
  :mod:`its schedule <momentum_tx.dsn.schedule>`.
"""
