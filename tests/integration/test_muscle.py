"""The muscle study from end to end on simulated people: check, train, evaluate, predict, live."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.integration.runs import SMALL_MUSCLE, log_of, state, train, verb
from vitruvian.core.folds import FoldPlan
from vitruvian.muscle.data.datamodule import TASKS
from vitruvian.muscle.simulator.cohort import SimulatedCohort

pytestmark = pytest.mark.slow

SHORT = (*SMALL_MUSCLE, "trainer.max_epochs=1")
TRIALS = ("combined", "isometric", "passive")
TABLES = ("", "_per_participant", "_per_task")
ENDINGS = (".csv", ".parquet", ".json", ".png")
PREDICTORS = {
    "model",
    "model: heads not fused",
    "control: shuffled frames",
    "baseline: passive spring",
    "baseline: persistence",
    "baseline: ridge on flow",
    "baseline: ridge on intensity",
    "baseline: train mean",
    "baseline: zero change",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """A short run; tests leave it where it is and add nothing but what they name."""
    run = tmp_path_factory.mktemp("short") / "run"
    assert train(run, (*SHORT, cache)) == 0, log_of(run)
    return run


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of two people that nobody was trained on."""
    cohort = SimulatedCohort(people=2, women=1, seconds=1.2, tasks=["passive", "combined"], seed=7)
    return cohort.write(tmp_path_factory.mktemp("strangers"))


