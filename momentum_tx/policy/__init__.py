"""
Pure decisions: from (state, event, now) to what is to be done.

Nothing here reads a clock, a socket or a file, and nothing here changes a
record: callers in :mod:`momentum_tx.delivery` act on the answers.  Each module
is one question: when to try again (:mod:`~momentum_tx.policy.retry`), how many
connections (:mod:`~momentum_tx.policy.goal`), which address
(:mod:`~momentum_tx.policy.candidates`), which flags a failure carries
(:mod:`~momentum_tx.policy.consequence`), which binding
(:mod:`~momentum_tx.policy.bindings`), which addresses are out of bounds
(:mod:`~momentum_tx.policy.prohibited`), which clients are meant
(:mod:`~momentum_tx.policy.networks`), what TLS a connection must have
(:mod:`~momentum_tx.policy.tls`).
"""
