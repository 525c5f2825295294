"""What all verbs share: run, show a user's mistake as one line, end with the right exit code.

Exit codes: 0 done, 1 a defect of ours (with traceback), 2 something the user can mend,
128 + signal when stopped by a signal.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from vitruvian.core.errors import ConfigError, UserError
from vitruvian.core.verbosity import take_flags

log = logging.getLogger(__name__)

USER_MISTAKE = 2
INTERRUPTED = 128 + signal.SIGINT
DEVICES = ("auto", "cpu", "gpu")


def exit_with(action: Callable[[], int | None]) -> None:
    """Run a verb and leave the process with its exit code; `-v` and `-q` are the same for all."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # GNU OpenMP's threads spin for long while they wait: on a busy node a step takes ten times as
    # long. A short spin costs nothing where the cores are free (docs/benchmarks.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        take_flags()
        code = action() or 0
    except UserError as error:
        show(error)
        log.debug("where it came up", exc_info=True)
        code = USER_MISTAKE
    except KeyboardInterrupt:  # training has its own way to stop, see core/signals.py
        print("stopped", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away: `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.stdout.flush()
    sys.exit(code)


def show(error: UserError) -> None:
    """Print a user's mistake: one line each, no traceback."""
    for line in str(error).splitlines():
        print(f"error: {line}", file=sys.stderr)


def parse_overrides(arguments: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` arguments: a verb's own keys as plain text, dotted ones as Hydra does.

    Plain text, because most are paths, which may hold what Hydra's grammar gives a meaning to.

    Raises:
        ConfigError: an argument is not of the form `key=value`.
    """
    values: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key.lstrip("+~"):
            raise ConfigError(f"{argument}: expected key=value")
        values[key.lstrip("+")] = _value(argument) if "." in key else text
    return values


def _value(argument: str) -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException as error:
        raise ConfigError(f"{argument}: cannot be read as key=value; put it in quotes") from error
    if override.is_sweep_override() or override.is_delete():
        raise ConfigError(f"{argument}: expected one value")
    return override.value()


def take_keys(
    values: dict[str, Any], defaults: dict[str, Any], verb: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a verb's own keys from overrides of the run's frozen config (those with a dot).

    Raises:
        ConfigError: a key is neither; the nearest valid one is named.
    """
    from vitruvian.core.check import nearest

    own = {key: value for key, value in values.items() if "." not in key}
    for key in own:
        if key not in defaults:
            near = nearest(key, defaults)
            hint = f"; did you mean `{near}`?" if near else f"; it takes {', '.join(defaults)}"
            raise ConfigError(f"{key}: no such key of vitruvian-{verb}{hint}")
    return {**defaults, **own}, {key: value for key, value in values.items() if "." in key}


def choose(keys: dict[str, Any], name: str, valid: Sequence[str]) -> None:
    """Check a key that takes one of a few words.

    Raises:
        ConfigError: it is another word.
    """
    if keys[name] not in valid:
        raise ConfigError(f"{name}: got {keys[name]!r}, expected {' or '.join(valid)}")


def required_path(keys: dict[str, Any], name: str, verb: str) -> Path:
    """A path the user must give.

    Raises:
        ConfigError: it is missing.
    """
    if not keys[name]:
        raise ConfigError(f"{name}: a value is needed; vitruvian-{verb} {name}=PATH")
    return Path(str(keys[name])).expanduser()


def override(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of a frozen config with dotted keys replaced.

    Raises:
        ConfigError: a key is not in the config; the nearest valid one is named.
    """
    import copy

    changed = copy.deepcopy(config)
    for dotted, value in changes.items():
        _set(changed, dotted.split("."), value, dotted)
    return changed


def _set(node: Any, keys: list[str], value: Any, dotted: str) -> None:
    from vitruvian.core.check import nearest

    for depth, key in enumerate(keys):
        if not isinstance(node, dict) or key not in node:
            near = nearest(key, node) if isinstance(node, dict) else None
            hint = f"; did you mean `{'.'.join([*keys[:depth], near])}`?" if near else ""
            raise ConfigError(f"{dotted}: no such key in the run's configuration{hint}")
        if depth == len(keys) - 1:
            node[key] = value
        node = node[key]


def wants_help(arguments: Iterable[str]) -> bool:
    """Whether the user asked for help."""
    return any(argument in ("-h", "--help") for argument in arguments)
