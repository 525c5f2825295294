"""Which runs there are, and who has the last word on a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.papers.small import SHARED, content, write_paper
from vitruvian.core.config import config_directory
from vitruvian.core.errors import ConfigError
from vitruvian.papers import departures
from vitruvian.papers.paper import Paper
from vitruvian.papers.plan import Plan, plan_of
from vitruvian.papers.reading import read_paper

REAL = "datamodule.root=/data"
ALONE: dict[str, Any] = {"trainer": {"devices": 1}}  # a frozen config, as far as it is looked at


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    return read_paper(str(write_paper(tmp_path)))


def points(plan: Plan) -> list[list[str]]:
    return [[f"{key}={text}" for key, text in run.point.items()] for run in plan.runs]


def test_every_experiment_with_every_seed(paper: Paper) -> None:
    plan = plan_of(paper, "quick")
    plain = ["experiment=liver_demo", "model.net.eas=false"]
    eas = ["experiment=liver_demo", "model.net.eas=true", "optimizer.lr=0.002"]
    expected = [[*own, f"seed={seed}"] for own in (plain, eas) for seed in (0, 1)]
    assert points(plan) == expected
    assert plan.shared == tuple(SHARED)
    assert [plan.label(run) for run in plan.runs][1::2] == [
        "without attention, seed 1",
        "with attention, seed 1",
    ]
    assert plan.simulated


def test_seeds_are_repetitions_and_folds_are_parts_of_them(paper: Paper) -> None:
    plan = plan_of(paper, "full", [REAL])
    found = [(run.experiment, run.repeat, run.fold) for run in plan.runs]
    folds = ("fold 0", "fold 1")
    assert found == [(key, "seed 0", fold) for key in ("plain", "eas") for fold in folds]
    assert not plan.simulated


def test_what_is_typed_has_the_last_word(paper: Paper) -> None:
    plan = plan_of(paper, "quick", ["optimizer.lr=0.1", "trainer.max_epochs=1", "seed=7,8,7"])
    assert "trainer.max_epochs=3" not in plan.shared
    assert plan.shared[-2:] == ("optimizer.lr=0.1", "trainer.max_epochs=1")
    assert all("optimizer.lr" not in run.point for run in plan.runs)
    assert [run.point["seed"] for run in plan.runs] == ["7", "8"] * 2


def test_real_data_are_no_simulated_ones(paper: Paper) -> None:
    assert not plan_of(paper, "quick", [REAL]).simulated


NONE: list[str] = []
DEPARTURES: dict[str, tuple[str, list[str], list[str]]] = {
    "nothing typed": ("full", [REAL], NONE),
    "simulated": ("quick", [], NONE),
    "a preset for simulated data": ("quick", [REAL], ["preset=quick"]),
    "some folds": ("full", [REAL, "split.fold=1"], NONE),  # the runs say how many there are
    "a fold where none is repeated over": (
        "quick",
        [REAL, "split.fold=1"],
        ["preset=quick", "split.fold=1"],
    ),
    "other seeds": ("full", [REAL, "seed=7"], NONE),
    "fewer epochs": ("full", [REAL, "trainer.max_epochs=1"], ["trainer.max_epochs=1"]),
    "several, in their order": (
        "full",
        [REAL, "model.net.width=4", "split.fold=0", "+optimizer.nesterov=true"],
        ["model.net.width=4", "+optimizer.nesterov=true"],
    ),
    "another division": ("full", [REAL, "split=resubstitution"], ["split=resubstitution"]),
    "debugging": ("full", [REAL, "debug=step"], ["debug=step"]),
    "fewer steps": ("full", [REAL, "trainer.max_steps=9"], ["trainer.max_steps=9"]),
    "as the preset has it": ("quick", ["trainer.max_epochs=3"], NONE),
    "the machine": (
        "full",
        [REAL, "trainer=ddp", "trainer.devices=4", "trainer.strategy.find=true", "threads=2",
         "trainer.precision=bf16-mixed", "cluster=generic_gpu", "datamodule.workers=4"],
        NONE,
    ),
    "places": (
        "full",
        [REAL, "datamodule.cache_dir=/c", "datamodule.node_dir=/n", "output_dir=o", "name=mine"],
        NONE,
    ),
    "what is kept": ("full", [REAL, "logger=many", "logger.wandb.mode=online", "page=false"], NONE),
    "a name that only begins like a free one": ("full", [REAL, "loggers=x"], ["loggers=x"]),
}  # fmt: skip


@pytest.mark.parametrize(("preset", "typed", "told"), DEPARTURES.values(), ids=DEPARTURES)
def test_another_recipe_is_named(
    preset: str, typed: list[str], told: list[str], paper: Paper
) -> None:
    assert plan_of(paper, preset, typed).departures(ALONE) == tuple(told)


BATCHES: dict[str, tuple[list[str], dict[str, Any], list[str]]] = {
    "one device": (["trainer=gpu", "trainer.devices=1"], {"devices": 1, "num_nodes": 1}, NONE),
    "four": (
        ["trainer.devices=4"],
        {"devices": 4, "num_nodes": 1},
        ["trainer.devices=4: batches of 4 x as many"],
    ),
    "of several machines": (
        ["cluster=generic_multi_gpu"],
        {"devices": 4, "num_nodes": 2},
        ["trainer.devices=4, trainer.num_nodes=2: batches of 8 x as many"],
    ),
    "processes of a strategy": (
        ["trainer=ddp"],
        {"devices": 2},
        ["trainer.devices=2: batches of 2 x as many"],
    ),
    "listed": (
        ["trainer.devices=[0,3]"],
        {"devices": [0, 3]},
        ["trainer.devices=[0, 3]: batches of 2 x as many"],
    ),
    "as text": (
        ["trainer.devices='0,3'"],
        {"devices": "0,3"},
        ["trainer.devices=0,3: batches of 2 x as many"],
    ),
    "one of several": (["trainer.devices=[3]"], {"devices": [3]}, NONE),
    "all there are": (
        ["trainer.devices=auto"],
        {"devices": "auto"},
        ["trainer.devices=auto: batches of as many devices as there are"],
    ),
    "all there are, as a number": (
        ["trainer.devices=-1"],
        {"devices": -1},
        ["trainer.devices=-1: batches of as many devices as there are"],
    ),
    "what the paper's own file asks for": ([], {"devices": 4}, NONE),
}


@pytest.mark.parametrize(("typed", "trainer", "told"), BATCHES.values(), ids=BATCHES)
def test_several_devices_make_larger_batches(
    typed: list[str], trainer: dict[str, Any], told: list[str], paper: Paper
) -> None:
    found = plan_of(paper, "full", [REAL, *typed]).departures({"trainer": trainer})
    assert found == tuple(told)


FOLDS: dict[str, tuple[list[str], int | None, list[str]]] = {
    "the recipe": ([], None, NONE),
    "some": (["split.fold=1"], None, ["1 of 2 folds"]),
    "somebody else's": (["split.fold=7,8"], None, ["0 of 2 folds"]),
    "more": (["split.fold=0,1,2"], None, NONE),
    "somebody left out": (["split.fold=1,2,3"], 3, ["2 of 3 folds"]),
    "each of fewer people": (["split.fold=0"], 1, NONE),
    "some of more people": (["split.fold=0"], 5, ["1 of 5 folds"]),
    "the recipe, of more people": ([], 5, NONE),
}


@pytest.mark.parametrize(("typed", "there", "told"), FOLDS.values(), ids=FOLDS)
def test_folds_that_are_left_out(
    typed: list[str], there: int | None, told: list[str], paper: Paper
) -> None:
    assert plan_of(paper, "full", [REAL, *typed]).missing_folds(there) == tuple(told)


def test_what_a_paper_needs_is_no_departure(tmp_path: Path) -> None:
    """A paper's own file may need more than a root."""
    presets = content()["presets"]
    presets["full"]["needs"] = {"datamodule.tumour_labels": "what is a tumour there"}
    paper = read_paper(str(write_paper(tmp_path, presets=presets)))
    assert plan_of(paper, "full", ["datamodule.tumour_labels=[3]"]).departures(ALONE) == ()


