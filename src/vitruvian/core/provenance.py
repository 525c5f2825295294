"""Where a number came from: code, packages and machine, written beside every run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from vitruvian import __version__
from vitruvian.core.config import Config
from vitruvian.core.files import write_json
from vitruvian.core.rundir import RunDirectory


def environment() -> dict[str, Any]:
    """Describe the code, the packages and the hardware of this process, as plain data."""
    import torch

    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "vitruvian": __version__,
        "command": sys.argv,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "host": platform.node(),
        "cpu_cores": os.cpu_count(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "git": git_state(Path(__file__).parent),
        "packages": packages(),
    }


def record_start(path: Path) -> None:
    """Write `environment.json`; a continued run keeps the entries of its earlier starts."""
    try:
        earlier = list(json.loads(path.read_text(encoding="utf-8"))["starts"])
    except (OSError, ValueError, KeyError, TypeError):
        earlier = []
    write_json(path, {"starts": [*earlier, environment()]})


def of_prediction(config: Config, checkpoint: Path) -> dict[str, Any]:
    """What a prediction says of its origin: run, weights, model and versions; all plain data."""
    from vitruvian.core.checkpoint import load_checkpoint
    from vitruvian.core.task import SIMULATED_KEY

    run = RunDirectory(checkpoint.parent.parent)
    return {
        "run": str(run.path) if run.exists else None,
        "checkpoint": str(checkpoint.resolve()),
        "checkpoint_sha256": sha256(checkpoint),
        SIMULATED_KEY: load_checkpoint(checkpoint).get(SIMULATED_KEY),
        "model": config["model"],
        "versions": versions(),
    }


def versions() -> dict[str, str | None]:
    """What a result depends on, in short: Vitruvian and its commit, Python, and the arithmetic."""
    git = git_state(Path(__file__).parent)
    commit = None if git is None else git["commit"] + ("-modified" if git["diff"] else "")
    numeric = {name: metadata.version(name) for name in ("torch", "numpy")}
    return {
        "vitruvian": __version__,
        "commit": commit,
        "python": sys.version.split()[0],
        **numeric,
    }


def packages() -> dict[str, str]:
    """Name and version of every installed distribution."""
    found = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def git_state(folder: Path) -> dict[str, str] | None:
    """Commit and uncommitted changes of the checkout that holds this code; None outside git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or _git(folder, "ls-files", "--error-unmatch", "provenance.py") is None:
        return None
    return {"commit": commit.strip(), "diff": _git(folder, "diff", "HEAD", "--", ":/") or ""}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex digits."""
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
