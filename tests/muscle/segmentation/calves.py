"""Recordings in memory: a dark muscle between two bright bands, and its mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitruvian.muscle.recording import ClockSource, Image, Mask, Recording


@dataclass(frozen=True)
class Pictures:
    """Frames that are already there."""

    images: Sequence[Image]
    claimed_rate_hz: float | None = None

    @property
    def count(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images)


def calf(top: int = 24, bottom: int = 64, shape: tuple[int, int] = (96, 120)) -> tuple[Image, Mask]:
    """A frame with bands of six rows above `top` and below `bottom`, and the muscle between."""
    texture = np.random.default_rng(top).integers(20, 60, shape)
    texture[top - 6 : top] = texture[bottom : bottom + 6] = 220
    mask = np.zeros(shape, np.bool_)
    mask[top:bottom] = True
    return texture.astype(np.uint8), mask


def recorded(
    name: str = "P01_passive",
    frames: int = 4,
    masks: Mask | str | None = "each",
    sources: Sequence[Path] = (),
) -> Recording:
    """A recording whose muscle moves down by two rows a frame."""
    pairs = [calf(24 + 2 * n, 64 + 2 * n) for n in range(frames)]
    drawn = np.stack([mask for _, mask in pairs]) if isinstance(masks, str) else masks
    return Recording(
        name=name,
        participant=name.partition("_")[0],
        task="passive",
        frames=Pictures([image for image, _ in pairs]),
        frame_count=frames,
        signals={},
        clock=ClockSource("frames"),
        mm_per_pixel=(0.5, 0.4),
        masks=drawn,
        simulated=True,
        sources=sources,
    )
