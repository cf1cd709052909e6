"""
Programs that these tests run against.
"""

import os
import shutil
from unittest import SkipTest

#: Where servers live that are not in everybody's PATH.
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
#: Set to 1 where every program is expected, so that none is skipped unseen.
REQUIRE_ALL = "MOMENTUM_TX_REQUIRE_ALL"


def require(program: str) -> str:
    """
    The path of *program*; without it the test is skipped, or fails where all
    are required.

    Call it in a test or its ``setUp``.
    """
    path = shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM)))
    if path is not None:
        return path
    if os.environ.get(REQUIRE_ALL) == "1":
        raise AssertionError(f"{program} is not installed, and {REQUIRE_ALL} is set")
    raise SkipTest(f"{program} is not installed")
