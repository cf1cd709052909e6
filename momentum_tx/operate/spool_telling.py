"""
Who hears of an import: the importlog, and the providers that a configuration names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import StartupError
from ..hooks.named import NamedProviders
from ..hooks.outbound import OutboundHooks
from ..logs.files import ILogFile, LogFile
from ..logs.importlog import ImportLog
from .spool_import import Result

if TYPE_CHECKING:
    from ..config.configuration import Configuration


class Telling:
    """
    Tells the hook ``log_spool_import`` what became of an import.

    :param config: of the spool's service.
    :param wall: wall time, epoch seconds.
    :param make_file: makes the file of the log by path and permissions.
    :raises StartupError: the log cannot be written, or a provider cannot be made.
    """

    def __init__(
        self,
        config: Configuration,
        wall: Callable[[], float],
        make_file: Callable[[str, int], ILogFile] = LogFile,
    ) -> None:
        self._wall = wall
        self._hooks = OutboundHooks()
        self._log: ImportLog | None = None
        settings = config.global_settings
        self._named = NamedProviders(self._hooks)
        self._named.install(self._named.load(settings.hooks, config.where("global", "hooks")))
        if settings.importlog:
            path = os.path.join(settings.log_dir or os.path.join(settings.state_dir, "log"), settings.importlog)
            try:
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                file = make_file(path, settings.importlog_mode)
                file.open()
            except OSError as error:
                where = config.where("global", "importlog")
                raise StartupError(f"{where}: global.importlog: {path} cannot be written: {error.strerror}") from None
            self._log = ImportLog(file, wall)
            self._hooks.log_spool_import.register_last(self._log)

    def tell(self, spool: str, result: Result) -> None:
        """
        Tell of one reception; of those that were there before there is nothing to tell.

        :param spool: path of the spool.
        """
        if result.code:
            for id in result.ids or (result.name,):
                self._tell(spool, id, result.code)

    def _tell(self, spool: str, id: str, code: int) -> None:
        now = self._wall()
        self._hooks.log_spool_import.notify(lambda provider: provider.log_spool_import(None, id, now, spool, code))

    def close(self) -> None:
        """
        Nobody hears of anything any more.
        """
        if self._log is not None:
            self._log.log_close()
        self._named.install(())
