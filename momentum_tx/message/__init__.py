"""
What concerns a message as such: its identity, its header block as octets, its
trace field.  Pure functions and small objects; no queue, no wire, no clock, no
Twisted, and no body is ever read or changed.  Open
:mod:`~momentum_tx.message.ids` first, then :mod:`~momentum_tx.message.headers`.
"""
