"""Exact resume: a run that was killed at any moment ends with the same bits as one that was not.

Lightning restores weights, optimiser and counters, but no random state, no position in the data and
no half-done epoch. Here every checkpoint is taken between two optimiser steps and says: epoch `e`,
of which `batches_done` batches are done. Lightning is told on loading that it stands at the clean
start of epoch `e`; the loader yields only the batches that remain, and when none remains, the
validation that was due is run. Lightning's own restart logic is therefore never used.
"""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from vitruvian.core.ddp import all_gather
from vitruvian.core.history import History
from vitruvian.core.task import Task

State = dict[str, Any]


class ExactResume(Callback):
    """Keeps in each checkpoint what Lightning leaves out.

    Saved per rank: the states of Python's, NumPy's and torch's random generators and the running
    mean of the training loss. Saved once: the position in the epoch and the length of the metric
    history.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.epoch = 0
        self.batches_done = 0
        self.finished = False
        self._pending: list[State] | None = None

    def position(self, trainer: pl.Trainer) -> tuple[int, int]:
        """The epoch that is starting and how many of its batches are done already."""
        epoch = trainer.current_epoch
        return epoch, self.batches_done if epoch == self.epoch else 0

    # -- what goes into a checkpoint ----------------------------------------------------------

    def state_dict(self) -> State:
        """Plain data only: it must load with `weights_only=True`."""
        return {
            "epoch": self.epoch,
            "batches_done": self.batches_done,
            "finished": self.finished,
            "history_rows": self.history.rows,
            "ranks": self._gathered,
        }

    def load_state_dict(self, state_dict: State) -> None:
        """Take the position back at once, the random states when the epoch starts."""
        self.epoch = state_dict["epoch"]
        self.batches_done = state_dict["batches_done"]
        self.finished = state_dict["finished"]
        self.history.rewind(state_dict["history_rows"])
        self._pending = state_dict["ranks"]

    def prepare(self, task: Task) -> None:
        """Gather every rank's state; called on all ranks just before a checkpoint is written."""
        mine = {"random": random_state(), "loss": task.epoch_loss.state()}
        self._gathered = all_gather(mine)
        self.history.flush()

    def losses_are_finite(self) -> bool:
        """Whether every rank's loss was a number, as gathered last: all ranks answer alike."""
        return all(math.isfinite(rank["loss"]["sum"]) for rank in self._gathered)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: State
    ) -> None:
        """Make Lightning's loops stand at the clean start of this epoch."""
        clean_start(checkpoint["loops"]["fit_loop"], self.epoch, trainer.global_step)

    # -- following the training ---------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A new run: each rank draws its own dropout, from its own seed."""
        if self._pending is None and trainer.global_step == 0:
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from zero, or continue the epoch that was cut."""
        assert isinstance(pl_module, Task)
        resumed = self._pending is not None
        if not resumed:
            self.epoch, self.batches_done = trainer.current_epoch, 0
            pl_module.epoch_loss.reset()
            return
        self._restore(trainer, pl_module)
        trainer.fit_loop.epoch_loop.restarting = False
        if self.batches_done >= batches_per_epoch(trainer):
            _run_due_validation(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """One more batch of this epoch is done."""
        self.batches_done += 1

    def _restore(self, trainer: pl.Trainer, task: Task) -> None:
        assert self._pending is not None
        ranks, self._pending = self._pending, None
        if trainer.global_rank < len(ranks):
            mine = ranks[trainer.global_rank]
            restore_random_state(mine["random"])
            task.epoch_loss.restore(mine["loss"])


def batches_per_epoch(trainer: pl.Trainer) -> int:
    """Training batches of one epoch on this rank."""
    loader = trainer.train_dataloader
    return int(loader.batches_per_epoch)


def _run_due_validation(trainer: pl.Trainer) -> None:
    """Run the validation before which the run was cut, as the end of the epoch would have."""
    loop = trainer.fit_loop.epoch_loop
    if loop._should_check_val_epoch():
        loop._batches_that_stepped -= 1  # a validation is logged at the step that it follows
        trainer.validating = True
        loop.val_loop.run()
        trainer.training = True
        loop._batches_that_stepped += 1
    # An epoch without a batch left does not step the schedulers that wait for a validation.
    for interval in ("step", "epoch"):
        loop.update_lr_schedulers(interval, update_plateau_schedulers=True)


def clean_start(fit_loop: State, epoch: int, global_step: int) -> None:
    """Rewrite the saved loops: `epoch` epochs are complete and the next has not begun."""
    for progress in fit_loop["epoch_progress"].values():
        progress.update(dict.fromkeys(progress, epoch))
    for name, content in fit_loop.items():
        if name.endswith("batch_progress"):
            _zero(content)
    fit_loop["epoch_loop.state_dict"]["_batches_that_stepped"] = global_step


def _zero(progress: State) -> None:
    for part in ("total", "current"):
        progress[part] = dict.fromkeys(progress[part], 0)
    progress["is_last_batch"] = False


def random_state() -> State:
    """The states of all global generators as plain data and tensors."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - others may use it
    return {
        "python": json.dumps(random.getstate()),
        "numpy": [name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *map(float, rest)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def restore_random_state(state: State) -> None:
    """Put back what `random_state` returned."""
    version, internal, gauss = json.loads(state["python"])
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    words = keys.numpy().astype(np.uint32)
    legacy = (name, words, int(position), int(has_gauss), cached)
    np.random.set_state(legacy)  # noqa: NPY002 - others may use it
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
