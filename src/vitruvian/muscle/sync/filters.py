"""Butterworth filters as biomechanics uses them, and what to do about missing samples.

Zero-lag filters run forwards and backwards, which squares the response; the cut-off is corrected
for that (Winter, Biomechanics and Motor Control of Human Movement, 2009, section 2.2.4.4), so that
the power is halved at the frequency that was asked for, causal or not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from vitruvian.muscle.recording import Floats, Signal

_TWICE = (np.sqrt(2.0) - 1.0) ** 0.25  # of a second-order filter that runs twice


def lowpass(
    values: Floats, rate_hz: float, cutoff_hz: float, order: int = 4, causal: bool = False
) -> Floats:
    """Keep what is slower than `cutoff_hz`.

    Args:
        values: (n,), finite.
        rate_hz: of the samples.
        cutoff_hz: where half the power is left.
        order: of the filter as a whole, even; a zero-lag one runs twice at half of it.
        causal: look at no later sample, at the price of a delay.

    Returns:
        (n,); as given where the samples are too slow to hold anything faster.
    """
    if len(values) == 0 or cutoff_hz >= rate_hz / 2:
        return values
    if causal:
        sos = signal.butter(order, cutoff_hz, output="sos", fs=rate_hz)
        filtered: Floats = signal.sosfilt(sos, values, zi=signal.sosfilt_zi(sos) * values[0])[0]
        return filtered
    corrected = cutoff_hz / (np.sqrt(2.0) - 1.0) ** (1 / order)
    if corrected >= rate_hz / 2:
        return values
    return _there_and_back(signal.butter(order // 2, corrected, output="sos", fs=rate_hz), values)


def highpass(values: Floats, rate_hz: float, cutoff_hz: float) -> Floats:
    """Keep what is faster than `cutoff_hz`, which lies below half the rate; zero-lag, order 4."""
    if len(values) == 0:
        return values
    sos = signal.butter(2, cutoff_hz * _TWICE, "highpass", output="sos", fs=rate_hz)
    return _there_and_back(sos, values - values.mean())


def _there_and_back(sos: Floats, values: Floats) -> Floats:
    padding = min(3 * (2 * len(sos) + 1), len(values) - 1)
    filtered: Floats = signal.sosfiltfilt(sos, values, padlen=padding)
    return filtered


def bridged(channel: Signal, max_gap_s: float) -> tuple[Signal, npt.NDArray[np.bool_]]:
    """Draw straight lines over missing samples, so that filters can run.

    Args:
        channel: with NaN where a sample is missing.
        max_gap_s: longest gap that may count as known.

    Returns:
        The channel, finite (zeros if nothing is known), and (n,) True inside longer gaps.
    """
    missing = ~np.isfinite(channel.values)
    if not missing.any():
        return channel, missing
    if missing.all():
        return replace(channel, values=np.zeros_like(channel.values)), missing
    where = np.arange(len(missing))
    whole = np.interp(where, where[~missing], channel.values[~missing])
    numbers, _ = ndimage.label(missing)
    too_long = np.bincount(numbers) > max_gap_s * channel.rate_hz
    too_long[0] = False  # number 0 is what is not missing
    return replace(channel, values=whole), too_long[numbers]
