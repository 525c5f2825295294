"""The landmark database: clips with their landmarks, float32 to the last bit, written once.

A clip is one transaction: whatever happens to the process, it is there whole or not at all. The
content of its video and all that its landmarks depend on (the pose identity) name it, so that the
same clip seen by the same model is never there twice, however many processes write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vitruvian.core.check import nearest
from vitruvian.core.errors import DataError
from vitruvian.spine.database.connections import Connections
from vitruvian.spine.database.rows import (
    ClipInfo,
    Identity,
    clip_of,
    clip_row,
    info_of,
    landmark_rows,
    landmarks_sha256,
    pose_sha256,
)
from vitruvian.spine.database.schema import CLIPS, FILES, IDENTITY_COLUMNS, LANDMARKS
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.tables.ratings import Rating

__all__ = ["ClipInfo", "LandmarkDatabase", "landmarks_sha256", "pose_sha256"]

SELECTORS = (
    *("id", "name", "participant", "exercise", "simulated", "skeleton"),
    *("content_sha256", "pose_sha256", *IDENTITY_COLUMNS),
)
_TOGETHER = 64  # clips written in one transaction: 9 MB at 150 frames each
_FRAMES_AT_ONCE = 20_000  # read by one query: 19 MB


class LandmarkDatabase:
    """Clips in an SQLite file or on a database server.

    Nothing is opened before it is needed, and nothing stays open. The tables are made by the first
    writer. An SQLite file must lie on a disk of this computer: where several computers extract,
    use a server such as PostgreSQL.

    Args:
        url: an SQLite file, or a URL of SQLAlchemy such as `postgresql://lab@server/spine`. The
            password belongs into the environment variable `VITRUVIAN_DATABASE_PASSWORD`.

    Raises:
        ConfigError: the URL is ill-formed or holds a password, or its driver is not installed.
    """

    def __init__(self, url: str | Path) -> None:
        self.connections = Connections(url)

    def __str__(self) -> str:
        return str(self.connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to close: connections end with each piece of work."""

    # -- writing ------------------------------------------------------------------------------

    def add(
        self,
        clip: Clip,
        identity: Identity,
        content_sha256: str,
        broken: str | None = None,
        replace: bool = False,
    ) -> bool:
        """Write a clip, unless it is there.

        Args:
            clip: to write.
            identity: all that its landmarks depend on beside the video.
            content_sha256: of the video.
            broken: why the recording ends before its end.
            replace: take the place of another recording of this name instead of refusing.

        Returns:
            False if this content with this identity was there already.

        Raises:
            DataError: another recording of this name is there.
            RunError: the database cannot be written.
            ValueError: the rating is not from 0 to 100, or there is no name or no frame.
        """
        row = clip_row(clip, identity, content_sha256, broken)

        try:
            return self.connections.write(lambda c: _insert_absent(c, clip, row, replace))
        except IntegrityError as error:
            if self.has(content_sha256, identity):  # another process was first
                return False
            raise self._taken(clip.name) from error

    def check_name(self, name: str, identity: Identity) -> None:
        """Refuse the name of a clip that is there, before its landmarks are extracted.

        Raises:
            DataError: another recording of this name is there.
        """
        if self.connections.exists() and self.clips(name=name, pose_sha256=pose_sha256(identity)):
            raise self._taken(name)

    def _taken(self, name: str) -> DataError:
        return DataError(
            f"{self}: holds another recording named {name}; rename this one, or replace that one "
            "with replace=true"
        )

    def add_many(self, clips: Iterable[Clip], identity: Identity, replace: bool = False) -> int:
        """Write clips that come without videos: simulated ones, or those of a table.

        The landmarks themselves are their content. The clips are written in groups, of which each
        is a transaction.

        Returns:
            How many were not there already.

        Raises:
            DataError, RunError, ValueError: as in `add`.
        """
        source = iter(clips)
        return sum(
            self._add_group(group, identity, replace)
            for group in iter(lambda: list(islice(source, _TOGETHER)), [])
        )

    def _add_group(self, group: Sequence[Clip], identity: Identity, replace: bool) -> int:
        rows = [clip_row(clip, identity, landmarks_sha256(clip), None) for clip in group]
        both = list(zip(group, rows, strict=True))

        def insert(connection: sa.Connection) -> int:
            return sum(_insert_absent(connection, clip, row, replace) for clip, row in both)

        try:
            return self.connections.write(insert)
        except IntegrityError:  # one has a namesake, or another process was first: one by one
            added = [
                self.add(clip, identity, row["content_sha256"], None, replace) for clip, row in both
            ]
            return sum(added)

    def relabel(self, ratings: Iterable[Rating]) -> int:
        """Correct participant, exercise and rating of clips, by their names, under every model.

        Returns:
            How many rows of clips were changed.

        Raises:
            DataError: there is no clip of a name; nothing is changed then.
        """
        wanted = list(ratings)
        if not wanted:
            return 0

        def update(connection: sa.Connection) -> int:
            known = {info.name for info in _infos(connection, ())}
            missing = [rating.clip for rating in wanted if rating.clip not in known]
            if missing:
                raise DataError(f"{self}: no clip {missing[0]!r}{_meant(missing[0], known)}")
            return sum(_relabel(connection, rating) for rating in wanted)

        return self.connections.write(update)

    def rename(self, clip_id: int, name: str) -> None:
        """Give a clip another name.

        Raises:
            DataError: the name is taken.
        """
        change = CLIPS.update().where(CLIPS.c.id == clip_id).values(name=name)
        try:
            self.connections.write(lambda connection: connection.execute(change).rowcount)
        except IntegrityError as error:
            raise self._taken(name) from error

    def delete(self, participant: str) -> int:
        """Forget a person: all clips and landmarks are deleted, and overwritten in an SQLite file.

        Videos, exports and backups are not touched. A server overwrites in its own time.

        Returns:
            How many clips there were.

        Raises:
            DataError: there is nobody of this name.
        """
        mine = CLIPS.c.participant == participant
        if not self.clips(participant=participant):
            people = {info.participant for info in self.clips()}
            raise DataError(f"{self}: no participant {participant!r}{_meant(participant, people)}")
        files = FILES.delete().where(
            FILES.c.content_sha256.in_(sa.select(CLIPS.c.content_sha256).where(mine))
        )

        def forget(connection: sa.Connection) -> int:
            connection.execute(files)
            return connection.execute(CLIPS.delete().where(mine)).rowcount

        count = self.connections.write(forget)
        self.connections.compact()
        return count

    # -- reading ------------------------------------------------------------------------------

    def has(self, content_sha256: str, identity: Identity) -> bool:
        """Whether a video has been extracted: its sha256, with this pose identity."""
        return self.find(content_sha256, identity) is not None

    def find(self, content_sha256: str, identity: Identity) -> ClipInfo | None:
        """The clip of a video, by its sha256 and the pose identity."""
        if not self.connections.exists():
            return None
        wanted = {"content_sha256": content_sha256, "pose_sha256": pose_sha256(identity)}
        return next(iter(self.clips(**wanted)), None)

    def clips(self, **where: Any) -> list[ClipInfo]:
        """List clips by name, without their landmarks.

        Args:
            **where: what to select by, one value or a list of them: see `SELECTORS`, for instance
                `variant="lite", exercise=["walk", "jump"]`.

        Raises:
            DataError: there is no such database, or it is damaged or of a newer version.
            ValueError: one cannot select by such a key.
        """
        conditions = _conditions(where)
        with self.connections.reading() as connection:
            return _infos(connection, conditions)

    def read(self, clip: str | int, **where: Any) -> Clip:
        """Read one clip by its name or id; `where` as in `clips`.

        Raises:
            DataError: there is none, or several of this name.
        """
        by = {"id": clip} if isinstance(clip, int) else {"name": clip}
        found = list(self.read_all(**by, **where))
        if not found:
            names = [info.name for info in self.clips(**where)]
            raise DataError(f"{self}: no clip {clip!r}{_meant(str(clip), names)}")
        return found[0]

    def read_all(self, **where: Any) -> Iterator[Clip]:
        """Read clips in the order of their names; `where` as in `clips`.

        Raises:
            DataError: as in `clips`; or a clip is there under several models, or is damaged.
        """
        infos = self.clips(**where)
        self._refuse_ambiguous(infos)
        return self._read(infos)

    def _read(self, infos: Sequence[ClipInfo]) -> Iterator[Clip]:
        for group in _groups(infos):
            rows = self._landmarks([info.id for info in group])
            yield from (clip_of(info, rows.get(info.id, [])) for info in group)

    def _landmarks(self, ids: Sequence[int]) -> dict[int, list[Sequence[Any]]]:
        table = LANDMARKS.c
        query = (
            sa.select(table.clip_id, table.time_s, table.points, table.visibility, table.world)
            .where(table.clip_id.in_(ids))
            .order_by(table.clip_id, table.frame)
        )
        with self.connections.reading() as connection:
            found = groupby(connection.execute(query), key=lambda row: row[0])
            return {clip_id: [row[1:] for row in rows] for clip_id, rows in found}

    def _refuse_ambiguous(self, infos: Sequence[ClipInfo]) -> None:
        for one, next_ in pairwise(infos):
            if one.name == next_.name:
                raise DataError(
                    f"{self}: clip {one.name} is there as {_difference(one, next_)}; choose one"
                )


