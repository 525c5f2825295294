"""Figures: what is written in them, what is drawn where, and files that are whole and reproducible.

As SVG a figure keeps its words as text, so that they can be read back.
"""

from __future__ import annotations

import html
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vitruvian.core.errors import RunError
from vitruvian.spine.explain.figures import (
    Explained,
    attribution_map,
    explanation,
    frames_to_show,
    heat_map,
    index_over_time,
    speed_map,
)
from vitruvian.spine.explain.findings import REFERENCES, WORDING, Finding
from vitruvian.spine.explain.stick_figures import bodies_of
from vitruvian.spine.skeletons import BLAZEPOSE, KINECT, Skeleton
from vitruvian.spine.track.cleaning import Track

TIMES = np.arange(60) / 30
LEAN, SHOULDER, ROTATION, BEND = REFERENCES
STANDING = {
    "shoulder": (0.08, 0.3),
    "elbow": (0.1, 0.42),
    "wrist": (0.11, 0.52),
    "hip": (0.05, 0.55),
    "knee": (0.05, 0.73),
    "ankle": (0.05, 0.9),
    "ear": (0.02, 0.18),
}


def standing(skeleton: Skeleton = BLAZEPOSE) -> Track:
    """A person who faces the camera and waves the left hand."""
    points = np.full((len(TIMES), len(skeleton), 3), 0.0, np.float32)
    for place, joint in enumerate(skeleton.joints):
        side, *rest = joint.split()
        x, y = STANDING.get(rest[-1] if rest else "", (0.0, 0.2))
        points[:, place] = 0.5 + (x if side == "left" else -x), y, 0.0
    if "left wrist" in skeleton.joints:
        points[:, skeleton.index("left wrist"), 1] -= 0.1 * np.sin(2 * np.pi * TIMES)
    visibility = np.ones(points.shape[:2], np.float32)
    return Track(points, visibility, TIMES, masked=0.125)


def found(name: str, value: float, *frames: int) -> Finding:
    times = [float(TIMES[frame]) for frame in frames]
    return Finding(name, value, list(frames), times, f"words about {name}", 5.0)


FINDINGS = [
    found(LEAN, 0.25, 3, 20),
    found(SHOULDER, 0.0, 7),
    found(ROTATION, math.nan),
    found(BEND, 0.75, 30, 45, 59),
]
ATTRIBUTION = np.random.default_rng(0).normal(size=(60, 33)) * 0.01
VALUES = 0.4 + 0.3 * np.sin(3 * TIMES)


def explained(**changes) -> Explained:
    clip = Explained("anna-walk", 0.62, TIMES, VALUES, standing(), BLAZEPOSE, FINDINGS, ATTRIBUTION)
    return replace(clip, **{"exercise": "walk", "aspect": 0.5625, **changes})


DRAW = {
    "index": lambda path, **o: index_over_time(TIMES, VALUES, 0.5, path, "a title", **o),
    "heat-map": lambda path, **o: heat_map(standing(), BLAZEPOSE, path, "a title", **o),
    "attribution": lambda path, **o: attribution_map(
        ATTRIBUTION, TIMES, BLAZEPOSE, path, "a title", **o
    ),
    "page": lambda path, **o: explanation(path, explained(name="a title", **o)),
}


def words(path: Path) -> list[str]:
    """The texts of an SVG."""
    texts = re.findall(r"<text[^>]*>(.*?)</text>", path.read_text(encoding="utf-8"), re.DOTALL)
    plain = (html.unescape(re.sub(r"<[^>]+>", "", text)) for text in texts)
    return [" ".join(text.split()) for text in plain]


# -- what is written -----------------------------------------------------------------------------


@pytest.mark.parametrize("simulated", [True, False])
@pytest.mark.parametrize("name", DRAW)
def test_every_figure_says_what_it_is(name, simulated, tmp_path):
    DRAW[name](tmp_path / "a.svg", simulated=simulated)
    texts = words(tmp_path / "a.svg")
    assert "a title" in texts
    assert WORDING in texts
    assert "time (s)" in texts
    assert ("SIMULATED" in texts) == simulated


