"""What became of each run: its own word, the launcher's, and the time that has passed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps.finished import METRIC, NOW, Run, history, sweep_of
from vitruvian.sweeps import states
from vitruvian.sweeps.claims import Claim
from vitruvian.sweeps.states import State, counts_line, read_all, states_of
from vitruvian.sweeps.status_table import duration, seconds_left

OLD = states.SILENCE_S + 60
HERE = {"host": platform.node(), "pid": os.getpid()}
BEATING = {
    "step": 300,
    "total_steps": 1000,
    "started_step": 100,
    "started": (NOW - timedelta(seconds=410)).isoformat(),
    "metrics": {METRIC: 0.5},
}

# what the run wrote, seconds ago, further entries, what the launcher says, the state
CASES: dict[str, tuple[str | None, float, dict[str, Any], str | None, State]] = {
    "never begun": (None, 0, {}, None, State.NOT_STARTED),
    "waits": (None, 0, {}, "queued", State.QUEUED),
    "is being started": (None, 0, {}, "running", State.RUNNING),
    "runs": ("running", 20, {}, "running", State.RUNNING),
    "runs, started by hand": ("running", 20, {}, None, State.RUNNING),
    "runs on another machine, silent": ("running", OLD, {"host": "other"}, None, State.LOST),
    "runs silently, says the launcher": (
        "running",
        OLD,
        {"host": "other"},
        "running",
        State.RUNNING,
    ),
    "runs here": ("running", 20, HERE, None, State.RUNNING),
    "killed, and queued again": ("running", OLD, {}, "queued", State.PREEMPTED),
    "begun again a moment ago": ("running", 1, {}, "queued", State.RUNNING),
    "stopped": ("interrupted", 20, {}, None, State.INTERRUPTED),
    "stopped, and queued": ("interrupted", OLD, {}, "queued", State.PREEMPTED),
    "has just asked to be requeued": ("interrupted", 20, {"requeued": True}, None, State.PREEMPTED),
    "was requeued, then cancelled": (
        "interrupted",
        OLD,
        {"requeued": True},
        None,
        State.INTERRUPTED,
    ),
    "failed": ("failed", OLD, {}, None, State.FAILED),
    "failed, its job is ending": ("failed", 1, {}, "running", State.FAILED),
    "failed, and queued again": ("failed", OLD, {}, "queued", State.QUEUED),
    "pruned": ("pruned", OLD, {}, None, State.PRUNED),
    "complete": ("complete", OLD, {}, None, State.COMPLETED),
    "complete, its job is ending": ("complete", 1, {}, "running", State.COMPLETED),
    "of a later version": ("sleeping", 1, {}, None, State.NOT_STARTED),
}


@pytest.mark.parametrize("case", CASES)
def test_the_state_of_a_run(case: str, tmp_path: Path) -> None:
    said, age, status, word, expected = CASES[case]
    sweep = sweep_of(tmp_path / "sweep", [Run((), said, age, status)])
    alive: Any = {"0000": word} if word else {}
    (found,) = states_of(sweep.runs(), alive, now=NOW)
    assert found.state is expected


@pytest.mark.parametrize(
    ("said", "age", "workers", "expected"),
    [
        ("running", 20, True, State.RUNNING),
        ("running", OLD, True, State.PREEMPTED),
        ("running", OLD, False, State.LOST),
        ("interrupted", OLD, True, State.PREEMPTED),
        ("failed", 20, True, State.FAILED),
        ("complete", 20, True, State.COMPLETED),
    ],
)
def test_a_trial_is_taken_up_by_any_worker(
    said: str, age: float, workers: bool, expected: State, tmp_path: Path
) -> None:
    sweep = sweep_of(tmp_path / "sweep", [Run((), said, age, {"host": "other"})])
    alive: Any = {"worker-1": "running"} if workers else {}
    (found,) = states_of(sweep.runs(), alive, study=True, now=NOW)
    assert found.state is expected


@pytest.mark.parametrize(
    ("said", "beat", "workers", "expected"),
    [
        ("running", 20, True, State.RUNNING),
        ("running", 20, False, State.RUNNING),  # the scheduler cannot be asked from here
        ("running", OLD, True, State.PREEMPTED),
        ("running", OLD, False, State.LOST),
        (None, 20, True, State.RUNNING),
        ("complete", 20, True, State.COMPLETED),
    ],
)
def test_the_claim_on_a_trial_tells_whether_a_worker_has_it(
    said: str | None, beat: float, workers: bool, expected: State, tmp_path: Path
) -> None:
    sweep = sweep_of(tmp_path / "sweep", [Run((), said, OLD, {"host": "other"})])
    claim = Claim(sweep.run(0).path)
    claim.file.write_text(json.dumps({"host": "other", "pid": 1, "started": "1"}))
    os.utime(claim.file, (NOW.timestamp() - beat,) * 2)
    alive: Any = {"worker-1": "running"} if workers else {}
    (found,) = states_of(sweep.runs(), alive, study=True, now=NOW)
    assert found.state is expected


def test_a_process_of_this_machine_that_is_gone_is_seen_at_once(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    status = {"host": platform.node(), "pid": gone.pid}
    sweep = sweep_of(tmp_path / "sweep", [Run((), "running", 1, status)])
    assert states_of(sweep.runs(), {}, now=NOW)[0].state is State.LOST


@pytest.mark.parametrize("text", ["", "{", "[]", '"running"', '{"state": "running"'])
def test_a_damaged_status_is_none(text: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", [Run(())])
    sweep.run(0).status_file.write_text(text)
    assert states_of(sweep.runs(), {}, now=NOW)[0].state is State.NOT_STARTED


def test_progress_is_reckoned_from_the_latest_start(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", [Run((), "running", 10, BEATING)])
    (found,) = states_of(sweep.runs(), {}, now=NOW)
    assert found.share == 0.3
    assert found.step_s == 2.0  # 200 steps in 400 s; those before this start do not count
    assert (found.left_s, found.whole_s) == (1400.0, 2000.0)
    assert found.metrics == {METRIC: 0.5}


@pytest.mark.parametrize(
    "change",
    [{"step": 100}, {"step": None}, {"total_steps": 0}, {"started": "soon"}, {"step": "many"}],
)
def test_without_progress_no_time_is_promised(change: dict[str, Any], tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", [Run((), "running", 10, BEATING | change)])
    (found,) = states_of(sweep.runs(), {}, now=NOW)
    assert found.left_s is None
    assert seconds_left([found]) is None


def test_those_that_wait_take_as_long_as_those_that_run(tmp_path: Path) -> None:
    runs = [Run((), "running", 10, BEATING)] * 2 + [Run((), None)] * 3 + [Run(())]
    runs.append(Run((), "interrupted", 10, {"step": 500, "total_steps": 1000, "requeued": True}))
    sweep = sweep_of(tmp_path / "sweep", runs)
    alive: Any = dict.fromkeys(("0002", "0003", "0004"), "queued")
    found = states_of(sweep.runs(), alive, now=NOW)
    assert counts_line(found) == "3 queued, 2 running, 1 pre-empted, 1 completed"
    assert seconds_left(found) == (2 * 1400 + 3.5 * 2000) / 2
    assert seconds_left(found[:2]) == 1400
    assert seconds_left(found[:2], unborn=2) == (2 * 1400 + 2 * 2000) / 2


def test_everything_is_read_in_order_however_slow_the_disk_is() -> None:
    def slowly(number: int) -> int:
        time.sleep(0.0005)
        return number * 2

    numbers = list(range(300))
    assert read_all(slowly, numbers) == [number * 2 for number in numbers]
    assert read_all(lambda number: number * 2, numbers) == [number * 2 for number in numbers]
    assert read_all(slowly, []) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (-3, "0 s"),
        (40, "40 s"),
        (720, "12 min"),
        (11_100, "3 h 05 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_times_in_words(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_the_history_is_as_a_run_writes_it() -> None:
    assert history((0.5,)).splitlines()[-1] == "0,0,,0.5,0.0"
