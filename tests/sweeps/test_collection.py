"""Runs as one table, seeds and folds taken together, and the order of what they found."""

from __future__ import annotations

import csv
import json
import math
import statistics
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from scipy import stats

from tests.sweeps.finished import METRIC, NOW, Run, history, sweep_of
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.sweeps import collection, groups, leaderboard
from vitruvian.sweeps.collection import BASELINE, Collection, axis_values, collect, typed
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.figures import figures_of, monitor_of
from vitruvian.sweeps.groups import grouped, spread
from vitruvian.sweeps.leaderboard import Score, chosen_score, notes, ranked
from vitruvian.sweeps.objectives import kept_figures
from vitruvian.sweeps.states import states_of
from vitruvian.sweeps.status_table import Board

FOLDS = tuple(
    Run((f"optimizer.lr={lr}", f"split.fold={fold}"), validations=(0.1, value), dice=(value,))
    for lr, values in {"0.1": (0.5, 0.6, 0.7), "0.01": (0.8, 0.6, 0.1)}.items()
    for fold, value in enumerate(values)
)


def collected(sweep: SweepDirectory) -> Collection:
    return collect(sweep, states_of(sweep.runs(), {}, now=NOW))


def folds(path: Path, *changes: tuple[int, Run]) -> Collection:
    runs = list(FOLDS)
    for index, run in changes:
        runs[index] = run
    return collected(sweep_of(path, runs, axes=("optimizer.lr", "split.fold")))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# -- one run --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "mode", "epoch"),
    [
        ((0.1, 0.5, 0.5, 0.2), "max", 1),
        ((0.1, 0.5, 0.05, 0.2), "min", 2),
        ((math.nan, 0.5, math.inf), "max", 1),
        ((-0.5, -0.1), "max", 1),
    ],
)
def test_the_figures_are_those_of_the_weights_that_were_kept(
    values: tuple[float, ...], mode: str, epoch: int, tmp_path: Path
) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text(history(values))
    expected = {METRIC: values[epoch], "val/liver_volume_ml": float(epoch)}
    assert kept_figures(file, METRIC, mode) == expected


@pytest.mark.parametrize("text", ["", "epoch,step\r\n0,0\r\n", history(()), history((math.nan,))])
def test_what_was_never_logged_has_no_figures(text: str, tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    assert kept_figures(file, METRIC, "max") == {}
    file.write_text(text)
    assert kept_figures(file, METRIC, "max") == {}


def test_half_a_line_of_a_killed_run_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text(history((0.5,)) + "1,1,,0.9e")
    assert kept_figures(file, METRIC, "max")[METRIC] == 0.5


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("seed: 0\nmonitor:\n  metric: val/loss\n  mode: min\nmodel: {}\n", ("val/loss", "min")),
        ("monitor: {metric: val/r2, mode: max}\n", ("val/r2", "max")),
        ("monitor:\n  metric: 'val/a b'\n  mode: max", ("val/a b", "max")),
        ("seed: 0\n", ("", "min")),
        (": [", ("", "min")),
    ],
)
def test_the_monitor_is_found_without_reading_all_of_the_config(
    config: str, expected: tuple[str, str], tmp_path: Path
) -> None:
    run = sweep_of(tmp_path / "sweep", [Run(())]).run(0)
    run.config_file.write_text(config)
    assert monitor_of(run) == expected


def test_an_objective_of_the_training_is_collected(tmp_path: Path) -> None:
    runs = [Run((f"optimizer.lr={lr}",), validations=(0.1, 0.6, 0.2)) for lr in (1, 2)]
    sweep = sweep_of(tmp_path / "sweep", runs, objectives={"train/loss": "min"})
    file = sweep.run(1).metrics_file
    file.write_text(file.read_text().replace("1,1,0.5", "1,1,0.25").replace("2,2,0.5", "2,2,0.1"))
    found = collected(sweep)
    assert [run.figures.values["train/loss"] for run in found.runs] == [0.5, 0.25]
    score = chosen_score(found, sweep.manifest())
    best = ranked(grouped(found), score)[0]
    assert (score.metric, best.group.runs[0].directory) == ("train/loss", "0001")
    states = states_of(sweep.runs(), {}, now=NOW)
    shown = Board(sweep, sweep.manifest()).best(states)
    assert shown is not None
    assert (shown.value, shown.one.entry.name) == (0.25, "0001")


