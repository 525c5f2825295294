"""A point set in a composed config is what Hydra composes for it: the same to the last key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sweeps.composed import frozen_alone, hydra_of
from vitruvian.core.config import Config
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.sweeps.bases import Bases
from vitruvian.sweeps.composing import Composer, refuse_run


def frozen(point: dict[str, str], *fixed: str, number: int = 0) -> Config:
    with hydra_of(*fixed) as (loader, master):
        return Composer(loader, master, fixed).freeze(point, number)


POINTS = {
    "a number": ("optimizer.lr=0.003",),
    "a root key": ("seed=7",),
    "a null": ("threads=2",),
    "text": ("name=other",),
    "a list": ("datamodule.patch=[64,96]",),
    "a key that others follow": ("monitor.metric=val/loss", "monitor.mode=min"),
    "an interpolation": ("datamodule.batch_size=${seed}", "seed=3"),
    "an option": ("optimizer=sgd_nesterov",),
    "an option and a key of it": ("optimizer=sgd", "optimizer.momentum=0.5"),
    "an option of another study": ("experiment=spine_demo",),
    "a nested option": ("experiment=muscle_demo", "datamodule/roi=given"),
    "a new key": ("+optimizer.eps=1e-6",),
    "a key that may be new": ("++optimizer.eps=1e-6", "++seed=2"),
    "a whole part": ("scheduler={}",),
    "a dictionary": ("datamodule.simulator={cases: 5}",),
}


@pytest.mark.parametrize("overrides", POINTS.values(), ids=POINTS)
def test_a_point_is_what_hydra_composes(overrides: Sequence[str]) -> None:
    point = dict(text.partition("=")[::2] for text in overrides)
    assert frozen(point) == frozen_alone(overrides)


def test_what_all_runs_share_comes_first() -> None:
    shared = ("experiment=spine_lstm", "optimizer.lr=0.5", "trainer.max_epochs=3")
    found = frozen({"optimizer.lr": "0.1"}, *shared)
    assert found == frozen_alone([*shared, "optimizer.lr=0.1"])
    assert found["trainer"]["max_epochs"] == 3


def test_points_do_not_touch_each_other() -> None:
    with hydra_of() as (loader, master):
        composer = Composer(loader, master, [])
        first = composer.freeze({"optimizer.lr": "0.1"}, 0)
        composer.freeze({"optimizer.lr": "0.2", "datamodule.patch": "[32,32]"}, 1)
        assert composer.freeze({"optimizer.lr": "0.1"}, 2) == first


def test_a_config_may_ask_hydra_for_the_number_of_its_job() -> None:
    seeds = [frozen({"name": f"n{i}"}, "seed=${hydra:job.num}", number=i)["seed"] for i in (0, 5)]
    assert seeds == [0, 5]


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ({"optimizer.lr": "high"}, "optimizer.lr: got 'high', expected float"),
        ({"trainer.max_epochs": "1.5"}, "trainer.max_epochs: got 1.5"),
        ({"seed": "-1"}, "seed: got -1, expected 0 or more"),
        ({"datamodule.patch": "???"}, "datamodule.patch: a value is needed"),
    ],
)
def test_a_point_that_is_wrong(point: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        frozen(point)


def test_no_run_is_told_where_to_live() -> None:
    refuse_run(["seed=1", "trainer.run=2"])
    for typed in ("run=x", "+run=x"):
        with pytest.raises(ConfigError, match=r"run: each job .* set hydra.sweep.dir"):
            refuse_run(["seed=1", typed])


# -- bases on disk --------------------------------------------------------------------------------


def written(folder: Path, *corners: dict[str, str], fixed: Sequence[str] = ()) -> Bases:
    with hydra_of(*fixed) as (loader, master):
        Composer(loader, master, fixed).bases(corners).write(folder)
    return Bases.read(folder)


def test_bases_are_read_back_with_their_interpolations(tmp_path: Path) -> None:
    corners = [{"model": "spine_lstm", "optimizer.lr": "0.1"}, {"model": "spine_gru"}]
    bases = written(tmp_path, *corners, fixed=("experiment=spine_demo",))
    assert bases.groups == ("model",)
    point = {"model": "spine_gru", "monitor.metric": "val/loss", "optimizer.lr": 0.02}
    typed = [f"{key}={value}" for key, value in point.items()]
    assert bases.freeze(point) == frozen_alone(["experiment=spine_demo", *typed])


def test_every_combination_of_options_has_a_base(tmp_path: Path) -> None:
    bases = written(
        tmp_path,
        {"optimizer": "adam", "scheduler": "constant"},
        {"optimizer": "sgd", "scheduler": "cosine"},
    )
    assert len(bases.combinations) == 4
    mixed = {"optimizer": "adam", "scheduler": "cosine"}
    assert bases.freeze(mixed) == frozen_alone(["optimizer=adam", "scheduler=cosine"])


def test_a_key_of_one_option_only(tmp_path: Path) -> None:
    bases = written(tmp_path, {"optimizer": "adam"}, {"optimizer": "sgd"})
    assert bases.freeze({"optimizer": "sgd", "optimizer.momentum": 0.5})["optimizer"]["momentum"]
    with pytest.raises(ConfigError, match=r"optimizer.momentum: no such key"):
        bases.freeze({"optimizer": "adam", "optimizer.momentum": 0.5})


def test_a_misspelt_key_of_a_space(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"optimizer.lrr: no such key; did you mean `optimizer.lr"
    ):
        written(tmp_path, {}).freeze({"optimizer.lrr": 0.5})


def test_relative_paths_start_where_the_command_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = ("experiment=liver_demo", "datamodule.root=data/livers")
    written(tmp_path / "bases", {"seed": "1"}, fixed=fixed)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = Bases.read(tmp_path / "bases", base=tmp_path).freeze({"seed": 1})
    assert config["datamodule"]["root"] == str(tmp_path / "data/livers")


def test_bases_stand_on_their_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"seed: \$\{hydra:job.num\}: a study makes its config"):
        written(tmp_path, {}, fixed=("seed=${hydra:job.num}",))


@pytest.mark.parametrize("damage", ["index.yaml", "0.yaml"])
@pytest.mark.parametrize("content", [None, "3", "["])
def test_damaged_bases(damage: str, content: str | None, tmp_path: Path) -> None:
    written(tmp_path, {"optimizer": "adam"})
    (tmp_path / damage).unlink()
    if content is not None:
        (tmp_path / damage).write_text(content)
    with pytest.raises(RunError, match="the bases of the trials are damaged"):
        Bases.read(tmp_path)
