"""The task of the muscle study: frames of ultrasound in, angle, torque and EMG out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from vitruvian.core.ddp import all_gather
from vitruvian.core.errors import ConfigError
from vitruvian.core.evaluation import Row
from vitruvian.core.exporting import Exported, Format
from vitruvian.core.gallery import Gallery
from vitruvian.core.live import LiveOptions, LiveOutcome
from vitruvian.core.task import Optimizer, Scheduler, Task, require
from vitruvian.muscle.baselines import Baselines
from vitruvian.muscle.data.inputs import KINDS, FrameInput, Target, output_names
from vitruvian.muscle.metrics import SHUFFLED, control_order, metric_name, trial_row
from vitruvian.muscle.normalising import Frontend, as_grey
from vitruvian.muscle.pooling import best_participant, over_people, pool
from vitruvian.muscle.quantities import quantity
from vitruvian.muscle.readout import Answered, Predicted, Readout
from vitruvian.muscle.roi.region import RegionOfInterest
from vitruvian.muscle.sync.alignment import Synchronisation
from vitruvian.muscle.trial import Kind, Trial

if TYPE_CHECKING:
    from vitruvian.muscle.data.cases import MuscleCase

Floats = npt.NDArray[np.float64]

CHUNK = 64  # frames that go through the net at once: memory stays flat on long trials


class MuscleEstimator(Task):
    """Frames in a row in; per quantity its change, its value, or both out.

    Args:
        net: called with `channels`, `outputs` (names) and `size`, returns a net of
            (n, channels, H, W) with (n, outputs) in units of the training people's spread.
        inputs: frames behind one answer.
        roi: which part of a frame is read; for predictions.
        synchronisation: for predictions of recordings that have signals.
        quantities: what is predicted.
        target: change since the frame before (paper 001's literal reading), value less the trial's
            mean, value, or both: then the two are fused by a Kalman filter.
        level: share of truths that a predictive interval should hold.
        ridge: penalty of the ridge baselines, see `Baselines`.
        mm_per_pixel: of a bare video to predict, which does not say it.
        frame_rate_hz: of a bare video to predict; null: what the file claims.
        loss, optimizer, scheduler, augment, channels_last, compile: see `Task`.
    """

    target_mean: Tensor
    target_sd: Tensor

    def __init__(
        self,
        net: Callable[..., nn.Module],
        inputs: FrameInput,
        roi: RegionOfInterest,
        synchronisation: Synchronisation,
        loss: nn.Module,
        optimizer: Optimizer,
        quantities: Sequence[str] = ("angle_deg", "torque_nm", "emg_v"),
        target: Target = "change",
        level: float = 0.9,
        ridge: float = 0.01,
        mm_per_pixel: float | None = None,
        frame_rate_hz: float | None = None,
        scheduler: Scheduler | None = None,
        augment: nn.Module | None = None,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        outputs = output_names(target, quantities)
        built = net(channels=inputs.channels, outputs=outputs, size=tuple(roi.size))
        super().__init__(built, loss, optimizer, scheduler, augment, channels_last, compile)
        self.frontend, self.roi, self.synchronisation = Frontend(inputs), roi, synchronisation
        self.inputs, self.target = inputs, target
        self.quantities, self.kinds = tuple(quantities), KINDS[target]
        self.mm_per_pixel, self.frame_rate_hz = mm_per_pixel, frame_rate_hz
        self.reported = tuple(
            metric_name(quantity(name), None if metric == "ratio" else self.kinds[-1], metric)
            for name in quantities
            for metric in ("rmse", "r2", "ratio")
        )
        self._errors = [
            metric_name(quantity(name), kind, "rmse") for kind in self.kinds for name in quantities
        ]
        self.validated = tuple(dict.fromkeys(("nrmse", *self._errors, *self.reported)))
        self.baselines = nn.ModuleList(Baselines(quantities, k, ridge) for k in self.kinds)
        self.readout = Readout(quantities, target, level)
        self.register_buffer("target_mean", torch.zeros(len(outputs)))
        self.register_buffer("target_sd", torch.ones(len(outputs)))
        self._answered: list[Answered] = []

    # -- agreement with the data --------------------------------------------------------------

    def fits(self, datamodule: pl.LightningDataModule) -> None:
        """Refuse data that deliver or ask for something else than the model expects."""
        for name in ("inputs", "roi", "synchronisation", "quantities", "target"):
            require(
                getattr(self, name) == getattr(datamodule, name),
                f"model.{name}: differs from datamodule.{name}; leave it to follow the data",
            )
        self._try_parts()

    def _try_parts(self) -> None:
        """Refuse a loss or an augmentation of another study before the first step does."""
        height, width = self.roi.size
        n = 16
        images = torch.zeros(n, self.inputs.context, height, width)
        ends = torch.tensor([height // 4, height - 2], dtype=torch.int16)
        bounds = ends[None, :, None].repeat(n, 1, width)
        values = torch.zeros(n, len(self.target_mean))
        tried: dict[str, Callable[[], Any]] = {
            "loss=mse": lambda: self.loss(values, values),
            "augment=muscle_scanner": lambda: self._try_augment(images, bounds),
        }
        for option, attempt in tried.items():
            part = self.loss if option.startswith("loss") else self.augment
            try:
                attempt()
            except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
                told = "is not made for frames of a muscle; choose another, such as"
                key = option.partition("=")[0]
                raise ConfigError(f"{key}: {type(part).__name__} {told} {option}") from error

    def _try_augment(self, images: Tensor, bounds: Tensor) -> None:
        """Raise ValueError if what comes back is no muscle between two bounds."""
        if self.augment is None:
            return
        found, moved = self.augment(images, bounds, torch.arange(len(images)))
        upper, lower = moved.unbind(1)
        kept = found.shape == images.shape and moved.shape == bounds.shape
        ordered = (upper >= 0) & (upper <= lower) & (lower <= images.shape[-2])
        if not kept or not ordered.all():
            raise ValueError("images or bounds come back in another form")

    def fit_statistics(self, datamodule: pl.LightningDataModule) -> None:
        """Fit grey values, the spread of the targets and the baselines on training people."""
        self.frontend.fit(*datamodule.grey_statistics())
        mean, sd = datamodule.target_statistics()
        self.target_mean = torch.tensor(mean, dtype=torch.float32)
        self.target_sd = torch.tensor(np.where(sd > 0, sd, 1.0), dtype=torch.float32)
        trials = datamodule.trials()
        for kind in self.kinds:
            self.baselines_of(kind).fit(trials)

    def baselines_of(self, kind: Kind) -> Baselines:
        """The baselines of one kind of target."""
        return cast("Baselines", self.baselines[self.kinds.index(kind)])

    # -- training -----------------------------------------------------------------------------

    def training_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Augment, normalise, mask, forward, loss in units of the training people's spread.

        Args:
            batch: `images` (n, context, H, W) uint8, `bounds` (n, 2, W), `target` (n, outputs) in
                native units, `seed` (n,) int64.
        """
        images, bounds = as_grey(batch["images"]), batch["bounds"]
        if self.augment is not None:
            images, bounds = self.augment(images, bounds, batch["seed"])
        wanted = (batch["target"] - self.target_mean) / self.target_sd
        return self.loss(self._scored(images, bounds), wanted)

    def _scored(self, images: Tensor, bounds: Tensor) -> Tensor:
        channels = self.frontend(images, bounds)
        if self.channels_last:
            channels = channels.contiguous(memory_format=torch.channels_last)
        return self.net(channels)

    def values(self, images: Tensor, bounds: Tensor) -> Tensor:
        """What the net says in native units, (n, outputs); see `training_loss` for the shapes."""
        return self._scored(as_grey(images), bounds) * self.target_sd + self.target_mean

    # -- evaluation ---------------------------------------------------------------------------

    def outputs_of(
        self, images: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int16], ready: Any
    ) -> Floats:
        """Answers of the net for every frame of a trial, (T, outputs) in native units.

        Args:
            images: (T, H, W).
            bounds: (T, 2, W).
            ready: (T,) whether enough frames in a row end with it; others get NaN.
        """
        self.eval()
        answers = np.full((len(images), len(self.target_mean)), np.nan)
        back = np.arange(-self.inputs.context + 1, 1)
        for part in np.array_split(np.flatnonzero(ready), max(1, int(ready.sum()) // CHUNK)):
            if not part.size:
                continue
            stacks = torch.from_numpy(images[part[:, None] + back]).to(self.device)
            masks = torch.from_numpy(bounds[part]).to(self.device)
            with torch.inference_mode():
                answers[part] = self.values(stacks, masks).float().cpu().numpy()
        return answers

    def evaluate_case(self, case: MuscleCase, split: str) -> list[Row]:
        """The row of one trial; at the test also those of the baselines and of the control."""
        trial = case.trial()
        images, bounds = case.images()
        ready = case.run_length >= self.inputs.context
        outputs = self.outputs_of(images, bounds, ready)
        if split == "val":
            self._answered.append(Answered(trial, outputs))
            return [self._row(trial, "model", self.readout.predicted(outputs, trial.follows))]
        order = control_order(trial, self.frozen_config.get("seed", 0))
        control = self.outputs_of(images[order], bounds[order], ready)
        rows = [
            self._row(
                trial, "model", self.readout.predicted(outputs, trial.follows), intervals=True
            ),
            self._row(trial, SHUFFLED, self.readout.heads(control)),
        ]
        if self.readout.fusion is not None:
            rows.append(self._row(trial, "model: heads not fused", self.readout.heads(outputs)))
        return rows + self._baseline_rows(trial)

    def _row(
        self, trial: Trial, predictor: str, predicted: Predicted, intervals: bool = False
    ) -> Row:
        """Rows of all kinds as one; what they share, such as the ratio, is the change head's."""
        row: Row = {}
        for kind, values in reversed(predicted.items()):
            named = dict(zip(self.quantities, values.T, strict=True))
            widths = self._half_widths(kind) if intervals else None
            row |= trial_row(trial, predictor, named, kind, widths)
        return row

    def _half_widths(self, kind: Kind) -> dict[str, float] | None:
        """Half widths of the predictive intervals; None before a validation."""
        widths = self.readout.half_widths(kind)
        return widths if np.isfinite(list(widths.values())).all() else None

    def _baseline_rows(self, trial: Trial) -> list[Row]:
        rows: dict[str, Row] = {}
        for kind in reversed(self.kinds):
            for name, predictions in self.baselines_of(kind).predict(trial).items():
                row = trial_row(trial, name, predictions, kind)
                rows[name] = rows.get(name, {}) | row
        return list(rows.values())

    # -- what is fitted on validation people --------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget the answers of the previous validation, too."""
        super().on_validation_epoch_start()
        self._answered = []

    def on_validation_epoch_end(self) -> None:
        """Fit fusion and intervals on the held-out trials of all ranks, and judge the model so.

        The weights that are judged, and saved as the best, then have the fusion that they were
        judged with.
        """
        everywhere = {a.trial.name: a for part in all_gather(self._answered) for a in part}
        answered = [everywhere[name] for name in sorted(everywhere)]
        self.readout.fit(answered)
        self.rows = [
            self._row(a.trial, "model", self.readout.predicted(a.outputs, a.trial.follows))
            for a in answered
        ]
        super().on_validation_epoch_end()

    # -- figures ------------------------------------------------------------------------------

    def headline(self, rows: Sequence[Row]) -> dict[str, float]:
        """Validation figures: `nrmse`, in units of the training spread, and each quantity's own."""
        (whole,) = pool(rows, by=())
        relative = [whole[name] for name in self._errors] / self.target_sd.cpu().numpy()
        whole["nrmse"] = float(np.mean(relative))
        return {name: whole[name] for name in self.validated}

    def pooled(self, rows: Sequence[Row]) -> dict[str, float]:
        """Mean and spread over people, and the best of them beside what the paper claims.

        Of trials: tables that are pooled already, such as one per task, have nothing to add.
        """
        if any("trials" in row for row in rows):
            return {}
        shown = ("n_participants", *self.reported, *self._further)
        everyone = over_people(rows)
        parts = ("", "_sd", "_low", "_high")
        names = [name + part for name in shown for part in parts]
        return {n: everyone[n] for n in names if n in everyone} | best_participant(rows)

    @property
    def _further(self) -> tuple[str, ...]:
        """Figures over people that the table of trials has no room for."""
        kind = self.kinds[-1]
        return tuple(
            metric_name(quantity(name), None if metric.startswith("drift") else kind, metric)
            for name in self.quantities
            for metric in ("r", "nrmse", "drift", "coverage", "rmse_mvc_percent")
        )

    def views(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """One row per participant over all tasks, and one per task over all participants."""
        return {
            "per_participant": pool(rows, by=("participant",)),
            "per_task": pool(rows, by=("task",)),
        }

    def illustrate(self, cases: Sequence[Any], rows: Sequence[Row], gallery: Gallery) -> None:
        """Traces, agreement and drift of a few trials; ratios and clocks of all of them."""
        from vitruvian.muscle.evaluation_figures import draw_figures

        draw_figures(self, cases, rows, gallery)

    # -- prediction ---------------------------------------------------------------------------

    def predict_path(
        self, source: Path, target: Path, provenance: dict[str, Any]
    ) -> Iterator[Path]:
        """Angle, torque and EMG of recordings or videos; see `vitruvian.muscle.predict`."""
        from vitruvian.muscle.predict import predict_path

        return predict_path(self, source, target, provenance)

    def export(
        self, target: Path, format: Format, stream: bool, provenance: dict[str, Any]
    ) -> Exported:
        """Write normalisation, net and units as one model."""
        from vitruvian.muscle.exporting import export

        return export(self, target, format, stream, provenance)

    def live(self, options: LiveOptions, provenance: dict[str, Any]) -> LiveOutcome:
        """Say angle, torque and EMG of a stream while it runs."""
        from vitruvian.muscle.live import predict_live

        return predict_live(self, options, provenance)
