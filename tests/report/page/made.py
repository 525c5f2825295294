"""A run, a sweep and a reproduction made by hand: small, with all that a page shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.core.evaluation import Row, summarise, write
from vitruvian.core.gallery import Gallery
from vitruvian.core.rundir import COMPLETE, RunDirectory
from vitruvian.papers.figures import number
from vitruvian.papers.paper import Claim, Paper, Preset
from vitruvian.papers.results import (
    Estimate,
    Judged,
    Line,
    PairedTest,
    Reproduction,
    ResultTable,
    RunLink,
    Verdict,
)
from vitruvian.report.charts import axis, chart, layer

HOSTILE = "</script><script>alert(1)</script>"
SECRET = "hunter2hunter2"


def make_run(
    path: Path, simulated: bool = True, lr: float = 0.01, dice: float = 0.9
) -> RunDirectory:
    """A complete run with one evaluation, two charts and a picture."""
    run = RunDirectory(path)
    config: dict[str, Any] = {
        "name": "liver_small",
        "seed": 0,
        "monitor": {"metric": "val/liver_dice", "mode": "max"},
        "model": {"_target_": "vitruvian.liver.segmenter.Segmenter"},
        "datamodule": {"root": "/home/jane.doe/scans/lits/volumes"},
        "optimizer": {"lr": lr},
        "logger": {"server": f"https://jane:{SECRET}@tracker.example", "api_key": SECRET},
    }
    run.claim(config, [f"optimizer.lr={lr}", f"logger.api_key={SECRET}"])
    run.write_status(COMPLETE, epoch=3, step=30, total_steps=30, host="ward-7", simulated=simulated)
    start = {
        "started": "2026-11-20T10:00:00+00:00",
        "vitruvian": "0.1.0",
        "command": ["/home/jane.doe/bin/vitruvian-train", f"logger.api_key={SECRET}"],
        "python": "3.11.7",
        "host": "ward-7",
        "cpu_cores": 2,
        "gpus": [],
        "git": {"commit": "0123456789abcdef", "diff": "+ changed"},
        "packages": {"torch": "2.9.0"},
    }
    run.environment_file.write_text(json.dumps({"starts": [start]}))
    sides = {"train": ["1", "2"], "val": ["3"], "test": ["4", "5"], "kind": "5-fold, fold 0"}
    run.splits_file.write_text(json.dumps(sides))
    logged = [f"{e},{e * 10},{1 / (e + 1)},{dice - 0.3 / (e + 1)}" for e in range(4)]
    head = "epoch,step,train/epoch_loss,val/liver_dice"
    run.metrics_file.write_text("\n".join([head, *logged]) + "\n")
    _evaluate(run, simulated, dice)
    return run


def cut_to(file: Path, share: float = 1.0, lines: int | None = None) -> None:
    """Cut a file, within its last line or after some whole ones."""
    content = file.read_bytes()
    whole = b"".join(content.splitlines(keepends=True)[:lines])
    file.write_bytes(whole if lines else content[: int(len(content) * share) - 1])


def _evaluate(run: RunDirectory, simulated: bool, dice: float) -> None:
    values = {"model": (dice, dice - 0.1, 0.7), "baseline: HU threshold": (0.6, 0.5, 0.4)}
    rows: list[Row] = [
        {"case": case, "predictor": who, "dice": value}
        for who, own in values.items()
        for case, value in zip(("4", "5", HOSTILE), own, strict=True)
    ]
    name = f"test{'_simulated' if simulated else ''}"
    pooled = {who: {"global_dice": np.mean(own)} for who, own in values.items()}
    notes = {"split": "5-fold, fold 0", "pooled": pooled, "view": "", "reported": ["dice"]}
    write(rows, summarise(rows, resamples=50), run.evaluation, name, simulated, notes)
    gallery = Gallery(run.figures / name, simulated)
    for title in ("first", "second"):
        points = [{"case": row["case"], "dice": row["dice"]} for row in rows]
        marks = layer("point", x=axis("dice", "Dice"), y=axis("case", "case", kind="nominal"))
        gallery.chart(title, f"The {title} chart", f"Dice, {title} time.", chart(points, marks))
    import cv2

    with gallery.picture("worst", "Worst case", "The worst case, beside the truth.") as file:
        file.write_bytes(cv2.imencode(".png", np.zeros((40, 60), np.uint8))[1].tobytes())


def reproduction(simulated: bool = True, run: str = "runs/0000") -> Reproduction:
    """A reproduction with a claim of each kind."""
    claims = (
        Claim("dice", "outperforms", "Table 1, row 3", "figure", "eas", metric="dice", value=92.2),
        Claim("faster", "is faster", "section V", "untested", why="no times are printed"),
        Claim("voe", f"VOE of 40 {HOSTILE}", "Table 1, row 1", "figure", metric="voe", value=40.0),
        Claim("small", "small", "abstract", "cost", "eas", "unet", "parameters", unit="parameters"),
        Claim("light", "light", "abstract", "cost", "eas", "unet", "macs",
              unit="multiply-accumulates"),
    )  # fmt: skip
    ours = Estimate(81.0, 4.0, 78.0, 84.0, 8)
    judged = (
        Judged(claims[0], Verdict.NOT_COMPARABLE, "simulated", ours, None, ("empty", ours)),
        Judged(claims[1], Verdict.PENDING, "no run yet"),
        Judged(claims[2], Verdict.IMPOSSIBLE, "1 - 0.89 <= VOE", ours),
        Judged(claims[3], Verdict.REPRODUCED, "less", number(8661226), number(31036546)),
        Judged(claims[4], Verdict.REPRODUCED, "less", number(8.184e9), number(4.81e10)),
        Judged(claims[1], Verdict.NOT_COMPARABLE, "no times"),
    )
    paper = Paper(
        "wang2024", "A liver net", "Wang, Li", 2024, "A journal", "liver",
        {"quick": Preset("minutes on 2 cores", True)}, {}, (), claims, (),
    )  # fmt: skip
    lines = (
        Line("EAS", "eas", False, {"dice": ours}, {"dice": 92.2}, runs=(1, 1)),
        Line("U-Net", "unet", False, {"dice": ours}, {}, {"dice": PairedTest(8, -1, 0.02, 0.04)}),
        Line("empty", "eas", True, {"dice": ours}),
    )
    table = ResultTable("one", "Table 1 (simulated)", ("dice", "voe"), lines, "eas")
    links = (RunLink(run, "eas", "EAS, seed 0", "completed"),)
    return Reproduction(
        paper, "quick", simulated, "5-fold", (table,), judged,
        ("row 3: voe 19.20 is impossible with dice 89.13",), links, "0123abc", "2 cores", 75.0,
        ("vitruvian-reproduce paper=wang2024",),
    )  # fmt: skip
