"""Train, evaluate, predict: built once from the frozen config of a run directory."""

from __future__ import annotations

import logging
import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from vitruvian.core import provenance
from vitruvian.core.build import build
from vitruvian.core.checkpoint import load_checkpoint
from vitruvian.core.config import Config, differences
from vitruvian.core.datamodule import DataModule, Part
from vitruvian.core.ddp import together
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.evaluating import Result, evaluated, held_out, on_device
from vitruvian.core.export_place import check_place
from vitruvian.core.exporting import Exported, Format, passed_on
from vitruvian.core.fsdp import load_whole
from vitruvian.core.header import show_header
from vitruvian.core.live import LiveOptions, LiveOutcome
from vitruvian.core.model_card import write_card
from vitruvian.core.ranks import is_first_process
from vitruvian.core.resume import ExactResume
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RUNNING, RunDirectory
from vitruvian.core.signals import Interrupted, StopRequest
from vitruvian.core.splits import Splits
from vitruvian.core.task import CONFIG_KEY, SIMULATED_KEY, SPLITS_KEY, Task
from vitruvian.core.tracking import followed
from vitruvian.core.trainer import build_trainer, quiet, single_device_trainer
from vitruvian.core.watched import check_watched

log = logging.getLogger(__name__)

# -- the verbs' work ------------------------------------------------------------------------------


def train(run: RunDirectory, config: Config) -> Result:
    """Train in a run directory, or continue what was begun there, then evaluate the best weights.

    Raises:
        UserError: data, config or directory cannot be used.
        Interrupted: a signal stopped the run; its state is saved.
    """
    stop = StopRequest()
    with stop.listening():
        if not is_first_process():
            return _train(run, config, stop)
        with run.lock():
            return _train_and_note(run, config, stop)


def _train_and_note(run: RunDirectory, config: Config, stop: StopRequest) -> Result:
    """Train, and write down how it stands: to train, to fail, to be stopped, to be complete."""
    try:
        run.write_status(RUNNING, **run.progress() | _start_of(run))
        result = _train(run, config, stop)
        stop.deaf = True
    except BaseException as error:
        stop.deaf = True
        interrupted = _interruption(stop, error)
        if interrupted is None:
            _note_failure(run, error)
            raise
        run.write_status(INTERRUPTED, **run.progress(), reason=str(interrupted))
        raise interrupted from None
    run.write_status(COMPLETE, **run.progress())
    return result


