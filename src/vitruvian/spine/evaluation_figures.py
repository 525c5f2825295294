"""Figures of an evaluation of the spine, as paper 003 draws them: movements, index, heat-map.

People are drawn from landmarks, as stick figures: no picture of a video gets into a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from vitruvian.core.evaluation import Row, by_predictor
from vitruvian.core.gallery import Gallery
from vitruvian.report.sheet import BLUE, ORANGE, SMALL
from vitruvian.spine.data.cases import RED_FLAG, SpineCase
from vitruvian.spine.evaluation_charts import Seen, charts_of
from vitruvian.spine.explain.drawing import draw_index, sheet
from vitruvian.spine.explain.figures import attribution_map, heat_map
from vitruvian.spine.explain.findings import why_none
from vitruvian.spine.explain.stick_figures import bodies_of, draw_bodies
from vitruvian.spine.skeletons import Skeleton
from vitruvian.spine.track.cleaning import Track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vitruvian.spine.regressor import SpineRegressor

_EXERCISES = 4  # movements in one picture: more are smaller than one can see
_BODIES = 6  # stick figures of a clip
_WIDTH = 8.0  # inches
_COLOURS = 96  # of a picture
_MOST = 24  # clips of which the error by length is taken
_MOMENTS = 60  # at which the index over time is taken
_PARTS = (0.1, 0.25, 0.5, 0.75, 1.0)  # of a window


def illustrate(
    task: SpineRegressor, cases: Sequence[SpineCase], rows: Sequence[Row], gallery: Gallery
) -> None:
    """Draw the movements, the index over time, the heat-map and the charts of an evaluation.

    Args:
        task: the model, on its device.
        cases: that were evaluated.
        rows: of their evaluation.
        gallery: takes the figures.
    """
    ours = by_predictor(rows).get("model", [])
    indices = {str(row["case"]): float(row["index"]) for row in ours}
    known = [case for case in cases if np.isfinite(indices.get(case.case, np.nan))]
    known.sort(key=lambda case: indices[case.case])
    if known:
        _movements(task.skeleton, known, gallery)
        _over_time(task, _spread(known), indices, gallery)
        _dynamic_heat_map(task, known[-1], indices, gallery)
    for drawn in charts_of(ours, rows, errors_by_length(task, known), gallery.simulated):
        gallery.chart(*drawn)


def _spread(known: Sequence[SpineCase]) -> list[SpineCase]:
    """The clips of the lowest, a middle and the highest index; fewer where there are fewer."""
    places = sorted({0, len(known) // 2, len(known) - 1})
    return [known[place] for place in places]


@contextmanager
def _picture(gallery: Gallery, name: str, title: str, caption: str) -> Iterator[Path]:
    """A picture of the gallery, with few colours: a third of the bytes on a page."""
    from PIL import Image  # matplotlib's own

    with gallery.picture(name, title, caption) as path:
        yield path
        with Image.open(path) as full:
            few = full.convert("RGB").quantize(_COLOURS)
        few.save(path, format="PNG", optimize=True)


# -- movements ------------------------------------------------------------------------------------


def _movements(skeleton: Skeleton, known: Sequence[SpineCase], gallery: Gallery) -> None:
    """One clip of each exercise as stick figures (paper 003, figure 2)."""
    first = {case.exercise: case for case in reversed(known)}
    shown = [first[exercise] for exercise in sorted(first)][:_EXERCISES]
    if why_none(skeleton):
        return  # `_over_time` says why
    more = f" (of {len(first)} exercises)" if len(first) > len(shown) else ""
    caption = (
        f"Landmarks of {len(shown)} clips{more} from their beginning to their end, left to right: "
        "the sequences that the net reads. Blue: the person's left; orange: right."
    )
    height = 0.75 + 1.45 * len(shown)
    title = "Landmark sequences"
    with (
        _picture(gallery, "landmark_sequences", title, caption) as path,
        sheet(path, (_WIDTH, height), title, gallery.simulated) as figure,
    ):
        for place, case in enumerate(shown):
            top = 1 - (0.4 + 1.45 * place) / height
            about = f"{case.exercise or 'clip'}: {case.case}"
            _draw_row(figure, skeleton, case, about, (top, 1.4 / height))


def _draw_row(
    figure: Figure, skeleton: Skeleton, case: SpineCase, about: str, place: tuple[float, float]
) -> None:
    """Stick figures side by side, with their times; `place`: top and height in the figure."""
    top, height = place
    figure.text(0.015, top, about, size=9, weight="bold", va="top")
    for x, colour, side in ((0.9, BLUE, "person's left"), (0.985, ORANGE, "right")):
        figure.text(x, top, side, color=colour, ha="right", va="top", size=SMALL, weight="bold")
    frames = np.linspace(0, len(case.track) - 1, min(_BODIES, len(case.track))).round().astype(int)
    chosen = frames.tolist()
    width = 0.97 / len(chosen)
    low, tall = top - height, height * 0.76
    panels = [
        figure.add_axes((0.015 + i * width, low + 0.1 * height, width, tall))
        for i in range(len(chosen))
    ]
    bodies = bodies_of(case.track, chosen, case.aspect)
    draw_bodies(panels, bodies, case.track.visibility[chosen], skeleton, [None] * len(chosen))
    for axes, frame in zip(panels, chosen, strict=True):
        time = f"{case.track.times_s[frame]:.1f} s"
        axes.text(0.5, -0.02, time, ha="center", va="top", size=SMALL, transform=axes.transAxes)


# -- the index over time --------------------------------------------------------------------------


def _over_time(
    task: SpineRegressor, shown: Sequence[SpineCase], indices: dict[str, float], gallery: Gallery
) -> None:
    """The movement with the index under it, from the best to the worst (paper 003, figure 4)."""
    without = why_none(task.skeleton)
    seconds = task.windows.length / float(np.median([case.track.fps for case in shown]))
    caption = (
        f"The index over time of {_count(len(shown))}, under the movement: at each moment that "
        f"of the window which ends there ({seconds:.1f} s, shorter at the beginning). The shaded "
        f"zone above {RED_FLAG:g} is the red flag."
    )
    if without:
        caption += f" No stick figures: {without.removeprefix('no findings: ')}."
    block = 1.65 if without else 3.0
    height = 0.75 + block * len(shown)
    title = "Index over time"
    with (
        _picture(gallery, "index_over_time", title, caption) as path,
        sheet(path, (_WIDTH, height), title, gallery.simulated) as figure,
    ):
        for place, case in enumerate(shown):
            top = 1 - (0.4 + block * place) / height
            about = _about(case, indices[case.case])
            if without:
                figure.text(0.015, top, about, size=9, weight="bold", va="top")
            else:
                _draw_row(figure, task.skeleton, case, about, (top, 1.4 / height))
            _draw_points(figure, task, case, top - (block - 0.5) / height, 0.85 / height)


def _draw_points(
    figure: Figure, task: SpineRegressor, case: SpineCase, low: float, height: float
) -> None:
    track = task.windows.fitted(case.track)
    frames = np.unique(np.linspace(0, len(track) - 1, _MOMENTS).round().astype(np.int64))
    axes = figure.add_axes((0.09, low, 0.9, height))
    draw_index(axes, track.times_s[frames], values_at(task, track, frames), RED_FLAG)


def values_at(
    task: SpineRegressor, track: Track, frames: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The index of the windows that end with these frames of a fitted track, clipped."""
    length, device = task.windows.length, task.train_mean.device
    firsts = np.maximum(frames - length + 1, 0)
    place = firsts[:, None] + np.arange(length)
    real = place <= frames[:, None]
    rows = np.where(real, place, 0)
    points = torch.from_numpy(track.points[rows] * real[..., None, None].astype(np.float32))
    visibility = torch.from_numpy(track.visibility[rows] * real[..., None].astype(np.float32))
    with torch.inference_mode():
        parts = (part.to(device) for part in (points, visibility, torch.from_numpy(real)))
        return np.asarray(task.values(*parts).double().clamp(0, 1).cpu().numpy())


