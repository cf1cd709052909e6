"""
Doubles for tests, ours and yours: scripted peers, a virtual network, a resolver
that answers from a table.

Public: an application that embeds the service tests itself with these.  Each
keeps the contract of the part it stands for (:mod:`momentum_tx.interfaces`) and
runs on a ``twisted.internet.task.Clock``; none opens a socket.

Begin with :mod:`~momentum_tx.testing.dns`, the shortest.
"""