def test_a_page_has_it_all(tmp_path):
    explanation(tmp_path / "a.svg", explained(notes=["the recording breaks off"]))
    texts = words(tmp_path / "a.svg")
    assert {"spinal health index 0.62", "red flag, above 0.5"} <= set(texts)
    assert "walk, 2.0 s, 12% of the landmarks not seen" in texts
    assert {"0.25", "0.00", "0.75"} <= set(texts)
    assert {reference.label for reference in REFERENCES.values()} <= set(texts)
    assert {f"words about {name}" for name in REFERENCES} <= set(texts)
    assert {"1.0 s", "1.5 s", "2.0 s", "0.1 s", "0.7 s"} <= set(texts)  # of the frames
    assert "where it shows most" in texts
    assert {"raises", "lowers", "index by"} <= set(texts)
    assert len([text for text in texts if re.fullmatch(r"[a-z ]+ +\d+%", text)]) == 8
    assert "the recording breaks off" in texts


FLAGS = [(0.5, "no red flag"), (0.51, "red flag, above 0.5"), (0.1, "no red flag")]


@pytest.mark.parametrize(("index", "verdict"), FLAGS)
def test_the_red_flag_is_above_the_threshold(index, verdict, tmp_path):
    explanation(tmp_path / "a.svg", explained(index=index))
    assert verdict in words(tmp_path / "a.svg")


def test_without_findings_the_movement_is_shown(tmp_path):
    quiet = [found(name, 0.0, 3) for name in REFERENCES]
    explanation(tmp_path / "a.svg", explained(findings=quiet, attribution=None))
    texts = words(tmp_path / "a.svg")
    assert "the movement" in texts
    assert {"0.0 s", "0.4 s", "0.8 s", "1.2 s", "1.6 s", "2.0 s"} <= set(texts)
    assert "nothing: no attribution" in texts


def test_joints_without_a_common_space_get_their_speeds(tmp_path):
    track = standing(KINECT)
    clip = explained(track=track, skeleton=KINECT, findings=[], attribution=ATTRIBUTION[:, :22])
    explanation(tmp_path / "a.svg", clip)
    texts = words(tmp_path / "a.svg")
    assert "no findings: the joints of kinect22 are no points in one space" in texts
    assert {*KINECT.joints, "how fast each joint moves", "speed (units/s)"} <= set(texts)
    assert not any("person" in text for text in texts if "still" not in text)


def test_a_long_name_keeps_its_end(tmp_path):
    name = "/".join(["a long name of a folder"] * 5 + ["clip-17"])
    explanation(tmp_path / "a.svg", explained(name=name))
    (title,) = (text for text in words(tmp_path / "a.svg") if "clip-17" in text)
    assert title.startswith("…")
    assert len(title) < 60


@pytest.mark.parametrize("name", ["heat-map", "attribution"])
def test_maps_name_every_joint(name, tmp_path):
    DRAW[name](tmp_path / "a.svg")
    assert set(BLAZEPOSE.joints) <= set(words(tmp_path / "a.svg"))


# -- what is drawn -------------------------------------------------------------------------------


def test_speeds_are_in_trunk_lengths():
    track = standing()
    wrist, trunk = BLAZEPOSE.index("left wrist"), 0.25
    moving = track.points.copy()
    moving[:, wrist, 0] = 0.1 * TIMES  # a tenth of the width a second
    moving[:, wrist, 1] = 0.5
    speed, unit = speed_map(replace(track, points=moving), BLAZEPOSE, aspect=16 / 9)
    assert unit == "trunk lengths/s"
    inside = slice(3, -3)  # smoothed at the ends
    assert speed[inside, wrist] == pytest.approx(0.1 * 16 / 9 / trunk, rel=1e-3)
    others = np.delete(speed, wrist, axis=1)
    assert others.max() == pytest.approx(0, abs=1e-5)


def test_speeds_of_a_single_frame_are_none():
    track = standing()
    single = Track(track.points[:1], track.visibility[:1], TIMES[:1])
    speed, _ = speed_map(single, BLAZEPOSE)
    assert speed.shape == (1, 33)
    assert not speed.any()


def test_relative_joints_move_in_all_their_dimensions():
    points = np.zeros((60, 22, 3), np.float32)
    points[:, 4, 2] = 3 * TIMES
    track = Track(points, np.ones((60, 22), np.float32), TIMES)
    speed, unit = speed_map(track, KINECT, aspect=2.0)
    assert unit == "units/s"
    assert speed[3:-3, 4] == pytest.approx(3, rel=1e-3)


