"""A progress bar with loss, metric, rate and remaining time; silent when nobody watches."""

from __future__ import annotations

import sys
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vitruvian.core.resume import batches_per_epoch


class RateColumn(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        """The rate, once it is known."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="cyan")


class ProgressBar(Callback):
    """One bar for the whole training, one for each validation or test.

    Args:
        enabled: `auto` shows it only on a terminal; true and false force it.
        refresh_hz: redraws per second.
    """

    def __init__(self, enabled: bool | str = "auto", refresh_hz: float = 4.0) -> None:
        if enabled not in (True, False, "auto"):
            raise ValueError(f"enabled must be true, false or auto, not {enabled!r}")
        self.enabled, self.refresh_hz = enabled, refresh_hz
        self._progress: Progress | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Open the display on the first rank."""
        shown = sys.stdout.isatty() if self.enabled == "auto" else bool(self.enabled)
        if shown and trainer.is_global_zero and self._progress is None:
            self._progress = self._open()

    def _open(self) -> Progress:
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}"),
            console=Console(),
            refresh_per_second=self.refresh_hz,
        )
        progress.start()
        return progress

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the terminal back."""
        self._close()

    def on_exception(self, *_: Any) -> None:
        """Give the terminal back before an error is printed."""
        self._close()

    # -- training -----------------------------------------------------------------------------

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A bar that counts the epoch's batches."""
        if self._progress is not None:
            last = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
            title = f"epoch {trainer.current_epoch + 1}{last}"
            done = trainer.datamodule.position()[1]
            total = batches_per_epoch(trainer)
            self._train = self._progress.add_task(title, total=total, completed=done, values="")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """One batch more, with the newest loss and metric."""
        if self._progress is not None:
            self._progress.update(self._train, advance=1, values=shown_values(trainer))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the finished epoch's line, with its validation."""
        if self._progress is not None:
            self._progress.update(self._train, values=shown_values(trainer))
            self._progress.stop_task(self._train)

    # -- validation and test ------------------------------------------------------------------

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A bar that counts cases and goes away afterwards."""
        self._start_cases("validate", trainer.num_val_batches)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A bar that counts cases."""
        self._start_cases("evaluate", trainer.num_test_batches)

    def _start_cases(self, title: str, counts: list[Any]) -> None:
        if self._progress is not None:
            self._cases = self._progress.add_task(title, total=int(sum(counts)), values="cases")

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """One case more."""
        if self._progress is not None:
            self._progress.update(self._cases, advance=1)

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the bar: the metric stands in the epoch's line."""
        if self._progress is not None:
            self._progress.remove_task(self._cases)

    on_test_end = on_validation_end


def shown_values(trainer: pl.Trainer) -> str:
    """The metrics marked for the progress bar, in short."""
    metrics = trainer.progress_bar_metrics
    return "  ".join(f"{name.removeprefix('train/')} {v:.4g}" for name, v in metrics.items())
