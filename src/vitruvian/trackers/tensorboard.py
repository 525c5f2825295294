"""TensorBoard: event files in `tensorboard/` of the run directory; no account, no network."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vitruvian.core.evaluation import Statistic
from vitruvian.core.history import Values
from vitruvian.core.rundir import COMPLETE, FAILED
from vitruvian.core.subject import Findings, Parameter, Subject, Table, as_text
from vitruvian.core.tracker_file import Entry
from vitruvian.core.tracking import Tracker, newer
from vitruvian.trackers.events import EventFile
from vitruvian.trackers.needed import need

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "tensorboard"
_WATCHING = ("callbacks.", "logger.")
_SHOWN = 40  # rows of a table of cases: the file holds all


class TensorBoard(Tracker):
    """Curves, pictures, tables and hyper-parameters in event files; `make dashboard` shows them.

    Args:
        charts: show the charts of the evaluation beside its pictures; drawing them takes time.
    """

    kind = "TensorBoard"

    def __init__(self, charts: bool = False) -> None:
        super().__init__()
        need("tensorboard", "tensorboard")
        self._charts = charts
        self._file: EventFile
        self._known: dict[str, float] = {}
        self._step = 0

    def _begin(self, subject: Subject, entry: Entry) -> Entry:
        self._folder: Path = subject.run.path / FOLDER
        self._about = subject
        self._fresh = entry.id is None or not self._folder.is_dir()
        if self._fresh:
            self._start_anew()
        else:
            self._known, self._step = {}, 0
            self._file = EventFile(self._folder)
        return Entry(id=FOLDER, place=FOLDER)

    def _start_anew(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._known, self._step = {}, 0
        self._file = EventFile(self._folder)
        self._describe(self._about)

    def _describe(self, subject: Subject) -> None:
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        start = SessionStartInfo(start_time_secs=time.time())
        for key, value in _hyper_parameters(subject).items():
            _set(start.hparams[key], value)
        told = HParamsPluginData(session_start_info=start)
        self._file.hparams("_hparams_/session_start_info", told)
        self._file.text("run/config", f"```yaml\n{subject.config}\n```")
        what = {"run": subject.title, "data": subject.data, "sweep": subject.group, **subject.axes}
        packages = subject.environment.get("packages") or {}
        environment = {k: v for k, v in subject.environment.items() if k != "packages"}
        self._file.text("run/what", as_text({k: v for k, v in what.items() if v is not None}))
        self._file.text("run/environment", as_text(environment | packages))

    def _rewind(self, rows: Sequence[Values]) -> None:
        """Purge from the last step that stands; what stood at that step is written again."""
        last = int(rows[-1]["step"]) if rows else 0
        if last == 0 or self._fresh:  # the description stands at step 0
            self._start_anew()
            standing = 0
        else:
            self._file.restart(last)
            standing = last
        self._known, self._step = {}, last
        for row in rows:
            if row["step"] < standing:
                newer(row, self._known)
            else:
                self._add(row)

    def _add(self, values: Values) -> None:
        self._step = int(values["step"])
        self._file.scalars(newer(values, self._known), self._step)

    def _show(self, findings: Findings) -> None:
        for table in findings.main:
            self._file.scalars(table.headline, findings.step)
            self._file.text(f"results/{table.name}", _intervals(table), findings.step)
        for table in findings.tables:
            self._file.text(f"evaluation/{table.name}", _cases(table), findings.step)
        for picture in findings.figures(self._charts):
            png, figure = picture.file.read_bytes(), picture.figure
            title = f"{figure.title} (simulated)" if "simulated" in figure.file else figure.title
            self._file.picture(picture.name, png, title, figure.caption, findings.step)

    def _end(self, state: str) -> None:
        """TensorBoard believes the first end that it is told, so a stop is none."""
        from tensorboard.plugins.hparams.api_pb2 import Status
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        self._file.text("run/state", state, self._step)
        if state in (COMPLETE, FAILED):
            status = Status.Value("STATUS_SUCCESS" if state == COMPLETE else "STATUS_FAILURE")
            end = SessionEndInfo(status=status, end_time_secs=time.time())
            told = HParamsPluginData(session_end_info=end)
            self._file.hparams("_hparams_/session_end_info", told)


def _hyper_parameters(subject: Subject) -> dict[str, Parameter]:
    """What the page of hyper-parameters compares: of a sweep, its axes.

    That page has a column for each, so the parts that only watch a run are left to `run/config`.
    """
    given = subject.parameters
    if subject.axes:
        return {
            **{a: given.get(a, value) for a, value in subject.axes.items()},
            "data": subject.data,
        }
    kept = {k: v for k, v in given.items() if not k.startswith(_WATCHING) and "._partial_" not in k}
    return {**kept, "data": subject.data}


def _set(holder: Any, value: object) -> None:
    """Fill a `google.protobuf.Value`; numbers are told from text and truth."""
    if isinstance(value, bool):
        holder.bool_value = value
    elif isinstance(value, int | float) and math.isfinite(value):
        holder.number_value = value
    else:
        text = value if isinstance(value, str) else json.dumps(value)
        holder.string_value = text


def _intervals(table: Table) -> str:
    """Mean and 95 % interval of each metric, of the model and of the trivial baselines."""
    summary = table.evaluation.summary
    data = "simulated" if table.evaluation.simulated else "real"
    who = [group[0] for group in summary.groups]
    lines = [f"| {data} data, mean (95 % CI) | {' | '.join(who)} |", f"|{'---|' * (len(who) + 1)}"]
    for metric in summary.metrics:
        figures = (_figure(found.get(metric)) for found in summary.groups.values())
        lines.append(f"| {metric} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _figure(one: Statistic | None) -> str:
    if one is None or math.isnan(one.mean):
        return "-"
    interval = "" if math.isnan(one.ci_low) else f" ({one.ci_low:.4g} to {one.ci_high:.4g})"
    return f"{one.mean:.4g}{interval}"


def _cases(table: Table) -> str:
    """The first cases of a table in columns, and where the others are."""
    rows = table.evaluation.rows
    columns = list(dict.fromkeys(key for row in rows for key in row))
    data = "simulated" if table.evaluation.simulated else "real"
    cells = [[_number(row.get(key, "")) for key in columns] for row in rows[:_SHOWN]]
    lines = [[*columns, "data"], *([*line, data] for line in cells)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    block = "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    more = f"\n\n{len(rows)} rows in all, in evaluation/{table.file.name}"
    return f"```\n{block}\n```" + (more if len(rows) > _SHOWN else "")


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
