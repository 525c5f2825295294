"""The runs of a paper: frozen as typed, started once, collected by experiment, seed and fold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.papers.small import SHARED, write_paper
from tests.sweeps.composed import frozen_alone
from tests.sweeps.recorder import Recorder
from vitruvian import reproduce
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.evaluation import Row, summarise, write
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.splits import RESUBSTITUTION, Splits
from vitruvian.papers import collecting, running, tabulating
from vitruvian.papers.collecting import collect
from vitruvian.papers.fitness import unfit
from vitruvian.papers.plan import Plan, plan_of
from vitruvian.papers.reading import read_paper
from vitruvian.papers.results import Cost, Judged
from vitruvian.papers.roots import root_override
from vitruvian.papers.running import frozen_sweep, how_they_stand, run_all, unfinished_lines
from vitruvian.papers.tabulating import tabulate
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
    plan = plan_of(read_paper(str(write_paper(folder))), "full", [f"datamodule.root={folder}"])
    return plan, frozen_sweep(plan, ["hydra.launcher.jobs=3"], folder / "runs")


def typed_root(sweep: SweepDirectory) -> str:
    """The folder of data that `frozen` has: that of the paper's file will do."""
    return f"datamodule.root={sweep.path.parent}"


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
    other = plan_of(plan.paper, "full", [typed_root(sweep), *typed])
    with pytest.raises(kind) as error:
        frozen_sweep(other, [], sweep.path)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_data_that_are_not_there_are_told_before_anything_is_written(
    tmp_path: Path, launcher: Recorder
) -> None:
    paper = read_paper(str(write_paper(tmp_path)))
    mistakes = {tmp_path / "nowhere": "no such folder", tmp_path / "small.yaml": "is no folder"}
    for root, told in mistakes.items():
        plan = plan_of(paper, "full", [root_override(str(root))], "root.small")
        with pytest.raises(ConfigError) as error:
            frozen_sweep(plan, [], tmp_path / "runs")
        complaint = f"root.small={root}: {told}; give the one that holds the data"
        assert str(error.value) == complaint
    assert not (tmp_path / "runs").exists()


