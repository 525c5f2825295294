"""The index of new recordings, with its reasons: a table over time, a JSON, a page, a heat-map.

No picture of the person is written: figures are drawn from landmarks.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from vitruvian.core.errors import DataError
from vitruvian.core.files import atomic, write_json
from vitruvian.core.task import SIMULATED_KEY
from vitruvian.spine.data.cases import RED_FLAG, SpineCase, clean_case
from vitruvian.spine.explain.attribution import JointShare, attribute, over_clip, top_joints
from vitruvian.spine.explain.figures import Explained, explanation, heat_map
from vitruvian.spine.explain.findings import WORDING, Finding, findings, why_none
from vitruvian.spine.head.streaming import IndexPoint, index_over_time
from vitruvian.spine.inputs import Input, find_inputs

if TYPE_CHECKING:
    import numpy.typing as npt

    from vitruvian.spine.landmarks import Clip
    from vitruvian.spine.regressor import SpineRegressor
    from vitruvian.spine.skeletons import Skeleton

SUFFIXES = ("_index", "_index_simulated")  # the second: the model was trained on simulated people
TOP_JOINTS = 5
_WINDOW = ("start_s", "end_s", "value")
CHUNK = 16  # windows whose gradients are held at once


@dataclass(frozen=True)
class Reading:
    """What the model says of a clip, and why.

    Attributes:
        case: the cleaned clip.
        index: reported, 0 (best) to 1 (worst).
        windows: value of every window, not clipped, with its first and last second.
        points: the index at every frame, as a stream would have shown it.
        findings: what the movement shows besides.
        attribution: (T, J) part of each joint and frame in the index.
    """

    case: SpineCase
    index: float
    windows: list[tuple[float, float, float]]
    points: list[IndexPoint]
    findings: list[Finding]
    attribution: npt.NDArray[Any]

    def joints(self, skeleton: Skeleton) -> list[JointShare]:
        """The joints with most of the attribution."""
        return top_joints(self.attribution, skeleton, TOP_JOINTS)


def predict_path(
    task: SpineRegressor, source: Path, target: Path, provenance: dict[str, Any]
) -> Iterator[Path]:
    """Predict every recording of a file or folder, one after the other.

    Args:
        task: the trained task, on its device.
        source: a video, a folder of videos, a folder of images, or a landmark table or database.
        target: folder for `NAME_index.csv`, `.json`, `.png` and `NAME_index_heatmap.png`.
        provenance: what the JSON says about the run.

    Yields:
        The files as they are written, recording by recording.

    Raises:
        DataError: there is no recording, or some are broken; the others have been predicted.
    """
    faults: list[str] = []
    count = 0
    for recording in find_inputs(source, task.pose, task.skeleton):
        count += 1
        try:
            yield from predict_recording(task, recording, target, provenance)
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError(_told(faults, count))


def _told(faults: list[str], recordings: int) -> str:
    if recordings == 1:
        return faults[0]
    listed = "\n".join(f"  {fault}" for fault in faults)
    done = recordings - len(faults)
    told = f"{len(faults)} of {recordings} recordings cannot be predicted; {done} are done"
    return f"{told}:\n{listed}"


def predict_recording(
    task: SpineRegressor, recording: Input, target: Path, provenance: dict[str, Any]
) -> Iterator[Path]:
    """Predict one recording; yields its four files as they are written."""
    clip, extracted = recording.read()
    reading = read_clip(task, clip)
    found = describe(task, recording, reading, extracted) | provenance
    simulated = bool(found.get(SIMULATED_KEY)) or clip.simulated
    name = f"{recording.name}{SUFFIXES[bool(found.get(SIMULATED_KEY))]}"
    stem = target / name
    stem.parent.mkdir(parents=True, exist_ok=True)
    table, outline, page, heat = (
        stem.with_name(f"{stem.name}{end}") for end in (".csv", ".json", ".png", "_heatmap.png")
    )
    write_points(table, reading.points)
    yield table
    write_json(outline, found)
    yield outline
    explanation(page, explained(task, reading, recording.name, simulated, extracted))
    yield page
    case = reading.case
    heat_map(case.track, task.skeleton, heat, recording.name, simulated, case.aspect)
    yield heat


def read_clip(task: SpineRegressor, clip: Clip) -> Reading:
    """Everything that is said of a clip.

    Raises:
        DataError: too much of it is masked.
    """
    case = clean_case(clip, task.cleaning)
    case = replace(case, track=task.windows.fitted(case.track))
    values = task.window_values(case.track).float()
    starts = task.windows.starts(len(case.track))
    times, last = case.track.times_s, len(case.track) - 1
    windows = [
        (float(times[s]), float(times[min(s + task.windows.length - 1, last)]), float(value))
        for s, value in zip(starts, values, strict=True)
    ]
    return Reading(
        case=case,
        index=task.reported_index(values),
        windows=windows,
        points=index_over_time(task, case.track),
        findings=shown_by(task, clip, case),
        attribution=attribution_of(task, case),
    )


def shown_by(task: SpineRegressor, clip: Clip, case: SpineCase) -> list[Finding]:
    """Findings, in space where the clip has world landmarks, whatever the net reads."""
    if clip.landmarks.world is None:
        return findings(case.track, task.skeleton, case.exercise, case.aspect)
    world = replace(task.cleaning, coordinates="world").clean(clip.landmarks)
    world = task.windows.fitted(world)  # findings name frames of the track that is shown
    return findings(world, task.skeleton, case.exercise, depth=True)


def attribution_of(task: SpineRegressor, case: SpineCase) -> npt.NDArray[Any]:
    """Integrated gradients of the index by joints and frames, (T, J)."""
    batch = task.windows.cut(case.track)
    device = task.train_mean.device
    parts = []
    for start in range(0, len(batch.points), CHUNK):
        points, visibility, mask = (x[start : start + CHUNK].to(device) for x in batch[:3])

        def values(moved: Tensor, seen: Tensor = visibility, real: Tensor = mask) -> Tensor:
            return task.values(moved, seen, real)

        parts.append(attribute(values, points, mask))
    return over_clip(np.concatenate(parts), batch.starts.tolist(), len(case.track))


def describe(
    task: SpineRegressor, recording: Input, reading: Reading, extracted: dict[str, Any]
) -> dict[str, Any]:
    """What the JSON holds of a recording."""
    case = reading.case
    return {
        "input": recording.source.name,
        "clip": case.case,
        "input_simulated": case.simulated,
        "index": reading.index,
        "red_flag": reading.index > RED_FLAG,
        "threshold": RED_FLAG,
        "note": WORDING,
        "windows": [dict(zip(_WINDOW, window, strict=True)) for window in reading.windows],
        "findings": [_plain(finding) for finding in reading.findings],
        "no_findings": why_none(task.skeleton) if not reading.findings else None,
        "joints": [_joint(share, case) for share in reading.joints(task.skeleton)],
        "frames": len(case.track),
        "fps": case.track.fps,
        "masked": case.track.masked,
        **extracted,
        "predicted": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _plain(finding: Finding) -> dict[str, Any]:
    """A finding for JSON, which knows no NaN."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in asdict(finding).items()
    }


def _joint(share: JointShare, case: SpineCase) -> dict[str, Any]:
    first, last = (float(case.track.times_s[frame]) for frame in share.frames)
    return {"joint": share.joint, "share": share.share, "from_s": first, "to_s": last}


def write_points(path: Path, points: list[IndexPoint]) -> None:
    """Write the index over time: of the open window, and of the clip so far."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("time_s", "window_index", "index"))
        writer.writerows([f"{value:.6f}" for value in point] for point in points)


def explained(
    task: SpineRegressor, reading: Reading, name: str, simulated: bool, extracted: dict[str, Any]
) -> Explained:
    """What the page of a recording shows."""
    case = reading.case
    broken = extracted.get("broken")
    return Explained(
        name=name,
        index=reading.index,
        times_s=np.array([point.time_s for point in reading.points]),
        values=np.array([point.value for point in reading.points]),
        track=case.track,
        skeleton=task.skeleton,
        findings=reading.findings,
        attribution=reading.attribution,
        exercise=case.exercise,
        aspect=case.aspect,
        simulated=simulated,
        notes=[f"the recording breaks off: {broken}"] if broken else [],
    )
