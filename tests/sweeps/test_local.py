"""The local launcher: jobs in processes, one coordinator at a time, nothing lost by a kill."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vitruvian
from tests.sweeps.made import LOCAL, frozen, pretended, same_results, sweep_of, train_alone
from vitruvian.core.check import check_node
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.processes import birth
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RUNNING
from vitruvian.sweeps.coordinator import coordinating
from vitruvian.sweeps.directory import SweepDirectory, read_lines
from vitruvian.sweeps.local import Local

ROOT = Path(__file__).resolve().parents[2]

# A training that does as its directory says, with the status of one.
PRETEND = """
import json, os, signal, sys, time
from pathlib import Path
from vitruvian.core.rundir import RunDirectory

run = RunDirectory(Path(sys.argv[1]))
todo = run.path / "todo"
print("hello from", run.path.name, flush=True)
run.write_status("running", host=os.uname().nodename, metrics={"val/loss": 0.25})
if not todo.exists():
    run.write_status("complete", metrics={"val/loss": 0.25})
elif todo.read_text() == "fail":
    run.write_status("failed", reason="DataError: nothing there")
    sys.exit(2)
else:
    def save(number, _):
        run.write_status("interrupted", reason="stopped")
        sys.exit(128 + number)
    signal.signal(signal.SIGTERM, save)
    (run.path / "ready").touch()
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where processes find the package and the pretended training."""
    (tmp_path / "pretend.py").write_text(PRETEND)
    source = Path(vitruvian.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tmp_path, source, ROOT))))
    return tmp_path


def until(condition: Callable[[], Any]) -> None:
    while not condition():
        time.sleep(0.02)


def built(keys: dict[str, Any]) -> Local:
    check_node(LOCAL | keys, "hydra.launcher")
    return Local(**keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"jobs": "many"}, r"jobs: got 'many', expected int or `auto`"),
        ({"jobs": 0}, r"hydra.launcher.jobs: got 0, expected 1 or more"),
        ({"gpus_per_job": -1}, r"gpus_per_job: got -1, expected 0 or more"),
        ({"max_restarts": -1}, r"max_restarts: got -1, expected 0 or more"),
        ({"wram": True}, r"wram: no such key; did you mean `warm`?"),
    ],
)
def test_mistakes(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built(keys)


def test_jobs_are_run_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = sweep_of(folder / "sweep", [[], []])
    jobs = pretended(sweep, "pretend", ["0000", "0001"])
    (sweep.path / "0001/todo").write_text("fail")
    assert Local(jobs=2).start(sweep, jobs) == {"0001": "DataError: nothing there"}
    assert sweep.run(0).status == COMPLETE
    assert (sweep.logs / "0000.log").read_text() == "hello from 0000\n"
    out = capsys.readouterr().out
    assert "0000: started\n" in out
    assert re.search(r"^0000: done after \d+ s", out, re.MULTILINE)
    assert re.search(r"^0001 failed after \d+ s: DataError: nothing there$", out, re.MULTILINE)
    (launch,) = read_lines(sweep.launches_file)
    assert (launch["launcher"], launch["host"]) == ("local", platform.node())
    assert (launch["pid"], launch["jobs"]) == (os.getpid(), {"0000": "", "0001": ""})


COORDINATOR = """
import sys
from pathlib import Path
from vitruvian.core.signals import Interrupted
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.jobs import Job
from vitruvian.sweeps.local import Local

sweep = SweepDirectory(Path(sys.argv[1]))
config = {"trainer": {"accelerator": "cpu"}}
jobs = [Job(run.name, "pretend", run.run.path, config) for run in sweep.runs()]
try:
    Local(jobs=2).start(sweep, jobs)
except Interrupted as stop:
    sys.exit(stop.exit_code)
