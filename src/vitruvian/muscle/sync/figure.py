"""What synchronising a recording found: pulses, drift, and aligned traces over the raw ones."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitruvian.muscle.recording import Aligned, Floats, FrameClock, Recording, Signal
from vitruvian.muscle.sync.nominal import nominal_rate_hz
from vitruvian.muscle.sync.pulse_clock import pulse_train
from vitruvian.report.sheet import BLUE, GREY, ORANGE, VERMILLION, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAINT: dict[str, Any] = {"color": GREY, "alpha": 0.4}
_WIDTH, _CLOCKS, _TRACE = 10.0, 3.35, 1.65  # inches: all, pulses and clocks, each trace
_BELOW, _NOTE = 0.6, 0.16  # inches: the axis at the bottom, each note
_LETTERS = 150  # of a note on a line
_SIDES = {"left": 0.085, "right": 0.985}
_WORDS = {
    "angle_deg": "Joint angle",
    "torque_nm": "Joint torque",
    "emg_v": "EMG",
    "fascicle_angle_deg": "Fascicle angle",
}


def draw_alignment(recording: Recording, aligned: Aligned, target: Path) -> None:
    """Draw how frames and signals of a recording were brought together.

    Args:
        recording: raw.
        aligned: what `Synchronisation.align` made of it.
        target: path of the file, .png, .svg or .pdf.

    Raises:
        RunError: the file cannot be written.
    """
    notes = _notes(aligned)
    below = _BELOW + _NOTE * len(notes)
    height = _CLOCKS + _TRACE * len(aligned.values) + below
    with sheet(target, (_WIDTH, height), recording.name, recording.simulated, notes) as figure:
        _draw_clocks(figure, recording, aligned)
        _draw_traces(figure, recording, aligned, below)


def _draw_clocks(figure: Figure, recording: Recording, aligned: Aligned) -> None:
    height = figure.get_size_inches()[1]
    box = {"top": 1 - 0.75 / height, "bottom": 1 - (_CLOCKS - 0.35) / height, **_SIDES}
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 3], hspace=0.8, wspace=0.2, **box)
    _draw_pulses(figure.add_subplot(grid[0, :]), recording, aligned)
    triggered = aligned.clock.kind == "pulses"  # other clocks are taken to be even
    drift = figure.add_subplot(grid[1, 0] if triggered else grid[1, :])
    _draw_drift(drift, aligned.clock, nominal_rate_hz(recording))
    if triggered:
        _draw_evenness(figure.add_subplot(grid[1, 1]), aligned.clock)


def _draw_traces(figure: Figure, recording: Recording, aligned: Aligned, below: float) -> None:
    height = figure.get_size_inches()[1]
    box = {"top": 1 - (_CLOCKS + 0.45) / height, "bottom": below / height, **_SIDES}
    grid = figure.add_gridspec(len(aligned.values), 1, hspace=0.4, **box)
    for row, name in enumerate(aligned.values):
        axes = figure.add_subplot(grid[row])
        _draw_trace(axes, name, recording, aligned)
        axes.set(xlim=_span(recording, aligned), xlabel="time (s)")
        axes.label_outer()
        if row == 0:
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)


def _notes(aligned: Aligned) -> list[str]:
    shown = textwrap.shorten("; ".join([*aligned.clock.notes, *aligned.faults]), 300)
    return [_facts(aligned), *textwrap.wrap(shown, _LETTERS)]


def _facts(aligned: Aligned) -> str:
    clock = aligned.clock
    parts = [
        f"clock: {clock.kind}",
        f"{clock.rate_hz:.5g} Hz",
        f"first frame {clock.offset_s:.4g} s",
    ]
    if np.isfinite(clock.residual_ms):
        parts.append(f"residual {clock.residual_ms:.2f} ms, at most {clock.residual_max_ms:.2f} ms")
    if clock.pulses:
        repair = f"{clock.missing} missing filled in, {clock.doubled} double left out"
        parts.append(f"{clock.pulses} pulses ({repair})")
    parts.append(f"{len(aligned.frames)} frames kept, {aligned.dropped} dropped")
    return " · ".join(parts)


def _span(recording: Recording, aligned: Aligned) -> tuple[float, float]:
    ends = [s.times_s[[0, -1]] for n, s in recording.signals.items() if n in aligned.values]
    return float(min(e[0] for e in ends)), float(max(e[1] for e in ends))


def _draw_pulses(axes: Axes, recording: Recording, aligned: Aligned) -> None:
    """Every frame or pulse as a tick; what was repaired stands out by colour and place."""
    axes.set(xlim=_span(recording, aligned), ylim=(0, 1), yticks=[])
    axes.spines["left"].set_visible(False)
    if aligned.clock.kind != "pulses":
        axes.set_title("Frames")
        _tick(axes, aligned.times_s, 0.05, 0.6, BLUE)
        return
    train = pulse_train(recording)
    axes.set_title("Trigger pulses")
    _tick(axes, train.times_s[~train.filled], 0.05, 0.6, BLUE)
    filled = train.times_s[train.filled] if aligned.clock.missing else np.zeros(0)
    kinds = (("filled in", filled, ORANGE, "v"), ("left out", train.removed_s, VERMILLION, "x"))
    for label, times, colour, marker in kinds:
        if len(times):
            _tick(axes, times, 0.05, 0.75, colour)
            high, text = np.full(len(times), 0.85), f"{label} ({len(times)})"
            axes.plot(times, high, marker, color=colour, ms=5, label=text, clip_on=False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)


def _tick(axes: Axes, times: Floats, low: float, high: float, colour: str) -> None:
    axes.vlines(times, low, high, color=colour, lw=0.5)


def _draw_drift(axes: Axes, clock: FrameClock, nominal: float | None) -> None:
    """How far the nominal rate would have led astray."""
    axes.set_xlabel("time (s)")
    if nominal is None:
        axes.set_title("Drift: no nominal rate")
        axes.set_axis_off()
        return
    axes.set_title(f"Drift against the nominal {nominal:.5g} Hz: {_ppm(clock.drift_ppm)}")
    late = 1000 * (clock.times_s - clock.offset_s - np.arange(len(clock.times_s)) / nominal)
    axes.axhline(0, **_FAINT, lw=1)
    axes.plot(clock.times_s, late, color=BLUE, lw=1.5)
    axes.set_ylabel("drift (ms)")
    _room(axes, late, 1.0)


def _ppm(drift: float) -> str:
    return f"{drift:+.0f} ppm" if abs(drift) < 10000 else f"{drift / 1e4:+.2f} %"


def _draw_evenness(axes: Axes, clock: FrameClock) -> None:
    known = np.flatnonzero(np.isfinite(clock.times_s))
    axes.set(xlabel="time (s)", ylabel="deviation (ms)")
    axes.set_title("Deviation from an even clock")
    if len(known) < 2:
        return
    times = clock.times_s[known]
    deviation = 1000 * (times - np.polyval(np.polyfit(known, times, 1), known))
    axes.axhline(0, **_FAINT, lw=1)
    axes.plot(times, deviation, ".", color=BLUE, ms=3)
    _room(axes, deviation, 0.1)


def _room(axes: Axes, values: Floats, least: float) -> None:
    """Rounding errors should not fill the axes."""
    reach = np.nanmax(np.abs(values))
    if reach < least:
        axes.set_ylim(-least, least)


def _draw_trace(axes: Axes, name: str, recording: Recording, aligned: Aligned) -> None:
    raw, values = recording.signals[name], aligned.values[name]
    title = _WORDS.get(name, name)
    shown = raw.values
    if name in recording.raw:
        title, shown = f"{title}, rectified, and its envelope", _rectified(raw)
    small = raw.unit == "V" and np.nanmax(shown) < 1
    factor, unit = (1000.0, "mV") if small else (1.0, raw.unit)
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.plot(*_thinned(raw.times_s, factor * shown), **_FAINT, lw=0.7, label="as recorded")
    breaks = np.flatnonzero(np.diff(aligned.frames) > 1) + 1
    line: dict[str, Any] = {"color": BLUE, "lw": 1.2, "marker": ".", "ms": 2.5}
    points = (np.insert(v, breaks, np.nan) for v in (aligned.times_s, factor * values))
    axes.plot(*points, label="at the frames", **line)


def _rectified(raw: Signal) -> Floats:
    size: Floats = np.abs(raw.values - np.nanmean(raw.values))
    return size


def _thinned(times: Floats, values: Floats, columns: int = 1300) -> tuple[Floats, Floats]:
    """Least and largest of each column of pixels: the look of the whole in a fraction of points."""
    size = len(values) // columns
    if size < 4:
        return times, values
    starts = np.arange(0, len(values), size)
    ends = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return np.repeat(times[starts], 2), np.stack(ends, 1).ravel()
