"""Processes of ours: what they may use and see, and how several of them start, end and stop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from vitruvian.core import machine
from vitruvian.core.errors import ConfigError
from vitruvian.core.machine import deal, machine_shares, read_gpus, visible_gpus
from vitruvian.core.pool import Processes, Work
from vitruvian.core.processes import Process, Share, birth, own_environment
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RUNNING, RunDirectory
from vitruvian.core.signals import Interrupted

# -- shares ---------------------------------------------------------------------------------------


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of six cores, of which the first belongs to somebody else, and no GPU."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2, 3, 4, 5}, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.mark.parametrize(
    ("jobs", "shares"),
    [
        (1, [None]),
        (2, [(1, 2), (3, 4, 5)]),
        (5, [(1,), (2,), (3,), (4,), (5,)]),
        (7, [(1,), (2,), (3,), (4,), (5,), (1,), (2,)]),
    ],
)
@pytest.mark.usefixtures("cores")
def test_cores_are_dealt_in_blocks(jobs: int, shares: Sequence[tuple[int, ...] | None]) -> None:
    assert [share.cores for share in machine_shares(jobs)] == list(shares)
    assert {share.cores for share in machine_shares(jobs, share_cores=False)} == {None}


@pytest.mark.parametrize(
    ("visible", "jobs", "each", "gpus"),
    [
        ("0,1", 2, 1, ["0", "1"]),
        ("2,3,5,7", 2, 2, ["2,3", "5,7"]),
        ("2,3,5", 2, 2, ["2,3", "2,3"]),
        ("0,1", 3, 1, ["0", "1", "0"]),
        ("0,1", 2, 0, ["", ""]),
    ],
)
def test_gpus_are_dealt_in_blocks(
    visible: str, jobs: int, each: int, gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    shares = machine_shares(jobs, each)
    assert [share.environment({})["CUDA_VISIBLE_DEVICES"] for share in shares] == gpus


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,-1,2")
    with pytest.raises(ConfigError, match=r"to have 2 GPUs .* this machine shows 1"):
        machine_shares(1, 2)


LISTING = """GPU 0: NVIDIA A100 (UUID: GPU-aa)
  MIG 3g.20gb Device 0: (UUID: MIG-a1)
  MIG 3g.20gb Device 1: (UUID: MIG-a2)
GPU 1: NVIDIA A100 (UUID: GPU-bb)
"""


def test_gpus_are_known_by_what_means_the_same_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_gpus(LISTING) == ("MIG-a1", "MIG-a2", "GPU-bb")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    machine._installed_gpus.cache_clear()
    assert visible_gpus() == ()
    machine._installed_gpus.cache_clear()


def config(accelerator: str = "auto", devices: Any = 1) -> dict[str, Any]:
    return {"trainer": {"accelerator": accelerator, "devices": devices}}


@pytest.mark.parametrize(
    ("visible", "asked", "gpus"),
    [
        ("0,1,2,3", config(), ["0", "1", "2", "3"]),
        ("0,1,2,3", config("gpu", 2), ["0,1", "2,3"]),
        ("0,1,2,3", config("gpu", [0, 1, 2]), ["0,1,2"]),
        ("0,1,2,3", config(devices=-1), ["0,1,2,3"]),
        ("0,1,2,3", config("cpu", 2), [""]),
        ("", config(), [None]),
    ],
)
def test_as_many_jobs_as_there_are_gpus_for(
    visible: str, asked: Mapping[str, Any], gpus: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    shares = deal([config("cpu"), asked])
    assert [share.environment({}).get("CUDA_VISIBLE_DEVICES") for share in shares] == gpus


@pytest.mark.usefixtures("cores")
def test_processes_of_one_run_divide_its_cores() -> None:
    threads = [share.thread_count for share in deal([config("cpu", 2)], 2)]
    assert threads == [1, 1]
    assert [share.thread_count for share in deal([config("cpu")], 2)] == [2, 3]


def test_a_run_of_two_machines_is_none_of_ours() -> None:
    two = config("cpu") | {"trainer": {"accelerator": "cpu", "num_nodes": 2}}
    with pytest.raises(ConfigError, match=r"trainer.num_nodes: 2 machines need hydra/launcher=sl"):
        deal([config("cpu"), two])


def test_threads_that_the_user_has_chosen_stay() -> None:
    assert Share((0, 1)).environment({}) == {"OMP_NUM_THREADS": "2"}
    assert Share((0, 1), threads=1).environment({}) == {"OMP_NUM_THREADS": "1"}
    assert Share((0, 1)).environment({"OMP_NUM_THREADS": "7"}) == {"OMP_NUM_THREADS": "7"}
    assert Share().environment({"A": "b"}) == {"A": "b"}


def test_a_process_does_not_take_itself_for_a_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_TMPDIR", "/scratch/7")
    told = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_JOB_ID", "LOCAL_RANK", "MASTER_PORT", "RANK")
    for name in told:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MINE", "kept")
    kept = own_environment()
    assert not kept.keys() & set(told)
    assert kept["MINE"] == "kept"
    assert kept["SLURM_TMPDIR"] == "/scratch/7", "no rank, but a disk"


def test_a_process_is_named_by_its_birth() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    born = birth(process.pid)
    assert born is not None
    assert born == birth(process.pid)
    process.kill()
    while birth(process.pid) is not None:  # dead, though nobody has asked for its exit code yet
        time.sleep(0.01)
    process.wait()
    assert birth(process.pid) is None


# -- several at a time ----------------------------------------------------------------------------

FINISH = "open({run!r} + '/done', 'w').write('x')"
SAVE_WHEN_STOPPED = """
import signal, sys, time
def save(number, _):
    open({run!r} + '/saved', 'w').write(str(number))
    sys.exit(128 + number)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, save)
