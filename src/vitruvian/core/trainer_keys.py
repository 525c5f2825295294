"""What a config may not ask of the trainer: told before anything is imported or frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

# Lightning's own ways of shortening an epoch would break the exact resume; ours are data keys.
_FIXED: Final = {
    "val_check_interval": "validation ends an epoch; shorten it with datamodule.samples_per_epoch",
    "limit_train_batches": "shorten an epoch with datamodule.samples_per_epoch",
    "overfit_batches": "use split=resubstitution and datamodule.samples_per_epoch",
    "fast_dev_run": "use debug=step",
    "reload_dataloaders_every_n_epochs": "the loader already follows the epoch",
}
_NEUTRAL: Final = (None, 1.0, 0)
_ENDS: Final = {"max_epochs": "epochs", "max_steps": "optimiser steps"}
_ENDLESS: Final = (None, -1)


def trainer_problems(node: Mapping[str, Any]) -> Iterator[str]:
    """One line for each trainer key that breaks the exact resume, or gives training no end."""
    for key, advice in _FIXED.items():
        if node.get(key) not in _NEUTRAL:
            yield f"trainer.{key}: cannot be changed here; {advice}"
    for key, what in _ENDS.items():
        value = node.get(key)
        if value not in _ENDLESS and isinstance(value, int) and value < 1:
            yield f"trainer.{key}: got {value}, expected 1 or more {what}, or -1: no limit"
    if all(node.get(key) in _ENDLESS for key in _ENDS):
        yield "trainer.max_epochs: training needs an end; give it or trainer.max_steps"
