"""A config's simulated cohort: raw recordings, written once, continued where it was killed."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitruvian.core.errors import ConfigError, RunError
from vitruvian.muscle.recordings.opening import open_recording
from vitruvian.muscle.simulator import cohort
from vitruvian.muscle.simulator.cohort import MARKER, TRUTH, SimulatedCohort

TINY: dict[str, Any] = {"people": 3, "women": 1, "seconds": 1.0, "frame_rate_hz": 6.0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SimulatedCohort(**TINY).write(tmp_path_factory.mktemp("cohort"))


def contents(root: Path) -> dict[str, bytes]:
    """Bytes of every file, but for the date at the head of MATLAB's."""
    files = [file for file in root.rglob("*") if file.is_file()]
    return {
        str(file.relative_to(root)): file.read_bytes()[116 if file.suffix == ".mat" else 0 :]
        for file in files
    }


def test_every_recording_opens_as_it_was_made(root: Path) -> None:
    made = SimulatedCohort(**TINY)
    trials = [trial for person in made.persons() for trial in made.trials(person)]
    assert {f.name for f in root.iterdir()} == {trial.name for trial in trials} | {MARKER}
    for trial in trials:
        images, whole = trial.rendered()
        read = open_recording(root / trial.name)
        for field in ("name", "participant", "task", "clock"):
            assert getattr(read, field) == getattr(whole, field)
        assert read.simulated
        assert dict(read.person) == dict(whole.person)
        assert read.emg_mvc_v == pytest.approx(whole.emg_mvc_v)
        assert read.mm_per_pixel == pytest.approx(whole.mm_per_pixel)
        assert read.frames is not None
        assert np.array_equal(np.stack(list(read.frames)), np.stack(images))
        assert np.array_equal(read.masks, whole.masks)
        for name, signal in whole.signals.items():
            scale = np.abs(signal.values).max()
            assert np.abs(read.signals[name].values - signal.values).max() < 1e-5 * scale


def test_several_formats_are_written(root: Path) -> None:
    names = {Path(name).name for name in contents(root)}
    assert {"frames.avi", "signals.csv", "signals.parquet", "signals.mat"} <= names


def test_the_truth_stands_beside_each(root: Path) -> None:
    for path in root.glob(f"*/{TRUTH}"):
        truth = json.loads(path.read_text(encoding="utf-8"))
        assert truth["simulated"] is True
        assert len(truth["angle_deg"]) == len(truth["activity"]) == len(truth["times_s"]) == 6
    told = json.loads((root / MARKER).read_text(encoding="utf-8"))
    assert told["simulated"] is True
    assert told["parameters"]["people"] == 3


def test_a_cohort_is_written_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort, "_write_trial", _must_not_run)
    listed = {**TINY, "tasks": ["combined", "passive", "isometric"]}  # in any order, as a config
    assert SimulatedCohort(**listed).write(root.parent) == root


def _must_not_run(*_: object) -> None:
    raise AssertionError("simulated again")


def test_a_killed_one_is_continued_to_the_same_bytes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / root.name
    shutil.copytree(root, other)
    (other / MARKER).unlink()
    (other / "P01_combined" / TRUTH).unlink()
    shutil.rmtree(other / "P03_passive")
    (other / ".P03_passive.x1y2.tmp").mkdir()
    written: list[str] = []
    write = cohort._write_trial

    def watched(folder: Path, trial: Any) -> None:
        written.append(folder.name)
        write(folder, trial)

    monkeypatch.setattr(cohort, "_write_trial", watched)
    assert SimulatedCohort(**TINY).write(tmp_path) == other
    assert written == ["P01_combined", "P03_passive"]
    assert not list(other.glob(".*"))
    first, again = contents(root), contents(other)
    assert first.keys() == again.keys()
    assert [n for n in first if first[n] != again[n]] == []