def test_bodies_stand_upright_in_true_proportions():
    (body,) = bodies_of(standing(), [0], aspect=0.5625)
    left, right, ear, ankle = (
        body[BLAZEPOSE.index(name)]
        for name in ("left shoulder", "right shoulder", "left ear", "left ankle")
    )
    assert ear[1] > left[1] > ankle[1]
    assert left[0] - right[0] == pytest.approx(0.16 * 0.5625, rel=1e-5)
    assert left[1] - ankle[1] == pytest.approx(0.6, rel=1e-5)
    assert body.min(axis=0) + body.max(axis=0) == pytest.approx([0, 0], abs=1e-6)


FRAMES = [
    # findings, frames with what they show
    (FINDINGS, [(30, BEND), (45, BEND), (59, BEND), (3, LEAN), (20, LEAN)]),
    ([found(LEAN, 0.2, *range(9))], [(i, LEAN) for i in range(6)]),
    ([found(LEAN, 0.0, 7), found(BEND, math.nan)], [(i, None) for i in (0, 12, 24, 35, 47, 59)]),
    ([], [(i, None) for i in (0, 12, 24, 35, 47, 59)]),
]


@pytest.mark.parametrize(("findings", "expected"), FRAMES)
def test_frames_of_the_page(findings, expected):
    shown = frames_to_show(findings, 60)
    assert [(frame, finding and finding.name) for frame, finding in shown] == expected


def test_few_frames_are_few_pictures():
    assert frames_to_show([], 2) == [(0, None), (1, None)]
    assert frames_to_show([], 1) == [(0, None)]


def test_colours_of_the_index(tmp_path):
    """Blue is the line; the red flag's zone is above the threshold only."""
    index_over_time(TIMES, np.full(60, 0.25), 0.5, tmp_path / "a.png")
    picture = cv2.imread(str(tmp_path / "a.png"))[..., ::-1].astype(int)
    line = np.abs(picture - (0x00, 0x72, 0xB2)).max(axis=2) < 8
    red = np.abs(picture - (0xD5, 0x5E, 0x00)).max(axis=2) < 8
    pale = (picture[..., 0] > 250) & (picture[..., 2] < 245) & (picture[..., 2] > 200)
    rows = [np.flatnonzero(mask.any(axis=1)) for mask in (pale, red, line)]
    assert rows[0].max() <= rows[1].max() < rows[2].min()


UNUSUAL = {
    "one value": {"times_s": TIMES[:1], "values": VALUES[:1]},
    "one frame": {
        "track": Track(standing().points[:1], np.ones((1, 33), np.float32), TIMES[:1]),
        "findings": [],
        "attribution": ATTRIBUTION[:1],
    },
    "no attribution at all": {"attribution": np.zeros((60, 33))},
    "with a band": {"band": (VALUES - 0.1, VALUES + 0.1)},
    "long": {"times_s": np.arange(20_000) / 30, "values": np.linspace(0, 1, 20_000)},
    "no exercise": {"exercise": ""},
    "a name of mathematics": {"name": "$x_{a$ \\frac", "exercise": "$$"},
}


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.filterwarnings("error")
def test_unusual_clips_are_drawn(name, tmp_path):
    explanation(tmp_path / "a.png", explained(**UNUSUAL[name]))
    assert cv2.imread(str(tmp_path / "a.png")).shape == (1753, 1240, 3)


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.parametrize("name", ["index", "page"])
def test_equal_inputs_make_equal_files(name, ending, tmp_path, monkeypatch):
    import matplotlib

    DRAW[name](tmp_path / f"a.{ending}", simulated=True)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)  # as a user's matplotlibrc may have
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    DRAW[name](tmp_path / f"b.{ending}", simulated=True)
    first, second = ((tmp_path / f"{file}.{ending}").read_bytes() for file in "ab")
    assert first == second
    assert matplotlib.rcParams["font.size"] == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{ending}", f"b.{ending}"]


@pytest.mark.parametrize("name", DRAW)
def test_other_endings_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"a\.jpg: a figure ends in \.png, \.svg, \.pdf"):
        DRAW[name](tmp_path / "a.jpg")


def test_a_figure_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="shape"):
        index_over_time(TIMES, VALUES[:3], 0.5, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*file/a\.png"):
        DRAW["index"](tmp_path / "file" / "a.png")


def test_matplotlib_waits_until_something_is_drawn():
    code = "import sys, vitruvian.spine.explain.figures; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
