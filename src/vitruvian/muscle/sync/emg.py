"""From raw EMG to an envelope: how active the muscle is, in volts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.recording import Floats, Signal
from vitruvian.muscle.sync.filters import bridged, highpass, lowpass

_ORDER = 4
_KNOWN = 0.2  # share of samples that have to be known for a mean

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EmgEnvelope:
    """High-pass, rectify and smooth (docs/muscle.md).

    Attributes:
        highpass_hz: takes offset, drift and movement artefacts away; 10 to 30.
        kind: `lowpass`: mean of the rectified signal; `rms`: root of its mean square.
        lowpass_hz: of `lowpass`; 2 to 5.
        rms_ms: window of `rms`; 20 to 250.
        causal: use no later sample, as is needed on-line; else without lag.

    Raises:
        ConfigError: a value makes no sense.
    """

    highpass_hz: float = 20.0
    kind: Literal["lowpass", "rms"] = "lowpass"
    lowpass_hz: float = 4.0
    rms_ms: float = 40.0
    causal: bool = False

    def __post_init__(self) -> None:
        for key in ("highpass_hz", "lowpass_hz", "rms_ms"):
            if not getattr(self, key) > 0:
                raise ConfigError(f"{key}: must be above 0, got {getattr(self, key)}")
        if self.kind not in ("lowpass", "rms"):
            raise ConfigError(f"kind: must be lowpass or rms, got {self.kind!r}")
        if self.kind == "lowpass" and self.lowpass_hz >= self.highpass_hz:
            text = f"must be below highpass_hz ({self.highpass_hz:g}), got {self.lowpass_hz:g}"
            raise ConfigError(f"lowpass_hz: {text}")

    @property
    def bandwidth_hz(self) -> float:
        """Frequency above which little of the envelope is left."""
        return self.lowpass_hz if self.kind == "lowpass" else 1000.0 / self.rms_ms

    def apply(self, channel: Signal) -> Signal:
        """The envelope of a whole raw channel, (n,) finite, in its unit; never negative.

        Missing samples (NaN) have no say in the mean about them; where too many are missing, the
        envelope is a straight line. A causal envelope takes the last good sample for them, which
        counts as silence.

        Raises:
            DataError: the channel is too slow to be raw EMG.
        """
        self._check(channel.rate_hz)
        if self.causal:
            return replace(channel, values=self.stream(channel.rate_hz).push(channel.values))
        whole = bridged(channel, np.inf)[0].values
        fast = highpass(whole, channel.rate_hz, self.highpass_hz)
        size = np.abs(fast) if self.kind == "lowpass" else fast**2
        smooth = self._mean_of_known(size, np.isfinite(channel.values), channel.rate_hz)
        smooth = np.maximum(smooth, 0)  # a Butterworth filter overshoots
        return replace(channel, values=smooth if self.kind == "lowpass" else np.sqrt(smooth))

    def _mean_of_known(self, size: Floats, known: Flags, rate_hz: float) -> Floats:
        if known.all():
            return self._mean(size, rate_hz)
        weights = self._mean(known.astype(np.float64), rate_hz)
        sums = self._mean(np.where(known, size, 0), rate_hz)
        means = np.where(weights > _KNOWN, sums / np.maximum(weights, _KNOWN), np.nan)
        return bridged(Signal(means, rate_hz), np.inf)[0].values

    def _mean(self, size: Floats, rate_hz: float) -> Floats:
        if self.kind == "lowpass":
            return lowpass(size, rate_hz, self.lowpass_hz, _ORDER)
        smooth: Floats = ndimage.uniform_filter1d(size, self._window(rate_hz))
        return smooth

    def stream(self, rate_hz: float) -> EnvelopeStream:
        """The causal envelope of a channel that arrives in pieces.

        Raises:
            ConfigError: this envelope is not causal.
            DataError: the channel is too slow to be raw EMG.
        """
        if not self.causal:
            raise ConfigError("causal: must be true on-line; a zero-lag filter needs the future")
        self._check(rate_hz)
        if self.kind == "rms":
            return EnvelopeStream(self.highpass_hz, rate_hz, window=self._window(rate_hz))
        return EnvelopeStream(self.highpass_hz, rate_hz, lowpass_hz=self.lowpass_hz)

    def _window(self, rate_hz: float) -> int:
        return max(1, round(self.rms_ms / 1000 * rate_hz))

    def _check(self, rate_hz: float) -> None:
        if rate_hz <= 2 * self.highpass_hz:
            raise DataError(
                f"EMG at {rate_hz:g} Hz cannot be raw: a high-pass of {self.highpass_hz:g} Hz "
                f"needs over {2 * self.highpass_hz:g} Hz; if it is an envelope, do not call it raw"
            )


class EnvelopeStream:
    """The state of a causal envelope between two pieces of its channel."""

    def __init__(
        self, highpass_hz: float, rate_hz: float, lowpass_hz: float | None = None, window: int = 1
    ) -> None:
        """Start before the first sample; without `lowpass_hz` an RMS over `window` samples."""
        self._fast = signal.butter(_ORDER, highpass_hz, "highpass", output="sos", fs=rate_hz)
        self._slow = (
            None
            if lowpass_hz is None
            else signal.butter(_ORDER, lowpass_hz, output="sos", fs=rate_hz)
        )
        self._window = window
        self._last = np.nan
        self._seen = 0
        self._fast_state: Floats | None = None
        self._slow_state: Floats = np.zeros((1 if self._slow is None else len(self._slow), 2))
        self._squares: Floats = np.zeros(window - 1)

    def push(self, values: Floats) -> Floats:
        """The envelope at the next samples, (n,); the last good one stands in for missing ones."""
        if len(values) == 0:
            return np.zeros(0)
        fast = self._highpass(self._held(np.asarray(values, np.float64)))
        smooth = self._rms(fast) if self._slow is None else self._lowpass(np.abs(fast))
        self._seen += len(values)
        return np.maximum(smooth, 0)

    def _held(self, values: Floats) -> Floats:
        """One NaN would stay in the filters for good."""
        joined = np.concatenate([[self._last], values])
        good = np.isfinite(joined)
        held: Floats = joined[np.maximum.accumulate(np.where(good, np.arange(len(joined)), 0))]
        self._last = held[-1]
        return np.nan_to_num(held[1:])

    def _highpass(self, values: Floats) -> Floats:
        if self._fast_state is None:  # as if the first sample had been there forever: no step
            self._fast_state = signal.sosfilt_zi(self._fast) * values[0]
        fast: Floats
        fast, self._fast_state = signal.sosfilt(self._fast, values, zi=self._fast_state)
        return fast

    def _lowpass(self, values: Floats) -> Floats:
        smooth: Floats
        smooth, self._slow_state = signal.sosfilt(self._slow, values, zi=self._slow_state)
        return smooth

    def _rms(self, values: Floats) -> Floats:
        squares = np.concatenate([self._squares, values**2])
        self._squares = squares[len(squares) - (self._window - 1) :]
        counts = np.minimum(self._seen + 1 + np.arange(len(values)), self._window)
        root: Floats = np.sqrt(np.convolve(squares, np.ones(self._window), "valid") / counts)
        return root
