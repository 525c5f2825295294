"""A callback for tests: every process of a run writes down what it really trains with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class SayValues(Callback):
    """Writes `rank-N.json` into the run directory when the training starts."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The values as they have arrived in the objects, not as some file says."""
        optimizer: Any = trainer.optimizers[0]
        values = {
            "lr": optimizer.defaults["lr"],
            "width": sum(weight.numel() for weight in pl_module.parameters()),
            "world_size": trainer.world_size,
            "pid": os.getpid(),
        }
        folder = Path(trainer.default_root_dir)
        (folder / f"rank-{trainer.global_rank}.json").write_text(json.dumps(values))