NAMES = [
    "my scäns 1",
    "a&b",
    "one,two",
    "it's",
    "a=b",
    "(x) [y] {z}",
    "ends in \\",
    "日本",
    "$HOME",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_taken_as_it_is_typed(name: str, tmp_path: Path, launcher: Recorder) -> None:
    (tmp_path / name).mkdir()
    plan = plan_of(
        read_paper(str(write_paper(tmp_path))), "full", [root_override(str(tmp_path / name))]
    )
    sweep = frozen_sweep(plan, [], tmp_path / "runs")
    assert sweep.run(0).config["datamodule"]["root"] == str(tmp_path / name)


def refrozen(tmp_path: Path, name: str, *typed: str) -> SweepDirectory:
    """The sweep that is frozen with another folder of data."""
    (tmp_path / name).mkdir(exist_ok=True)
    root = root_override(str(tmp_path / name))
    paper = read_paper(str(write_paper(tmp_path)))
    return frozen_sweep(plan_of(paper, "full", [root, *typed]), [], tmp_path / "runs")


def test_a_mistyped_folder_does_not_block_the_right_one(tmp_path: Path, launcher: Recorder) -> None:
    refrozen(tmp_path, "wrong").run(0).write_status("failed", reason="no case in it")
    sweep = refrozen(tmp_path, "right")
    assert {one.run.config["datamodule"]["root"] for one in sweep.runs()} == {
        str(tmp_path / "right")
    }
    assert sweep.run(0).read_status() == {}
    assert not list(tmp_path.glob(".runs*"))


def trained(run: RunDirectory) -> None:
    run.checkpoints.mkdir()
    run.last.write_bytes(b"weights")


def measured(run: RunDirectory) -> None:
    run.metrics_file.write_text("step,loss\n1,0.5\n")


def waits(run: RunDirectory) -> None:
    run.write_status("running")


KEPT: dict[str, tuple[Callable[[RunDirectory], object] | None, list[str]]] = {
    "a run has trained": (trained, []),
    "a run has a row of metrics": (measured, []),
    "a run is under way": (waits, []),
    "more is changed than the folder": (None, ["trainer.max_epochs=9"]),
    "other seeds": (None, ["seed=1"]),
}


@pytest.mark.parametrize(("leave", "typed"), KEPT.values(), ids=KEPT)
def test_nothing_is_replaced_that_somebody_may_want(
    leave: Callable[[RunDirectory], object] | None,
    typed: list[str],
    tmp_path: Path,
    launcher: Recorder,
) -> None:
    first = refrozen(tmp_path, "wrong")
    if leave is not None:
        leave(first.run(2))
    with pytest.raises(RunError, match="give another output="):
        refrozen(tmp_path, "right", *typed)
    assert first.run(2).config["datamodule"]["root"] == str(tmp_path / "wrong")
    assert not list(tmp_path.glob(".runs*"))


def test_the_old_sweep_is_put_back_if_the_new_one_cannot_be_written(
    tmp_path: Path, launcher: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = refrozen(tmp_path, "wrong")

    def fails(*_: object) -> None:
        raise RunError("no space left")

    monkeypatch.setattr(running, "settle", fails)
    with pytest.raises(RunError, match="no space left"):
        refrozen(tmp_path, "right")
    assert first.run(0).config["datamodule"]["root"] == str(tmp_path / "wrong")
    assert not list(tmp_path.glob(".runs*"))


# -- what they found ------------------------------------------------------------------------------


def evaluate(
    run: RunDirectory, fold: int, dice: float, splits: Splits | None = None, name: str = "test"
) -> None:
    """Leave what a complete run leaves: one case of its own fold."""
    fair = Splits(("a",), ("b",), (f"case {fold}",), f"5-fold, fold {fold}")
    (splits or fair).write(run.splits_file)
    shutil.rmtree(run.evaluation, ignore_errors=True)
    rows = [
        {"case": f"case {fold}", "predictor": who, "dice": value}
        for who, value in (("model", dice), (BASELINE, 0.0))
    ]
    write(rows, summarise(rows), run.evaluation, name, simulated=False)
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


# -- whether they say anything --------------------------------------------------------------------

EVERYBODY = Splits(("a",), ("a",), ("a",), RESUBSTITUTION)
NOBODY_TESTS = Splits(("a",), ("b",), (), "ratio 0.8:0.2:0")
CLIPS = Splits(("a",), ("b",), ("c",), "5-fold, fold 0, LEAKY: clips of one person are everywhere")
TRAINED_ON = "judged on the people it was trained on"
CHOSE = "judged on the validation people, who chose the weights"

UNFIT = {
    "fair": (None, "test", ""),
    "clips": (CLIPS, "test_leaky", "clips of one person are everywhere"),
    "a leak that only the evaluation tells": (
        None,
        "test_leaky",
        "one person is on several sides of the split",
    ),
    "resubstitution": (EVERYBODY, "test", TRAINED_ON),
    "no test people": (NOBODY_TESTS, "val", CHOSE),
}


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize(("splits", "name", "why"), UNFIT.values(), ids=UNFIT)
def test_figures_that_flatter_are_told(
    splits: Splits | None, name: str, why: str, frozen: Frozen
) -> None:
    """One fold of the two of the first row is enough."""
    plan, sweep = frozen
    for number in range(4):
        evaluate(sweep.run(number), number % 2, 0.5, *([splits, name] if number == 1 else []))
    found = collect(plan, how_they_stand(sweep)).evidence
    assert (found["plain"].unfit, found["eas"].unfit) == (why, "")


ASKED = {
    "its own division": ("split=ratio", NOBODY_TESTS, "val", ""),
    "its own check": ("split=resubstitution", EVERYBODY, "test", ""),
    "not what it asks for": ("split=ratio", EVERYBODY, "test", TRAINED_ON),
    "a leak that it does not ask for": (
        "split=ratio",
        CLIPS,
        "test_leaky",
        "clips of one person are everywhere",
    ),
}


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize(("asks", "splits", "name", "why"), ASKED.values(), ids=ASKED)
def test_what_the_paper_itself_asks_for_is_tested_so(
    asks: str,
    splits: Splits,
    name: str,
    why: str,
    tmp_path: Path,
    launcher: Recorder,
) -> None:
    alone = {"label": "alone", "overrides": ["experiment=liver_demo", asks]}
    changes = {"experiments": {"alone": alone}, "tables": [], "claims": [], "audit": []}
    paper = read_paper(str(write_paper(tmp_path, **changes)))
    plan = plan_of(paper, "quick", ["seed=0"])
    sweep = frozen_sweep(plan, [], tmp_path / "runs")
    evaluate(sweep.run(0), 0, 0.5, splits, name)
    assert collect(plan, how_they_stand(sweep)).evidence["alone"].unfit == why


def test_clips_are_what_the_leaky_row_asks_for() -> None:
    """Clips and people are the unit of the spine's data; only this row asks for clips."""
    plan = plan_of(read_paper("singha2021"), "full", ["datamodule.root=/data"])
    found = {run.experiment: unfit(CLIPS, True, run.point) for run in plan.runs}
    assert [key for key, why in found.items() if not why] == ["lstm_leaky"]


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ([], ()),
        (["trainer.max_epochs=1"], ("trainer.max_epochs=1",)),
        (["trainer.devices=4"], ()),  # the frozen runs count: they have one
    ],
)
def test_departures_go_to_whoever_judges(
    typed: list[str], told: tuple[str, ...], frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, sweep = frozen
    for number in range(4):
        evaluate(sweep.run(number), 0, 0.5)
    given: list[tuple[str, ...]] = []

    def judged(*_: object, departures: tuple[str, ...]) -> tuple[Judged, ...]:
        given.append(departures)
        return ()

    monkeypatch.setattr(tabulating, "judge", judged)
    monkeypatch.setattr(tabulating.costs, "measured", lambda configs, folder: {})
    typed_too = plan_of(plan.paper, "full", [typed_root(sweep), *typed])
    assert tabulate(typed_too, sweep, []).found.departures == told
    small = plan_of(plan.paper, "quick", ["seed=0,1", *typed])
    tabulate(small, sweep, [])  # real data that nobody named: what the runs found counts
    assert given == [told, ("preset=quick", *told)]


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("leave one out, fold 1 of 2", ("1 of 2 folds",)),
        ("leave one out, fold 1 of 3", ("1 of 3 folds",)),
        ("5-fold, fold 1, stratified", ("1 of 5 folds",)),
        ("as somebody wrote it", ("1 of 2 folds",)),
        ("leave one out, fold 0 of 1", ()),  # nobody else is there
        (None, ()),  # nothing is complete, nothing is judged
    ],
)
def test_the_runs_say_how_many_folds_there_are(
    kind: str | None,
    told: tuple[str, ...],
    tmp_path: Path,
    launcher: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = "0" if kind and "fold 0" in kind else "1"
    paper = read_paper(str(write_paper(tmp_path, claims=[], audit=[])))
    typed = [root_override(str(tmp_path)), f"split.fold={number}"]
    plan = plan_of(paper, "full", typed)
    sweep = frozen_sweep(plan, [], tmp_path / "runs")
    for one in sweep.runs() if kind else []:
        evaluate(one.run, 0, 0.5, Splits(("a",), ("b",), ("case 0",), kind or ""))
    monkeypatch.setattr(tabulating.costs, "measured", lambda configs, folder: {})
    assert tabulate(plan, sweep, []).found.departures == told


@pytest.mark.parametrize(
    ("preset", "typed", "told"),
    [
        ("full", ["datamodule.root=/data"], ""),
        ("quick", ["trainer.max_epochs=1"], ""),  # simulated data say enough
        (
            "full",
            ["datamodule.root=/data", "split.fold=1", "trainer.max_epochs=1"],
            "Not the paper's recipe (trainer.max_epochs=1): figures are shown, not judged\n"
            "1 of 2 folds of the paper: not judged where the data have more folds\n",
        ),
        (
            "full",
            ["datamodule.root=/data", "split.fold=1"],
            "1 of 2 folds of the paper: not judged where the data have more folds\n",
        ),
    ],
)
def test_another_recipe_is_told_at_the_start(
    preset: str, typed: list[str], told: str, frozen: Frozen, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, sweep = frozen
    reproduce._run(plan_of(plan.paper, preset, typed), sweep)
    first, *rest = capsys.readouterr().out.splitlines(keepends=True)
    assert first.startswith(f"small, preset {preset}: ")
    said = "".join(line for line in rest if "recipe" in line or "of the paper" in line)
    assert said == told