"""


def test_who_runs_a_sweep_is_known_and_can_be_stopped(folder: Path) -> None:
    sweep, launcher = sweep_of(folder / "sweep", [[]] * 3), Local()
    jobs = pretended(sweep, "pretend", ["0000", "0001", "0002"])
    for job in jobs:
        (job.path / "todo").write_text("wait")
    sweep.run(2).write_status(FAILED, reason="of an earlier start")
    until(lambda: time.time() % 1 < 0.1)  # a status is dated in whole seconds
    time.sleep(1)
    assert launcher.alive(sweep) == {}
    assert launcher.cancel(sweep) == 0
    command = [sys.executable, "-c", COORDINATOR, str(sweep.path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as coordinator:
        until(lambda: all((job.path / "ready").exists() for job in jobs[:2]))
        assert launcher.alive(sweep) == {"0000": "running", "0001": "running", "0002": "queued"}
        with pytest.raises(RunError, match=rf"jobs are run already by process {coordinator.pid}"):
            launcher.start(sweep, jobs)
        assert launcher.cancel(sweep) == 3
        assert coordinator.wait(30) == 128 + signal.SIGTERM
    assert [sweep.run(i).status for i in range(3)] == [INTERRUPTED, INTERRUPTED, FAILED]
    assert launcher.alive(sweep) == {}


def launch(**changes: Any) -> dict[str, Any]:
    ours = {"launcher": "local", "host": platform.node(), "pid": os.getpid()}
    began = {"started": birth(os.getpid()), "time": "2000-01-01T00:00:00+00:00"}
    return ours | began | {"jobs": {"0000": "", "worker-1": ""}} | changes


@pytest.mark.parametrize(
    ("line", "alive"),
    [
        (launch(), {"0000": "running", "worker-1": "running"}),
        (launch(time="2999-01-01T00:00:00+00:00"), {"0000": "queued", "worker-1": "running"}),
        (launch(started="1"), {}),
        (launch(host="elsewhere"), {}),
        (launch(launcher="slurm"), {}),
    ],
)
def test_a_process_number_alone_proves_nothing(
    tmp_path: Path, line: dict[str, Any], alive: dict[str, str]
) -> None:
    sweep = sweep_of(tmp_path, [[]])
    sweep.run(0).path.mkdir()
    sweep.run(0).write_status(RUNNING, host=platform.node())
    sweep.launches_file.write_text(json.dumps(line) + "\n")
    assert Local().alive(sweep) == alive


def test_jobs_of_another_machine_are_cancelled_there(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, [[]])
    sweep.launches_file.write_text(json.dumps(launch(host="elsewhere")) + "\n")
    with pytest.raises(RunError, match="its jobs were started on elsewhere; cancel them there"):
        Local().cancel(sweep)


def test_half_a_line_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, [[]])
    sweep.launches_file.write_text(json.dumps(launch()) + '\n{"launcher": "lo')
    with coordinating(sweep, "local", []):
        pass
    assert len(read_lines(sweep.launches_file)) == 2


# -- real trainings -------------------------------------------------------------------------------

POINTS = (["optimizer.lr=0.01"], ["optimizer.lr=0.003"], ["optimizer.lr=1e30"])
REAL = """
import sys
from pathlib import Path
from tests.sweeps.made import jobs_of
from vitruvian.core.signals import Interrupted
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.local import Local

sweep = SweepDirectory(Path(sys.argv[1]))
try:
    failed = Local(jobs=2, warm=sys.argv[2] == "warm").start(sweep, jobs_of(sweep))
except Interrupted as stop:
    sys.exit(stop.exit_code)
sys.exit(len(failed))
"""


def coordinate(sweep: SweepDirectory, warm: bool = True) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", REAL, str(sweep.path), "warm" if warm else "cold"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, text=True, **pipes)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> SweepDirectory:
    """The runs made by hand, one after the other, in fresh processes."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sweep, _ = frozen(folder / "sweep", POINTS[:2])
        source = Path(vitruvian.__file__).parents[1]
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (source, ROOT))))
        for index in range(2):
            train_alone(sweep.run(index))
    return sweep


@pytest.mark.slow
@pytest.mark.parametrize("warm", [True, False])
def test_runs_are_the_same_as_made_by_hand(folder: Path, alone: SweepDirectory, warm: bool) -> None:
    sweep, _ = frozen(folder / "sweep", POINTS)
    process = coordinate(sweep, warm)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 1, out
    assert "0002 failed after" in out
    assert "training diverged" in out
    for index in range(2):
        assert same_results(sweep.run(index), alone.run(index))


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["run", "coordinator", "server", "stop"])
def test_whoever_is_killed_the_runs_go_on_where_they_were(
    folder: Path, alone: SweepDirectory, whom: str
) -> None:
    sweep, _ = frozen(folder / "sweep", POINTS[:2])
    process = coordinate(sweep)
    first = sweep.run(0)
    until(lambda: first.last.is_file() or process.poll() is not None)
    pid = int(first.read_status()["pid"])
    if whom == "run":
        os.kill(pid, signal.SIGKILL)
    elif whom == "server":
        os.kill(parent_of(pid), signal.SIGKILL)
    else:
        process.send_signal(signal.SIGKILL if whom == "coordinator" else signal.SIGINT)
    out, _ = process.communicate(timeout=300)
    if whom == "run":
        assert "0000: its process was ended by SIGKILL" in out
    if whom in ("coordinator", "stop"):
        until(lambda: birth(pid) is None)
        assert first.status == INTERRUPTED
        assert Local().alive(sweep) == {}
        process = coordinate(sweep)
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    for index in range(2):
        assert same_results(sweep.run(index), alone.run(index))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
