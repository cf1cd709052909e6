"""
The fuzz driver: the real service in worlds made from numbers, and a judge who
watches every step.

``python -m momentum_tx.testing.fuzz --seeds 100`` plays the worlds of a hundred
seeds.  What it found so far is in ``doc/explanation/fuzzing.md``.

* :mod:`~momentum_tx.testing.fuzz.plan`: a world and what happens in it, as plain data.
* :mod:`~momentum_tx.testing.fuzz.making`: a plan from a seed;
  :mod:`~momentum_tx.testing.fuzz.operator`: the policies in it;
  :mod:`~momentum_tx.testing.fuzz.said`: what senders say of their mail.
* :mod:`~momentum_tx.testing.fuzz.stage`: the world of a plan, and its events.
* :mod:`~momentum_tx.testing.fuzz.play`: plays a plan to its end; open it first.
* :mod:`~momentum_tx.testing.fuzz.books`: what became of every message, as seen from outside.
* :mod:`~momentum_tx.testing.fuzz.observer`, :mod:`~momentum_tx.testing.fuzz.journal_watch`,
  :mod:`~momentum_tx.testing.fuzz.attempts`, :mod:`~momentum_tx.testing.fuzz.edges`,
  :mod:`~momentum_tx.testing.fuzz.measures`, :mod:`~momentum_tx.testing.fuzz.turns`: where the
  judge looks: hooks, the disk, ``initiate_connection``, our end of the wire, queues.
* :mod:`~momentum_tx.testing.fuzz.invariants`: what must hold, and when it is looked at.
* :mod:`~momentum_tx.testing.fuzz.misbehaviour`: hook providers nobody would want.
* :mod:`~momentum_tx.testing.fuzz.shrink`: a smaller plan with the same fault.
* :mod:`~momentum_tx.testing.fuzz.command`: the command line.
"""
