"""`vitruvian-train`: compose, freeze, train, evaluate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.cli import exit_with, parse_overrides
from vitruvian.core.errors import ConfigError, RunError

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
        from vitruvian.core.rundir import RunDirectory

        return _train_in(RunDirectory(path).path, None, [])
    from vitruvian.core.compose import compose_from_shell

    composed = compose_from_shell("train", _sweep_job)
    if composed is None:
        return 0
    config, overrides = composed
    frozen = _freeze(config)
    return _train_in(_run_path(config), frozen, overrides)


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


def _sweep_job(composed: DictConfig, overrides: list[str], directory: Path) -> None:
    config = _freeze(composed)
    if composed.run:
        raise ConfigError("run: each job of a sweep has its own directory; set hydra.sweep.dir")
    if config["trainer"].get("devices") not in (1, "1", "auto"):
        raise ConfigError(
            "trainer.devices: a sweep (--multirun) trains each job on one device for now; "
            "set trainer.devices=1, or start the jobs one by one"
        )
    if config["trainer"].get("devices") == "auto":
        config["trainer"]["devices"] = 1
    code = _train_in(directory, config, overrides)
    if code:  # stopped by a signal: the jobs that have not begun stay so
        sys.exit(code)


def _train_in(path: Path, config: Config | None, overrides: list[str]) -> int:
    from vitruvian.core.config import checked
    from vitruvian.core.rundir import COMPLETE, RunDirectory

    run = RunDirectory(path)
    if config is not None:
        run.claim(config, overrides)
    if run.status == COMPLETE:
        print(f"complete already; its figures are in {run.evaluation}")
        return 0
    frozen = checked(run.config)  # it may have been edited, or come from another version

    from vitruvian.core import engine
    from vitruvian.core.ddp import is_first_process
    from vitruvian.core.signals import Interrupted
    from vitruvian.report.result import show_result

    if is_first_process():
        print(f"training in {run.path}", flush=True)
    try:
        result = engine.train(run, frozen)
    except Interrupted as stop:
        if not is_first_process():
            return 0  # the first process speaks and answers for all
        print(f"{stop}; the state is saved, continue with: vitruvian-train run={run.path}")
        return stop.exit_code
    if is_first_process():
        show_result(result, run.path)
    return 0


if __name__ == "__main__":
    main()
