"""Small files in the formats of the public skeleton sets, of made-up numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from vitruvian.spine.data.uiprmd import REPETITIONS


def write_uiprmd(root: Path, people: int = 5, frames: int = 40, packed: bool = True) -> Path:
    """A correct and an incorrect deep squat of each person, as the repository lays them out."""
    rng = np.random.default_rng(0)
    for person in range(1, people + 1):
        for how, ending in (("correct", ""), ("incorrect", "_inc")):
            folder = root / "kinect_positions" / how
            folder.mkdir(parents=True, exist_ok=True)
            values = rng.normal(size=(frames + person, 66)) + (how == "incorrect")
            text = "\n".join(",".join(f"{value:.6f}" for value in row) for row in values) + "\n"
            path = folder / f"m01_s{person:02d}_e01_positions{ending}.txt"
            if packed:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(text.encode()))
            else:
                path.write_text(text)
    return root


def write_scored(root: Path, frames: int = 12) -> Path:
    """The deep squat's channels and scores: 90 correct and 90 incorrect sequences."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    count = sum(REPETITIONS)
    for how, score in (("Correct", 0.95), ("Incorrect", 0.8)):
        values = rng.normal(size=(count, 4 * frames))
        table = "\n".join(",".join(f"{v:.5f}" for v in row) for row in values)
        (root / f"Autoencoder_Output_{how}.csv.gz").write_bytes(gzip.compress(table.encode()))
        labels = "\n".join(f"{score + 0.01 * rng.uniform():.5f}" for _ in range(count))
        (root / f"Labels_{how}.csv").write_text(labels)
    return root


def write_rehab_pile(
    root: Path,
    name: str = "KIMORE_reg_LA",
    joints: int = 18,
    frames: int = 20,
    counts: tuple[int, int] = (6, 4),
) -> Path:
    """A fold as aeon keeps it: (sequences, channels, frames) and one target each."""
    rng = np.random.default_rng(0)
    task = "regression" if "_reg" in name else "classification"
    folder = root / task / name / "0"
    folder.mkdir(parents=True, exist_ok=True)
    for side, count in zip(("train", "test"), counts, strict=True):
        sequences = rng.normal(size=(count, 3 * joints, frames))
        targets = np.arange(count) % 2 if task == "classification" else rng.uniform(20, 90, count)
        np.save(folder / f"x_{side}_fold0.npy", sequences)
        np.save(folder / f"y_{side}_fold0.npy", targets)
    return root
