"""
What concerns a message as such: its identity, its header block as octets, its
trace field.  Pure functions and small objects; no queue, no wire, no clock, no
Twisted, and no body is read or changed but by
:mod:`~momentum_tx.message.eight_bit`.  Open :mod:`~momentum_tx.message.ids` first,
then :mod:`~momentum_tx.message.headers`.
"""
