"""
The outbound side of the Momentum mail server, as a Python package on Twisted.
"""

from .flags import ConnFlag

__all__ = ["ConnFlag"]
