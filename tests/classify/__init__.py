"""
Tests of :mod:`momentum_tx.classify`.
"""
