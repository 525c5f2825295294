"""The runs of a paper: frozen as typed, started once, collected by experiment, seed and fold."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.papers.small import SHARED, write_paper
from tests.sweeps.composed import frozen_alone
from tests.sweeps.recorder import Recorder
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.evaluation import Row, summarise, write
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.splits import Splits
from vitruvian.papers import collecting
from vitruvian.papers.collecting import collect
from vitruvian.papers.plan import Plan, plan_of
from vitruvian.papers.reading import read_paper
from vitruvian.papers.results import Cost
from vitruvian.papers.running import frozen_sweep, how_they_stand, run_all, unfinished_lines
from vitruvian.sweeps import launchers
from vitruvian.sweeps.directory import SweepDirectory

BASELINE = "baseline: empty mask"
Frozen = tuple[Plan, SweepDirectory]


@pytest.fixture(scope="module")
def launcher() -> Iterator[Recorder]:
    """Takes what would be started; the launcher that was asked for is built, too."""
    recorder, built = Recorder(), launchers.build
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launchers, "build", lambda *given: built(*given) and recorder)
        yield recorder


@pytest.fixture(scope="module")
def frozen(launcher: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    """The runs of the full preset: two experiments, each in two folds; nothing is trained."""
    folder = tmp_path_factory.mktemp("paper")
    plan = plan_of(read_paper(str(write_paper(folder))), "full", ["datamodule.root=/data"])
    return plan, frozen_sweep(plan, ["hydra.launcher.jobs=3"], folder / "runs")


def test_a_run_is_frozen_as_one_would_type_it(tmp_path: Path, launcher: Recorder) -> None:
    typed = ["trainer.max_epochs=1", "optimizer.lr=0.5", "seed=4"]
    plan = plan_of(read_paper(str(write_paper(tmp_path))), "quick", typed)
    sweep = frozen_sweep(plan, [], tmp_path / "runs")
    ours = ["experiment=liver_demo", "model.net.eas=true"]
    assert sweep.run(1).config == frozen_alone([*SHARED, *ours, *typed])
    assert sweep.run(0).config["model"]["net"]["eas"] is False
    assert sweep.manifest().launcher["jobs"] == min(2, len(os.sched_getaffinity(0)))


def test_only_what_is_not_complete_is_started(frozen: Frozen, launcher: Recorder) -> None:
    _, sweep = frozen
    sweep.run(1).write_status("complete")
    launcher.started.clear()
    assert run_all(sweep) == 0
    assert [job.name for job in launcher.started] == ["0000", "0002", "0003"]
    assert sweep.manifest().launcher["jobs"] == 3


REFUSED = {
    "other seeds": (["seed=1"], RunError, "holds another sweep: give another output=..."),
    "another value": (
        ["trainer.max_epochs=9"],
        RunError,
        "(trainer.max_epochs is 8 there, 9 here): give another output=...",
    ),
    "a typo": (["optimizer.lrr=1"], ConfigError, "optimizer.lrr: no such key; did you mean"),
    "a sweep": (["optimizer.lr=1,2"], ConfigError, "one reproduction has one value of it"),
    "an experiment": (["experiment=liver_best"], ConfigError, "the paper says which"),
    "a place": (["run=here"], ConfigError, "each run of the paper has its own directory"),
}


@pytest.mark.parametrize(("typed", "kind", "told"), REFUSED.values(), ids=REFUSED)
def test_another_reproduction_is_refused(
    typed: list[str], kind: type[Exception], told: str, frozen: Frozen
) -> None:
    plan, sweep = frozen
    other = plan_of(plan.paper, "full", ["datamodule.root=/data", *typed])
    with pytest.raises(kind) as error:
        frozen_sweep(other, [], sweep.path)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


# -- what they found ------------------------------------------------------------------------------


def evaluate(run: RunDirectory, fold: int, dice: float) -> None:
    """Leave what a complete run leaves: one case of its own fold."""
    Splits(("a",), ("b",), (f"case {fold}",), f"5-fold, fold {fold}").write(run.splits_file)
    rows = [
        {"case": f"case {fold}", "predictor": who, "dice": value}
        for who, value in (("model", dice), (BASELINE, 0.0))
    ]
    write(rows, summarise(rows), run.evaluation, "test", simulated=False)
    run.write_status("complete")


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for the task of the config, whose net takes seconds to import."""

    def pooled(rows: Sequence[Row]) -> dict[str, float]:
        return {"sum": sum(row["dice"] for row in rows)}

    def views(rows: Sequence[Row]) -> dict[str, list[Row]]:
        return {"first": [row for row in rows if row["case"] == "case 0"]}

    stub = SimpleNamespace(views=views, pooled=pooled)
    monkeypatch.setattr(collecting, "build_task", lambda config: stub)


@pytest.mark.usefixtures("task")
def test_folds_are_joined_and_what_cannot_be_read_is_named(frozen: Frozen) -> None:
    plan, sweep = frozen
    for number, dice in enumerate((0.5, 0.7, 0.9)):
        evaluate(sweep.run(number), number % 2, dice)
    (sweep.run(2).evaluation / "test.csv").write_text("case,predictor,data,dice\nx,model,real,?\n")
    sweep.run(3).write_status("failed", reason="training diverged")
    states = how_they_stand(sweep)
    found = collect(plan, states, {"eas": Cost(7, 8), "elsewhere": Cost(1, 2)})
    plain, eas = found.evidence["plain"], found.evidence["eas"]
    assert (plain.runs, eas.runs) == ((2, 2), (0, 2))
    (repeat,) = plain.repeats
    assert repeat.name == "seed 0"
    model = [row for row in repeat.views[""].rows if row["predictor"] == "model"]
    assert [(row["case"], row["fold"], row["dice"]) for row in model] == [
        ("case 0", "0", 0.5),
        ("case 1", "1", 0.7),
    ]
    assert repeat.views[""].summary.groups[("model",)]["dice"].mean == pytest.approx(0.6)
    assert repeat.pooled[""]["model"] == {"sum": pytest.approx(1.2)}
    assert repeat.pooled["first"]["model"] == {"sum": 0.5}
    assert plain.split == "5-fold, 2 folds"
    assert found.simulated is False
    assert (eas.cost, found.evidence["elsewhere"].cost) == (Cost(7, 8), Cost(1, 2))
    assert eas.repeats == ()
    assert list(found.unreadable) == [2]
    assert "test.csv" in found.unreadable[2]
    labels = {number: plan.label(run) for number, run in enumerate(plan.runs)}
    assert unfinished_lines(states, labels) == [
        "with attention, seed 0, fold 1 (0003): failed, training diverged"
    ]
