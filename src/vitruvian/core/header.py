"""What a training says of itself before it begins: what, on which data, on which device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from vitruvian.core.config import Config
from vitruvian.core.datamodule import DataModule
from vitruvian.core.ranks import is_first_process
from vitruvian.core.splits import RESUBSTITUTION, Splits
from vitruvian.core.verbosity import speaks


def show_header(config: Config, datamodule: DataModule, trainer: pl.Trainer) -> None:
    """Print the header of a training, once its data are prepared and divided."""
    if is_first_process() and speaks():
        print("\n".join(f"  {line}" for line in header(config, datamodule, trainer)), flush=True)


def header(config: Config, datamodule: DataModule, trainer: pl.Trainer) -> list[str]:
    """The lines of it; each begins with what it is about."""
    return [
        f"what    {config['name']}: {_what(config)}",
        f"data    {_data(config, datamodule)}",
        f"split   {_split(datamodule.splits)}",
        f"device  {_device(trainer)}",
    ]


def _what(config: Config) -> str:
    """Net, loss and optimiser by the names of their classes, and how long it trains."""
    model = config["model"]
    loss = config["loss"] or {}
    parts = [model.get("net") or model, loss.get("loss") or loss, config["optimizer"]]
    names = [_class(part) for part in parts if isinstance(part, Mapping) and "_target_" in part]
    ends = {"max_epochs": "epochs", "max_steps": "steps"}
    long = [f"{n} {what}" for key, what in ends.items() if (n := _limit(config, key)) is not None]
    return ", ".join([*names, *long, f"seed {config['seed']}"])


def _class(node: Mapping[str, Any]) -> str:
    return str(node["_target_"]).rpartition(".")[2]


def _limit(config: Config, key: str) -> int | None:
    value = config["trainer"].get(key)
    return value if isinstance(value, int) and value >= 0 else None


def _data(config: Config, datamodule: DataModule) -> str:
    """Where they are; simulated ones are called so."""
    origin = "SIMULATED" if datamodule.simulated else "real"
    root = config["datamodule"].get("root")
    place = f" in {Path(str(root)).expanduser()}" if root else ""
    leaky = f", LEAKY: {datamodule.leaky}" if datamodule.leaky else ""
    return f"{origin}{place}, {_class(config['datamodule'])}{leaky}"


def _split(splits: Splits) -> str:
    if splits.kind == RESUBSTITUTION:
        return f"{splits.kind}: the same {_subjects(len(splits.train))} on every side"
    sides = (("train on", splits.train), ("validate", splits.val), ("test", splits.test))
    counts = [f"{len(subjects)} to {side}" for side, subjects in sides if subjects]
    return f"{splits.kind}: subjects {', '.join(counts)}"


def _subjects(count: int) -> str:
    return f"{count} subject{'' if count == 1 else 's'}"


def _device(trainer: pl.Trainer) -> str:
    device = trainer.strategy.root_device
    name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    count = torch.get_num_threads()
    threads = f", {count} thread{'' if count == 1 else 's'}" if device.type == "cpu" else ""
    several = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
    return f"{device}{name}{threads}{several}, precision {trainer.precision}"
