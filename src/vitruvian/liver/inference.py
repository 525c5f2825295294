"""From a CT volume to a mask, slab by slab: the same code validates, tests and predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from monai.inferers import sliding_window_inference
from torch import Tensor

from vitruvian.liver.components import Mask, largest_component
from vitruvian.liver.volume import PADDING_HU

MIRRORINGS = ((), (-1,), (-2,), (-1, -2))  # of the axes (y, x)

Slab = npt.NDArray[np.int16]
Logits = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scan:
    """A CT volume that is read a few slices at a time.

    Attributes:
        shape: (z, y, x).
        read: `read(z0, z1)` returns the slices z0 .. z1 - 1 as int16 HU, (z1 - z0, y, x).
    """

    shape: tuple[int, int, int]
    read: Callable[[int, int], Slab]

    @classmethod
    def of(cls, voxels: Slab) -> Scan:
        """A scan that is in memory (or memory-mapped) already."""
        z, y, x = voxels.shape
        return cls((z, y, x), lambda z0, z1: voxels[z0:z1])

    def planes(self, z0: int, z1: int, margin: int) -> Slab:
        """Slices z0 - margin .. z1 + margin - 1; beyond the ends the last slice is repeated."""
        wanted = np.arange(z0 - margin, z1 + margin).clip(0, self.shape[0] - 1)
        first = int(wanted[0])
        return self.read(first, int(wanted[-1]) + 1)[wanted - first]


class Inference:
    """How a trained net is applied to a whole volume.

    Args:
        batch_size: slices (2-D) or windows (3-D) per forward pass; memory grows with it.
        mirror: average over the four in-plane mirrorings (test-time augmentation).
        largest_component: keep only the largest connected liver.
        patch: window (z, y, x) of a 3-D net, in voxels.
        overlap: overlap of neighbouring windows of a 3-D net, in [0, 1).
    """

    def __init__(
        self,
        batch_size: int = 2,
        mirror: bool = False,
        largest_component: bool = False,
        patch: Sequence[int] = (32, 256, 256),
        overlap: float = 0.5,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be in [0, 1), not {overlap}")
        if len(patch) != 3 or min(patch) < 1:
            raise ValueError(f"patch must be three sizes (z, y, x), not {list(patch)}")
        self.batch_size, self.mirror = batch_size, mirror
        self.largest_component = largest_component
        self.patch, self.overlap = tuple(patch), overlap

    @torch.inference_mode()
    def segment(
        self, logits: Logits, scan: Scan, spatial_dims: int, context: int, device: torch.device
    ) -> Mask:
        """Segment a volume.

        Args:
            logits: from HU, (n, context, y, x) or (n, 1, z, y, x), to class logits of
                the same spatial shape.
            scan: the volume.
            spatial_dims: 2 or 3, of the net.
            context: neighbouring slices that a 2-D net sees.
            device: where the net is.

        Returns:
            uint8 classes (z, y, x), before any post-processing.
        """
        mask = np.zeros(scan.shape, dtype=np.uint8)
        parts = (
            self._slices(logits, scan, context, device)
            if spatial_dims == 2
            else self._slabs(logits, scan, device)
        )
        for z, classes in parts:
            mask[z : z + len(classes)] = classes
        return mask

    def clean(self, mask: Mask) -> Mask:
        """Apply the post-processing that the keys ask for."""
        return largest_component(mask) if self.largest_component else mask

    # -- 2-D ----------------------------------------------------------------------------------

    def _slices(
        self, logits: Logits, scan: Scan, context: int, device: torch.device
    ) -> Iterator[tuple[int, Mask]]:
        margin = context // 2
        for z0 in range(0, scan.shape[0], self.batch_size):
            z1 = min(z0 + self.batch_size, scan.shape[0])
            planes = torch.from_numpy(scan.planes(z0, z1, margin)).to(device)
            stacks = planes.unfold(0, context, 1).permute(0, 3, 1, 2)
            scores = self._mirrored(logits, stacks)
            yield z0, scores.argmax(1).to(torch.uint8).cpu().numpy()

    def _mirrored(self, logits: Logits, x: Tensor) -> Tensor:
        """Class probabilities, averaged over the mirrorings of the last two axes."""
        flips = MIRRORINGS if self.mirror else MIRRORINGS[:1]
        scores = (logits(x.flip(axes)).float().softmax(1).flip(axes) for axes in flips)
        return reduce(torch.add, scores) / len(flips)  # one at a time: memory

    # -- 3-D ----------------------------------------------------------------------------------

    def _slabs(
        self, logits: Logits, scan: Scan, device: torch.device
    ) -> Iterator[tuple[int, Mask]]:
        """Slide along z with overlapping slabs; only two slabs of probabilities are in memory."""
        depth = self.patch[0]
        step = max(1, round(depth * (1 - self.overlap)))
        weight = torch.hann_window(depth + 2, periodic=False)[1:-1].view(1, depth, 1, 1)
        ahead: Tensor | None = None  # what earlier slabs said about slices not yet decided
        total = max(scan.shape[0], depth)
        starts = [*range(0, total - depth, step), total - depth]
        for number, z0 in enumerate(starts):
            scores = self._slab(logits, scan, z0, device) * weight
            if ahead is not None:
                scores[:, : ahead.shape[1]] += ahead
            last = number == len(starts) - 1
            settled = depth if last else starts[number + 1] - z0
            ahead = scores[:, settled:]
            keep = max(0, min(settled, scan.shape[0] - z0))
            yield z0, scores[:, :keep].argmax(0).to(torch.uint8).numpy()

    def _slab(self, logits: Logits, scan: Scan, z0: int, device: torch.device) -> Tensor:
        """Class probabilities (k, depth, y, x) of one slab, on the CPU."""
        depth = self.patch[0]
        have = scan.read(z0, min(z0 + depth, scan.shape[0]))
        # MONAI gathers the windows in the type of its input: whole HU are exact as float32.
        slab = torch.full((1, 1, depth, *have.shape[1:]), float(PADDING_HU))
        slab[0, 0, : len(have)] = torch.from_numpy(have)
        scores = sliding_window_inference(
            slab,
            roi_size=self.patch,
            sw_batch_size=self.batch_size,
            predictor=lambda x: self._mirrored(logits, x),
            overlap=self.overlap,
            mode="gaussian",
            cval=PADDING_HU,
            sw_device=device,
            device="cpu",
        )
        return torch.as_tensor(scores)[0].float()


def pad_to_multiple(x: Tensor, divisor: int, value: float) -> Tensor:
    """Pad the spatial axes at their ends so that each is a multiple of `divisor`."""
    pads: list[int] = []
    for size in reversed(x.shape[2:]):
        pads += [0, -size % divisor]
    return F.pad(x, pads, value=value) if any(pads) else x
