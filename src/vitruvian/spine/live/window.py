"""A window on the desktop, where there is one and OpenCV can open it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from importlib import metadata
from types import TracebackType

import cv2

from vitruvian.core.errors import ConfigError
from vitruvian.spine.live.views import View

TITLE = "Vitruvian"
DISTRIBUTIONS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_SWAP = (
    "pip uninstall opencv-python-headless, then pip install opencv-python "
    "(it needs the system's libGL)"
)


class Window:
    """Shows views in a window; it lives within a `with` block.

    Args:
        stop: called when q is pressed or the window is closed.

    Raises:
        ConfigError: there is no window to be had; the message says what to install.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def __enter__(self) -> Window:
        require_windows(cv2.getBuildInformation(), distributions(), has_display())
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        cv2.destroyAllWindows()

    def show(self, view: View) -> None:
        """Show a view, and look whether q was pressed."""
        cv2.imshow(TITLE, view.whole)
        pressed = cv2.waitKey(1) & 0xFF
        if pressed == ord("q") or _is_closed():
            self._stop()


def _is_closed() -> bool:
    try:
        return bool(cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1)
    except cv2.error:  # Qt's answer when its last window was closed
        return True


def require_windows(build: str, installed: list[str], display: bool) -> None:
    """Raise ConfigError unless OpenCV can open a window.

    Args:
        build: OpenCV's build information.
        installed: names of OpenCV's distributions.
        display: whether there is a desktop.
    """
    if len(installed) > 1:
        raise ConfigError(f"window: {too_many(installed)}")
    if re.search(r"^\s*GUI:\s*(NONE)?\s*$", build, re.MULTILINE):
        raise ConfigError(
            "window: Vitruvian comes with opencv-python-headless, which opens no windows, and only "
            f"one OpenCV may be installed. For a window: {_SWAP}; page=true needs nothing"
        )
    if not display:  # Qt ends the process where there is none
        raise ConfigError("window: there is no desktop here (DISPLAY is not set); use page=true")


def too_many(installed: list[str]) -> str:
    """What to do about several OpenCV distributions: they overwrite one another's files."""
    names = ", ".join(installed)
    return (
        f"{names} are installed, and overwrite one another; "
        f"pip uninstall {' '.join(installed)}, then install one of them again"
    )


def distributions() -> list[str]:
    """Names of the OpenCV distributions that are installed; there should be one."""
    found = []
    for name in DISTRIBUTIONS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found


def has_display() -> bool:
    """Whether there is a desktop to open a window on."""
    named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.platform == "darwin" or bool(named)
