"""The sweep directory: which runs there are, and what was asked for; every run is frozen in it.

    sweep.yaml      the manifest: what was typed, what is swept, how it is started
    points.jsonl    one line for each run of a list of points: its number and its overrides
    bases/          composed configs that a study makes its trials from
    study.journal   a study's trials, unless hydra.sweeper.storage names a database
    launches.jsonl  what was handed to whom: one line for each time runs were started
    logs/           what the jobs print
    0000/ 0001/ ... run directories

Nothing here imports torch, Hydra or Optuna.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from vitruvian.core.config import Config
from vitruvian.core.errors import RunError
from vitruvian.core.files import turn, write_text
from vitruvian.core.rundir import RunDirectory, dump_yaml

MANIFEST = "sweep.yaml"
_DIGITS = 4


@dataclass(frozen=True)
class Manifest:
    """What `sweep.yaml` holds.

    Attributes:
        name: of the experiment, as in the configs.
        overrides: the command line that it was composed from.
        axes: the keys that differ from run to run.
        objectives: logged metrics to `min` or `max`; the first decides the leaderboard.
        launcher: the node of the launcher, with its `_target_`.
        study: what a sampler needs (see sweeps/study.py); None for a list of points.
        origin: when, by which version and commit, on which host.
    """

    name: str
    overrides: tuple[str, ...]
    axes: tuple[str, ...]
    objectives: dict[str, str]
    launcher: Config
    study: Config | None = None
    origin: Config = field(default_factory=dict)


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes:
        index: its number, which names its directory.
        overrides: what makes it differ from the others, such as `optimizer.lr=0.01`.
        run: its directory.
    """

    index: int
    overrides: tuple[str, ...]
    run: RunDirectory

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.run.path.name


class SweepDirectory:
    """Names and places of what a sweep keeps."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.manifest_file = self.path / MANIFEST
        self.points_file = self.path / "points.jsonl"
        self.launches_file = self.path / "launches.jsonl"
        self.bases = self.path / "bases"
        self.journal = self.path / "study.journal"
        self.logs = self.path / "logs"

    @property
    def exists(self) -> bool:
        """Whether a sweep has been frozen here."""
        return self.manifest_file.is_file()

    def manifest(self) -> Manifest:
        """Read the manifest.

        Raises:
            RunError: there is no sweep here, or its manifest is damaged.
        """
        try:
            content = yaml.safe_load(self.manifest_file.read_text(encoding="utf-8"))
            content["overrides"] = tuple(content["overrides"])
            content["axes"] = tuple(content["axes"])
            return Manifest(**content)
        except FileNotFoundError as error:
            raise RunError(f"{self.path}: no sweep here (it would hold a {MANIFEST})") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
            told = " ".join(str(error).split())
            raise RunError(f"{self.manifest_file} is damaged ({told})") from error

    def write_manifest(self, manifest: Manifest) -> None:
        """Write `sweep.yaml`, atomically."""
        lists = {"overrides": list(manifest.overrides), "axes": list(manifest.axes)}
        write_text(self.manifest_file, dump_yaml(asdict(manifest) | lists))

    def run(self, index: int) -> RunDirectory:
        """The run directory of a number."""
        return RunDirectory(self.path / f"{index:0{_DIGITS}d}")

    def runs(self) -> list[SweepRun]:
        """All runs that were frozen so far, in the order of their numbers.

        Raises:
            RunError: the list of points is damaged.
        """
        return list(self._listed() if self.points_file.is_file() else self._found())

    def write_points(self, points: Sequence[Sequence[str]]) -> None:
        """Write the list of points: the overrides of each run, by its number."""
        lines = (
            json.dumps({"index": index, "overrides": list(overrides)}, ensure_ascii=False)
            for index, overrides in enumerate(points)
        )
        write_text(self.points_file, "".join(f"{line}\n" for line in lines))

    def note_launch(self, launcher: str, jobs: Mapping[str, str], **by: Any) -> None:
        """Add a line to the list of launches; half a line of a process that was killed goes.

        Args:
            launcher: who took the jobs.
            jobs: their names, and the numbers that it gave them.
            by: what else tells the process that handed them over.
        """
        launch = {
            "launcher": launcher,
            "host": platform.node(),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "jobs": dict(jobs),
            **by,
        }
        with turn(self.path / ".launches.lock", self.launches_file):
            lines = [json.dumps(one) for one in [*read_lines(self.launches_file), launch]]
            write_text(self.launches_file, "".join(f"{line}\n" for line in lines))

    def _listed(self) -> Iterator[SweepRun]:
        for point in read_lines(self.points_file):
            try:
                index, overrides = int(point["index"]), tuple(map(str, point["overrides"]))
            except (KeyError, TypeError, ValueError) as error:
                raise RunError(f"{self.points_file} is damaged: {point}") from error
            yield SweepRun(index, overrides, self.run(index))

    def _found(self) -> Iterator[SweepRun]:
        """The runs of a study: its trials are frozen one by one."""
        numbers = sorted(int(p.parent.name) for p in self.path.glob("*/config.yaml") if _number(p))
        for index in numbers:
            run = self.run(index)
            try:
                lines = run.overrides_file.read_text(encoding="utf-8").splitlines()
            except OSError:
                lines = []
            yield SweepRun(index, tuple(lines), run)


def _number(config: Path) -> bool:
    return config.parent.name.isdecimal()


def read_lines(file: Path) -> list[Mapping[str, Any]]:
    """Read a file of one JSON object a line; none if there is no such file.

    Raises:
        RunError: a line is damaged; the last one may be half, of a process that was killed.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot read {file}: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise RunError(f"{file}, line {number} is damaged") from error
    return found
