"""
Keys of the tests: generated once, as making an RSA key takes a while.
"""

from functools import cache

from momentum_tx.message.dkim_keys import SigningKey


@cache
def _made(kind: str, bits: int) -> bytes:
    return SigningKey.generate(kind, bits)[1]


def pem(kind: str, bits: int = 2048) -> bytes:
    """
    The file of a key.
    """
    return _made(kind, bits)


def key(kind: str, bits: int = 2048) -> SigningKey:
    """
    The key of :func:`pem`.
    """
    return SigningKey.parse(pem(kind, bits))
