"""A trained run as a command line names it: its directory, one of its checkpoints, its config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitruvian.core.cli import override, required_path
from vitruvian.core.config import Config, checked
from vitruvian.core.rundir import RunDirectory, chosen_checkpoint, locate_run


@dataclass(frozen=True)
class Trained:
    """What a verb needs of a trained run.

    Attributes:
        run: its directory; it does not exist where a checkpoint stands alone.
        checkpoint: the weights.
        config: the frozen config with the overrides of the command line.
    """

    run: RunDirectory
    checkpoint: Path
    config: Config


def trained(keys: dict[str, Any], changes: dict[str, Any], verb: str) -> Trained:
    """The run that the keys `run` and `checkpoint` name, with overrides of its config.

    Raises:
        ConfigError: `run` is missing, or an override does not fit the config.
        RunError: there is no such run or checkpoint.
    """
    run, named = locate_run(required_path(keys, "run", verb))
    checkpoint = named or chosen_checkpoint(run, str(keys["checkpoint"]))

    from vitruvian.core import engine  # it imports torch: after everything that can be misspelt

    config = checked(override(engine.config_of(run, checkpoint), changes))
    return Trained(run, checkpoint, config)
