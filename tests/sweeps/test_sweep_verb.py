"""`vitruvian-sweep` as a user types it, over a launcher that only writes down what it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.shell import Shell
from tests.sweeps import finished
from tests.sweeps.finished import METRIC, TARGET, Run, asked, sweep_of
from tests.sweeps.studies import make
from vitruvian.core.allowed import VARIABLE
from vitruvian.core.errors import ConfigError
from vitruvian.core.files import write_text
from vitruvian.core.signals import Interrupted
from vitruvian.sweeps import best
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.starting import start
from vitruvian.sweeps.trials import End, Outcome, Trials

HEAVY = "import sys; from vitruvian.sweep import main\ntry:\n main()\nfinally:\n {print}"
LATE = ("torch", "pytorch_lightning", "optuna", "submitit", "ray", "pandas", "pyarrow")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in; the launcher of these tests may be built."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "tests.sweeps.finished")
    monkeypatch.setattr(finished, "NOW", datetime.now(UTC))
    return tmp_path


@pytest.fixture
def mixed(folder: Path) -> SweepDirectory:
    """A run in each state."""
    begun = (datetime.now(UTC) - timedelta(seconds=410)).isoformat()
    beats = {"step": 50, "total_steps": 100, "started_step": 0, "started": begun}
    runs = {
        "0.1": Run((), validations=(0.25, 0.5), dice=(0.5,)),
        "0.2": Run((), "running", 1, {**beats, "metrics": {METRIC: 0.125}}),
        "0.3": Run((), "failed", 60, {"reason": "DataError: /nowhere\ndoes not exist"}),
        "0.4": Run((), "interrupted", 400, {"reason": "stopped by SIGTERM"}),
        "0.5": Run((), "interrupted", 60, {"requeued": True}),
        "0.6": Run((), "running", 4000, {"host": "elsewhere"}),
        "0.7": Run((), None),
        "0.8": Run((), None),
        "0.9": Run((), "pruned"),
    }
    points = [Run(**{**vars(run), "point": (f"optimizer.lr={lr}",)}) for lr, run in runs.items()]
    sweep = sweep_of(folder / "mixed", points)
    alive(sweep, {"0001": "running", "0004": "queued", "0006": "queued"})
    return sweep


def alive(sweep: SweepDirectory, jobs: dict[str, str]) -> None:
    (sweep.path / "alive.json").write_text(json.dumps(jobs))


def manifest_with(sweep: SweepDirectory, **changes: Any) -> None:
    """Change keys of `sweep.yaml` on the disk."""
    import yaml

    content = yaml.safe_load(sweep.manifest_file.read_text())
    write_text(sweep.manifest_file, yaml.safe_dump(content | changes))


# -- mistakes -------------------------------------------------------------------------------------

MISTAKES = {
    "action": ("stauts mixed", "stauts: vitruvian-sweep cannot do this; did you mean `status`?"),
    "no such action": ("begin mixed", "there are: status, collect, resume, cancel"),
    "no directory": ("status", "status: one directory of a sweep is needed, got none"),
    "two directories": ("status a b", "got 2: a b"),
    "no sweep": ("status nowhere", "no sweep here (it would hold a sweep.yaml)"),
    "key": ("status mixed wacth=0", "wacth: no such key of vitruvian-sweep; did you mean `watch`?"),
    "watch": ("status mixed watch=often", "watch: got 'often', expected auto, 0 or a number"),
    "never": ("status mixed watch=nan", "watch: got 'nan'"),
    "frozen": ("collect mixed optimizer.lr=1", "optimizer.lr: the runs are frozen"),
    "metric": ("collect mixed metric=val/liver_dise", f"did you mean `{METRIC}`?"),
    "mode": ("collect mixed mode=least", "mode: got 'least', expected min or max"),
    "by": ("collect mixed by=optimizer.rl", "did you mean `optimizer.lr`?"),
    "only": ("resume mixed only=failled", "only: got 'failled'; did you mean `failed`?"),
    "only completed": ("resume mixed only=completed", "expected not_started or interrupted or"),
    "launcher": ("resume mixed launcher=locl", "launcher=locl: no such option; did you mean"),
    "its key": ("resume mixed launcher.jbos=2", "launcher.jbos: no such key; did you mean `jobs`?"),
    "its value": ("resume mixed launcher.jobs=many", "launcher.jobs: got 'many', expected int"),
    "cancel": ("cancel mixed only=failed", "only: cancel takes no keys"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line(mistake: str, shell: Shell, mixed: SweepDirectory) -> None:
    command, told = MISTAKES[mistake]
    before = mixed.manifest()
    outcome = shell("sweep", *command.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert told in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert mixed.manifest() == before
    assert asked(mixed) == []


@pytest.mark.parametrize("arguments", [[], ["--help"], ["status", "-h"]])
def test_help(arguments: list[str], shell: Shell) -> None:
    outcome = shell("sweep", *arguments)
    assert outcome.code == 0
    assert outcome.out.startswith("vitruvian-sweep status|collect|resume|cancel DIR")


# -- status ---------------------------------------------------------------------------------------


def test_status_shows_every_state_and_why(mixed: SweepDirectory, shell: Shell) -> None:
    outcome = shell("sweep", "status", "mixed")
    assert outcome.code == 0, outcome.err
    told = " ".join(outcome.out.split())
    for part in (
        "9 runs: 1 not started, 1 queued, 1 running, 1 pre-empted, 1 interrupted, 1 lost, "
        "1 failed, 1 pruned, 1 completed",
        "0001 optimizer.lr=0.2 50 % 7 min 0.1250",
        "0002 optimizer.lr=0.3 DataError: /nowhere does not exist",
        "0003 optimizer.lr=0.4 - 7 min ago stopped by SIGTERM",
        "0005 optimizer.lr=0.6 - 67 min ago it says that it runs, but nobody runs it",
        f"best so far: {METRIC} 0.5000 in {mixed.path}/0000, optimizer.lr=0.1",
        f"vitruvian-sweep resume {mixed.path}",
    ):
        assert part in told, told
    assert "\x1b" not in outcome.out, "plain text where it is piped"


def test_only_the_first_of_many_are_listed(folder: Path, shell: Shell) -> None:
    sweep_of(folder / "many", [Run((f"optimizer.lr={i}",), "failed") for i in range(32)])
    told = shell("sweep", "status", "many").out
    assert "... and 12 more failed" in told
    assert "optimizer.lr=19" in told
    assert "optimizer.lr=20" not in told


def test_status_looks_again_until_nothing_moves(
    mixed: SweepDirectory, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def settle(seconds: float) -> None:
        looks.append(seconds)
        alive(mixed, {})
        for index in (1, 4):
            mixed.run(index).write_status("complete")

    monkeypatch.setattr("vitruvian.sweep.time.sleep", settle)
    told = shell("sweep", "status", "mixed", "watch=9").out
    assert len(looks) == 1
    assert looks[0] >= 9
    assert told.count("9 runs:") == 2
    assert "3 completed" in told
    assert f"vitruvian-sweep collect {mixed.path}" in told


def test_ctrl_c_leaves_the_watch_as_if_nothing_had_been(
    mixed: SweepDirectory, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vitruvian.sweep.time.sleep", interrupted)
    outcome = shell("sweep", "status", "mixed", "watch=9")
    assert (outcome.code, outcome.err) == (0, "")


def test_a_machine_that_cannot_ask_the_scheduler_shows_what_the_runs_say(
    mixed: SweepDirectory, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object) -> None:
        raise ConfigError("squeue: not found on this machine")

    monkeypatch.setattr(finished.FileLauncher, "alive", absent)
    outcome = shell("sweep", "status", "mixed")
    assert outcome.code == 0
    assert "note: what is queued cannot be asked from here: squeue: not found" in outcome.out
    assert "1 running" in outcome.out


def test_the_trials_that_nobody_asked_for_yet_are_counted(folder: Path, shell: Shell) -> None:
    sweep = sweep_of(folder / "study", [Run(()), Run((), "pruned")], study={"n_trials": 20})
    sweep.points_file.unlink()
    for index in (0, 1):
        sweep.run(index).overrides_file.write_text(f"seed=1\noptimizer.lr=0.{index}\n")
    told = shell("sweep", "status", "study").out
    assert "study liver:" in told
    assert "2 runs: 1 pruned, 1 completed (18 of 20 trials not begun)" in told


@pytest.mark.parametrize("jobs", [{"worker-0": "queued"}, {"worker-0": "running"}])
def test_the_watch_goes_on_while_workers_live(
    jobs: dict[str, str], folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = sweep_of(folder / "study", [], study={"n_trials": 2})
    sweep.points_file.unlink()
    alive(sweep, jobs)
    looks = []

    def begin(seconds: float) -> None:
        """First a trial comes, then the workers end."""
        looks.append(seconds)
        if len(looks) == 1:
            finished.write_run(sweep.run(0), Run(()))
        else:
            alive(sweep, {})

    monkeypatch.setattr("vitruvian.sweep.time.sleep", begin)
    told = shell("sweep", "status", "study", "watch=9").out
    assert len(looks) == 2
    assert "0 runs: none (2 of 2 trials not begun)" in told
    assert told.count("1 run: 1 completed (1 of 2 trials not begun)") == 2
    assert told.count("vitruvian-sweep resume") == 1, "only once nobody goes on with it"


def fails(sweep: SweepDirectory, freeze: bool) -> None:
    """All trials of a study fail: their configs do not fit, or their runs."""
    trials = Trials(sweep)
    while (taken := trials.take()) is not None:
        trials.point(taken)
        if freeze:
            taken.run.claim({"monitor": {"metric": METRIC, "mode": "max"}}, [])
            taken.run.write_status("failed", reason="lr: too large")
        trials.tell(taken, Outcome(End.FAILED, reason="lr: too large"))


@pytest.mark.parametrize("freeze", [True, False])
def test_trials_that_failed_are_no_reason_to_resume(
    freeze: bool, folder: Path, shell: Shell
) -> None:
    sweep = make(folder / "study", n_trials=3)
    manifest_with(sweep, launcher={"_target_": finished.TARGET})
    fails(sweep, freeze)
    told = " ".join(shell("sweep", "status", "study").out.split())
    assert "3 runs: 3 failed failed what why" in told, "the count, then their table"
    assert "lr: too large" in told
    assert "not begun" not in told
    assert "resume" not in told
    assert sweep.manifest().study is not None
    manifest_with(sweep, study={**(sweep.manifest().study or {}), "n_trials": 5})
    told = shell("sweep", "status", "study").out
    assert "3 failed (2 of 5 trials not begun)" in told
    assert f"vitruvian-sweep resume {sweep.path}" in told


def test_without_its_journal_the_directories_of_a_study_are_counted(
    folder: Path, shell: Shell
) -> None:
    sweep = sweep_of(folder / "study", [Run(())], study={"n_trials": 3, "storage": "sqlite:///x"})
    sweep.points_file.unlink()
    sweep.run(1).path.mkdir()
    sweep.run(1).write_status("failed", reason="lr: too large")
    told = shell("sweep", "status", "study").out
    assert "2 runs: 1 failed, 1 completed (1 of 3 trials not begun)" in told
    assert "lr: too large" in told


def test_status_imports_nothing_heavy(mixed: SweepDirectory) -> None:
    names = f"print([n for n in {LATE!r} if n in sys.modules])"
    for arguments in (["status", "mixed"], ["--help"]):
        command = [sys.executable, "-c", HEAVY.format(print=names), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


# -- collect --------------------------------------------------------------------------------------


def test_the_page_of_collect_is_in_the_order_that_was_asked_for(
    mixed: SweepDirectory, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitruvian.report.page.document.bundle", lambda: "H4sI")
    shell("sweep", "collect", "mixed", "metric=dice", "mode=min", "by=")
    page = (mixed.path / "index_simulated.html").read_text(encoding="utf-8")
    assert "Judged by test/dice (small is better)" in page
    assert "Judged by val/liver_dice" not in page


def test_collect_writes_the_tables_and_prints_the_best(mixed: SweepDirectory, shell: Shell) -> None:
    outcome = shell("sweep", "collect", "mixed")
    assert outcome.code == 0, outcome.err
    told = " ".join(outcome.out.split())
    assert "9 runs in" in told
    assert f"{METRIC} on SIMULATED data, large is better" in told
    assert "1 0.1 0.5000 0000" in told
    names = {file.name for file in mixed.path.iterdir() if file.name.partition("_")[2]}
    assert names == {
        *("collected_simulated.csv", "collected_simulated.parquet", "leaderboard_simulated.csv"),
        "index_simulated.html",
    }, "no seeds and no folds: nothing to aggregate"
    assert "test figure" in shell("sweep", "collect", "mixed", "metric=dice").out


# -- resume and cancel ----------------------------------------------------------------------------

STARTED = {
    "": ["0002", "0003", "0005", "0007"],
    "only=failed": ["0002"],
    "only=interrupted,lost": ["0003", "0005"],
    "only=not_started": ["0007"],
}


@pytest.mark.parametrize("only", STARTED)
def test_resume_starts_what_is_neither_complete_nor_alive(
    only: str, mixed: SweepDirectory, shell: Shell
) -> None:
    outcome = shell("sweep", "resume", "mixed", *only.split())
    assert outcome.code == 0, outcome.err
    assert asked(mixed) == STARTED[only]
    found = json.loads((mixed.path / "asked.json").read_text())["jobs"][0]
    assert found[1:] == ["vitruvian.run", str(mixed.run(int(found[0])).path), 7]


def test_a_run_whose_failed_job_is_still_ending_is_not_started_twice(
    mixed: SweepDirectory, shell: Shell
) -> None:
    alive(mixed, {"0002": "running"})
    shell("sweep", "resume", "mixed", "only=failed,lost")
    assert asked(mixed) == ["0005"]


def test_resume_with_nothing_to_start(folder: Path, shell: Shell) -> None:
    sweep = sweep_of(folder / "done", [Run(()), Run((), "pruned")])
    assert "nothing to start" in shell("sweep", "resume", "done").out
    assert asked(sweep) == []


def test_what_fails_is_told_with_its_reason(mixed: SweepDirectory, shell: Shell) -> None:
    (mixed.path / "failures.json").write_text('{"0002": "DataError: no such folder"}')
    outcome = shell("sweep", "resume", "mixed")
    assert outcome.code == 1
    assert outcome.err == "error: 0002 failed: DataError: no such folder\n"
    assert f"vitruvian-sweep resume {mixed.path}" in outcome.out


@pytest.mark.parametrize(
    ("outlived", "told"),
    [
        (False, "stopped by SIGTERM; the state is saved, continue with: vitruvian-sweep resume"),
        (True, "stopped by SIGTERM; the jobs go on, follow them with: vitruvian-sweep status"),
    ],
)
def test_a_signal_ends_the_wait_with_its_exit_code(
    outlived: bool, told: str, mixed: SweepDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopped(finished.FileLauncher):
        def start(self, *_: object) -> dict[str, str]:
            raise Interrupted(15)

    Stopped.outlived = outlived
    assert start(mixed, Stopped()) == 143
    assert told in capsys.readouterr().out


def test_keys_of_the_launcher_are_changed_for_good(mixed: SweepDirectory, shell: Shell) -> None:
    outcome = shell("sweep", "resume", "mixed", "launcher.queue=long", "launcher.jobs=4")
    assert outcome.code == 0, outcome.err
    assert mixed.manifest().launcher == {"_target_": TARGET, "jobs": 4, "queue": "long"}
    assert json.loads((mixed.path / "asked.json").read_text())["queue"] == "long"


def test_another_launcher_is_taken_once_the_first_has_nothing_in_hand(
    mixed: SweepDirectory, shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = folder / "conf" / "hydra" / "launcher"
    options.mkdir(parents=True)
    other = {"_target_": TARGET.replace("File", "Other"), "jobs": 3}
    (options / "other.yaml").write_text(json.dumps(other))
    monkeypatch.setattr("vitruvian.sweeps.launchers.config_directory", lambda: folder / "conf")
    outcome = shell("sweep", "resume", "mixed", "launcher=other")
    assert outcome.code == 2
    assert "3 jobs of this sweep are queued or running at the launcher it has" in outcome.err
    assert mixed.manifest().launcher["_target_"] == TARGET

    assert "3 jobs told to stop" in shell("sweep", "cancel", "mixed").out
    assert "nothing of this sweep" in shell("sweep", "cancel", "mixed").out
    assert shell("sweep", "resume", "mixed", "launcher=other", "launcher.queue=q").code == 0
    assert mixed.manifest().launcher == {**other, "queue": "q"}
    assert asked(mixed) == ["0002", "0003", "0005", "0006", "0007"]


def test_the_workers_of_a_study_are_started_again(
    mixed: SweepDirectory, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best, "best_lines", lambda sweep: [f"the best of {sweep.path.name}"])
    alive(mixed, {"worker-1": "running"})
    trainer = {"devices": "${seed}", "accelerator": "cpu"}
    base = {"trainer": trainer, "seed": 2, "optimizer": {"lr": "???"}}
    mixed.bases.mkdir()
    (mixed.bases / "0.yaml").write_text(json.dumps(base))
    manifest_with(mixed, study={"n_trials": 20})
    assert shell("sweep", "resume", "mixed", "only=failed").code == 2
    outcome = shell("sweep", "resume", "mixed")
    assert outcome.code == 0, outcome.err
    assert "the best of mixed" in outcome.out
    (job,) = json.loads((mixed.path / "asked.json").read_text())["jobs"]
    assert job == ["worker-0", "vitruvian.sweeps.worker", str(mixed.path), 2]
