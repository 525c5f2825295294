"""A sweep as experiment templates run it: Hydra's basic launcher trains the jobs in one process.

The training is ours, so that only the way of starting it differs.
"""

from __future__ import annotations

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vitruvian.core import engine
from vitruvian.core.compose import register_schema
from vitruvian.core.config import config_directory, freeze
from vitruvian.core.rundir import RunDirectory

register_schema()


@hydra.main(str(config_directory()), "train", "1.3")
def main(config: DictConfig) -> None:
    """Train one job of the sweep."""
    run = RunDirectory(Path(HydraConfig.get().sweep.dir) / str(HydraConfig.get().job.num))
    frozen = freeze(config)
    run.claim(frozen, [])
    engine.train(run, frozen)


if __name__ == "__main__":
    main()
