"""`python -m vitruvian.sweeps.worker SWEEP`: train trials of a study until it has enough.

Any number of workers may run at once, on any number of machines. Each trial is a run directory that
is frozen, then trained by `python -m vitruvian.run` in a process of its own.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import yaml

from vitruvian.core import signals, slurm
from vitruvian.core.cli import exit_with
from vitruvian.core.config import Config
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.parent import follow_parent
from vitruvian.core.processes import Process, Start, start
from vitruvian.core.rundir import FAILED
from vitruvian.core.warm import POSSIBLE, WarmServer, modules_of
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.objectives import MissingMetricError
from vitruvian.sweeps.space import Value
from vitruvian.sweeps.training import Training
from vitruvian.sweeps.trials import End, Outcome, Taken, TakenOverError, Trials

WAIT_S = 3.0  # between two looks at a trial that may have lost its worker
Freeze = Callable[[Mapping[str, Value]], Config]


class Stop:
    """Stop signals: noted, and passed on to the process that trains."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.process: Process | None = None
        self.moved = False  # whether anything was trained since we began

    def install(self) -> None:
        """Take the signals over; they may come blocked, so that none was lost until now."""
        for number in signals.STOP_SIGNALS:
            signal.signal(number, self._pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.STOP_SIGNALS)

    def _pass_on(self, signum: int, _: FrameType | None) -> None:
        self.signum = self.signum or signum
        if self.process is not None:
            self.process.send_signal(signum)

    def follow(self, process: Process) -> None:
        """Pass signals on to this process; also one that came while it was started."""
        self.process = process
        if self.signum is not None:
            process.send_signal(self.signum)

    def check(self) -> None:
        """Stop here, if asked to.

        Raises:
            Interrupted: a signal came.
        """
        if self.signum is not None:
            raise signals.Interrupted(self.signum)


class Worker:
    """Takes trials of a study and trains them, one after the other.

    Args:
        sweep: where the study is.
        freeze: makes the config of a point.
        stop: the signals.
        start: how to start a process.
    """

    def __init__(
        self, sweep: SweepDirectory, freeze: Freeze, stop: Stop, start: Start = start
    ) -> None:
        self._sweep, self._freeze, self._stop, self._start = sweep, freeze, stop, start
        self.trials = Trials(sweep)

    def work(self) -> None:
        """Train until the study has enough trials.

        Raises:
            RunError: the study is stopped: an objective is not logged, or too many trials fail.
            Interrupted: a signal came; the trial has saved its state and can be adopted.
        """
        while (taken := self._next()) is not None:
            try:
                self._work_on(taken)
            except TakenOverError:
                told = "another worker took it over while this one gave no sign of life"
                print(f"trial {taken.number}: {told}; on to the next", flush=True)

    def _work_on(self, taken: Taken) -> None:
        try:
            with taken.claim.held():
                outcome = self._outcome(taken)
        except signals.Interrupted:
            taken.claim.release()
            raise
        except MissingMetricError as error:
            self.trials.stop(str(error))
            self.trials.tell(taken, Outcome(End.FAILED, reason=str(error)))
            raise
        self.trials.tell(taken, outcome)
        self._announce(taken, outcome)
        self._check_failures(outcome)

    def _next(self) -> Taken | None:
        while True:
            self._stop.check()
            if reason := self.trials.stopped:
                raise RunError(f"this study was stopped: {reason}")
            taken = self.trials.take()
            if taken is not None or not self.trials.in_doubt():
                return taken
            time.sleep(WAIT_S)

    def _outcome(self, taken: Taken) -> Outcome:
        point = self.trials.point(taken)
        lines = [f"{key}={value}" for key, value in point.items()]
        print(f"trial {taken.number}: {' '.join(lines)}", flush=True)
        if not taken.run.exists:
            try:
                frozen = self._freeze(point)
            except ConfigError as error:  # this point; others may do
                reason = " ".join(str(error).split())
                self.trials.check_ours(taken)
                taken.run.write_status(FAILED, reason=reason)
                return Outcome(End.FAILED, reason=reason)
            taken.run.claim(frozen, [*self.trials.manifest.overrides, *lines])
        training = Training(taken, self.trials, self._sweep, self._stop)
        return training.outcome(self._start)

    def _announce(self, taken: Taken, outcome: Outcome) -> None:
        metrics = zip(self.trials.manifest.objectives, outcome.values, strict=False)
        figures = "  ".join(f"{metric} {value:.6g}" for metric, value in metrics)
        print(f"trial {taken.number} {outcome.end.value}: {figures or outcome.reason}", flush=True)

    def _check_failures(self, outcome: Outcome) -> None:
        assert self.trials.manifest.study is not None
        most = self.trials.manifest.study["max_failures"]
        if outcome.end is End.FAILED and self.trials.failures >= most:
            raise RunError(
                f"{most} trials in a row have failed, the last one: {outcome.reason}; mend what is "
                f"wrong, then continue: vitruvian-sweep resume {self._sweep.path} "
                "(hydra.sweeper.max_failures allows more)"
            )


