"""Charts with a mark for every case: which are shown, what the data hold, how it reads."""

from __future__ import annotations

import math
from typing import Any

import pytest
import vl_convert

from vitruvian.core.evaluation import Row, Statistic, summarise
from vitruvian.report.case_charts import (
    LABELLED,
    best_baseline,
    best_median_worst,
    level,
    mean_of,
    per_case,
    stacked,
)
from vitruvian.report.charts import BLUE, axis

NAN = math.nan


@pytest.mark.parametrize(
    ("figures", "least", "chosen"),
    [
        ({}, False, {}),
        ({"a": NAN}, False, {}),
        ({"a": 0.5, "b": NAN}, False, {"only": "a"}),
        ({"a": 0.5, "b": 0.7}, False, {"best": "b", "worst": "a"}),
        ({"a": 0.5, "b": 0.7}, True, {"best": "a", "worst": "b"}),
        ({"a": 3, "b": 1, "c": 2, "d": NAN}, False, {"best": "a", "median": "c", "worst": "b"}),
        ({"a": 3, "b": 1, "c": 2}, True, {"best": "b", "median": "c", "worst": "a"}),
    ],
)
def test_who_is_shown(figures: dict[str, float], least: bool, chosen: dict[str, str]) -> None:
    assert best_median_worst(figures, least) == chosen


def row(case: str, predictor: str, **figures: float) -> Row:
    return {"case": case, "predictor": predictor, **figures}


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([row("1", "model", dice=0.9)], None),
        ([row("1", "baseline: a", dice=NAN), row("1", "baseline: b")], None),
        ([row("1", "baseline: a", dice=0.2), row("1", "baseline: b", dice=0.3)], "baseline: b"),
        ([row("1", "baseline: a", dice=0.2), row("1", "model, other", dice=0.9)], "baseline: a"),
    ],
)
def test_the_best_baseline(rows: list[Row], best: str | None) -> None:
    assert best_baseline(rows, "dice") == best


def test_a_mean_is_that_of_the_result_table() -> None:
    rows = [row(str(n), "model", voe=0.0, dice=0.1 * n) for n in range(7)]
    (table,) = summarise(rows, seed=3).groups.values()
    assert mean_of(rows, "dice", seed=3) == table["dice"]


def a_chart(cases: int, mean: Statistic | None) -> dict[str, Any]:
    data = [{"case": str(n), "predictor": "model", "dice": 0.1} for n in range(cases)]
    order = [d["case"] for d in data]
    across = axis("dice", "Dice", scale={"zero": False})
    return per_case(data, across, {"model": BLUE}, order, mean, below=[level(0.5, text="half")])


def test_many_cases_are_not_named() -> None:
    def labelled(spec: dict[str, Any]) -> bool:
        return spec["layer"][-1]["encoding"]["y"]["axis"]["labels"]

    assert labelled(a_chart(LABELLED, None))
    assert not labelled(a_chart(LABELLED + 1, None))


@pytest.mark.parametrize(
    ("low", "layers"),
    [(0.1, ["rule", "rect", "rule", "point"]), (NAN, ["rule", "rule", "point"])],
)
def test_an_interval_is_drawn_where_there_is_one(low: float, layers: list[str]) -> None:
    mean = Statistic(3, 0, 0.2, 0.1, 0.2, low, 0.3 + low)
    spec = a_chart(3, mean)
    assert [one["mark"]["type"] for one in spec["layer"]] == layers
    assert spec["layer"][-2]["data"]["values"][0]["mean"] == 0.2
    vega = vl_convert.vegalite_to_vega(stacked([spec, a_chart(1, None)]))
    assert vega["marks"]


def test_no_mean_no_line() -> None:
    assert len(a_chart(2, Statistic(0, 2, NAN, NAN, NAN, NAN, NAN))["layer"]) == 2
