"""
Tests of :mod:`momentum_tx.suppression`.
"""
