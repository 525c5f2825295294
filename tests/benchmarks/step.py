"""A training step of EAS U-Net: window, augmentation, forward, loss, backward, optimiser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch

from tests.benchmarks.harness import Row, Scale, Work, side_by_side
from vitruvian.core.cost import one_thread
from vitruvian.liver.augment import FlipRotate
from vitruvian.liver.inference import Inference
from vitruvian.liver.losses import CEDice, DeepSupervised
from vitruvian.liver.nets import EASUNet
from vitruvian.liver.segmenter import LiverSegmenter


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """All against the same step in eager float32 and PyTorch's default memory order (NCHW).

    One torch thread: with more, a busy machine changes the time of a step tenfold.
    """
    with one_thread():
        yield from _rows(scale)


def _rows(scale: Scale) -> Iterator[Row]:
    plain = _step(scale)
    ours = {
        "channels_last": {"channels_last": True},
        "bf16 autocast": {"bf16": True},
        "channels_last, bf16 autocast": {"channels_last": True, "bf16": True},
    }
    if scale.compile:
        ours["channels_last, compile"] = {"channels_last": True, "compile": True}
    for name, settings in ours.items():
        ratio = side_by_side(_step(scale, **settings), plain, scale.repetitions)
        yield Row(f"step: {name}", ratio, "ms")


def _step(
    scale: Scale, channels_last: bool = False, compile: bool = False, bf16: bool = False
) -> Work:
    task = LiverSegmenter(
        EASUNet(width=scale.width),
        DeepSupervised(CEDice()),
        partial(torch.optim.SGD, lr=0.01, momentum=0.9, weight_decay=1e-4),
        Inference(),
        augment=FlipRotate(),
        channels_last=channels_last,
        compile=compile,
    )
    optimizer = task.configure_optimizers()
    batch = _batch(scale.step_batch, scale.crop)

    def work() -> int:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            loss = task.training_loss(batch)
        loss.backward()
        optimizer.step()
        assert loss.isfinite()
        return 1

    return work


def _batch(count: int, size: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randint, generator=generator)
    return {
        "image": draw(-300, 300, (count, 1, size, size), dtype=torch.int16),
        "label": draw(0, 2, (count, size, size), dtype=torch.uint8),
        "seed": draw(0, 1 << 62, (count,)),
    }
