"""The task of the spine study: windows of landmarks in, a spinal health index out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError
from vitruvian.core.evaluation import Row, by_predictor
from vitruvian.core.exporting import Exported, Format
from vitruvian.core.gallery import Gallery
from vitruvian.core.live import LiveOptions, LiveOutcome
from vitruvian.core.task import Optimizer, Scheduler, Task, require
from vitruvian.spine.data.cases import SpineCase
from vitruvian.spine.head.features import Features
from vitruvian.spine.head.head import IndexHead
from vitruvian.spine.head.scaling import Kind, Scaling
from vitruvian.spine.metrics import (
    clip_row,
    majority,
    per_exercise,
    per_person,
    pooled,
    train_mean,
)
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.skeletons import skeleton_named
from vitruvian.spine.track.cleaning import Cleaning, Track
from vitruvian.spine.track.windows import Windows

_POOLED = ("mae", "rmse", "spearman", "balanced_accuracy", "auc")  # what a validation logs
CHUNK = 64  # windows of a clip that go through the net at once: memory stays flat on long clips


class SpineRegressor(Task):
    """Windows of landmarks in, spinal health index out: 0 (best) to 1 (worst).

    Args:
        net: called with `channels` and `skeleton`, returns a net of (n, T, channels) and a mask.
        features: what of the landmarks the net reads.
        cleaning: how landmarks become a track; the same for training and prediction.
        windows: how a track is cut.
        pose: the pose net for videos to predict.
        scaling: of the features, fitted on training people: "minmax" (paper 003, section III.A),
            "zscore", "window" or "none"; see `Scaling`.
        loss, optimizer, scheduler, augment, compile: see `Task`.
    """

    reported: tuple[str, ...] = ("abs_error", "within_01", "correct", "index")
    validated = tuple(f"index_{name}" for name in _POOLED)
    train_mean: Tensor
    majority: Tensor

    def __init__(
        self,
        net: Callable[..., nn.Module],
        features: Features,
        cleaning: Cleaning,
        windows: Windows,
        pose: BlazePose,
        loss: nn.Module,
        optimizer: Optimizer,
        scaling: Kind = "minmax",
        scheduler: Scheduler | None = None,
        augment: nn.Module | None = None,
        compile: bool = False,
    ) -> None:
        skeleton = skeleton_named(features.skeleton)
        built = net(channels=features.channels, skeleton=skeleton)
        super().__init__(built, loss, optimizer, scheduler, augment, compile=compile)
        self.features, self.skeleton = features, skeleton
        self.cleaning, self.windows, self.pose = cleaning, windows, pose
        self.scaling = Scaling(scaling, features.channels)
        for name in ("train_mean", "majority"):  # the trivial baselines
            self.register_buffer(name, torch.tensor(0.5))

    # -- agreement with the data --------------------------------------------------------------

    def fits(self, datamodule: pl.LightningDataModule) -> None:
        """Refuse data with other joints, another cleaning or other windows."""
        ours, theirs = self.skeleton.name, datamodule.skeleton.name
        require(
            ours == theirs,
            f"model.features.skeleton: the model reads {ours}, the data deliver {theirs}",
        )
        for name in ("cleaning", "windows"):
            require(
                getattr(self, name) == getattr(datamodule, name),
                f"model.{name}: differs from datamodule.{name}; leave it to follow the data",
            )
        self._try_parts()

    def _try_parts(self) -> None:
        """Refuse a loss or an augmentation of another study before the first step does."""
        points, seen = torch.zeros(2, 3, len(self.skeleton), self.skeleton.dims), torch.ones(2, 3)
        visibility = seen[..., None].expand(2, 3, len(self.skeleton))
        window = (points, visibility, seen.bool(), torch.zeros(2, dtype=torch.int64))
        tried = {
            "loss=huber": (self.loss, (torch.zeros(2), torch.zeros(2))),
            "augment=spine_mirror": (self.augment, window),
        }
        for option, (part, arguments) in tried.items():
            try:
                _ = part and part(*arguments)
            except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
                told = "is not made for windows of landmarks; choose another, such as"
                key = option.partition("=")[0]
                raise ConfigError(f"{key}: {type(part).__name__} {told} {option}") from error

    def fit_statistics(self, datamodule: pl.LightningDataModule) -> None:
        """Fit the scaling and the trivial baselines on training people."""
        cases = datamodule.cases(datamodule.part("train"))
        self.scaling.fit(self._frames(case.track) for case in cases)
        truths = [case.truth for case in cases]
        self.train_mean = torch.tensor(train_mean(truths))
        self.majority = torch.tensor(majority(truths))

    def _frames(self, track: Track) -> Tensor:
        """Features of the real frames of a clip's windows, (m, channels)."""
        batch = self.windows.cut(track)
        return self.features(batch.points, batch.visibility, batch.mask)[batch.mask]

    # -- training -----------------------------------------------------------------------------

    def training_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Augment, features, scale, forward, loss.

        Args:
            batch: `points` (n, T, J, D), `visibility` (n, T, J), `mask` (n, T) bool, `target` (n,),
                `seed` (n,) int64.
        """
        points, visibility, mask = batch["points"], batch["visibility"], batch["mask"]
        if self.augment is not None:
            points, visibility = self.augment(points, visibility, mask, batch["seed"])
        return self.loss(self.values(points, visibility, mask), batch["target"])

    def values(self, points: Tensor, visibility: Tensor, mask: Tensor) -> Tensor:
        """What the net says of windows, (n,): not clipped to [0, 1]."""
        return self.head(points, visibility, mask)

    @property
    def head(self) -> IndexHead:
        """Features, scaling and net as one module, which shares their weights."""
        return IndexHead(self.features, self.scaling, self.net)

    # -- evaluation ---------------------------------------------------------------------------

    def window_values(self, track: Track) -> Tensor:
        """What the net says of every window of a clip, (windows,), on the CPU."""
        self.eval()
        batch = self.windows.cut(track)
        device = self.train_mean.device
        parts = zip(
            batch.points.split(CHUNK),
            batch.visibility.split(CHUNK),
            batch.mask.split(CHUNK),
            strict=True,
        )
        with torch.inference_mode():
            return torch.cat([self.values(*(x.to(device) for x in part)).cpu() for part in parts])

    def reported_index(self, values: Tensor) -> float:
        """Index of a clip: the mean over its windows, clipped to [0, 1] to be reported."""
        return float(values.float().mean().clamp(0, 1))

    def evaluate_case(self, case: SpineCase, split: str) -> list[Row]:
        """The row of one clip; at the test also those of the trivial baselines."""
        found = {"model": self.reported_index(self.window_values(case.track))}
        if split != "val":
            found["baseline: train mean"] = float(self.train_mean)
            found["baseline: majority class"] = float(self.majority)
        return [
            clip_row(case.case, case.participant, case.exercise, who, index, case.truth)
            for who, index in found.items()
        ]

    def headline(self, rows: Sequence[Row]) -> dict[str, float]:
        """Pooled figures of the validation."""
        figures = pooled(rows)
        return {f"index_{name}": figures[name] for name in _POOLED}

    def pooled(self, rows: Sequence[Row]) -> dict[str, float]:
        """Figures of all clips taken as one."""
        return pooled(rows)

    def views(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """One row per person, and the clips of each exercise."""
        exercises = {str(row["exercise"]) for row in rows}
        split = per_exercise(rows) if len(exercises) > 1 else {}
        people = [r for part in by_predictor(rows).values() for r in per_person(part)]
        return {"per_person": people, **{f"{_word(name)}": part for name, part in split.items()}}

    def illustrate(self, cases: Sequence[SpineCase], rows: Sequence[Row], gallery: Gallery) -> None:
        """Movements, index over time, heat-map, and charts; see `evaluation_figures`."""
        from vitruvian.spine.evaluation_figures import illustrate

        illustrate(self, cases, rows, gallery)

    # -- prediction ---------------------------------------------------------------------------

    def predict_path(
        self, source: Path, target: Path, provenance: dict[str, Any]
    ) -> Iterator[Path]:
        """Index, reasons and figure of videos or landmark tables; see `vitruvian.spine.predict`."""
        from vitruvian.spine.predict import predict_path

        return predict_path(self, source, target, provenance)

    def export(
        self, target: Path, format: Format, stream: bool, provenance: dict[str, Any]
    ) -> Exported:
        """Write features, scaling and net as one model; `stream`: one step, with its state."""
        from vitruvian.spine.head.exporting import export

        return export(self, target, format, stream, provenance)

    def live(self, options: LiveOptions, provenance: dict[str, Any]) -> LiveOutcome:
        """Show the index of a camera, file or stream while it runs."""
        from vitruvian.spine.online import predict_live

        return predict_live(self, options, provenance)


def _word(name: str) -> str:
    return "exercise_" + "_".join(name.lower().split())
