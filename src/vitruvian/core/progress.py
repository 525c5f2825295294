"""How far a training is: one live line on a terminal, a plain line per epoch everywhere else."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
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
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vitruvian.core.resume import batches_per_epoch
from vitruvian.core.verbosity import speaks

_BAR = (8, 40)  # columns of the bar: on a narrow and on a wide terminal
_REST = 80  # columns of all that stands beside it, on a wide terminal
_TIMES = 20  # columns of rate, remaining time and the gaps


class RateColumn(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        """The rate, once it is known."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="cyan")


class ProgressBar(Callback):
    """One line for the whole training, one for each validation or test while it lasts.

    Where nobody watches, each epoch leaves a line of text: a job's log shows how it went.

    Args:
        enabled: `auto` shows the bar on a terminal, and lines elsewhere; true forces the bar, false
            silences both.
        refresh_hz: redraws per second.
    """

    def __init__(self, enabled: bool | str = "auto", refresh_hz: float = 4.0) -> None:
        if enabled not in (True, False, "auto"):
            raise ValueError(f"enabled must be true, false or auto, not {enabled!r}")
        self.enabled, self.refresh_hz = enabled, refresh_hz
        self._progress: Progress | None = None
        self._train: TaskID | None = None
        self._cases: TaskID | None = None
        self._lines = False
        self._room = 0
        self._began = time.monotonic()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Open the display on the first rank."""
        if not trainer.is_global_zero or self._progress is not None:
            return
        auto = self.enabled == "auto" and speaks()
        self._lines = auto and not sys.stdout.isatty()
        if self.enabled is True or (auto and not self._lines):
            self._progress = self._open(passing=stage != "fit")

    def _open(self, passing: bool) -> Progress:
        console = Console()
        bar = min(max(console.width - _REST, _BAR[0]), _BAR[1])
        self._room = console.width - bar - _TIMES
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}"),
            console=console,
            refresh_per_second=self.refresh_hz,
            transient=passing,
        )
        progress.start()
        return progress

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._train = self._cases = None

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the terminal back."""
        self._close()

    def on_exception(self, *_: Any) -> None:
        """Give the terminal back before an error is printed."""
        self._close()

    # -- training -----------------------------------------------------------------------------

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The line says which epoch this is; it counts the batches of all."""
        self._began = time.monotonic()
        if self._progress is None:
            return
        epoch, done = trainer.current_epoch, trainer.datamodule.position()[1]
        completed = epoch * batches_per_epoch(trainer) + done
        if self._train is None:
            total = all_batches(trainer)
            self._train = self._progress.add_task("", total=total, values="")
        self._progress.update(self._train, description=_epoch(trainer), completed=completed)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """One batch more, with the newest loss and metric."""
        if self._progress is not None and self._train is not None:
            self._progress.update(self._train, advance=1, values=self._values(trainer))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The epoch's figures, with its validation."""
        if self._progress is not None and self._train is not None:
            self._progress.update(self._train, values=self._values(trainer))
        seconds = time.monotonic() - self._began
        values = f"{_epoch(trainer)}  step {trainer.global_step}  {shown_values(trainer)}"
        self._say(f"{values}  {seconds:.1f} s")

    def _values(self, trainer: pl.Trainer) -> str:
        """As many values as there is room for: a line that is cut could end inside a number."""
        beside = len(_epoch(trainer)) + 2 * len(str(all_batches(trainer)))
        return shown_values(trainer, self._room - beside)

    def _say(self, line: str) -> None:
        if self._lines:
            with suppress(OSError):  # the reader went away: no reason to stop a training
                print(line, flush=True)

    # -- validation and test ------------------------------------------------------------------

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A line that counts cases and goes away afterwards."""
        self._start_cases("validate", trainer.num_val_batches)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A line that counts cases and goes away afterwards: the table follows."""
        self._began = time.monotonic()
        self._start_cases("evaluate", trainer.num_test_batches)

    def _start_cases(self, title: str, counts: list[Any]) -> None:
        if self._progress is not None:
            self._cases = self._progress.add_task(title, total=int(sum(counts)), values="cases")

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """One case more."""
        if self._progress is not None and self._cases is not None:
            self._progress.update(self._cases, advance=1)

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the line: the metric stands in that of the training."""
        if self._progress is not None and self._cases is not None:
            self._progress.remove_task(self._cases)
        self._cases = None

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the line, and say how long it took where lines are written."""
        self.on_validation_end(trainer, pl_module)
        cases, seconds = int(sum(trainer.num_test_batches)), time.monotonic() - self._began
        self._say(f"evaluated {cases} case{'' if cases == 1 else 's'} in {seconds:.1f} s")


def all_batches(trainer: pl.Trainer) -> int | None:
    """Batches of the whole training; None where nothing but a metric ends it."""
    epochs = trainer.max_epochs if trainer.max_epochs is not None else -1
    ends = (
        epochs * batches_per_epoch(trainer),
        trainer.max_steps * trainer.accumulate_grad_batches,
    )
    return min((end for end in ends if end >= 0), default=None)


def _epoch(trainer: pl.Trainer) -> str:
    last = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
    return f"epoch {trainer.current_epoch + 1}{last}"


def shown_values(trainer: pl.Trainer, room: int | None = None) -> str:
    """The metrics marked for the progress bar, in short; those that fit into `room` columns."""
    metrics = trainer.progress_bar_metrics
    texts = [f"{name.removeprefix('train/')} {v:.4g}" for name, v in metrics.items()]
    while room is not None and len(texts) > 1 and len("  ".join(texts)) > room:
        texts.pop()
    return "  ".join(texts)
