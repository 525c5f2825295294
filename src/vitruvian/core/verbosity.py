"""How much a verb says: `-v` and `-q`, Hydra's own logging keys, and what our processes inherit.

`-v` shows the debug lines of Vitruvian, `-q` only warnings, results and errors. With the verbs that
compose a configuration they are written as Hydra's keys, which can be typed as well:
`hydra.verbose=[vitruvian]` and `hydra.job_logging.root.level=WARNING`. Folds and jobs of a sweep
are told by an environment variable.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vitruvian.core.errors import ConfigError

VARIABLE = "VITRUVIAN_LOG"
DEBUG, QUIET = "debug", "quiet"
_FLAGS = {"-v": DEBUG, "--verbose": DEBUG, "-q": QUIET, "--quiet": QUIET}
_OURS = "vitruvian"
_HYDRA = {DEBUG: f"hydra.verbose=[{_OURS}]", QUIET: "hydra.job_logging.root.level=WARNING"}


def take_flags() -> None:
    """Take `-v` and `-q` off the command line and set the levels.

    Raises:
        ConfigError: both are given.
    """
    chosen = {_FLAGS[argument] for argument in sys.argv[1:] if argument in _FLAGS}
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument not in _FLAGS]
    _set(os.environ.get(VARIABLE, ""))  # first of all: errors are shown either way
    if len(chosen) > 1:
        raise ConfigError("-v, -q: to say more and to say less exclude each other")
    for choice in chosen:
        os.environ[VARIABLE] = choice  # for the processes that we start
        _set(choice)


def _set(choice: str) -> None:
    logging.getLogger().setLevel(logging.WARNING if choice == QUIET else logging.INFO)
    logging.getLogger(_OURS).setLevel(logging.DEBUG if choice == DEBUG else logging.NOTSET)


def speaks() -> bool:
    """Whether more is to be said than warnings and results."""
    return os.environ.get(VARIABLE) != QUIET


def remember() -> None:
    """Take over what Hydra has been told by its own keys, also for processes that we start."""
    ours = logging.getLogger(_OURS)
    quiet = "" if ours.isEnabledFor(logging.INFO) else QUIET
    os.environ[VARIABLE] = DEBUG if ours.isEnabledFor(logging.DEBUG) else quiet


def greet(line: str) -> None:
    """Say what begins to somebody who watches; a pipe gets the results alone."""
    if sys.stderr.isatty() and speaks():
        print(line, file=sys.stderr, flush=True)


@contextmanager
def as_hydra_keys() -> Iterator[None]:
    """Hydra sets the levels anew when it composes: tell it what was chosen, by its own keys."""
    before = sys.argv
    choice = os.environ.get(VARIABLE, "")
    if choice in _HYDRA and not _typed(before):
        sys.argv = [*before, _HYDRA[choice]]
    try:
        yield
    finally:
        sys.argv = before


def _typed(arguments: Sequence[str]) -> bool:
    """Whether one of the two keys is typed: that goes before what was inherited."""
    keys = {key.partition("=")[0].lstrip("+") for key in _HYDRA.values()}
    return any(argument.partition("=")[0].lstrip("+") in keys for argument in arguments)
