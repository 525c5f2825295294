"""Packages that a tracker needs."""

from __future__ import annotations

from importlib.util import find_spec

from vitruvian.core.errors import ConfigError


def need(package: str, role: str) -> None:
    """Make sure that a package is installed, without importing it.

    Raises:
        ConfigError: it is not, and which extra of Vitruvian brings it.
    """
    if find_spec(package) is None:
        raise ConfigError(
            f"logger.{role}: {package} is not installed; pip install 'vitruvian[{role}]', "
            "or choose logger=tensorboard"
        )
