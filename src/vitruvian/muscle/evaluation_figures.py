"""Figures of an evaluation: traces of a few trials, what all of them say, and how far to trust."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.core.evaluation import Row, by_predictor
from vitruvian.core.gallery import Gallery
from vitruvian.muscle.figures import shown_unit, worded
from vitruvian.muscle.metrics import SHUFFLED, metric_name
from vitruvian.muscle.pooling import pool
from vitruvian.muscle.quantities import quantity
from vitruvian.muscle.recording import Image
from vitruvian.muscle.roi.masks import bounds_to_mask
from vitruvian.muscle.trial_charts import (
    Shown,
    agreement_chart,
    drift_chart,
    limits,
    titled,
    trace_chart,
)
from vitruvian.report.case_charts import MODEL, best_median_worst, level, per_case, stacked
from vitruvian.report.charts import BLUE, GREY, ORANGE, SKY, VERMILLION, Spec, axis
from vitruvian.report.panels import ORANGE as SHOWN
from vitruvian.report.panels import Panel, Picture, grey, outline, write_panels

if TYPE_CHECKING:
    from vitruvian.muscle.data.cases import MuscleCase
    from vitruvian.muscle.estimator import MuscleEstimator

_MOST = 6  # trials of which traces are shown
_COMPARED = {  # none of them knows a sensor
    MODEL: BLUE,
    "baseline: ridge on flow": ORANGE,
    "baseline: ridge on intensity": SKY,
    SHUFFLED: GREY,
}
_PANEL = 240  # columns of a shown frame


def draw_figures(
    task: MuscleEstimator, cases: Sequence[MuscleCase], rows: Sequence[Row], gallery: Gallery
) -> None:
    """Add traces, agreement, drift and regions of a few trials, and charts of all of them.

    Only the trials that are shown are predicted again, one at a time: the best, the median and the
    worst, and of every task that is not among them its median.

    Args:
        task: trained, on its device.
        cases: that were evaluated.
        rows: of their evaluation.
        gallery: takes the figures.
    """
    model = by_predictor(rows).get(MODEL, [])
    chosen = chosen_trials(task, model, {case.case for case in cases})
    known = {case.case: case for case in cases}
    shown = [_predicted(task, known[name], role) for role, name in chosen.items()]
    if shown:
        _add_traces(task, shown, gallery)
        _add_regions([known[one.trial.name] for one in shown], shown, gallery)
        _add_agreement(task, shown, model, gallery)
        _add_drift(task, shown, gallery)
    _add_ratios(task, rows, gallery)
    _add_clocks(cases, gallery)


# -- which trials ---------------------------------------------------------------------------------


def chosen_trials(task: MuscleEstimator, model: Sequence[Row], known: set[str]) -> dict[str, str]:
    """Why a trial is shown, and its name: at most six.

    Trials are ranked by the RMSE of each quantity in units of the training people's spread, on
    average over the quantities.
    """
    rows = [row for row in model if row["case"] in known]
    scores = {str(row["case"]): _score(task, row) for row in rows}
    chosen = best_median_worst(scores, least_is_best=True)
    tasks = {str(row["case"]): str(row.get("task", "")) for row in rows}
    seen = {tasks[name] for name in chosen.values()}
    for other in sorted(set(tasks.values()) - seen):
        some = best_median_worst({n: s for n, s in scores.items() if tasks[n] == other}, True)
        typical = some.get("median") or some.get("best") or some.get("only")
        if typical is not None and len(chosen) < _MOST:
            chosen[f"typical {other}"] = typical
    return chosen


def _score(task: MuscleEstimator, row: Row) -> float:
    spread = task.target_sd.cpu().numpy()[-len(task.quantities) :]
    errors = [
        row.get(metric_name(quantity(name), task.kinds[-1], "rmse"), math.nan) / sd
        for name, sd in zip(task.quantities, spread, strict=True)
    ]
    finite = [float(error) for error in errors if math.isfinite(error)]
    return float(np.mean(finite)) if finite else math.nan


def _predicted(task: MuscleEstimator, case: MuscleCase, role: str) -> Shown:
    trial, (images, bounds) = case.trial(), case.images()
    outputs = task.outputs_of(images, bounds, case.run_length >= task.inputs.context)
    return Shown(role, trial, task.readout.predicted(outputs, trial.follows))


# -- a few trials ---------------------------------------------------------------------------------


def _add_traces(task: MuscleEstimator, shown: Sequence[Shown], gallery: Gallery) -> None:
    kind = task.kinds[-1]
    widths = task.readout.half_widths(kind)
    band = (
        f"Band: where the model expects {task.readout.level:.0%} of the measured values to lie. "
        if all(math.isfinite(width) for width in widths.values())
        else ""
    )
    for one in shown:
        title = f"{one.role.capitalize()} trial: {one.trial.name} ({one.trial.task})"
        caption = (
            f"Sensor (orange) and model (blue) at the frames of the trial, over time. {band}"
            "Drag to move, shift and wheel to zoom, double click to go back."
        )
        spec = trace_chart(one, task.quantities, kind, widths, len(shown))
        gallery.chart(f"trace_{_word(one.role)}", title, caption, spec)


def _word(role: str) -> str:
    """A role as part of a file name."""
    return "".join(letter if letter.isalnum() else "_" for letter in role)


def _add_regions(cases: Sequence[MuscleCase], shown: Sequence[Shown], gallery: Gallery) -> None:
    """The middle frame of every trial as the net sees it, and where the muscle lies in it."""
    panels = []
    for case, one in zip(cases, shown, strict=True):
        if not len(case):
            continue
        number = int(case.frames[len(case) // 2])
        image, bounds = (
            np.asarray(case.crops.read(name, slice(number, number + 1)))[0]
            for name in ("images", "bounds")
        )
        name = f"{one.trial.name}, frame {number + 1}"
        panels.append(Panel(name, _outlined(image, bounds)))
    if not panels:
        return
    caption = (
        "The middle frame of each trial shown, cropped as the net reads it; orange: the border of "
        "the muscle, outside of which it sees nothing. The scanner's probe is at the top."
    )
    with gallery.picture("regions", "Where the muscle was found", caption) as path:
        write_panels(path, "Region of interest", panels, gallery.simulated)


def _outlined(image: Image, bounds: npt.NDArray[np.int16]) -> Picture:
    """A frame as large as a panel, with the border of the muscle."""
    size = (_PANEL, max(1, round(image.shape[0] * _PANEL / image.shape[1])))
    picture = grey(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8))
    mask = bounds_to_mask(bounds, len(image)).astype(np.uint8)
    inside = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST))
    outline(picture, inside, SHOWN)
    return picture


def _add_agreement(
    task: MuscleEstimator, shown: Sequence[Shown], model: Sequence[Row], gallery: Gallery
) -> None:
    """Bland and Altman's plot of every quantity."""
    kind, (whole,) = task.kinds[-1], pool(model, by=())
    for name in task.quantities:
        what = quantity(name)
        spec = agreement_chart(shown, task.quantities, name, kind, whole)
        found = limits(whole, what, kind)
        if spec is None or found is None:
            continue
        low, bias, high = found
        caption = (
            f"Dots: frames of the trials shown. Lines: bias {bias:.3g} and limits of agreement "
            f"{low:.3g} to {high:.3g} {shown_unit(what)[1]} (bias ± 1.96 SD) of all frames of all "
            "trials; frames of one person resemble each other, so the limits are an outline."
        )
        title = f"Agreement with the sensor: {titled(what, kind)}"
        gallery.chart(f"agreement_{what.word}", title, caption, spec)


