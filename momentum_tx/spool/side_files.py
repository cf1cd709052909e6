"""
A directory of small files beside the journal, on which nothing depends: what is in
it can be had again, or done without.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from twisted.logger import Logger

from ..errors import StartupError
from ..interfaces.seams import IJournalFiles


class SideFiles:
    """
    Opens the directory when it is first needed, replaces files as a whole, and says once
    what is wrong with it.  Called in workers.

    :param files: the directory.
    :param what: what is kept in it, for people; a plural.
    """

    _log = Logger()

    def __init__(self, files: IJournalFiles, what: str) -> None:
        self.files = files
        self._what = what
        self._open = False
        self._complained = ""

    def ready(self) -> bool:
        """
        Whether the directory is ours; it is told why not.
        """
        if not self._open:
            try:
                self.files.lock()
            except StartupError as error:
                self.complain(error)
                return False
            self._open = True
        return True

    def complain(self, error: Exception) -> None:
        """
        Something could not be kept, or read.
        """
        reason = str(error)
        # Not for each file: a full disk is one piece of news.
        if reason != self._complained:
            self._complained = reason
            self._log.warn("{what} are not kept on disk: {reason}", what=self._what, reason=reason)

    def kept(self) -> None:
        """
        Something was kept: whatever goes wrong from now on is news.
        """
        self._complained = ""

    def replace(self, name: str, new: str, buffers: Sequence[bytes]) -> None:
        """
        Give a file other content; it is whole or as it was, whatever happens.

        :param new: what it is called while it is written.
        :raises OSError: it is as it was.
        """
        with suppress(FileNotFoundError):
            # Of a process that ended in the middle.
            self.files.unlink(new)
        try:
            file = self.files.create(new)
            try:
                file.append(buffers)
                file.sync()
            finally:
                file.close()
            self.files.rename(new, name)
            self.files.sync_names()
        except OSError:
            with suppress(OSError):
                self.files.unlink(new)
            raise
        self.kept()

    def close(self) -> None:
        """
        Let go of the directory; harmless twice.
        """
        if self._open:
            self._open = False
            self.files.unlock()
