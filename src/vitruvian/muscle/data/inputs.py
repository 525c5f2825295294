"""What a net is shown of a trial, and what it is asked for: two keys that every ablation turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.trial import Kind

if TYPE_CHECKING:
    from torch import Tensor

Target = Literal["change", "centred", "absolute", "both"]

KINDS: dict[Target, tuple[Kind, ...]] = {
    "change": ("change",),
    "centred": ("centred",),
    "absolute": ("absolute",),
    "both": ("change", "absolute"),
}


@dataclass(frozen=True)
class FrameInput:
    """The frames that a net reads to speak about the last one (docs/muscle.md).

    Attributes:
        kind: `pair`: the frame before and this one, as two channels; `single`: this one;
            `difference`: this one less the one before; `stack`: the last `frames` ones.
        frames: in a stack, in the order of time.
    """

    kind: Literal["pair", "single", "difference", "stack"] = "pair"
    frames: int = 8

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ConfigError(f"frames: a stack has at least 2, not {self.frames}")

    @property
    def context(self) -> int:
        """Frames in a row that one answer needs."""
        return {"pair": 2, "single": 1, "difference": 2, "stack": self.frames}[self.kind]

    @property
    def channels(self) -> int:
        """Channels that the net reads."""
        return 1 if self.kind == "difference" else self.context

    def __call__(self, images: Tensor) -> Tensor:
        """Make channels, (n, channels, H, W), of frames in a row, (n, context, H, W)."""
        if self.kind == "difference":
            return images[:, 1:] - images[:, :1]
        return images


def output_names(target: Target, quantities: Sequence[str]) -> tuple[str, ...]:
    """What a net answers, in order: `angle_deg` is a value, `change angle_deg` is one's change."""
    kinds = KINDS[target]
    changes = [f"change {name}" for name in quantities] if "change" in kinds else []
    return (*changes, *(quantities if kinds != ("change",) else ()))


def frames_needed(inputs: FrameInput, target: Target) -> int:
    """Frames in a row behind one training item: a change needs the frame before in any case."""
    return max(inputs.context, 2 if "change" in KINDS[target] else 1)
