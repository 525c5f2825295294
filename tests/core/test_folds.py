"""All folds of a split: planned, trained in processes, stopped, continued, joined."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitruvian.core.errors import ConfigError, DataError, RunError
from vitruvian.core.evaluation import Row, read, summarise, write
from vitruvian.core.fold_results import collect
from vitruvian.core.folds import (
    FoldPlan,
    chosen_folds,
    count_folds,
    fold_keys,
    refuse_without_folds,
)
from vitruvian.core.rundir import COMPLETE, FAILED, RunDirectory
from vitruvian.core.splits import KFold, LeaveOneOut, Ratio, Splits

CONFIG: dict[str, Any] = {"seed": 3, "split": {"_target_": "x.KFold", "fold": 0}, "lr": 1e-05}
PEOPLE = ("p1", "p2", "p3", "p10")


def planned(path: Path, chosen: Sequence[int] = ()) -> FoldPlan:
    plan = FoldPlan(path, CONFIG, ("experiment=x",)).settled(PEOPLE, 4, chosen)
    plan.write()
    return plan


# -- the plan -------------------------------------------------------------------------------------


def test_a_written_plan_comes_back(tmp_path: Path) -> None:
    plan = planned(tmp_path, (2, 0))
    assert plan.begun
    assert FoldPlan.read(tmp_path) == plan
    assert plan.wanted == [2, 0]
    assert planned(tmp_path).wanted == [0, 1, 2, 3]


def test_each_fold_has_a_run_of_its_own(tmp_path: Path) -> None:
    run = planned(tmp_path).claim(2)
    assert run.path == tmp_path / "fold-02"
    assert run.config == {**CONFIG, "split": {"_target_": "x.KFold", "fold": 2}}
    assert run.overrides_file.read_text() == "experiment=x\nsplit.fold=2\n"
    assert CONFIG["split"]["fold"] == 0, "the common config stays"


def test_a_key_that_the_fold_follows_goes_with_it(tmp_path: Path) -> None:
    keys = fold_keys({"fold": "${datamodule.fold}"}, ["seed=1", "datamodule.folds=3"])
    config = {**CONFIG, "datamodule": {"fold": 0}}
    run = FoldPlan(tmp_path, config, (), keys, PEOPLE, 4).claim(3)
    assert run.config["split"]["fold"] == run.config["datamodule"]["fold"] == 3
    assert run.overrides_file.read_text() == "datamodule.fold=3\n", "as one would type it"


@pytest.mark.parametrize(
    ("fold", "datamodule", "keys"),
    [
        ("${oc.select:datamodule.fold,0}", {"fold": 0}, ("split.fold", "datamodule.fold")),
        ("${datamodule.fold}", {"fold": 0}, ("split.fold", "datamodule.fold")),
        ("${oc.select:datamodule.fold,0}", {"root": None}, ("split.fold",)),
        (2, {"fold": 0}, ("split.fold",)),
    ],
)
def test_the_fold_follows_the_data_that_have_one(
    fold: Any, datamodule: dict[str, Any], keys: tuple[str, ...]
) -> None:
    assert fold_keys({"fold": fold}, [], datamodule) == keys


@pytest.mark.parametrize(
    ("fold", "typed", "key"),
    [
        (2, "split.fold=2", "split.fold"),
        ("${datamodule.fold}", "++datamodule.fold=2", "datamodule.fold"),
        ("${oc.select:datamodule.fold,0}", "datamodule.fold=2", "datamodule.fold"),
        ("${oc.select:datamodule.fold,0}", "split.fold=2", "split.fold"),
    ],
)
def test_a_fold_that_is_typed_is_refused(fold: Any, typed: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: vitruvian-folds trains all folds"):
        fold_keys({"fold": fold}, ["seed=1", typed])


def test_fold_names_sort_in_order(tmp_path: Path) -> None:
    plan = replace(planned(tmp_path), count=101)
    assert [plan.run(fold).path.name for fold in (0, 100)] == ["fold-000", "fold-100"]


def test_complete_folds_are_known_by_their_status(tmp_path: Path) -> None:
    plan = planned(tmp_path, (1,))
    plan.claim(0).write_status(COMPLETE)
    plan.claim(1).write_status(FAILED)
    plan.claim(3).write_status(COMPLETE)
    assert plan.complete == [0, 3], "also those of another command"


def test_another_config_is_refused(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    plan.refuse_other({**CONFIG})
    with pytest.raises(RunError, match=r"another configuration .*lr is 1e-05 there, 0.1 here"):
        plan.refuse_other({**CONFIG, "lr": 0.1})


def test_other_subjects_are_refused(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert plan.settled(PEOPLE[::-1], 4, (1,)).chosen == (1,), "their order does not matter"
    with pytest.raises(DataError, match=r"the data have changed .*\(p3, p4\): put them back"):
        plan.settled(("p1", "p2", "p4", "p10"), 4, ())


@pytest.mark.parametrize("chosen", [(4,), (0, 7)])
def test_folds_that_are_not_there(tmp_path: Path, chosen: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=rf"no fold {chosen[-1]}; choose from 0 to 3"):
        planned(tmp_path, chosen)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no folds to continue here; to start them, say what as well: experiment="),
        ("[", "folds.yaml is damaged"),
        ("x: 1", "folds.yaml is damaged"),
        ("3", "folds.yaml is damaged"),
    ],
)
def test_nothing_to_continue(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "folds.yaml").write_text(content)
    with pytest.raises(RunError, match=message):
        FoldPlan.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "folds"),
    [("all", ()), ("3", (3,)), ("5,0,2,0", (0, 2, 5)), ("[1, 2]", (1, 2))],
)
def test_chosen_folds(text: str, folds: tuple[int, ...]) -> None:
    assert chosen_folds(text) == folds


@pytest.mark.parametrize("text", ["", "some", "1,", "-1", "1.5", "0-3"])
def test_chosen_folds_refuses(text: str) -> None:
    with pytest.raises(ConfigError, match=r"folds: got .*expected all, or numbers such as 0,2,5"):
        chosen_folds(text)


def test_splits_with_and_without_folds() -> None:
    assert count_folds(KFold(folds=4), PEOPLE) == 4
    assert count_folds(LeaveOneOut(), PEOPLE) == 4
    told = "split: Ratio has no folds; add split=leave_one_out or split=kfold"
    with pytest.raises(ConfigError, match=told):
        count_folds(Ratio(), PEOPLE)
    with pytest.raises(ConfigError, match=told):
        refuse_without_folds({"split": {"_target_": "vitruvian.core.splits.Ratio"}})
    refuse_without_folds(CONFIG)


# -- results --------------------------------------------------------------------------------------


class Told:
    """A task as far as results need one."""

    reported = ("rmse",)

    def pooled(self, rows: Sequence[Row]) -> dict[str, float]:
        return {"n": float(len(rows)), "undefined": math.nan}

    def views(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        return {"per_task": [row for row in rows if row["task"] == "passive"]}


def row(who: str, task: str, rmse: float, predictor: str = "model") -> Row:
    case = f"{who}_{task}"
    return {"case": case, "predictor": predictor, "participant": who, "task": task, "rmse": rmse}


def evaluated(plan: FoldPlan, fold: int, rows: list[Row], name: str = "test") -> RunDirectory:
    """A complete run that tested one subject."""
    run = plan.claim(fold)
    sides = ("p1", "p2"), ("p3",), ("p10",) if name.startswith("test") else ()
    Splits(*sides, kind=f"leave one out, fold {fold} of 4").write(run.splits_file)
    write(rows, summarise(rows), run.evaluation, name, "simulated" in name)
    run.write_status(COMPLETE)
    return run


def test_rows_of_all_folds_are_one_evaluation(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    for fold, who in ((0, "p1"), (1, "p2"), (3, "p10")):
        rows = [row(who, "passive", fold + 1.0), row(who, "active", fold + 2.0)]
        evaluated(plan, fold, rows, "test_simulated")
    result = collect(plan, Told())
    assert result.name == "folds_simulated"
    assert result.split == "leave one out, 3 of 4 folds; a participant counts as one case"
    kept = read(tmp_path / "evaluation", "folds_simulated")
    assert kept.simulated
    assert kept.rows == result.cases.evaluation.rows
    assert [(r["participant"], r["fold"]) for r in kept.rows[::2]] == [
        ("p1", "0"),
        ("p2", "1"),
        ("p10", "3"),
    ]
    assert (kept.summary.cases, kept.summary.seed) == (3, 3)
    found = kept.summary.groups["model",]["rmse"]
    assert (found.n, found.mean) == (3, pytest.approx((1.5 + 2.5 + 4.5) / 3))
    assert found.sd == pytest.approx(1.5275, abs=1e-4), "over the participants, not their tasks"
    notes = json.loads((tmp_path / "evaluation/folds_simulated.json").read_text())
    assert notes["folds"] == [0, 1, 3]
    assert notes["pooled"] == {"model": {"n": 6, "undefined": None}}
    passive = read(tmp_path / "evaluation", "folds_simulated_per_task")
    assert [r["rmse"] for r in passive.rows] == [1.0, 2.0, 4.0]
    assert result.views["per_task"].pooled["model"]["n"] == 3


def test_without_participants_the_case_is_the_subject(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    for fold in (0, 1):
        rows = [
            {"case": f"{fold}{i}", "predictor": "model", "rmse": i, "task": "passive"}
            for i in (0, 1)
        ]
        evaluated(plan, fold, rows)
    result = collect(plan, Told())
    assert (result.name, result.split) == ("folds", "leave one out, 2 of 4 folds")
    assert result.cases.evaluation.summary.groups["model",]["rmse"].n == 4


@pytest.mark.parametrize("name", ["test", "test_leaky", "val", "val_leaky_simulated"])
def test_suffixes_are_kept(tmp_path: Path, name: str) -> None:
    plan = planned(tmp_path)
    run = evaluated(plan, 0, [row("p1", "passive", 1.0)], name)
    other = [row("p1", "passive", 9.0)]
    write(other, summarise(other), run.evaluation, f"{name}_overridden", False)
    result = collect(plan, Told())
    assert result.name == name.replace("test", "folds").replace("val", "folds")
    assert result.cases.evaluation.rows[0]["rmse"] == 1.0, "the run's own evaluation, no later one"


def test_nothing_to_collect(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    with pytest.raises(DataError, match="no fold is complete"):
        collect(plan, Told())
    run = evaluated(plan, 0, [row("p1", "passive", 1.0)])
    (run.evaluation / "test.json").unlink()
    with pytest.raises(DataError, match="holds no evaluation; was it deleted"):
        collect(plan, Told())
