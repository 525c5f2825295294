"""Studies are checked before anything starts, and continue as if they had never been stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps.studies import (
    CMAES,
    DEFAULTS,
    GRID,
    LISTS,
    MEDIAN,
    RANDOM,
    SPACE,
    TPE,
    bowl,
    drive,
    make,
    states,
)
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.sweeps import claims, study
from vitruvian.sweeps.best import best_lines
from vitruvian.sweeps.claims import Claim, Holder
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.space import Space
from vitruvian.sweeps.storage import Journal
from vitruvian.sweeps.trials import End, Outcome, Trials

# -- what is proposed -----------------------------------------------------------------------------

SAMPLERS = {"tpe": TPE, "cmaes": CMAES, "random": RANDOM, "grid": GRID}


def leave_behind(trial_folder: Path) -> None:
    """What a worker that was killed leaves: the claim of a process that is gone."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    claim = Claim(trial_folder)
    claim.take()
    content = json.loads(claim.file.read_text())
    claim.file.write_text(json.dumps(content | {"pid": ended.pid}))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_worker_killed_and_continued_proposes_the_same_points(name: str, tmp_path: Path) -> None:
    space = LISTS if name == "grid" else SPACE
    whole = drive(make(tmp_path / "a", space, sampler=SAMPLERS[name]))
    sweep = make(tmp_path / "b", space, sampler=SAMPLERS[name])
    points = drive(sweep, 4)
    trials = Trials(sweep)
    taken = trials.take()
    assert taken is not None
    trials.point(taken)  # asked for, frozen, begun: and then killed
    leave_behind(taken.run.path)
    points += drive(sweep)
    assert points == whole
    assert len({json.dumps(point) for point in points}) == len(points) == 8
    assert states(sweep) == ["COMPLETE"] * 8


