"""
The demonstration: the whole real service against receivers of its own, on
loopback, judged message by message.

It is no benchmark and no test double: the service is the one that
``twistd momentum-tx`` runs, with its disk, its sockets and its clock, and the
receivers keep books that the service cannot see.  Begin with
:mod:`momentum_tx.demo.run`; how the books are compared is in
:mod:`momentum_tx.demo.accounting`, which has no I/O.
"""
