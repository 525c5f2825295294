"""The figures of one run, read from its directory without torch, and cheaply: there may be 10,000.

Two kinds: what was logged at the validation whose weights were kept (`val/...`), and the evaluation
of those weights (`test/...`, or `val/...` where the split has no test patients), each with the
strongest of the trivial baselines.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import Any

import yaml

from vitruvian.core.rundir import RunDirectory
from vitruvian.report.ends import badness
from vitruvian.sweeps.objectives import kept_figures

MODEL = "model"
_SUFFIXES = ("", "_leaky", "_simulated", "_leaky_simulated")  # as core.engine appends them
_MONITOR = re.compile(r"^monitor:\n(?:[ \t]+.*(?:\n|\Z))+", re.MULTILINE)
_STARTED = re.compile(r'"started": *"([^"]+)"')  # the first; beside it stand all packages
_BOUNDS = ("_low", "_high")  # ends of intervals: no figures of their own

Figures = dict[str, float]


@dataclass(frozen=True)
class RunFigures:
    """What a run found.

    Attributes:
        values: by metric, such as `val/liver_dice` and `test/dice`.
        baselines: the strongest trivial baseline's, of the metrics whose good end is known.
        monitor: the metric that chose the weights.
        mode: which end of it was the good one, `min` or `max`.
        cases: evaluated ones; None where there is no evaluation.
        split: how the subjects were divided, such as "5-fold, fold 0".
        data: `simulated` or `real`.
        suffix: of the evaluation's file name, such as `_simulated`.
        seconds: from the first start to the end, all pauses among them; None if not known.
    """

    values: Figures = field(default_factory=dict)
    baselines: Figures = field(default_factory=dict)
    monitor: str = ""
    mode: str = ""
    cases: int | None = None
    split: str = ""
    data: str = ""
    suffix: str = ""
    seconds: float | None = None


def figures_of(run: RunDirectory, objectives: Iterable[str] = ()) -> RunFigures:
    """Read what a complete run found; what is missing or damaged is left out.

    Args:
        run: its directory.
        objectives: logged metrics that are no figures of the validation, but wanted.
    """
    metric, mode = monitor_of(run)
    logged = kept_figures(run.metrics_file, metric, mode, objectives)
    part, suffix, content = _evaluation(run)
    values, baselines = _evaluated(part, content)
    return RunFigures(
        values={**values, **logged},
        baselines=baselines,
        monitor=metric,
        mode=mode,
        cases=content.get("cases"),
        split=intern(str(content.get("split", ""))),
        data=intern(str(content.get("data", ""))),
        suffix=suffix,
        seconds=_seconds(run),
    )


# -- what was logged ------------------------------------------------------------------------------


def monitor_of(run: RunDirectory) -> tuple[str, str]:
    """The metric that chooses the weights, and whether it is to `min` or `max`.

    Only its few lines are read as YAML: a whole config would take a hundred times as long.
    """
    try:
        text = run.config_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return "", "min"
    found = _MONITOR.search(text)
    return _monitor(found[0] if found else text)


@lru_cache(maxsize=256)
def _monitor(text: str) -> tuple[str, str]:
    try:
        node = yaml.safe_load(text)["monitor"]
        return str(node["metric"]), str(node["mode"])
    except (yaml.YAMLError, KeyError, TypeError):
        return "", "min"


# -- what was evaluated ---------------------------------------------------------------------------


def _evaluation(run: RunDirectory) -> tuple[str, str, Mapping[str, Any]]:
    """The run's own evaluation: the part of the data, the suffix of the file, what it holds."""
    try:
        there = {entry.name for entry in os.scandir(run.evaluation)}
    except OSError:
        return "", "", {}
    for part in ("test", "val"):
        for suffix in _SUFFIXES:
            if f"{part}{suffix}.json" in there:
                return part, suffix, _json(run.evaluation / f"{part}{suffix}.json")
    return "", "", {}


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _evaluated(part: str, content: Mapping[str, Any]) -> tuple[Figures, Figures]:
    """Means over the cases and pooled figures: the model's, and the strongest baseline's."""
    figures = _by_predictor(content)
    mine = figures.pop(MODEL, {})
    values, rivals = {}, {}
    for name, value in mine.items():
        metric = intern(f"{part}/{name}")  # one text for all runs: there may be 10,000
        values[metric] = value
        worse = badness(name)
        known = [f[name] for f in figures.values() if not math.isnan(f.get(name, math.nan))]
        if worse is not None and known:
            rivals[metric] = min(known, key=worse)
    return values, rivals


def _by_predictor(content: Mapping[str, Any]) -> dict[str, Figures]:
    """Figures of each predictor: means by their names, those of all cases as one as `pooled/...`.

    An evaluation that was damaged gives none.
    """
    try:
        found: dict[str, Figures] = {
            group["predictor"]: {
                name: _known(statistic["mean"]) for name, statistic in group["metrics"].items()
            }
            for group in content.get("groups", ())
        }
        for who, pooled in content.get("pooled", {}).items():
            own = {n: v for n, v in pooled.items() if not n.endswith(_BOUNDS)}
            found.setdefault(who, {}).update({f"pooled/{n}": _known(v) for n, v in own.items()})
    except (KeyError, TypeError, AttributeError):
        return {}
    return found


def _known(value: Any) -> float:
    return math.nan if value is None else float(value)


def _seconds(run: RunDirectory) -> float | None:
    """From the first start that `environment.json` tells of to the last word of `status.json`."""
    try:
        starts = _STARTED.findall(run.environment_file.read_text(encoding="utf-8"))
        begin, end = map(datetime.fromisoformat, (starts[0], run.read_status()["updated"]))
        return (end - begin).total_seconds()
    except (OSError, KeyError, IndexError, TypeError, ValueError):
        return None
