"""The window on the desktop: what stands in its way is told with what to do about it."""

from __future__ import annotations

import cv2
import pytest

from tests.spine.live.fakes import Camera, FakeIndex
from vitruvian.core.errors import ConfigError
from vitruvian.core.live import LiveOptions
from vitruvian.spine.live.session import run
from vitruvian.spine.live.window import distributions, require_windows

HEADLESS = "  GUI:                           NONE\n"
QT = "  GUI:                           QT5\n    QT:                          YES\n"
MISTAKES = {
    "headless": (HEADLESS, ["opencv-python-headless"], True, "pip install opencv-python "),
    "headless, no display": (HEADLESS, ["opencv-python-headless"], False, "opens no windows"),
    "empty": ("  GUI:          \n", ["opencv-python-headless"], True, "opens no windows"),
    "no display": (QT, ["opencv-python"], False, "DISPLAY is not set"),
    "two": (
        QT,
        ["opencv-python", "opencv-python-headless"],
        True,
        "opencv-python, opencv-python-headless are installed, and overwrite one another; "
        "pip uninstall opencv-python opencv-python-headless, then install one",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_stands_in_the_way(mistake: str) -> None:
    build, installed, display, message = MISTAKES[mistake]
    with pytest.raises(ConfigError, match="window: ") as told:
        require_windows(build, installed, display)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("installed", [["opencv-python"], ["opencv-contrib-python"], []])
def test_nothing_does(installed: list[str]) -> None:
    require_windows(QT, installed, display=True)


def test_exactly_one_opencv_is_installed_here() -> None:
    assert len(distributions()) == 1


@pytest.mark.skipif(
    "GUI:                           NONE" not in cv2.getBuildInformation(),
    reason="this OpenCV opens windows",
)
def test_session_with_a_window_here() -> None:
    camera = Camera()
    with pytest.raises(ConfigError, match="window: Vitruvian comes with opencv-python-headless"):
        run(camera.stream(), FakeIndex(), LiveOptions("0", page=False, window=True))
