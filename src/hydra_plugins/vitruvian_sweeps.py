"""Hydra's door to our sweeps: what `-m` calls. Hydra finds plugins in this namespace only.

Hydra 1.3 runs this file before it is a known module, at every start: nothing heavy is imported
here.
"""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _FrozenSweeper(Sweeper):
    """A sweeper whose runs are all frozen before the first of them starts."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra knows; the jobs have no use for `task_function`."""
        self.hydra_context, self.config, self.launcher = hydra_context, config, None


class PointsSweeper(_FrozenSweeper):
    """Runs that are known beforehand; see conf/hydra/sweeper/grid.yaml for its keys."""

    def __init__(self, **keys: Any) -> None:
        super().__init__()

    def sweep(self, arguments: list[str]) -> None:
        """Freeze every combination, then start them."""
        from vitruvian.sweeps.points import sweep_points

        sweep_points(self.hydra_context.config_loader, self.config, arguments)


class StudySweeper(_FrozenSweeper):
    """Runs that a sampler chooses; see conf/hydra/sweeper/optuna.yaml for its keys."""

    def __init__(self, **keys: Any) -> None:
        super().__init__()

    def sweep(self, arguments: list[str]) -> None:
        """Freeze what the trials are made from, then start the workers."""
        from vitruvian.sweeps.sampled import sweep_study

        sweep_study(self.hydra_context.config_loader, self.config, arguments)
