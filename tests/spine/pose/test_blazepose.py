"""The pose net on real people: known landmarks, the same twice, and nothing sent anywhere."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.video.resizing import RESIZES
from vitruvian.spine.pose.blazepose import BlazePose, FramePose, Resize, _quiet, mediapipe_version
from vitruvian.spine.pose.pose_models import DETECTOR, LANDMARK_NET
from vitruvian.spine.skeletons import BLAZEPOSE

Image = npt.NDArray[np.uint8]

BALANCING = "video_people/pose2sim_singleperson_cam01.mp4"
WALKING = "video_people/sports2d_walk_sagittal_demo.mp4"


@pytest.fixture
def balancing(real_data: Path) -> tuple[Image, ...]:
    """Fifteen frames of one standing person, 405x720."""
    return first_frames(real_data / BALANCING, 15)


@cache
def first_frames(path: Path, count: int) -> tuple[Image, ...]:
    video = cv2.VideoCapture(str(path))
    images = [np.asarray(cv2.resize(video.read()[1], (405, 720))) for _ in range(count)]
    video.release()
    return tuple(images)


def detected(pose: BlazePose, images: tuple[Image, ...], step_ms: float = 16.7) -> npt.NDArray[Any]:
    """Points, visibility and world coordinates (T, 33, 7); NaN without a person."""
    with pose.landmarker() as landmarker:
        return np.stack(
            [flat(landmarker.detect(image, i * step_ms)) for i, image in enumerate(images)]
        )


def flat(pose: FramePose | None) -> npt.NDArray[Any]:
    if pose is None:
        return np.full((33, 7), np.nan)
    return np.hstack([pose.points, pose.visibility[:, None], pose.world])


# -- landmarks ------------------------------------------------------------------------------------

JOINTS = ("nose", "left shoulder", "right elbow", "left wrist", "right hip", "right ankle")

# Pixels of those joints, by mediapipe 0.10.31 with mode=image; the frames come from `decoded`.
GOLDEN = {
    (BALANCING, 0, "lite"): (
        (493.09, 439.84),
        (521.72, 514.92),
        (295.03, 601.65),
        (550.68, 737.12),
        (373.49, 731.18),
        (323.03, 1010.62),
    ),
    (BALANCING, 40, "full"): (
        (719.88, 598.54),
        (661.20, 664.44),
        (445.77, 485.81),
        (640.10, 909.25),
        (399.40, 772.16),
        (134.25, 1058.68),
    ),
    (WALKING, 100, "lite"): (
        (1003.85, 567.61),
        (1037.17, 609.38),
        (1085.82, 663.98),
        (945.04, 694.68),
        (1026.05, 726.38),
        (961.18, 901.81),
    ),
}


def decoded(path: Path, number: int) -> Image:
    """A frame as BGR, by arithmetic alone.

    The planes of a decoded video are the same everywhere; their conversion to colours and their
    change of size are not, and one grey level more or less moves a landmark by more than a pixel.
    """
    with av.open(str(path)) as container:
        frame = next(f for i, f in enumerate(container.decode(video=0)) if i == number)
    planes = [np.frombuffer(plane, np.uint8).reshape(plane.height, -1) for plane in frame.planes]
    y = (planes[0][:, : frame.width] - np.float32(16)) * np.float32(255 / 219)
    u, v = (
        (plane.repeat(2, 0).repeat(2, 1)[: frame.height, : frame.width] - np.float32(128))
        for plane in planes[1:]
    )
    blue, green, red = y + 2.018 * u, y - 0.391 * u - 0.813 * v, y + 1.596 * v
    return np.clip(np.rint(np.stack([blue, green, red], -1)), 0, 255).astype(np.uint8)


@pytest.mark.real_data
@pytest.mark.parametrize("known", GOLDEN, ids=lambda known: f"{known[0][13:21]}-{known[1]}")
def test_single_images_give_the_known_landmarks(
    real_data: Path, pose_models: Path, known: tuple[str, int, Any]
) -> None:
    clip, number, variant = known
    image = decoded(real_data / clip, number)
    with BlazePose(variant, mode="image").landmarker() as landmarker:
        pose = landmarker.detect(image, 0)
    assert pose is not None
    joints = [BLAZEPOSE.index(name) for name in JOINTS]
    pixels = pose.points[joints, :2] * (image.shape[1], image.shape[0])
    np.testing.assert_allclose(pixels, GOLDEN[known], atol=0.5)


@pytest.mark.real_data
@pytest.mark.parametrize("variant", ["lite", "full"])
def test_a_video_gives_the_same_landmarks_twice_and_trimmed(
    balancing: tuple[Image, ...], pose_models: Path, variant: Any
) -> None:
    first, again = (detected(BlazePose(variant), balancing) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    whole = detected(BlazePose(variant, trim=False), balancing)
    np.testing.assert_array_equal(first, whole)


@pytest.mark.real_data
def test_a_standing_person_stands(balancing: tuple[Image, ...], pose_models: Path) -> None:
    found = detected(BlazePose(), balancing)
    x, y, visibility = found[..., 0], found[..., 1], found[..., 3]
    nose, hip, ankle = (BLAZEPOSE.index(name) for name in ("nose", "left hip", "left ankle"))
    assert (y[:, nose] < y[:, hip]).all()
    assert (y[:, hip] < y[:, ankle]).all()
    assert ((x > 0) & (x < 1)).mean() > 0.9
    assert visibility.min() >= 0
    assert visibility.max() <= 1
    assert np.median(visibility) > 0.8
    world = found[..., 4:]
    hips = world[:, [BLAZEPOSE.index("left hip"), BLAZEPOSE.index("right hip")]].mean(1)
    assert np.abs(hips).max() < 0.05, "the middle of the hips is the origin"
    height = world[:, ankle, 1] - world[:, nose, 1]
    assert ((height > 1) & (height < 2)).all(), "metres"


@pytest.mark.real_data
def test_times_are_whole_milliseconds_that_rise(
    balancing: tuple[Image, ...], pose_models: Path
) -> None:
    """MediaPipe itself refuses fractions and times that do not rise."""

    def at(*times: float) -> npt.NDArray[Any]:
        with BlazePose().landmarker() as landmarker:
            pairs = zip(balancing, times, strict=False)
            return np.stack([flat(landmarker.detect(image, time)) for image, time in pairs])

    np.testing.assert_array_equal(at(0, 16.7, 33.4, 50.1), at(0, 17, 33, 50))
    np.testing.assert_array_equal(at(5, 5, 5.2, -9), at(5, 6, 7, 8))
    assert not np.array_equal(at(0, 10, 20, 30), at(0, 100, 200, 300)), "smoothed over time"


@pytest.mark.real_data
def test_images_may_be_parts_of_larger_ones(
    balancing: tuple[Image, ...], pose_models: Path
) -> None:
    with BlazePose(mode="image").landmarker() as landmarker:
        plain = landmarker.detect(balancing[0], 0)
        padded = np.pad(balancing[0], ((3, 4), (5, 6), (0, 0)))
        part = landmarker.detect(padded[3:-4, 5:-6], 0)
    np.testing.assert_array_equal(flat(plain), flat(part))


def test_nobody_is_none(pose_models: Path) -> None:
    with BlazePose().landmarker() as landmarker:
        assert landmarker.detect(np.zeros((720, 1280, 3), np.uint8), 0) is None


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"variant": "light"}, "variant must be one of lite, full, heavy, not 'light'"),
        ({"mode": "live"}, "mode must be one of video, image"),
        ({"resize": "640x480"}, "resize must be one of 1280x720, 1920x1080, .* not '640x480'"),
        ({"min_detection_confidence": 1.5}, "min_detection_confidence must be from 0 to 1"),
        ({"min_presence_confidence": -0.1}, "min_presence_confidence must be from 0 to 1"),
        ({"min_tracking_confidence": float("nan")}, "min_tracking_confidence must be"),
        ({"buffer_frames": 0}, "at least 1, not 0 and 2"),
        ({"buckets": 0}, "at least 1, not 16 and 0"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BlazePose(**wrong)


def test_every_size_of_a_frame_can_be_chosen() -> None:
    assert get_args(Resize) == tuple(RESIZES)


def test_the_identity_says_what_the_landmarks_depend_on(pose_models: Path) -> None:
    identity = BlazePose("full", mode="image", resize="none").identity()
    assert identity["model_sha256"].startswith("5134a3aad27a58b9")
    assert identity["mediapipe"] == metadata.version("mediapipe")
    assert (identity["variant"], identity["mode"], identity["resize"]) == ("full", "image", "none")
    assert "Linux" in identity["platform"] or sys.platform != "linux"
    assert identity != BlazePose("full", mode="image", resize="none", trim=False).identity()


def test_it_can_be_sent_to_another_process(pose_models: Path) -> None:
    pose = BlazePose("full", model=pose_models / "pose_landmarker_full.task", buckets=3)
    copy = pickle.loads(pickle.dumps(pose))
    assert (copy.identity(), copy.buckets) == (pose.identity(), 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8, 3), np.float32), r"uint8 \(h, w, 3\), not float32"),
        (np.zeros((8, 8), np.uint8), r"not uint8 \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"not uint8 \(8, 8, 4\)"),
    ],
)
def test_what_is_no_image_is_refused(pose_models: Path, image: Any, message: str) -> None:
    with BlazePose().landmarker() as landmarker, pytest.raises(ValueError, match=message):
        landmarker.detect(image, 0)


def test_a_closed_landmarker_says_so(pose_models: Path) -> None:
    """MediaPipe itself would go on and find nobody."""
    landmarker = BlazePose().landmarker()
    landmarker.close()
    landmarker.close()
    with pytest.raises(ValueError, match="closed"):
        landmarker.detect(np.zeros((8, 8, 3), np.uint8), 0)


def test_a_model_that_mediapipe_cannot_use_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.task", "w") as bundle:
        for name in (DETECTOR, LANDMARK_NET):
            bundle.writestr(name, b"nothing" * 100)
    with pytest.raises(DataError, match=r"mine.task: mediapipe .* cannot use this model"):
        BlazePose(model=tmp_path / "mine.task").landmarker()


# -- MediaPipe as it is installed -----------------------------------------------------------------


def installed(folder: Path, version: str) -> Path:
    """Make a folder that says to have a MediaPipe of this version, which cannot be imported."""
    about = folder / f"mediapipe-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mediapipe\nVersion: {version}\n")
    (folder / "mediapipe").mkdir()
    (folder / "mediapipe" / "__init__.py").write_text("raise ImportError('libGL.so.1 is missing')")
    return folder


@pytest.mark.parametrize("version", ["0.10.35", "0.11.0", "1.2.2", "0.10.35rc1"])
def test_versions_that_send_metrics_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path, version))
    with pytest.raises(ConfigError, match=f"mediapipe {version} sends usage metrics") as error:
        BlazePose().landmarker()
    assert "pip install 'vitruvian[pose]'" in str(error.value)
    assert "pose.allow_metrics=true" in str(error.value)
    assert mediapipe_version(allow_metrics=True) == version


@pytest.mark.parametrize("version", ["0.10.21", "0.10.31", "0.10.33"])
def test_versions_that_send_nothing_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path, version))
    assert mediapipe_version() == version


def test_without_mediapipe_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ConfigError, match=r"needs mediapipe.* pip install 'vitruvian\[pose\]'"):
        BlazePose().landmarker()


def test_a_mediapipe_that_cannot_be_imported_is_named(tmp_path: Path, pose_models: Path) -> None:
    done = python(
        "from vitruvian.spine.pose.blazepose import BlazePose\nBlazePose().landmarker()",
        path=installed(tmp_path, "0.10.31"),
    )
    assert "ConfigError: pose: mediapipe 0.10.31 cannot be loaded: libGL.so.1" in done.stderr


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    done = python(
        "import sys\n"
        "from vitruvian.spine.pose.blazepose import BlazePose, mediapipe_version\n"
        "BlazePose(), mediapipe_version()\n"
        "print({'mediapipe', 'cv2', 'torch', 'av'} & set(sys.modules))"
    )
    assert done.stdout == "set()\n", done.stderr


def test_other_lines_than_mediapipe_s_reach_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with _quiet():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nthe disk is full\n")
    assert capfd.readouterr().err == "the disk is full\n"


def python(code: str, *arguments: str, path: Path | None = None) -> Any:
    """Run code in another process."""
    environment = {**os.environ, "PYTHONPATH": "" if path is None else str(path)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


# -- nothing is sent ------------------------------------------------------------------------------

WATCHED = """
import os, sys
import cv2
import numpy as np
from vitruvian.spine.pose.blazepose import BlazePose

