"""Figures of a clip: the index over time, the dynamic heat-map, attributions, and all on one page.

People are drawn from landmarks, as stick figures: no picture of the video gets into a file. The
ending of a path says the format: png, svg or pdf.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter1d

from vitruvian.report.sheet import BLUE, GREY, ORANGE, PALE, SMALL, VERMILLION
from vitruvian.spine.data.cases import RED_FLAG
from vitruvian.spine.explain.attribution import top_joints
from vitruvian.spine.explain.drawing import (
    Band,
    Values,
    draw_attribution,
    draw_index,
    draw_map,
    largest,
    sheet,
)
from vitruvian.spine.explain.findings import Finding, why_none
from vitruvian.spine.explain.stick_figures import bodies_of, draw_bodies
from vitruvian.spine.explain.trunk import TRUNK
from vitruvian.spine.landmarks import Times
from vitruvian.spine.skeletons import Skeleton
from vitruvian.spine.track.cleaning import Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Explained",
    "attribution_map",
    "explanation",
    "heat_map",
    "index_over_time",
    "speed_map",
]

_A4 = (8.27, 11.69)  # inches
_LEFT, _RIGHT = 0.165, 0.9  # of what has an axis of time
_PANELS, _ROWS = 6, 8  # stick figures and joints on the page
_SMOOTH_S = 0.1  # of the speeds, whose jitter would drown the rest
_FASTEST = 12.0  # trunk lengths/s; beyond, the pose net has jumped, perhaps to somebody else


# -- single figures ------------------------------------------------------------------------------


def index_over_time(
    times_s: Times,
    values: Values,
    threshold: float,
    path: Path,
    title: str = "",
    simulated: bool = False,
    band: Band | None = None,
) -> None:
    """Draw the index over time, with the red flag's zone.

    Args:
        times_s: (T,) seconds.
        values: (T,) 0 (best) to 1 (worst).
        threshold: above it is a red flag.
        path: of the file.
        title: of the figure.
        simulated: whether data or model are; the figure says so.
        band: lower and upper ends (T,) of the values' uncertainty.

    Raises:
        ValueError: the ending of the path is none of png, svg and pdf.
        RunError: the file cannot be written.
    """
    with sheet(path, (8.0, 3.2), title, simulated) as figure:
        axes = figure.add_axes((0.1, 0.24, 0.88, 0.6))
        draw_index(axes, times_s, values, threshold, band)


def heat_map(
    track: Track,
    skeleton: Skeleton,
    path: Path,
    title: str = "",
    simulated: bool = False,
    aspect: float = 1.0,
) -> None:
    """Draw the "dynamic heat-map" of the paper's abstract: how fast each joint moves, over time.

    Args:
        track: cleaned landmarks.
        skeleton: of its joints.
        path: of the file.
        title: of the figure.
        simulated: whether the data are; the figure says so.
        aspect: width over height of the frames that x and y are shares of; 1 for lengths.

    Raises:
        ValueError: the ending of the path is none of png, svg and pdf.
        RunError: the file cannot be written.
    """
    speed, unit = speed_map(track, skeleton, aspect)
    with sheet(path, (8.0, 6.4), title, simulated) as figure:
        axes, scale = _map_axes(figure)
        _draw_speed(axes, scale, speed, unit, track.times_s, skeleton)


def _draw_speed(
    axes: Axes, scale: Axes, speed: Values, unit: str, times_s: Times, skeleton: Skeleton
) -> None:
    fastest = largest(speed)
    if not why_none(skeleton):
        fastest = min(fastest, _FASTEST)
    draw_map(axes, scale, speed, times_s, skeleton.joints, "viridis", (0.0, fastest))
    scale.set_ylabel(f"speed ({unit})")


def speed_map(track: Track, skeleton: Skeleton, aspect: float = 1.0) -> tuple[Values, str]:
    """Speed of every joint at every time, (T, J), and its unit.

    In x and y, as z is a guess; where joints are no points in one space, in all dimensions. The
    unit is the length of the person's own trunk a second where there is one.
    """
    points = track.points.astype(np.float64)
    if not skeleton.relative:
        points = points[..., :2] * np.array([aspect, 1.0])[: skeleton.dims]
    speed = np.zeros(points.shape[:2])
    if len(track) > 1:
        frames = max(1, round(_SMOOTH_S / float(np.median(np.diff(track.times_s)))))
        points = uniform_filter1d(points, frames, axis=0, mode="nearest")
        speed = np.linalg.norm(np.gradient(points, track.times_s, axis=0), axis=-1)
    if why_none(skeleton):
        return speed, "units/s"
    shoulders, hips = (
        points[:, [skeleton.index(name) for name in pair]].mean(axis=1)
        for pair in (TRUNK[:2], TRUNK[2:])
    )
    trunk = float(np.percentile(np.linalg.norm(shoulders - hips, axis=1), 95))
    return speed / max(trunk, 1e-6), "trunk lengths/s"


def attribution_map(
    attribution: Values,
    times_s: Times,
    skeleton: Skeleton,
    path: Path,
    title: str = "",
    simulated: bool = False,
) -> None:
    """Draw which joints raise or lower the index, and when.

    Args:
        attribution: (T, J), as `vitruvian.spine.explain.attribution` makes it.
        times_s: (T,) seconds.
        skeleton: of the joints.
        path: of the file.
        title: of the figure.
        simulated: whether data or model are; the figure says so.

    Raises:
        ValueError: the ending of the path is none of png, svg and pdf.
        RunError: the file cannot be written.
    """
    with sheet(path, (8.0, 6.4), title, simulated) as figure:
        draw_attribution(*_map_axes(figure), attribution, times_s, skeleton.joints)


def _map_axes(figure: Figure) -> tuple[Axes, Axes]:
    """A map, and the scale of its colours."""
    return figure.add_axes((0.14, 0.13, 0.745, 0.8)), figure.add_axes((0.9, 0.13, 0.018, 0.8))


# -- the page ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explained:
    """What a page of explanation shows.

    Attributes:
        name: of the clip.
        index: reported, 0 (best) to 1 (worst).
        times_s: (P,) seconds, of `values`.
        values: (P,) index over time.
        track: cleaned landmarks.
        skeleton: of its joints.
        findings: what the movement shows besides.
        attribution: (T, J) of the track's frames; None where there is none.
        exercise: what the person does.
        threshold: above it is a red flag.
        aspect: width over height of the frames that x and y are shares of; 1 for lengths.
        simulated: whether data or model are; the page says so.
        band: lower and upper ends (P,) of the values' uncertainty.
        notes: more lines, such as that the recording breaks off.
    """

    name: str
    index: float
    times_s: Times
    values: Values
    track: Track
    skeleton: Skeleton
    findings: Sequence[Finding] = ()
    attribution: Values | None = None
    exercise: str = ""
    threshold: float = RED_FLAG
    aspect: float = 1.0
    simulated: bool = False
    band: Band | None = None
    notes: Sequence[str] = ()


def explanation(path: Path, clip: Explained) -> None:
    """Draw the page of a clip: index over time, the frames that tell, findings, joints.

    Raises:
        ValueError: the ending of the path is none of png, svg and pdf.
        RunError: the file cannot be written.
    """
    with sheet(path, _A4, clip.name, clip.simulated, clip.notes) as figure:
        _draw_head(figure, clip)
        axes = figure.add_axes((_LEFT, 0.765, _RIGHT - _LEFT, 0.135))
        draw_index(axes, clip.times_s, clip.values, clip.threshold, clip.band)
        if len(clip.track) > 1:
            axes.set_xlim(clip.track.times_s[0], clip.track.times_s[-1])
        if why_none(clip.skeleton):
            _draw_motion(figure, clip)
        else:
            _draw_people(figure, clip)
            _draw_findings(figure, clip)
        _draw_joints(figure, clip)


def _draw_head(figure: Figure, clip: Explained) -> None:
    """The index in large figures, and what it was made from."""
    flagged = clip.index > clip.threshold
    verdict = f"red flag, above {clip.threshold:g}" if flagged else "no red flag"
    colour = VERMILLION if flagged else BLUE
    seconds = clip.track.times_s[-1] - clip.track.times_s[0]
    of = [clip.exercise, f"{seconds:.1f} s", f"{clip.track.masked:.0%} of the landmarks not seen"]
    figure.text(0.0145, 0.942, f"spinal health index {clip.index:.2f}", size=15, color=colour,
                weight="bold")  # fmt: skip
    figure.text(0.985, 0.942, verdict, size=11, color=colour, weight="bold", ha="right")
    figure.text(0.0145, 0.922, ", ".join(filter(None, of)), size=SMALL, color=GREY)


def _draw_motion(figure: Figure, clip: Explained) -> None:
    """What can be shown of joints that cannot be drawn: how fast they move."""
    _title(figure, 0.705, "how fast each joint moves")
    figure.text(0.985, 0.705, why_none(clip.skeleton), size=SMALL, color=GREY, ha="right")
    axes = figure.add_axes((_LEFT, 0.33, _RIGHT - _LEFT, 0.36))
    scale = figure.add_axes((_RIGHT + 0.012, 0.33, 0.014, 0.36))
    speed, unit = speed_map(clip.track, clip.skeleton, clip.aspect)
    _draw_speed(axes, scale, speed, unit, clip.track.times_s, clip.skeleton)


def _draw_people(figure: Figure, clip: Explained) -> None:
    """Stick figures of the frames that show the findings, the most marked finding first."""
    shown = frames_to_show(clip.findings, len(clip.track))
    telling = any(finding for _, finding in shown)
    _title(figure, 0.705, "where it shows most" if telling else "the movement")
    frames = [frame for frame, _ in shown]
    bodies = bodies_of(clip.track, frames, clip.aspect)
    for place, colour, side in ((0.9, BLUE, "person's left"), (0.985, ORANGE, "right")):
        figure.text(place, 0.705, side, color=colour, ha="right", size=SMALL, weight="bold")
    width = 0.97 / len(frames)
    panels = [figure.add_axes((0.015 + i * width, 0.535, width, 0.16)) for i in range(len(frames))]
    found = [finding for _, finding in shown]
    draw_bodies(panels, bodies, clip.track.visibility[frames], clip.skeleton, found)
    for axes, (frame, finding) in zip(panels, shown, strict=True):
        label = textwrap.wrap(finding.label, 20) if finding else []
        text = "\n".join([f"{clip.track.times_s[frame]:.1f} s", *label])
        axes.text(0.5, -0.02, text, ha="center", va="top", size=SMALL, transform=axes.transAxes)


def frames_to_show(findings: Sequence[Finding], frames: int) -> list[tuple[int, Finding | None]]:
    """Frames for the page with what they show; spread over the clip if there is no finding."""
    ranked = sorted((f for f in findings if f.assessed and f.value > 0), key=lambda f: -f.value)
    told: list[tuple[int, Finding | None]] = [(frame, f) for f in ranked for frame in f.frames]
    evenly = np.linspace(0, frames - 1, min(_PANELS, frames)).round().astype(int).tolist()
    return told[:_PANELS] or [(frame, None) for frame in evenly]


def _draw_findings(figure: Figure, clip: Explained) -> None:
    """Bars from 0 (usual) to 1 (extreme), with what was measured in words."""
    _title(figure, 0.475, "findings, from 0 (usual) to 1 (extreme)")
    axes = figure.add_axes((0, 0.285, 1, 0.185))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(4, 0))
    for row, finding in enumerate(clip.findings):
        middle, left, length = row + 0.36, 0.29, 0.55
        axes.text(0.0145, middle, finding.label, va="center")
        axes.barh(middle, length, left=left, height=0.34, color=PALE)
        if finding.assessed:
            axes.barh(middle, length * finding.value, left=left, height=0.34, color=BLUE)
            axes.text(0.855, middle, f"{finding.value:.2f}", va="center", weight="bold")
        axes.text(left, row + 0.75, finding.text, va="center", size=SMALL, color=GREY)


def _draw_joints(figure: Figure, clip: Explained) -> None:
    """The joints that made the index, over time."""
    _title(figure, 0.262, "what made the index, against the same person holding still")
    if clip.attribution is None or not clip.attribution.any():
        figure.text(0.0145, 0.24, "nothing: no attribution", color=GREY)
        return
    top = top_joints(clip.attribution, clip.skeleton, _ROWS)
    rows = [clip.skeleton.index(one.joint) for one in top]
    names = [f"{one.joint} {one.share:4.0%}" for one in top]
    axes = figure.add_axes((_LEFT, 0.085, _RIGHT - _LEFT, 0.165))
    scale = figure.add_axes((_RIGHT + 0.012, 0.085, 0.014, 0.165))
    draw_attribution(axes, scale, clip.attribution[:, rows], clip.track.times_s, names)


def _title(figure: Figure, height: float, text: str) -> None:
    figure.text(0.0145, height, text, weight="bold", size=10)