def _start_of(run: RunDirectory) -> dict[str, Any]:
    """What the status says before the first step; see core/heartbeat.py."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    step = run.progress().get("step", 0)
    return {"host": socket.gethostname(), "started": now, "step": step, "started_step": step}


def _interruption(stop: StopRequest, error: BaseException) -> Interrupted | None:
    """The stop behind an error: it may have struck in the middle of something, and broken that.

    A process that loads data may have died of a signal that a scheduler sent to all of them.
    """
    if isinstance(error, Interrupted):
        return error
    broken = stop.struck or "DataLoader worker" in str(error)
    return Interrupted(stop.signum) if broken and stop.signum is not None else None


def _state_after(stop: StopRequest) -> Callable[[BaseException], str]:
    return lambda error: INTERRUPTED if _interruption(stop, error) else FAILED


def _note_failure(run: RunDirectory, error: BaseException) -> None:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        run.write_status(FAILED, **run.progress(), reason=reason)
    except RunError:  # the disk that failed us cannot take the note either: the first error counts
        log.debug("status.json could not be written", exc_info=True)


def _train(run: RunDirectory, config: Config, stop: StopRequest) -> Result:
    seed_everything(config["seed"])
    set_processor(config)
    datamodule = build_datamodule(config)
    task = build_task(config, datamodule)
    check_watched(config, task.validated)
    trainer, resume = build_trainer(run, config, stop)
    datamodule.prepare()  # may take long: what the config asks for has been built by now
    settle_splits(run, config, datamodule)
    show_header(config, datamodule, trainer)
    task.fit_statistics(datamodule)
    task.origin = {SIMULATED_KEY: datamodule.simulated, SPLITS_KEY: datamodule.splits.to_dict()}
    stop.check()
    if is_first_process():
        provenance.record_start(run.environment_file)
    with (
        together(trainer.strategy),
        followed(
            run, trainer.loggers, config, datamodule.simulated, _state_after(stop)
        ) as trackers,
    ):
        if not _fit(trainer, task, datamodule, run, resume):
            trackers.rewind_all()
        _load_best(task, run)
        part = held_out(datamodule.splits)
        result = evaluated(trainer, task, datamodule, part, run, config, name=part)
        trackers.show(result.name)
    return result


def _fit(
    trainer: pl.Trainer,
    task: Task,
    datamodule: DataModule,
    run: RunDirectory,
    resume: ExactResume,
) -> bool:
    """Train what is left; whether anything was."""
    datamodule.position = lambda: resume.position(trainer)
    last = run.last if run.last.is_file() else None
    if last is not None and is_finished(last):
        return False
    task.total_steps = total_steps(trainer, datamodule)
    with quiet():
        trainer.fit(task, datamodule=datamodule, ckpt_path=last)
    return True


def evaluate(
    run: RunDirectory,
    config: Config,
    checkpoint: Path,
    splits: Splits,
    part: Part = "test",
    accelerator: str = "auto",
    name: str | None = None,
) -> Result:
    """Evaluate a checkpoint on one part of the data, on one device; `run` takes the results."""
    set_processor(config)
    datamodule = build_datamodule(config)
    task = build_task(config, datamodule)
    _load_weights(task, checkpoint)
    trainer = single_device_trainer(run, config, accelerator)
    datamodule.prepare()
    if part != "all":
        datamodule.use(splits)
    changed = tuple(differences(config, config_of(run, checkpoint)))
    return evaluated(trainer, task, datamodule, part, run, config, name or part, changed)


def predict(
    config: Config,
    checkpoint: Path,
    source: Path,
    target: Path,
    accelerator: str = "auto",
) -> Iterator[Path]:
    """Predict a file or a folder with a checkpoint alone; yields the files as they are written."""
    with _ready(config, checkpoint, RunDirectory(target), accelerator) as task:
        yield from task.predict_path(source, target, provenance.of_prediction(config, checkpoint))


def live(
    config: Config, checkpoint: Path, options: LiveOptions, accelerator: str = "auto"
) -> LiveOutcome:
    """Predict a stream while it runs, with a checkpoint alone."""
    with _ready(config, checkpoint, RunDirectory(Path.cwd()), accelerator) as task:
        return task.live(options, provenance.of_prediction(config, checkpoint))


def export(
    config: Config, checkpoint: Path, target: Path, format: Format, stream: bool
) -> Exported:
    """Write a checkpoint's net for another runtime, and a card beside it.

    Raises:
        ConfigError: something else is at `target`, or its name does not fit the format.
        RunError: the net cannot be written so.
    """
    run = RunDirectory(checkpoint.parent.parent)
    check_place(target, format, run)
    origin = passed_on(provenance.of_prediction(config, checkpoint))
    with _ready(config, checkpoint, RunDirectory(target.parent), "cpu") as task:
        exported = task.export(target, format, stream, origin)
    write_card(exported, run, config, origin)
    return exported


@contextmanager
def _ready(
    config: Config, checkpoint: Path, place: RunDirectory, accelerator: str
) -> Iterator[Task]:
    """The task with its weights, on its device, in its precision."""
    set_processor(config)
    task = build_task(config)
    _load_weights(task, checkpoint)
    trainer = single_device_trainer(place, config, accelerator)
    with on_device(task, trainer):
        yield task


def config_of(run: RunDirectory, checkpoint: Path) -> Config:
    """The frozen config: of the run directory, or of the checkpoint where it stands alone."""
    if run.exists:
        return run.config
    config = load_checkpoint(checkpoint).get(CONFIG_KEY)
    if not isinstance(config, dict):
        raise RunError(f"{checkpoint} holds no configuration; give the run directory as run=DIR")
    return config


# -- building -------------------------------------------------------------------------------------


def build_datamodule(config: Config) -> DataModule:
    """Build the datamodule; its data are found and converted by `prepare`."""
    datamodule = build(config["datamodule"], "datamodule")
    if not isinstance(datamodule, DataModule):
        raise ConfigError("datamodule._target_: not a DataModule of Vitruvian")
    return datamodule


def build_task(config: Config, datamodule: DataModule | None = None) -> Task:
    """Build the task with its net, loss, optimiser, scheduler and augmentation."""
    parts = {
        name: build(config[name], name) if config[name] else None
        for name in ("loss", "optimizer", "scheduler", "augment")
    }
    task = build(config["model"], "model", **parts)
    if not isinstance(task, Task):
        raise ConfigError("model._target_: not a Task of Vitruvian")
    task.frozen_config = config
    if datamodule is not None:
        task.fits(datamodule)
    return task


def settle_splits(run: RunDirectory, config: Config, datamodule: DataModule) -> None:
    """Write `splits.json` once; a resumed run keeps the one it has."""
    if run.splits_file.is_file():
        splits = Splits.read(run.splits_file)
    else:
        split = build(config["split"], "split")
        splits = split.assign(datamodule.subjects, datamodule.strata)
        if datamodule.leaky:
            splits = replace(splits, kind=f"{splits.kind}, LEAKY: {datamodule.leaky}")
        if is_first_process():
            splits.write(run.splits_file)
    datamodule.use(splits)


def splits_of(run: RunDirectory, checkpoint: Path) -> Splits:
    """The splits of the run directory, or of the checkpoint where it stands alone."""
    if run.exists:
        return Splits.read(run.splits_file)
    splits = load_checkpoint(checkpoint).get(SPLITS_KEY)
    if not isinstance(splits, dict):
        raise RunError(f"{checkpoint} holds no splits; give the run directory as run=DIR")
    return Splits.from_dict(splits)


# -- small pieces ---------------------------------------------------------------------------------


def total_steps(trainer: pl.Trainer, datamodule: DataModule) -> int:
    """Optimiser steps of the whole run, wherever it is resumed."""
    datamodule.trainer = trainer
    try:
        batches = datamodule.train_batches().batches_per_epoch
    except ValueError as error:  # a size that only shows when the batches are laid out
        raise ConfigError(f"datamodule: {error}") from error
    per_epoch = -(-batches // trainer.accumulate_grad_batches)
    ends = (trainer.max_steps, per_epoch * (trainer.max_epochs or -1))
    return min(int(end) for end in ends if end >= 0)


def is_finished(last: Path) -> bool:
    """Whether this checkpoint is the last word of a finished training."""
    callbacks = load_checkpoint(last).get("callbacks", {})
    return any(
        state.get("finished", False) for state in callbacks.values() if isinstance(state, dict)
    )


def _load_best(task: Task, run: RunDirectory) -> None:
    """The best weights, else the last ones; those in memory where the user keeps no checkpoints."""
    for path in (run.best, run.last):
        if path.is_file():
            _load_weights(task, path)
            return


def _load_weights(task: Task, path: Path) -> None:
    state = load_checkpoint(path)["state_dict"]
    try:
        load_whole(task, state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise RunError(f"{path} does not fit the model of config.yaml: {first}") from error


def set_processor(config: Config) -> None:
    """Threads and matrix precision of this process."""
    torch.set_float32_matmul_precision(config["matmul_precision"])
    if config["threads"] is not None:
        os.environ["OMP_NUM_THREADS"] = str(config["threads"])  # Lightning's DDP asks for it
        torch.set_num_threads(config["threads"])


def seed_everything(seed: int) -> None:
    """Seed the global generators; data use their own, addressed by item (see core/sampling.py)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - third-party code may draw from it
    torch.manual_seed(seed)
