"""What was run and on what: facts of a run, told from its files; missing ones are left out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from vitruvian.core.config import Config
from vitruvian.core.rundir import RunDirectory
from vitruvian.report.page.privacy import text_shown, value_shown, words_shown

_VERSIONS = ("torch", "pytorch-lightning", "numpy")
_SIDES = {"train": "to train", "val": "to validate", "test": "to test"}


def study_of(config: Config) -> str:
    """The room that the model comes from, such as `liver`; the package of a foreign one."""
    target = str((config.get("model") or {}).get("_target_", ""))
    parts = target.split(".")
    return parts[1] if parts[0] == "vitruvian" and len(parts) > 1 else parts[0]


def data_of(config: Config, simulated: bool | None, run: Path) -> str:
    """On which data, in words."""
    if simulated is None:
        return "not known yet"
    if simulated:
        return "SIMULATED, made by a program with known ground truth"
    root = (config.get("datamodule") or {}).get("root")
    return "real" if root is None else f"real: {text_shown(str(root), run)}"


def facts(run: RunDirectory, config: Config, simulated: bool | None) -> list[tuple[str, str]]:
    """Name and value of what a reader needs to know to trust, or doubt, the figures."""
    status, environment = run.read_status(), starts(run)
    found = [
        ("experiment", str(config.get("name", "")) or "not told"),
        ("study", study_of(config) or "not told"),
        ("data", data_of(config, simulated, run.path)),
        *split_facts(run),
        ("state", str(status.get("state", "not begun"))),
    ]
    if status.get("reason"):
        found.append(("reason", text_shown(str(status["reason"]), run.path)))
    found += _progress(status)
    if environment:
        found += _machine(environment, status, run.path)
    found += [("weights chosen by", _monitor(config)), ("seed", str(config.get("seed", "")))]
    changes = overrides(run)
    if changes:
        found.append(("overrides", shlex.join(changes)))
    return found


def starts(run: RunDirectory) -> list[Mapping[str, Any]]:
    """What `environment.json` says of each start; empty where it is missing or damaged."""
    try:
        content = json.loads(run.environment_file.read_text(encoding="utf-8"))["starts"]
        return [start for start in content if isinstance(start, dict)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def split_facts(run: RunDirectory) -> list[tuple[str, str]]:
    """How subjects were divided, and how many are on each side."""
    try:
        content = json.loads(run.splits_file.read_text(encoding="utf-8"))
        sides = [f"{len(content[side])} {words}" for side, words in _SIDES.items()]
        return [("split", str(content["kind"])), ("subjects", ", ".join(sides))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def overrides(run: RunDirectory) -> list[str]:
    """What was typed after the verb, without what a page must not tell."""
    try:
        lines = run.overrides_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return words_shown(["", *lines], run.path)[1:]


def _progress(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    step, total = status.get("step"), status.get("total_steps")
    if step is None:
        return []
    epochs = f", {status['epoch']} epochs" if "epoch" in status else ""
    return [("trained", f"{step} of {total or '?'} optimiser steps{epochs}")]


def _machine(
    environment: list[Mapping[str, Any]], status: Mapping[str, Any], run: Path
) -> list[tuple[str, str]]:
    first, last = environment[0], environment[-1]
    packages = last.get("packages") or {}
    versions = [f"{name} {packages[name]}" for name in _VERSIONS if name in packages]
    gpus = ", ".join(last.get("gpus") or ()) or "no GPU"
    found = [
        ("code", commit_of(last)),
        ("versions", ", ".join([f"Python {last.get('python', '?')}", *versions])),
        ("hardware", f"{last.get('cpu_cores', '?')} processor cores, {gpus}"),
        ("started", str(first.get("started", "not told"))),
    ]
    if len(environment) > 1:
        found.append(("continued", f"{len(environment) - 1} times, last {last.get('started')}"))
    taken = seconds_between(first.get("started"), status.get("updated"))
    if taken is not None:
        found.append(("took", f"{duration(taken)} from the first start to the last word"))
    words = [str(word) for word in last.get("command") or ()]
    return [*found, ("command", shlex.join(words_shown(words, run)))] if words else found


def commit_of(start: Mapping[str, Any]) -> str:
    """Version and commit of a start, and whether the code had been changed since."""
    version, git = f"Vitruvian {start.get('vitruvian', '?')}", start.get("git") or {}
    if "commit" not in git:
        return f"{version}, outside git"
    modified = ", MODIFIED since (the changes are in environment.json)" if git.get("diff") else ""
    return f"{version}, commit {git['commit'][:12]}{modified}"


def seconds_between(since: Any, until: Any) -> float | None:
    """Seconds between two moments as text; None where one is not known."""
    try:
        begin, end = datetime.fromisoformat(since), datetime.fromisoformat(until)
        return (end - begin).total_seconds()
    except (TypeError, ValueError):
        return None


def duration(seconds: float) -> str:
    """Seconds in words: `48 s`, `12 min`, `3 h 05 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _monitor(config: Config) -> str:
    monitor = config.get("monitor") or {}
    return f"{monitor.get('metric', '?')} ({monitor.get('mode', '?')})"


def flattened(config: Mapping[str, Any], run: Path, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a configuration with dots, and its value as a page shows it."""
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flattened(value, run, f"{name}.")
        else:
            yield name, value_shown(name, value, run)
