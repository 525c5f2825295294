"""`vitruvian-train`: compose, freeze, train, evaluate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.cli import exit_with, parse_overrides
from vitruvian.core.errors import RunError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from vitruvian.core.config import Config


def main() -> None:
    """Entry point of the console script."""
    exit_with(train)


def train() -> int:
    """Train what the command line asks for; `run=DIR` alone continues the run in DIR."""
    path = run_to_continue(sys.argv[1:])
    if path is not None:
        from vitruvian.run import train_in

        return train_in(path, advise=True)
    from vitruvian.core.compose import compose_from_shell
    from vitruvian.core.rundir import RunDirectory
    from vitruvian.run import train_in

    composed = compose_from_shell("train")
    if composed is None:
        return 0
    config, overrides = composed
    frozen = _freeze(config)
    path = _run_path(config)
    RunDirectory(path).claim(frozen, overrides)
    return train_in(path, advise=True)


def run_to_continue(arguments: list[str]) -> Path | None:
    """The run directory, if the command line is `run=DIR` alone.

    Raises:
        RunError: there is no run in DIR.
    """
    if len(arguments) != 1 or not arguments[0].startswith("run="):
        return None
    path = Path(str(parse_overrides(arguments)["run"])).expanduser()
    if not (path / "config.yaml").is_file():
        raise RunError(
            f"run={path}: no run to continue here; to start one, say what as well: experiment=..."
        )
    return path


def _run_path(composed: DictConfig) -> Path:
    from vitruvian.core.rundir import new_run_path

    if composed.run:
        return Path(composed.run).expanduser()
    return new_run_path(Path(composed.output_dir), composed.name)


def _freeze(composed: DictConfig) -> Config:
    from vitruvian.core.config import freeze

    return freeze(composed)


if __name__ == "__main__":
    main()
