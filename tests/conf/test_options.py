"""Every option of every group composes with every experiment, and really trains one step.

What there is to test is read from the folders of `conf/`: a new file is tested without a word here,
or the test that counts them fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict

from tests.muscle.adapters.test_timtrack import look_alike
from tests.muscle.segmentation.checkpoints import write_checkpoint
from tests.shell import kept_signals
from tests.spine.public_sets import write_rehab_pile, write_scored, write_uiprmd
from vitruvian import train
from vitruvian.core import engine, provenance
from vitruvian.core.compose import register_schema
from vitruvian.core.config import PLACE_KEYS, ROOT_KEYS, Config, config_directory, freeze
from vitruvian.core.errors import ConfigError
from vitruvian.core.rundir import COMPLETE, RunDirectory
from vitruvian.core.task import Task

CONF = config_directory()
ROOT_FILE = CONF / "train.yaml"
# The others: tests/spine/test_extract_verb.py and tests/test_check.py.
ROOT_FILES = (ROOT_FILE, CONF / "extract.yaml", CONF / "check.yaml")
FILES = sorted(CONF.rglob("*.yaml"))


def options_of(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


GROUPS = {p.name: options_of(p.name) for p in sorted(CONF.iterdir()) if any(p.glob("*.yaml"))}
EXPERIMENTS = GROUPS.pop("experiment")
OF_MANY_RUNS = ("sweep", "cluster", "hydra", "paper")  # tests/sweeps/test_sampled.py, tests/papers
for _name in OF_MANY_RUNS:
    GROUPS.pop(_name, None)
OPTIONS = [(group, option) for group, options in GROUPS.items() for option in options]

# The room that an option is of: read from what it names, or from the file that it builds on.
# The segmenter of the muscle is a study of its own here: it has its own data and experiment.
ROOMS = ("liver", "spine", "muscle")
PLAIN = {  # an experiment of each room to vary
    "liver": "liver_demo",
    "spine": "spine_demo",
    "muscle": "muscle_demo",
    "segmenter": "muscle_roi",
}
PLACED = {
    ("datamodule", "muscle_masks"): "segmenter",
    ("model", "muscle_roi_unet"): "segmenter",
    ("augment", "muscle_roi"): "segmenter",
    ("loss", "bce"): "segmenter",
    ("split", "leave_one_participant_out"): "muscle",
    ("experiment", "muscle_roi"): "segmenter",
    ("split", "ircadb"): "liver",
    ("loss", "ce"): "liver",
    ("loss", "huber"): "spine",
    ("loss", "mse"): "spine",
}


def room_of(group: str, option: str) -> str | None:
    """The study that an option belongs to; None for those that serve all."""
    if (group, option) in PLACED:
        return PLACED[group, option]
    named = [room for room in ROOMS if option.startswith(f"{room}_")]
    text = (CONF / group / f"{option}.yaml").read_text(encoding="utf-8")
    named += [room for room in ROOMS if f"vitruvian.{room}." in text]
    assert len(set(named)) <= 1, f"{group}={option} is of {named}"
    return named[0] if named else None


def experiments_of(room: str | None) -> list[str]:
    return [name for name in EXPERIMENTS if room in (None, room_of("experiment", name))]


ROIS = options_of("datamodule/roi")  # a group within one: datamodule/roi=OPTION
ROI_TEXTS = [(CONF / "datamodule" / "roi" / f"{name}.yaml").read_text() for name in ROIS]
PAIRS = [
    (experiment, group, option)
    for group, option in OPTIONS
    for room in [room_of(group, option)]
    for experiment in (experiments_of(room) if room else PLAIN.values())
]

# Not trained in this process: two processes are, in tests/integration; for a GPU see below.
ELSEWHERE = {("trainer", "ddp"), ("trainer", "fsdp"), ("trainer", "gpu")}

# Options that name something of the user's; here it is a file that the fixture writes.
RELATIVE = ["augment=none", "model.features.origin=none", "model.features.scale=none"]
RELATIVE += ["model.features.aspect=1.0"]  # for joints that are no points of one space
VALUES = {
    ("split", "file"): ["split.file=split.json"],
    ("split", "rehab_pile"): [*RELATIVE, "datamodule=spine_rehab_pile", "datamodule.root=pile"],
    ("datamodule", "muscle_timtrack"): [
        "datamodule.root=timtrack",
        "datamodule/roi=none",
        "model=muscle_cnn_small",
        "datamodule.target=absolute",
    ],
    ("experiment", "muscle_timtrack"): ["datamodule.root=timtrack", "datamodule/roi=none"],
    ("experiment", "spine_uiprmd"): ["datamodule.root=uiprmd"],
    ("experiment", "spine_uiprmd_best"): ["datamodule.root=uiprmd"],
    ("experiment", "spine_uiprmd_scored"): ["datamodule.root=scored"],
    ("datamodule", "spine_uiprmd"): [*RELATIVE, "datamodule.root=uiprmd"],
    ("datamodule", "spine_uiprmd_scored"): [*RELATIVE, "datamodule.root=scored"],
    ("datamodule", "spine_rehab_pile"): [*RELATIVE, "datamodule.root=pile", "split=rehab_pile"],
}

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
SMALL_SPINE: dict[str, Any] = {
    "datamodule.simulator.people": 6,
    "datamodule.simulator.seconds": [1.0, 1.2],
    "datamodule.windows.length": 20,
    "datamodule.windows.stride": 10,
    "model.net.hidden": 4,
    "model.net.width": 4,
    "model.net.filters": 2,
    "model.net.kernels": 4,
    "model.net.widths": [2, 2, 2],
}
SMALL_MUSCLE: dict[str, Any] = {
    "datamodule.simulator.people": 5,
    "datamodule.simulator.women": 1,
    "datamodule.simulator.seconds": 1.2,
    "datamodule.inputs.frames": 3,
    "datamodule.roi.size": [32, 64],
    "datamodule.roi.mm_per_pixel": 1.0,
    "datamodule.size": [32, 32],
    "model.net.filters": [2, 2, 2, 2, 2],
    "model.net.net.filters": [2, 2, 2, 2, 2],
    "model.net.width": 2,
    "model.net.features": 2,
    "model.net.context": 2,
    "model.net.dense": 4,
    "model.net.hidden": 4,
    "model.net.depth": 1,
    "model.net.encoder.features": 2,
    "model.net.encoder.context": 2,
    "model.net.encoder.width": 2,
    "model.net.encoder.dense": 4,
}
FURTHER = {"liver": {}, "spine": SMALL_SPINE, "muscle": SMALL_MUSCLE}
PATCHES = {2: [64, 64], 3: [16, 32, 32]}  # by the number of dimensions that the net takes


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register_schema()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


# -- composing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("experiment", "group", "option"), PAIRS)
def test_composes_and_fits_its_signatures(experiment: str, group: str, option: str) -> None:
    config = compose("train", varied(experiment, group, option), return_hydra_config=True)
    choices = config.hydra.runtime.choices
    assert (choices.experiment, choices[group]) == (experiment, option), "another one has won"
    with open_dict(config):
        del config["hydra"]
    assert set(freeze(config)) == set(ROOT_KEYS) - set(PLACE_KEYS)


@pytest.mark.parametrize("experiment", ["liver_eas_unet", "spine_lstm", "muscle_cnn", "muscle_roi"])
def test_the_fold_is_that_of_the_data_unless_it_is_typed(experiment: str) -> None:
    chosen = [f"experiment={experiment}", "datamodule.fold=3"]
    assert freeze(compose("train", chosen))["split"]["fold"] == 3
    assert freeze(compose("train", [*chosen, "split.fold=1"]))["split"]["fold"] == 1


def varied(experiment: str, group: str, option: str) -> list[str]:
    """Overrides that choose one option in an experiment, with the values that both ask for."""
    needed = VALUES.get(("experiment", experiment), [])
    return [
        f"experiment={experiment}",
        *needed,
        f"{group}={option}",
        *VALUES.get((group, option), []),
    ]


def test_every_file_is_tested_or_part_of_one_that_is() -> None:
    tested = {CONF / group / f"{option}.yaml" for group, option in OPTIONS}
    tested |= {CONF / "experiment" / f"{name}.yaml" for name in EXPERIMENTS} | {*ROOT_FILES}
    parts = set(FILES) - tested - {CONF / "datamodule" / "roi" / f"{name}.yaml" for name in ROIS}
    parts = {part for part in parts if part.relative_to(CONF).parts[0] not in OF_MANY_RUNS}
    texts = [path.read_text(encoding="utf-8") for path in tested]
    for part in parts:
        named = f"{part.parent.name}/{part.stem}@_here_"
        assert any(named in text for text in [*texts, *ROI_TEXTS]), part
    recipes = {"liver_eas_unet", "liver_best", "spine_lstm", "spine_best"}
    assert recipes | {"muscle_cnn", "muscle_best"} <= set(EXPERIMENTS)
    assert set(PLAIN) == {room_of("experiment", name) for name in EXPERIMENTS}
    assert len(GROUPS) >= 11


def test_every_group_has_a_default_and_every_default_a_group() -> None:
    defaults = OmegaConf.load(ROOT_FILE)["defaults"]
    named = {str(key) for line in defaults if isinstance(line, DictConfig) for key in line}
    chosen = {name.removeprefix("optional ") for name in named if not name.startswith("override")}
    assert chosen == {*GROUPS, "experiment", "sweep", "cluster", "local"}


@pytest.mark.parametrize("key", [*SMALL, *SMALL_SPINE, *SMALL_MUSCLE])
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
    write_uiprmd(Path("uiprmd"), people=5)
    write_scored(Path("scored"))
    write_rehab_pile(Path("pile"))
    look_alike(Path("timtrack"))

    def make(*overrides: str) -> Config:
        config = compose("train", list(overrides))
        shrink(config, {**SMALL, "datamodule.cache_dir": str(cache)})
        return freeze(config)

    return make


def shrink(config: DictConfig, sizes: dict[str, Any]) -> None:
    """Set the sizes that this configuration has."""
    with open_dict(config):
        (room,) = (name for name in ROOMS if f".{name}." in config.datamodule._target_)
        for key, value in (sizes | FURTHER[room]).items():
            if OmegaConf.select(config, key, default=...) is not ...:
                OmegaConf.update(config, key, value)
        if "patch" in config.datamodule:
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
    assert run.config["monitor"]["metric"] in columns.split(",")
    assert len(rows) >= 2
    assert list(run.evaluation.glob("*.csv"))


OF_MLFLOW = {("logger", "mlflow"), ("logger", "many")}  # not part of the extra dev
SLOW = {("logger", "wandb"), *OF_MLFLOW}  # they start programs of their own


@pytest.mark.parametrize(
    ("group", "option"),
    [
        pytest.param(*one, marks=pytest.mark.slow if one in SLOW else ())
        for one in OPTIONS
        if one not in ELSEWHERE
    ],
)
def test_option_trains(
    group: str,
    option: str,
    frozen: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if (group, option) in OF_MLFLOW and find_spec("mlflow") is None:
        pytest.skip("MLflow is not installed: EXTRAS=dev,mlflow,docs make setup")
    overrides = varied(PLAIN[room_of(group, option) or "liver"], group, option)
    if (group, option) == ("model", "liver_vnet3d"):
        overrides.append("datamodule.patch=[16,32,32]")
    assert_trained(train_one_step(frozen(*overrides), tmp_path, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("roi", ROIS)
def test_region_of_interest_trains(
    roi: str, frozen: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ["experiment=muscle_demo", f"datamodule/roi={roi}"]
    if roi == "unet":
        weights = write_checkpoint(tmp_path / "weights.ckpt")
        overrides.append(f"datamodule.roi.finder.checkpoint={weights}")
    assert_trained(train_one_step(frozen(*overrides), tmp_path, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment_trains(
    experiment: str,
    frozen: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = frozen(f"experiment={experiment}", *VALUES.get(("experiment", experiment), []))
    assert config["name"] == experiment
    assert_trained(train_one_step(config, tmp_path, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", experiments_of("spine"))
def test_spine_experiment_binds_with_every_spine_net(
    experiment: str, frozen: Callable[..., Config]
) -> None:
    for model in (name for name in GROUPS["model"] if room_of("model", name) == "spine"):
        config = frozen(*varied(experiment, "model", model))
        task = engine.build_task(config, engine.build_datamodule(config))
        assert sum(p.numel() for p in task.net.parameters()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("experiment", experiments_of("liver"))
def test_liver_experiment_binds_with_every_liver_net(
    experiment: str, frozen: Callable[..., Config]
) -> None:
    """Each model reads what each experiment delivers, or says which key does not fit."""
    for model in (name for name in GROUPS["model"] if room_of("model", name) == "liver"):
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
    config = Watched(frozen("scheduler=plateau", "logger=csv"))
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
