"""A config's simulated people: one database and one truth for each choice, written once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitruvian.core.errors import ConfigError, RunError
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.simulator import cohort
from vitruvian.spine.simulator.cohort import SimulatedPeople
from vitruvian.spine.simulator.simulator import VERSION, Person, truth

TINY: dict[str, Any] = {"people": 6, "seconds": (1.0, 1.4)}


def test_the_database_holds_the_clips(tmp_path: Path) -> None:
    people = SimulatedPeople(**TINY)
    path = people.write(tmp_path / "deep" / "folder")
    made = {clip.name: clip for clip in people.clips()}
    database = LandmarkDatabase(path)
    assert {info.name for info in database.clips()} == set(made)
    for clip in database.read_all():
        assert_same(clip, made[clip.name])
        assert clip.simulated
    assert {info.identity["simulator"] for info in database.clips()} == {VERSION}


def assert_same(one: Clip, other: Clip) -> None:
    assert (one.participant, one.exercise, one.rating) == (
        other.participant,
        other.exercise,
        other.rating,
    )
    for name in ("times_s", "points", "visibility", "world"):
        np.testing.assert_array_equal(getattr(one.landmarks, name), getattr(other.landmarks, name))
    assert one.landmarks.size == other.landmarks.size


def test_the_truth_stands_beside_it(tmp_path: Path) -> None:
    people = SimulatedPeople(**TINY)
    path = people.write(tmp_path)
    told = json.loads(path.with_suffix(".truth.json").read_text(encoding="utf-8"))
    assert told["simulated"] is True
    assert told["version"] == VERSION
    assert told["parameters"]["people"] == 6
    assert told["people"] == {person.name: truth(person) for person in people.persons()}
    assert {clip.participant for clip in people.clips()} == set(told["people"])
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        [path.name, path.with_suffix(".truth.json").name]
    )


def test_a_cohort_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = SimulatedPeople(**TINY).write(tmp_path)
    monkeypatch.setattr(Person, "clip", _must_not_run)
    assert SimulatedPeople(**TINY).write(tmp_path) == path
    assert SimulatedPeople(6, seconds=[1.0, 1.4]).write(tmp_path) == path  # as a config gives it


def _must_not_run(*_: object) -> None:
    raise AssertionError("simulated again")


def test_every_choice_has_a_database_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = [{}, {"people": 5}, {"seed": 1}, {"healthy": 0.5}, {"seconds": (1.0, 1.5)}]
    paths = {SimulatedPeople(**{**TINY, **choice}).write(tmp_path) for choice in choices}
    monkeypatch.setattr(cohort, "VERSION", VERSION + 1)
    paths.add(SimulatedPeople(**TINY).write(tmp_path))
    assert len(paths) == 6


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LandmarkDatabase, "add_many", full)
    with pytest.raises(RunError, match=r"people-.*\.db: the disk is full"):
        SimulatedPeople(**TINY).write(tmp_path)
    assert [file.name for file in tmp_path.iterdir() if not file.name.endswith(".json")] == []


def test_same_seed_same_people_whatever_is_drawn_before() -> None:
    first = list(SimulatedPeople(**TINY).clips())
    again = list(SimulatedPeople(**TINY).clips())
    for one, other in zip(first, again, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize(("seconds", "frames"), [((3.34, 3.34), 100), ((16.67, 16.67), 500)])
def test_clips_of_one_length(seconds: tuple[float, float], frames: int) -> None:
    clips = list(SimulatedPeople(2, seconds=seconds, complete=1.0).clips())
    assert [len(clip.landmarks) for clip in clips] == [frames] * 6


def test_lengths_differ_and_do_not_tell_the_severity() -> None:
    people = SimulatedPeople(60, seconds=(0.5, 1.5))
    known = [severity["severity"] for severity in people.truth()["people"].values()]
    lengths = {clip.participant: len(clip.landmarks) for clip in people.clips()}
    assert min(lengths.values()) < 20
    assert max(lengths.values()) > 40
    assert abs(np.corrcoef(known, list(lengths.values()))[0, 1]) < 0.3


def test_a_few_clips_are_missing_and_everybody_has_one() -> None:
    some = list(SimulatedPeople(80, seconds=(0.2, 0.2), complete=0.9).clips())
    assert 200 < len(some) < 240
    assert len({clip.participant for clip in some}) == 80
    full = list(SimulatedPeople(10, seconds=(0.2, 0.2), complete=1.0).clips())
    assert len(full) == 30


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_most_people_and_clips_are_healthy(seed: int) -> None:
    """Paper 003, section IV: at least 79 %; some of them report a little more, others less."""
    people = SimulatedPeople(seed=seed, seconds=(0.2, 0.2))
    index = np.array([clip.index for clip in people.clips()])
    known = np.array([one["severity"] for one in people.truth()["people"].values()])
    assert (known <= 0.5).mean() >= 0.79
    assert (index <= 0.5).mean() >= (0.79 if seed == 0 else 0.78)
    assert 0.25 < index.mean() < 0.45


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"people": 0}, "people: at least 1, not 0"),
        ({"seconds": (3.0, 2.0)}, "seconds: "),
        ({"seconds": (0.1, 2.0)}, "seconds: "),
        ({"seconds": (2.0,)}, "seconds: "),
        ({"healthy": 0.0}, "healthy: a share above 0, not 0.0"),
        ({"healthy": 1.1}, "healthy: a share above 0, not 1.1"),
        ({"complete": 0.0}, "complete: a share above 0, not 0.0"),
    ],
)
def test_bad_keys(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimulatedPeople(**keys)
