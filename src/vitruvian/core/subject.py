"""What a tracker is told: what a run is before its first step, and what its evaluation found."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from vitruvian.core.config import Config, flatten
from vitruvian.core.errors import DataError
from vitruvian.core.evaluation import Evaluation, read
from vitruvian.core.gallery import Figure, read_gallery
from vitruvian.core.history import read_history
from vitruvian.core.rundir import RunDirectory, dump_yaml
from vitruvian.core.views import tables_of

log = logging.getLogger(__name__)

MODEL = "model"  # the predictor that is no baseline
_DRAWN = ".figures-"
SCALE = 1.5  # pixels for each point of a chart

Parameter = str | int | float | bool | None


@dataclass(frozen=True)
class Subject:
    """A run, as trackers show it.

    Attributes:
        run: its directory.
        study: the root key `name`.
        title: what tells it from others; says so where its data are simulated.
        group: the sweep that it belongs to, or None.
        axes: what its sweep varies, with the run's own values.
        parameters: every leaf of the frozen config.
        config: the frozen config as text.
        environment: commit, packages and hardware; neither host nor command nor changes.
        simulated: whether its data are.
    """

    run: RunDirectory
    study: str
    title: str
    group: str | None
    axes: dict[str, str]
    parameters: dict[str, Parameter]
    config: str
    environment: dict[str, Any]
    simulated: bool

    @property
    def data(self) -> str:
        """Where its data come from, in a word."""
        return "simulated" if self.simulated else "real"


def subject_of(run: RunDirectory, config: Config, simulated: bool) -> Subject:
    """Gather what is told of a run before its first step."""
    group, axes = _sweep_of(run)
    place = f"{run.path.parent.name}/{run.path.name}" if group else run.path.name
    return Subject(
        run=run,
        study=str(config["name"]),
        title=f"{place} (simulated)" if simulated else place,
        group=group,
        axes=axes,
        parameters=flat_parameters(config),
        config=dump_yaml(config),
        environment=_environment(run),
        simulated=simulated,
    )


def flat_parameters(config: Config) -> dict[str, Parameter]:
    """Every leaf of the frozen config by its dotted key; a list, or an empty dict, as text."""
    plain = (str, int, float, bool, type(None))
    return {
        key: value if isinstance(value, plain) else json.dumps(value, ensure_ascii=False)
        for key, value in flatten(config)
    }


def _environment(run: RunDirectory) -> dict[str, Any]:
    """Of the last start: what a number depends on, and nothing that tells of people or places."""
    try:
        found = json.loads(run.environment_file.read_text(encoding="utf-8"))["starts"][-1]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return {}
    kept = ("started", "vitruvian", "python", "platform", "cpu_cores", "gpus", "packages")
    git = found.get("git") or {}
    modified = "-modified" if git.get("diff") else ""
    commit = f"{git['commit']}{modified}" if git.get("commit") else None
    return {"commit": commit, **{key: found.get(key) for key in kept}}


def _sweep_of(run: RunDirectory) -> tuple[str | None, dict[str, str]]:
    """The sweep in whose directory a run lies, and the run's own values of its axes."""
    manifest = run.path.parent / "sweep.yaml"
    try:
        content = yaml.safe_load(manifest.read_text(encoding="utf-8"))
        lines = run.overrides_file.read_text(encoding="utf-8").splitlines()
        axes = [str(axis) for axis in content["axes"]]
        name = str(content["name"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None, {}
    given = dict(line.lstrip("+").partition("=")[::2] for line in lines)
    return f"{name}/{run.path.parent.name}", {axis: given[axis] for axis in axes if axis in given}


# -- what an evaluation found ----------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """One table of cases: its name, its file and what it holds."""

    name: str
    file: Path
    evaluation: Evaluation

    @property
    def headline(self) -> dict[str, float]:
        """Means of the model alone: `test_simulated/liver_dice`."""
        found = self.evaluation.summary.groups.get((MODEL,), {})
        means = {f"{self.name}/{metric}": one.mean for metric, one in found.items()}
        return {key: value for key, value in means.items() if value == value}

    @property
    def summary(self) -> dict[str, float]:
        """Means with the ends of their 95 % intervals: `test_simulated/liver_dice_ci_low`."""
        found = {}
        for (predictor,), metrics in self.evaluation.summary.groups.items():
            who = self.name if predictor == MODEL else f"{self.name}/{predictor}"
            for metric, statistic in metrics.items():
                found[f"{who}/{metric}"] = statistic.mean
                found[f"{who}/{metric}_ci_low"] = statistic.ci_low
                found[f"{who}/{metric}_ci_high"] = statistic.ci_high
        return {key: value for key, value in found.items() if value == value}


@dataclass(frozen=True)
class Picture:
    """One figure as PNG: its name, such as `test/best_case`, its figure and its file."""

    name: str
    figure: Figure
    file: Path


@dataclass
class Findings:
    """What evaluations of a run found.

    Attributes:
        run: the run.
        tables: of cases, the main one of each evaluation first.
        step: the last one of the training.
    """

    run: RunDirectory
    tables: list[Table]
    step: int
    _names: Sequence[str] = ()
    _folder: Path = field(default_factory=Path)

    @property
    def main(self) -> list[Table]:
        """The table of each evaluation; what it has of views is left out."""
        return [table for table in self.tables if table.name in self._names]

    @property
    def summary(self) -> dict[str, float]:
        """Figures of the main tables; the others are read in the tables."""
        return {key: value for table in self.main for key, value in table.summary.items()}

    @cached_property
    def pictures(self) -> list[Picture]:
        """The figures that are PNG by themselves."""
        return [picture for picture in self._figures() if picture.figure.kind == "picture"]

    @cached_property
    def charts(self) -> list[Picture]:
        """The charts, drawn when somebody first asks: half a second, and a tenth for each."""
        charts = [chart for chart in self._figures() if chart.figure.kind == "chart"]
        return [drawn for chart in charts if (drawn := self._drawn(chart)) is not None]

    def figures(self, charts: bool) -> list[Picture]:
        """The pictures, and the charts where they are wanted."""
        return [*self.pictures, *(self.charts if charts else ())]

    def _figures(self) -> Iterator[Picture]:
        for name in self._names:
            try:
                gallery = read_gallery(self.run.figures / name)
            except DataError as error:
                log.warning("logger: figures are left out: %s", error)
                continue
            for figure in gallery.figures:
                yield Picture(f"{name}/{figure.name}", figure, gallery.folder / figure.file)

    def _drawn(self, chart: Picture) -> Picture | None:
        """The chart as PNG; one that cannot be drawn costs neither the others nor the tables."""
        try:
            return replace(chart, file=self._draw(chart))
        except Exception as error:  # of the file, or of the program that draws
            told = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            log.warning("logger: the chart %s cannot be drawn (%s)", chart.name, told)
            return None

    def _draw(self, chart: Picture) -> Path:
        import vl_convert

        spec = chart.file.read_text(encoding="utf-8")
        stem = chart.figure.file.partition(".")[0]
        file = self._folder / chart.file.parent.name / f"{stem}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(vl_convert.vegalite_to_png(spec, scale=SCALE, allowed_base_urls=[]))
        return file

    @property
    def checkpoint(self) -> Path | None:
        """The best weights, else the last ones."""
        return next((path for path in (self.run.best, self.run.last) if path.is_file()), None)


@contextmanager
def findings_of(run: RunDirectory, names: Sequence[str]) -> Iterator[Findings]:
    """Read what evaluations have written; files made for trackers are gone after the block.

    Args:
        run: the run.
        names: of the evaluations' files; `test_simulated` also finds `test_simulated_people`.

    Raises:
        UserError: a file is damaged.
    """
    tables = [_table(run, found) for name in names for found in tables_of(run.evaluation, name)]
    rows = read_history(run.metrics_file)
    step = int(rows[-1]["step"]) if rows else 0
    for leftover in run.path.glob(f"{_DRAWN}*"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=run.path, prefix=_DRAWN) as folder:
        yield Findings(run, tables, step, tuple(names), Path(folder))


def _table(run: RunDirectory, name: str) -> Table:
    return Table(name, run.evaluation / f"{name}.csv", read(run.evaluation, name))


def as_text(values: Mapping[str, Any]) -> str:
    """A Markdown table of names and values."""
    lines = [f"| {key} | {_cell(value)} |" for key, value in values.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
