"""What no config may hold: it is saved, logged, put into checkpoints and shown to colleagues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_NAMES = re.compile(
    r"(^|[_-])(api[_-]?key|access[_-]?key|private[_-]?key|auth|authorization|passphrase"
    r"|passwd|password|pwd|secret|token|credentials?)$",
    re.I,
)
# A password may hold a slash; digits before one are a port, and then the host has been named.
_PASSWORD = r"://(?!\[)[^/@\s:]*:(?!\d+[/?#])[^@\s]+@"
_IN_ADDRESS = re.compile(
    rf"{_PASSWORD}|://[^/@\s?#]+@"
    r"|[?&#;][^=&\s]*(token|key|secret|sig|password)[^=&\s]*=[^&\s]",
    re.I,
)
_PASSWORD_IN_ADDRESS = re.compile(rf"{_PASSWORD}|://\S*[?&][^=&\s]*password=[^&\s]", re.I)
_DATABASE = re.compile(r"^(postgres|mysql|mariadb)", re.I)
_VARIABLES = {
    "wandb": "WANDB_API_KEY",
    "mlflow": "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)",
}


def in_address(text: str) -> bool:
    """Whether an address holds a user, a password or a key: `http://me:password@tracking`."""
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


def passwords(node: Any, path: str = "") -> Iterator[str]:
    """Yield the addresses with a password anywhere in a config; the message never repeats it."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from passwords(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from passwords(value, f"{path}[{index}]")
    elif isinstance(node, str) and _PASSWORD_IN_ADDRESS.search(node):
        yield f"{path}: a password in an address would be stored with every run; {_leave(node)}"


def _leave(address: str) -> str:
    if _DATABASE.search(address):
        return "put it into VITRUVIAN_DATABASE_PASSWORD, PGPASSWORD or ~/.pgpass"
    return "take it out"


def _instead(path: str) -> str:
    found = next((names for kind, names in _VARIABLES.items() if kind in path), None)
    return f"set {found or 'them'} in the environment"