@pytest.mark.slow
def test_more_processes_write_the_same_bytes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort, "_FEW_FRAMES", 1)
    monkeypatch.setattr(cohort, "_cores", lambda: 2)
    assert contents(SimulatedCohort(**TINY).write(tmp_path)) == contents(root)


@pytest.mark.slow
def test_processes_that_start_at_once_write_the_same_bytes(root: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    meeting = context.Barrier(3)
    with ProcessPoolExecutor(3, context, _meet, (meeting,)) as pool:
        roots = [pool.submit(SimulatedCohort(**TINY).write, tmp_path) for _ in range(3)]
        assert {future.result(timeout=120) for future in roots} == {tmp_path / root.name}
    assert contents(tmp_path / root.name) == contents(root)


def _meet(meeting: Any) -> None:
    meeting.wait(60)


def test_one_that_waited_does_not_write_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort, "_write_trial", _must_not_run)
    with (tmp_path / f".{root.name}.lock").open("a") as lock, ThreadPoolExecutor() as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = pool.submit(SimulatedCohort(**TINY).write, tmp_path)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.2)
        shutil.copytree(root, tmp_path / root.name)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert waiting.result(timeout=10) == tmp_path / root.name


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_systems_without_locks_are_written(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break_locks(monkeypatch, code)
    assert (SimulatedCohort(**TINY).write(tmp_path) / MARKER).is_file()


def test_a_lock_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _break_locks(monkeypatch, errno.EIO)
    with pytest.raises(RunError, match=r"cannot write .*/muscle-"):
        SimulatedCohort(**TINY).write(tmp_path)


def _break_locks(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def broken(*_: object) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr(fcntl, "flock", broken)
    monkeypatch.setattr(SimulatedCohort, "_write_people", lambda self, root: None)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot write .*/file/muscle-"):
        SimulatedCohort(**TINY).write(tmp_path / "file")


def test_every_choice_has_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulatedCohort, "_write_people", lambda self, root: None)
    changes: list[dict[str, Any]] = [
        {}, {"people": 4}, {"women": 2}, {"seconds": 1.1}, {"tasks": ["passive"]},
        {"design": "confounded"}, {"seed": 1}, {"frame_rate_hz": 11.0},
    ]  # fmt: skip
    roots = {SimulatedCohort(**{**TINY, **change}).write(tmp_path) for change in changes}
    monkeypatch.setattr(cohort, "VERSION", cohort.VERSION + 1)
    roots.add(SimulatedCohort(**TINY).write(tmp_path))
    assert len(roots) == 9


def test_both_designs_have_the_same_people() -> None:
    free, bound = SimulatedCohort(), SimulatedCohort(design="confounded", seconds=5.0)
    assert free.persons() == bound.persons()
    assert len(free.persons()) == 19
    assert sum(person.female for person in free.persons()) == 6
    assert SimulatedCohort(seed=1).persons() != free.persons()


def test_tasks_are_chosen() -> None:
    chosen = SimulatedCohort(tasks=["combined"], seconds=4.0)
    assert [trial.name for trial in chosen.trials(chosen.persons()[0])] == ["P01_combined"]
    assert chosen.trials(chosen.persons()[0])[0].frames == 100


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"people": 0}, "people: at least 1, not 0"),
        ({"women": 20}, "women: from 0 to people=19, not 20"),
        ({"women": -1}, "women: "),
        ({"seconds": 0.5}, "seconds: from 1 to 120, not 0.5"),
        ({"seconds": 121.0}, "seconds: "),
        ({"tasks": []}, "tasks: "),
        ({"tasks": ["passive", "passive"]}, "tasks: .* each once"),
        ({"tasks": ["jumping"]}, "tasks: some of passive, isometric, combined"),
        ({"design": "mixed"}, "design: independent or confounded, not 'mixed'"),
        ({"seed": -1}, "seed: "),
        ({"frame_rate_hz": 0.0}, "frame_rate_hz: from 5 to 100, not 0.0"),
    ],
)
def test_bad_keys(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimulatedCohort(**keys)
