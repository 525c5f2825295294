"""What is handed to SLURM, and what is made of its answers; its commands are replaced by ours."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RunDirectory
from vitruvian.sweeps import slurm
from vitruvian.sweeps.directory import SweepDirectory, read_lines
from vitruvian.sweeps.jobs import RUN, WORKER, Job
from vitruvian.sweeps.slurm import Slurm
from vitruvian.sweeps.slurm_job import script_lines

Command = Callable[[str, str], None]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Puts a command of SLURM on the path: `command("squeue", "echo 7 RUNNING")`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(name: str, script: str) -> None:
        file = folder / name
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    for name in ("srun", "scancel", "squeue"):
        write(name, "true")
    write("sinfo", "echo gpu; echo cpu")
    write("scontrol", 'echo "MaxArraySize            = 2"')
    write("sbatch", _SBATCH.format(folder=tmp_path))
    return write


_SBATCH = """\
number=$(ls {folder} | grep -c sbatch)
cp "${{@: -1}}" {folder}/sbatch$number
echo "Submitted batch job $((number + 7))"
"""


def sweep_of(folder: Path, *trainers: dict[str, Any], module: str = RUN) -> list[Job]:
    """Jobs of a sweep, one for each section `trainer`."""
    base = {"accelerator": "cpu", "devices": 1}
    sweep = SweepDirectory(folder / "sweep" / "time")
    jobs = []
    for index, trainer in enumerate(trainers):
        run = sweep.run(index)
        run.path.mkdir(parents=True)
        jobs.append(Job(run.path.name, module, run.path, {"trainer": base | trainer}))
    return jobs


def where(jobs: list[Job]) -> SweepDirectory:
    return SweepDirectory(jobs[0].path.parent)


# -- what is submitted ----------------------------------------------------------------------------


def test_arrays_are_as_long_as_the_cluster_takes(tmp_path: Path, command: Command) -> None:
    jobs = sweep_of(tmp_path, {}, {}, {})
    assert Slurm(partition="gpu", time="2:00:00", mem="4G").start(where(jobs), jobs) == {}
    first, second = ((tmp_path / name).read_text() for name in ("sbatch0", "sbatch1"))
    for flag in ("array=0-1%2", "partition=gpu", "time=2:00:00", "mem=4G", "signal=USR1@120"):
        assert f"#SBATCH --{flag}\n" in first
    assert "#SBATCH --requeue\n" in first
    assert "--array" not in second, "one job alone is no array"
    launches = read_lines(where(jobs).launches_file)
    assert [launch["jobs"] for launch in launches] == [
        {"0000": "7_0", "0001": "7_1"},
        {"0002": "8"},
    ]


def test_jobs_with_the_same_needs_make_one_array(tmp_path: Path, command: Command) -> None:
    gpu = {"accelerator": "gpu"}
    jobs = sweep_of(tmp_path, gpu, {"devices": 2, "num_nodes": 2}, gpu)
    Slurm(cpus_per_task=3).start(where(jobs), jobs)
    first, second = ((tmp_path / name).read_text() for name in ("sbatch0", "sbatch1"))
    for script, flags in (
        (first, ("array=0-1%2", "nodes=1", "ntasks-per-node=1", "gpus-per-node=1")),
        (second, ("nodes=2", "ntasks-per-node=2", "cpus-per-task=3")),
    ):
        for flag in flags:
            assert f"#SBATCH --{flag}\n" in script
    assert "gpus-per-node" not in second


def test_worker_starts_its_ranks_itself(tmp_path: Path, command: Command) -> None:
    jobs = sweep_of(tmp_path, {"accelerator": "gpu", "devices": 2}, module=WORKER)
    Slurm(cpus_per_task=3).start(where(jobs), jobs)
    script = (tmp_path / "sbatch0").read_text()
    for flag in ("ntasks-per-node=1", "gpus-per-node=2", "cpus-per-task=6"):
        assert f"#SBATCH --{flag}\n" in script


def test_keys_of_the_script(tmp_path: Path, command: Command) -> None:
    keys: dict[str, Any] = {
        "container": "image.sqsh",
        "container_mounts": ["/data:/data"],
        "setup": ["module load cuda"],
        "extra": {"gres": "gpu:a100:1", "exclusive": True},
    }
    jobs = sweep_of(tmp_path, {})
    Slurm(**keys).start(where(jobs), jobs)
    script = (tmp_path / "sbatch0").read_text()
    assert "#SBATCH --gres=gpu:a100:1\n" in script
    assert "#SBATCH --exclusive\n" in script
    assert "\nmodule load cuda\n" in script
    mounts = f"--container-mounts={where(jobs).path}:{where(jobs).path},/data:/data"
    assert f"--container-image=image.sqsh {mounts} python3 -u" in script


def test_alive_jobs_are_not_submitted_again(tmp_path: Path, command: Command) -> None:
    jobs = sweep_of(tmp_path, {}, {})
    sweep = where(jobs)
    Slurm().start(sweep, jobs)
    command("squeue", "echo '7_0|COMPLETING|sweep-time|/x'; echo '7_1|PENDING|sweep-time|/x'")
    assert Slurm().alive(sweep) == {"0000": "running", "0001": "queued"}
    Slurm().start(sweep, jobs)
    assert len(read_lines(sweep.launches_file)) == 1
    assert Slurm().cancel(sweep) == 2
    command("squeue", "echo '7_0|RUNNING|sweep-earlier|/x'")  # the numbers began anew
    assert Slurm().alive(sweep) == {}


def test_forgotten_jobs_are_not_alive(tmp_path: Path, command: Command) -> None:
    jobs = sweep_of(tmp_path, {})
    Slurm().start(where(jobs), jobs)
    assert Slurm().alive(where(jobs)) == {}
    command("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(RunError, match=r"squeue does not answer .Unable to contact"):
        Slurm().alive(where(jobs))


def test_slurm_is_not_asked_about_what_it_was_never_given(tmp_path: Path) -> None:
    assert Slurm().alive(SweepDirectory(tmp_path)) == {}
    assert Slurm().cancel(SweepDirectory(tmp_path)) == 0


def test_nothing_is_left_of_refused_jobs(tmp_path: Path, command: Command) -> None:
    command("sbatch", "echo 'sbatch: error: Invalid account' >&2; exit 1")
    jobs = sweep_of(tmp_path, {}, {})
    with pytest.raises(ConfigError, match=r"refused the jobs .*Invalid account"):
        Slurm(account="nobody").start(where(jobs), jobs)
    assert not list((where(jobs).path / "slurm").iterdir())


# -- what became of it ----------------------------------------------------------------------------

ENDS = {
    "complete": ({"state": COMPLETE}, None),
    "failed": ({"state": FAILED, "reason": "training diverged"}, "training diverged"),
    "stopped": ({"state": INTERRUPTED, "reason": "stopped by SIGTERM"}, "stopped by SIGTERM"),
    "killed": ({"state": "running"}, "its process was killed; see "),
    "never begun": (None, "it has not begun; see "),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_run_is_believed_not_slurm(end: str, tmp_path: Path, command: Command) -> None:
    status, reason = ENDS[end]
    jobs = sweep_of(tmp_path, {})
    if status is not None:
        RunDirectory(jobs[0].path).status_file.write_text(json.dumps(status))
    failed = Slurm(wait=True).start(where(jobs), jobs)
    assert failed.keys() == ({"0000"} if reason else set())
    assert failed.get("0000", "").startswith(reason or "")


def test_error_of_a_run_that_could_not_begin(tmp_path: Path, command: Command) -> None:
    jobs = sweep_of(tmp_path, {})
    log = where(jobs).logs / "0000.log"
    told = r"error: model.net.width: no such key\nsrun: error: n1: task 0: Exited\n"
    command("sbatch", f"printf '{told}' >>{log}; echo Submitted batch job 7")
    assert Slurm(wait=True).start(where(jobs), jobs) == {"0000": "model.net.width: no such key"}


def test_error_of_an_earlier_start_is_over(tmp_path: Path, command: Command) -> None:
    jobs = sweep_of(tmp_path, {}, module=WORKER)
    log = where(jobs).logs / "0000.log"
    log.parent.mkdir()
    log.write_text("error: 5 trials in a row have failed\n")
    command("sbatch", f"echo trial 7 complete >>{log}; echo Submitted batch job 7")
    assert Slurm(wait=True).start(where(jobs), jobs) == {}


# -- a controller that does not answer ------------------------------------------------------------

_RESTART = """\
echo asked >>{calls}
case $(wc -l <{calls}) in 1 | 2 | 4) echo 'Unable to contact slurm controller' >&2; exit 1 ;; esac
[ $(wc -l <{calls}) = 5 ] || echo '7|RUNNING|sweep-time|/x'
"""


def test_a_wait_outlasts_a_restart_of_the_controller(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = sweep_of(tmp_path, {}, module=WORKER)
    calls = tmp_path / "calls"
    command("squeue", _RESTART.format(calls=calls))
    assert Slurm(wait=True, poll_s=0.1).start(where(jobs), jobs) == {}
    assert len(calls.read_text().splitlines()) == 5
    told = "Unable to contact slurm controller"
    assert capsys.readouterr().out.count(told) == 2, "once for each time it was silent"


def test_a_wait_does_not_outlast_everything(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_SILENCE_S", 0.0)
    jobs = sweep_of(tmp_path, {})
    command("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(RunError, match=r"Unable to contact.* the jobs themselves go on"):
        Slurm(wait=True, poll_s=0.1).start(where(jobs), jobs)


# -- an interrupted submission --------------------------------------------------------------------

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StruckError(Exception):
    """A signal came through."""


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
def test_a_signal_waits_until_the_jobs_are_noted(
    number: signal.Signals, tmp_path: Path, command: Command
) -> None:
    """A terminal sends Ctrl-C to sbatch as well, which then does not end."""

    def strike(*_: object) -> None:
        raise StruckError

    strikes = f"kill -{number.value} $$; kill -{number.value} $PPID\n"
    command("sbatch", strikes + _SBATCH.format(folder=tmp_path))
    jobs = sweep_of(tmp_path, {}, {}, {})
    before, mask = signal.signal(number, strike), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        with pytest.raises(StruckError):
            Slurm().start(where(jobs), jobs)
        assert signal.getsignal(number) is strike
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    finally:
        signal.signal(number, before)
    (launch,) = read_lines(where(jobs).launches_file)
    assert launch["jobs"] == {"0000": "7_0", "0001": "7_1"}, "0002 was not handed over any more"


def test_jobs_that_nobody_noted_are_found(tmp_path: Path, command: Command) -> None:
    """The process that handed them over was killed before it could note their numbers."""
    jobs = sweep_of(tmp_path, {}, {})
    sweep, cancelled = where(jobs), tmp_path / "cancelled"
    Slurm().start(sweep, jobs)
    sweep.launches_file.unlink()
    (script,) = (sweep.path / "slurm").glob(".submission_file_*.sh")
    ours = f"/elsewhere/{script.name}"  # the same folder may have another name on that node
    lines = [f"7_0|RUNNING|sweep-time|{ours}", f"7_1|PENDING|sweep-time|{ours}"]
    lines += ["9|RUNNING|sweep-time|/other/sweep/time/slurm/.submission_file_1.sh"]
    lines += ["10|RUNNING|sweep-time|(null)", "11|RUNNING|sweep-time|"]
    command("squeue", "\n".join(f"echo '{line}'" for line in lines))
    command("scancel", f'echo "$@" >{cancelled}')
    assert Slurm().alive(sweep) == {"0000": "running", "0001": "queued"}
    Slurm().start(sweep, jobs)
    assert not sweep.launches_file.exists(), "handed over twice"
    assert Slurm().cancel(sweep) == 2
    assert cancelled.read_text() == "7_0 7_1\n"


# -- the batch script -----------------------------------------------------------------------------

KILLS = {
    "complete": (0, "RUNNING", "1", False),
    "failed": (2, "RUNNING", "1", False),
    "SIGKILL": (137, "RUNNING", "1", True),
    "a crash": (134, "RUNNING", "1", True),
    "a rank was lost": (143, "RUNNING", "1", True),
    "time limit": (138, "RUNNING", "1", False),  # the run has asked for it itself
    "cancelled": (143, "CANCELLED", "1", False),
    "cancelled, too slow to save": (137, "CANCELLED", "1", False),
    "no restarts wanted": (137, "RUNNING", "0", False),
}


@pytest.mark.parametrize("end", KILLS)
def test_killed_jobs_go_back_to_the_queue(end: str, tmp_path: Path, command: Command) -> None:
    code, state, wanted, requeued = KILLS[end]
    calls, logs, pickle = (tmp_path / name for name in ("calls", "logs", "7_1_submitted.pkl"))
    answer = f'if [ $1 = show ]; then echo JobState={state}; else echo "$@" >>{calls}; exit 1; fi'
    command("scontrol", answer)
    logs.write_text(f"{tmp_path}/other.log\n{tmp_path}/ours.log\n")
    pickle.touch()
    script = "\n".join([*script_lines(logs, tmp_path, max_restarts=2, threads=1), f"(exit {code})"])
    array = {"SLURM_JOB_ID": "8", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"}
    for _ in range(3):
        done = subprocess.run(
            ("bash", "-c", script), env=os.environ | array | {"VITRUVIAN_REQUEUE": wanted}
        )
        assert done.returncode == code
    asked = calls.read_text().splitlines() if calls.exists() else []
    assert asked == (["requeue 8"] * 2 if requeued else [])  # and not a third time
    assert pickle.exists() == bool(code)
    if requeued:
        log = (tmp_path / "ours.log").read_text()
        assert f"killed (exit code {code}): back to the queue, to continue (2 of 2)" in log
        assert "once more: not started again" in log


THREADS = {
    "of the job": (None, [], "3"),
    "of the user": ("5", [], "5"),
    "in setup": ("5", ["export OMP_NUM_THREADS=7"], "7"),
}


@pytest.mark.parametrize("whose", THREADS)
def test_threads_of_a_job(
    whose: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study's worker starts the ranks itself, and each has what a rank of a run has."""
    users, setup, threads = THREADS[whose]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if users is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", users)
    jobs = sweep_of(tmp_path, {"devices": 2}, module=WORKER)
    Slurm(cpus_per_task=3, setup=setup).start(where(jobs), jobs)
    command("srun", 'echo "threads: $OMP_NUM_THREADS"')
    subprocess.run(("bash", tmp_path / "sbatch0"), check=True)
    assert f"threads: {threads}\n" in (where(jobs).logs / "0000.log").read_text()


