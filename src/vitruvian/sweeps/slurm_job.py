"""A job as SLURM starts it: the script around it, and the process that becomes the run.

submitit starts its own Python under `srun`, and that process becomes `python -m vitruvian.run DIR`
by exec: SLURM's signals reach the run itself, and nothing of submitit's stands in between.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from vitruvian.core.signals import STOP_SIGNALS

# Signals wait until the run has its handlers: one that comes earlier would end it with no word.
_BLOCK = " ".join(f"--block-signal={number.name[3:]}" for number in STOP_SIGNALS)


@dataclass(frozen=True)
class FrozenJob:
    """What each task of a job calls.

    Attributes:
        module: `vitruvian.run`, or that of a study's workers.
        path: its one argument.
        log: where rank 0 prints, appended; further ranks print to files beside it.
        jitter_s: at its first start it waits for a random time up to this.
    """

    module: str
    path: str
    log: str
    jitter_s: float = 0.0

    def __call__(self) -> None:
        """Become the run; this returns only where that is impossible."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        self._print_to_log()
        if not int(os.environ.get("SLURM_RESTART_COUNT", "0")):
            _wait(random.Random().uniform(0, self.jitter_s))
        os.execv(sys.executable, [sys.executable, "-u", "-m", self.module, self.path])

    def _print_to_log(self) -> None:
        rank = int(os.environ.get("SLURM_PROCID", "0"))
        log = Path(self.log)
        place = log.with_name(f"{log.stem}-rank{rank}.log") if rank else log
        stream = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(stream, 1)
        os.dup2(stream, 2)


def _wait(seconds: float) -> None:
    """Sleep, unless a signal comes; it is sent again, to be found by the run."""
    found = signal.sigtimedwait(STOP_SIGNALS, seconds) if seconds > 0 else None
    if found is not None:
        os.kill(os.getpid(), found.si_signo)


def python_command(python: str | None, container: str | None) -> str:
    """What starts Python under srun, with signals blocked where that is possible from outside."""
    if container is not None:
        return python or "python3"
    return f"$vitruvian_env {python or shlex.quote(sys.executable)}"


def job_of(folder: Path, script: str, task: int) -> str | None:
    """The name of the job that a script, handed to sbatch, starts as one task of its array.

    Args:
        folder: where the scripts of a sweep are.
        script: what SLURM calls it; its folder may have another name there. Its own is unique.
        task: the place in the array; 0 of a job alone.

    Returns:
        None if it is none of this sweep's.
    """
    try:
        text = (folder / Path(script).name).read_text(encoding="utf-8")
        listed = _LISTED.search(text)
        logs = (folder / listed[1]).read_text(encoding="utf-8").splitlines() if listed else []
    except (OSError, UnicodeDecodeError):
        return None
    return Path(logs[task]).stem if task < len(logs) else None


def script_lines(logs: Path, folder: Path, max_restarts: int, threads: int) -> list[str]:
    """The lines of the batch script before `srun`.

    The job prints into its log. A stop signal does not end the script, which waits for what the run
    makes of it. A run whose process was killed (SIGKILL, a crash: `srun` ends with 128 + signal)
    goes back to the queue, to continue from its last checkpoint; so does one that was ended by a
    SIGTERM while SLURM calls the job running: `srun` sends it to the ranks that are left when one
    has died. A job that was cancelled does not go back, nor one that ended by itself.

    Args:
        logs: a file with one line for each job of the array: its log.
        folder: where submitit keeps the jobs; theirs are removed when they are done.
        max_restarts: how often a killed run is started again.
        threads: of each process, unless OMP_NUM_THREADS is set. Not every cluster keeps a job to
            its cores, and the libraries take all that they see.
    """
    return _SCRIPT.format(
        logs=shlex.quote(str(logs)),
        folder=shlex.quote(str(folder)),
        max_restarts=max_restarts,
        threads=threads,
        block=_BLOCK,
        asked=" | ".join(str(128 + number) for number in STOP_SIGNALS if number != signal.SIGTERM),
    ).splitlines()


_LISTED = re.compile(r"/([0-9a-f]+\.logs)\b")  # in the first line of the script
_SCRIPT = """\
exec >>"$(sed -n "$((${{SLURM_ARRAY_TASK_ID:-0}} + 1))p" {logs})" 2>&1
vitruvian_job={folder}/$SLURM_JOB_ID
[ -z "${{SLURM_ARRAY_JOB_ID:-}}" ] ||
  vitruvian_job={folder}/${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID
vitruvian_end() {{
  code=$?
  if [ $code = 0 ]; then rm -f "$vitruvian_job"_submitted.pkl "$vitruvian_job"_killed; fi
  case $code in {asked}) exit $code ;; esac  # it was asked to stop, and has
  [ $code -gt 128 ] && [ "${{VITRUVIAN_REQUEUE:-1}}" != 0 ] || exit $code
  scontrol show job -o "$SLURM_JOB_ID" | grep -q "JobState=RUNNING" || exit $code  # cancelled
  echo $code >>"$vitruvian_job"_killed
  times=$(wc -l <"$vitruvian_job"_killed)
  if [ "$times" -gt {max_restarts} ]; then
    echo "killed (exit code $code) once more: not started again (hydra.launcher.max_restarts)"
    exit $code
  fi
  echo "killed (exit code $code): back to the queue, to continue ($times of {max_restarts})"
  trap 'exit $code' TERM
  if scontrol requeue "$SLURM_JOB_ID"; then
    sleep 120 &
    wait
  fi
  exit $code
}}
trap vitruvian_end EXIT
trap : TERM INT USR1 USR2  # the run answers; this script waits for it
export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-{threads}}}"
vitruvian_env=
if env {block} true 2>/dev/null; then vitruvian_env="env {block}"; fi
"""
