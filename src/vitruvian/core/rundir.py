"""The run directory: the only interface between training, evaluation and prediction."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from vitruvian.core.config import Config, differences
from vitruvian.core.errors import RunError
from vitruvian.core.files import holding, unwritable, write_json, write_text

# libyaml's write and read the same, several times as fast
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

RUNNING, INTERRUPTED, FAILED, COMPLETE = "running", "interrupted", "failed", "complete"
PRUNED = "pruned"  # a study has ended it: it was not worth the time

# What a status says of how far a run came, which later ones repeat.
PROGRESS = (
    "host",
    "started",
    "started_step",
    "step",
    "total_steps",
    "epoch",
    "metrics",
    "simulated",
)

_PLACES = {
    "config_file": "config.yaml",
    "overrides_file": "overrides.txt",
    "environment_file": "environment.json",
    "splits_file": "splits.json",
    "status_file": "status.json",
    "tracker_file": "tracker.json",
    "metrics_file": "metrics.csv",
    "checkpoints": "checkpoints",
    "last": "checkpoints/last.ckpt",
    "best": "checkpoints/best.ckpt",
    "evaluation": "evaluation",
    "predictions": "predictions",
    "figures": "figures",
}


class RunDirectory:
    """Names and places of a run's artefacts.

    Every artefact has one name, is written to a temporary file and renamed, and only the first
    process of a run writes (contract 3 of the house).
    """

    config_file: Path
    overrides_file: Path
    environment_file: Path
    splits_file: Path
    status_file: Path
    tracker_file: Path
    metrics_file: Path
    checkpoints: Path
    last: Path
    best: Path
    evaluation: Path
    predictions: Path
    figures: Path

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def __getattr__(self, name: str) -> Path:
        """The place of an artefact, made when it is asked for: a sweep has ten thousand runs."""
        if name not in _PLACES:
            raise AttributeError(f"a run directory has no {name}")
        return self.path / _PLACES[name]

    @property
    def exists(self) -> bool:
        """Whether a config has been frozen here."""
        return self.config_file.is_file()

    @property
    def config(self) -> Config:
        """The frozen config.

        Raises:
            RunError: this is not a run directory, or its config cannot be read.
        """
        if not self.exists:
            raise RunError(f"{self.path} is not a run directory: it has no config.yaml")
        try:
            config = yaml.load(self.config_file.read_text(encoding="utf-8"), _LOADER)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            one_line = " ".join(str(error).split())
            raise RunError(f"{self.config_file} is not valid YAML: {one_line}") from error
        if not isinstance(config, dict):
            raise RunError(f"{self.config_file} holds no configuration")
        return config

    def claim(self, config: Config, overrides: list[str]) -> None:
        """Write the frozen config, or make sure that the one here is the same.

        Raises:
            RunError: the directory holds another configuration, or cannot be written.
        """
        if self.exists and self.begun:
            self._refuse_other(config)
            return
        self._make()
        self.splits_file.unlink(missing_ok=True)
        self.tracker_file.unlink(missing_ok=True)  # another run begins: its records are new ones
        write_text(self.overrides_file, "".join(f"{line}\n" for line in overrides))
        write_text(self.config_file, dump_yaml(config))

    @property
    def begun(self) -> bool:
        """Whether there is something to lose: not after a failure before the first checkpoint."""
        return self.status != FAILED or self.last.exists()

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _refuse_other(self, config: Config) -> None:
        changed = differences(config, self.config)
        if changed:
            raise RunError(
                f"{self.path} holds a run with another configuration ({'; '.join(changed[:3])}"
                f"{f'; and {len(changed) - 3} more' if len(changed) > 3 else ''}): "
                "give another run=..., or only run=... to continue this one"
            )

    def write_status(self, state: str, **details: Any) -> None:
        """Write `status.json`: the state, when, and details such as epoch and step."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(
            self.status_file, {"state": state, "updated": now, "pid": os.getpid(), **details}
        )

    def read_status(self) -> dict[str, Any]:
        """What `status.json` says; empty if there is none, or it is damaged."""
        try:
            status = json.loads(self.status_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return status if isinstance(status, dict) else {}

    @property
    def status(self) -> str | None:
        """The state last written, or None."""
        state = self.read_status().get("state")
        return None if state is None else str(state)

    def progress(self) -> dict[str, Any]:
        """How far the run came, as last written: step, epoch, figures of the validation."""
        status = self.read_status()
        return {key: status[key] for key in PROGRESS if key in status}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for one training process; the lock dies with the process.

        A file system without locks holds nothing: there the user takes care.

        Raises:
            RunError: another process is training here.
        """
        self._make()
        in_use = f"{self.path} is in use: another process is training in it"
        with holding(self.path / ".lock", lambda: in_use):
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what a killed process was writing; nobody else writes here while we hold it."""
        for folder in (self.path, self.checkpoints, self.evaluation):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)


def dump_yaml(config: Config) -> str:
    """YAML that reads back to the same values (floats keep all digits)."""
    return str(yaml.dump(config, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=100))


def new_run_path(output_dir: Path, name: str) -> Path:
    """A fresh path `<output_dir>/<name>/<time>-<random>`: two jobs never meet in one second."""
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return output_dir / name / f"{moment}-{secrets.token_hex(3)}"


def locate_run(where: Path) -> tuple[RunDirectory, Path | None]:
    """Find the run directory of a path that is a run, or a checkpoint inside one.

    Returns:
        The run directory and the checkpoint, if `where` named one.

    Raises:
        RunError: there is no run at `where`.
    """
    if where.is_file():
        return RunDirectory(where.parent.parent), where
    run = RunDirectory(where)
    if not run.exists:
        raise RunError(f"run={where}: no run directory here (it would hold a config.yaml)")
    return run, None


def chosen_checkpoint(run: RunDirectory, choice: str) -> Path:
    """The file that `best`, `last` or a path means; `best` falls back on `last`.

    Raises:
        RunError: there is no such checkpoint yet.
    """
    if choice == "best" and not run.best.is_file():
        choice = "last"
    path = {"best": run.best, "last": run.last}.get(choice, Path(choice).expanduser())
    if not path.is_file():
        raise RunError(f"checkpoint={choice}: {path} does not exist; has the run saved one yet?")
    return path
