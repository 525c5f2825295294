"""A sign of life: how far a run is, in its `status.json`, for those who watch many runs."""

from __future__ import annotations

import logging
import random
import socket
import time
from datetime import UTC, datetime
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from vitruvian.core.errors import RunError
from vitruvian.core.rundir import RUNNING, RunDirectory
from vitruvian.core.task import SIMULATED_KEY, Task

log = logging.getLogger(__name__)

PERIOD_S = 30.0
LEAST_S = 5.0  # between two signs, when short epochs end one after the other


class Heartbeat(Callback):
    """Rewrites `status.json` now and then: state, step, steps in all, epoch, last validation.

    Between two signs it costs one look at the clock for each batch. A disk that cannot take it does
    not end the training.

    Args:
        run: its directory.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._start: dict[str, Any] = {}
        self._metrics: dict[str, float] = {}
        self._written = self._due = float("inf")
        self._chance = random.Random()  # not the global one: it belongs to the training

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first sign of this start, with the last validation that is known."""
        if trainer.is_global_zero:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._start = {"started": now, "started_step": trainer.global_step}
            self._metrics = self._run.progress().get("metrics", {})
            self._write(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """A sign if one is due."""
        if time.monotonic() >= self._due:
            self._write(trainer)

    on_validation_batch_end = on_train_batch_end
    on_test_batch_end = on_train_batch_end

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The newest figures, unless the last sign was a moment ago."""
        if trainer.is_global_zero and trainer.state.fn == "fit":
            found = trainer.callback_metrics
            self._metrics = {n: float(v) for n, v in found.items() if n.startswith("val/")}
            if time.monotonic() >= self._written + LEAST_S:
                self._write(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The last figures: the evaluation begins."""
        if self._start:
            self._write(trainer)

    def on_exception(self, trainer: pl.Trainer, *_: Any) -> None:
        """How far it came: the last word on the run will repeat it."""
        if self._start:
            self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        task = trainer.lightning_module
        assert isinstance(task, Task)
        progress = {
            "step": trainer.global_step,
            "total_steps": task.total_steps,
            "epoch": trainer.current_epoch,
            "simulated": bool(task.origin.get(SIMULATED_KEY)),
        }
        try:
            self._run.write_status(
                RUNNING, host=socket.gethostname(), **progress, **self._start, metrics=self._metrics
            )
        except RunError as error:
            log.warning("%s; the training goes on", error)
        self._written = time.monotonic()
        # many runs that start together must not write together for ever
        self._due = self._written + PERIOD_S * self._chance.uniform(0.8, 1.2)
