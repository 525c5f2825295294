"""Which runs there are, and who has the last word on a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.papers.small import SHARED, write_paper
from vitruvian.core.errors import ConfigError
from vitruvian.papers.paper import Paper
from vitruvian.papers.plan import Plan, plan_of
from vitruvian.papers.reading import read_paper

REAL = "datamodule.root=/data"


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


MISTAKES = {
    "a preset": (("quik", ()), "preset: small has no preset 'quik'; did you mean quick?"),
    "no data": (
        ("full", ()),
        "datamodule.root: preset=full needs it: a folder of CT volumes; add datamodule.root=...",
    ),
    "a seed": (
        ("quick", ["seed=a,b"]),
        "seed: got 'a,b', expected whole numbers, such as seed=0,1",
    ),
}


@pytest.mark.parametrize(("given", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told(given: tuple[str, list[str]], told: str, paper: Paper) -> None:
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
