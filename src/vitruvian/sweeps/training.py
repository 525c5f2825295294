"""One trial: its run is started, followed, pruned where it falls behind, and judged at its end."""

from __future__ import annotations

import itertools
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.errors import RunError
from vitruvian.core.processes import Process, Start
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, PRUNED
from vitruvian.core.signals import STOP_SIGNALS
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.jobs import RUN
from vitruvian.sweeps.objectives import (
    MissingMetricError,
    Row,
    need,
    read_rows,
    validations,
    value_of,
)
from vitruvian.sweeps.trials import End, Outcome, Taken, TakenOverError, Trials

if TYPE_CHECKING:
    from vitruvian.sweeps.worker import Stop

POLL_S = 0.5
GRACE_S = 2.0  # a signal to all processes of a job may reach the run before it reaches us
PATIENCE_S = 300.0  # for a run that is pruned to end at a checkpoint
_ENDED = (COMPLETE, PRUNED, FAILED)


class Training:
    """The training of one trial.

    Args:
        taken: the trial.
        trials: those of the study.
        sweep: for the log.
        stop: signals, which it passes on.
    """

    def __init__(self, taken: Taken, trials: Trials, sweep: SweepDirectory, stop: Stop) -> None:
        self._taken, self._trials, self._sweep, self._stop = taken, trials, sweep, stop
        self._run = taken.run
        self._seen: tuple[int, int] | None = None
        self._pruned_at: int | None = None

    def outcome(self, start: Start) -> Outcome:
        """Train, or continue, the run; what it came to.

        Raises:
            MissingMetricError: an objective is not logged.
            TakenOverError: the trial is another worker's.
            Interrupted: a signal came; the run has saved its state.
        """
        most = int(self._trials.manifest.launcher.get("max_restarts", 1))
        for number in itertools.count(1):
            self._wait_until_free()
            if self._run.status in _ENDED:  # its worker died before it could tell
                break
            process = self._train(start)
            if not self._was_killed(process) or number > most:
                return self._settled(process)
            self._check_signals()
            told = f"{_end_of(process.poll() or 0)}, it is continued ({number} of {most})"
            print(f"trial {self._taken.number}: {told}", flush=True)
        return self._settled(None)

    def _train(self, start: Start) -> Process:
        """Start the run, or continue it, and follow it to its end."""
        log = self._sweep.logs / f"{self._run.path.name}.log"
        before = _stamp(self._run.last)
        process = start(RUN, self._run.path, log)
        self._stop.follow(process)
        try:
            while process.poll() is None:
                time.sleep(POLL_S)
                self._look(process)
            self._look(process)
        except MissingMetricError as error:
            _end(process)
            self._note(FAILED, str(error))
            raise
        except TakenOverError:  # its directory is another's: it must not write there any more
            _kill(process)
            raise
        finally:
            self._stop.process = None
            self._stop.moved = self._stop.moved or _stamp(self._run.last) != before
            process.send_signal(signal.SIGTERM)  # nothing, unless an error brought us here
        return process

    def _was_killed(self, process: Process) -> bool:
        """Whether a signal that nobody sends to stop a run has ended it, or one of its ranks."""
        code = process.poll() or 0
        number = -code if code < 0 else code - 128
        killed = number > 0 and number not in STOP_SIGNALS
        return killed and self._pruned_at is None and self._run.status not in _ENDED

    def _wait_until_free(self) -> None:
        """The orphan of a worker that was killed may still be saving its state."""
        told = False
        while True:
            self._stop.check()
            try:
                with self._run.lock():
                    return
            except RunError as error:
                if not told:
                    print(f"trial {self._taken.number}: {error}; waiting for it", flush=True)
                told = True
            time.sleep(POLL_S)

    # -- while it runs --------------------------------------------------------------------------

    def _look(self, process: Process) -> None:
        """Tell the study of new validations; give the run up if it has fallen behind."""
        rows = self._new_validations()
        if not rows:
            return
        metrics = [*self._trials.manifest.objectives]
        for metric in metrics:
            if metric.startswith("val/"):
                need(metric, rows)
        if len(metrics) > 1:
            return
        for row in rows:
            if metrics[0] in row:
                self._trials.report(self._taken, int(row["epoch"]) + 1, row[metrics[0]])
        if (
            self._pruned_at is None
            and process.poll() is None
            and self._trials.should_prune(self._taken)
        ):
            self._prune(process, int(rows[-1]["epoch"]) + 1)

    def _new_validations(self) -> list[Row]:
        seen = _stamp(self._run.metrics_file)
        if seen is None or seen == self._seen:
            return []
        self._seen = seen
        return validations(read_rows(self._run.metrics_file))

    def _prune(self, process: Process, epochs: int) -> None:
        self._pruned_at = epochs
        _end(process)

    # -- at its end -----------------------------------------------------------------------------

    def _settled(self, process: Process | None) -> Outcome:
        status = self._run.status
        if status == COMPLETE:
            return self._judged()
        if status == PRUNED:
            return Outcome(End.PRUNED, reason=self._reason())
        if self._pruned_at is not None:
            return self._given_up()
        if process is not None and status != FAILED:
            self._check_signals()
            return self._lost(process)
        return Outcome(End.FAILED, reason=self._reason() or "it failed")

    def _judged(self) -> Outcome:
        file, monitor = self._run.metrics_file, self._run.config["monitor"]
        return Outcome.of_values(
            {
                metric: value_of(metric, file, monitor["metric"], monitor["mode"])
                for metric in self._trials.manifest.objectives
            }
        )

    def _given_up(self) -> Outcome:
        metric = next(iter(self._trials.manifest.objectives))
        reason = (
            f"given up after {self._pruned_at} epochs: {metric} does not keep up with the others"
        )
        self._note(PRUNED, reason)
        return Outcome(End.PRUNED, reason=reason)

    def _check_signals(self) -> None:
        end = time.monotonic() + GRACE_S
        while time.monotonic() < end:
            self._stop.check()
            time.sleep(POLL_S / 5)

    def _lost(self, process: Process) -> Outcome:
        """Its process was ended, or stopped, by somebody else."""
        reason = self._reason() if self._run.status == INTERRUPTED else ""
        reason = reason or _end_of(process.poll() or 0)
        self._note(FAILED, reason)
        return Outcome(End.FAILED, reason=reason)

    def _note(self, state: str, reason: str) -> None:
        self._trials.check_ours(self._taken)
        self._run.write_status(state, **self._run.progress(), reason=reason)

    def _reason(self) -> str:
        return str(self._run.read_status().get("reason") or "")


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes when a file does; None if it is not there."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _end(process: Process) -> None:
    """Let a run save its state and end; one that does not is killed."""
    until = time.monotonic() + PATIENCE_S
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:
        time.sleep(POLL_S / 5)
        if time.monotonic() > until:
            process.send_signal(signal.SIGKILL)


def _kill(process: Process) -> None:
    process.send_signal(signal.SIGKILL)
    while process.poll() is None:
        time.sleep(POLL_S / 5)


def _end_of(code: int) -> str:
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"
