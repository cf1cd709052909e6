"""
``python -m momentum_tx.testing.fuzz``.
"""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
