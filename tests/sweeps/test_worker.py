"""A worker trains trials in processes, tells the study what became of them, and can be stopped."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tests.sweeps.studies import MEDIAN, RANDOM, SPACE, config_of, make, pretend, states
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.processes import Process
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, PRUNED, RUNNING
from vitruvian.core.signals import Interrupted
from vitruvian.sweeps import training
from vitruvian.sweeps.bases import Bases
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.objectives import MissingMetricError, kept_figures, read_rows, value_of
from vitruvian.sweeps.space import Value
from vitruvian.sweeps.trials import End, Outcome, TakenOverError, Trials
from vitruvian.sweeps.worker import Freeze, Stop, Worker, train_trials


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "POLL_S", 0.02)
    monkeypatch.setattr(training, "GRACE_S", 0.1)


def work(sweep: SweepDirectory, freeze: Freeze = config_of, stop: Stop | None = None) -> Worker:
    worker = Worker(sweep, freeze, stop or Stop(), pretend)
    worker.work()
    return worker


def trials_of(sweep: SweepDirectory) -> list[Any]:
    return Trials(sweep).study.get_trials(deepcopy=False)


# -- what becomes of a trial ----------------------------------------------------------------------


def test_trials_are_frozen_trained_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = make(tmp_path / "s", n_trials=2)
    work(sweep)
    printed = capsys.readouterr().out
    for number, trial in enumerate(trials_of(sweep)):
        run = sweep.run(number)
        assert run.status == COMPLETE
        assert run.config["x"] == trial.params["x"]
        assert run.overrides_file.read_text().splitlines()[:2] == [
            "seed=1",
            f"x={trial.params['x']}",
        ]
        assert trial.values == [trial.params["x"] + 1 / 3]  # its best validation, the third
        assert trial.intermediate_values[3] == trial.values[0]
        assert trial.user_attrs == {"run": f"000{number}"}
        assert f"trial {number} complete: val/x {trial.values[0]:.6g}\n" in printed
    assert [one.name for one in sweep.runs()] == ["0000", "0001"]
    assert not list(sweep.path.glob("*/.claim.json"))


ENDS = [
    ("a mistake", {"at": 1, "after": "fail"}, "DataError: no such file", FAILED),
    (
        "killed again and again",
        {"at": 1, "after": "kill"},
        "its process was ended by SIGKILL",
        FAILED,
    ),
    ("gone", {"at": 1, "after": "vanish"}, "its process ended with exit code 7", FAILED),
    ("stopped alone", {"at": 1, "after": "stopped"}, "stopped by SIGTERM", FAILED),
    ("diverged", {"x": "nan"}, "val/x is nan", COMPLETE),
]


@pytest.mark.parametrize(
    ("changes", "reason", "state"), [e[1:] for e in ENDS], ids=[e[0] for e in ENDS]
)
def test_a_bad_trial_is_a_failed_trial_and_not_the_end(
    changes: dict[str, Any], reason: str, state: str, tmp_path: Path
) -> None:
    sweep = make(tmp_path / "s", n_trials=2)
    changes = {key: float(value) if key == "x" else value for key, value in changes.items()}

    def freeze(point: Mapping[str, Value]) -> dict[str, Any]:
        first = not sweep.run(0).exists
        return config_of(point) | (changes if first else {})

    work(sweep, freeze)
    assert states(sweep) == ["FAIL", "COMPLETE"]
    assert trials_of(sweep)[0].user_attrs["reason"] == reason
    assert sweep.run(0).status == state


@pytest.mark.parametrize(("most", "state"), [(None, "COMPLETE"), (1, "COMPLETE"), (0, "FAIL")])
def test_a_killed_run_is_continued(
    most: int | None, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = make(tmp_path / "s", n_trials=1)
    if most is not None:
        node = {"_target_": "none", "max_restarts": most}
        sweep.write_manifest(replace(sweep.manifest(), launcher=node))
    work(sweep, lambda point: config_of(point, at=1, after="kill once"))
    assert states(sweep) == [state]
    told = "trial 0: its process was ended by SIGKILL, it is continued (1 of 1)"
    assert (told in capsys.readouterr().out) == (state == "COMPLETE")
    assert len(read_rows(sweep.run(0).metrics_file)) == (3 if state == "COMPLETE" else 1)


def test_a_killed_run_is_not_continued_where_a_signal_came(tmp_path: Path) -> None:
    class Struck(Stop):
        def follow(self, process: Process) -> None:
            self.signum = signal.SIGTERM

    sweep = make(tmp_path / "s", n_trials=1)
    with pytest.raises(Interrupted):
        work(sweep, lambda point: config_of(point, at=1, after="kill"), Struck())
    assert states(sweep) == ["RUNNING"]
    assert len(list(sweep.logs.iterdir())) == 1


def test_a_point_that_cannot_be_frozen_is_a_failed_trial(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", n_trials=4)

    def freeze(point: Mapping[str, Value]) -> dict[str, Any]:
        if point["kind"] == "a":
            raise ConfigError("model.width: got 7,\nexpected an even number")
        return config_of(point)

    work(sweep, freeze)
    for number, trial in enumerate(trials_of(sweep)):
        bad = trial.params["kind"] == "a"
        assert trial.state.name == ("FAIL" if bad else "COMPLETE")
        assert sweep.run(number).exists != bad
        assert (sweep.run(number).status == FAILED) == bad
        assert ("model.width: got 7, expected" in trial.user_attrs.get("reason", "")) == bad
    assert {trial.state.name for trial in trials_of(sweep)} == {"FAIL", "COMPLETE"}


def test_too_many_failures_in_a_row_end_it(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", n_trials=20, max_failures=3)
    with pytest.raises(RunError, match=r"3 trials in a row have failed, the last one: DataError"):
        work(sweep, lambda point: config_of(point, at=0, after="fail"))
    assert states(sweep) == ["FAIL"] * 3


def test_a_metric_that_is_not_logged_ends_the_study_at_once(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", objectives={"val/xx": "min"})
    told = (
        "hydra.sweeper.objectives: val/xx is not logged; did you mean `val/x`? "
        "(the validation logs val/x, val/y)"
    )
    with pytest.raises(MissingMetricError) as caught:
        work(sweep, lambda point: config_of(point, epochs=1000, seconds=0.01))
    assert str(caught.value) == told
    with pytest.raises(
        RunError, match=r"this study was stopped: hydra\.sweeper\.objectives: val/xx"
    ):
        work(sweep)
    assert states(sweep) == ["FAIL"]
    assert sweep.run(0).status == FAILED
    assert len(read_rows(sweep.run(0).metrics_file)) < 500


def test_trials_that_fall_behind_are_given_up(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", SPACE, pruner=MEDIAN, n_trials=4, sampler=RANDOM)

    def freeze(point: Mapping[str, Value]) -> dict[str, Any]:
        number = len(list(sweep.path.glob("*/config.yaml")))
        if number < 2:
            return config_of(point, x=0.0, epochs=4)
        return config_of(point, x=number - 2.0, epochs=1000 if number == 3 else 4, seconds=0.05)

    work(sweep, freeze)
    assert states(sweep) == ["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED"]
    run = sweep.run(3)
    assert run.status == PRUNED
    assert run.read_status()["reason"].startswith("given up after ")
    assert trials_of(sweep)[3].user_attrs["reason"] == run.read_status()["reason"]
    assert 2 <= len(read_rows(run.metrics_file)) < 500


def test_several_objectives(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", objectives={"val/y": "max", "train/loss": "min"}, n_trials=2)
    work(sweep)
    for trial in trials_of(sweep):
        assert trial.values == [trial.params["y"], 0.5]
        assert not trial.intermediate_values


# -- stopped, killed, continued -------------------------------------------------------------------


def test_a_signal_leaves_the_trial_for_the_next_worker(tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", n_trials=2)
    stop = Stop()
    slow = {"epochs": 400, "seconds": 0.02}

    def strike() -> None:
        while len(read_rows(sweep.run(0).metrics_file)) < 3:
            time.sleep(0.01)
        stop._pass_on(signal.SIGTERM, None)

    thread = threading.Thread(target=strike)
    thread.start()
    with pytest.raises(Interrupted):
        work(sweep, lambda point: config_of(point, **slow), stop)
    thread.join()
    assert states(sweep) == ["RUNNING"]
    assert sweep.run(0).status == INTERRUPTED
    before = sweep.run(0).metrics_file.read_text()
    config = sweep.run(0).config
    sweep.run(0).config_file.write_text(sweep.run(0).config_file.read_text().replace("400", "12"))
    work(sweep)
    assert states(sweep) == ["COMPLETE", "COMPLETE"]
    assert sweep.run(0).metrics_file.read_text().startswith(before[: before.rfind("\n") + 1])
    assert trials_of(sweep)[0].params["x"] == config["x"]


@pytest.mark.parametrize(
    ("status", "state"), [(COMPLETE, "COMPLETE"), (FAILED, "FAIL"), (PRUNED, "PRUNED")]
)
def test_what_a_killed_worker_could_not_tell_is_told(
    status: str, state: str, tmp_path: Path
) -> None:
    sweep = make(tmp_path / "s", n_trials=1)
    trials = Trials(sweep)
    taken = trials.take()
    assert taken is not None
    taken.run.claim(config_of(trials.point(taken)), [])
    taken.run.metrics_file.write_text("epoch,step,val/x,val/y\n0,3,0.25,1.0\n")
    taken.run.write_status(status, reason="so it was")
    taken.claim.release()
    work(sweep)
    assert states(sweep) == [state]
    assert taken.run.status == status
    assert not list(sweep.logs.iterdir())  # nothing was started


def test_an_orphan_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = make(tmp_path / "s", n_trials=1)
    trials = Trials(sweep)
    taken = trials.take()
    assert taken is not None
    taken.run.claim(config_of(trials.point(taken), epochs=40, seconds=0.02), [])
    taken.claim.release()
    orphan = pretend("vitruvian.run", taken.run.path, sweep.logs / "orphan.log")
    while not taken.run.metrics_file.exists():
        time.sleep(0.01)
    work(sweep)
    assert orphan.wait() == 0
    assert "in use: another process is training in it; waiting for it" in capsys.readouterr().out
    assert states(sweep) == ["COMPLETE"]


def test_a_trial_that_another_worker_has_told_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = make(tmp_path / "s", n_trials=2)

    def freeze(point: Mapping[str, Value]) -> dict[str, Any]:
        first = not sweep.run(0).exists
        if first:
            Trials(sweep).study.tell(0, 0.25)
        return config_of(point, **({"epochs": 1000, "seconds": 0.05} if first else {}))

    work(sweep, freeze)
    printed = capsys.readouterr().out
    assert "trial 0: another worker took it over while this one gave no sign of life" in printed
    assert [trial.state.name for trial in trials_of(sweep)] == ["COMPLETE", "COMPLETE"]
    assert trials_of(sweep)[0].values == [0.25]
    assert sweep.run(0).status == RUNNING, "what the other has written there stays"
    with sweep.run(0).lock():  # our process is gone
        assert len(read_rows(sweep.run(0).metrics_file)) < 500


@pytest.mark.parametrize("end", End)
def test_a_trial_that_another_worker_runs_is_not_ours_to_tell(end: End, tmp_path: Path) -> None:
    sweep = make(tmp_path / "s", n_trials=1)
    trials = Trials(sweep)
    taken = trials.take()
    assert taken is not None
    trials.point(taken)
    trials.report(taken, 1, 0.5)
    theirs = json.loads(taken.claim.file.read_text()) | {"host": "far"}
    taken.claim.file.write_text(json.dumps(theirs))
    os.utime(taken.claim.file, (0, 0))
    taken.claim.beat()
    with pytest.raises(TakenOverError):
        trials.report(taken, 2, 0.5)
    with pytest.raises(TakenOverError):
        trials.tell(taken, Outcome(end, (0.5,) if end is End.COMPLETE else ()))
    taken.claim.release()
    assert taken.claim.last_beat == 0, "their claim is left to them"
    assert states(sweep) == ["RUNNING"]
    assert trials_of(sweep)[0].intermediate_values == {1: 0.5}


def test_signals_reach_the_process_even_while_it_is_started() -> None:
    stop, told = Stop(), []

    class Told:
        pid = 1

        def poll(self) -> int | None:
            return None

        def send_signal(self, sig: int, /) -> None:
            told.append(sig)

    stop._pass_on(signal.SIGUSR1, None)
    stop.follow(Told())
    stop._pass_on(signal.SIGTERM, None)
    assert told == [signal.SIGUSR1, signal.SIGTERM]
    with pytest.raises(Interrupted) as caught:
        stop.check()
    assert caught.value.signum == signal.SIGUSR1


def test_relative_paths_start_where_the_study_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = make(tmp_path / "s", n_trials=1)
    node = {"_target_": "none", "warm": False}
    typed = {"folder": str(tmp_path / "project")}
    sweep.write_manifest(replace(sweep.manifest(), launcher=node, origin=typed))
    bases = Bases((), {(): OmegaConf.create()}, tmp_path)
    asked = []
    monkeypatch.setattr(Bases, "read", lambda *given: asked.append(given) or bases)
    monkeypatch.setattr(Worker, "work", lambda self: None)
    train_trials(sweep, Stop())
    assert asked == [(sweep.bases, tmp_path / "project")]


# -- what a run is worth --------------------------------------------------------------------------

TABLE = """epoch,step,train/loss,val/dice,val/voe,train/epoch_loss
0,1,0.9,,,
0,3,,0.5,0.7,
0,3,,,,0.8
1,6,,0.9,0.2,
1,6,,,,0.4
2,9,,0.9,0.1,
2,9,,,,0.3
3,12,,0.95,0.0"""

VALUES = [
    ("val/dice", "val/dice", "max", 0.9),
    ("val/voe", "val/dice", "max", 0.2),  # of the first of two equals, whose weights are kept
    ("val/voe", "val/dice", "min", 0.7),
    ("train/epoch_loss", "val/dice", "max", 0.4),  # logged after the validation at the same step
    ("train/epoch_loss", "val/nothing", "max", 0.3),
]


@pytest.mark.parametrize(("metric", "monitor", "mode", "value"), VALUES)
def test_the_value_is_that_of_the_weights_kept(
    metric: str, monitor: str, mode: str, value: float, tmp_path: Path
) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text(TABLE)
    assert len(read_rows(file)) == 7  # the last line is still being written
    assert value_of(metric, file, monitor, mode) == value
    assert kept_figures(file, monitor, mode, (metric,))[metric] == value


def test_a_metric_that_no_run_logs_has_no_value(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text(TABLE)
    with pytest.raises(MissingMetricError, match="val/dise is not logged; did you mean `val/dice`"):
        value_of("val/dise", file, "val/dice", "max")
