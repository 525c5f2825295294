"""What the metrics of overlap are called: the house's names, and others that papers print."""

from __future__ import annotations

from collections.abc import Sequence

from vitruvian.core.errors import DataError

SHARES = ("dice", "jaccard", "voe", "voe_paper", "precision", "recall", "rvd")
DISTANCES = ("assd_mm", "hd_mm", "hd95_mm")
ALIASES = {"dsc": "dice", "iou": "jaccard", "sensitivity": "recall", "asd": "assd_mm"}


def metric_of(key: str) -> str | None:
    """The house's name of a metric, None if there is none."""
    plain = key.strip().lower()
    names = {plain, f"{plain}_mm", ALIASES.get(plain)} & {*SHARES, *DISTANCES}
    return names.pop() if names else None


def refuse_twice(where: str, keys: Sequence[str]) -> None:
    """Refuse names that mean the same number: only one of the two could be judged.

    Raises:
        DataError: two of the keys do; `where` names their place to the reader.
    """
    met: dict[str, str] = {}
    for key in keys:
        name = metric_of(key) or key.strip().lower()
        if name in met:
            twice = (
                f"{key} is given twice"
                if met[name] == key
                else f"{met[name]} and {key} are the same"
            )
            raise DataError(f"{where}: {twice}; keep the one to be judged")
        met[name] = key