# -- mistakes -------------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "time": ({"time": "2 hours"}, "time: got '2 hours', expected minutes"),
    "mem": ({"mem": "much"}, "mem: got 'much', expected a number with K, M, G or T"),
    "nodes": ({"nodes": 0}, "nodes: got 0, expected 1 or more"),
    "restarts": ({"max_restarts": -1}, "max_restarts: got -1, expected 0 or more"),
    "poll": ({"poll_s": 0}, "poll_s: got 0, expected 0.1 or more"),
    "flag with a key": ({"extra": {"time": 3}}, "extra.time: use the key hydra.launcher.time"),
    "flag of ours": ({"extra": {"open_mode": "truncate"}}, "extra.open_mode: the launcher sets it"),
}

CONTRADICTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "nodes": ({"nodes": 2}, {}, "nodes: got 2, but the runs have trainer.num_nodes=1"),
    "tasks": ({"tasks_per_node": 1}, {"devices": 4}, "got 1, but the runs have trainer.devices=4"),
    "gpus": (
        {"gpus_per_node": 1},
        {"accelerator": "gpu", "devices": [0, 1]},
        "gpus_per_node: got 1, but the runs have trainer.devices=2",
    ),
    "partition": ({"partition": "gpuu"}, {}, "no partition gpuu; did you mean `gpu`?"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_key(mistake: str) -> None:
    keys, message = WRONG[mistake]
    with pytest.raises(ConfigError, match=message):
        Slurm(**keys)


@pytest.mark.parametrize("mistake", CONTRADICTIONS)
def test_nothing_is_submitted_after_a_mistake(
    mistake: str, tmp_path: Path, command: Command
) -> None:
    keys, trainer, message = CONTRADICTIONS[mistake]
    jobs = sweep_of(tmp_path, {} if "nodes" in keys else trainer, trainer)
    with pytest.raises(ConfigError, match=message):
        Slurm(**keys).start(where(jobs), jobs)
    assert not (tmp_path / "sbatch0").exists()


def test_worker_on_several_nodes(tmp_path: Path, command: Command) -> None:
    jobs = sweep_of(tmp_path, {"num_nodes": 2}, module=WORKER)
    with pytest.raises(ConfigError, match=r"trainer.num_nodes: got 2, but a study's worker"):
        Slurm().start(where(jobs), jobs)


def test_no_slurm_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    jobs = sweep_of(tmp_path, {})
    with pytest.raises(ConfigError, match=r"no `sbatch` on this machine.*hydra/launcher=local"):
        Slurm().start(where(jobs), jobs)


def test_no_submitit(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    jobs = sweep_of(tmp_path, {})
    with pytest.raises(ConfigError, match=r"pip install 'vitruvian\[cluster\]'"):
        Slurm().start(where(jobs), jobs)
