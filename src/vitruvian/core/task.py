"""What every study's LightningModule shares: one training step, one evaluation per case."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor, nn

from vitruvian.core.ddp import all_gather, distributed, same_buffers
from vitruvian.core.errors import ConfigError
from vitruvian.core.evaluation import Row, merge
from vitruvian.core.exporting import Exported, Format
from vitruvian.core.gallery import Gallery
from vitruvian.core.live import LiveOptions, LiveOutcome

CONFIG_KEY = "vitruvian_config"
SIMULATED_KEY = "trained_on_simulated"
SPLITS_KEY = "splits"

Optimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Scheduler = Callable[..., Any]


class RunningMean:
    """Mean of a value over the batches of an epoch; its state goes into checkpoints, per rank."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start again."""
        self._sum = torch.zeros((), dtype=torch.float64)
        self._count = 0

    def update(self, value: Tensor) -> None:
        """Add one value; stays on its device, so nothing waits for it."""
        self._sum = self._sum.to(value.device) + value.detach().double()
        self._count += 1

    @property
    def total(self) -> float:
        """Sum of the values; waits for the device."""
        return float(self._sum)

    def mean(self) -> float:
        """Mean over all ranks; NaN before the first value."""
        both = torch.stack([self._sum, torch.tensor(float(self._count)).to(self._sum)])
        if distributed():
            dist.all_reduce(both)
        total, count = both.tolist()
        return total / count if count else float("nan")

    def state(self) -> dict[str, Any]:
        """Plain data that `restore` takes back."""
        return {"sum": self._sum.cpu(), "count": self._count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken."""
        self._sum, self._count = state["sum"], state["count"]


class Task(pl.LightningModule):
    """A net, its loss and its optimiser; a study fills in the abstract methods.

    Args:
        net: the network; it does not know that it is being trained.
        loss: called as `loss(output, target)`, returns a scalar.
        optimizer: called with the parameters, returns an optimiser.
        scheduler: called with the optimiser; see `configure_optimizers` for what it counts.
        augment: called with the batch's tensors on the device, or None.
        channels_last: keep images and weights in channels-last memory order.
        compile: compile the net in place (`net.compile()` keeps the parameter names).
    """

    reported: tuple[str, ...]  # metrics that the result table shows
    validated: tuple[str, ...] = ()  # names of `headline`; none: not known before it is called

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        optimizer: Optimizer,
        scheduler: Scheduler | None = None,
        augment: nn.Module | None = None,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.net, self.loss, self.augment = net, loss, augment
        self._optimizer, self._scheduler = optimizer, scheduler
        self.channels_last = channels_last
        self.epoch_loss = RunningMean()
        self.rows: list[Row] = []
        self.frozen_config: dict[str, Any] = {}
        self.origin: dict[str, Any] = {}  # of the data: kept in checkpoints; the engine knows
        self.total_steps = 0  # optimiser steps of the whole run; the engine knows
        self.prepare_net(compile)

    def prepare_net(self, compile: bool) -> None:
        """Apply the memory order and the compiler to the net."""
        if self.channels_last:
            self.net.to(memory_format=_channels_last(self.net))  # type: ignore[call-overload]  # torch types the 2-D order only
        if compile:
            self.net.compile()

    # -- what a study writes ------------------------------------------------------------------

    @abstractmethod
    def training_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The scalar loss of one batch."""

    @abstractmethod
    def evaluate_case(self, case: Any, split: str) -> list[Row]:
        """Rows of metrics of one case: the model's, and for `test` the trivial baselines' too."""

    @abstractmethod
    def headline(self, rows: Sequence[Row]) -> dict[str, float]:
        """The scalars that a validation logs, from all cases' rows."""

    def pooled(self, rows: Sequence[Row]) -> dict[str, float]:
        """Figures of all cases taken as one, of one predictor's rows; none by default."""
        return {}

    def views(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """Further tables of the same rows, by name, such as one per person; none by default."""
        return {}

    def illustrate(self, cases: Sequence[Any], rows: Sequence[Row], gallery: Gallery) -> None:
        """Draw what people would rather look at than read, of evaluated cases; nothing by default.

        Args:
            cases: as `evaluate_case` takes them.
            rows: of their evaluation.
            gallery: takes the figures.
        """

    def export(
        self, target: Path, format: Format, stream: bool, provenance: dict[str, Any]
    ) -> Exported:
        """Write the net for another runtime; `stream`: one step of a causal net, with its state.

        Raises:
            ConfigError: the study has no export, or not this one.
        """
        raise ConfigError(f"model: {type(self).__name__} has no export")

    def live(self, options: LiveOptions, provenance: dict[str, Any]) -> LiveOutcome:
        """Predict a stream while it runs, and say how it ended.

        Raises:
            ConfigError: the study has no live mode.
        """
        raise ConfigError(f"model: {type(self).__name__} has no live mode")

    @abstractmethod
    def predict_path(
        self, source: Path, target: Path, provenance: dict[str, Any]
    ) -> Iterator[Path]:
        """Predict a file or a folder, write the results below `target`, yield what was written."""

    def fits(self, datamodule: pl.LightningDataModule) -> None:
        """Raise ConfigError if the net cannot read what the datamodule delivers."""

    def fit_statistics(self, datamodule: pl.LightningDataModule) -> None:
        """Fit what is fitted on training subjects only, and keep it in buffers."""

    # -- training -----------------------------------------------------------------------------

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """One step: the loss is logged as the mean over ranks."""
        loss = self.training_loss(batch)
        self.epoch_loss.update(loss)
        several = self.trainer.world_size > 1
        self.log("train/loss", loss.detach(), prog_bar=True, sync_dist=several, batch_size=1)
        self.log("train/lr", self._learning_rate(), batch_size=1)
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the mean loss of the epoch, over all ranks."""
        self.log("train/epoch_loss", self.epoch_loss.mean(), batch_size=1)

    def _learning_rate(self) -> float:
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        """Build the optimiser and, if there is one, the scheduler.

        A scheduler whose horizon (`total_iters`, `total_steps` or `T_max`) the config leaves out is
        given the number of optimiser steps of the whole run and counts steps; every other scheduler
        counts epochs.
        """
        optimizer = self.bare_optimizer()
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self._schedule(optimizer)}

    def bare_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser over all trainable parameters, without a schedule."""
        with _refused_values("optimizer"):
            return self._optimizer(p for p in self.parameters() if p.requires_grad)

    def _schedule(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        assert self._scheduler is not None
        horizon = dict.fromkeys(open_horizon(self._scheduler), self.total_steps)
        monitor = self.frozen_config.get("monitor", {}).get("metric")
        with _refused_values("scheduler"):
            scheduler = self._scheduler(optimizer, **horizon)
        waits = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
        return {
            "scheduler": scheduler,
            "interval": "step" if horizon else "epoch",
            "frequency": (self.trainer.check_val_every_n_epoch or 1) if waits else 1,
            "monitor": monitor,
        }

    # -- evaluation ---------------------------------------------------------------------------

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Move a training batch; a case to evaluate stays where it is, the task reads from it."""
        if not isinstance(batch, dict):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _step(self, case: Any, split: str) -> None:
        self.rows += self.evaluate_case(case, split)

    def validation_step(self, case: Any, batch_idx: int) -> None:
        """Evaluate one case."""
        self._step(case, "val")

    def test_step(self, case: Any, batch_idx: int) -> None:
        """Evaluate one case, with the trivial baselines beside it."""
        self._step(case, "test")

    def on_validation_epoch_start(self) -> None:
        """Forget the rows of the previous validation; every rank judges the same weights."""
        self.rows = []
        same_buffers(self)

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        """Gather the rows of all ranks, each case once, and log the headline figures."""
        self.gather_rows()
        for name, value in self.headline(self.rows).items():
            self.log(f"val/{name}", value, prog_bar=True, batch_size=1, rank_zero_only=False)

    def on_test_epoch_end(self) -> None:
        """Gather the rows of all ranks, each case once."""
        self.gather_rows()

    def gather_rows(self) -> None:
        """Every rank ends with the rows of all ranks; cases repeated as padding count once."""
        self.rows = merge(all_gather(self.rows))

    # -- checkpoints --------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Embed the frozen config and the data's origin: a checkpoint alone can predict."""
        checkpoint[CONFIG_KEY] = self.frozen_config
        checkpoint.update(self.origin)


def _channels_last(net: nn.Module) -> torch.memory_format:
    volumetric = any(isinstance(m, nn.Conv3d) for m in net.modules())
    return torch.channels_last_3d if volumetric else torch.channels_last


@contextmanager
def _refused_values(key: str) -> Iterator[None]:
    """What waits as a partial shows a bad value only when it is called."""
    try:
        yield
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"{key}: {error}") from error


HORIZONS = ("total_iters", "total_steps", "T_max")


def open_horizon(scheduler: Scheduler) -> list[str]:
    """Names of the scheduler's horizon parameters that its config left open."""
    fixed = scheduler.keywords if isinstance(scheduler, partial) else {}
    return [n for n in signature(scheduler).parameters if n in HORIZONS and n not in fixed]


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with `message` unless `condition`."""
    if not condition:
        raise ConfigError(message)