def test_a_run_with_everything_it_found(tmp_path: Path) -> None:
    rivals = {"baseline: empty mask": 0.0, "baseline: HU threshold": 0.4}
    run = Run((), validations=(0.1, 0.6), dice=(0.5, 0.7), baselines=rivals)
    found = figures_of(sweep_of(tmp_path / "sweep", [run]).run(0))
    assert found.values == pytest.approx(
        {"test/dice": 0.6, "test/tp": 3.0, "test/pooled/auc": 0.75}
        | {METRIC: 0.6, "val/liver_volume_ml": 1.0}
    )
    assert found.baselines == {"test/dice": 0.4}, "of tp neither end is good"
    assert (found.cases, found.data, found.suffix) == (2, "simulated", "_simulated")
    assert (found.monitor, found.split, found.seconds) == (METRIC, "5-fold", 100.0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"groups": [1]}', '{"groups": 3}'])
def test_a_damaged_evaluation_gives_no_figures(text: str, tmp_path: Path) -> None:
    run = sweep_of(tmp_path / "sweep", [Run((), validations=(0.1,), dice=(0.5,))]).run(0)
    (run.evaluation / "test_simulated.json").write_text(text)
    assert set(figures_of(run).values) == {METRIC, "val/liver_volume_ml"}


# -- the table ------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_each_run_also_for_those_without_figures(tmp_path: Path) -> None:
    failed = Run(FOLDS[5].point, "failed", status={"reason": "DataError: no such folder"})
    runs = [*FOLDS[:5], failed, Run(("optimizer.lr=1", "split.fold=0"), None)]
    sweep = sweep_of(tmp_path / "sweep", runs, axes=("optimizer.lr", "split.fold"))
    files = collection.write(sweep, collected(sweep))
    assert [file.name for file in files] == [
        "collected_simulated.csv",
        "collected_simulated.parquet",
    ]
    lines = table(files[0])
    assert [line["state"] for line in lines] == ["completed"] * 5 + ["failed", "not started"]
    assert lines[1]["optimizer.lr"] == "0.1"
    assert lines[1]["directory"] == "0001"
    assert float(lines[1]["test/dice"]) == 0.6
    assert float(lines[1][f"test/dice{BASELINE}"]) == 0.0
    assert lines[1]["data"] == "simulated"
    assert lines[5]["reason"] == "DataError: no such folder"
    assert lines[5]["test/dice"] == ""

    parquet = pyarrow.parquet.read_table(files[1])
    assert parquet.column_names == list(lines[0])
    assert parquet["split.fold"].to_pylist() == [0, 1, 2, 0, 1, 2, 0]
    assert parquet["test/dice"].to_pylist()[4:] == [0.6, None, None]


def test_one_simulated_run_makes_the_table_simulated(tmp_path: Path) -> None:
    real = Run((), validations=(0.1,), dice=(0.5,), simulated=False)
    assert collected(sweep_of(tmp_path / "real", [real])).suffix == ""
    both = collected(sweep_of(tmp_path / "both", [real, Run((), dice=(0.5,))]))
    assert (both.suffix, both.simulated) == ("_simulated", True)


