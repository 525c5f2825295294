"""Packages that only some formats of recordings need."""

from __future__ import annotations

import importlib
from typing import Any

from vitruvian.core.errors import ConfigError


def needed(package: str, what: str) -> Any:
    """Import a package of the extra `recordings` when it is first needed.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"{what} need {package}; install it with pip install vitruvian[recordings]"
        ) from error
