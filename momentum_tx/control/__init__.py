"""
What an operator asks of a service that runs, over a socket in its directory
(Momentum: ``ec_console`` and the control port).

* :mod:`~momentum_tx.control.commands`: commands by name, and how one is carried
  out; open it first.
* :mod:`~momentum_tx.control.server`: the socket's other end in the service.
* :mod:`~momentum_tx.control.client`: for programs that ask.

Only who may open the socket, a file of mode 0600, is listened to.  What the commands
do is the business of :mod:`momentum_tx.operate`.
"""
