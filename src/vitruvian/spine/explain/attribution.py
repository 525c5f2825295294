"""Which joints, and when, made an index what it is.

Integrated gradients (Sundararajan, Taly and Yan, ICML 2017): the gradient of the index along the
straight way from a baseline to the clip, times the way. The baseline is the same person holding
still, so that what is attributed is movement, not stature or place. Attributions of all joints and
frames add up to the index of the clip minus that of the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vitruvian.spine.skeletons import Skeleton

__all__ = ["JointShare", "attribute", "over_clip", "still", "top_joints"]

Floats = npt.NDArray[np.float32]
Function = Callable[[Tensor], Tensor]


class JointShare(NamedTuple):
    """How much of an attribution is a joint's.

    Attributes:
        joint: its name.
        share: of the absolute attribution of all joints, 0 to 1.
        frames: the shortest run of frames, first and last, that holds half of the joint's own.
    """

    joint: str
    share: float
    frames: tuple[int, int]


def still(points: Tensor, mask: Tensor | None = None) -> Tensor:
    """The mean pose of each clip held throughout, (n, T, J, D).

    Args:
        points: (n, T, J, D).
        mask: (n, T) bool, True for real frames; the others stay as they are.

    Raises:
        ValueError: a clip has no real frame.
    """
    real = points.new_ones(points.shape[:2], dtype=torch.bool) if mask is None else mask
    frames = real.sum(dim=1)
    if (frames == 0).any():
        raise ValueError("a clip without a real frame has no mean pose")
    mean = torch.einsum("nt,ntjd->njd", real.to(points), points) / frames[:, None, None]
    return torch.where(real[..., None, None], mean.unsqueeze(1), points)


def attribute(
    function: Function,
    points: Tensor,
    mask: Tensor | None = None,
    baseline: Tensor | None = None,
    steps: int = 16,
) -> Floats:
    """Attribute the values of a function to joints and frames.

    The gradient is taken at the middle of each step, which is exact for linear functions. The
    function should not clip its values: a clipped one has no gradient. Parameters keep the
    gradients that they have.

    Args:
        function: from points (n, T, J, D) to values (n,), differentiable; each value of its own
            clip alone.
        points: (n, T, J, D) without NaN, on the function's device.
        mask: (n, T) bool, True for real frames; padding gets no attribution.
        baseline: as `points`; the mean pose held still where it is None.
        steps: gradients taken; memory does not grow with them.

    Returns:
        (n, T, J) float32, the sum over the coordinates of each joint.

    Raises:
        ValueError: there is no step, shapes do not agree, or the function has no gradient.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if points.dim() != 4:
        raise ValueError(f"points must be (n, T, J, D), not {tuple(points.shape)}")
    start = still(points, mask) if baseline is None else baseline
    if start.shape != points.shape:
        raise ValueError(
            f"baseline must have the shape {tuple(points.shape)}, not {tuple(start.shape)}"
        )
    # A prediction runs in inference mode, where no gradient exists; and cuDNN's recurrent nets have
    # none in evaluation, so that PyTorch's own take over.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.backends.cudnn.flags(enabled=False),
    ):
        start, way = start.clone(), points.clone() - start.clone()
        slope = torch.zeros_like(way)
        for step in range(steps):
            slope += _gradient(function, start + way * ((step + 0.5) / steps))
    return np.asarray((slope / steps * way).sum(dim=-1).cpu().numpy(), np.float32)


def _gradient(function: Function, points: Tensor) -> Tensor:
    """Gradient of each value by its own points."""
    points = points.detach().requires_grad_()
    values = function(points)
    if values.shape != points.shape[:1]:
        expected, given = tuple(points.shape[:1]), tuple(values.shape)
        raise ValueError(f"the function must return {expected}, one value a clip, not {given}")
    if not values.requires_grad:
        raise ValueError("the function has no gradient: is it run under no_grad or inference_mode?")
    (gradient,) = torch.autograd.grad(values.sum(), points, materialize_grads=True)
    return gradient


def over_clip(
    attribution: npt.NDArray[Any], starts: Sequence[int], frames: int
) -> npt.NDArray[np.float32]:
    """Attribution of a clip, whose index is the mean over its windows.

    Args:
        attribution: (windows, L, J).
        starts: first frame of each window in the clip.
        frames: of the clip; what windows hold beyond it is padding.

    Returns:
        (frames, J); its sum is the mean of the windows' sums.
    """
    windows, length, joints = attribution.shape
    total = np.zeros((max(frames, max(starts) + length), joints))
    for window, start in zip(attribution, starts, strict=True):
        total[start : start + length] += window / windows
    return total[:frames].astype(np.float32)


def top_joints(attribution: npt.NDArray[Any], skeleton: Skeleton, k: int = 5) -> list[JointShare]:
    """The joints with most of an attribution, largest first.

    Args:
        attribution: (T, J), of one clip.
        skeleton: of its joints.
        k: how many; joints that have no share are left out.

    Raises:
        ValueError: the attribution has other joints than the skeleton.
    """
    if attribution.ndim != 2 or attribution.shape[1] != len(skeleton):
        raise ValueError(
            f"attribution must be (T, {len(skeleton)}) for {skeleton.name}, not {attribution.shape}"
        )
    weight = np.abs(attribution.astype(np.float64))
    joints = weight.sum(axis=0)
    order = [int(j) for j in np.argsort(-joints, kind="stable")[:k] if joints[j] > 0]
    return [
        JointShare(skeleton.joints[j], float(joints[j] / joints.sum()), _half(weight[:, j]))
        for j in order
    ]


def _half(weight: npt.NDArray[np.float64]) -> tuple[int, int]:
    """First and last frame of the shortest run with half of the weight."""
    total = np.concatenate([[0.0], np.cumsum(weight)])
    # For each first frame the end of the run: the first sum that is half of all above its own.
    ends = np.searchsorted(total, total[:-1] + total[-1] / 2 * (1 - 1e-12))
    lengths = np.where(ends < len(total), ends - np.arange(len(weight)), len(total))
    first = int(lengths.argmin())
    return first, int(ends[first]) - 1
