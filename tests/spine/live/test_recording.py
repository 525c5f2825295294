"""The video file: the times of its frames, whole whatever ends it, and never half of one."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.spine.live.fakes import Camera, FakeIndex
from vitruvian.core.errors import RunError
from vitruvian.core.live import LiveOptions
from vitruvian.spine.live.readings import History, Reading
from vitruvian.spine.live.recording import Recording
from vitruvian.spine.live.session import run
from vitruvian.spine.live.views import Style, View


def view(number: int, time_s: float, camera: Camera | None = None) -> View:
    camera = camera or Camera()
    reading = Reading(number, time_s, 30.0, 0.4, 0.4, 1, True)
    return View(camera.frame(number), camera.pose(number), reading, History(), Style())


def played(path: Path) -> tuple[list[float], tuple[int, int]]:
    """Times of the frames, and their size, as a player sees them."""
    import av

    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    return [float(frame.time) for frame in frames], (frames[0].width, frames[0].height)


def test_frames_keep_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.033, 0.1, 0.5, 0.533, 2.0]
    with Recording(tmp_path / "out.mp4") as recording:
        for number, time_s in enumerate(times):
            recording.show(view(number, time_s))
    found, size = played(tmp_path / "out.mp4")
    assert found == pytest.approx(times, abs=0.001)
    assert size[0] == 640
    assert size[1] > 360


def test_times_that_stand_still_still_rise(tmp_path: Path) -> None:
    with Recording(tmp_path / "out.mp4") as recording:
        for number in range(5):
            recording.show(view(number, 1.0))
    found, _ = played(tmp_path / "out.mp4")
    assert len(found) == 5
    assert (np.diff(found) > 0).all()


def test_no_frame_no_file(tmp_path: Path) -> None:
    with Recording(tmp_path / "out.mp4"):
        assert len(list(tmp_path.iterdir())) == 1, "the folder is tried before the camera starts"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError("ours"), KeyboardInterrupt(), RunError("disk")])
def test_what_was_recorded_is_kept_whatever_ends_it(tmp_path: Path, error: BaseException) -> None:
    def record() -> None:
        with Recording(tmp_path / "out.mp4") as recording:
            for number in range(20):
                recording.show(view(number, number / 30))
            raise error

    with pytest.raises(type(error)):
        record()
    assert len(played(tmp_path / "out.mp4")[0]) == 20
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_nothing_stands_under_the_name_while_it_is_written(tmp_path: Path) -> None:
    with Recording(tmp_path / "out.mp4") as recording:
        recording.show(view(0, 0.0))
        assert not (tmp_path / "out.mp4").exists()


def test_folders_are_made(tmp_path: Path) -> None:
    with Recording(tmp_path / "a" / "b" / "out.mp4") as recording:
        recording.show(view(0, 0.0))
    assert (tmp_path / "a" / "b" / "out.mp4").is_file()


def test_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"cannot write .*file/out\.mp4: the name is already taken"):
        Recording(tmp_path / "file" / "out.mp4").__enter__()


def test_full_disk_is_told(mount: Callable[[str], Path]) -> None:
    folder = mount("size=400k")
    rng = np.random.default_rng(0)

    def record() -> None:
        with Recording(folder / "out.mp4") as recording:
            for number in range(400):
                shown = view(number, number / 30)
                shown.whole[:] = rng.integers(0, 255, shown.whole.shape, np.uint8)
                recording.show(shown)

    with pytest.raises(RunError, match=r"cannot write .*out\.mp4: .*space"):
        record()
    assert list(folder.iterdir()) == []


def test_session_into_a_file(tmp_path: Path) -> None:
    camera = Camera(frames=45, fps=30.0, nobody=range(10, 20))
    outcome = run(
        camera.stream(), FakeIndex(), LiveOptions("0", page=False, video=tmp_path / "out.mp4")
    )
    assert outcome.code == 0
    times, _ = played(tmp_path / "out.mp4")
    assert times == pytest.approx([float(Fraction(n, 30)) for n in range(45)], abs=0.001)
