"""
The suppression list of a service, made of what that has.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .register import Suppression, rules_of
from .store import SuppressionStore

if TYPE_CHECKING:
    from ..classification import Classification
    from ..config.configuration import Configuration
    from ..hooks.outbound import OutboundHooks
    from ..seams import Seams


def suppression_of(
    seams: Seams,
    config: Configuration,
    hooks: OutboundHooks,
    wall: Callable[[], float],
    classification: Classification,
) -> Suppression:
    """
    The list, registered where it hears of failures; not read yet.

    :raises ConfigError: a rule of the configuration is none.
    """
    directory = os.path.join(config.global_settings.state_dir, "suppression")
    store = SuppressionStore(seams.files(directory), seams.threads)
    found = Suppression(store, hooks, wall, classification.code)
    try:
        rules_of(config.global_settings)
    except ValueError as error:
        raise ConfigError(f"{config.where('global', 'suppress_rules')}: global.suppress_rules: {error}") from None
    found.configure(config.global_settings)
    hooks.log_permanent_failure_v1.register_last(found)
    return found
