"""BlazePose: 33 landmarks of one person in each frame, computed by MediaPipe on this computer."""

from __future__ import annotations

import importlib
import logging
import os
import platform
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.spine.landmarks import Floats
from vitruvian.spine.pose.pose_models import PoseModel, model_file
from vitruvian.spine.skeletons import BLAZEPOSE

log = logging.getLogger(__name__)

Variant = Literal["lite", "full", "heavy"]
Mode = Literal["video", "image"]
Resize = Literal["1280x720", "1920x1080", "720x480", "none"]
Image = npt.NDArray[np.uint8]

FIRST_WITH_METRICS: Final = (0, 10, 35)  # of MediaPipe: from here on it reports its use to Google
INSTALL: Final = "pip install 'vitruvian[pose]'"


@dataclass(frozen=True)
class FramePose:
    """The landmarks of the person in one frame.

    Attributes:
        points: (33, 3) float32, x and y as shares of the image's width and height, z in the scale
            of x, smaller is nearer.
        visibility: (33,) float32, 0 to 1.
        world: (33, 3) float32, metres around the middle of the hips.
    """

    points: Floats
    visibility: Floats
    world: Floats


class BlazePose:
    """Which pose net runs, and how; nothing is loaded before `landmarker` or `identity`.

    Args:
        variant: lite (paper 003, section III.A), full or heavy.
        model: the user's own model file; without it one of Google's is found or fetched, see
            `pose_models.model_file`.
        mode: video follows the person and smooths over time; image takes each frame by itself.
        resize: size of the frames that the net sees (paper 003, section III.A); none leaves them.
        min_detection_confidence: from which a person counts as found, 0 to 1.
        min_presence_confidence: below which the person counts as lost, 0 to 1.
        min_tracking_confidence: below which the person is looked for anew, 0 to 1.
        trim: leave out the silhouette that the net also computes: same landmarks, sooner.
        allow_metrics: also use a MediaPipe that sends usage metrics to Google.
        buffer_frames: N of equation (1), frames in a bucket of the image buffer.
        buckets: gamma of equation (1).

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        variant: Variant = "lite",
        model: str | Path | None = None,
        mode: Mode = "video",
        resize: Resize = "1280x720",
        min_detection_confidence: float = 0.5,
        min_presence_confidence: float = 0.5,
        min_tracking_confidence: float = 0.5,
        trim: bool = True,
        allow_metrics: bool = False,
        buffer_frames: int = 16,
        buckets: int = 2,
    ) -> None:
        _check_choice("variant", variant, get_args(Variant))
        _check_choice("mode", mode, get_args(Mode))
        _check_choice("resize", resize, get_args(Resize))
        self.variant, self.mode, self.resize = variant, mode, resize
        self.model = None if model is None else Path(model)
        self.confidences = {
            "min_pose_detection_confidence": _share("min_detection", min_detection_confidence),
            "min_pose_presence_confidence": _share("min_presence", min_presence_confidence),
            "min_tracking_confidence": _share("min_tracking", min_tracking_confidence),
        }
        self.trim, self.allow_metrics = trim, allow_metrics
        if min(buffer_frames, buckets) < 1:
            raise ValueError(
                f"buffer_frames and buckets must be at least 1, not {buffer_frames} and {buckets}"
            )
        self.buffer_frames, self.buckets = buffer_frames, buckets

    @cached_property
    def file(self) -> PoseModel:
        """The model file; the first call may fetch it. See `pose_models.model_file`."""
        return model_file(self.variant, self.model)

    def identity(self) -> dict[str, Any]:
        """What must be equal for the same video to give the same landmarks.

        Raises:
            ConfigError: MediaPipe is absent or one that sends metrics.
            DataError: the model file is damaged, or is nowhere and cannot be fetched.
        """
        version = mediapipe_version(self.allow_metrics)  # before a model is fetched for nothing
        return {
            "variant": self.variant,
            "model_sha256": self.file.sha256,
            "mediapipe": version,
            "mode": self.mode,
            "resize": self.resize,
            "platform": f"{platform.system()} {platform.machine()}",
            "trim": self.trim,
            **self.confidences,
        }

    def landmarker(self) -> PoseLandmarker:
        """Load the net: one for each clip, since it remembers the frames before.

        Raises:
            ConfigError: MediaPipe is absent, cannot be loaded, or sends metrics.
            DataError: the model file is damaged, or is nowhere and cannot be fetched.
        """
        version = mediapipe_version(self.allow_metrics)
        bundle = self.file.bundle(self.trim)
        try:
            with _quiet():
                tasks = importlib.import_module("mediapipe.tasks.python")
                return PoseLandmarker(tasks, bundle, self.mode, self.confidences)
        except (FileNotFoundError, RuntimeError, ValueError) as error:
            # MediaPipe reports what is wrong with a model under various names.
            raise DataError(
                f"{self.file.path}: mediapipe {version} cannot use this model: {error}"
            ) from error
        except (ImportError, OSError) as error:  # OSError: a system library is missing
            raise ConfigError(f"pose: mediapipe {version} cannot be loaded: {error}") from error


class PoseLandmarker:
    """The loaded net; a context manager. Made by `BlazePose.landmarker`.

    Args:
        tasks: the package mediapipe.tasks.python.
        bundle: content of the model file.
        mode: video or image.
        confidences: MediaPipe's thresholds.
    """

    _warned: ClassVar = False  # with its first person in a process MediaPipe writes a last line

    def __init__(self, tasks: Any, bundle: bytes, mode: str, confidences: dict[str, float]) -> None:
        mediapipe = importlib.import_module("mediapipe")
        self._image, self._rgb_format = mediapipe.Image, mediapipe.ImageFormat.SRGB
        modes = tasks.vision.RunningMode
        self._video = mode == "video"
        self._net: Any = tasks.vision.PoseLandmarker.create_from_options(
            tasks.vision.PoseLandmarkerOptions(
                base_options=tasks.BaseOptions(model_asset_buffer=bundle),
                running_mode=modes.VIDEO if self._video else modes.IMAGE,
                num_poses=1,  # with more MediaPipe does not smooth
                **confidences,
            )
        )
        self._rgb: Any = None
        self._time_ms = -1

    def detect(self, image_bgr: Image, timestamp_ms: float) -> FramePose | None:
        """Find the person.

        Args:
            image_bgr: (h, w, 3) uint8; not kept.
            timestamp_ms: of the frame. MediaPipe wants whole numbers that rise; where they do not,
                one is added to the last.

        Returns:
            The landmarks; None without a person.

        Raises:
            ValueError: this is no such image, or the landmarker is closed.
        """
        if self._net is None:
            raise ValueError("the landmarker is closed")
        image = self._image(image_format=self._rgb_format, data=self._converted(image_bgr))
        self._time_ms = max(round(timestamp_ms), self._time_ms + 1)
        with nullcontext() if PoseLandmarker._warned else _quiet():
            pose = _frame_pose(self._detected(image))
        PoseLandmarker._warned = PoseLandmarker._warned or pose is not None
        return pose

    def _detected(self, image: Any) -> Any:
        if self._video:
            return self._net.detect_for_video(image, self._time_ms)
        return self._net.detect(image)

    def _converted(self, image_bgr: Image) -> Image:
        """The image as RGB, always in the same memory: MediaPipe copies it."""
        import cv2

        if image_bgr.dtype != np.uint8 or image_bgr.ndim != 3 or image_bgr.shape[2] != 3:
            raise ValueError(
                f"an image must be uint8 (h, w, 3), not {image_bgr.dtype} {image_bgr.shape}"
            )
        whole = np.ascontiguousarray(image_bgr)
        self._rgb = cv2.cvtColor(whole, cv2.COLOR_BGR2RGB, dst=self._rgb)
        return np.asarray(self._rgb)

    def close(self) -> None:
        """Free the net; may be called again."""
        if self._net is not None:
            self._net.close()
            self._net = None

    def __enter__(self) -> PoseLandmarker:
        """The landmarker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


