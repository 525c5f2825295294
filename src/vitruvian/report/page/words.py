"""Names of metrics and of papers as people say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitruvian.papers.paper import Paper

_WORDS = {
    **{name: name.upper() for name in ("voe", "assd", "asd", "hd95", "rmse", "auc", "emg")},
    "dice": "Dice",
    "r2": "R²",
    "macs": "MACs",
}
_UNITS = {"mm": "mm", "deg": "deg", "v": "V", "nm": "Nm", "s": "s"}


def metric_words(name: str, unit: bool = True) -> str:
    """`angle_change_rmse_deg` as `angle change RMSE (deg)`, or without its unit."""
    words = []
    for part in name.split("_"):
        if part not in _UNITS:
            words.append(_WORDS.get(part, part))
        elif unit:
            words.append(f"({_UNITS[part]})")
    return " ".join(words)


def short_name(paper: Paper) -> str:
    """The first author's last name, the year and the study: `Wang et al. 2024, liver`."""
    first, *others = paper.authors.split(",")
    last = " ".join(part for part in first.split() if not part.endswith("."))
    return f"{last or first}{' et al.' if others else ''} {paper.year}, {paper.study}"
