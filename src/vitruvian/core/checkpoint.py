"""Checkpoints: plain data, written whole or not at all, read without executing anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from lightning_fabric.plugins import CheckpointIO
from pytorch_lightning.callbacks import Callback

from vitruvian.core.ddp import distributed
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.files import atomic
from vitruvian.core.fsdp import held
from vitruvian.core.resume import ExactResume, batches_per_epoch
from vitruvian.core.signals import Interrupted, StopRequest
from vitruvian.core.task import Task
from vitruvian.core.watched import not_logged


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU with `weights_only=True`.

    Raises:
        RunError: there is no such file, it is damaged, or it holds objects other than plain data
            (a crafted pickle could run code, so it is refused).
    """
    if not path.is_file():
        raise RunError(f"{path}: no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError) as error:
        first = (str(error) or "it ends too early").splitlines()[0]
        raise RunError(f"{path} cannot be read: {first}") from error
    except Exception as error:  # UnpicklingError, and whatever reading noise as a pickle leads to
        raise RunError(
            f"{path} is refused: it is damaged, or holds more than plain data and could run code"
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise RunError(f"{path} is not a checkpoint of Vitruvian: it has no state_dict")
    return content


class PlainCheckpointIO(CheckpointIO):
    """Atomic writes, `weights_only` reads."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write to a temporary file, flush, rename: the previous checkpoint survives a failure.

        Raises:
            RunError: the disk is full or the directory cannot be written.
        """
        with atomic(Path(path)) as temporary, temporary.open("wb") as stream:
            try:
                torch.save(checkpoint, stream)
            except RuntimeError as error:
                raise _cause_of(error) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read plain data only, whatever the caller asks for."""
        return load_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint file."""
        Path(path).unlink(missing_ok=True)


def _cause_of(error: BaseException) -> OSError:
    """The error of the disk, which torch's zip writer buries under one of its own."""
    first = str(error).splitlines()[0]
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause or OSError(first)


class Checkpoints(Callback):
    """Keeps `last.ckpt` (to resume) and `best.ckpt` (to evaluate).

    `last.ckpt` is written every `every_n_steps` optimiser steps, before each validation and at the
    end; always between two optimiser steps, so that nothing is lost of an accumulated gradient.

    Args:
        monitor: the logged metric that decides which weights are best.
        mode: `min` or `max`.
        every_n_steps: optimiser steps between two writes of `last.ckpt`.
    """

    def __init__(self, monitor: str, mode: str = "min", every_n_steps: int = 200) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', not {mode!r}")
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, not {every_n_steps}")
        self.monitor, self.mode, self.every_n_steps = monitor, mode, every_n_steps
        self.best: float | None = None
        self._saved_step = -1
        self._due = False

    def attach(self, folder: Path, resume: ExactResume, stop: StopRequest) -> None:
        """Tell the callback where it works; the engine calls this once."""
        self.folder, self.resume, self.stop = folder, resume, stop

    def state_dict(self) -> dict[str, Any]:
        """The best score so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the best score of the interrupted run."""
        self.best = state_dict["best"]

    # -- when to save -------------------------------------------------------------------------

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Decide whether a write is due; it happens when Lightning has logged this step."""
        if trainer.fit_loop.epoch_loop._should_accumulate():
            return
        self._stop_asked = agree(trainer, self.stop.signum)
        self._due = self._stop_asked is not None or trainer.global_step % self.every_n_steps == 0

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """The previous step is complete and logged: write it down if due, stop if asked."""
        self._write_if_due(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The epoch's last step is complete and its validation has not begun."""
        if trainer.state.fn == "fit" and trainer.global_step != self._saved_step:
            self.save_last(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Stop between two cases when asked: the checkpoint before the validation stands."""
        self._stop_between_cases(trainer)

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights if they are the best so far."""
        if trainer.state.fn == "fit":
            self._save_best(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """An epoch without validation still ends with a checkpoint."""
        whole = self.resume.batches_done >= batches_per_epoch(trainer)
        if whole and trainer.global_step != self._saved_step:
            self.save_last(trainer)
        self._due = False

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The last word: training is finished."""
        self.resume.finished = True
        self.save_last(trainer)

    # -- saving -------------------------------------------------------------------------------

    def _write_if_due(self, trainer: pl.Trainer) -> None:
        if self._due:
            self._due = False
            self.save_last(trainer)
            if self._stop_asked is not None:
                raise Interrupted(self._stop_asked)

    def _stop_between_cases(self, trainer: pl.Trainer) -> None:
        asked = agree(trainer, self.stop.signum)
        if asked is not None:
            raise Interrupted(asked)

    def save_last(self, trainer: pl.Trainer) -> None:
        """Write `last.ckpt`, unless the weights are ruined: the last good one is kept.

        Raises:
            RunError: the training loss or a weight is not finite, or the file cannot be written.
        """
        task = trainer.lightning_module
        assert isinstance(task, Task)
        self.resume.prepare(task)
        ruined = "a weight" if not has_finite_weights(task) else None
        ruined = "the loss" if not self.resume.losses_are_finite() else ruined
        if ruined is not None:
            raise RunError(
                f"training diverged: {ruined} is not finite at step {trainer.global_step}; "
                f"the last good checkpoint is kept; try a smaller optimizer.lr"
            )
        trainer.save_checkpoint(self.folder / "last.ckpt")
        self._saved_step = trainer.global_step

    def _save_best(self, trainer: pl.Trainer) -> None:
        metrics = trainer.callback_metrics
        if self.monitor not in metrics:
            raise ConfigError(f"monitor.metric: {not_logged(self.monitor, metrics)}")
        score = float(metrics[self.monitor])
        if self._better(score):
            self.best = score
            trainer.save_checkpoint(self.folder / "best.ckpt", weights_only=True)

    def _better(self, score: float) -> bool:
        if math.isnan(score):
            return False
        if self.best is None:
            return True
        return score > self.best if self.mode == "max" else score < self.best


def has_finite_weights(task: Task) -> bool:
    """Whether no weight of any rank is NaN or infinite: a rank may hold a share of them only."""
    finite = [held(weight.detach()).isfinite().all() for weight in task.parameters()]
    sound = torch.stack(finite).all().long() if finite else torch.ones((), dtype=torch.long)
    if distributed():
        dist.all_reduce(sound, op=dist.ReduceOp.MIN)
    return bool(sound)


def agree(trainer: pl.Trainer, signum: int | None) -> int | None:
    """The stop signal any rank has received: all ranks stop at the same step."""
    if trainer.world_size == 1:
        return signum
    flag = torch.tensor([signum or 0], device=trainer.strategy.root_device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return int(flag.item()) or None
