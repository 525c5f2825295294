"""Evidence made by hand: what runs would have found, without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vitruvian.core.evaluation import Evaluation, Row, summarise
from vitruvian.papers.evidence import Evidence, Repeat
from vitruvian.papers.paper import Claim, Experiment, Paper, Preset, Table
from vitruvian.papers.results import Cost

PRESETS = {"quick": Preset("simulated", True), "full": Preset("real", False)}


def rows(values: Sequence[float], metric: str = "dice", predictor: str = "model") -> list[Row]:
    """A row of each case."""
    return [
        {"case": f"case {number}", "predictor": predictor, metric: float(value)}
        for number, value in enumerate(values)
    ]


def repeat(
    cases: Sequence[Row], name: str = "", simulated: bool = False, **pooled: Mapping[str, float]
) -> Repeat:
    """A repetition of these rows; `pooled` by predictor."""
    return Repeat(name, {"": Evaluation(list(cases), summarise(cases), simulated)}, {"": pooled})


def evidence(
    *values: Sequence[float], metric: str = "dice", simulated: bool = False, **more: Any
) -> Evidence:
    """What an experiment found: the values of a metric by case, for each repetition."""
    repeats = tuple(
        repeat(rows(own, metric), f"seed {number}", simulated) for number, own in enumerate(values)
    )
    runs = more.pop("runs", (len(repeats), len(repeats)))
    return Evidence("", repeats, runs, **more)


def paper(*claims: Claim, tables: Sequence[Table] = ()) -> Paper:
    """A paper with the experiments `new` and `old`."""
    experiments = {key: Experiment(key, f"the {key} net", ()) for key in ("new", "old")}
    experiments["late"] = Experiment("late", "the late net", (), only=("full",))
    return Paper(
        "made", "A title", "N. N.", 2024, "nowhere", "liver",
        PRESETS, experiments, tuple(tables), claims, (),
    )  # fmt: skip


def figure(value: float | None = 90.0, **more: Any) -> Claim:
    """A claim about the Dice of the new net, in percent."""
    given: dict[str, Any] = {"experiment": "new", "metric": "dice", "unit": "%", "factor": 100.0}
    return Claim("claim", "a quote", "Table 1", "figure", **(given | {"value": value} | more))


def order(**more: Any) -> Claim:
    """A claim that the new net has a better Dice than the old one."""
    given = {"experiment": "new", "rival": "old", "metric": "dice"}
    return Claim("claim", "a quote", "Table 1", "order", **(given | more))


def cost(parameters: int) -> Evidence:
    """Evidence of a net that has never been trained."""
    return Evidence("", (), (0, 0), cost=Cost(parameters, 10))
