"""The spine task: what is trained, evaluated, fitted, and refused."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from tests.spine.small import case, task
from vitruvian.core.errors import ConfigError
from vitruvian.core.live import LiveOptions
from vitruvian.core.task import Task
from vitruvian.spine.regressor import SpineRegressor
from vitruvian.spine.skeletons import skeleton_named
from vitruvian.spine.track.cleaning import Cleaning
from vitruvian.spine.track.windows import Windows, WindowSamples

PEOPLE = [
    case(name=f"c{i}", participant=f"p{i}", seed=i, rating=r) for i, r in enumerate((90, 80, 20))
]


class Data:
    """As much of a data module as the task asks for."""

    def __init__(self, **changes: Any) -> None:
        self.skeleton = skeleton_named("blazepose33")
        self.cleaning, self.windows = Cleaning(), Windows(20, 10, tail=False)
        self.__dict__.update(changes)

    def part(self, name: str) -> list[str]:
        assert name == "train", "statistics are of the training people alone"
        return ["p0", "p1", "p2"]

    def cases(self, subjects: list[str]) -> list[Any]:
        return PEOPLE


def batch(**keys: Any) -> dict[str, torch.Tensor]:
    import numpy as np

    samples = WindowSamples([p.track for p in PEOPLE], [p.truth for p in PEOPLE], Windows(20, 10))
    return samples.__getitems__(np.array([[0, i, i] for i in range(4)]))


def test_training_loss_is_a_finite_scalar_that_reaches_every_weight() -> None:
    model = task().train()
    loss = model.training_loss(batch())
    loss.backward()
    assert loss.ndim == 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_augmentation_is_applied_in_training_only() -> None:
    class Away(nn.Module):
        def forward(self, points: Any, visibility: Any, mask: Any, seeds: Any) -> Any:
            return points + 3, visibility

    plain, moved = task(), task(augment=Away())
    assert plain.training_loss(batch()) != moved.training_loss(batch())
    track = PEOPLE[0].track
    assert torch.equal(plain.window_values(track), moved.window_values(track))


@pytest.mark.parametrize("kind", ["minmax", "zscore", "none"])
def test_statistics_are_fitted_on_training_people(kind: str) -> None:
    model = task(scaling=kind)
    model.fit_statistics(Data())
    frames = torch.cat([model._frames(person.track) for person in PEOPLE])
    scaled = model.scaling(frames)
    if kind == "minmax":
        assert scaled.aminmax().min == pytest.approx(0, abs=1e-6)
        assert scaled.aminmax().max == pytest.approx(1, abs=1e-6)
    if kind == "zscore":
        assert scaled.mean(dim=0).abs().max() < 1e-3
    if kind == "none":
        assert torch.equal(scaled, frames)
    assert float(model.train_mean) == pytest.approx((0.1 + 0.2 + 0.8) / 3)
    assert float(model.majority) == pytest.approx(0.15)
    again = task(scaling=kind, seed=1)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.scaling.low, model.scaling.low)
    assert again.majority == model.majority


def test_a_test_row_stands_beside_trivial_baselines() -> None:
    model = task()
    model.fit_statistics(Data())
    rows = model.evaluate_case(PEOPLE[2], "test")
    assert [row["predictor"] for row in rows] == [
        "model",
        "baseline: train mean",
        "baseline: majority class",
    ]
    assert {row["participant"] for row in rows} == {"p2"}
    assert rows[1]["abs_error"] == pytest.approx(0.8 - 1.1 / 3, abs=1e-6)
    assert (rows[2]["correct"], rows[2]["truth"]) == (0.0, pytest.approx(0.8))
    assert [row["predictor"] for row in model.evaluate_case(PEOPLE[2], "val")] == ["model"]


def test_a_clip_is_the_mean_of_its_windows_clipped() -> None:
    model = task()
    values = model.window_values(PEOPLE[0].track)
    assert len(values) == 5
    assert model.reported_index(values) == pytest.approx(float(values.mean().clamp(0, 1)))
    assert model.reported_index(torch.tensor([3.0, 2.0])) == 1.0
    assert model.reported_index(torch.tensor([-3.0])) == 0.0


def test_many_windows_go_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = task()
    whole = model.window_values(PEOPLE[0].track)
    monkeypatch.setattr("vitruvian.spine.regressor.CHUNK", 2)
    torch.testing.assert_close(model.window_values(PEOPLE[0].track), whole)


def test_headline_views_and_pooled_figures() -> None:
    model = task()
    model.fit_statistics(Data())
    rows = [row for person in PEOPLE for row in model.evaluate_case(person, "test")]
    ours = [row for row in rows if row["predictor"] == "model"]
    figures = model.headline(ours)
    assert tuple(figures) == model.validated
    assert set(figures) >= {"index_mae", "index_auc", "index_balanced_accuracy"}
    assert model.pooled(ours)["n"] == 3
    views = model.views(rows)
    assert [row["case"] for row in views["per_person"][:3]] == ["p0", "p1", "p2"]
    assert set(views) == {"per_person"}, "one exercise needs no table of its own"
    other = [{**row, "exercise": "Touch toes"} for row in rows]
    assert set(model.views(rows + other)) == {
        "per_person",
        "exercise_walk",
        "exercise_touch_toes",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skeleton": skeleton_named("kinect22")}, r"features\.skeleton: .*blazepose33.*kinect22"),
        ({"cleaning": Cleaning(max_gap=3)}, r"^model\.cleaning: differs from datamodule\.cleaning"),
        ({"windows": Windows(30, 10)}, r"^model\.windows: differs from datamodule\.windows"),
    ],
)
def test_data_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    task().fits(Data())
    with pytest.raises(ConfigError, match=message):
        task().fits(Data(**changes))


def test_the_net_is_told_channels_and_skeleton() -> None:
    told = SimpleNamespace()

    class Mine(nn.Module):
        def __init__(self, channels: int, skeleton: Any) -> None:
            super().__init__()
            told.channels, told.skeleton = channels, skeleton
            self.weight = nn.Parameter(torch.zeros(channels))

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return (x * self.weight).sum(dim=(1, 2))

    model = task(Mine)
    assert (told.channels, told.skeleton.name) == (99, "blazepose33")
    assert model.window_values(PEOPLE[0].track).tolist() == [0.0] * 5


def test_reported_metrics_are_in_the_rows() -> None:
    row = task().evaluate_case(PEOPLE[0], "val")[0]
    assert set(SpineRegressor.reported) <= set(row)
    assert not any(math.isnan(row[name]) for name in SpineRegressor.reported)


def test_another_study_has_no_live_mode() -> None:
    model = task()
    with pytest.raises(ConfigError, match=r"^model: SpineRegressor has no live mode"):
        Task.live(model, LiveOptions("0"), {})
