"""Recordings below a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.finding import find_recordings


def test_all_depths_in_natural_order(tmp_path: Path) -> None:
    names = ["P10/a", "P2/b_10", "P2/b_9", "P1", ".P3.x.tmp", "P4/.hidden"]
    for name in names:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "recording.yaml").touch()
    found = [str(path.relative_to(tmp_path)) for path in find_recordings(tmp_path)]
    assert found == ["P1", "P2/b_9", "P2/b_10", "P10/a"]


def test_the_root_itself(tmp_path: Path) -> None:
    (tmp_path / "recording.yaml").touch()
    assert find_recordings(tmp_path) == [tmp_path]


@pytest.mark.parametrize(
    ("name", "message"), [("", "no recording.yaml in it"), ("none", "there is no such folder")]
)
def test_nothing_there(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_recordings(tmp_path / name)
