"""The search spaces of `conf/sweep`: every corner can be frozen, so every trial can."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from tests.sweeps.composed import hydra_of
from vitruvian.core.config import config_directory
from vitruvian.sweeps import study
from vitruvian.sweeps.composing import Composer
from vitruvian.sweeps.space import Space

SEARCHES = sorted({file.stem for file in (config_directory() / "sweep").glob("*.yaml")} - {"none"})
SAMPLERS = sorted(
    file.stem for file in (config_directory() / "hydra" / "sweeper" / "sampler").glob("*.yaml")
)
PRUNERS = sorted(
    file.stem for file in (config_directory() / "hydra" / "sweeper" / "pruner").glob("*.yaml")
)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_corner_of_a_search_can_be_trained(name: str) -> None:
    with hydra_of(f"sweep={name}") as (loader, master):
        keys = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
        assert isinstance(keys, dict)
        space = Space.of(keys["params"], [], keys["when"], loader)
        corners = list(space.corners())
        bases = Composer(loader, master, [f"sweep={name}"]).bases(corners)
        frozen = [bases.freeze(corner) for corner in corners]
    objectives = {frozen[0]["monitor"]["metric"]: frozen[0]["monitor"]["mode"]}
    assert study.settle(keys, objectives, space, name)["n_trials"] == 20
    assert frozen[0]["name"] == f"{name}_search"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_fits_its_target(sampler: str) -> None:
    with hydra_of("hydra/sweeper=optuna", f"hydra/sweeper/sampler={sampler}") as (_, master):
        keys = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
    assert isinstance(keys, dict)
    study.settle(keys, {"val/x": "min"}, Space.of({}, ["a=range(3)", "b=range(5)"]), "test")


@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_pruner_fits_its_target(pruner: str) -> None:
    with hydra_of("hydra/sweeper=optuna", f"hydra/sweeper/pruner={pruner}") as (_, master):
        keys = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
    assert isinstance(keys, dict)
    settled = study.settle(keys, {"val/x": "min"}, Space.of({}, ["a=interval(0,1)"]), "test")
    assert (settled["pruner"] is None) == (pruner == "none")