def test_without_a_complete_run_there_is_nothing_to_collect(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", [Run((), "failed"), Run((), None)])
    with pytest.raises(RunError, match="nothing to collect: 1 not started, 1 failed"):
        collected(sweep)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "2", None], [1, 2, None]),
        (["1", "2e-3"], [1.0, 0.002]),
        (["adam", "1"], ["adam", "1"]),
        ([None], [None]),
    ],
)
def test_values_of_an_axis_are_numbers_where_all_are(texts: Any, values: list[Any]) -> None:
    assert typed(texts) == values


def test_only_what_is_swept_is_an_axis() -> None:
    overrides = ("seed=1", "+a.b='x y'", "optimizer.lr=0.1")
    assert axis_values(overrides, ("a.b", "optimizer.lr", "c")) == {
        "a.b": "x y",
        "optimizer.lr": "0.1",
    }


# -- groups ---------------------------------------------------------------------------------------


def test_the_interval_is_students(tmp_path: Path) -> None:
    values = [0.5, 0.6, 0.75, 0.2]
    found = spread(values)
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    assert (found.n, found.mean, found.sd) == pytest.approx((4, mean, sd))
    low, high = stats.t.interval(0.95, 3, mean, sd / 2)
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high))


@pytest.mark.parametrize(("values", "n"), [([], 0), ([0.5], 1)])
def test_one_run_has_no_interval(values: list[float], n: int) -> None:
    found = spread(values)
    assert (found.n, found.sd, found.ci_low, found.ci_high) == (n, None, None, None)


def test_folds_are_taken_together_and_missing_ones_are_said(tmp_path: Path) -> None:
    failed = Run(FOLDS[4].point, "failed")
    found = folds(tmp_path / "sweep", (4, failed))
    first, second = grouped(found)
    assert (first.values, first.missing) == ({"optimizer.lr": "0.1"}, [])
    assert (len(second.complete), len(second.runs), second.missing) == (2, 3, ["split.fold=1"])
    assert first.spread("test/dice").mean == pytest.approx(0.6)
    assert first.spread("test/dice").baseline == 0.0
    assert second.spread("test/dice").n == 2

    sweep = SweepDirectory(tmp_path / "sweep")
    lines = table(groups.write(sweep, found, [first, second]))
    line = next(x for x in lines if (x["metric"], x["optimizer.lr"]) == ("test/dice", "0.01"))
    assert (line["n"], line["asked_for"], line["missing"]) == ("2", "3", "split.fold=1")
    assert float(line["mean"]) == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("by", "count"), [(None, 2), (["optimizer.lr", "split.fold"], 6), (["split.fold"], 3)]
)
def test_one_may_choose_what_makes_a_group(by: Any, count: int, tmp_path: Path) -> None:
    assert len(grouped(folds(tmp_path / "sweep"), by)) == count


def test_an_axis_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"by: optimizer\.rl is not swept; did you mean `optimizer\.lr`"
    ):
        grouped(folds(tmp_path / "sweep"), ["optimizer.rl"])


# -- the leaderboard ------------------------------------------------------------------------------


def test_the_best_group_comes_first_with_its_runs(tmp_path: Path) -> None:
    found = folds(tmp_path / "sweep")
    sweep = SweepDirectory(tmp_path / "sweep")
    score = chosen_score(found, sweep.manifest())
    assert score == Score(METRIC, "max")
    places = ranked(grouped(found), score)
    assert [place.group.values["optimizer.lr"] for place in places] == ["0.1", "0.01"]
    worst = ranked(grouped(found), Score(METRIC, "min"))
    assert [place.group.values["optimizer.lr"] for place in worst] == ["0.01", "0.1"]
    first, second = table(leaderboard.write(sweep, found, score, places))
    assert (first["rank"], first["directories"]) == ("1", "0000 0001 0002")
    assert second["directories"] == "0003 0004 0005"
    assert (first["n"], first["asked_for"], first["data"]) == ("3", "3", "simulated")