open({run!r} + '/ready', 'w').close()
time.sleep(30)
"""
KILLED = "import os; os.kill(os.getpid(), 9)"
KILLED_ONCE = """
import os
try:
    os.mkdir({run!r} + '/tried')
except FileExistsError:
    raise SystemExit(0)
os.kill(os.getpid(), 9)
"""


def runs(tmp_path: Path, count: int) -> list[RunDirectory]:
    made = [RunDirectory(tmp_path / f"fold-{fold:02}") for fold in range(count)]
    for run in made:
        run.path.mkdir()
    return made


def works(made: Sequence[RunDirectory], logs: bool = True) -> list[Work]:
    def log(run: RunDirectory) -> Path | None:
        return run.path.with_name(f"{run.path.name}.log") if logs else None

    return [Work(run.path.name, "?", run.path, log(run), "begins") for run in made]


def processes(*codes: str, jobs: int = 1, **options: Any) -> tuple[Processes, list[str]]:
    """Processes that run these lines of Python, in turn, instead of a training."""
    said: list[str] = []

    def start(
        module: str, path: Path, log: Path | None = None, share: Share | None = None
    ) -> Process:
        code = codes[int(path.name[-2:]) % len(codes)].format(run=str(path))
        with (log or Path(os.devnull)).open("ab") as stream:
            return subprocess.Popen(
                [sys.executable, "-S", "-c", code], stdout=stream, start_new_session=True
            )

    return Processes([Share()] * jobs, said.append, start, **options), said


@pytest.mark.parametrize("jobs", [1, 3])
def test_all_are_run(tmp_path: Path, jobs: int) -> None:
    made = runs(tmp_path, 4)
    pool, said = processes(FINISH, jobs=jobs, result=lambda work: f", {work.name[-2:]} points")
    assert pool.run(works(made)) == {}
    assert all((run.path / "done").is_file() for run in made)
    assert [line for line in said if "begins" in line] == [
        f"{run.path.name}: begins" for run in made
    ]
    assert {re.sub(r"\d+ s", "N s", line) for line in said if "done" in line} == {
        f"fold-0{i}: done after N s, 0{i} points" for i in range(4)
    }


def test_one_share_one_process(tmp_path: Path) -> None:
    alone = (
        "import pathlib as p, time; f = p.Path({run!r}).parent / 'lock'; f.touch(exist_ok=False)"
    )
    pool, _ = processes(f"{alone}; time.sleep(0.02); f.unlink()")
    assert pool.run(works(runs(tmp_path, 4))) == {}


def test_one_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    made = runs(tmp_path, 5)
    made[0].write_status(FAILED, reason="DataError: diverged")
    made[4].write_status(INTERRUPTED, reason="stopped by SIGTERM")
    pool, said = processes(
        "raise SystemExit(2)", "raise SystemExit(3)", KILLED, FINISH, "exit(143)", jobs=2
    )
    failed = pool.run(works(made))
    assert failed.keys() == {"fold-00", "fold-01", "fold-02", "fold-04"}
    assert failed["fold-00"] == "DataError: diverged", "what the run says itself"
    assert failed["fold-01"].startswith("its process ended with exit code 3, see ")
    assert failed["fold-01"].endswith("fold-01.log")
    assert failed["fold-02"].startswith("its process was ended by SIGKILL")
    assert failed["fold-04"] == "stopped by SIGTERM"
    assert (made[3].path / "done").is_file()
    assert any(re.fullmatch(r"fold-00 failed after \d+ s: DataError: diverged", s) for s in said)


def test_what_they_print_is_kept(tmp_path: Path) -> None:
    pool, _ = processes("print('hello from', {run!r}[-7:])", jobs=2)
    made = works(runs(tmp_path, 2))
    pool.run(made)
    pool.run(made)
    assert (tmp_path / "fold-01.log").read_text() == "hello from fold-01\n" * 2


@pytest.mark.parametrize(
    ("code", "restarts", "failed"), [(KILLED_ONCE, 1, False), (KILLED, 2, True), (KILLED, 0, True)]
)
def test_one_that_was_killed_is_started_again(
    tmp_path: Path, code: str, restarts: int, failed: bool
) -> None:
    pool, said = processes(code, restarts=restarts)
    found = pool.run(works(runs(tmp_path, 1)))
    assert bool(found) == failed
    again = [line for line in said if line.endswith("it is started again")]
    assert len(again) == restarts
    assert len([line for line in said if line.endswith("begins")]) == restarts + 1


@pytest.mark.parametrize("end", ["raise SystemExit(2)", "import os; os.kill(os.getpid(), 15)"])
def test_one_that_ended_by_a_mistake_or_a_user_is_not(tmp_path: Path, end: str) -> None:
    pool, said = processes(end, restarts=5)
    assert len(pool.run(works(runs(tmp_path, 1)))) == 1
    assert len([line for line in said if line.endswith("begins")]) == 1


SAYS_RUNNING = """
import json, os
open({run!r} + '/status.json', 'w').write(json.dumps(dict(state='running', pid=os.getpid())))
"""


@pytest.mark.parametrize(
    ("mine", "state"), [(SAYS_RUNNING, FAILED), ("", RUNNING), ("import os", COMPLETE)]
)
def test_nothing_says_running_for_ever(tmp_path: Path, mine: str, state: str) -> None:
    (run,) = made = runs(tmp_path, 1)
    run.write_status(COMPLETE if state == COMPLETE else RUNNING)  # by another process, this one
    pool, _ = processes(f"{mine}\n{KILLED}")
    (reason,) = pool.run(works(made)).values()
    assert run.status == state
    assert state != FAILED or run.read_status()["reason"] == reason


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_those_that_run_and_no_other_begins(tmp_path: Path, signum: int) -> None:
    made = runs(tmp_path, 3)
    before = signal.getsignal(signum)
    pool, said = processes(SAVE_WHEN_STOPPED, jobs=2)

    def strike() -> None:
        while not all((run.path / "ready").exists() for run in made[:2]):
            time.sleep(0.01)
        signal.raise_signal(signum)

    thread = threading.Thread(target=strike)
    thread.start()
    with pytest.raises(Interrupted) as stop:
        pool.run(works(made))
    thread.join()
    assert stop.value.exit_code == 128 + signum
    saved = [(run.path / "saved") for run in made]
    assert [file.read_text() for file in saved[:2]] == [str(int(signum))] * 2
    assert len(said) == 2, "the third was not begun, and none is called failed"
    assert signal.getsignal(signum) is before
