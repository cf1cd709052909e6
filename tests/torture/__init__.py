"""
Tests of :mod:`momentum_tx.torture`.
"""
