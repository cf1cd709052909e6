"""
Options of the logs whose form is the operator's own.
"""

from dataclasses import dataclass, fields
from typing import Final

from .logs import LogSettings
from .option import GLOBAL, option

_DIFFERS = "It is an option of the module custom_logger there, without the prefix."


@dataclass(frozen=True, slots=True)
class CustomLogSettings(LogSettings):
    """
    The part of [global] that is about custom_logger.
    """

    custom_logger_reception_format: str = option(
        "",
        'Record of a reception, with macros, as in "%t{%Y-%m-%d} %i %r@%R"; empty writes none.',
        scopes=GLOBAL,
        differs=_DIFFERS,
    )
    custom_logger_reception_logfile: str = option(
        "customlog", "File of these records; several kinds may share one.", scopes=GLOBAL, differs=_DIFFERS
    )
    custom_logger_delivery_format: str = option(
        "", "Record of a delivery; empty writes none.", scopes=GLOBAL, differs=_DIFFERS
    )
    custom_logger_delivery_logfile: str = option("customlog", "File of these.", scopes=GLOBAL, differs=_DIFFERS)
    custom_logger_transient_failure_format: str = option(
        "", "Record of a failure that is tried again; empty writes none.", scopes=GLOBAL, differs=_DIFFERS
    )
    custom_logger_transient_failure_logfile: str = option(
        "customlog", "File of these.", scopes=GLOBAL, differs=_DIFFERS
    )
    custom_logger_permanent_failure_format: str = option(
        "", "Record of a failure that is final; empty writes none.", scopes=GLOBAL, differs=_DIFFERS
    )
    custom_logger_permanent_failure_logfile: str = option(
        "customlog", "File of these.", scopes=GLOBAL, differs=_DIFFERS
    )
    custom_logger_mode: int = option(
        0o644, "Permissions of these files.", "mode bits", GLOBAL, minimum=0, maximum=0o777, differs=_DIFFERS
    )


#: The names of these options.
CUSTOM_LOGGER: Final = tuple(
    field.name for field in fields(CustomLogSettings) if field.name.startswith("custom_logger_")
)
