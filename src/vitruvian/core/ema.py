"""Exponential moving average of the weights, used for validation and for the best checkpoint."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from vitruvian.core.fsdp import gathered, share_like


class WeightEMA(Callback):
    """Averages all weights, and the statistics of batch norms, after each optimiser step.

    The averaged weights take the place of the trained ones during validation, so the metric that
    chooses `best.ckpt`, and the weights in it, are the averaged ones. `last.ckpt` keeps both.

    Args:
        decay: share of the old average kept at each step, in [0, 1).
        warmup: ramp the decay up as (1 + step) / (10 + step), so that the start is forgotten.
    """

    def __init__(self, decay: float = 0.999, warmup: bool = True) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), not {decay}")
        self.decay, self.warmup = decay, warmup
        self._average: dict[str, Tensor] = {}
        self._trained: dict[str, Tensor] = {}
        self._step = 0

    def state_dict(self) -> dict[str, Any]:
        """The average, whole where the weights are shared out, and the step."""
        return {"average": gathered(self._average), "step": self._step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the average."""
        self._average, self._step = dict(state_dict["average"]), state_dict["step"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Fold the new weights in, once per optimiser step."""
        if trainer.global_step != self._step:
            self._step = trainer.global_step
            self._update(averaged(pl_module))

    @torch.no_grad()
    def _update(self, weights: dict[str, Tensor]) -> None:
        if not self._average:
            self._average = {name: value.clone() for name, value in weights.items()}
            return
        ramp = (1 + self._step) / (10 + self._step) if self.warmup else 1.0
        share = 1 - min(self.decay, ramp)
        for name, value in weights.items():
            average = self._average[name] = share_like(self._average[name], value)
            average.lerp_(value, share)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate the averaged weights."""
        if self._average and trainer.state.fn == "fit":
            weights = averaged(pl_module)
            self._trained = {name: value.clone() for name, value in weights.items()}
            put(weights, self._average)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train on with the trained weights."""
        if self._trained:
            put(averaged(pl_module), self._trained)
            self._trained = {}


def averaged(module: pl.LightningModule) -> dict[str, Tensor]:
    """What is averaged: weights, and what batch norms have seen.

    Other buffers are no weights: what a task fits during a validation, with the averaged weights in
    place, must be there afterwards and go into the checkpoint.
    """
    norms = [(name, part) for name, part in module.named_modules() if isinstance(part, _BatchNorm)]
    statistics = {
        f"{name}.{kind}": getattr(norm, kind)
        for name, norm in norms
        for kind in ("running_mean", "running_var")
        if getattr(norm, kind) is not None
    }
    weights = dict(module.named_parameters()) | statistics
    return {name: value.detach() for name, value in weights.items()}


@torch.no_grad()
def put(target: dict[str, Tensor], source: dict[str, Tensor]) -> None:
    """Copy values in place."""
    for name, value in target.items():
        value.copy_(share_like(source[name], value))
