"""`vitruvian-extract`: recordings to what a study trains on, once, in parallel, into a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.cli import exit_with
from vitruvian.core.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main() -> None:
    """Entry point of the console script."""
    exit_with(extract)


def extract() -> int:
    """Build what `conf/extract.yaml` and the command line describe, and run it."""
    from vitruvian.core.compose import compose_from_shell

    composed = compose_from_shell("extract", _no_sweep)
    if composed is None:
        return 0
    from vitruvian.core.build import build
    from vitruvian.core.config import freeze_tool

    return int(build(freeze_tool(composed[0])).run())


def _no_sweep(composed: DictConfig, overrides: list[str], directory: Path) -> None:
    raise ConfigError("--multirun: vitruvian-extract runs once; workers=N makes it parallel")


if __name__ == "__main__":
    main()
