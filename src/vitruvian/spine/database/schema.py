"""Tables of the landmark database.

Landmarks have one row per clip and frame, with the joints as float32 bytes. Measured on 436 clips
of 150 frames and 33 joints, written in one transaction and read back whole (two shared cores):

| a row per | SQLite: write, read, size | PostgreSQL: write, read |
|-----------|---------------------------|-------------------------|
| joint     | 25 s, 6.2 s, 224 MB       | 50 s, 14 s              |
| frame     | 0.6 s, 0.1 s, 68 MB       | 2.1 s, 0.3 s            |
| clip      | 0.15 s, 0.02 s, 61 MB     | 0.4 s, 0.4 s            |

A row per frame costs little more than one per clip, keeps the number and the time of a frame within
reach of SQL, and no row grows with the length of a recording. `spine.tables` exports the long form.
"""

from __future__ import annotations

import sqlalchemy as sa

VERSION = 1  # of these tables; raise it when they change

_NAME, _DIGEST, _WORD = sa.String(255), sa.String(64), sa.String(64)
_JOINTS = sa.LargeBinary(2**24 - 1)  # the length matters to databases with several sizes of blobs

METADATA = sa.MetaData()

SCHEMA = sa.Table("vitruvian_schema", METADATA, sa.Column("version", sa.Integer, nullable=False))

CLIPS = sa.Table(
    "clips",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("content_sha256", _DIGEST, nullable=False),  # of the video
    sa.Column("pose_sha256", _DIGEST, nullable=False),  # of `identity`
    sa.Column("identity", sa.Text, nullable=False),  # JSON: all that the landmarks depend on
    sa.Column("participant", _NAME, nullable=False, index=True),
    sa.Column("exercise", _NAME, nullable=False),
    sa.Column("rating", sa.Double),  # 0 to 100; null where there is none
    sa.Column("simulated", sa.Boolean, nullable=False),
    sa.Column("skeleton", _WORD, nullable=False),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("fps", sa.Double),
    sa.Column("width", sa.Integer),  # pixels of the frames that the pose net saw
    sa.Column("height", sa.Integer),
    sa.Column("broken", sa.Text),  # why the recording ends before its end
    sa.Column("created", sa.DateTime, nullable=False),  # UTC
    # parts of `identity`, for queries
    sa.Column("model_sha256", _DIGEST),
    sa.Column("variant", _WORD),
    sa.Column("mediapipe", _WORD),
    sa.Column("mode", _WORD),
    sa.Column("resize", _WORD),
    sa.Column("platform", sa.String(255)),
    sa.Column("mirrored", _WORD),
    sa.UniqueConstraint("content_sha256", "pose_sha256"),
    sa.UniqueConstraint("name", "pose_sha256"),
)
IDENTITY_COLUMNS = (
    *("variant", "resize", "mode", "mirrored", "model_sha256", "mediapipe", "platform"),
)

LANDMARKS = sa.Table(
    "landmarks",
    METADATA,
    sa.Column("clip_id", sa.ForeignKey(CLIPS.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("frame", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time_s", sa.Double, nullable=False),
    sa.Column("points", _JOINTS, nullable=False),  # float32, little endian, (joints, dims)
    sa.Column("visibility", _JOINTS, nullable=False),  # (joints,)
    sa.Column("world", _JOINTS),  # (joints, 3), metres
)

FILES = sa.Table(  # hashes of recordings, so that a folder is not read again to find nothing new
    "files",
    METADATA,
    sa.Column("path_sha256", _DIGEST, primary_key=True),
    sa.Column("stamp", _NAME, nullable=False),  # size and times
    sa.Column("content_sha256", _DIGEST, nullable=False),
)

EXTRACTORS = sa.Table(
    "extractors",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("host", _NAME, nullable=False),
    sa.Column("process", _NAME, nullable=False),
    sa.Column("beat", sa.Integer, nullable=False),  # rises while the extractor lives
)

CLAIMS = sa.Table(
    "claims",
    METADATA,
    sa.Column("content_sha256", _DIGEST, primary_key=True),
    sa.Column("pose_sha256", _DIGEST, primary_key=True),
    sa.Column("extractor", sa.ForeignKey(EXTRACTORS.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("clip", _NAME, nullable=False),
)
