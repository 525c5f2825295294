"""Programs that write to a landmark database, all at once or until they are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import vitruvian

ROOT = Path(vitruvian.__file__).parents[2]

PRELUDE = """
import sys, time
from tests.spine.fake_clips import IDENTITY, fake_clip
from vitruvian.spine.database import database, rows
from vitruvian.spine.database.database import LandmarkDatabase
db = LandmarkDatabase(sys.argv[1])
"""

HANGS = {
    "before the landmarks": """
def hang(clip_id, landmarks):
    print("hangs", flush=True); time.sleep(60)
database.landmark_rows = hang
db.add(fake_clip("killed"), IDENTITY, "k")
""",
    "before the commit": """
import sqlalchemy as sa
engine = db.connections._engine("w")
@sa.event.listens_for(engine, "commit")
def hang(connection):
    print("hangs", flush=True); time.sleep(60)
db.connections._checked = True
db.add(fake_clip("killed"), IDENTITY, "k")
""",
}

RACE = """
print("ready", flush=True); sys.stdin.readline()
names = [f"c{i:02d}" for i in range(20)]
if int(sys.argv[2]) % 2:
    names.reverse()
print(sum(db.add(fake_clip(n, int(n[1:])), IDENTITY, n) for n in names), flush=True)
"""


def start(database: object, code: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}"}
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, str(database), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
