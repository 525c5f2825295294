"""The index of a camera, file or stream while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitruvian.core.errors import ConfigError
from vitruvian.core.live import LiveOptions, LiveOutcome
from vitruvian.core.task import SIMULATED_KEY
from vitruvian.core.video.video import open_video
from vitruvian.spine.head.streaming import StreamingIndex
from vitruvian.spine.live.session import run
from vitruvian.spine.pose.extraction import stream_poses
from vitruvian.spine.skeletons import BLAZEPOSE

if TYPE_CHECKING:
    from vitruvian.spine.regressor import SpineRegressor


def predict_live(
    task: SpineRegressor, options: LiveOptions, provenance: dict[str, Any]
) -> LiveOutcome:
    """Show the index of a source while it runs.

    Raises:
        ConfigError: the model does not read what a video gives.
        DataError: the source cannot be opened.
    """
    options.refuse("spine", "table")
    if task.skeleton != BLAZEPOSE:
        raise ConfigError(
            f"source={options.source}: the model reads {task.skeleton.name}, "
            f"a video gives {BLAZEPOSE.name}"
        )
    with open_video(options.source, task.pose.resize) as video:
        return run(
            stream_poses(video, task.pose),
            StreamingIndex(task),
            options,
            simulated=bool(provenance.get(SIMULATED_KEY)),
            broken=lambda: video.broken,
            world=task.cleaning.coordinates == "world",
        )
