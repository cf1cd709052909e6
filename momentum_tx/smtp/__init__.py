"""
SMTP as bytes in, events and bytes out: no socket, no clock, no Twisted.

* :mod:`~momentum_tx.smtp.client`: one session as client; begin here.  What it
  tells is in :mod:`~momentum_tx.smtp.events`; which reply answers which command
  knows :mod:`~momentum_tx.smtp.dialogue`.
* :mod:`~momentum_tx.smtp.server`: one session as server, for receiving mail.
  What it is given and tells is in :mod:`~momentum_tx.smtp.reception`.
* :mod:`~momentum_tx.smtp.transaction`: the commands of one transaction, their
  grouping, and the share of every recipient.
* :mod:`~momentum_tx.smtp.overlap`: the next transaction behind the final dot.
* :mod:`~momentum_tx.smtp.auth`: one authentication; its mechanisms are in
  :mod:`~momentum_tx.smtp.mechanisms` and :mod:`~momentum_tx.smtp.scram`.
* :mod:`~momentum_tx.smtp.dsn`, :mod:`~momentum_tx.smtp.parameters`: what follows
  the paths; :mod:`~momentum_tx.smtp.international`: addresses beyond ASCII.
* :mod:`~momentum_tx.smtp.transcript`: what was said, for whoever asks.
* :mod:`~momentum_tx.smtp.replies`: the strict reader of replies.
* :mod:`~momentum_tx.smtp.extensions`: what an EHLO reply offers.
* :mod:`~momentum_tx.smtp.xclient`: who the client was, told to the next server.
* :mod:`~momentum_tx.smtp.addresses`: paths, mailboxes and domains.
* :mod:`~momentum_tx.smtp.body`: dots, line ends, and the end of the data.

Nothing here waits: time limits belong to whoever owns the transport, and so
does the decision what a verdict means for the queue.
"""
