"""The index over a stream: state is carried from frame to frame, so each costs the same forever.

Windows overlap, so at most length / stride of them are open at any moment, each with the state of
the features and of the net after its own frames. When one is full its value is that of the whole
window computed at once (the tests hold them together to 1e-5), and the index of the stream so far
is the mean over full windows, as that of a clip is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from vitruvian.core.errors import ConfigError
from vitruvian.spine.landmarks import Floats
from vitruvian.spine.track.cleaning import Track, TrackFrame

if TYPE_CHECKING:
    from vitruvian.spine.head.head import IndexHead
    from vitruvian.spine.head.onnx_runtime import OnnxStep
    from vitruvian.spine.regressor import SpineRegressor

RECOMPUTE_EVERY = 15  # frames between two looks of a net that cannot carry a state


class IndexPoint(NamedTuple):
    """The index at one moment.

    Attributes:
        time_s: seconds, on the clock of the source.
        value: of the oldest open window, which has seen the most, clipped to [0, 1].
        mean: over the full windows so far, clipped; before the first one it is `value`.
    """

    time_s: float
    value: float
    mean: float


class Window(Protocol):
    """The net on one window that is filled frame by frame."""

    def step(self, frame: TrackFrame) -> float:
        """Take a frame and say what the net says of the window so far."""


class CausalWindow:
    """Carries the state of features and net: the same work for every frame.

    Args:
        head: causal; shared by all windows.
        device: of its weights.
    """

    def __init__(self, head: IndexHead, device: torch.device) -> None:
        self._head, self._device = head, device
        self._state = head.initial_state()

    def step(self, frame: TrackFrame) -> float:
        """One step of the features, the scaling and the net."""
        points, visibility = _tensors(frame, self._device)
        with torch.inference_mode():
            value, self._state = self._head.step(points, visibility, self._state)
        return float(value)


class CompiledWindow:
    """The same steps in onnxruntime, at half the time on a processor.

    Args:
        step: shared by all windows.
    """

    def __init__(self, step: OnnxStep) -> None:
        self._step = step
        self._state = step.initial_state()

    def step(self, frame: TrackFrame) -> float:
        """One step."""
        arrays = {"points": frame.points[None], "visibility": frame.visibility[None]}
        value, self._state = self._step.step(self._state, **arrays)
        return float(value[0])


class RecomputingWindow:
    """For a net that needs the whole window: it looks again every few frames, and when it is full.

    Args:
        task: the model.
    """

    def __init__(self, task: SpineRegressor) -> None:
        self.task = task
        self._frames: list[tuple[Tensor, Tensor]] = []
        self._value = float("nan")

    def step(self, frame: TrackFrame) -> float:
        """Add the frame; look at all of them when it is time."""
        self._frames.append(_tensors(frame, self.task.train_mean.device))
        count, full = len(self._frames), self.task.windows.length
        if count == 1 or count == full or count % RECOMPUTE_EVERY == 0:
            self._value = self._look()
        return self._value

    def _look(self) -> float:
        points, visibility = (torch.stack(part, dim=1) for part in zip(*self._frames, strict=True))
        mask = points.new_ones(points.shape[:2], dtype=torch.bool)
        with torch.inference_mode():
            return float(self.task.values(points, visibility, mask))


def _tensors(frame: TrackFrame, device: torch.device) -> tuple[Tensor, Tensor]:
    points, visibility = torch.from_numpy(frame.points), torch.from_numpy(frame.visibility)
    return points[None].to(device), visibility[None].to(device)


def window_maker(task: SpineRegressor) -> Callable[[], Window]:
    """What begins a window for this net: in onnxruntime where that is installed and of use."""
    head, device = task.head, task.train_mean.device
    if not head.causal:
        return lambda: RecomputingWindow(task)
    step = _compiled(task) if device.type == "cpu" else None
    return (lambda: CompiledWindow(step)) if step else (lambda: CausalWindow(head, device))


def _compiled(task: SpineRegressor) -> OnnxStep | None:
    if not all(find_spec(package) for package in ("onnx", "onnxruntime")):
        return None
    from vitruvian.spine.head.onnx import compile_step

    joints = len(task.skeleton)
    example = {
        "points": torch.rand(2, joints, task.skeleton.dims),
        "visibility": torch.rand(2, joints),
    }
    return compile_step(task.head, example)


class OpenWindows:
    """The windows that a growing track has open, and what the full ones said.

    Args:
        task: the model; it is put into evaluation mode.

    Attributes:
        full: what the net said of every full window so far, not clipped.
        last: the latest point; NaN before the first frame.
    """

    def __init__(self, task: SpineRegressor) -> None:
        task.eval()
        self.full: list[float] = []
        self.last = IndexPoint(float("nan"), float("nan"), float("nan"))
        self._begin, self._shape = window_maker(task), task.windows
        self._open: deque[tuple[Window, int]] = deque()  # each with its first frame
        self._frames = 0

    def take(self, frame: TrackFrame) -> IndexPoint:
        """Give a cleaned frame to every open window."""
        if self._frames % self._shape.stride == 0:
            self._open.append((self._begin(), self._frames))
        values = [window.step(frame) for window, _ in self._open]
        self._frames += 1
        if self._frames - self._open[0][1] == self._shape.length:
            self.full.append(values[0])
            self._open.popleft()
        mean = sum(self.full) / len(self.full) if self.full else values[0]
        self.last = IndexPoint(frame.time_s, _reported(values[0]), _reported(mean))
        return self.last


class StreamingIndex:
    """The index over a stream of landmarks: cleaning, then the open windows.

    Args:
        task: the model; it is put into evaluation mode.

    Raises:
        ConfigError: the model needs whole clips.
    """

    def __init__(self, task: SpineRegressor) -> None:
        if task.windows.stretch:
            raise ConfigError("model.windows.stretch: the model reads whole clips, not a stream")
        self._windows = OpenWindows(task)
        self._cleaner = task.cleaning.stream()

    @property
    def windows(self) -> list[float]:
        """What the net said of every full window so far, not clipped."""
        return self._windows.full

    @property
    def value(self) -> float:
        """The latest value; NaN before the first."""
        return self._windows.last.value

    @property
    def index(self) -> float:
        """The index of the stream so far; NaN before the first frame."""
        return self._windows.last.mean

    @property
    def masked(self) -> float:
        """Share of the landmarks that were masked so far."""
        return self._cleaner.masked

    def push(self, time_s: float, points: Floats, visibility: Floats) -> list[IndexPoint]:
        """Take the landmarks of a frame; return the index of every frame that is settled now.

        Args:
            time_s: seconds, above that of the frame before.
            points: (J, D) in the coordinates that the cleaning names; NaN without a pose.
            visibility: (J,); NaN without a pose.
        """
        return [self._windows.take(f) for f in self._cleaner.push(time_s, points, visibility)]

    def finish(self) -> list[IndexPoint]:
        """Return the index of the frames that waited when the stream ended."""
        return [self._windows.take(frame) for frame in self._cleaner.finish()]


def index_over_time(task: SpineRegressor, track: Track) -> list[IndexPoint]:
    """The index at every frame of a cleaned clip, as a stream of it would have shown it."""
    windows = OpenWindows(task)
    frames = zip(track.times_s, track.points, track.visibility, strict=True)
    return [windows.take(TrackFrame(float(time_s), *frame)) for time_s, *frame in frames]


def _reported(value: float) -> float:
    """Clipped to [0, 1], as every index that is shown (paper 003, equation 2 does not clip)."""
    return min(max(value, 0.0), 1.0)
