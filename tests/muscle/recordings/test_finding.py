"""Recordings below a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.finding import find_recordings, named_recordings


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


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "recording.yaml").touch()


def test_names_tell_the_folders_above(tmp_path: Path) -> None:
    put(tmp_path, "P01/passive", "P02/passive", "P02/day 2/passive", "P03_passive")
    assert named_recordings(tmp_path) == {
        "P01_passive": tmp_path / "P01/passive",
        "P02_day 2_passive": tmp_path / "P02/day 2/passive",
        "P02_passive": tmp_path / "P02/passive",
        "P03_passive": tmp_path / "P03_passive",
    }


def test_a_recording_alone_is_called_as_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "P01_7")
    assert list(named_recordings(tmp_path / "P01_7")) == ["P01_7"]
    monkeypatch.chdir(tmp_path / "P01_7")
    assert list(named_recordings(Path())) == ["P01_7"]


def test_two_of_one_name_are_both_named(tmp_path: Path) -> None:
    put(tmp_path, "P01/passive", "P01_passive")
    with pytest.raises(DataError) as raised:
        named_recordings(tmp_path)
    folders = f"{tmp_path / 'P01/passive'} and {tmp_path / 'P01_passive'}"
    assert str(raised.value).startswith(f"{folders}: both recordings would be called P01_passive")
