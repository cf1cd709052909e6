"""
The machine a benchmark ran on; every benchmark names it beside its figures.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine(directory: Path | None = None) -> dict[str, Any]:
    """
    What must be known to read the figures.

    :param directory: where mail is kept, if any is.
    """
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    about = {
        "processors": os.cpu_count(),
        "model": model[1] if model else platform.machine(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "twisted": version("twisted"),
        "load_before": round(os.getloadavg()[0], 2),
    }
    if directory is not None:
        about["file_system"] = file_system(directory)
    return about


def file_system(directory: Path) -> str:
    """
    Kind of the file system of a directory.
    """
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, found, *_ = line.split()
        if directory.resolve().is_relative_to(where) and len(where) >= len(best):
            best, kind = where, found
    return kind


def mail_version(searched: str) -> str | None:
    """
    Version of Postfix, if it is installed.

    :param searched: directories of programs, as in PATH.
    """
    postconf = shutil.which("postconf", path=searched)
    if postconf is None:
        return None
    return subprocess.run([postconf, "-dh", "mail_version"], capture_output=True, text=True).stdout.strip()


def heading(about: dict[str, Any], *more: str) -> str:
    """
    One line above a table.

    :param about: what :func:`machine` said.
    """
    parts = [
        f"{about['processors']} processors ({about['model']})",
        f"{about['memory_gib']} GiB",
        f"Linux {about['kernel']}",
        *([about["file_system"]] if "file_system" in about else []),
        f"Python {about['python']}",
        f"Twisted {about['twisted']}",
        *([f"Postfix {about['postfix'] or 'not installed'}"] if "postfix" in about else []),
        f"load before {about['load_before']}",
    ]
    return "; ".join((", ".join(parts), *more))
