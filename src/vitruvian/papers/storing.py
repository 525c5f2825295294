"""A reproduction on disk: `results.json`, and the same as tables for spreadsheets and papers.

    results.json                    everything; reads back as it was
    claims[_simulated].csv, .md     every claim with its verdict
    table_KEY[_simulated].csv, .md  the result tables

Nothing here imports torch.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from vitruvian.core.errors import DataError
from vitruvian.core.files import atomic, write_json, write_text
from vitruvian.papers.cells import (
    NOTHING,
    columns_of,
    figure_cell,
    number_cell,
    reads,
    table_cells,
)
from vitruvian.papers.results import Estimate, Judged, Line, Reproduction, ResultTable

RESULTS = "results.json"
_ESTIMATE = ("mean", "sd", "ci_low", "ci_high", "n", "sd_runs")


def store(found: Reproduction, folder: Path) -> list[Path]:
    """Write everything; each file whole or not at all.

    Raises:
        RunError: the folder cannot be written.
    """
    suffix = "_simulated" if found.simulated else ""
    write_json(folder / RESULTS, plain(found))
    files = [folder / RESULTS]
    claims = folder / f"claims{suffix}.csv"
    _write_csv(claims, *claims_table(found))
    write_text(claims.with_suffix(".md"), claims_markdown(found))
    files += [claims, claims.with_suffix(".md")]
    for table in found.tables:
        file = folder / f"table_{table.key}{suffix}.csv"
        _write_csv(file, *figures_table(table, found.simulated))
        write_text(file.with_suffix(".md"), table_markdown(table, found.simulated))
        files += [file, file.with_suffix(".md")]
    return files


def load(folder: Path) -> Reproduction:
    """Read `results.json`.

    Raises:
        DataError: there is none, or it is damaged.
    """
    file = folder / RESULTS
    try:
        found: Reproduction = _typed(json.loads(file.read_text(encoding="utf-8")), Reproduction)
    except FileNotFoundError as error:
        raise DataError(f"{folder}: no reproduction here (it would hold a {RESULTS})") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is damaged ({' '.join(str(error).split())})") from error
    return found


# -- plain data and back --------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Dataclasses as plain data for JSON, which knows no NaN: null."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return None if isinstance(value, float) and math.isnan(value) else value


def _typed(node: Any, kind: Any) -> Any:
    """Plain data as what the type says; what `plain` made of it."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (own,) = (one for one in inner if one is not NoneType)
        return None if node is None else _typed(node, own)
    if is_dataclass(kind):
        return _record(node, kind)
    if origin is tuple:
        kinds = inner[:1] * len(node) if inner[-1] is Ellipsis else inner
        return tuple(_typed(*pair) for pair in zip(node, kinds, strict=True))
    if origin is Mapping:
        return {key: _typed(value, inner[1]) for key, value in node.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(node)
    return math.nan if kind is float and node is None else node


def _record(node: Mapping[str, Any], kind: Any) -> Any:
    hints = get_type_hints(kind)
    return kind(**{name: _typed(value, hints[name]) for name, value in node.items()})


# -- tables ---------------------------------------------------------------------------------------

Rows = tuple[list[str], list[list[Any]]]  # the header and the lines


def claims_table(found: Reproduction) -> Rows:
    """One line for each claim, numbers with all their digits, in the printed unit."""
    head = ["data", "paper", "claim", "where", "quote", "metric", "unit", "bound", "printed"]
    head += [f"ours_{name}" for name in _ESTIMATE]
    head += ["rival", "baseline", "baseline_mean", "verdict", "reason"]
    data = _origin(found.simulated)
    return head, [[_data(one, data), found.paper.key, *_claim_line(one)] for one in found.claims]


def _data(judged: Judged, data: str) -> str:
    """The origin of what a claim was judged by; sizes and times of nets need none."""
    return "none needed" if judged.claim.kind in ("cost", "measured") else data


def _claim_line(judged: Judged) -> list[Any]:
    claim = judged.claim
    who, baseline = judged.baseline or ("", None)
    return [
        *(claim.key, claim.where, claim.quote, claim.metric, claim.unit, claim.bound, claim.value),
        *_numbers(judged.ours),
        judged.rival and judged.rival.mean,
        *(who, baseline and baseline.mean),
        *(str(judged.verdict), judged.reason),
    ]


def figures_table(table: ResultTable, simulated: bool) -> Rows:
    """One line for each row of a result table, numbers with all their digits."""
    head = ["data", "row", "experiment", "baseline", "runs", "runs_asked"]
    for metric in table.metrics:
        head += [f"{metric}_{name}" for name in (*_ESTIMATE, "printed", "p", "p_holm")]
    head += ["parameters", "macs", "step_s"]
    return head, [[_origin(simulated), *_figures_line(table, line)] for line in table.lines]


def _figures_line(table: ResultTable, line: Line) -> list[Any]:
    cells: list[Any] = [line.label, line.experiment, str(line.baseline).lower(), *line.runs]
    for metric in table.metrics:
        test = line.tests.get(metric)
        cells += [*_numbers(line.figures.get(metric)), line.printed.get(metric)]
        cells += [test and test.p, test and test.p_holm]
    cost = line.cost
    return [*cells, cost and cost.parameters, cost and cost.macs, cost and cost.step_s]


def _numbers(estimate: Estimate | None) -> list[Any]:
    return [getattr(estimate, name) if estimate else None for name in _ESTIMATE]


def _origin(simulated: bool) -> str:
    return "simulated" if simulated else "real"


def _write_csv(file: Path, head: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """What is not known is an empty cell, also NaN."""
    with atomic(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([["" if _unknown(cell) else cell for cell in line] for line in lines])


def _unknown(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


# -- as Markdown ----------------------------------------------------------------------------------


def claims_markdown(found: Reproduction) -> str:
    """The claims, rounded, for people."""
    title = f"{found.paper.title}: claims"
    head = ["claim", "where", "printed", "ours", "baseline", "verdict", "why"]
    lines = [_claim_cells(judged) for judged in found.claims]
    return _markdown(title, found.simulated, head, lines, filter(None, [found.caveat]))


def _claim_cells(judged: Judged) -> list[str]:
    claim, rival = judged.claim, judged.baseline
    return [
        *(claim.quote, claim.where, reads(claim), figure_cell(judged.ours, claim)),
        f"{rival[0]}: {number_cell(rival[1].mean)}" if rival else NOTHING,
        *(str(judged.verdict), judged.reason),
    ]


def table_markdown(table: ResultTable, simulated: bool) -> str:
    """A result table, rounded, for people."""
    lines = [list(table_cells(table, line)) for line in table.lines]
    return _markdown(table.title, simulated, columns_of(table), lines, table.notes)


def _markdown(
    title: str,
    simulated: bool,
    head: Sequence[str],
    lines: Sequence[Sequence[str]],
    notes: Iterable[str],
) -> str:
    origin = "SIMULATED data: nothing here reproduces the paper" if simulated else "real data"
    text = [f"**{title}** ({origin})", "", _row(head), _row(["---"] * len(head))]
    text += [_row(line) for line in lines]
    return "\n".join([*text, *(part for note in notes for part in ("", note))]) + "\n"


def _row(cells: Sequence[str]) -> str:
    kept = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(kept)} |"
