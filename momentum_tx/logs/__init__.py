"""
What operators read afterwards: text records in Momentum's formats, one line
each, written once per turn of the reactor.

It decides nothing, and it never holds mail up: a log that cannot be written
loses lines, counts them, and says so.  Open :mod:`~momentum_tx.logs.mainlog`
first; the fields are in ``doc/reference/mainlog.md``.  What the logs of records have in
common is in :mod:`~momentum_tx.logs.gathered` and :mod:`~momentum_tx.logs.fields`;
:mod:`~momentum_tx.logs.bouncelog`, :mod:`~momentum_tx.logs.acctlog` and
:mod:`~momentum_tx.logs.importlog` are some more.  Files are set aside by
:mod:`~momentum_tx.logs.rotation`, under :mod:`~momentum_tx.logs.names`, and
:mod:`~momentum_tx.logs.reader` reads on from one to the next.  Dialogues of what failed are kept by
:mod:`~momentum_tx.logs.transcripts`.
"""
