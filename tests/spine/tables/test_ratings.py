"""`ratings.csv`, as people's programs write it and as people get it wrong."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from vitruvian.core.errors import DataError
from vitruvian.spine.tables.ratings import Rating, Ratings, Unrated, read_ratings

HEADER = "clip,participant,exercise,rating\n"
GOOD = HEADER + "a.mp4,p1,walk,70\nb.mp4,p2,jump,65.5\n"
ROWS = (Rating("a.mp4", "p1", "walk", 70), Rating("b.mp4", "p2", "jump", 65.5))


def write(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "ratings.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.removesuffix("\n"),
        GOOD.replace(",", ";"),
        GOOD.replace(",", ";").replace("65.5", "65,5"),
        GOOD.replace(",", "\t").replace("65.5", "65,5"),
        GOOD.replace("65.5", '"65,5"'),
        GOOD.replace(",", " , "),
        GOOD.replace("clip,participant", "Clip,PARTICIPANT"),
        GOOD.replace("jump,65.5\n", "jump,65.5\n\n , , ,\n"),
        "age,rating,clip,exercise,participant\n31,70,a.mp4,walk,p1\n,65.5,b.mp4,jump,p2\n",
        codecs.BOM_UTF8 + GOOD.encode(),
        codecs.BOM_UTF16_LE + GOOD.replace(",", "\t").encode("utf-16-le"),
        GOOD.replace("a.mp4", ".\\a.mp4"),
    ],
    ids=[
        *("plain", "windows", "no last newline", "semicolons", "decimal comma", "tabs", "quoted"),
        *("blanks", "upper case", "empty rows", "other columns", "mark", "utf-16", "backslash"),
    ],
)
def test_written_in_many_ways(tmp_path: Path, content: str | bytes) -> None:
    assert read_ratings(write(tmp_path, content)).rows == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_umlauts(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, HEADER + "größe.mp4,Jörg,gehen,5\n", encoding)
    assert read_ratings(path).rows == (Rating("größe.mp4", "Jörg", "gehen", 5),)


@pytest.mark.parametrize("rating", ["0", "100", "7", "7.25", "1e1"])
def test_every_rating_in_range(tmp_path: Path, rating: str) -> None:
    path = write(tmp_path, f"{HEADER}a.mp4,p1,walk,{rating}\n")
    assert read_ratings(path).rows[0].rating == float(rating)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (HEADER, "no rows below the header"),
        ("clip,participant,exercise\na,p,w\n", "no column 'rating'; it has clip, participant, "),
        ("clip,particpant,exercise,rating\n", "no column 'participant'; is it 'particpant'?"),
        ("clip,exercise,rating\na.mp4,walk,5\n", "no column 'participant'"),
        ("file;who;what;score\n", "no column 'clip'; it has file, who, what, score"),
        ("clip,clip,participant,exercise,rating\n", "two columns are called 'clip'"),
        (HEADER + "a.mp4,p1,walk,101\n", "line 2: rating 101 is outside 0 to 100"),
        (HEADER + "a.mp4,p1,walk,-0.5\n", "line 2: rating -0.5 is outside 0 to 100"),
        (HEADER + "a.mp4,p1,walk,nan\n", "line 2: rating nan is outside"),
        (HEADER + "a.mp4,p1,walk,good\n", "line 2: rating 'good' is not a number; give 0"),
        (HEADER + "a.mp4,p1,walk,\n", "line 2: the rating is empty; give 0"),
        (HEADER + "a.mp4,p1,walk\n", "line 2: the rating is empty"),
        (HEADER + "a.mp4,,walk,50\n", "line 2: the participant is empty"),
        (HEADER + ",p1,walk,50\n", "line 2: the clip is empty"),
        (HEADER + "a.mp4,p1,,50\n", "line 2: the exercise is empty"),
        (GOOD + "A.mp4,p3,walk,1\n", r"line 4: clip 'A\.mp4' is that of line 2"),
        (HEADER + '"a.mp4,p1,walk,50\n', "line 2: unexpected end of data"),
        (HEADER + "\n\na.mp4,p1,walk,500\n", "line 4: rating 500"),
        (b"PK\x03\x04\x00\x00\x00", "is no text; save it as CSV"),
        (HEADER.encode() * 3000 + b"\xff", "encodings; save it as UTF-8"),
    ],
)
def test_mistakes_are_told_with_their_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_ratings(path)
    assert all(str(path) in line for line in str(caught.value).splitlines())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*ratings\.csv: No such file"):
        read_ratings(tmp_path / "ratings.csv")


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "a.mp4,p1,walk,x\nb.mp4,p1,walk,5\n,p1,walk,5\nb.mp4,p,w,1\n")
    with pytest.raises(DataError) as caught:
        read_ratings(path)
    lines = [line.removeprefix(f"{path}: ").split(":")[0] for line in str(caught.value).split("\n")]
    assert lines == ["line 2", "line 4", "line 5"]


def test_many_mistakes_are_cut_short(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_ratings(write(tmp_path, HEADER + "a.mp4,p1,walk,x\n" * 50))
    assert len(str(caught.value).splitlines()) == 21
    assert str(caught.value).endswith("and 30 more")


# -- matching -------------------------------------------------------------------------------------


def ratings(*clips: str) -> Ratings:
    rows = tuple(Rating(clip, f"p{i}", "walk", i) for i, clip in enumerate(clips))
    return Ratings(Path("ratings.csv"), rows, tuple(range(2, 2 + len(rows))))


@pytest.mark.parametrize(
    ("named", "clips"),
    [
        (["a.mp4", "b.mov"], ["b.mov", "a.mp4"]),
        (["a", "b"], ["a.mp4", "b.mov"]),
        (["p1/a.mp4", "p2/a"], ["p1/a.mp4", "p2/a.avi"]),
        (["A.MP4", "B"], ["a.mp4", "b.mov"]),
        (["a.mp4", "a.avi"], ["a.avi", "a.mp4"]),
        (["walk.v2.mp4", "walk.v1"], ["walk.v1.mp4", "walk.v2.mp4"]),
        (["walk"], ["walk"]),
    ],
    ids=str,
)
def test_clips_find_their_rows(named: list[str], clips: list[str]) -> None:
    found = ratings(*named).match(clips)
    assert list(found) == clips
    for clip, rating in found.items():
        row = int(rating.rating)
        assert rating.clip == clip
        assert clip.lower().startswith(named[row].lower())


@pytest.mark.parametrize(
    ("named", "clips", "message"),
    [
        (["a.mp4"], ["a.mp4", "b.mp4", "c.mp4"], r"2 of 3 clips have no row: b\.mp4, c\.mp4; add"),
        (["a.mp4", "x.mp4"], ["a.mp4"], r"line 3: no clip 'x\.mp4'"),
        (["p1/walk.mp4"], ["p1_walk.mp4"], r"no clip 'p1/walk\.mp4'; is it 'p1_walk\.mp4'\?"),
        (["a"], ["a.mp4", "a.avi"], r"line 2: clip 'a' may be a\.mp4, a\.avi; write the ending"),
        (["a", "a.mp4"], ["a.mp4"], r"line 3: clip 'a\.mp4' is that of line 2"),
    ],
)
def test_rows_and_clips_that_do_not_meet(named: list[str], clips: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        ratings(*named).match(clips)
    assert str(caught.value).startswith("ratings.csv: ")


@pytest.mark.parametrize(
    ("unrated", "expected"),
    [("skip", {"a.mp4": "p0"}), ("keep", {"a.mp4": "p0", "b.mp4": ""})],
)
def test_clips_without_a_row(unrated: Unrated, expected: dict[str, str]) -> None:
    found = ratings("a.mp4").match(["a.mp4", "b.mp4"], unrated)
    assert {clip: rating.participant for clip, rating in found.items()} == expected


def test_a_row_without_a_clip_is_wrong_whatever_becomes_of_the_others() -> None:
    with pytest.raises(DataError, match=r"no clip 'x\.mp4'"):
        ratings("x.mp4").match(["a.mp4"], "skip")
