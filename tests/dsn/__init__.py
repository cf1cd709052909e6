"""
Tests of :mod:`momentum_tx.dsn`.
"""
