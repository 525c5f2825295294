"""What of a run's files cannot be believed: what is cut, is no text, or is gone.

The page of a run shows what is left of it. A page over many runs leaves the figures of such a run
out: half a file reads like a whole one, and may make its run the best.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vitruvian.core.config import Config
from vitruvian.core.errors import RunError
from vitruvian.core.rundir import COMPLETE, RUNNING, RunDirectory

Row = dict[str, str | float]

# The evaluation that a page over many runs takes its figures from: the first by part and length.
_OWN = re.compile(r"(test|val)(_leaky)?(_simulated)?")
_NO_SUMMARY = "is not a summary of an evaluation"


def damage_of(run: RunDirectory) -> list[str]:
    """What is wrong with what a run says and has found, a line for each file; its config aside."""
    checks = (status_damage(run), read_metrics(run)[1], _own_evaluation_damage(run.evaluation))
    return [line for line in checks if line]


# -- what it was and what became of it ------------------------------------------------------------


def read_config(run: RunDirectory) -> tuple[Config, str]:
    """The frozen config, empty where it cannot be read, and what is wrong with its file."""
    if not run.exists:
        return {}, "config.yaml is missing"
    try:
        config = run.config
        whole = run.config_file.read_bytes().endswith(b"\n")
    except RunError as error:
        return {}, f"config.yaml {_yaml_trouble(error)}"
    except OSError as error:
        return {}, f"config.yaml cannot be read: {error.strerror}"
    return config, "" if whole else "config.yaml is cut: its last line has no end"


def _yaml_trouble(error: RunError) -> str:
    cause = error.__cause__
    if isinstance(cause, yaml.MarkedYAMLError) and cause.problem_mark is not None:
        return f"is not valid YAML, line {cause.problem_mark.line + 1}"
    return "is not valid YAML" if cause is not None else "holds no configuration"


def status_damage(run: RunDirectory) -> str:
    """What is wrong with `status.json`; nothing where the run has not begun."""
    if run.status is not None:
        return ""
    unknown = "nobody knows whether the run has ended"
    if run.status_file.exists():
        return f"status.json is damaged: {unknown}"
    begun = run.metrics_file.exists() or any(run.evaluation.glob("*.json"))
    return f"status.json is missing: {unknown}" if begun else ""


# -- what was logged and evaluated ----------------------------------------------------------------


def read_metrics(run: RunDirectory) -> tuple[list[dict[str, float]], str]:
    """The rows of `metrics.csv` up to the first damaged one, and what is wrong with the file.

    A run that says that it is running may be writing its last line, and one that is not complete
    may have logged nothing.
    """
    status = run.read_status()
    state = status.get("state")
    if state != COMPLETE and not run.metrics_file.exists():
        return [], ""
    found, trouble = read_table(run.metrics_file, growing=state == RUNNING)
    rows = [{key: float(value) for key, value in row.items()} for row in found]
    if state == COMPLETE and not trouble:
        trouble = _ends_early(rows, status.get("metrics"))
    return rows, trouble


def _ends_early(rows: Sequence[Mapping[str, float]], told: Any) -> str:
    """Whether the table was cut between two lines: `status.json` repeats the last validation."""
    if not rows:
        return "metrics.csv holds no row"
    for name, value in (told if isinstance(told, Mapping) else {}).items():
        last = next((row[name] for row in reversed(rows) if name in row), None)
        known = last is not None and isinstance(value, float) and math.isfinite(value)
        if known and not math.isclose(last or 0.0, value, rel_tol=1e-6, abs_tol=1e-12):
            return "metrics.csv ends before the last validation that status.json tells of"
    return ""


def evaluation_damage(folder: Path, name: str) -> str:
    """What is wrong with the two files of an evaluation, with file and line; empty if nothing."""
    outline, table = folder / f"{name}.json", folder / f"{name}.csv"
    try:
        content = json.loads(outline.read_bytes())
        counts, words = _counts(content), {*content["keys"], "data"}
    except OSError as error:
        trouble = _unreadable(outline, error)
    except json.JSONDecodeError as error:
        trouble = f"{outline.name} is not JSON, line {error.lineno}"
    except UnicodeDecodeError:
        trouble = f"{outline.name} is not text"
    except (KeyError, TypeError, AttributeError, ValueError):
        trouble = f"{outline.name} {_NO_SUMMARY}"
    else:
        rows, trouble = read_table(table, words)
        trouble = trouble or _uncounted(table, rows, content["by"], counts)
    return f"{folder.name}/{trouble}" if trouble else ""


def _own_evaluation_damage(folder: Path) -> str:
    files = [*folder.glob("*.json"), *folder.glob("*.csv")]
    own = {file.stem for file in files if _OWN.fullmatch(file.stem)}
    if not own:
        return ""
    return evaluation_damage(folder, min(own, key=lambda name: (name.split("_")[0], len(name))))


def _counts(content: Mapping[str, Any]) -> dict[tuple[Any, ...], int]:
    """How many cases each group has, as the summary of an evaluation says."""
    return {
        tuple(group[key] for key in content["by"]): max(
            (int(found["n"] + found["n_nan"]) for found in group["metrics"].values()), default=0
        )
        for group in content["groups"]
    }


def _uncounted(
    table: Path, rows: Sequence[Row], by: Sequence[str], counts: Mapping[tuple[Any, ...], int]
) -> str:
    """Whether the table lacks cases that its summary counts: it was cut between two lines.

    It may have more: where folds are joined, a summary counts participants with several cases each.
    """
    cases: dict[tuple[Any, ...], set[Any]] = {}
    for row in rows:
        cases.setdefault(tuple(row.get(key) for key in by), set()).add(row.get("case"))
    for group, count in counts.items():
        found = len(cases.get(group, ()))
        if found < count:
            who = " / ".join(map(str, group))
            return f"{table.name} has {found} of the {count} cases of {who} in {table.stem}.json"
    return ""


# -- any table ------------------------------------------------------------------------------------


def read_table(
    file: Path, words: Collection[str] = (), growing: bool = False
) -> tuple[list[Row], str]:
    """The rows of a CSV file up to the first damaged one; empty cells are left out.

    Args:
        file: the table.
        words: its columns that hold text; all others hold numbers.
        growing: whether a last line without an end is still being written, and no damage.

    Returns:
        The rows, and what is wrong with the file, with the line; empty if nothing is.
    """
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        return [], _unreadable(file, error)
    except UnicodeDecodeError:
        return [], f"{file.name} is not text"
    if not text.strip() or "\0" in text:
        return [], f"{file.name} is {'not text' if text.strip() else 'empty'}"
    whole = text[: text.rfind("\n") + 1]
    rows, trouble = _rows(whole, words)
    if not trouble and whole != text and not growing:
        trouble = f"line {whole.count(chr(10)) + 1} is cut"
    return rows, f"{file.name}, {trouble}" if trouble else ""


def _rows(text: str, words: Collection[str]) -> tuple[list[Row], str]:
    reader = csv.reader(io.StringIO(text, newline=""))
    head: list[str] = next(reader, [])
    found: list[Row] = []
    for cells in filter(None, reader):
        if len(cells) != len(head):
            cut = "is cut: it has" if len(cells) < len(head) else "has"
            return found, f"line {reader.line_num} {cut} {len(cells)} cells, its head {len(head)}"
        row: Row = {}
        for column, cell in zip(head, cells, strict=True):
            try:
                row |= {column: cell if column in words else float(cell)} if cell else {}
            except ValueError:
                told = f"line {reader.line_num}, column {column}: {cell[:40]!r} is no number"
                return found, told
        found.append(row)
    return found, ""


def _unreadable(file: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{file.name} is missing"
    return f"{file.name} cannot be read: {error.strerror}"
