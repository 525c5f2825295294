"""Train the ablation rows of paper 004 side by side and tabulate what each part brings and costs.

python scripts/liver_ablation.py [key=value ...]

Every argument is an override for all rows; runs are kept in outputs/ablation/ and continued if
they are there. Without datamodule.root the data are simulated, and the table says so.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from vitruvian.core.config import Config
from vitruvian.core.cost import macs, parameters, step_seconds
from vitruvian.core.engine import build_task, set_processor
from vitruvian.core.files import write_text
from vitruvian.core.rundir import RunDirectory

ROWS = {
    "U-Net": ("liver_unet2d",),
    "separable": ("liver_ablation_separable",),
    "separable + EAS": ("liver_ablation_eas",),
    "separable + EAS + fusion": ("liver_eas_unet",),
    "the same, first convolution full": ("liver_eas_unet", "model.net.stem=plain"),
}
FOLDER = Path("outputs/ablation")
STEPS = 12


def train(name: str, experiment: str, *overrides: str) -> RunDirectory:
    """Train a row, or continue it."""
    run = RunDirectory(FOLDER / re.sub(r"\W+", "_", name))
    arguments = [f"run={run.path}"]
    if not run.exists:
        arguments += [f"experiment={experiment}", *overrides]
    subprocess.run([sys.executable, "-m", "vitruvian.train", *arguments], check=True)
    return run


def batches(config: Config) -> list[dict[str, torch.Tensor]]:
    """Random batches of the size that the row trains on: what they show costs the same."""
    data = config["datamodule"]
    n, c, size = data["batch_size"], data["context"], data["patch"]
    return [
        {
            "image": torch.randint(-200, 250, (n, c, *size), dtype=torch.int16),
            "label": torch.randint(0, 2, (n, *size), dtype=torch.uint8),
            "seed": torch.arange(n),
        }
        for _ in range(STEPS)
    ]


def row(name: str, run: RunDirectory) -> str:
    """One line of the table."""
    config = run.config
    set_processor(config)
    task = build_task(config)
    shape = (1, config["datamodule"]["context"], *config["datamodule"]["patch"])
    model = result(run)
    cells = [
        name,
        f"{parameters(task.net):,}",
        f"{macs(task.net, shape) / 1e9:.3f}",
        f"{step_seconds(task, batches(config)):.3f}",
        interval(model["dice"]),
        interval(model["assd_mm"]),
        interval(model["dice_small"]),
    ]
    return f"| {' | '.join(cells)} |"


def result(run: RunDirectory) -> dict[str, Any]:
    """Statistics of the model on the test patients."""
    (path,) = run.evaluation.glob("test*.json")
    groups = json.loads(path.read_text(encoding="utf-8"))["groups"]
    metrics: dict[str, Any] = next(g["metrics"] for g in groups if g["predictor"] == "model")
    return metrics


def interval(statistic: dict[str, Any]) -> str:
    """Mean and 95 % confidence interval."""
    low, high = statistic["ci_low"], statistic["ci_high"]
    if low is None:
        return f"{statistic['mean']:.3f}"
    return f"{statistic['mean']:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Train all rows, then measure and print the table."""
    runs = {name: train(name, *row, *sys.argv[1:]) for name, row in ROWS.items()}
    simulated = any(
        "simulated" in p.name for run in runs.values() for p in run.evaluation.iterdir()
    )
    lines = [
        "SIMULATED data" if simulated else "",
        "| row | parameters | GMAC | s/step | Dice | ASSD mm | Dice, smallest third |",
        "|---|---|---|---|---|---|---|",
        *(row(name, run) for name, run in runs.items()),
    ]
    table = "\n".join(lines).strip() + "\n"
    name = "table_simulated.md" if simulated else "table.md"
    write_text(FOLDER / name, table)
    print(table)


if __name__ == "__main__":
    main()