def _insert_absent(
    connection: sa.Connection, clip: Clip, row: Mapping[str, Any], replace: bool
) -> bool:
    """Write a clip, unless its content is there; False if it is."""
    if connection.execute(sa.select(CLIPS.c.id).where(*_alike(row, "content_sha256"))).first():
        return False
    if replace:
        connection.execute(CLIPS.delete().where(*_alike(row, "name")))
    result = connection.execute(CLIPS.insert().values(row))
    assert result.inserted_primary_key is not None
    rows = landmark_rows(result.inserted_primary_key[0], clip.landmarks)
    connection.execute(LANDMARKS.insert(), rows)
    return True


def _alike(row: Mapping[str, Any], column: str) -> tuple[Any, ...]:
    return tuple(CLIPS.c[key] == row[key] for key in (column, "pose_sha256"))


def _relabel(connection: sa.Connection, rating: Rating) -> int:
    values = {
        "participant": rating.participant,
        "exercise": rating.exercise,
        "rating": None if rating.rating != rating.rating else rating.rating,
    }
    differs = sa.or_(*(CLIPS.c[key].is_distinct_from(value) for key, value in values.items()))
    change = CLIPS.update().where(CLIPS.c.name == rating.clip, differs).values(values)
    return connection.execute(change).rowcount