def _add_drift(task: MuscleEstimator, shown: Sequence[Shown], gallery: Gallery) -> None:
    """What becomes of small errors of the change when changes are summed up."""
    if "change" not in task.kinds:
        return
    for name in task.quantities:
        spec = drift_chart(shown, task.quantities, name)
        if spec is None:
            continue
        word = worded(quantity(name))
        caption = (
            f"Sum of the predicted changes of the {word} less the sum of the measured ones, from 0 "
            "at the start. Small errors of one sign add up; the dashed line is no drift."
        )
        gallery.chart(f"drift_{quantity(name).word}", f"Drift of the {word}", caption, spec)


# -- all trials -----------------------------------------------------------------------------------


def _add_ratios(task: MuscleEstimator, rows: Sequence[Row], gallery: Gallery) -> None:
    """Every participant's error beside that of saying that nothing changes."""
    compared = [row for row in rows if row["predictor"] in _COMPARED and "participant" in row]
    people = pool(compared, by=("participant",))
    charts = [chart for name in task.quantities for chart in _ratio_charts(people, name)]
    if not charts:
        return
    caption = (
        "Error (RMSE) of the predicted change from frame to frame, all trials of a participant "
        "together, divided by that of saying that nothing changes. Left of the dashed line at 1 is "
        "better than that; beyond it, worse. Shuffled frames: the model with the pictures of "
        "other moments. Logarithmic, no unit."
    )
    title = "Error beside that of no change, by participant"
    gallery.chart("ratio_per_participant", title, caption, stacked(charts))