def _about(case: SpineCase, index: float) -> str:
    rated = f", rated {case.truth:.2f}" if np.isfinite(case.truth) else ", not rated"
    return f"index {index:.2f}{rated}: {case.case}"


def _count(clips: int) -> str:
    many = f"{clips} clips, with the lowest, a middle and the highest index"
    return many if clips > 2 else "the one clip there is" if clips == 1 else "both clips"


# -- the heat-map ---------------------------------------------------------------------------------


def _dynamic_heat_map(
    task: SpineRegressor, case: SpineCase, indices: dict[str, float], gallery: Gallery
) -> None:
    """Which joints made the highest index, and when; how fast they move where no net can say."""
    from vitruvian.spine.predict import attribution_of

    about, title = _about(case, indices[case.case]), "Dynamic heat-map"
    fitted = task.windows.fitted(case.track)
    try:
        found: Any = attribution_of(task, case)
        why = "" if found.any() and np.isfinite(found).all() else "it does not change with them"
    except (ValueError, RuntimeError) as error:
        why = str(error)
    if why:
        caption = f"How fast each joint moves, over time. What made the index cannot be told: {why}"
        with _picture(gallery, "dynamic_heat_map", title, f"{caption} ({about}).") as path:
            heat_map(fitted, task.skeleton, path, title, gallery.simulated, case.aspect)
        return
    caption = (
        "Which joints raised (orange) or lowered (purple) the index, and when, against the same "
        f"person holding still: integrated gradients of the highest index ({about})."
    )
    with _picture(gallery, "dynamic_heat_map", title, caption) as path:
        times, skeleton = fitted.times_s, task.skeleton
        attribution_map(found, times, skeleton, path, title, gallery.simulated)


# -- the error by length --------------------------------------------------------------------------


def errors_by_length(task: SpineRegressor, cases: Sequence[SpineCase]) -> list[Seen]:
    """Absolute errors of clips when only the beginnings of their windows are shown.

    None where the model reads whole clips: their beginnings would be stretched like a whole one.
    """
    rated = [case for case in cases if np.isfinite(case.truth)]
    kept = rated[:: max(1, -(-len(rated) // _MOST))] if not task.windows.stretch else []
    if not kept:
        return []
    lengths = sorted({max(1, round(part * task.windows.length)) for part in _PARTS})
    errors = [
        [abs(task.reported_index(part) - case.truth) for part in _beginnings(task, case, lengths)]
        for case in kept
    ]
    rate = float(np.median([case.track.fps for case in kept]))
    columns = zip(*errors, strict=True)
    return [Seen(round(n / rate, 2), list(c)) for n, c in zip(lengths, columns, strict=True)]


def _beginnings(
    task: SpineRegressor, case: SpineCase, lengths: Sequence[int]
) -> list[torch.Tensor]:
    """What the net says of a clip's windows after so many frames of each."""
    device = task.train_mean.device
    points, visibility, mask = (part.to(device) for part in task.windows.cut(case.track)[:3])
    place = torch.arange(mask.shape[1], device=device)
    answers = []
    with torch.inference_mode():
        for length in lengths:
            real = mask & (place < length)
            seen = points * real[..., None, None], visibility * real[..., None], real
            answers.append(task.values(*seen).float().cpu())
    return answers