def sockets():
    links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    return sum(os.readlink(link).startswith("socket:") for link in links if os.path.islink(link))

events = []
sys.addaudithook(lambda event, _: events.append(event) if event.startswith("socket.") else None)
before, poses = sockets(), 0
video = cv2.VideoCapture(sys.argv[1])
with BlazePose().landmarker() as landmarker:
    for i in range(10):
        pose = landmarker.detect(cv2.resize(video.read()[1], (405, 720)), 17 * i)
        poses += pose is not None
        assert sockets() == before, "a socket is open"
print(poses, events)
"""


@pytest.mark.real_data
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_socket_is_opened_and_nothing_is_written(real_data: Path, pose_models: Path) -> None:
    done = python(WATCHED, str(real_data / BALANCING))
    assert (done.stdout, done.stderr) == ("10 []\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the library for Linux")
def test_the_library_cannot_open_a_socket() -> None:
    """What a shared library calls from others stands by name in its table of strings."""
    package = metadata.distribution("mediapipe").locate_file("mediapipe/tasks/c/libmediapipe.so")
    library = Path(str(package)).read_bytes()
    assert b"\0malloc\0" in library, "names are found this way"
    for name in (
        b"socket",
        b"connect",
        b"getaddrinfo",
        b"gethostbyname",
        b"sendto",
        b"curl_easy_init",
    ):
        assert b"\0" + name + b"\0" not in library, name
