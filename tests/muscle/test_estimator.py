"""The task: what it refuses, what it learns from, and which rows it writes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.muscle.small import QUANTITIES, REGION, SIZE, case, task
from vitruvian.core.errors import ConfigError
from vitruvian.muscle.data.cases import MuscleCase
from vitruvian.muscle.data.inputs import FrameInput
from vitruvian.muscle.data.samples import FrameSamples, targets_of
from vitruvian.muscle.estimator import MuscleEstimator
from vitruvian.muscle.nets import MuscleCNN, TemporalNet
from vitruvian.muscle.normalising import Frontend, inside
from vitruvian.muscle.roi.finders import WholeImage
from vitruvian.muscle.roi.region import RegionOfInterest
from vitruvian.muscle.sync.alignment import Synchronisation


@pytest.fixture
def trials(tmp_path: Path) -> list[MuscleCase]:
    return [
        case(tmp_path, name=f"P{n:02d}_passive", participant=f"P{n:02d}", seed=n) for n in (1, 2, 3)
    ]


def fitted(made: MuscleEstimator, trials: list[MuscleCase]) -> MuscleEstimator:
    """A task whose statistics come from these trials."""
    asked = np.concatenate([targets_of(c, made.target) for c in trials])
    known = asked[np.isfinite(asked).all(axis=1)]
    source = SimpleNamespace(
        grey_statistics=lambda: (0.5, 0.3),
        target_statistics=lambda: (known.mean(axis=0), known.std(axis=0)),
        trials=lambda: [c.trial() for c in trials],
    )
    made.fit_statistics(source)
    return made


def data_of(made: MuscleEstimator, **keys: Any) -> Any:
    names = ("inputs", "roi", "synchronisation", "quantities", "target")
    return SimpleNamespace(**({name: getattr(made, name) for name in names} | keys))


# -- agreement with the data ----------------------------------------------------------------------


def test_fits_data_with_the_same_settings() -> None:
    made = task(target="both")
    same = RegionOfInterest(replace(REGION).finder, mm_per_pixel=0.5, size=SIZE)
    made.fits(data_of(made, roi=same, synchronisation=Synchronisation()))


MISFITS = {
    "inputs": FrameInput("single"),
    "roi": RegionOfInterest(WholeImage(), size=SIZE),
    "synchronisation": Synchronisation(tolerance_frames=5),
    "quantities": ("angle_deg",),
    "target": "absolute",
}


@pytest.mark.parametrize("name", MISFITS)
def test_other_settings_than_the_data_have_are_refused(name: str) -> None:
    made = task()
    with pytest.raises(ConfigError, match=rf"model\.{name}: differs from datamodule\.{name}"):
        made.fits(data_of(made, **{name: MISFITS[name]}))


def test_a_loss_of_another_study_is_refused() -> None:
    made = task()
    made.loss = nn.CrossEntropyLoss(ignore_index=1, reduction="oops")
    with pytest.raises(ConfigError, match=r"loss: CrossEntropyLoss .*loss=mse"):
        made.fits(data_of(made))


def test_an_augmentation_of_another_study_is_refused() -> None:
    made = task()
    made.augment = nn.Flatten()
    with pytest.raises(ConfigError, match=r"augment: Flatten .*augment=muscle_scanner"):
        made.fits(data_of(made))


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5])
def test_a_level_that_is_no_share_is_refused(level: float) -> None:
    with pytest.raises(ConfigError, match=r"model\.level: a share between 0 and 1"):
        task(level=level)


# -- normalising ----------------------------------------------------------------------------------


def test_outside_the_muscle_stands_zero_and_inside_a_z_score() -> None:
    front = Frontend(FrameInput("pair"))
    front.fit(0.25, 0.5)
    images = torch.full((1, 2, 4, 3), 0.75)
    bounds = torch.tensor([[[1, 1, 0], [3, 3, 0]]], dtype=torch.int16)
    made = front(images, bounds)
    assert made[0, 0].tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert inside(bounds, 4).sum() == 4


def test_a_moving_mask_is_no_motion() -> None:
    """Both frames of a pair share the mask of the last one."""
    front = Frontend(FrameInput("difference"))
    images = torch.rand(1, 1, 8, 6).expand(1, 2, 8, 6)
    bounds = torch.tensor([2, 5])[None, :, None].expand(1, 2, 6)
    assert front(images, bounds).abs().max() == 0


# -- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["change", "centred", "absolute", "both"])
@pytest.mark.parametrize("kind", ["pair", "single", "difference", "stack"])
def test_every_input_and_target_learns(trials: list[MuscleCase], kind: str, target: Any) -> None:
    made = fitted(task(kind=kind, target=target, frames=3), trials)
    samples = FrameSamples(trials, made.inputs, target)
    keys = np.array([(0, n, n) for n in range(6)])
    loss = made.training_loss(samples.__getitems__(keys))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in made.net.parameters())


def test_the_loss_counts_in_spreads_of_the_training_people(trials: list[MuscleCase]) -> None:
    """A net that says nothing, 0, has a mean squared error of 1: the variance."""
    made = fitted(task(target="absolute"), trials)
    for p in made.net.parameters():
        nn.init.zeros_(p)
    samples = FrameSamples(trials, made.inputs, "absolute")
    every = np.array([(0, n, n) for n in range(len(samples))])
    expected = ((samples.targets - samples.targets.mean(0)) / made.target_sd.numpy()) ** 2
    loss = made.training_loss(samples.__getitems__(every)).detach()
    assert float(loss) == pytest.approx(expected.mean(), rel=0.02)  # the first frames have no pair


# -- evaluating -----------------------------------------------------------------------------------

ALWAYS = {
    "model",
    "control: shuffled frames",
    "baseline: zero change",
    "baseline: persistence",
    "baseline: train mean",
    "baseline: ridge on flow",
    "baseline: ridge on intensity",
    "baseline: passive spring",
}


@pytest.mark.parametrize("target", ["change", "centred", "absolute", "both"])
def test_the_baselines_are_always_there(trials: list[MuscleCase], target: Any) -> None:
    made = fitted(task(target=target), trials)
    rows = made.evaluate_case(trials[0], "test")
    fused = {"model: heads not fused"} if target == "both" else set()
    assert {row["predictor"] for row in rows} == ALWAYS | fused
    assert {row["case"] for row in rows} == {"P01_passive"}
    (model,) = (row for row in rows if row["predictor"] == "model")
    assert set(made.reported) <= set(model)
    zero = next(row for row in rows if row["predictor"] == "baseline: zero change")
    assert zero["angle_ratio"] == pytest.approx(1.0)
    assert [row["predictor"] for row in made.evaluate_case(trials[0], "val")] == ["model"]


def test_answers_wait_for_enough_frames(trials: list[MuscleCase]) -> None:
    made = fitted(task(kind="stack", frames=4, target="absolute"), trials)
    images, bounds = trials[0].images()
    said = made.outputs_of(images, bounds, trials[0].run_length >= 4)
    assert np.isnan(said[:3]).all()
    assert np.isfinite(said[3:]).all()


def test_answers_do_not_depend_on_the_chunk(
    trials: list[MuscleCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fitted(task(target="both"), trials)
    arrays = trials[0].images()
    ready = trials[0].run_length >= 2
    whole = made.outputs_of(*arrays, ready)
    monkeypatch.setattr("vitruvian.muscle.estimator.CHUNK", 3)
    np.testing.assert_allclose(made.outputs_of(*arrays, ready), whole, rtol=1e-4, atol=1e-6)


def validated(made: MuscleEstimator, trials: list[MuscleCase]) -> None:
    """What a validation does, without a trainer."""
    made.on_validation_epoch_start()
    made.log = lambda *_, **__: None
    for trial in trials:
        made.rows += made.evaluate_case(trial, "val")
    made.on_validation_epoch_end()


@pytest.mark.parametrize("target", ["change", "both"])
def test_intervals_hold_their_share_of_the_people_they_were_fitted_on(
    trials: list[MuscleCase], target: Any
) -> None:
    made = fitted(task(target=target, level=0.8), trials)
    assert "angle_change_coverage" not in made.evaluate_case(trials[0], "test")[0]
    validated(made, trials)
    rows = [made.evaluate_case(trial, "test")[0] for trial in trials]
    for name in [n for n in rows[0] if n.endswith("_coverage")]:
        assert np.mean([row[name] for row in rows]) == pytest.approx(0.8, abs=0.03), name


def test_fusing_is_learnt_from_validation_people(trials: list[MuscleCase]) -> None:
    made = fitted(task(target="both"), trials)
    assert made.readout.fusion is not None
    before = made.readout.fusion.q.clone()
    validated(made, trials)
    assert not torch.equal(before, made.readout.fusion.q)
    again = task(target="both", seed=5)
    again.load_state_dict(made.state_dict())
    assert str(again.evaluate_case(trials[1], "test")) == str(made.evaluate_case(trials[1], "test"))


def test_headline_is_finite_and_of_all_outputs(trials: list[MuscleCase]) -> None:
    made = fitted(task(target="both"), trials)
    figures = made.headline([row for c in trials for row in made.evaluate_case(c, "val")])
    assert tuple(figures) == made.validated
    assert np.isfinite(figures["nrmse"])
    assert {"angle_rmse_deg", "angle_change_rmse_deg", "emg_rmse_v", "torque_ratio"} <= set(figures)


def test_views_are_per_participant_and_per_task(trials: list[MuscleCase]) -> None:
    made = fitted(task(), trials)
    rows = [row for c in trials for row in made.evaluate_case(c, "test")]
    views = made.views(rows)
    assert {row["case"] for row in views["per_participant"]} == {"P01", "P02", "P03"}
    assert {row["case"] for row in views["per_task"]} == {"passive"}
    model = [row for row in rows if row["predictor"] == "model"]
    pooled = made.pooled(model)
    assert pooled["n_participants"] == 3
    assert pooled["angle_change_rmse_deg_paper"] == 0.022
    assert made.pooled(views["per_task"]) == {}


def test_three_quantities_or_one(tmp_path: Path) -> None:
    made = task(quantities=("angle_deg",), target="absolute")
    assert made.reported == ("angle_rmse_deg", "angle_r2", "angle_ratio")
    assert made.net(torch.zeros(2, 2, *SIZE)).shape == (2, 1)


def test_a_temporal_net_reads_a_stack() -> None:
    encoder = partial(MuscleCNN, filters=(2, 2, 2), dense=4, dropout=0.0)
    net = partial(TemporalNet, encoder=encoder, features=4, hidden=4)
    made = task(net=net, kind="stack", frames=4)
    assert made.net(torch.zeros(2, 4, *SIZE)).shape == (2, len(QUANTITIES))
