"""A cleaned clip, as the task evaluates it."""

from __future__ import annotations

from dataclasses import dataclass

from vitruvian.core.errors import DataError
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.track.cleaning import Cleaning, Track

RED_FLAG = 0.5  # an index above it is a red flag (paper 003, section IV)


@dataclass(frozen=True)
class SpineCase:
    """A clip that is clean enough to be judged.

    Attributes:
        case: name of the clip.
        participant: who.
        exercise: what.
        truth: index from the person's own rating, 0 (best) to 1 (worst); NaN where there is none.
        track: its landmarks, cleaned and at an even rate.
        aspect: width over height of the frames that the coordinates are shares of.
        simulated: whether a simulator made it.
    """

    case: str
    participant: str
    exercise: str
    truth: float
    track: Track
    aspect: float = 1.0
    simulated: bool = False


def clean_case(clip: Clip, cleaning: Cleaning) -> SpineCase:
    """Clean a clip.

    Raises:
        DataError: too many of its landmarks are masked; the message names the clip.
    """
    try:
        track = cleaning.clean(clip.landmarks)
    except DataError as error:
        raise DataError(f"{clip.name}: {error}") from error
    width, height = clip.landmarks.size or (1, 1)
    return SpineCase(
        clip.name,
        clip.participant,
        clip.exercise,
        clip.index,
        track,
        1.0 if cleaning.coordinates == "world" else width / height,
        clip.simulated,
    )
