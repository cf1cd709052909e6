"""
How mail comes in: the receiver that takes responsibility, and its faces.

* :mod:`~momentum_tx.inject.receiver`: from a message at the door to durable,
  queued messages; every face uses it.
* :mod:`~momentum_tx.inject.smtp`: the SMTP listener.
* :mod:`~momentum_tx.inject.in_process`: ``send``, for the embedding application.

Nothing is delivered here.
"""