def test_workers_do_not_propose_the_same_point(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", sampler=TPE)
    workers = [Trials(sweep), Trials(sweep)]
    points = []
    for _ in range(2):
        taken = [worker.take() for worker in workers]
        points += [w.point(t) for w, t in zip(workers, taken, strict=True) if t is not None]
    assert len({point["x"] for point in points}) == 4


def test_tpe_learns(tmp_path: Path) -> None:
    values = [bowl(p) for p in drive(make(tmp_path / "s", sampler=TPE, n_trials=40))]
    assert sum(values[25:]) / 15 < sum(values[:10]) / 10


def test_conditions_hold_in_a_study(tmp_path: Path) -> None:
    when = {"kind=a": {"z": "interval(0.0,1.0)"}}
    space = Space.of({"x": "interval(0.0,1.0)", "kind": "a,b"}, [], when)
    points = drive(make(tmp_path / "s", space, sampler=TPE, n_trials=12))
    assert {point["kind"] for point in points} == {"a", "b"}
    assert all(("z" in point) == (point["kind"] == "a") for point in points)


# -- how workers share the trials -----------------------------------------------------------------


def test_never_more_trials_than_asked_for(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", n_trials=3)
    workers = [Trials(sweep) for _ in range(5)]
    taken = [worker.take() for worker in workers]
    assert [one is not None for one in taken] == [True] * 3 + [False] * 2
    assert [one.number for one in taken if one is not None] == [0, 1, 2]
    assert workers[0].unfinished() == [0, 1, 2]


def test_a_released_trial_is_adopted_once(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s")
    first, second, third = (Trials(sweep) for _ in range(3))
    taken = first.take()
    assert taken is not None
    point = first.point(taken)
    first.report(taken, 1, 0.5)
    taken.claim.release()
    adopted, fresh = second.take(), third.take()
    assert adopted is not None
    assert fresh is not None
    assert (adopted.number, fresh.number) == (0, 1)
    assert second.point(adopted) == point
    assert adopted.reported == {1}


HOLDERS = [
    ("ours", {}, 0.0, Holder.NEIGHBOUR),
    ("gone", {"pid": 2**22 + 1}, 0.0, Holder.NOBODY),
    ("its number is used again", {"started": "1"}, 0.0, Holder.NOBODY),
    ("elsewhere", {"host": "far"}, 0.0, Holder.STRANGER),
    ("elsewhere, silent", {"host": "far"}, claims.SILENCE_S + 1, Holder.NOBODY),
    ("damaged", {"pid": None}, 0.0, Holder.NOBODY),
]


@pytest.mark.parametrize(
    ("changes", "age", "expected"), [h[1:] for h in HOLDERS], ids=[h[0] for h in HOLDERS]
)
def test_who_holds_a_trial(
    changes: dict[str, Any], age: float, expected: Holder, tmp_path: Path
) -> None:
    claim = Claim(tmp_path)
    now = time.time()
    assert claim.holder(now) is Holder.NOBODY
    claim.take()
    claim.file.write_text(json.dumps(json.loads(claim.file.read_text()) | changes))
    os.utime(claim.file, (now - age, now - age))
    assert claim.holder(now) is expected


def test_a_held_claim_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT_S", 0.01)
    claim = Claim(tmp_path)
    claim.take()
    os.utime(claim.file, (0, 0))
    with claim.held():
        while claim.last_beat == 0:
            time.sleep(0.01)
    claim.release()
    assert claim.last_beat is None


def test_a_holder_elsewhere_is_doubted_until_it_gives_a_sign(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", n_trials=1)
    trials = Trials(sweep)
    taken = trials.take()
    assert taken is not None
    assert not trials.in_doubt()  # ours
    file = taken.claim.file
    file.write_text(json.dumps(json.loads(file.read_text()) | {"host": "far"}))
    assert trials.in_doubt()
    assert trials.take() is None
    now = time.time() + 5
    os.utime(file, (now, now))
    assert not trials.in_doubt()


def test_failures_in_a_row_count_from_the_start_of_a_worker(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s")

    def fail(trials: Trials, end: End = End.FAILED) -> int:
        taken = trials.take()
        assert taken is not None
        trials.tell(taken, Outcome(end, (1.0,) if end is End.COMPLETE else ()))
        return trials.failures

    trials = Trials(sweep)
    assert [fail(trials), fail(trials)] == [1, 2]
    assert [fail(trials, End.COMPLETE), fail(trials)] == [0, 1]
    assert fail(Trials(sweep)) == 1


def test_the_best_is_named(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s")
    assert best_lines(sweep)[-1] == "no trial is complete, so there is no best one"
    points = drive(sweep)
    best = min(range(8), key=lambda number: bowl(points[number]))
    counted, line = best_lines(sweep)
    assert counted == "8 of 8 trials: 8 complete"
    assert str(sweep.path / f"000{best}") in line
    assert f"x={points[best]['x']}" in line


def test_the_last_failure_is_named(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", n_trials=3)
    trials = Trials(sweep)
    for reason in ("first", "second"):
        taken = trials.take()
        assert taken is not None
        trials.tell(taken, Outcome(End.FAILED, reason=reason))
    assert best_lines(sweep)[:2] == [
        "2 of 3 trials: 2 failed",
        "the last one to fail was trial 1: second",
    ]
    trials.stop("no such metric")
    assert best_lines(sweep)[1] == "the study was stopped: no such metric"


def test_of_several_objectives_all_that_are_not_beaten(tmp_path: Path) -> None:
    goals = {"val/x": "min", "val/y": "max"}
    sweep = make(tmp_path / "s", objectives=goals, n_trials=3, sampler=TPE)
    trials = Trials(sweep)
    for values in ((1.0, 1.0), (2.0, 2.0), (2.0, 1.0)):
        taken = trials.take()
        assert taken is not None
        trials.tell(taken, Outcome(End.COMPLETE, values))
    lines = best_lines(sweep)
    assert "2 trials that no other beats" in lines[1]
    assert [Path(line.split("  in ")[1].split("  ")[0]).name for line in lines[2:]] == [
        "0000",
        "0001",
    ]


# -- checked before anything starts ---------------------------------------------------------------

KEYED = [
    ({"n_trials": 0}, "n_trials: got 0, expected 1 or more"),
    ({"n_trials": True}, "n_trials: got True"),
    ({"max_failures": None}, "max_failures: got None"),
    ({"sampler": None}, "hydra.sweeper.sampler: an option is needed"),
    ({"sampler": TPE | {"n_startup": 3}}, "hydra.sweeper.sampler.n_startup: no such key; did you"),
    ({"sampler": {"_target_": "optuna.samplers.TPESample"}}, "mean `optuna.samplers.TPESampler`"),
    ({"sampler": {"_target_": "torch.optim.SGD", "params": []}}, "none of optuna.samplers"),
    ({"sampler": {"_target_": "os.system"}}, "os.system may not be built from a config"),
    ({"sampler": GRID}, "x: the grid sampler needs values"),
    ({"sampler": GRID | {"search_space": {}}}, "search_space: the program sets this itself"),
    ({"sampler": TPE | {"n_ei_candidates": "many"}}, "n_ei_candidates: got 'many', expected int"),
    (
        {"pruner": {"_target_": "optuna.pruners.HyperbandPruner", "reduction_factor": 1}},
        "sampler or pruner: float",
    ),
    ({"pruner": MEDIAN | {"n_warmup": 1}}, "hydra.sweeper.pruner.n_warmup: no such key; did you"),
    ({"storage": "sqlite://"}, "a study in memory ends with its process"),
    ({"storage": "sqlite:///:memory:"}, "a study in memory ends with its process"),
    ({"storage": "postgresql://me:secret@host/db"}, "a password does not belong here"),
    ({"storage": "postgresql://host/db?password=secret"}, "a password does not belong here"),
    ({"storage": "oracle9://host/db"}, "oracle9: no database known by this name"),
]


@pytest.mark.parametrize(("keys", "message"), KEYED, ids=[message for _, message in KEYED])
def test_mistakes(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        study.settle(DEFAULTS | keys, {"val/x": "min"}, SPACE, "test")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


GOALS = [
    ({"test/dice": "max"}, {}, "test/dice: choosing by test figures spends them"),
    ({"val/dice": "maximize"}, {}, "objectives.val/dice: got 'maximize', expected min or max"),
    ({"val/x": "min", "val/y": "max"}, {"pruner": MEDIAN}, "pruner: a trial that is judged by 2"),
    ({"val/x": "min", "val/y": "max"}, {"sampler": CMAES}, "hydra.sweeper.sampler or pruner: "),
]


@pytest.mark.parametrize(("goals", "keys", "message"), GOALS, ids=[g[2][:50] for g in GOALS])
def test_mistaken_objectives(goals: dict[str, str], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        study.settle(DEFAULTS | keys, goals, SPACE, "test")
    assert message in str(caught.value)


def test_what_is_kept_is_definite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = DEFAULTS | {"sampler": GRID, "n_trials": 100, "storage": "study.db"}
    kept = study.settle(keys, {"val/x": "min"}, LISTS, "liver")
    assert kept["n_trials"] == 8
    assert kept["storage"] == f"sqlite:///{tmp_path}/study.db"
    assert kept["study_name"].startswith("liver-")
    assert kept["pruner"] is None
    assert Space.from_plain(kept["space"]) == LISTS


# -- storage --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_database_holds_many_studies_each_once(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"storage": str(tmp_path / "all.db"), "study_name": "one"}
    sweep = make(tmp_path / "a", **keys)
    assert drive(sweep) == drive(make(tmp_path / "b", **keys | {"study_name": "two"}))
    with pytest.raises(ConfigError, match="one: the database holds a study of this name"):
        make(tmp_path / "c", **keys)
    (tmp_path / "all.db").unlink()
    with pytest.raises(RunError, match="its study is not in"):
        Trials(sweep)


def test_a_password_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitruvian.sweeps import storage

    given: list[str] = []

    def opened(url: str, **_: Any) -> None:
        given.append(url)
        raise OSError("refused")

    monkeypatch.setattr(storage, "RDBStorage", opened)
    monkeypatch.setenv(storage.PASSWORD_VARIABLE, "se/cret")
    url = storage.settled_url("postgresql://me@host/db")
    assert url == "postgresql+psycopg://me@host/db"
    with pytest.raises(RunError, match="the study's database cannot be used: refused"):
        storage.open_storage(SweepDirectory(tmp_path), url)
    assert given == ["postgresql+psycopg://me:se%2Fcret@host/db"]


def test_half_a_line_of_a_killed_writer_is_cut_off(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s")
    drive(sweep, 2)
    whole = sweep.journal.read_bytes()
    sweep.journal.write_bytes(whole + b'{"op_code": 5, "wor')
    drive(sweep, 1)
    assert sweep.journal.read_bytes().startswith(whole + b'{"op_code":4')
    assert states(sweep) == ["COMPLETE"] * 3


def _die_with_the_lock(journal: Path) -> None:
    Journal(journal)._lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_the_lock_of_a_killed_writer_is_released(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", n_trials=1)
    process = multiprocessing.get_context("spawn").Process(
        target=_die_with_the_lock, args=(sweep.journal,)
    )
    process.start()
    process.join()
    assert Path(f"{sweep.journal}.lock").is_symlink()
    assert len(drive(sweep)) == 1  # half a minute later