@pytest.fixture
def damaged(strangers: Path, tmp_path: Path) -> Path:
    """A copy in which the signals of one recording are gone."""
    copy = tmp_path / "damaged"
    shutil.copytree(strangers, copy)
    next((copy / "P01_passive").glob("signals.*")).unlink()
    return copy


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What a verb of a test prints."""
    return tmp_path / "said.txt"


def said(log: Path) -> str:
    return log.read_text(encoding="utf-8")


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


def columns(table: Path) -> dict[str, np.ndarray]:
    """A table of readings, .csv or .parquet."""
    if table.suffix == ".parquet":
        return {k: np.array(v) for k, v in pq.read_table(table).to_pydict().items()}
    found = rows(table)
    return {key: np.array([float(row[key]) for row in found]) for key in found[0]}


def results(run: Path, name: str) -> dict[str, tuple[bytes, str]]:
    """Rows and summary of every table of an evaluation."""
    found = {}
    for table in TABLES:
        stem = run / "evaluation" / f"{name}{table}"
        summary = json.loads(stem.with_suffix(".json").read_text())
        found[table] = (stem.with_suffix(".csv").read_bytes(), repr(summary | {"changed": None}))
    return found


def splits(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "splits.json").read_text())
    return found


# --- evaluate ------------------------------------------------------------------------------------


def test_a_moved_run_gives_the_numbers_of_training(run: Path, tmp_path: Path, log: Path) -> None:
    """Also where nothing is left of the data: people are simulated again from their seed."""
    moved = tmp_path / "moved" / "elsewhere"
    shutil.copytree(run, moved)
    again = f"datamodule.cache_dir={tmp_path / 'other'}"
    assert verb("evaluate", f"run={moved}", "name=again", again, log=log) == 0, said(log)
    assert results(moved, "again_simulated") == results(run, "test_simulated")


def test_a_checkpoint_alone_gives_them_too(run: Path, tmp_path: Path, log: Path) -> None:
    alone = tmp_path / "far" / "away" / "best.ckpt"
    alone.parent.mkdir(parents=True)
    shutil.copy(run / "checkpoints" / "best.ckpt", alone)
    assert verb("evaluate", f"run={alone}", log=log, folder=tmp_path) == 0, said(log)
    assert results(tmp_path, "test_simulated") == results(run, "test_simulated")


def test_training_and_evaluation_print_the_same(run: Path, log: Path) -> None:
    assert verb("evaluate", f"run={run}", log=log) == 0, said(log)
    _, told, printed = log_of(run).partition("test_simulated (leave one out, fold 0 of 4)")
    assert told
    assert "Evaluation on SIMULATED data, 3 cases" in printed
    tables = said(log).partition(told)[2].partition("\nnext:")[0]
    assert tables == printed.partition("\nnext:")[0]


@pytest.mark.parametrize("part", ["test", "val"])
def test_everything_stands_beside_the_model(
    part: str, run: Path, tmp_path: Path, log: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    assert verb("evaluate", f"run={copy}", f"split={part}", log=log) == 0, said(log)
    (person,) = splits(run)[part]
    for table in TABLES:
        found = rows(copy / f"evaluation/{part}_simulated{table}.csv")
        assert {row["data"] for row in found} == {"simulated"}
        assert {row["predictor"] for row in found} == PREDICTORS
    trials = rows(copy / f"evaluation/{part}_simulated.csv")
    for predictor in PREDICTORS:
        own = [row["case"] for row in trials if row["predictor"] == predictor]
        assert sorted(own) == [f"{person}_{task}" for task in TRIALS]


def test_a_person_is_all_their_frames(run: Path) -> None:
    trials: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows(run / "evaluation/test_simulated.csv"):
        trials[row["predictor"]].append(row)
    for person in rows(run / "evaluation/test_simulated_per_participant.csv"):
        own = trials[person["predictor"]]
        assert [person["participant"]] == splits(run)["test"]
        frames = [float(row["torque_frames"]) for row in own]
        squares = [float(row["torque_rmse_nm"]) ** 2 for row in own]
        expected = np.sqrt(np.average(squares, weights=frames))
        assert float(person["torque_rmse_nm"]) == pytest.approx(expected)


def test_intervals_of_the_model_cover_what_the_table_says(run: Path) -> None:
    """Only the model has intervals; they were fitted on people who validate, and judged here."""
    for row in rows(run / "evaluation/test_simulated.csv"):
        if row["predictor"] == "model":
            assert 0.0 <= float(row["torque_coverage"]) <= 1.0
            assert float(row["torque_interval_nm"]) > 0.0
        else:
            assert row["torque_coverage"] == ""


def test_the_best_participant_stands_beside_zero_change_and_the_paper(run: Path) -> None:
    summary = json.loads((run / "evaluation/test_simulated.json").read_text())
    found = summary["pooled"]["model"]
    trials = [
        row for row in rows(run / "evaluation/test_simulated.csv") if row["predictor"] == "model"
    ]
    least = min(trials, key=lambda row: float(row["angle_change_rmse_deg"]))
    best = float(least["angle_change_rmse_deg"])
    assert found["angle_change_rmse_deg_best_participant_task"] == pytest.approx(best)
    assert found["angle_change_rmse_deg_paper"] == 0.022
    nothing = float(least["angle_zero_change_rmse_deg"])
    beside = found["angle_zero_change_rmse_deg_best_participant_task"]
    assert beside == pytest.approx(nothing)


def test_scaling_comes_from_training_people(run: Path, cache: str, log: Path) -> None:
    """Whoever is tested may be anybody: the weights know nothing of them."""
    kept = state(run / "checkpoints" / "best.ckpt")["state_dict"]
    for row in rows(run / "evaluation/test_simulated.csv"):
        if row["predictor"] == "baseline: train mean" and row["task"] == "isometric":
            mean = float(row["torque_bias_nm"]) + float(row["torque_truth_mean_nm"])
    assert verb("evaluate", f"run={run}", "split=train", "name=trained", log=log) == 0, said(log)
    frames, means = zip(
        *(
            (float(row["torque_frames"]), float(row["torque_truth_mean_nm"]))
            for row in rows(run / "evaluation/trained_simulated.csv")
            if row["predictor"] == "baseline: train mean"
        ),
        strict=True,
    )
    assert mean == pytest.approx(np.average(means, weights=frames), rel=0.05)
    assert kept["target_mean"].shape == (6,)


# --- other data ----------------------------------------------------------------------------------


def test_a_confounded_net_is_judged_on_independent_data(
    tmp_path: Path, cache: str, log: Path
) -> None:
    run = tmp_path / "run"
    confounded = "datamodule.simulator.design=confounded"
    assert train(run, (*SHORT, cache, confounded)) == 0, log_of(run)
    again = ("split=all", "datamodule.simulator.design=independent")
    assert verb("evaluate", f"run={run}", *again, log=log) == 0, said(log)
    assert "all_overridden_simulated (every case found, also those trained on)" in said(log)
    found = json.loads((run / "evaluation/all_overridden_simulated.json").read_text())
    assert found["cases"] == 12
    (changed,) = found["changed"]
    assert changed.startswith("datamodule.simulator.design is 'confounded' there")
    own = rows(run / "evaluation/test_simulated.csv")[0]
    others = rows(run / "evaluation/all_overridden_simulated.csv")
    other = next(row for row in others if row["case"] == own["case"])
    assert other["torque_truth_mean_nm"] != own["torque_truth_mean_nm"]


def test_the_muscle_may_tremble(run: Path, log: Path) -> None:
    keys = [f"{part}.roi.jitter_mm=2.0" for part in ("datamodule", "model")]
    assert verb("evaluate", f"run={run}", "name=jitter", *keys, log=log) == 0, said(log)
    plain, shaken = (
        {
            (row["case"], row["predictor"]): row["torque_rmse_nm"]
            for row in rows(run / f"evaluation/{name}_simulated.csv")
        }
        for name in ("test", "jitter")
    )
    case = f"{splits(run)['test'][0]}_combined"
    assert plain[case, "baseline: train mean"] == shaken[case, "baseline: train mean"]
    assert plain[case, "model"] != shaken[case, "model"]


def test_the_leaky_split_is_called_so_wherever_it_shows(
    tmp_path: Path, cache: str, log: Path
) -> None:
    run = tmp_path / "run"
    assert train(run, (*SHORT, cache, "datamodule.unit=task")) == 0, log_of(run)
    assert f"test_leaky_simulated (leave one out, fold 0 of 3, LEAKY: {TASKS}" in log_of(run)
    assert f"LEAKY: {TASKS}" in splits(run)["kind"]
    files = [path.name for path in (run / "evaluation").iterdir()]
    assert files
    assert all(name.startswith("test_leaky_simulated") for name in files)


def test_a_learned_region_replaces_the_found_one(tmp_path: Path, cache: str, log: Path) -> None:
    people = [key for key in SHORT if ".simulator." in key]
    small = ("datamodule.size=[32,32]", "datamodule.samples_per_epoch=4", "model.net.width=2")
    keys = ("experiment=muscle_roi", "trainer=cpu", "split=leave_one_out", "trainer.max_epochs=1")
    region = tmp_path / "region"
    assert train(region, (*keys, *people, *small, "datamodule.every=5", cache)) == 0, log_of(region)
    assert "baseline: classical" in log_of(region)
    run = tmp_path / "run"
    learned = ("datamodule/roi=unet", f"datamodule.roi.finder.checkpoint={region}")
    assert train(run, (*SHORT, cache, *learned)) == 0, log_of(run)
    assert (run / "evaluation/test_simulated.csv").is_file()


# --- predict, live -------------------------------------------------------------------------------


def test_a_recording_is_predicted_and_shown_live_alike(
    run: Path, strangers: Path, tmp_path: Path, log: Path
) -> None:
    folder, out = strangers / "P02_combined", tmp_path / "out"
    arguments = (f"run={run}", f"input={folder}", f"output={out}")
    assert verb("predict", *arguments, log=log) == 0, said(log)
    name = "P02_combined_simulated"
    assert said(log).split() == [str(out / f"{name}{end}") for end in ENDINGS]
    assert {path.name for path in out.iterdir()} == {f"{name}{end}" for end in ENDINGS}
    told = json.loads((out / f"{name}.json").read_text())
    assert told["input_simulated"] is told["trained_on_simulated"] is True
    assert (told["run"], told["participant"], told["frames"]) == (str(run), "P02", 30)
    assert told["times"] == "clock of kind pulses"

    predicted = columns(out / f"{name}.csv")
    live, table = tmp_path / "live.txt", tmp_path / "live.parquet"
    keys = (f"run={run}", f"source={folder}", f"table={table}")
    assert verb("live", *keys, log=live) == 0, said(live)
    assert "note: the model was trained on simulated people" in said(live)
    assert re.search(r"30 frames of P02_combined, p50 \d+\.\d, .* ms a frame; ", said(live))
    shown = columns(table)
    assert (
        list(shown) == list(predicted) == list(columns(out / f"{name}.parquet")) == told["columns"]
    )
    for column in set(shown) - {"time_s"}:  # measured off-line, counted live
        np.testing.assert_array_equal(shown[column], predicted[column], err_msg=column)
    for place in ("angle_deg", "torque_nm", "emg_v"):
        assert np.isnan(predicted[place][0])
        assert np.isfinite(predicted[place][1:]).all()


def test_predictions_are_those_of_the_evaluation(
    run: Path, cache: str, tmp_path: Path, log: Path
) -> None:
    """Errors over a trial, as the table of the evaluation has them, follow from the files."""
    cohort = SimulatedCohort(people=4, women=1, seconds=1.2)
    root = cohort.write(Path(cache.partition("=")[2]) / "simulated")
    (person,) = splits(run)["test"]
    for task in TRIALS:
        arguments = (f"run={run}", f"input={root / f'{person}_{task}'}", f"output={tmp_path}")
        assert verb("predict", *arguments, log=log) == 0, said(log)
        found = columns(tmp_path / f"{person}_{task}_simulated.csv")
        (row,) = (
            row
            for row in rows(run / "evaluation/test_simulated.csv")
            if (row["predictor"], row["task"]) == ("model", task)
        )
        mean = float(row["torque_truth_mean_nm"]) + float(row["torque_bias_nm"])
        answered = found["torque_nm"][1 : int(float(row["torque_frames"])) + 1]
        assert answered.mean() == pytest.approx(mean, rel=1e-4)


def test_a_run_that_was_moved_and_a_checkpoint_alone_predict_alike(
    run: Path, strangers: Path, tmp_path: Path, log: Path
) -> None:
    moved, alone = tmp_path / "moved/elsewhere", tmp_path / "far/muscle.ckpt"
    shutil.copytree(run, moved)
    alone.parent.mkdir()
    shutil.copy(run / "checkpoints/best.ckpt", alone)
    source = f"input={strangers / 'P01_passive'}"
    assert verb("predict", f"run={run}", source, f"output={tmp_path / 'here'}", log=log) == 0
    assert verb("predict", f"run={moved}", source, log=log) == 0, said(log)
    assert verb("predict", f"run={alone}", source, log=log, folder=tmp_path) == 0, said(log)
    name = "P01_passive_simulated.csv"
    places = (tmp_path / "here", moved / "predictions", tmp_path / "predictions")
    first, second, third = ((place / name).read_bytes() for place in places)
    assert first == second == third


def test_a_broken_recording_does_not_hide_the_others(
    run: Path, damaged: Path, tmp_path: Path, log: Path
) -> None:
    out = tmp_path / "out"
    assert verb("predict", f"run={run}", f"input={damaged}", f"output={out}", log=log) == 2
    assert "error: 1 of 4 recordings cannot be predicted; 3 are done:" in said(log)
    assert "P01_passive" in said(log).partition("are done:")[2]
    assert len(list(out.iterdir())) == 3 * len(ENDINGS)


def test_a_run_is_exported_with_its_card(run: Path, tmp_path: Path, log: Path) -> None:
    file = tmp_path / "muscle.ts"
    keys = (f"run={run}", "format=torchscript", f"output={file}")
    assert verb("export", *keys, log=log) == 0, said(log)
    assert said(log).splitlines()[-1] == str(file)
    assert "SIMULATED" in (tmp_path / "muscle_card.md").read_text().upper()


# --- check, folds --------------------------------------------------------------------------------


def test_a_sound_root_is_described(strangers: Path, tmp_path: Path, log: Path) -> None:
    keys = ("datamodule=muscle_recordings", f"datamodule.root={strangers}", "figures=figures")
    assert verb("check", *keys, log=log, folder=tmp_path) == 0, said(log)
    names = [f"{person}_{task}" for person in ("P01", "P02") for task in ("combined", "passive")]
    lines = [line for line in said(log).splitlines() if line.startswith("ok  ")]
    assert [line[4:].partition(":")[0] for line in lines] == names
    for line in lines:
        assert re.search(r"30 frames at 2\d\.\d{3} Hz, \d+ pulses, offset \d\.\d{3} s", line)
        assert line.endswith(", simulated")
    assert "4 cases, 0 with problems" in said(log)
    figures = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert figures == [f"{name}_simulated.png" for name in names]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "said.txt"]


def test_a_broken_recording_is_named(damaged: Path, log: Path) -> None:
    keys = ("datamodule=muscle_recordings", f"datamodule.root={damaged}")
    assert verb("check", *keys, log=log) == 1
    lines = said(log).splitlines()
    assert [line[:3] for line in lines if line[4:7] in ("P01", "P02")].count("BAD") == 1
    (place,) = (n for n, line in enumerate(lines) if line.startswith("BAD P01_passive"))
    assert lines[place + 1].startswith("    problem: ")
    assert "signals" in lines[place + 1]
    assert lines[-1] == "4 cases, 1 with problems: P01_passive"


def test_training_leaves_it_out_and_says_so_or_stops(
    damaged: Path, tmp_path: Path, log: Path
) -> None:
    cohort = SimulatedCohort(people=3, women=1, seconds=1.2, tasks=["passive", "combined"], seed=7)
    third = cohort.write(tmp_path / "three")
    shutil.copytree(third / "P03_combined", damaged / "P03_combined")
    data = (f"datamodule.root={damaged}", f"datamodule.cache_dir={tmp_path / 'cache'}")
    run = tmp_path / "run"
    assert train(run, (*SHORT, *data)) == 0, log_of(run)
    assert "left out: 1 recording" in log_of(run)
    (left,) = (line for line in log_of(run).splitlines() if line.startswith("  ") and "P01" in line)
    assert "P01_passive" in left
    assert "SIMULATED" in log_of(run), "wherever its folder was moved"
    other = tmp_path / "other"
    assert train(other, (*SHORT, *data, "datamodule.on_bad_recording=raise")) == 2
    assert "P01_passive" in log_of(other)
    assert "datamodule.on_bad_recording=skip leaves them out" in log_of(other)


def test_everybody_is_left_out_once(tmp_path: Path, cache: str, log: Path) -> None:
    run = tmp_path / "mine"
    assert verb("folds", *SHORT, cache, f"run={run}", "jobs=2", log=log) == 0, said(log)
    assert FoldPlan.read(run).complete == [0, 1, 2, 3]
    assert "folds_simulated (leave one out, 4 of 4 folds; a participant counts" in said(log)
    people = [f"P0{number}" for number in range(1, 5)]
    for number, person in enumerate(people):
        held = splits(run / f"fold-0{number}")
        assert held["test"] == [person]
        assert held["val"] == [people[(number + 1) % 4]], "the next one validates"
    found = rows(run / "evaluation/folds_simulated.csv")
    model = [row["case"] for row in found if row["predictor"] == "model"]
    assert sorted(model) == [f"{person}_{task}" for person in people for task in TRIALS]
    assert " best participant " in said(log)


# --- real recordings -----------------------------------------------------------------------------


@pytest.mark.real_data
def test_real_signals_without_images_are_aligned(
    real_data: Path, tmp_path: Path, log: Path
) -> None:
    root = real_data / "sync_tecchio2023_ta"
    keys = ("datamodule=muscle_recordings", f"datamodule.root={root}", "figures=figures")
    assert verb("check", *keys, log=log, folder=tmp_path) == 1
    lines = said(log).splitlines()
    trials = [line for line in lines if line.startswith("BAD ")]
    assert len(trials) == 9
    assert all("500 frames at 33.333 Hz, 500 pulses, " in line for line in trials)
    assert lines.count("    problem: no images: it can be aligned, not trained on") == 9
    assert len([line for line in lines if "note: the nominal " in line]) == 9
    assert lines[-2].startswith("9 cases, 9 with problems: PL_0_01, ")
    assert lines[-1] == "figures: 9 in figures"
    assert len(list((tmp_path / "figures").glob("*.png"))) == 9
    assert not [path for path in (tmp_path / "figures").iterdir() if "simulated" in path.name]


@pytest.mark.real_data
def test_real_images_are_trained_on_and_predicted(
    real_data: Path, tmp_path: Path, log: Path
) -> None:
    run = tmp_path / "run"
    data = (f"datamodule.root={real_data / 'us_timtrack'}", f"output_dir={tmp_path}")
    small = ("datamodule.roi.size=[32,64]", "datamodule.roi.mm_per_pixel=1.0", "model.net.dense=4")
    short = ("datamodule.samples_per_epoch=8", "trainer.max_epochs=1", "trainer=cpu")
    keys = ("experiment=muscle_timtrack", *data, *small, *short, "model.net.filters=[2,2,2,2,2]")
    assert train(run, keys) == 0, log_of(run)
    assert "Evaluation on real data, 1 case" in log_of(run)
    assert f"LEAKY: {TASKS}" in log_of(run)
    found = rows(run / "evaluation/test_leaky.csv")
    assert {row["data"] for row in found} == {"real"}
    (model,) = (row for row in found if row["predictor"] == "model")
    assert float(model["fascicle_angle_frames"]) == 20
    assert not list((run / "evaluation").glob("*simulated*"))
