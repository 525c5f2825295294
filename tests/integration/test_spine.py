"""The spine study from end to end on simulated people: train, move, evaluate, predict, export."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.integration.runs import SMALL_SPINE, log_of, state, train, verb
from vitruvian.core import engine
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.video.video import open_video
from vitruvian.spine.data.cases import SpineCase
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.head.onnx_runtime import OnnxIndex, OnnxStep
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.regressor import SpineRegressor
from vitruvian.spine.simulator.cohort import SimulatedPeople
from vitruvian.spine.tables.tables import write_table

SHORT = (*SMALL_SPINE, "trainer.max_epochs=1")
PREDICTORS = {"model", "baseline: train mean", "baseline: majority class"}
TABLES = ("", "_per_person", "_exercise_jump", "_exercise_touch_toes", "_exercise_walk")
ENDINGS = (".csv", ".json", ".png", "_heatmap.png")


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
def strangers() -> list[Clip]:
    """Clips of two people that nobody was trained on."""
    return list(SimulatedPeople(people=2, seed=7, seconds=(1.0, 1.2)).clips())[:2]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What a verb of a test prints."""
    return tmp_path / "said.txt"


def said(log: Path) -> str:
    return log.read_text(encoding="utf-8")


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


def results(run: Path, name: str) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Rows and summary of every table of an evaluation."""
    found = {}
    for table in TABLES:
        stem = run / "evaluation" / f"{name}{table}"
        summary = json.loads(stem.with_suffix(".json").read_text())
        found[table] = (stem.with_suffix(".csv").read_bytes(), repr(summary | {"changed": None}))
    return found


def trained(run: Path) -> SpineRegressor:
    """The task with the weights of a run."""
    task = engine.build_task(RunDirectory(run).config)
    task.load_state_dict(state(run / "checkpoints" / "best.ckpt")["state_dict"])
    assert isinstance(task, SpineRegressor)
    return task.eval()


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
    _, told, printed = log_of(run).partition("test_simulated (5-fold, fold 0, stratified)")
    assert told
    assert printed
    tables = said(log).partition(told)[2].partition("\nnext:")[0]
    assert tables == printed.partition("\nnext:")[0]


def test_what_is_printed(run: Path) -> None:
    printed = log_of(run)
    assert "Evaluation on SIMULATED data" in printed
    headings = [line for line in printed.splitlines() if line.startswith("test_simulated")]
    assert headings[1:] == [
        "test_simulated, per person",
        "test_simulated, exercise jump",
        "test_simulated, exercise touch toes",
        "test_simulated, exercise walk",
    ]
    (accuracy, *_) = (line for line in printed.splitlines() if line.startswith(" accuracy"))
    assert len(re.findall(r"0\.\d{4} \[0\.\d{4}, [01]\.\d{4}\]", accuracy)) == 3, (
        "Wilson's interval"
    )


def test_tables_of_simulated_people_say_so_and_hold_the_baselines(run: Path) -> None:
    for table in TABLES:
        found = rows(run / "evaluation" / f"test_simulated{table}.csv")
        assert {row["data"] for row in found} == {"simulated"}
        assert {row["predictor"] for row in found} == PREDICTORS


def test_a_person_is_the_mean_of_their_clips(run: Path) -> None:
    clips = rows(run / "evaluation" / "test_simulated.csv")
    people = rows(run / "evaluation" / "test_simulated_per_person.csv")
    held_out = json.loads((run / "splits.json").read_text())["test"]
    assert {row["participant"] for row in people} == set(held_out)
    for person in people:
        own = [
            row
            for row in clips
            if all(row[key] == person[key] for key in ("participant", "predictor"))
        ]
        assert float(person["clips"]) == len(own)
        for key in ("index", "truth"):
            mean = np.mean([float(row[key]) for row in own])
            assert float(person[key]) == pytest.approx(mean)


def test_exercises_part_the_clips(run: Path) -> None:
    folder = run / "evaluation"
    parted = [
        row["case"] for table in TABLES[2:] for row in rows(folder / f"test_simulated{table}.csv")
    ]
    assert sorted(parted) == sorted(row["case"] for row in rows(folder / "test_simulated.csv"))


def test_scaling_and_baselines_come_from_training_people(run: Path) -> None:
    kept = state(run / "checkpoints" / "best.ckpt")["state_dict"]
    splits = json.loads((run / "splits.json").read_text())
    people = SimulatedPeople(people=6, seconds=(1.0, 1.2))
    truths = [clip.index for clip in people.clips() if clip.participant in splits["train"]]
    assert float(kept["train_mean"]) == pytest.approx(np.mean(truths), abs=1e-6)


def test_the_leaky_split_is_called_so_wherever_it_shows(
    tmp_path: Path, cache: str, log: Path
) -> None:
    run = tmp_path / "run"
    assert train(run, (*SHORT, cache, "datamodule.unit=clip")) == 0, log_of(run)
    leaky = "LEAKY: clips of one person are on several sides of the split"
    assert f"test_leaky_simulated (5-fold, fold 0, stratified, {leaky}" in log_of(run)
    assert leaky in json.loads((run / "splits.json").read_text())["kind"]
    files = [path.name for path in (run / "evaluation").iterdir()]
    assert files
    assert all(name.startswith("test_leaky_simulated") for name in files)
    assert leaky in json.loads((run / "evaluation/test_leaky_simulated.json").read_text())["split"]
    assert verb("evaluate", f"run={run}", "name=mine", log=log) == 0, said(log)
    assert f"mine_leaky_simulated (5-fold, fold 0, stratified, {leaky}" in said(log)
    assert (run / "evaluation/mine_leaky_simulated.csv").is_file()


# --- predict -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["table.parquet", "table.csv", "people.db"])
def test_predicts_stored_landmarks(
    kind: str, run: Path, strangers: list[Clip], tmp_path: Path, log: Path
) -> None:
    source, out = tmp_path / kind, tmp_path / "out"
    if source.suffix == ".db":
        with LandmarkDatabase(source) as database:
            database.add_many(strangers[:1], {"simulator": 1})
    else:
        write_table(strangers[:1], source)
    arguments = (f"run={run}", f"input={source}", f"output={out}")
    assert verb("predict", *arguments, log=log) == 0, said(log)
    name = f"{strangers[0].name}_index_simulated"
    assert said(log).split() == [str(out / f"{name}{end}") for end in ENDINGS]
    assert {path.name for path in out.iterdir()} == {f"{name}{end}" for end in ENDINGS}
    found = json.loads((out / f"{name}.json").read_text())
    assert found["input"] == kind
    assert found["input_simulated"] is found["trained_on_simulated"] is True
    assert "not a diagnosis" in found["note"]
    assert found["run"] == str(run)
    assert found["index"] == pytest.approx(index_of(run, strangers[0]), abs=1e-5)


def index_of(run: Path, clip: Clip) -> float:
    task = trained(run)
    track = task.cleaning.clean(clip.landmarks)
    case = SpineCase(clip.name, clip.participant, clip.exercise, clip.index, track)
    with torch.inference_mode():
        return task.reported_index(task.window_values(case.track))


def test_a_checkpoint_alone_predicts_as_its_run_does(
    run: Path, strangers: list[Clip], tmp_path: Path, log: Path
) -> None:
    alone = tmp_path / "far" / "away" / "spine.ckpt"
    alone.parent.mkdir(parents=True)
    shutil.copy(run / "checkpoints" / "best.ckpt", alone)
    write_table(strangers[:1], tmp_path / "one.parquet")
    source = f"input={tmp_path / 'one.parquet'}"
    assert verb("predict", f"run={run}", source, f"output={tmp_path / 'of_run'}", log=log) == 0
    assert verb("predict", f"run={alone}", source, log=log, folder=tmp_path) == 0, said(log)
    name = f"{strangers[0].name}_index_simulated.csv"
    ours, theirs = (tmp_path / place / name for place in ("predictions", "of_run"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_bad_clip_ends_with_exit_code_two(
    run: Path, strangers: list[Clip], tmp_path: Path, log: Path
) -> None:
    good, other = strangers
    hidden = other.landmarks.visibility * 0
    blind = type(other.landmarks)(
        other.landmarks.times_s, other.landmarks.points, hidden, None, other.landmarks.size
    )
    bad = Clip("nobody", "p", "walk", blind, 50.0, simulated=True)
    write_table([good, bad], tmp_path / "mixed.parquet")
    arguments = (f"run={run}", f"input={tmp_path / 'mixed.parquet'}", f"output={tmp_path / 'out'}")
    assert verb("predict", *arguments, log=log) == 2
    assert "1 of 2 recordings cannot be predicted; 1 are done" in said(log)
    assert "nobody: " in said(log)
    assert len(list((tmp_path / "out").iterdir())) == len(ENDINGS)


# --- export --------------------------------------------------------------------------------------


def windows_of(run: Path, clip: Clip) -> tuple[Any, torch.Tensor]:
    """The windows of a clip, and what the weights of the run say of them in torch."""
    task = trained(run)
    track = task.cleaning.clean(clip.landmarks)
    return task.windows.cut(track), task.window_values(track)


def test_an_exported_net_says_the_same_of_windows(
    run: Path, strangers: list[Clip], log: Path
) -> None:
    assert verb("export", f"run={run}", log=log) == 0, said(log)
    assert said(log).splitlines()[-1] == str(run / "model.onnx")
    batch, expected = windows_of(run, strangers[0])
    index = OnnxIndex(run / "model.onnx")
    arrays = {name: getattr(batch, name).numpy() for name in ("points", "visibility", "mask")}
    np.testing.assert_allclose(index(**arrays), expected.numpy(), atol=1e-5)
    about = index.session.get_modelmeta().custom_metadata_map
    assert "not a diagnosis" in about["note"]
    assert json.loads(about["provenance"])["trained_on_simulated"] is True


def test_an_exported_step_ends_each_window_with_the_same(
    run: Path, strangers: list[Clip], tmp_path: Path, log: Path
) -> None:
    file = tmp_path / "step.onnx"
    assert verb("export", f"run={run}", "stream=true", f"output={file}", log=log) == 0, said(log)
    batch, expected = windows_of(run, strangers[0])
    step = OnnxStep(file)
    state = step.initial_state(len(batch.points))
    for frame in range(batch.points.shape[1]):
        seen = {name: getattr(batch, name)[:, frame].numpy() for name in ("points", "visibility")}
        values, state = step.step(state, **seen)
    assert batch.mask.all()
    np.testing.assert_allclose(values, expected.numpy(), atol=1e-5)


def test_a_checkpoint_alone_is_exported_beside_where_you_are(
    run: Path, tmp_path: Path, log: Path
) -> None:
    shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path / "alone.ckpt")
    assert verb("export", f"run={tmp_path / 'alone.ckpt'}", log=log, folder=tmp_path) == 0
    assert said(log).splitlines()[-1] == "model.onnx"
    assert (tmp_path / "model.onnx").is_file()


@pytest.mark.slow
def test_a_net_that_looks_ahead_has_no_stream(tmp_path: Path, cache: str, log: Path) -> None:
    run = tmp_path / "run"
    gone = ("model.net.embedding=", "model.net.hidden=", "model.net.dense=")
    small = [key for key in SHORT if not key.startswith(gone)]
    keys = ("model=spine_bilstm_attention", "model.net.hidden=4", "model.net.layers=1")
    assert train(run, (*small, cache, *keys)) == 0, log_of(run)
    assert verb("export", f"run={run}", "stream=true", log=log) == 2
    assert "stream: this net looks ahead, it needs whole windows; stream=false" in said(log)
    assert not (run / "model.onnx").exists()
    assert verb("export", f"run={run}", log=log) == 0, said(log)


# --- variants ------------------------------------------------------------------------------------

VARIANTS = {
    "frames in space, sigmoid": (
        "datamodule.cleaning.coordinates=world",
        "model.net.output=sigmoid",
        "augment.axis_at=0",
        "model.features.aspect=1",
    ),
    "all channels, z-scores": (
        "model.features.visibility=true",
        "model.features.angles=true",
        "model.features.velocities=true",
        "model.scaling=zscore",
    ),
    "whole clips, one exercise": ("datamodule.windows.stretch=true", "datamodule.exercises=[walk]"),
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_train_evaluate_and_predict(
    variant: str, cache: str, strangers: list[Clip], tmp_path: Path, log: Path
) -> None:
    run = tmp_path / "run"
    assert train(run, (*SHORT, cache, *VARIANTS[variant])) == 0, log_of(run)
    assert verb("evaluate", f"run={run}", "name=again", log=log) == 0, said(log)
    before, after = (run / f"evaluation/{name}_simulated.csv" for name in ("test", "again"))
    assert before.read_bytes() == after.read_bytes()
    write_table(strangers[:1], tmp_path / "one.parquet")
    arguments = (f"run={run}", f"input={tmp_path / 'one.parquet'}", f"output={tmp_path / 'out'}")
    assert verb("predict", *arguments, log=log) == 0, said(log)
    assert len(list((tmp_path / "out").iterdir())) == len(ENDINGS)


# --- videos --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """A run whose windows all come from the steps of the paper, so that a stream has them too."""
    run = tmp_path_factory.mktemp("videos") / "run"
    assert train(run, (*SHORT, cache, "datamodule.windows.tail=false")) == 0, log_of(run)
    return run


@pytest.mark.slow
@pytest.mark.real_data
def test_a_real_video_is_predicted_and_shown_live_alike(
    paper: Path, real_data: Path, pose_models: Path, tmp_path: Path
) -> None:
    model = f"model.pose.model={pose_models / 'pose_landmarker_lite.task'}"
    video = real_data / "video_people" / "sports2d_walk_sagittal_demo.mp4"
    out, told, shown = tmp_path / "out", tmp_path / "told.txt", tmp_path / "out.mp4"
    common = (f"run={paper}", model)
    assert verb("predict", *common, f"input={video}", f"output={out}", log=told) == 0, said(told)
    name = f"{video.stem}_index_simulated"
    assert {path.name for path in out.iterdir()} == {f"{name}{end}" for end in ENDINGS}
    found = json.loads((out / f"{name}.json").read_text())
    assert found["input_simulated"] is False
    assert found["trained_on_simulated"] is True
    assert found["pose"]["variant"] == "lite"
    assert found["broken"] is None
    assert len(found["findings"]) > 0

    live = tmp_path / "live.txt"
    keys = (f"source={video}", "page=false", f"video={shown}")
    assert verb("live", *common, *keys, log=live) == 0, said(live)
    assert len(list(open_video(shown, "none"))) == len(list(open_video(video, "none")))
    (last,) = (line for line in said(live).splitlines() if "last index" in line)
    (mean,) = re.findall(r"mean (\d\.\d+)", last)
    assert float(mean) == pytest.approx(found["index"], abs=1e-3 + 0.005), "two digits"
    assert "not a diagnosis" in last
    assert "simulated" in last.lower()
