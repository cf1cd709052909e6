"""
The records of delivery: receptions and messages, the queues of a domain, the
domain and host records.  Data and its bookkeeping; no decision, no clock, no
Twisted.  Open :mod:`~momentum_tx.queues.message` first, then
:mod:`~momentum_tx.queues.mail_queue`.
"""
