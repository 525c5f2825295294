"""Without a trigger: frames are placed where their motion is that of a channel."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import optimize, signal

from vitruvian.muscle.recording import Floats, Signal
from vitruvian.muscle.sync.filters import lowpass

REACH = 0.05  # share by which a claimed rate may be wrong; with more, false matches win
_STEP = 2.0  # frames by which the last frame moves from one tried rate to the next
_NEAR = 4.0  # frames by which the refinement may shift the first and the last frame
_HALF = 0.5  # of the frames have to lie within the channel
_WINDOWS = 4  # in which the match is checked
_WISHED = 2.0  # frames by which a window may wish to be shifted
_RIVAL_S = 1.0  # a peak nearer than this to the best one is the same peak


@dataclass(frozen=True)
class Match:
    """Where the frames lie on the clock of the signals.

    Attributes:
        offset_s: time of the first frame.
        rate_hz: of the frames.
        correlation: of motion and channel, 0 to 1; whatever the directions of both are.
        rival: correlation of the next best place, which says how sure the best one is.
        residuals_ms: by how much windows of the recording would rather be shifted.
    """

    offset_s: float
    rate_hz: float
    correlation: float
    rival: float
    residuals_ms: Floats


def match(motion: Floats, channel: Signal, rate_hz: float, offset_s: float | None = None) -> Match:
    """Find when the frames were taken.

    All rates within `REACH` and all places are tried by cross-correlation; the best is refined.

    Args:
        motion: (frames,) displacement since the frame before.
        channel: whose change goes with the motion, finite.
        rate_hz: claimed frame rate.
        offset_s: time of the first frame, where it is known and only the rate is wanted.
    """
    velocity = _velocity(channel, rate_hz)
    start, rate, rival = _coarse(motion, velocity, rate_hz, offset_s)
    offset, rate = _refined(motion, velocity, start, rate, offset_s)
    score = abs(_correlation(motion, velocity, offset, rate))
    residuals = _residuals_ms(motion, velocity, offset, rate)
    return Match(offset, rate, score, rival, residuals)


def _velocity(channel: Signal, rate_hz: float) -> Signal:
    smooth = lowpass(channel.values, channel.rate_hz, 0.4 * rate_hz)
    change = np.gradient(smooth) * channel.rate_hz
    return Signal(change, channel.rate_hz, channel.start_s)


def _coarse(
    motion: Floats, velocity: Signal, rate_hz: float, offset_s: float | None
) -> tuple[float, float, float]:
    """Offset and rate of the best of all places, and the score of the best place elsewhere."""
    step = _STEP / len(motion)
    count = int(np.ceil(REACH / step))
    tried = []
    for rate in rate_hz * (1 + step * np.arange(-count, count + 1)):
        offsets, scores = _all_places(motion, velocity, float(rate))
        if offset_s is not None:
            near = np.abs(offsets - offset_s) <= 1 / rate
            offsets, scores = offsets[near], scores[near]
        if len(scores):
            tried.append((float(scores.max()), float(rate), offsets, scores))
    if not tried:
        return velocity.start_s if offset_s is None else offset_s, rate_hz, 0.0
    _, rate, offsets, scores = max(tried, key=lambda place: place[0])
    best = float(offsets[np.argmax(scores)])
    elsewhere = scores[np.abs(offsets - best) > _RIVAL_S]
    return best, rate, float(elsewhere.max()) if len(elsewhere) else 0.0


def _all_places(motion: Floats, velocity: Signal, rate: float) -> tuple[Floats, Floats]:
    """Offsets of the first frame, and at each the correlation, less where the frames stick out."""
    span = len(velocity.values) / velocity.rate_hz
    times = velocity.start_s + np.arange(int(span * rate)) / rate
    there = np.interp(times, velocity.times_s, velocity.values)
    moved = motion[1:] - motion[1:].mean()
    if len(there) == 0 or len(moved) == 0:
        return np.zeros(0), np.zeros(0)
    ones_there, ones = np.ones_like(there), np.ones_like(moved)
    products = _fft(there, moved)
    overlap = np.round(_fft(ones_there, ones))
    sums = _fft(there, ones), _fft(ones_there, moved)
    squares = _fft(there**2, ones), _fft(ones_there, moved**2)
    covariance = products - sums[0] * sums[1] / np.maximum(overlap, 1)
    spread = [
        np.maximum(q - s**2 / np.maximum(overlap, 1), 0) for q, s in zip(squares, sums, strict=True)
    ]
    floor = 1e-9 * max(float(squares[0].max() * squares[1].max()), 1e-300)
    scores = np.abs(covariance) / np.sqrt(np.maximum(spread[0] * spread[1], floor))
    scores *= np.sqrt(overlap / len(moved))
    first = times[0] + (np.arange(len(scores)) - (len(moved) - 1)) / rate
    enough = overlap >= _HALF * len(moved)
    return (first - 0.5 / rate)[enough], scores[enough]


def _fft(long: Floats, short: Floats) -> Floats:
    product: Floats = signal.correlate(long, short, method="fft")
    return product


def _correlation(
    motion: Floats, velocity: Signal, offset: float, rate: float, part: slice = slice(None)
) -> float:
    """Of the motion between frames with the velocity midway between them."""
    times = (offset + (np.arange(1, len(motion)) - 0.5) / rate)[part]
    inside = (times >= velocity.start_s) & (times <= velocity.times_s[-1])
    if inside.sum() < 3:
        return 0.0
    there = np.interp(times[inside], velocity.times_s, velocity.values)
    moved = motion[1:][part][inside]
    if np.ptp(there) == 0 or np.ptp(moved) == 0:
        return 0.0
    return float(np.corrcoef(moved, there)[0, 1])


def _refined(
    motion: Floats, velocity: Signal, offset: float, rate: float, fixed: float | None
) -> tuple[float, float]:
    """Best offset and rate near the given ones; as shifts of the first and the last frame."""
    span = (len(motion) - 1) / rate
    sign = np.sign(_correlation(motion, velocity, offset, rate)) or 1.0

    def place(shifts: Floats) -> tuple[float, float]:
        first = shifts[0] / rate if fixed is None else fixed - offset
        return offset + first, (len(motion) - 1) / (span - first + shifts[-1] / rate)

    def loss(shifts: Floats) -> float:
        return -sign * _correlation(motion, velocity, *place(shifts))

    free = 2 if fixed is None else 1
    simplex = np.vstack([np.zeros(free), np.eye(free)])
    options = {"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-9}
    best = optimize.minimize(
        loss, np.zeros(free), method="Nelder-Mead", bounds=[(-_NEAR, _NEAR)] * free, options=options
    )
    return place(best.x)


def _residuals_ms(motion: Floats, velocity: Signal, offset: float, rate: float) -> Floats:
    """Shift that each window would rather have; those in which little moves have no say."""
    edges = np.linspace(0, len(motion) - 1, _WINDOWS + 1).astype(int)
    shifts = np.linspace(-_WISHED, _WISHED, 81) / rate
    wished = []
    for first, last in pairwise(edges.tolist()):
        part = slice(first, last)
        scores = [abs(_correlation(motion, velocity, offset + s, rate, part)) for s in shifts]
        if max(scores) > 0.5:
            wished.append(1000 * shifts[int(np.argmax(scores))])
    return np.array(wished)
