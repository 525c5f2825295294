"""The on-line estimator: one frame in, angle, torque and EMG out, with nothing of the future."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from vitruvian.muscle.fusion import Fused
from vitruvian.muscle.recording import Image, Mask

if TYPE_CHECKING:
    from vitruvian.muscle.estimator import MuscleEstimator

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """What the model says at one frame, per quantity in native units; NaN while it warms up.

    Attributes:
        change: since the frame before, (V,); None if the model does not say it.
        value: (V,), fused where it has two heads; None if the model says changes only. Of a model
            for centred targets: less the mean of the trial.
        change_width: half width of the changes' predictive intervals, (V,).
        value_width: half width of the values' predictive intervals, (V,).
    """

    change: Floats | None
    value: Floats | None
    change_width: Floats
    value_width: Floats


class OnlineEstimator:
    """Frames in their order; off-line predictions use it, too, so that both agree.

    The region of interest, the net and the filter look back only. An answer costs one pass of the
    net over the last frames, whatever came before them. Until the muscle has been found there is
    none, and the first frame that shows it is the first that counts: the region jumps there.


    Args:
        task: the trained task, on its device.
        mm_per_pixel: (along y, along x) of the frames; None where unknown.
        masks: the muscle, where the recording gives it; see `Recording.masks`.
    """

    def __init__(
        self,
        task: MuscleEstimator,
        mm_per_pixel: tuple[float, float] | None,
        masks: Mask | None = None,
    ) -> None:
        self._task = task.eval()
        self._crop = task.roi.cropper(mm_per_pixel, masks)
        self._images: deque[Image] = deque(maxlen=task.inputs.context)
        self._fused: Fused | None = None
        widths = [list(task.readout.half_widths(kind).values()) for kind in task.kinds]
        self._widths = np.array(widths)

    def push(self, image: Image) -> Reading:
        """Take the next frame.

        Args:
            image: (h, w) uint8, as the recording's description crops and flips it.
        """
        crop, bounds = self._crop(image)
        if self._crop.found:
            self._images.append(crop)
        parts = np.split(self._answer(bounds), len(self._task.kinds))
        found = dict(zip(self._task.kinds, parts, strict=True))
        change = found.pop("change", None)
        value = next(iter(found.values()), None)
        fusion = self._task.readout.fusion
        if fusion is None or change is None or value is None or not np.isfinite(value).all():
            return Reading(change, value, self._widths[0], self._widths[-1])
        self._fused = fusion.step(self._fused, change, value)
        return Reading(change, self._fused.values, self._widths[0], self._widths[-1])

    @property
    def lost(self) -> int:
        """Frames so far in which the muscle was not found."""
        return self._crop.failures

    def _answer(self, bounds: npt.NDArray[np.int16]) -> Floats:
        """Outputs of the net, in native units; NaN until there are enough frames."""
        if len(self._images) < self._task.inputs.context:
            return np.full(len(self._task.target_mean), np.nan)
        device = self._task.device
        images = torch.from_numpy(np.stack(self._images))[None].to(device)
        masks = torch.from_numpy(bounds)[None].to(device)
        with torch.inference_mode():
            answer: Floats = self._task.values(images, masks)[0].double().cpu().numpy()
        return answer
