"""Every option of every group composes with every experiment, and really trains one step.

What there is to test is read from the folders of `conf/`: a new file is tested without a word here,
or the test that counts them fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict

from tests.shell import kept_signals
from vitruvian import train
from vitruvian.core import engine, provenance
from vitruvian.core.compose import register_schema
from vitruvian.core.config import PLACE_KEYS, ROOT_KEYS, Config, config_directory, freeze
from vitruvian.core.errors import ConfigError
from vitruvian.core.rundir import COMPLETE, RunDirectory
from vitruvian.core.task import Task

CONF = config_directory()
ROOT_FILE = CONF / "train.yaml"
FILES = sorted(CONF.rglob("*.yaml"))


def options_of(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


GROUPS = {p.name: options_of(p.name) for p in sorted(CONF.iterdir()) if any(p.glob("*.yaml"))}
EXPERIMENTS = GROUPS.pop("experiment")
OPTIONS = [(group, option) for group, options in GROUPS.items() for option in options]

# Not trained in this process: two processes are, in tests/integration; for a GPU see below.
ELSEWHERE = {("trainer", "ddp"), ("trainer", "gpu")}

# Options that name something of the user's; here it is a file that the fixture writes.
VALUES = {("split", "file"): ["split.file=split.json"]}

# Every size that a net or a cohort has, and one at which a step takes a fraction of a second.
SMALL: dict[str, Any] = {
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
    "trainer.max_epochs": 1,
    "trainer.log_every_n_steps": 1,
    "datamodule.simulator.cases": 5,
    "datamodule.simulator.size": 64,
    "datamodule.simulator.slices": [8, 10],
    "datamodule.batch_size": 2,
    "datamodule.samples_per_epoch": 2,
    "datamodule.workers": 0,
    "model.net.width": 2,
    "model.net.filters": [2, 2, 2, 2, 2, 2],
    "model.net.init_filters": 8,
}
PATCHES = {2: [64, 64], 3: [16, 32, 32]}  # by the number of dimensions that the net takes


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register_schema()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


# -- composing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "option"), OPTIONS)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_composes_and_fits_its_signatures(experiment: str, group: str, option: str) -> None:
    overrides = [f"{group}={option}", *VALUES.get((group, option), [])]
    config = compose("train", [f"experiment={experiment}", *overrides], return_hydra_config=True)
    choices = config.hydra.runtime.choices
    assert (choices.experiment, choices[group]) == (experiment, option), "another one has won"
    with open_dict(config):
        del config["hydra"]
    assert set(freeze(config)) == set(ROOT_KEYS) - set(PLACE_KEYS)


def test_every_file_is_tested_or_part_of_one_that_is() -> None:
    tested = {CONF / group / f"{option}.yaml" for group, option in OPTIONS}
    tested |= {CONF / "experiment" / f"{name}.yaml" for name in EXPERIMENTS} | {ROOT_FILE}
    parts = set(FILES) - tested
    texts = [path.read_text(encoding="utf-8") for path in tested]
    for part in parts:
        assert any(f"{part.parent.name}/{part.stem}@_here_" in text for text in texts), part
    assert {"liver_eas_unet", "liver_best", "liver_demo"} <= set(EXPERIMENTS)
    assert len(GROUPS) >= 11


def test_every_group_has_a_default_and_every_default_a_group() -> None:
    defaults = OmegaConf.load(ROOT_FILE)["defaults"]
    named = {str(key) for line in defaults if isinstance(line, DictConfig) for key in line}
    chosen = {name.removeprefix("optional ") for name in named if not name.startswith("override")}
    assert chosen == {*GROUPS, "experiment", "local"}


@pytest.mark.parametrize("key", SMALL)
def test_every_size_that_is_made_small_exists(key: str) -> None:
    last = key.rpartition(".")[-1]
    assert any(f"{last}: " in path.read_text(encoding="utf-8") for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_a_file_says_at_its_top_what_it_is_for(path: Path) -> None:
    first = next(
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.startswith("# @package")
    )
    assert first.startswith("# ")
    assert len(first) > 10


# -- training one step ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted phantoms, shared by all options."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def frozen(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """Compose, shrink to a step of a fraction of a second, freeze."""
    monkeypatch.chdir(tmp_path)
    Path("split.json").write_text('{"train": ["0", "1"], "val": ["2"], "test": ["3", "4"]}')

    def make(*overrides: str) -> Config:
        config = compose("train", list(overrides))
        shrink(config, {**SMALL, "datamodule.cache_dir": str(cache)})
        return freeze(config)

    return make


def shrink(config: DictConfig, sizes: dict[str, Any]) -> None:
    """Set the sizes that this configuration has."""
    with open_dict(config):
        for key, value in sizes.items():
            if OmegaConf.select(config, key, default=...) is not ...:
                OmegaConf.update(config, key, value)
        config.datamodule.patch = PATCHES[len(config.datamodule.patch)]


def train_one_step(config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """Build, bind, train a step, validate, evaluate: what `vitruvian-train` does with a config."""
    monkeypatch.setattr(provenance, "environment", dict)
    run = RunDirectory(folder / "run")
    run.claim(config, [])
    with kept_signals():
        engine.train(run, run.config)
    return run


def assert_trained(run: RunDirectory) -> None:
    assert run.status == COMPLETE
    state = torch.load(run.last, weights_only=True)
    assert state["global_step"] == 1
    columns, *rows = run.metrics_file.read_text().splitlines()
    assert "train/loss" in columns
    assert "val/liver_dice" in columns
    assert len(rows) >= 2
    assert list(run.evaluation.glob("*.csv"))


@pytest.mark.parametrize(("group", "option"), [o for o in OPTIONS if o not in ELSEWHERE])
def test_option_trains(
    group: str,
    option: str,
    frozen: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overrides = [f"{group}={option}", *VALUES.get((group, option), [])]
    if (group, option) == ("model", "liver_vnet3d"):
        overrides.append("datamodule.patch=[16,32,32]")
    assert_trained(train_one_step(frozen(*overrides), tmp_path, monkeypatch))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment_trains(
    experiment: str,
    frozen: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = frozen(f"experiment={experiment}")
    assert config["name"] == experiment
    assert_trained(train_one_step(config, tmp_path, monkeypatch))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment_binds_with_every_model(experiment: str, frozen: Callable[..., Config]) -> None:
    """Each model reads what each experiment delivers, or says which key does not fit."""
    for model in GROUPS["model"]:
        config = frozen(f"experiment={experiment}", f"model={model}")
        dimensions = len(config["datamodule"]["patch"])
        if (model == "liver_vnet3d") == (dimensions == 3):
            task = engine.build_task(config, engine.build_datamodule(config))
            assert sum(p.numel() for p in task.net.parameters()) > 0
        else:
            with pytest.raises(ConfigError, match=r"patch"):
                engine.build_task(config, engine.build_datamodule(config))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_is_asked_for_where_there_is_none(
    frozen: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SMALL, "trainer.accelerator")
    config = frozen("trainer=gpu")
    with pytest.raises(ConfigError, match=r"^trainer\.accelerator: .*gpu.*; try the processor"):
        train_one_step(config, tmp_path, monkeypatch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_gpu(
    frozen: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SMALL, "trainer.accelerator")
    monkeypatch.delitem(SMALL, "trainer.precision")
    assert_trained(train_one_step(frozen("trainer=gpu"), tmp_path, monkeypatch))


# -- keys that nothing reads ----------------------------------------------------------------------


class Watched(dict[str, Any]):
    """A config that remembers which of its keys have been read."""

    read: set[str]

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


def test_every_root_key_is_read(
    frozen: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Watched(frozen("scheduler=plateau"))
    config.read = set()
    monkeypatch.setattr(Task, "on_save_checkpoint", lambda *_: None)  # it would not be plain data
    monkeypatch.setattr(provenance, "environment", dict)
    run = RunDirectory(tmp_path / "run")
    with kept_signals():
        engine.train(run, config)
    place = train._run_path(OmegaConf.create({"run": None, "output_dir": "out", "name": "mine"}))
    assert place.parent == Path("out/mine")
    assert train._run_path(OmegaConf.create({"run": "here"})) == Path("here")
    assert config.read | {"run", "output_dir", "name"} == set(ROOT_KEYS)
