"""
Keeps MTA-STS policies in files, one for each domain, so that they outlive the process.

Written and read by workers, never in the reactor thread.  A file is whole or not
there: it is written under another name, synced, and renamed.  Nothing depends on
a file: what cannot be read is fetched again.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from typing import Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import SpoolError, StartupError
from ..interfaces.seams import IJournalFiles, IThreadExecutor
from ..policy.mta_sts import BadPolicy, KeptPolicy, dump_kept, parse_kept
from ..spool.side_files import SideFiles

T = TypeVar("T")

#: End of the name of a file with a policy.
SUFFIX: Final = ".sts"
#: Beginning of the name of one that is being written; no domain begins so.
_NEW: Final = ".new-"
#: Octets read of a file; the policy in it has at most 64 KiB.
_MOST_OCTETS: Final = 128 * 1024
#: Domains whose policies are kept; beyond that those go that end first.
MOST_FILES: Final = 100_000
#: Names that are safe as names of files.
_PLAIN: Final = re.compile(r"[a-z0-9_-][a-z0-9_.-]{0,239}")


class STSStore:
    """
    The directory with the policies.  What goes wrong with it is logged, and there is no
    policy then.

    :param files: the directory.
    :param threads: do the work.
    """

    _log = Logger()

    def __init__(self, files: IJournalFiles, threads: IThreadExecutor) -> None:
        self._side = SideFiles(files, "MTA-STS policies")
        self._threads = threads

    def load(self, domain: str) -> Deferred[KeptPolicy | None]:
        """
        The policy that is kept of *domain*, however old; ``None`` without one.  Never fails.
        """
        return self._threads.run(self._load, domain).addErrback(_stopped, None)

    def save(self, kept: KeptPolicy) -> Deferred[None]:
        """
        Keep a policy.  Never fails.
        """
        return self._threads.run(self._save, kept).addErrback(_stopped, None)

    def sweep(self, now: float) -> Deferred[list[KeptPolicy]]:
        """
        Remove what is over or unreadable.  Never fails.

        :param now: wall time.
        :returns: fires with what is left.
        """
        return self._threads.run(self._sweep, now).addErrback(_stopped, [])

    def close(self) -> None:
        """
        Let go of the directory.
        """
        self._side.close()

    # What workers do.

    def _load(self, domain: str) -> KeptPolicy | None:
        if not self._side.ready():
            return None
        kept = self._read(file_name(domain))
        return kept if kept is not None and kept.domain == domain else None

    def _read(self, name: str) -> KeptPolicy | None:
        try:
            file = self._side.files.open(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._side.complain(error)
            return None
        try:
            return parse_kept(file.read(0, _MOST_OCTETS))
        except OSError as error:
            self._side.complain(error)
        except BadPolicy as error:
            self._log.warn("the kept MTA-STS policy {name} is removed: {error}", name=name, error=error)
            with suppress(OSError):
                self._side.files.unlink(name)
        finally:
            file.close()
        return None

    def _save(self, kept: KeptPolicy) -> None:
        if not self._side.ready():
            return
        name = file_name(kept.domain)
        new = _NEW + hashlib.sha256(name.encode()).hexdigest()[:32]
        try:
            self._side.replace(name, new, [dump_kept(kept)])
        except OSError as error:
            self._side.complain(error)

    def _sweep(self, now: float) -> list[KeptPolicy]:
        if not self._side.ready():
            return []
        left = []
        try:
            for name in self._side.files.names():
                if name.endswith(SUFFIX):
                    kept = self._read(name)
                    if kept is not None and kept.expires > now and file_name(kept.domain) == name:
                        left.append(kept)
                    elif kept is not None:
                        self._side.files.unlink(name)
            left.sort(key=lambda kept: kept.expires)
            for kept in left[:-MOST_FILES]:
                self._side.files.unlink(file_name(kept.domain))
        except (OSError, StartupError) as error:
            self._side.complain(error)
        return left[-MOST_FILES:]


def _stopped(failure: Failure, instead: T) -> T:
    """
    The service has stopped, and its workers with it.
    """
    failure.trap(SpoolError)
    return instead


def file_name(domain: str) -> str:
    """
    Where the policy of *domain* is kept.
    """
    plain = _PLAIN.fullmatch(domain) is not None
    return (domain if plain else hashlib.sha256(domain.encode()).hexdigest()) + SUFFIX