def mediapipe_version(allow_metrics: bool = False) -> str:
    """Version of MediaPipe, found without importing it.

    Args:
        allow_metrics: also accept one that sends usage metrics to Google.

    Raises:
        ConfigError: it is not installed, or it sends metrics.
    """
    try:
        version = metadata.version("mediapipe")
    except metadata.PackageNotFoundError as error:
        raise ConfigError(f"pose: BlazePose needs mediapipe; install it with {INSTALL}") from error
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if numbers >= FIRST_WITH_METRICS and not allow_metrics:
        raise ConfigError(
            f"pose: mediapipe {version} sends usage metrics to Google and cannot be told not to; "
            f"install the one before with {INSTALL}, or set pose.allow_metrics=true"
        )
    return version


def _frame_pose(result: Any) -> FramePose | None:
    if not result.pose_landmarks:
        return None
    (found,), (world,) = result.pose_landmarks, result.pose_world_landmarks
    values = np.array([(p.x, p.y, p.z, p.visibility) for p in found], np.float32)
    metres = np.array([(p.x, p.y, p.z) for p in world], np.float32)
    assert values.shape == (len(BLAZEPOSE), 4)
    return FramePose(values[:, :3], values[:, 3], metres)


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}_confidence must be from 0 to 1, not {value}")
    return value


# -- MediaPipe's own lines ------------------------------------------------------------------------

_CHATTER: Final = (
    "Created TensorFlow Lite XNNPACK delegate",
    "before absl::InitializeLog",
    "Feedback manager requires",
    "Using NORM_RECT without IMAGE_DIMENSIONS",
)
_STDERR: Final = 2
_redirecting = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Withhold what MediaPipe's library always writes when a net is loaded; pass the rest on.

    It writes to the file descriptor and heeds no setting; four lines for each clip would tear a
    progress bar apart.
    """
    with _redirecting, tempfile.TemporaryFile() as captured:
        kept = _redirected(captured.fileno())
        try:
            yield
        finally:
            if kept is not None:
                os.dup2(kept, _STDERR)
                os.close(kept)
                captured.seek(0)
                os.write(_STDERR, b"".join(line for line in captured if not _is_chatter(line)))


def _redirected(target: int) -> int | None:
    """Send what is written to stderr to another file; returns where it went before."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # there is no stderr, as in a service
        return None
    os.dup2(target, _STDERR)
    return kept


def _is_chatter(line: bytes) -> bool:
    return any(words.encode() in line for words in _CHATTER)
