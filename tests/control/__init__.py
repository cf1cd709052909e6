"""
Tests of :mod:`momentum_tx.control`.
"""
