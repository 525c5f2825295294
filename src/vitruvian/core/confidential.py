"""What no config may hold: it is saved, logged, put into checkpoints and shown to colleagues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_NAMES = re.compile(
    r"(^|_)(api_?key|access_?key|auth|passwd|password|pwd|secret|token|credentials?)$", re.I
)
_IN_ADDRESS = re.compile(r"://[^/@\s]*:[^/@\s]+@|[?&](password|token|api_?key)=[^&\s]", re.I)
_VARIABLES = {
    "wandb": "WANDB_API_KEY",
    "mlflow": "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)",
}


def in_address(text: str) -> bool:
    """Whether an address holds a password: `http://me:password@tracking`."""
    return _IN_ADDRESS.search(text) is not None


def confidential(logger: Any, path: str = "logger") -> Iterator[str]:
    """Yield what is confidential in the loggers' part of a config; the message never repeats it."""
    if isinstance(logger, dict):
        for key, value in logger.items():
            place = f"{path}.{key}"
            if value is not None and _NAMES.search(str(key)):
                yield f"{place}: no secrets in a config; {_instead(place)}"
            else:
                yield from confidential(value, place)
    elif isinstance(logger, list):
        for index, value in enumerate(logger):
            yield from confidential(value, f"{path}[{index}]")
    elif isinstance(logger, str) and in_address(logger):
        yield f"{path}: no user and password in an address; {_instead(path)}"


def _instead(path: str) -> str:
    found = next((names for kind, names in _VARIABLES.items() if kind in path), None)
    return f"set {found or 'them'} in the environment"
