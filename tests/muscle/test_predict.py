"""Predictions: the files, their columns, and that on-line and off-line are one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.muscle.small import QUANTITIES, SIZE, case, recording, speckle, task
from tests.muscle.test_estimator import fitted, validated
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.live import LiveOptions
from vitruvian.muscle.estimator import MuscleEstimator
from vitruvian.muscle.live import predict_live
from vitruvian.muscle.online import OnlineEstimator
from vitruvian.muscle.predict import predict_path
from vitruvian.muscle.recordings.writing import write_recording
from vitruvian.muscle.roi.aponeuroses import Aponeuroses
from vitruvian.muscle.roi.finders import WholeImage
from vitruvian.muscle.roi.region import RegionOfInterest

WHOLE = RegionOfInterest(WholeImage(), mm_per_pixel=0.5, size=SIZE)


def trained(tmp_path: Path, **keys: Any) -> MuscleEstimator:
    trials = [case(tmp_path, name=f"T{n}", participant=f"T{n}", seed=n) for n in (1, 2)]
    made = fitted(task(**keys), trials)
    validated(made, trials)
    return made


def folder_of(tmp_path: Path, name: str = "P01_passive", frames: int = 30) -> Path:
    made = recording(tmp_path, name=name, frames=frames)
    return write_recording(tmp_path / "recordings" / name, made, speckle(frames))


def table(path: Path) -> dict[str, np.ndarray]:
    with path.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {key: np.array([float(row[key] or "nan") for row in rows]) for key in rows[0]}


@pytest.mark.parametrize("target", ["change", "centred", "absolute", "both"])
def test_a_recording_gives_a_table_a_json_and_a_figure(tmp_path: Path, target: Any) -> None:
    made = trained(tmp_path, target=target)
    out = tmp_path / "out"
    written = list(predict_path(made, folder_of(tmp_path), out, {"run": "r"}))
    stem = "P01_passive_simulated"
    assert [p.name for p in written] == [
        f"{stem}{e}" for e in (".csv", ".parquet", ".json", ".png")
    ]
    found = table(written[0])
    title = {"change": "angle_deg_change", "centred": "angle_deg_centred"}.get(target, "angle_deg")
    assert {"time_s", title, f"{title}_low", f"{title}_high"} <= set(found)
    assert ("angle_deg_integrated" in found) == (target in ("change", "both"))
    np.testing.assert_allclose(found["time_s"], 0.5 + np.arange(30) / 25, atol=1e-4)
    assert np.isnan(found[title][0])
    assert np.isfinite(found[title][1:]).all()
    assert (found[f"{title}_low"][1:] < found[f"{title}_high"][1:]).all()
    assert pq.read_table(written[1]).column_names == list(found)
    told = json.loads(written[2].read_text())
    assert (told["input_simulated"], told["run"], told["frames"]) == (True, "r", 30)
    assert cv2.imread(str(written[3])).shape[1] == 1200


@pytest.mark.parametrize("target", ["absolute", "both"])
def test_online_says_what_the_evaluation_says(tmp_path: Path, target: Any) -> None:
    made = trained(tmp_path, target=target)
    trial = recording(tmp_path, seed=3)
    found = case(tmp_path, seed=3)
    online = OnlineEstimator(made, trial.mm_per_pixel, trial.masks)
    assert trial.frames is not None
    said = np.array([online.push(image).value for image in trial.frames])
    images, bounds = found.images()
    outputs = made.outputs_of(images, bounds, found.run_length >= 2)
    expected = made.readout.predicted(outputs, found.trial().follows)["absolute"]
    np.testing.assert_allclose(said, expected, rtol=1e-4, atol=1e-5)


def test_online_does_not_look_ahead(tmp_path: Path) -> None:
    made = trained(tmp_path, target="both")
    trial = recording(tmp_path)
    other = speckle(30, seed=9)

    def said(images: Any) -> np.ndarray:
        online = OnlineEstimator(made, trial.mm_per_pixel, trial.masks)
        return np.array([online.push(image).value for image in images])

    first = speckle(30)
    mixed = np.concatenate([first[:15], other[15:]])
    np.testing.assert_array_equal(said(first)[:15], said(mixed)[:15])
    assert not np.allclose(said(first)[16:], said(mixed)[16:])


def test_a_folder_of_recordings_and_a_broken_one(tmp_path: Path) -> None:
    made = trained(tmp_path)
    folder_of(tmp_path, "A")
    broken = folder_of(tmp_path, "B")
    next(broken.glob("signals*")).unlink()
    folder_of(tmp_path, "C")
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"1 of 3 recordings cannot be predicted; 2 are done"):
        list(predict_path(made, tmp_path / "recordings", out, {}))
    assert {path.name[0] for path in out.iterdir()} == {"A", "C"}


def test_a_bare_folder_of_images_needs_a_scale_and_a_rate(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for n, image in enumerate(speckle(6)):
        cv2.imwrite(str(folder / f"{n}.png"), image)
    with pytest.raises(DataError, match=r"frames: its frames have no times: .*frame_rate_hz"):
        list(predict_path(trained(tmp_path, roi=WHOLE), folder, tmp_path / "out", {}))
    made = trained(tmp_path, roi=WHOLE, frame_rate_hz=20.0)
    found = table(next(predict_path(made, folder, tmp_path / "out", {})))
    np.testing.assert_allclose(found["time_s"], np.arange(6) / 20)


def test_nothing_to_predict(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"input=.*nowhere: no such file or folder"):
        list(predict_path(task(), tmp_path / "nowhere", tmp_path, {}))


# -- live -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_live_says_what_predict_writes(
    tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = trained(tmp_path, target="both")
    source = folder_of(tmp_path)
    kept = tmp_path / f"live{ending}"
    outcome = predict_live(made, LiveOptions(str(source), table=kept), {})
    assert outcome.code == 0
    assert outcome.line.startswith("30 frames of P01_passive, p50 ")
    assert "angle" in capsys.readouterr().out
    expected = table(next(predict_path(made, source, tmp_path / "out", {})))
    columns = table(kept) if ending == ".csv" else pq.read_table(kept).to_pydict()
    for name in (c for c in expected if c != "time_s"):
        np.testing.assert_allclose(np.array(columns[name]), expected[name], err_msg=name)
    assert set(columns) == set(expected)
    assert len(QUANTITIES) == 3


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"page": True}, "page: the muscle study has none"),
        ({"window": True}, "window: the muscle study has none"),
        ({"video": Path("out.mp4")}, "video: the muscle study has none"),
    ],
)
def test_live_refuses_what_it_does_not_show(tmp_path: Path, keys: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        predict_live(task(), LiveOptions(str(tmp_path), **keys), {})


# -- a muscle that is not there -------------------------------------------------------------------

BANDS = RegionOfInterest(Aponeuroses(), mm_per_pixel=0.5, size=SIZE)


def test_until_the_muscle_is_found_there_is_no_answer(tmp_path: Path) -> None:
    made = trained(tmp_path, roi=BANDS, target="both")
    online = OnlineEstimator(made, (0.5, 0.5))
    said = [online.push(np.zeros((40, 80), np.uint8)).value for _ in range(4)]
    assert np.isnan(said).all()
    assert online.lost == 4


def test_a_recording_without_muscle_is_refused(tmp_path: Path) -> None:
    made = trained(tmp_path, roi=BANDS)
    dark = recording(tmp_path, name="dark")
    folder = write_recording(tmp_path / "dark", dark, np.zeros((30, 40, 80), np.uint8))
    with pytest.raises(DataError, match=r"dark: the muscle was found in none of 30 frames"):
        list(predict_path(made, folder, tmp_path / "out", {}))


def test_live_keeps_its_table_when_the_source_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trained(tmp_path, target="both")
    source = folder_of(tmp_path)
    push, count = OnlineEstimator.push, iter(range(100))

    def breaks(self: OnlineEstimator, image: Any) -> Any:
        if next(count) == 12:
            raise DataError("frame 12 is damaged")
        return push(self, image)

    monkeypatch.setattr(OnlineEstimator, "push", breaks)
    kept = tmp_path / "live.csv"
    outcome = predict_live(made, LiveOptions(str(source), table=kept), {})
    assert outcome.code == 2
    assert "the source was lost: frame 12 is damaged" in outcome.line
    assert len(table(kept)["time_s"]) == 12
