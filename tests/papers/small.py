"""A paper that nobody wrote: two experiments, two seeds, a table, claims and an audit line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.integration.runs import SMALL

SHARED = [text for text in SMALL if not text.startswith("experiment=")]


def content(**changes: Any) -> dict[str, Any]:
    """The file as plain data; `changes` take the place of whole keys."""
    return {
        "title": "Livers of moderate size",
        "authors": "Nobody et al.",
        "year": 2024,
        "where": "in a test",
        "study": "liver",
        "presets": {
            "quick": {
                "about": "tiny phantoms",
                "simulated": True,
                "overrides": SHARED,
                "repeats": {"seed": [0, 1]},
            },
            "full": {
                "about": "real livers",
                "simulated": False,
                "repeats": {"seed": [0], "split.fold": [0, 1]},
                "needs": {"datamodule.root": "a folder of CT volumes"},
            },
        },
        "experiments": {
            "plain": {
                "label": "without attention",
                "overrides": ["experiment=liver_demo", "model.net.eas=false"],
            },
            "eas": {
                "label": "with attention",
                "overrides": ["experiment=liver_demo", "model.net.eas=true"],
                "presets": {"quick": ["optimizer.lr=0.002"]},
            },
        },
        "tables": [
            {
                "key": "one",
                "title": "Table 1",
                "rows": ["plain", "eas"],
                "metrics": ["dice", "voe"],
                "reference": "plain",
                "costs": True,
            }
        ],
        "claims": [
            {
                "key": "dice",
                "quote": "Dice of 92.20",
                "where": "Table 1",
                "kind": "figure",
                "experiment": "eas",
                "metric": "dice",
                "value": "92.20",
                "unit": "%",
                "factor": 100,
            },
            {
                "key": "better",
                "quote": "attention helps",
                "where": "Abstract",
                "kind": "order",
                "experiment": "eas",
                "rival": "plain",
                "metric": "dice",
            },
            {
                "key": "smaller",
                "quote": "fewer parameters",
                "where": "Abstract",
                "kind": "cost",
                "experiment": "plain",
                "rival": "eas",
                "metric": "parameters",
                "higher_is_better": "false",
            },
        ],
        "audit": [{"row": "EAS", "numbers": {"dice": "92.20", "voe": "93.05"}, "claims": ["dice"]}],
    } | changes


def write_paper(folder: Path, name: str = "small", **changes: Any) -> Path:
    """The file on disk."""
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content(**changes), sort_keys=False), encoding="utf-8")
    return file
