"""Writing a recording folder, which `open_recording` reads back."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from vitruvian.core.errors import RunError
from vitruvian.core.files import unwritable
from vitruvian.muscle.recording import USUAL_RATE_HZ, ClockSource, Image, Recording, Signal
from vitruvian.muscle.recordings.channel_form import ChannelForm, own_unit
from vitruvian.muscle.recordings.description import FILE_NAME
from vitruvian.muscle.recordings.frame_writers import FrameFormat, write_frames, write_masks
from vitruvian.muscle.recordings.screen import Screen
from vitruvian.muscle.recordings.signal_writers import SIGNAL_WRITERS

SignalFormat = Literal["csv", "parquet", "mat", "mat73"]


def write_recording(
    folder: Path,
    recording: Recording,
    images: Iterable[Image] | None = None,
    *,
    frames: FrameFormat = "avi",
    signals: SignalFormat = "csv",
    channels: Mapping[str, ChannelForm] | None = None,
    screen: Screen | None = None,
) -> Path:
    """Write a recording so that opening it gives the same values, in float32.

    The folder appears whole or not at all: it is written under another name and renamed.

    Args:
        folder: to make; its name is the recording's.
        recording: what is known, with the signals as they are after gain and scale.
        images: (h, w) uint8 pictures of the screen, one for each frame; None: `recording.frames`,
            and where there are none either only their number is written.
        frames: `avi`: lossless; `mp4`: H.264, lossy; `png` and `tiff`: a folder of images; `npz`.
        signals: format of the signals; `mat73` is MATLAB's v7.3 and needs h5py.
        channels: in which form a channel's numbers are written; others in their own unit.
        screen: the part of the pictures that the frames are, where they are not all of it.

    Returns:
        `folder`.

    Raises:
        RunError: the folder is there already, or cannot be written.
        ValueError: there are more or fewer images than `recording.frame_count`.
    """
    forms = {name: (channels or {}).get(name, ChannelForm()) for name in recording.signals}
    pictures = recording.frames if images is None else images
    screen = screen or Screen()
    with _appearing(folder) as place:
        content = _who(recording) | {"frames": _frames_part(recording, screen)}
        if pictures is not None:
            rate_hz = recording.clock.rate_hz or USUAL_RATE_HZ
            name, count = write_frames(place, pictures, frames, rate_hz)
            _check_count(folder, count, recording.frame_count)
            content["frames"] = {"file": name} | content["frames"]
            del content["frames"]["count"]
        if recording.masks is not None:
            content["masks"] = write_masks(place, recording.masks)
        content |= _signals_part(place, recording, forms, signals)
        content["clock"] = _clock_part(place, recording.clock)
        if recording.emg_mvc_v is not None:
            content["emg_mvc_v"] = float(recording.emg_mvc_v)
        _dump(place / FILE_NAME, content)
    return folder


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} is there already; delete it or choose another name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield place
        place.chmod(0o755)  # mkdtemp makes it private; colleagues read recordings
        place.replace(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _check_count(folder: Path, count: int, expected: int) -> None:
    if count != expected:
        raise ValueError(f"{folder}: {count} images given for frame_count={expected}")


def _who(recording: Recording) -> dict[str, Any]:
    content: dict[str, Any] = {"participant": recording.participant, "task": recording.task}
    if recording.person:
        content["person"] = {key: _plain(value) for key, value in recording.person.items()}
    return content | {"simulated": bool(recording.simulated)}


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's, which YAML can write."""
    return value.item() if isinstance(value, np.generic) else value


def _frames_part(recording: Recording, screen: Screen) -> dict[str, Any]:
    part: dict[str, Any] = {"count": recording.frame_count}
    if recording.mm_per_pixel is not None:
        part["mm_per_pixel"] = [float(size) for size in recording.mm_per_pixel]
    if screen.crop is not None:
        part["crop"] = list(screen.crop)
    if screen.flip != "none":
        part["flip"] = screen.flip
    return part


# --- signals -------------------------------------------------------------------------------------


def _signals_part(
    place: Path, recording: Recording, forms: Mapping[str, ChannelForm], signals: SignalFormat
) -> dict[str, Any]:
    """Write the signals, those that were sampled together into one file."""
    groups = _sampled_together(recording.signals)
    files, channels = [], {}
    ending, write = SIGNAL_WRITERS[signals]
    for number, names in enumerate(groups, 1):
        file = f"signals{f'_{number}' if len(groups) > 1 else ''}.{ending}"
        first = recording.signals[names[0]]
        columns = {name: _column(name, forms[name]) for name in names}
        values = [forms[name].numbers(recording.signals[name].values, name) for name in names]
        write(place / file, dict(zip(columns.values(), values, strict=True)))
        files.append({"file": file, "rate_hz": float(first.rate_hz)})
        if first.start_s:
            files[-1]["start_s"] = float(first.start_s)
        own = {"file": file} if len(groups) > 1 else {}
        for name, column in columns.items():
            channels[name] = {"column": column} | own | _form_part(name, forms[name], recording)
    return {"signals": files[0] if len(files) == 1 else files, "channels": channels}


def _sampled_together(signals: Mapping[str, Signal]) -> Sequence[Sequence[str]]:
    groups: dict[tuple[float, float, int], list[str]] = {}
    for name, signal in signals.items():
        key = (signal.rate_hz, signal.start_s, len(signal.values))
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _column(channel: str, form: ChannelForm) -> str:
    """A name that tells the unit in the file, such as emg_mV, and that MATLAB can take."""
    own = own_unit(channel)
    if not own or form.unit in ("", own):
        return channel
    return f"{channel[: -len(own) - 1]}_{re.sub('[^A-Za-z0-9]', '', form.unit) or 'raw'}"


def _form_part(channel: str, form: ChannelForm, recording: Recording) -> dict[str, Any]:
    unit = form.unit or own_unit(channel) or recording.signals[channel].unit
    part: dict[str, Any] = {"unit": unit} if unit else {}
    if form.gain != 1:
        part["gain"] = float(form.gain)
    if form.scale is not None:
        part["scale"] = float(form.scale)
    if form.offset:
        part["offset"] = float(form.offset)
    return part | ({"raw": channel in recording.raw} if channel.startswith("emg") else {})


def _clock_part(place: Path, clock: ClockSource) -> dict[str, Any]:
    part: dict[str, Any] = {"kind": clock.kind}
    if clock.channel is not None:
        part["channel"] = clock.channel
    if clock.times_s is not None:
        lines = ["time_s", *(repr(float(time)) for time in clock.times_s)]
        (place / "pulses.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        part["times"] = {"file": "pulses.csv", "column": "time_s"}
    if clock.rate_hz is not None:
        part["rate_hz"] = float(clock.rate_hz)
    return part


def _dump(path: Path, content: Mapping[str, Any]) -> None:
    """Write YAML in the order in which a person would, short values on one line."""
    plain = {
        key: np.asarray(v).item() if isinstance(v, np.generic) else v for key, v in content.items()
    }
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None)
    path.write_text(text, encoding="utf-8")
