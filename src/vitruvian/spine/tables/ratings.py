"""`ratings.csv`: who does what in a clip, and how the person rates their own back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from vitruvian.core.check import nearest
from vitruvian.core.errors import DataError
from vitruvian.spine.tables.delimited import Row, read_rows

COLUMNS = ("clip", "participant", "exercise", "rating")
_SHOWN = 20  # faults told at once

Unrated = Literal["error", "skip", "keep"]


@dataclass(frozen=True)
class Rating:
    """One row of `ratings.csv`.

    Attributes:
        clip: name of the clip: its file below the folder of the recordings.
        participant: who.
        exercise: what.
        rating: of the back after it, 0 (most pain) to 100 (none); NaN where there is none.
    """

    clip: str
    participant: str = ""
    exercise: str = ""
    rating: float = math.nan


@dataclass(frozen=True)
class Ratings:
    """The rows of a `ratings.csv`.

    Attributes:
        path: of the file.
        rows: in its order; no clip is named twice.
        lines: where each row stands in the file.
    """

    path: Path
    rows: tuple[Rating, ...]
    lines: tuple[int, ...]

    def match(self, clips: Sequence[str], unrated: Unrated = "error") -> dict[str, Rating]:
        """Find the row of every clip.

        A row may name its clip with or without the ending of the file.

        Args:
            clips: names, with their endings, such as `p001/walk.mp4`.
            unrated: what becomes of clips without a row: an error, left out, or kept without
                person, exercise and rating.

        Returns:
            The ratings by the names of `clips`, in their order.

        Raises:
            DataError: a row names no clip, two rows name one, or a clip has no row.
        """
        named = self._named(clips)
        missing = [clip for clip in clips if clip not in named]
        if missing and unrated == "error":
            raise DataError(
                f"{self.path}: {len(missing)} of {len(clips)} clips have no row: "
                f"{_listed(missing)}; add them, or set unrated=skip or unrated=keep"
            )
        if unrated == "keep":
            named |= {clip: Rating(clip) for clip in missing}
        return {clip: named[clip] for clip in clips if clip in named}

    def _named(self, clips: Sequence[str]) -> dict[str, Rating]:
        known = _by_name(clips)
        named: dict[str, tuple[int, Rating]] = {}
        faults = []
        for line, row in zip(self.lines, self.rows, strict=True):
            found = known.get(_plain(row.clip), [])
            if len(found) != 1:
                faults.append(f"line {line}: {_not_one(row.clip, found, clips)}")
            elif found[0] in named:
                earlier = named[found[0]][0]
                faults.append(f"line {line}: clip {row.clip!r} is that of line {earlier}")
            else:
                named[found[0]] = line, row
        _refuse(self.path, faults)
        return {
            clip: Rating(clip, row.participant, row.exercise, row.rating)
            for clip, (_, row) in named.items()
        }


def read_ratings(path: Path) -> Ratings:
    """Read a `ratings.csv` with the columns clip, participant, exercise and rating.

    Commas, semicolons and tabs separate; a decimal comma, a byte order mark and Excel's encodings
    are understood; other columns are ignored.

    Raises:
        DataError: a column is missing, or rows are wrong: each with its line and what is wrong.
    """
    header, rows = read_rows(path)
    places = _places(path, header)
    found: list[Rating] = []
    lines: list[int] = []
    faults: list[str] = []
    for row in rows:
        try:
            found.append(_rating(row, places))
            lines.append(row.line)
        except DataError as error:
            faults.append(f"line {row.line}: {error}")
    faults += _repeated(found, lines)
    _refuse(path, faults)
    if not found:
        raise DataError(f"{path}: no rows below the header")
    return Ratings(path, tuple(found), tuple(lines))


def _places(path: Path, header: Sequence[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in header]
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise DataError("\n".join(_no_column(path, column, names) for column in missing))
    twice = [column for column in COLUMNS if names.count(column) > 1]
    if twice:
        raise DataError(f"{path}: two columns are called {twice[0]!r}; rename or remove one")
    return {column: names.index(column) for column in COLUMNS}


def _no_column(path: Path, column: str, names: Sequence[str]) -> str:
    near = nearest(column, [name for name in names if name not in COLUMNS])
    meant = f"; is it {near!r}? rename that" if near else f"; it has {', '.join(names)}"
    return f"{path}: no column {column!r}{meant}"


def _rating(row: Row, places: Mapping[str, int]) -> Rating:
    cells = {column: row.cell(place) for column, place in places.items()}
    empty = [column for column in ("clip", "participant", "exercise") if not cells[column]]
    if empty:
        raise DataError(f"the {empty[0]} is empty")
    return Rating(
        _posix(cells["clip"]),
        cells["participant"],
        cells["exercise"],
        _number(cells["rating"]),
    )


def _number(text: str) -> float:
    try:
        rating = float(text.replace(",", "."))
    except ValueError as error:
        what = f"rating {text!r} is not a number" if text else "the rating is empty"
        raise DataError(f"{what}; give 0 (most pain) to 100 (none)") from error
    if not 0 <= rating <= 100:
        raise DataError(f"rating {text} is outside 0 to 100")
    return rating


def _repeated(rows: Iterable[Rating], lines: Iterable[int]) -> list[str]:
    first: dict[str, int] = {}
    faults = []
    for row, line in zip(rows, lines, strict=True):
        earlier = first.setdefault(_plain(row.clip), line)
        if earlier != line:
            faults.append(f"line {line}: clip {row.clip!r} is that of line {earlier}")
    return faults


def _by_name(clips: Iterable[str]) -> dict[str, list[str]]:
    """The clips that a name may mean: with its ending, and without."""
    known: dict[str, list[str]] = {}
    for clip in clips:
        for name in {_plain(clip), _plain(str(PurePosixPath(clip).with_suffix("")))}:
            known.setdefault(name, []).append(clip)
    return known


def _posix(clip: str) -> str:
    return clip.replace("\\", "/").removeprefix("./")


def _plain(clip: str) -> str:
    return clip.casefold()  # file systems of the colleagues' computers ignore the case


def _not_one(name: str, found: Sequence[str], clips: Sequence[str]) -> str:
    if found:
        return f"clip {name!r} may be {_listed(found)}; write the ending, too"
    near = nearest(name, clips)
    return f"no clip {name!r}" + (f"; is it {near!r}?" if near else "")


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:_SHOWN], "..."] if len(names) > _SHOWN else names)


def _refuse(path: Path, faults: Sequence[str]) -> None:
    if not faults:
        return
    told = [f"{path}: {fault}" for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        told.append(f"{path}: and {len(faults) - _SHOWN} more")
    raise DataError("\n".join(told))
