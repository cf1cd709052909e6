"""
Puts status texts into an operator's words before anything follows from them.

Source: Momentum, options ``response_transcode_pattern`` and ``response_transcode_replace``.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

from ..policy.transcoding import Transcoding
from ..settings import PathSettings

#: Most pairs of options that are remembered; at the bound all are forgotten.
MOST_KEPT: Final = 1000


class _Kept:
    """
    What a pair of options comes to, and whether anybody was told what is wrong with it.
    """

    __slots__ = ("complained", "transcoding")

    def __init__(self, transcoding: Transcoding | None) -> None:
        self.transcoding = transcoding
        self.complained = transcoding is None


class Transcoder:
    """
    Remembers compiled patterns, and says once what is wrong with a pair of options
    that only a reply shows to be wrong.
    """

    __slots__ = ("_kept",)
    _log = Logger()

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}

    def said(self, settings: PathSettings, note: bytes) -> bytes:
        """
        What *note* becomes under *settings*; never anything but a refusal, which
        begins with a code from 400 to 599.

        :param note: the status text of a refusal.
        """
        options = settings.response_transcode_pattern, settings.response_transcode_replace
        if not all(options):
            return note
        kept = self._kept.get(options)
        if kept is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            kept = self._kept[options] = self._make(*options)
        if kept.transcoding is None:
            return note
        try:
            return kept.transcoding.said(note)
        except ValueError as error:
            if not kept.complained:
                kept.complained = True
                self._complain(*options, error)
            return note

    def _make(self, pattern: str, replacement: str) -> _Kept:
        try:
            return _Kept(Transcoding.of(pattern, replacement))
        except ValueError as error:
            self._complain(pattern, replacement, error)
            return _Kept(None)

    def _complain(self, pattern: str, replacement: str, error: ValueError) -> None:
        self._log.warn(
            "response_transcode_pattern {pattern} with response_transcode_replace {replacement} {error}: such replies "
            "stay as they are",
            pattern=pattern,
            replacement=replacement,
            error=error,
        )