def test_every_key_that_changes_no_figure_exists() -> None:
    known = {key for file in config_directory().rglob("*.yaml") for key in dotted(file)}
    assert known >= {key for key in departures._KEYS if "." in key}


def dotted(file: Path) -> Iterator[str]:
    """Keys of an option with the name of its group, and those of the root as they are."""
    group = file.parent.name
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for key, node in (content or {}).items():
        yield f"{group}.{key}"
        for below in node if isinstance(node, dict) else ():
            yield f"{group}.{key}.{below}"


MISTAKES = {
    "a preset": (("quik", ()), "preset: small has no preset 'quik'; did you mean quick?"),
    "no data": (
        ("full", ()),
        "root: preset=full needs it: a folder of CT volumes; add root=...",
    ),
    "no data, of one paper of several": (
        ("full", (), "root.small"),
        "root.small: preset=full needs it: a folder of CT volumes; add root.small=...",
    ),
    "a seed": (
        ("quick", ["seed=a,b"]),
        "seed: got 'a,b', expected whole numbers, such as seed=0,1",
    ),
}


@pytest.mark.parametrize(("given", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told(given: tuple[Any, ...], told: str, paper: Paper) -> None:
    with pytest.raises(ConfigError) as error:
        plan_of(paper, *given)
    assert str(error.value) == told


def test_an_experiment_of_another_preset_has_no_runs(tmp_path: Path) -> None:
    own = {"label": "alone", "overrides": ["experiment=liver_demo"], "only": ["full"]}
    changes = {"experiments": {"alone": own}, "tables": [], "claims": [], "audit": []}
    paper = read_paper(str(write_paper(tmp_path, **changes)))
    with pytest.raises(ConfigError, match=r"^preset: quick runs no experiment of small$"):
        plan_of(paper, "quick")
    assert len(plan_of(paper, "full", [REAL]).runs) == 2
