"""
Proof of durability: the real service in a process of its own, killed at every
kind of step its journal makes, and judged by what injector and receivers know.

Nothing in the service knows of it: the files seam is handed in with a watch
around it.  Begin with :mod:`momentum_tx.torture.run`.  What is killed where is in
:mod:`momentum_tx.torture.points`; the watch in the process that dies in
:mod:`momentum_tx.torture.watch`; what it leaves behind in
:mod:`momentum_tx.torture.evidence`; the judgement, which has no I/O, in
:mod:`momentum_tx.torture.judge`.
"""
