"""Figures of an evaluation: right numbers, and none that fails where there is little to draw."""

from __future__ import annotations

import json
import math
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.spine.small import case, task
from vitruvian.core.evaluation import Row
from vitruvian.core.gallery import Gallery, read_gallery
from vitruvian.report.comparison import length_chart
from vitruvian.spine.evaluation_charts import Seen, charts_of, reliability, roc_points
from vitruvian.spine.evaluation_figures import errors_by_length, illustrate, values_at
from vitruvian.spine.metrics import clip_row, pooled
from vitruvian.spine.nets.rocket import Rocket
from vitruvian.spine.track.windows import Windows

PICTURES = ("landmark_sequences", "index_over_time", "dynamic_heat_map")
CHARTS = ("roc", "calibration", "predicted_rated", "error_by_exercise", "error_by_length")


def rows_of(pairs: list[tuple[float, float]], predictor: str = "model") -> list[Row]:
    """One clip and one person for each (index, truth)."""
    return [
        clip_row(f"c{i}", f"p{i}", "walk", predictor, index, truth)
        for i, (index, truth) in enumerate(pairs)
    ]


def test_an_evaluation_becomes_pictures_and_charts(tmp_path: Path) -> None:
    model = task(length=20)
    people = [case(name=f"c{i}", participant=f"p{i}", seed=i, rating=r, frames=30 + 10 * i)
              for i, r in enumerate((90, 80, 20))]  # fmt: skip
    rows = [row for one in people for row in model.evaluate_case(one, "test")]
    illustrate(model, people, rows, Gallery(tmp_path, simulated=True))
    gallery = read_gallery(tmp_path)
    assert tuple(figure.name for figure in gallery.figures) == (*PICTURES, *CHARTS)
    for figure in gallery.figures:
        assert "_simulated" in figure.file
        assert "NaN" not in (content := (tmp_path / figure.file).read_bytes()).decode("latin-1")
        if figure.kind == "chart":
            assert json.loads(content)["title"]["text"] == "SIMULATED people"
    assert "the lowest, a middle and the highest index" in gallery.figures[1].caption
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 300_000
    assert not list(tmp_path.glob(".*")), "nothing half-written is left"


SPARSE: dict[str, tuple[Any, dict[str, Any], dict[str, str]]] = {
    "one clip, one class": (
        None,
        {},
        {"roc": "0 red flags of 1", "index_over_time": "the one clip there is"},
    ),
    "no rating": (None, {"rating": math.nan}, {"predicted_rated": "nothing can be drawn"}),
    "a net without gradient": (
        partial(Rocket, kernels=4, dilations=(1,)),
        {},
        {},
    ),
}


@pytest.mark.parametrize("kind", SPARSE)
def test_little_to_draw_is_said(kind: str, tmp_path: Path) -> None:
    net, keys, told = SPARSE[kind]
    model = task(net, length=20)
    one = case(frames=25, **keys)
    illustrate(model, [one], model.evaluate_case(one, "test"), Gallery(tmp_path, simulated=False))
    captions = {figure.name: figure.caption for figure in read_gallery(tmp_path).figures}
    assert {*PICTURES, "roc", "calibration", "predicted_rated"} <= set(captions)
    for name, words in told.items():
        assert words in captions[name]


def test_a_model_that_does_not_answer_draws_charts_alone(tmp_path: Path) -> None:
    illustrate(task(), [case()], rows_of([(math.nan, 0.3)]), Gallery(tmp_path, simulated=False))
    names = [figure.name for figure in read_gallery(tmp_path).figures]
    assert names == ["roc", "calibration", "predicted_rated"]


def test_what_no_gradient_tells_is_drawn_as_movement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("the function has no gradient")

    monkeypatch.setattr("vitruvian.spine.predict.attribution_of", refuse)
    model, one = task(length=20), case(frames=25)
    illustrate(model, [one], model.evaluate_case(one, "test"), Gallery(tmp_path, simulated=False))
    (heat,) = (f for f in read_gallery(tmp_path).figures if f.name == "dynamic_heat_map")
    assert heat.caption.startswith("How fast each joint moves")
    assert "the function has no gradient" in heat.caption


