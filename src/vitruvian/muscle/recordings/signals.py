"""From the files and columns of a description to signals by channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Floats, Signal
from vitruvian.muscle.recordings.channel_form import own_unit
from vitruvian.muscle.recordings.columns import Column
from vitruvian.muscle.recordings.description import ChannelPart, Description, SignalsPart, TimePart
from vitruvian.muscle.recordings.even_sampling import EvenGrid, empty_note
from vitruvian.muscle.recordings.signal_files import read_columns


@dataclass(frozen=True)
class ReadSignals:
    """Signals by channel, and what a person should know of them."""

    signals: Mapping[str, Signal] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_signals(folder: Path, description: Description) -> ReadSignals:
    """Read the channels of a description, in its order; missing samples are NaN.

    Raises:
        DataError: a file or a column is missing or broken, or nothing tells a sampling rate.
        ConfigError: a package that reads a format is not installed.
    """
    found: dict[str, Signal] = {}
    notes: list[str] = []
    clock = description.clock
    # Where each sample belongs to a frame, the frames have the rate of the samples.
    frame_hz = clock.rate_hz if clock is not None and clock.kind == "frames" else None
    for part in description.signals:
        channels = description.in_file(part)
        for name, signal, note in _file_signals(folder, part, channels, frame_hz):
            found[name] = signal
            notes += [f"{name}: {note}"] if note else []
    return ReadSignals({name: found[name] for name in description.channels}, tuple(notes))


def read_times(folder: Path, part: TimePart) -> Floats:
    """Times in seconds, (n,), that a file lists.

    Raises:
        DataError: the file or the column is missing or broken.
    """
    assert part.file is not None
    column = read_columns(folder / part.file, [part.column])[part.column]
    return column.values[np.isfinite(column.values)] * part.seconds


def _file_signals(
    folder: Path, part: SignalsPart, channels: Mapping[str, ChannelPart], frame_hz: float | None
) -> Iterator[tuple[str, Signal, str]]:
    """The channels of one file, each with a note."""
    path = folder / part.file
    extra = [part.time.column] if part.time else []
    extra += [part.rate_hz] if isinstance(part.rate_hz, str) else []
    wanted = dict.fromkeys([*(channel.column for channel in channels.values()), *extra])
    columns = read_columns(path, list(wanted))
    timing = _Timing(path, part, columns, frame_hz)
    for name, channel in channels.items():
        column = columns[channel.column]
        try:
            empty = empty_note(column.values)
            grid = timing.grid(column)
            values = channel.form.values(grid.values(column.values), name)
        except DataError as error:
            raise DataError(f"{path}: {name} ({channel.column}): {error}") from error
        unit = own_unit(name) or channel.unit
        note = "; ".join(text for text in (empty, grid.note) if text)
        yield name, Signal(values, grid.rate_hz, grid.start_s, unit), note


class _Timing:
    """When the samples of a file were taken."""

    def __init__(
        self, path: Path, part: SignalsPart, columns: Mapping[str, Column], frame_hz: float | None
    ) -> None:
        self._part, self._frame_hz = part, frame_hz
        self._times = self._of_times(path, part.time, columns) if part.time else None
        self._rate_hz = self._named_rate(path, part.rate_hz, columns)

    def grid(self, column: Column) -> EvenGrid:
        if self._times is not None:
            count = len(self._times[1])
            if len(column.values) != count:
                raise DataError(f"{len(column.values)} samples, but {count} times")
            return self._times[0]
        rate_hz = self._rate_hz or column.rate_hz or self._frame_hz
        if rate_hz is None:
            raise DataError(
                "nothing tells its sampling rate; give signals.rate_hz or signals.time in "
                "recording.yaml"
            )
        return EvenGrid(rate_hz, column.start_s + self._part.start_s)

    @staticmethod
    def _of_times(
        path: Path, part: TimePart, columns: Mapping[str, Column]
    ) -> tuple[EvenGrid, Floats]:
        times_s = columns[part.column].values * part.seconds
        try:
            return EvenGrid.of_times(times_s), times_s
        except DataError as error:
            raise DataError(f"{path}: {part.column}: {error}") from error

    @staticmethod
    def _named_rate(
        path: Path, rate_hz: float | str | None, columns: Mapping[str, Column]
    ) -> float | None:
        if not isinstance(rate_hz, str):
            return rate_hz
        values = columns[rate_hz].values
        if len(values) != 1 or not values[0] > 0:
            raise DataError(f"{path}: {rate_hz} is no sampling rate, which is one number above 0")
        return float(values[0])