SCORES: dict[str, tuple[str | None, str | None, tuple[str, str]]] = {
    "first objective": (None, None, (METRIC, "max")),
    "its other end": (None, "min", (METRIC, "min")),
    "another": ("test/dice", None, ("test/dice", "max")),
    "the end of a name": ("auc", None, ("test/pooled/auc", "max")),
    "of no known end": ("test/tp", "max", ("test/tp", "max")),
}


def test_an_index_has_the_good_end_that_its_runs_were_told(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, [Run(("a=1",), validations=(0.1, 0.5))], objectives={})
    for file in (sweep.run(0).config_file, sweep.run(0).metrics_file):
        file.write_text(file.read_text().replace(METRIC, "val/harmony"))
    assert chosen_score(collected(sweep), sweep.manifest()) == Score("val/harmony", "max")
    with pytest.raises(ConfigError, match="a small or a large val/liver_volume_ml"):
        chosen_score(collected(sweep), sweep.manifest(), "val/liver_volume_ml")


@pytest.mark.parametrize("case", SCORES)
def test_the_metric_that_decides(case: str, tmp_path: Path) -> None:
    metric, mode, expected = SCORES[case]
    found = folds(tmp_path / "sweep")
    manifest = SweepDirectory(tmp_path / "sweep").manifest()
    assert chosen_score(found, manifest, metric, mode) == Score(*expected)


@pytest.mark.parametrize(
    ("metric", "parts"),
    [
        (
            "val/liver_dise",
            ("no run has 'val/liver_dise'; did you mean `val/liver_dice`?", "test/tp"),
        ),
        ("qq", ("no run has 'qq'; There are: test/dice",)),
        ("test/tp", ("mode: is a small or a large test/tp better? Add mode=min or mode=max",)),
    ],
)
def test_a_metric_that_nobody_has_lists_those_that_exist(
    metric: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    found = folds(tmp_path / "sweep")
    with pytest.raises(ConfigError) as error:
        chosen_score(found, SweepDirectory(tmp_path / "sweep").manifest(), metric)
    assert all(part in str(error.value) for part in parts), error.value


def test_what_to_doubt_stands_below_the_table(tmp_path: Path) -> None:
    silent = Run(FOLDS[0].point, validations=(math.nan,), dice=(0.5,))
    found = folds(tmp_path / "sweep", (0, silent), (4, Run(FOLDS[4].point, "failed")))
    score = Score(METRIC, "max")
    own = grouped(found)
    told = "\n".join(notes(found, score, ranked(own, score), own))
    assert "folds share their training data" in told
    assert "optimizer.lr=0.01 has 2 of 3 runs, without split.fold=1" in told
    assert f"1 complete runs have no {METRIC}" in told
    assert "spends" not in told
    score = Score("test/dice", "max")
    assert "Choosing by test figures spends them" in "\n".join(notes(found, score, [], []))


def test_groups_whose_runs_all_failed_are_named(tmp_path: Path) -> None:
    broken = [(index, Run(FOLDS[index].point, "failed")) for index in (3, 4, 5)]
    found = folds(tmp_path / "sweep", *broken)
    own, score = grouped(found), Score(METRIC, "max")
    places = ranked(own, score)
    assert [place.group for place in places] == own[:1]
    told = "\n".join(notes(found, score, places, own))
    assert "not ranked, none of their runs is complete: optimizer.lr=0.01" in told


def test_a_damaged_list_of_points_is_told(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", [Run(())])
    sweep.points_file.write_text(json.dumps({"index": "x"}) + "\n")
    with pytest.raises(RunError, match="is damaged"):
        collected(sweep)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2", None], [1, -2, None]),
        (["1e-3", "0.5", ".5", "2"], [0.001, 0.5, 0.5, 2.0]),
        (["2017_1", "2017_2"], ["2017_1", "2017_2"]),
        (["03", "04"], ["03", "04"]),
        (["adam", "1"], ["adam", "1"]),
    ],
)
def test_what_looks_like_a_number_is_one(texts: list[str | None], values: list[object]) -> None:
    assert typed(texts) == values