def test_the_curve_encloses_the_auc() -> None:
    rows = rows_of([(0.9, 0.8), (0.7, 0.2), (0.7, 0.9), (0.2, 0.1), (0.4, 0.6), (0.3, 0.2)])
    points = roc_points(rows)
    assert (points[0]["found"], points[0]["false"]) == (0, 0)
    assert (points[-1]["found"], points[-1]["false"]) == (1, 1)
    area = sum(
        (b["false"] - a["false"]) * (a["found"] + b["found"]) / 2 for a, b in pairwise(points)
    )
    assert area == pytest.approx(pooled(rows)["auc"])
    assert roc_points(rows_of([(0.9, 0.8), (0.7, 0.9)])) == [], "one class has no curve"


def test_reliability_groups_are_of_equal_size_and_ordered() -> None:
    found = reliability(rows_of([(i / 30, 0.5 + (i % 3) / 10) for i in range(30)]))
    assert [one["n"] for one in found] == [6] * 5
    assert [one["predicted"] for one in found] == sorted(one["predicted"] for one in found)
    assert all(one["low"] < one["rated"] < one["high"] for one in found)
    assert all(one["rated"] == pytest.approx(0.6) for one in found)
    (single,) = reliability(rows_of([(0.4, 0.9)]))
    assert single == {"n": 1, "predicted": pytest.approx(0.4), "rated": pytest.approx(0.9)}
    assert reliability([]) == []


def test_the_index_of_the_whole_first_window_is_that_of_the_clip() -> None:
    model, one = task(length=20), case(frames=20)
    import numpy as np

    values = values_at(model, one.track, np.array([4, 19]))
    assert values[1] == pytest.approx(model.reported_index(model.window_values(one.track)))
    batch = model.windows.cut(one.track)
    begun = torch.arange(20) < 5
    with torch.inference_mode():
        early = model.values(batch.points * begun[None, :, None, None],
                         batch.visibility * begun[None, :, None], batch.mask & begun)  # fmt: skip
    assert values[0] == pytest.approx(float(early.clamp(0, 1)), abs=1e-6)


def test_errors_by_length_end_at_the_evaluation() -> None:
    model, one = task(length=20), case(frames=60)
    seen = errors_by_length(model, [one])
    assert [len(part.errors) for part in seen] == [1] * len(seen)
    (row, *_) = model.evaluate_case(one, "val")
    assert seen[-1].errors == [pytest.approx(row["abs_error"])]
    assert seen[-1].seconds == pytest.approx(20 / 30, abs=0.01)
    whole = task(windows=Windows(20, 10, tail=False, stretch=True))
    assert errors_by_length(whole, [one]) == [], "the beginning of a whole clip would be stretched"


def test_error_by_length_draws_means_over_clips() -> None:
    rows = rows_of([(0.9, 0.8), (0.2, 0.1)])
    seen = [Seen(1.0, [0.2, 0.4]), Seen(5.0, [0.1, 0.1])]
    drawn = {one.name: one.spec for one in charts_of(rows, rows, seen, simulated=False)}
    values = drawn["error_by_length"]["data"]["values"]
    assert [(one["seconds"], round(one["error"], 6)) for one in values] == [(1.0, 0.3), (5.0, 0.1)]
    assert "title" not in drawn["error_by_length"]


def test_nets_by_length() -> None:
    rows = [
        {"label": net, "length": length, "value": 0.2, "low": math.nan, "high": 0.3}
        for net in ("LSTM", "RNN") for length in (100, 500)
    ]  # fmt: skip
    spec = length_chart(rows, simulated=True)
    assert spec["data"]["values"][0]["low"] is None
    assert spec["title"]["text"] == "SIMULATED data"
    assert "frames" in json.dumps(spec)
    assert "title" not in length_chart(rows)
