"""The trainer of a run: what the config asks for, under the rules of the house."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from vitruvian.core.build import build
from vitruvian.core.checkpoint import Checkpoints, PlainCheckpointIO
from vitruvian.core.config import Config
from vitruvian.core.ddp import RunDDP
from vitruvian.core.errors import ConfigError
from vitruvian.core.heartbeat import Heartbeat
from vitruvian.core.history import History
from vitruvian.core.resume import ExactResume
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.signals import StopRequest
from vitruvian.core.tracking import attach


def build_trainer(
    run: RunDirectory, config: Config, stop: StopRequest
) -> tuple[pl.Trainer, ExactResume]:
    """Build the trainer with the run's callbacks and loggers."""
    history, loggers = build_loggers(run, config)
    resume = ExactResume(history)
    callbacks = build_callbacks(run, config, resume, stop)
    node = {key: value for key, value in config["trainer"].items() if key != "strategy"}
    given = {"strategy": build_strategy(run, config), "callbacks": callbacks, "logger": loggers}
    with quiet(), _device_mistakes("trainer.accelerator"):
        trainer = build(node, "trainer", **given, **_house_rules(run))
    if trainer.world_size > 1 and not isinstance(trainer.strategy, RunDDP):
        # Lightning would start the other ranks on this command line: another run for each
        raise ConfigError(
            "trainer.devices: more than one needs trainer=ddp (or fsdp); choose that first"
        )
    if trainer.num_nodes > 1 and not _many_nodes_started():
        raise ConfigError(
            f"trainer.num_nodes: {trainer.num_nodes} machines need somebody who starts the run on "
            "each: hydra/launcher=slurm, srun or torchrun"
        )
    return trainer, resume


def _many_nodes_started() -> bool:
    """Whether a scheduler, or a user with torchrun's variables, has started us among others."""
    return bool({"SLURM_PROCID", "MASTER_ADDR", "RANK"} & os.environ.keys())


def build_callbacks(
    run: RunDirectory, config: Config, resume: ExactResume, stop: StopRequest
) -> list[Callback]:
    """The callbacks chosen, among the three that every run has.

    Checkpoints come first among the chosen ones: they see the weights before others change them
    for a validation, and after those have been judged.
    """
    chosen = [
        build(node, f"callbacks.{role}") for role, node in config["callbacks"].items() if node
    ]
    for callback in chosen:
        if isinstance(callback, Checkpoints):
            callback.attach(run.checkpoints, resume, stop)
    chosen.sort(key=lambda callback: not isinstance(callback, Checkpoints))
    saved = any(isinstance(callback, Checkpoints) for callback in chosen)
    return [_Graceful(stop, saved), *chosen, Heartbeat(run), resume]


def build_strategy(run: RunDirectory, config: Config) -> Any:
    """The strategy; one of several processes is told which run they share."""
    strategy = build(config["trainer"].get("strategy", "auto"), "trainer.strategy")
    if isinstance(strategy, RunDDP):
        strategy.on_run(run.path)
    return strategy


@contextmanager
def _device_mistakes(key: str) -> Iterator[None]:
    """Lightning asks the machine for what `key` wants: a GPU that is not there, for one."""
    try:
        yield
    except MisconfigurationException as error:
        first = str(error).splitlines()[0].rstrip(".!")
        place = "trainer.devices" if "devices" in first or "You requested" in first else key
        raise ConfigError(f"{place}: {first}; try the processor (cpu)") from error


def build_loggers(run: RunDirectory, config: Config) -> tuple[History, list[Any]]:
    """The CSV history, which every run has, and the other loggers chosen."""
    nodes = {role: node for role, node in config["logger"].items() if node}
    loggers = {role: build(node, f"logger.{role}") for role, node in nodes.items()}
    history = next((item for item in loggers.values() if isinstance(item, History)), None)
    if history is None:
        raise ConfigError("logger: the CSV history is part of every run; keep logger.csv")
    history.open(run.path)
    history.followers += [tracker.rewind for tracker in attach(loggers, run)]
    return history, sorted(loggers.values(), key=lambda logger: logger is not history)


def _house_rules(run: RunDirectory) -> dict[str, Any]:
    """What every trainer has in common."""
    return {
        "default_root_dir": str(run.path),
        "enable_checkpointing": False,  # ours, see core/checkpoint.py
        "enable_model_summary": False,
        "enable_progress_bar": False,  # ours, see core/progress.py
        "use_distributed_sampler": False,  # ours, see core/sampling.py
        "num_sanity_val_steps": 0,  # the first validation must not use up random numbers
        "plugins": [PlainCheckpointIO()],
    }


def single_device_trainer(run: RunDirectory, config: Config, accelerator: str) -> pl.Trainer:
    """A trainer for evaluation: one device, no logging."""
    with quiet(), _device_mistakes("device"):
        return pl.Trainer(
            accelerator=accelerator,
            devices=1,
            precision=config["trainer"].get("precision"),
            logger=False,
            callbacks=[build(n, "") for n in [config["callbacks"].get("progress")] if n],
            **_house_rules(run),
        )


class _Graceful(Callback):
    """Lightning installs its own signal handlers at the start of fit; ours are put back.

    A stop waits for the next checkpoint only where the run keeps any.
    """

    def __init__(self, stop: StopRequest, saved: bool) -> None:
        self._stop, self._saved = stop, saved

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # with several processes Lightning's handler broadcasts, wherever it strikes: in the middle
        # of another collective operation all would wait for ever
        trainer._signal_connector.register_signal_handlers = lambda: None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop.install()
        self._stop.graceful = self._saved

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop.install()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop.graceful = False

    def on_exception(self, *_: Any) -> None:
        self._stop.graceful = False


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's advice that does not apply here (loaders without workers, and so on)."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric)")
        yield