def _infos(connection: sa.Connection, conditions: Iterable[Any]) -> list[ClipInfo]:
    rows = connection.execute(sa.select(CLIPS).where(*conditions)).mappings()
    # sorted here: databases have orders of their own
    return sorted((info_of(row) for row in rows), key=lambda info: (info.name, info.id))


def _conditions(where: Mapping[str, Any]) -> list[Any]:
    for key in where:
        if key not in SELECTORS:
            raise ValueError(f"clips cannot be selected by {key!r}{_meant(key, SELECTORS)}")
    return [
        CLIPS.c[key].in_(list(value))
        if isinstance(value, list | tuple | set)
        else CLIPS.c[key] == value
        for key, value in where.items()
    ]


def _groups(infos: Iterable[ClipInfo]) -> Iterator[list[ClipInfo]]:
    """Divide clips so that a query brings few enough frames."""
    group: list[ClipInfo] = []
    frames = 0
    for info in infos:
        if group and frames + info.frames > _FRAMES_AT_ONCE:
            yield group
            group, frames = [], 0
        group.append(info)
        frames += info.frames
    if group:
        yield group


def _meant(name: str, candidates: Iterable[str]) -> str:
    near = nearest(name, candidates)
    return f"; did you mean {near!r}?" if near else ""


def _difference(one: ClipInfo, other: ClipInfo) -> str:
    """What tells two versions of a clip apart, as keys to select by."""
    for key in IDENTITY_COLUMNS:
        values = [info.identity.get(key) for info in (one, other)]
        if values[0] != values[1]:
            return f"{key}={values[0]} and {key}={values[1]}"
    return f"{one.pose} with different settings (select by pose_sha256)"