def main() -> None:
    """Entry point of the process."""
    signals.hold()  # until there is somebody to answer them: not one may be lost
    exit_with(work)


def work() -> int:
    """Train trials of the study that the command line names.

    Raises:
        RunError: it names none, or its study is stopped.
    """
    stop = Stop()
    stop.install()
    follow_parent()
    if len(sys.argv) != 2:
        raise RunError("the worker takes one sweep: python -m vitruvian.sweeps.worker DIR")
    sweep = SweepDirectory(Path(sys.argv[1]).expanduser())
    try:
        return train_trials(sweep, stop)
    except signals.Interrupted as told:
        return _leave(sweep, told, stop)
    finally:
        signals.ignore()


def _leave(sweep: SweepDirectory, told: signals.Interrupted, stop: Stop) -> int:
    """The trial has saved its state; a job of SLURM may go on with it later."""
    if not stop.moved and slurm.futile(told.signum):
        raise RunError("the time limit is too short to begin a trial; give the job more time")
    if slurm.requeue(told.signum):
        print(f"{told}; SLURM will start this worker again", flush=True)
        slurm.wait_to_be_killed()
    else:
        print(f"{told}; continue with: vitruvian-sweep resume {sweep.path}", flush=True)
    return told.exit_code


def train_trials(sweep: SweepDirectory, stop: Stop) -> int:
    """Train trials of a study until it has enough; 0.

    Raises:
        RunError: there is no study here, or it is stopped.
        Interrupted: a signal came.
    """
    manifest = sweep.manifest()
    if manifest.study is None:
        raise RunError(f"{sweep.path} is no study: its runs are a list of points")
    from vitruvian.sweeps.bases import Bases
    from vitruvian.sweeps.best import best_lines

    sweep.logs.mkdir(exist_ok=True)
    folder = manifest.origin.get("folder")  # of the command: what its relative paths start from
    bases = Bases.read(sweep.bases, Path(folder) if folder else None)
    with _starter(sweep, warm=bool(manifest.launcher.get("warm", True))) as start:
        worker = Worker(sweep, bases.freeze, stop, start)
        worker.work()
    others = worker.trials.unfinished()
    if others:
        numbers = ", ".join(map(str, others))
        print(f"no trial is left to begin; still running elsewhere: {numbers}", flush=True)
    else:
        print("\n".join(best_lines(sweep)), flush=True)
    return 0


@contextmanager
def _starter(sweep: SweepDirectory, warm: bool) -> Iterator[Start]:
    """How to start the trials: from one process that has imported what all of them need."""
    if not (warm and POSSIBLE):
        yield start
        return
    files = sorted(sweep.bases.glob("[0-9]*.yaml"))
    configs = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    with WarmServer(modules_of(configs)) as server:
        yield server.start


if __name__ == "__main__":
    main()
