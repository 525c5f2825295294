"""The index of new recordings: four files each, with reasons and without pictures of people."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.spine.small import clip, task
from vitruvian.core.errors import DataError
from vitruvian.core.task import SIMULATED_KEY
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.head.features import Features
from vitruvian.spine.inputs import find_inputs
from vitruvian.spine.landmarks import Clip, Landmarks
from vitruvian.spine.pose.extraction import Extraction
from vitruvian.spine.predict import predict_path, read_clip
from vitruvian.spine.simulator.simulator import Person
from vitruvian.spine.skeletons import BLAZEPOSE, KINECT
from vitruvian.spine.tables.tables import write_table

REAL: dict[str, Any] = {"run": "here", SIMULATED_KEY: False}


def outline(folder: Path, name: str = "p1_walk_index") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return content


def test_a_table_gives_four_files_for_each_clip(tmp_path: Path) -> None:
    write_table([clip(), clip("p2_jump", seed=1, exercise="jump")], tmp_path / "clips.parquet")
    model = task()
    files = list(predict_path(model, tmp_path / "clips.parquet", tmp_path / "out", REAL))
    endings = [".csv", ".json", ".png", "_heatmap.png"]
    assert [f.name for f in files[:4]] == [f"p1_walk_index{end}" for end in endings]
    assert len(files) == 8
    found = outline(tmp_path / "out")
    assert found["index"] == pytest.approx(read_clip(model, clip()).index)
    assert found["red_flag"] == (found["index"] > 0.5)
    assert "not a diagnosis" in found["note"]
    assert found["findings"][0]["name"] == "asymmetric_lean"
    assert len(found["joints"]) == 5
    assert found["run"] == "here"
    assert len(found["windows"]) == 5
    rows = list(csv.DictReader((tmp_path / "out/p1_walk_index.csv").open()))
    assert len(rows) == found["frames"] == 60
    assert float(rows[-1]["index"]) == pytest.approx(found["index"], abs=1e-5)
    page = cv2.imread(str(files[2]))
    assert page.shape[0] > 1000
    assert len(np.unique(page)) > 50


def test_a_model_of_simulated_people_says_so_in_every_name(tmp_path: Path) -> None:
    write_table([clip()], tmp_path / "clips.csv")
    told = {SIMULATED_KEY: True}
    files = list(predict_path(task(), tmp_path / "clips.csv", tmp_path / "out", told))
    assert all("_index_simulated" in file.name for file in files)
    assert outline(tmp_path / "out", "p1_walk_index_simulated")[SIMULATED_KEY] is True


def test_the_window_of_a_short_clip_is_the_whole_of_it(tmp_path: Path) -> None:
    reading = read_clip(task(), clip(frames=9))
    assert reading.windows[0][:2] == (0.0, pytest.approx(8 / 30))
    assert reading.attribution.shape == (9, 33)


def test_attribution_adds_up_to_the_index_against_holding_still() -> None:
    model = task()
    recording = clip()
    reading = read_clip(model, recording)
    still = np.broadcast_to(reading.case.track.points.mean(axis=0), (60, 33, 3))
    held = Landmarks(
        recording.landmarks.times_s, still.astype(np.float32), recording.landmarks.visibility
    )
    values = [np.mean([w[2] for w in reading.windows])]
    values += [np.mean([w[2] for w in read_clip(model, Clip("still", "", "", held)).windows])]
    assert reading.attribution.sum() == pytest.approx(values[0] - values[1], abs=5e-3)


def test_findings_are_measured_in_space_where_the_clip_has_it() -> None:
    person = Person.drawn(0, 0, 0.8).clip("walk", 90)
    flat = replace(person, landmarks=replace(person.landmarks, world=None))
    spatial, image = (read_clip(task(), recording).findings for recording in (person, flat))
    assert any(finding.assessed for finding in spatial)
    assert [f.measured for f in spatial] != [f.measured for f in image]


def test_json_holds_no_nan(tmp_path: Path) -> None:
    write_table([clip(frames=9)], tmp_path / "clips.csv")
    list(predict_path(task(), tmp_path / "clips.csv", tmp_path / "out", REAL))
    text = (tmp_path / "out/p1_walk_index.json").read_text()
    assert "NaN" not in text
    assert any(finding["value"] is None for finding in outline(tmp_path / "out")["findings"])


def test_sound_clips_are_predicted_beside_bad_ones(tmp_path: Path) -> None:
    LandmarkDatabase(tmp_path / "clips.db").add_many([clip(), clip("dark", hidden=0.9)], {})
    with pytest.raises(DataError, match=r"(?s)1 of 2 recordings .*; 1 are done:\n  dark: \d\d%"):
        list(predict_path(task(), tmp_path / "clips.db", tmp_path / "out", REAL))
    assert math.isfinite(outline(tmp_path / "out")["index"])


@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        ([], "absent.mp4", r"^input=.*absent\.mp4: no such file or folder"),
        (["notes.txt"], ".", r"no videos found"),
    ],
)
def test_nothing_to_predict_is_an_error(
    tmp_path: Path, files: list[str], source: str, message: str
) -> None:
    for file in files:
        (tmp_path / file).write_text("x")
    with pytest.raises(DataError, match=message):
        list(predict_path(task(), tmp_path / source, tmp_path / "out", REAL))


def test_other_joints_are_refused(tmp_path: Path) -> None:
    write_table([clip()], tmp_path / "clips.csv")
    pose = task().pose
    with pytest.raises(DataError, match=r"p1_walk has blazepose33, the model reads kinect22"):
        find_inputs(tmp_path / "clips.csv", pose, KINECT)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match=r"reads kinect22, a video gives blazepose33; give it a"):
        find_inputs(tmp_path / "clip.mp4", pose, KINECT)


def test_videos_are_extracted_and_named_by_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/walk.mp4", "b/walk.mp4", "b/walk.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = Extraction(clip().landmarks, "it broke after frame 60", {"variant": "lite"})
    monkeypatch.setattr("vitruvian.spine.inputs.extract", lambda path, pose: found)
    inputs = find_inputs(tmp_path, task().pose, BLAZEPOSE)
    assert [item.name for item in inputs] == ["a/walk", "b/walk.avi", "b/walk.mp4"]
    list(predict_path(task(), tmp_path, tmp_path / "out", REAL))
    told = outline(tmp_path / "out/a", "walk_index")
    assert told["broken"] == "it broke after frame 60"
    assert told["pose"] == {"variant": "lite"}


def test_nets_of_other_features_explain_themselves_too() -> None:
    features = Features(origin="hips", scale="torso", angles=True, velocities=True, aspect=0.5625)
    reading = read_clip(task(features=features), clip(hidden=0.05))
    assert np.isfinite(reading.attribution).all()
    assert np.abs(reading.attribution).sum() > 0