def _ratio_charts(people: Sequence[Row], name: str) -> Iterator[Spec]:
    """One panel for a quantity, where any ratio is known."""
    column = metric_name(quantity(name), None, "ratio")
    data = [
        {"participant": row["participant"], "predictor": row["predictor"], "ratio": row[column]}
        for row in people
        if math.isfinite(row.get(column, math.nan)) and row[column] > 0
    ]
    if not data:
        return
    ranks = {d["participant"]: d["ratio"] for d in data if d["predictor"] == MODEL}
    names = {str(d["participant"]) for d in data}
    order = sorted(names, key=lambda who: (ranks.get(who, math.inf), who))
    colours = {
        who: ink for who, ink in _COMPARED.items() if any(d["predictor"] == who for d in data)
    }
    title = f"{worded(quantity(name))}: RMSE by that of no change"
    across = axis("ratio", title, scale={"type": "log", "nice": True})
    still = level(1.0, "x", "as good as saying that nothing changes")
    yield per_case(data, across, colours, order, who="participant", below=[still])


def _add_clocks(cases: Sequence[MuscleCase], gallery: Gallery) -> None:
    """How evenly the frames of each recording lie on their clock."""
    kinds = {"residual_ms": "standard deviation", "residual_max_ms": "largest"}
    clocks = {case.case: case.meta["clock"] for case in cases}
    data = [
        {"recording": name, "residual": words, "residual_ms": clock[key]}
        for name, clock in clocks.items()
        if clock["kind"] != "frames"  # nothing was synchronised
        for key, words in kinds.items()
        if clock.get(key) is not None
    ]
    if not data:
        return
    largest = {str(d["recording"]): d["residual_ms"] for d in data}
    order = sorted(largest, key=lambda name: largest[name])
    colours = dict(zip(kinds.values(), (BLUE, VERMILLION), strict=True))
    across = axis("residual_ms", "deviation from an even clock", "ms")
    spec = per_case(data, across, colours, order, who="recording", by="residual")
    frame = max(1000 / clocks[str(d["recording"])]["rate_hz"] for d in data)
    caption = (
        "How far the times found for the frames of each recording lie from an even clock, in "
        f"milliseconds; a frame takes {frame:.0f} ms. Large ones: a trigger was lost or the clock "
        "was found from motion; vitruvian-check draws each recording."
    )
    gallery.chart("synchronisation", "Residuals of the synchronisation", caption, spec)
