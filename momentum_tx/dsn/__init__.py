"""
Delivery status notifications: what becomes of mail, told to whoever sent it.

* :mod:`~momentum_tx.dsn.status`: what a reply says, as a status of RFC 3463 and
  in plain words.
* :mod:`~momentum_tx.dsn.report`: what a report tells; open it first.
* :mod:`~momentum_tx.dsn.original`: what of the message goes back with it.
* :mod:`~momentum_tx.dsn.rendering`: the report as a message.
"""
